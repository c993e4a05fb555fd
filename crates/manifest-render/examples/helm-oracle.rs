//! Holds this crate's Helm charts against Helm's own output.
//!
//! `charts FOLDER` renders every chart of a folder of recorded ones and compares with what Helm wrote. `flips FOLDER HELM
//! CACHE` renders each chart again with every file of its `ci/` folder and with every boolean of its values turned
//! round, and compares with a real Helm; what that wrote is kept in CACHE.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};
use std::time::{Instant, SystemTime};

use manifest_render::helm::{
    Chart, Entropy, GivenValues, Printing, Release, Surroundings, Timestamp, merge_values, render_chart,
};
use manifest_render::{Budget, MemoryFiles};
use serde_json::{Map, Value, json};

/// What a render gives: the text, or what is said behind `Error: `.
type Outcome = Result<Vec<u8>, String>;

/// How many charts gave the same bytes, and the first difference of the others.
#[derive(Debug, Default)]
pub(crate) struct Comparison {
    /// Charts in all.
    pub(crate) charts: usize,
    /// Charts with the same bytes.
    pub(crate) equal: usize,
    /// A line for each of the others.
    pub(crate) others: Vec<String>,
}

/// Compares every chart of a folder with its recorded output.
pub(crate) fn compare_all(folder: &Path) -> std::io::Result<Comparison> {
    let mut comparison = Comparison::default();
    for (name, chart) in charts(folder)? {
        let expected = std::fs::read(chart.join("expected.yaml"))?;
        let rendered = render(&read_folder(&chart.join("chart"))?, &GivenValues::default());
        comparison.charts += 1;
        match difference(&Ok(expected), &rendered) {
            None => comparison.equal += 1,
            Some(difference) => comparison.others.push(format!("{name}: {difference}")),
        }
    }
    Ok(comparison)
}

/// The charts of a folder, by name.
fn charts(folder: &Path) -> std::io::Result<BTreeMap<String, PathBuf>> {
    let mut charts = BTreeMap::new();
    for entry in std::fs::read_dir(folder)? {
        let entry = entry?;
        if entry.path().join("chart").is_dir() {
            charts.insert(entry.file_name().to_string_lossy().into_owned(), entry.path());
        }
    }
    Ok(charts)
}

/// Reads a folder into memory, as `chart/...`.
fn read_folder(folder: &Path) -> std::io::Result<MemoryFiles> {
    let mut files = MemoryFiles::new();
    let mut open = vec![folder.to_path_buf()];
    while let Some(path) = open.pop() {
        if path.is_dir() {
            for entry in std::fs::read_dir(&path)? {
                open.push(entry?.path());
            }
        } else {
            let name = path.strip_prefix(folder).unwrap_or(&path).to_string_lossy().into_owned();
            files.insert(&format!("chart/{name}"), std::fs::read(&path)?.into());
        }
    }
    Ok(files)
}

/// Bytes from a generator of its own: what is drawn from them is masked before it is compared.
struct Generator(u64);

impl Entropy for Generator {
    fn fill(&mut self, _template: &str, bytes: &mut [u8]) {
        for byte in bytes {
            self.0 ^= self.0 << 13;
            self.0 ^= self.0 >> 7;
            self.0 ^= self.0 << 17;
            *byte = self.0.to_le_bytes().first().copied().unwrap_or_default();
        }
    }
}

#[expect(clippy::disallowed_methods, reason = "dates of charts are compared with those of a Helm that runs now")]
/// Renders as `helm template rel chart --namespace ns1`.
fn render(files: &MemoryFiles, given: &GivenValues) -> Outcome {
    let budget = Budget::default();
    let said = |error: manifest_render::helm::HelmError| error.to_string();
    let values = merge_values(given, &|path| Err(format!("open {path}: no such file or directory"))).map_err(said)?;
    let chart = Chart::load("chart", files, &budget).map_err(said)?;
    let release = Release { values, ..Release::new("rel", "ns1") };
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    let seconds = i64::try_from(since.as_secs()).unwrap_or_default();
    let now = Timestamp { seconds, nanoseconds: since.subsec_nanos() };
    let mut entropy = Generator(0x9E37_79B9_7F4A_7C15);
    let manifests = render_chart(&chart, &release, Surroundings::new(&mut entropy, now), &budget).map_err(said)?;
    manifests.print(&Printing::default()).map_err(said)
}

