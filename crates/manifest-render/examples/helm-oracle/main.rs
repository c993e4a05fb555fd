//! Holds this crate's Helm charts against Helm's own output.
//!
//! `charts FOLDER` renders every chart of a folder of recorded ones and compares with what Helm wrote. `flips FOLDER HELM
//! CACHE` renders each chart again with every file of its `ci/` folder and with every boolean of its values turned
//! round, and compares with a real Helm; what that wrote is kept in CACHE. `written FILE HELM CACHE` does the same with
//! small charts written down in a file, `generated HELM CACHE COUNT SEED` with expressions that nobody thought of.
//! Differences that are known stand in a file, `--known FILE`; another one fails, and so does one that is gone.

mod flips;
mod generated;
mod outcome;
mod written;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Instant;

use manifest_render::MemoryFiles;
use manifest_render::helm::GivenValues;

use outcome::{difference, render};

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

#[expect(clippy::print_stdout, reason = "a program prints")]
fn say(line: &str) {
    println!("{line}");
}

/// Counts of a comparison with a real Helm.
#[derive(Debug, Default)]
pub(crate) struct Counts {
    pub(crate) renders: usize,
    pub(crate) errors: usize,
    pub(crate) random: usize,
    /// Renders of charts that lack dependencies which are switched off: Helm refuses them, they render here.
    pub(crate) complete: usize,
    pub(crate) mismatches: usize,
    /// A line for each mismatch, which begins with its name and a colon.
    pub(crate) lines: Vec<String>,
}

/// Takes out of the mismatches those that are known; tells which of the known ones are gone.
fn judge(counts: &Counts, known: Option<&Path>) -> std::io::Result<bool> {
    let text = match known {
        Some(path) => std::fs::read_to_string(path)?,
        None => String::new(),
    };
    let lines = text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
    let name = |line: &str| line.split_once(": ").map_or(line, |(name, _)| name).to_owned();
    let known: BTreeSet<String> = lines.map(name).collect();
    let found: BTreeSet<String> = counts.lines.iter().map(|line| name(line)).collect();
    let Counts { renders, errors, random, complete, mismatches, .. } = counts;
    say(&format!(
        "{renders} renders, {errors} of them errors, {random} with random content, {complete} rendered here although a \
         dependency that is switched off is not there: {mismatches} mismatches, {} of them known",
        found.intersection(&known).count()
    ));
    let gone: Vec<&String> = known.difference(&found).collect();
    gone.iter().for_each(|name| say(&format!("known, and no longer so: {name}")));
    Ok(found.is_subset(&known) && gone.is_empty())
}

/// Takes `--known FILE` out of the arguments.
fn known(arguments: &[String]) -> (Vec<String>, Option<PathBuf>) {
    let mut rest = Vec::new();
    let mut known = None;
    let mut arguments = arguments.iter();
    while let Some(argument) = arguments.next() {
        if argument == "--known" {
            known = arguments.next().map(PathBuf::from);
        } else {
            rest.push(argument.clone());
        }
    }
    (rest, known)
}

fn run(arguments: &[String]) -> std::io::Result<bool> {
    let started = Instant::now();
    let (arguments, known) = known(arguments);
    let known = known.as_deref();
    match arguments.as_slice() {
        [verb, folder] if verb == "charts" => {
            let comparison = compare_all(Path::new(folder))?;
            comparison.others.iter().for_each(|line| say(line));
            say(&format!("{} of {} byte-equal, {:?}", comparison.equal, comparison.charts, started.elapsed()));
            Ok(comparison.equal == comparison.charts)
        }
        [verb, folder, helm, cache, wanted @ ..] if verb == "flips" => {
            judge(&flips::flips(Path::new(folder), Path::new(helm), Path::new(cache), wanted)?, known)
        }
        [verb, file, helm, cache, wanted @ ..] if verb == "written" => {
            judge(&written::written(Path::new(file), Path::new(helm), Path::new(cache), wanted)?, known)
        }
        [verb, helm, cache, count, seed] if verb == "generated" => {
            let (Ok(count), Ok(seed)) = (count.parse(), seed.parse()) else {
                say("COUNT and SEED are numbers");
                return Ok(false);
            };
            judge(&generated::generated(Path::new(helm), Path::new(cache), count, seed)?, known)
        }
        _ => {
            say("usage: helm-oracle [--known FILE] charts FOLDER | flips FOLDER HELM CACHE [NAME...] | \
                 written FILE HELM CACHE [NAME...] | generated HELM CACHE COUNT SEED");
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
