//! Small charts that are written down in one file, each rendered here and by a real Helm.
//!
//! `=== NAME` begins a chart, `--- PATH` a file of it, `+++ PATH CHART` puts another chart of the file, packed, at a path.
//! A chart without a `Chart.yaml` gets one.

use std::collections::BTreeMap;
use std::path::Path;

use manifest_render::helm::GivenValues;

use super::outcome::{difference, from_helm, masked_difference, render};
use super::{Counts, read_folder, say};

type Files = BTreeMap<String, Vec<u8>>;

/// Reads the charts of a file.
pub(crate) fn parse(text: &str) -> Vec<(String, Files)> {
    let mut charts: Vec<(String, Files)> = Vec::new();
    let mut file = String::new();
    for line in text.split_inclusive('\n') {
        if let Some(name) = line.strip_prefix("=== ") {
            charts.push((name.trim().to_owned(), Files::new()));
            continue;
        }
        let packed = line.strip_prefix("+++ ").and_then(|rest| rest.trim().split_once(' '));
        let inner = packed.and_then(|(path, chart)| {
            let (_, files) = charts.iter().find(|(name, _)| name == chart)?;
            Some((path.to_owned(), pack(chart, files)))
        });
        let Some((_, files)) = charts.last_mut() else { continue };
        if let Some((path, content)) = inner {
            files.insert(path, content);
        } else if let Some(path) = line.strip_prefix("--- ").map(str::trim).filter(|path| is_path(path)) {
            path.clone_into(&mut file);
            files.insert(file.clone(), Vec::new());
        } else if let Some(content) = files.get_mut(&file) {
            content.extend_from_slice(line.as_bytes());
        }
    }
    for (name, files) in &mut charts {
        files.entry("Chart.yaml".to_owned()).or_insert_with(|| about(name));
    }
    charts
}

/// Separators of documents may be followed by blanks and comments.
fn is_path(text: &str) -> bool {
    !text.is_empty() && !text.starts_with('#')
}

fn about(name: &str) -> Vec<u8> {
    format!("apiVersion: v2\nname: {name}\nversion: 1.2.3\nappVersion: \"4.5\"\n").into_bytes()
}

fn pack(name: &str, files: &Files) -> Vec<u8> {
    let mut all = files.clone();
    all.entry("Chart.yaml".to_owned()).or_insert_with(|| about(name));
    let mut archive = tar::Builder::new(flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast()));
    for (path, content) in &all {
        let mut header = tar::Header::new_gnu();
        header.set_size(content.len() as u64);
        header.set_mode(0o644);
        // Writing to memory does not fail.
        let _ = archive.append_data(&mut header, format!("{name}/{path}"), content.as_slice());
    }
    archive.into_inner().and_then(flate2::write::GzEncoder::finish).unwrap_or_default()
}

/// Compares every chart of a file whose name holds one of the words.
pub(crate) fn written(file: &Path, helm: &Path, cache: &Path, wanted: &[String]) -> std::io::Result<Counts> {
    let charts = parse(&std::fs::read_to_string(file)?);
    let chosen = charts.into_iter().filter(|(name, _)| wanted.is_empty() || wanted.iter().any(|it| name.contains(it)));
    compare(chosen.collect(), helm, cache)
}

/// Compares charts that are given by their files. What Helm said about the same files before is kept.
pub(crate) fn compare(charts: Vec<(String, Files)>, helm: &Path, cache: &Path) -> std::io::Result<Counts> {
    let mut counts = Counts::default();
    for (name, files) in charts {
        let folder = cache.join("written").join(&name);
        if write(&folder, &files)? {
            for run in ["1", "2"] {
                for end in ["yaml", "error"] {
                    let _ = std::fs::remove_file(folder.join(format!("{run}.{end}")));
                }
            }
        }
        let chart = folder.join("chart");
        let expected = from_helm(helm, &chart, None, &folder.join("1"))?;
        let found = render(&read_folder(&chart)?, &GivenValues::default());
        counts.renders += 1;
        counts.errors += usize::from(expected.is_err());
        // What Helm says of a file on disk has its path in it.
        let place = format!("{}/", chart.display());
        let expected =
            expected.map_err(|said| said.replace(&place, "chart/").replace(&chart.display().to_string(), "chart"));
        let Some(mut difference) = difference(&expected, &found) else { continue };
        if expected.is_ok() {
            let second = from_helm(helm, &chart, None, &folder.join("2"))?;
            if second != expected {
                counts.random += 1;
                let Some(masked) = masked_difference(&expected, &second, &found) else { continue };
                difference = masked;
            }
        }
        counts.mismatches += 1;
        counts.lines.push(format!("{name}: {difference}"));
        say(&format!("{name}: {difference}"));
    }
    Ok(counts)
}

/// Writes the files of a chart; whether something was not so before.
fn write(folder: &Path, files: &Files) -> std::io::Result<bool> {
    let chart = folder.join("chart");
    let is_same = files.iter().all(|(path, content)| std::fs::read(chart.join(path)).is_ok_and(|it| it == *content));
    if is_same && count(&chart) == files.len() {
        return Ok(false);
    }
    let _ = std::fs::remove_dir_all(&chart);
    for (path, content) in files {
        let path = chart.join(path);
        std::fs::create_dir_all(path.parent().unwrap_or(&chart))?;
        std::fs::write(path, content)?;
    }
    Ok(true)
}

fn count(folder: &Path) -> usize {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    entries.map(|entry| if entry.path().is_dir() { count(&entry.path()) } else { 1 }).sum()
}