/// The first difference of two outcomes.
fn difference(expected: &Outcome, found: &Outcome) -> Option<String> {
    match (expected, found) {
        (Ok(expected), Ok(found)) if expected == found => None,
        (Ok(expected), Ok(found)) => {
            let (expected, found) = (String::from_utf8_lossy(expected), String::from_utf8_lossy(found));
            let mut lines = expected.split('\n').zip(found.split('\n')).enumerate();
            let first = lines.find(|(_, (expected, found))| expected != found);
            Some(match first {
                Some((index, (expected, found))) => format!("line {}: `{expected}` is `{found}`", index + 1),
                None => format!("{} bytes are {}", expected.len(), found.len()),
            })
        }
        (Err(expected), Err(found)) if without_places(expected) == without_places(found) => None,
        (Err(expected), Err(found)) => Some(format!("error `{expected}` is `{found}`")),
        (Ok(_), Err(found)) => Some(format!("error `{found}`")),
        (Err(expected), Ok(_)) => Some(format!("no error, `{expected}` was expected")),
    }
}

/// An error with its lines and columns taken out.
fn without_places(error: &str) -> String {
    let mut text = String::new();
    let mut characters = error.trim().chars().peekable();
    while let Some(character) = characters.next() {
        text.push(character);
        if character == ':' || text.ends_with("line ") {
            while characters.peek().is_some_and(char::is_ascii_digit) {
                characters.next();
            }
        }
    }
    text
}

/// One render of a chart besides the default one.
struct Case {
    name: String,
    values: Vec<u8>,
}

/// The files of `ci/`, and one case for each boolean.
fn cases(folder: &Path, files: &MemoryFiles) -> Vec<Case> {
    let mut cases = Vec::new();
    let mut paths: Vec<PathBuf> =
        std::fs::read_dir(folder.join("ci")).into_iter().flatten().flatten().map(|entry| entry.path()).collect();
    paths.sort();
    for path in paths {
        let is_values = path.extension().is_some_and(|extension| extension == "yaml" || extension == "yml");
        if let (true, Ok(values)) = (is_values, std::fs::read(&path)) {
            cases.push(Case { name: format!("ci-{}", path.file_name().unwrap_or_default().to_string_lossy()), values });
        }
    }
    if let Ok(chart) = Chart::load("chart", files, &Budget::default()) {
        let mut flips = Vec::new();
        collect_booleans(&chart.values, &mut Vec::new(), &mut flips);
        cases.extend(flips.into_iter().map(|(path, flipped)| {
            let values = path.iter().rev().fold(json!(flipped), |inner, name| json!({ name.as_str(): inner }));
            Case { name: format!("flip-{}", path.join(".")), values: values.to_string().into_bytes() }
        }));
    }
    cases
}

fn collect_booleans(values: &Map<String, Value>, path: &mut Vec<String>, flips: &mut Vec<(Vec<String>, bool)>) {
    for (name, value) in values {
        path.push(name.clone());
        match value {
            Value::Bool(flag) => flips.push((path.clone(), !flag)),
            Value::Object(below) => collect_booleans(below, path, flips),
            _ => {}
        }
        path.pop();
    }
}

/// What a real Helm gives, from the cache where it is known.
fn real(helm: &Path, chart: &Path, case: &Case, cache: &Path, run: &str) -> std::io::Result<Outcome> {
    let name: String =
        case.name.chars().map(|it| if it.is_ascii_alphanumeric() || it == '.' { it } else { '-' }).collect();
    let name = name.chars().take(120).collect::<String>();
    let (text, error) = (cache.join(format!("{name}.{run}.yaml")), cache.join(format!("{name}.{run}.error")));
    if let Ok(text) = std::fs::read(&text) {
        return Ok(Ok(text));
    }
    if let Ok(error) = std::fs::read_to_string(&error) {
        return Ok(Err(error));
    }
    std::fs::create_dir_all(cache)?;
    let values = cache.join(format!("{name}.values.yaml"));
    std::fs::write(&values, &case.values)?;
    let output = Command::new(helm)
        .args(["template", "rel"])
        .arg(chart)
        .args(["--namespace", "ns1", "-f"])
        .arg(&values)
        .stdin(Stdio::null())
        .output()?;
    if output.status.success() {
        std::fs::write(text, &output.stdout)?;
        return Ok(Ok(output.stdout));
    }
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    let said = said.split_once("Error: ").map_or(said.as_str(), |(_, said)| said);
    let said = said.trim_end().trim_end_matches("Use --debug flag to render out invalid YAML").trim_end();
    std::fs::write(error, said)?;
    Ok(Err(said.to_owned()))
}

