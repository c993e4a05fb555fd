//! Renders here, and holds what came against what the real Helm gave.

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::SystemTime;

use manifest_render::helm::{
    Chart, Entropy, GivenValues, HelmError, Printing, Release, Surroundings, Timestamp, merge_values, render_chart,
};
use manifest_render::{Budget, MemoryFiles};

/// What a render gives: the text, or what is said behind `Error: `.
pub(crate) type Outcome = Result<Vec<u8>, String>;

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
pub(crate) fn render(files: &MemoryFiles, given: &GivenValues) -> Outcome {
    let budget = Budget::default();
    let said = |error: HelmError| error.to_string();
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
pub(crate) fn difference(expected: &Outcome, found: &Outcome) -> Option<String> {
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

/// Compares only the lines that are equal in two runs of the real Helm.
pub(crate) fn masked_difference(first: &Outcome, second: &Outcome, found: &Outcome) -> Option<String> {
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

/// What a real Helm gives for a chart, from the cache where it is known.
pub(crate) fn from_helm(helm: &Path, chart: &Path, values: Option<&Path>, kept: &Path) -> std::io::Result<Outcome> {
    let with =
        |end: &str| kept.with_file_name(format!("{}.{end}", kept.file_name().unwrap_or_default().to_string_lossy()));
    let (text, error) = (with("yaml"), with("error"));
    if let Ok(text) = std::fs::read(&text) {
        return Ok(Ok(text));
    }
    if let Ok(error) = std::fs::read_to_string(&error) {
        return Ok(Err(error));
    }
    let mut command = Command::new(helm);
    command.args(["template", "rel"]).arg(chart).args(["--namespace", "ns1"]).stdin(Stdio::null());
    if let Some(values) = values {
        command.arg("-f").arg(values);
    }
    let output = command.output()?;
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
