//! Health as other tools judge it, on their own test objects.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use diff_engine::assess;
use object_model::Object;
use serde_json::Value;

/// Returns a folder of recorded data; `None`, and a word about it, where there is none and it is not CI.
pub(crate) fn data(folder: &str) -> Option<PathBuf> {
    // CARGO_MANIFEST_DIR is crates/diff-engine; the data lies beside the repository.
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data").join(folder);
    let in_worktree = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../../shared/data").join(folder);
    let found = [path, in_worktree].into_iter().find(|path| path.is_dir());
    if found.is_none() {
        assert_ne!(std::env::var("CI").as_deref(), Ok("true"), "../shared/data/{folder} is missing");
        println!("skipped: ../shared/data/{folder} is missing");
    }
    found
}

pub(crate) fn read(path: &Path) -> Value {
    let text = std::fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    // One recorded object sets a key twice, which our parser refuses and the recorder's read as the later one.
    let text = match path.ends_with("statefulset-ondelete.yaml") {
        true => text.replacen("\n  updateStrategy:", "\n  updateStrategyBefore:", 1),
        false => text,
    };
    let mut documents = yaml::parse(&text).unwrap_or_else(|problems| panic!("{}: {problems:?}", path.display()));
    documents.remove(0).value
}

#[test]
fn built_in_kinds_are_judged_as_gitops_engine_judges_them() {
    let Some(folder) = data("builtin-health") else { return };
    let expected = std::fs::read_to_string(folder.join("EXPECTED.tsv")).unwrap();
    let mut wrong = Vec::new();
    let mut count = 0;
    for (file, want) in expected.lines().filter_map(|line| line.split_once('\t')) {
        let object = Object::from_json(read(&folder.join(file))).unwrap();
        let have = assess(&object).map_or_else(|| "None".to_owned(), |health| health.status.to_string());
        if have != want.trim() {
            wrong.push(format!("{file}: {have}, expected {want}"));
        }
        count += 1;
    }
    assert_eq!(wrong, Vec::<String>::new());
    assert_eq!(count, 46);
}

#[test]
fn kinds_with_a_script_in_argo_are_judged_with_its_words() {
    let Some(folder) = data("argo-health") else { return };
    let mut wrong = Vec::new();
    let mut counts = BTreeMap::new();
    for kind in [
        "argoproj.io/Rollout",
        "argoproj.io/AnalysisRun",
        "argoproj.io/Experiment",
        "apiextensions.k8s.io/CustomResourceDefinition",
        "batch/CronJob",
        "policy/PodDisruptionBudget",
    ] {
        let cases = read(&folder.join(kind).join("health_test.yaml"));
        for case in cases["tests"].as_array().unwrap() {
            let file = case["inputPath"].as_str().unwrap();
            let object = Object::from_json(read(&folder.join(kind).join(file))).unwrap();
            let want = (
                case["healthStatus"]["status"].as_str().unwrap(),
                case["healthStatus"]["message"].as_str().unwrap_or_default(),
            );
            let health = assess(&object).unwrap();
            if (health.status.to_string().as_str(), health.message.as_str()) != want {
                wrong.push(format!("{kind}/{file}: {health:?}, expected {want:?}"));
            }
            *counts.entry(kind).or_insert(0) += 1;
        }
    }
    assert_eq!(wrong, Vec::<String>::new());
    assert!(counts.values().all(|count| *count >= 3), "{counts:?}");
}