/// Compares only the lines that are equal in two runs of the real Helm.
fn masked_difference(first: &Outcome, second: &Outcome, found: &Outcome) -> Option<String> {
    let (Ok(first), Ok(second), Ok(found)) = (first, second, found) else { return difference(first, found) };
    let lines = |text: &[u8]| -> Vec<String> { String::from_utf8_lossy(text).split('\n').map(str::to_owned).collect() };
    let (first, second, found) = (lines(first), lines(second), lines(found));
    if first.len() != second.len() || first.len() != found.len() {
        // Generated texts may differ in how many lines they take.
        let gap = first.len().abs_diff(found.len());
        return (gap > first.len().abs_diff(second.len()) + 2)
            .then(|| format!("{} lines are {}, of random content", first.len(), found.len()));
    }
    let mut places = first.iter().zip(&second).zip(&found).enumerate();
    let place = places.find(|(_, ((first, second), found))| first == second && first != found)?;
    Some(format!("line {}: `{}` is `{}`, beside random content", place.0 + 1, place.1.0.0, place.1.1))
}

/// Counts of a comparison with a real Helm.
#[derive(Debug, Default)]
struct Counts {
    renders: usize,
    errors: usize,
    random: usize,
    complete: usize,
    mismatches: usize,
}

fn flips(folder: &Path, helm: &Path, cache: &Path, wanted: &[String]) -> std::io::Result<Counts> {
    let mut counts = Counts::default();
    for (name, chart) in charts(folder)? {
        if !wanted.is_empty() && !wanted.iter().any(|wanted| name.contains(wanted.as_str())) {
            continue;
        }
        let files = read_folder(&chart.join("chart"))?;
        let cache = cache.join(&name);
        for case in cases(&chart.join("chart"), &files) {
            let expected = real(helm, &chart.join("chart"), &case, &cache, "1")?;
            let given = GivenValues { files: vec![(case.name.clone(), case.values.clone())], ..GivenValues::default() };
            let found = render(&files, &given);
            counts.renders += 1;
            counts.errors += usize::from(expected.is_err());
            let Some(mut difference) = difference(&expected, &found) else { continue };
            // A dependency that is switched off is not missed here; Helm asks for it all the same.
            if found.is_ok() && expected.as_ref().is_err_and(|said| said.contains("but missing in charts/ directory")) {
                counts.complete += 1;
                continue;
            }
            if expected.is_ok() {
                let second = real(helm, &chart.join("chart"), &case, &cache, "2")?;
                if second != expected {
                    counts.random += 1;
                    let Some(masked) = masked_difference(&expected, &second, &found) else { continue };
                    difference = masked;
                }
            }
            counts.mismatches += 1;
            say(&format!("{name} {}: {difference}", case.name));
        }
    }
    Ok(counts)
}

#[expect(clippy::print_stdout, reason = "a program prints")]
fn say(line: &str) {
    println!("{line}");
}

fn run(arguments: &[String]) -> std::io::Result<bool> {
    let started = Instant::now();
    match arguments {
        [verb, folder] if verb == "charts" => {
            let comparison = compare_all(Path::new(folder))?;
            comparison.others.iter().for_each(|line| say(line));
            say(&format!("{} of {} byte-equal, {:?}", comparison.equal, comparison.charts, started.elapsed()));
            Ok(comparison.equal == comparison.charts)
        }
        [verb, folder, helm, cache, wanted @ ..] if verb == "flips" => {
            let Counts { renders, errors, random, complete, mismatches } =
                flips(Path::new(folder), Path::new(helm), Path::new(cache), wanted)?;
            say(&format!(
                "{renders} renders, {errors} of them errors, {random} with random content, {complete} rendered here \
                 although a dependency that is switched off is not there: {mismatches} mismatches"
            ));
            Ok(mismatches * 200 < renders)
        }
        _ => {
            say("usage: helm-oracle charts FOLDER | flips FOLDER HELM CACHE [NAME...]");
            Ok(false)
        }
    }
}

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match run(&arguments) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            say(&error.to_string());
            ExitCode::FAILURE
        }
    }
}
