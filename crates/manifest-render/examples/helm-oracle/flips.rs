//! Each chart again: with every file of its `ci/` folder, and with every boolean of its values turned round.

use std::path::{Path, PathBuf};

use manifest_render::helm::{Chart, GivenValues};
use manifest_render::{Budget, MemoryFiles};
use serde_json::{Map, Value, json};

use super::outcome::{Outcome, difference, from_helm, masked_difference, render};
use super::{Counts, charts, read_folder, say};

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
            let keys = path.iter().rev().filter(|name| !name.starts_with('['));
            let values = keys.fold(flipped, |inner, name| json!({ name.as_str(): inner }));
            Case { name: format!("flip-{}", path.join(".")), values: values.to_string().into_bytes() }
        }));
    }
    cases
}

/// Each boolean as values that turn it round. Lists replace each other, so one inside a list comes with the whole list.
fn collect_booleans(values: &Map<String, Value>, path: &mut Vec<String>, flips: &mut Vec<(Vec<String>, Value)>) {
    for (name, value) in values {
        path.push(name.clone());
        match value {
            Value::Bool(flag) => flips.push((path.clone(), Value::Bool(!flag))),
            Value::Object(below) => collect_booleans(below, path, flips),
            Value::Array(_) => {
                for index in 0..count_booleans(value) {
                    let mut flipped = value.clone();
                    flip(&mut flipped, &mut index.clone());
                    let mut place = path.clone();
                    // The last part names the case and is no key.
                    place.push(format!("[{index}]"));
                    flips.push((place, flipped));
                }
            }
            _ => {}
        }
        path.pop();
    }
}

fn count_booleans(value: &Value) -> usize {
    match value {
        Value::Bool(_) => 1,
        Value::Array(items) => items.iter().map(count_booleans).sum(),
        Value::Object(entries) => entries.values().map(count_booleans).sum(),
        _ => 0,
    }
}

/// Turns the boolean of an index round; counts down to it.
fn flip(value: &mut Value, left: &mut usize) -> bool {
    match value {
        Value::Bool(flag) if *left == 0 => {
            *flag = !*flag;
            true
        }
        Value::Bool(_) => {
            *left -= 1;
            false
        }
        Value::Array(items) => items.iter_mut().any(|item| flip(item, left)),
        Value::Object(entries) => entries.values_mut().any(|value| flip(value, left)),
        _ => false,
    }
}

/// What a real Helm gives, from the cache where it is known.
fn real(helm: &Path, chart: &Path, case: &Case, cache: &Path, run: &str) -> std::io::Result<Outcome> {
    let name: String =
        case.name.chars().map(|it| if it.is_ascii_alphanumeric() || it == '.' { it } else { '-' }).collect();
    let name = name.chars().take(120).collect::<String>();
    std::fs::create_dir_all(cache)?;
    let values = cache.join(format!("{name}.values.yaml"));
    std::fs::write(&values, &case.values)?;
    from_helm(helm, chart, Some(&values), &cache.join(format!("{name}.{run}")))
}

/// Compares every case of every chart whose name holds one of the words.
pub(crate) fn flips(folder: &Path, helm: &Path, cache: &Path, wanted: &[String]) -> std::io::Result<Counts> {
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
            // One recorded chart lacks dependencies that are switched off: it renders here, as it did where it was recorded.
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
            counts.lines.push(format!("{name} {}: {difference}", case.name));
            say(&format!("{name} {}: {difference}", case.name));
        }
    }
    Ok(counts)
}
