//! Holds Argo CD's health scripts, run by this crate, against Argo CD's own cases:
//! `cargo run -p health-rules --example argo-health -- CASES SCRIPTS`, both folders of `group/Kind/...`.
//!
//! The scripts are not part of this project: `SCRIPTS` is `resource_customizations` of a copy of Argo CD.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use health_rules::{HealthRules, Scripts};
use object_model::{Object, Timestamp};
use serde_json::Value;

#[expect(clippy::print_stderr, reason = "a program tells what is wrong")]
fn main() -> ExitCode {
    let arguments: Vec<PathBuf> = std::env::args_os().skip(1).map(PathBuf::from).collect();
    let [cases, scripts] = arguments.as_slice() else {
        eprintln!("usage: argo-health CASES SCRIPTS");
        return ExitCode::from(2);
    };
    match hold(cases, scripts) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::from(2)
        }
    }
}

/// Prints every difference and the counts; whether there was none.
#[expect(clippy::print_stdout, reason = "a program prints")]
fn hold(cases: &Path, scripts: &Path) -> Result<bool, String> {
    let rules = HealthRules::from(read_scripts(scripts)?);
    let (mut agreed, mut all) = (0, 0);
    for folder in folders(cases)? {
        for case in
            read(&folder.join("health_test.yaml"))?.pointer("/tests").and_then(Value::as_array).into_iter().flatten()
        {
            all += 1;
            match look(&rules, &folder, case) {
                Ok(()) => agreed += 1,
                Err(difference) => println!("{difference}"),
            }
        }
    }
    println!("{agreed} of {all} cases agree");
    Ok(agreed == all && all > 0)
}

fn look(rules: &HealthRules, folder: &Path, case: &Value) -> Result<(), String> {
    // Two cases spell the key in lower case; the reader of Argo CD does not mind.
    let input = case.get("inputPath").or_else(|| case.get("inputpath")).and_then(Value::as_str).unwrap_or_default();
    let path = folder.join(input);
    let shown = path.display();
    let object = Object::from_json(read(&path)?).map_err(|error| format!("{shown}: {error}"))?;
    let mut healths = rules.judge_by_scripts([&object], Timestamp::default());
    let health = healths.pop().flatten();
    let have = health.map_or_else(String::new, |health| format!("{}: {}", health.status, health.message));
    let text =
        |field: &str| case.pointer(&format!("/healthStatus/{field}")).and_then(Value::as_str).unwrap_or_default();
    let want = match (text("status"), text("message")) {
        ("", "") => String::new(),
        (status, message) => format!("{status}: {message}"),
    };
    if have == want { Ok(()) } else { Err(format!("{shown}\n  have {have:?}\n  want {want:?}")) }
}

/// The scripts of a folder, where `_` in a name stands for any text.
fn read_scripts(root: &Path) -> Result<Scripts, String> {
    let mut scripts = Scripts::default();
    for folder in folders(root)? {
        let Ok(script) = std::fs::read_to_string(folder.join("health.lua")) else { continue };
        let name = |path: Option<&Path>| {
            path.and_then(Path::file_name).unwrap_or_default().to_string_lossy().replace('_', "*")
        };
        scripts.add(&name(folder.parent()), &name(Some(&folder)), &script);
    }
    if scripts.is_empty() { Err(format!("{}: there is no group/Kind/health.lua", root.display())) } else { Ok(scripts) }
}

/// The folders two levels down, in order.
fn folders(root: &Path) -> Result<Vec<PathBuf>, String> {
    let mut found = Vec::new();
    for group in inside(root)? {
        found.extend(inside(&group)?);
    }
    Ok(found)
}

fn inside(folder: &Path) -> Result<Vec<PathBuf>, String> {
    let entries = std::fs::read_dir(folder).map_err(|error| format!("{}: {error}", folder.display()))?;
    let mut paths: Vec<PathBuf> =
        entries.filter_map(|entry| Some(entry.ok()?.path())).filter(|path| path.is_dir()).collect();
    paths.sort();
    Ok(paths)
}

fn read(path: &Path) -> Result<Value, String> {
    let text = std::fs::read_to_string(path).map_err(|error| format!("{}: {error}", path.display()))?;
    // One object sets a key twice, which our reader refuses; Argo CD's takes the later one.
    let text = match path.ends_with("rabbitmq.com/User/testdata/unknown.yaml") {
        true => text.replacen("\nstatus:", "\nstatusBefore:", 1),
        false => text,
    };
    let documents = yaml::parse(&text).map_err(|problems| {
        let first = problems.first().map(ToString::to_string).unwrap_or_default();
        format!("{}: {first}", path.display())
    })?;
    documents.into_iter().next().map(|document| document.value).ok_or_else(|| format!("{}: is empty", path.display()))
}
