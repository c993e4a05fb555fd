//! Schedules that once broke a rule, and may never break one again.

use std::collections::BTreeMap;
use std::path::Path;

use simulation::record::Kept;
use simulation::{Ready, story};

#[test]
fn no_schedule_that_was_found_breaks_a_rule_again() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("regressions");
    let mut files: Vec<_> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.retain(|path| path.extension().is_some_and(|extension| extension == "choices"));
    files.sort();
    let mut ready: BTreeMap<String, Ready> = BTreeMap::new();
    let mut broken = Vec::new();
    for path in &files {
        let kept = Kept::parse(&std::fs::read_to_string(path).unwrap()).unwrap();
        let told = story(&kept.story).unwrap_or_else(|| panic!("{} is a story", kept.story));
        let world = ready.entry(kept.story.clone()).or_insert_with(|| Ready::new(told).unwrap());
        if let Some(rule) = world.replay(kept.log).broken {
            broken.push(format!("{}: {}: {}", path.display(), rule.rule, rule.what));
        }
    }
    assert!(broken.is_empty(), "{}", broken.join("\n"));
    assert!(!files.is_empty(), "there are regressions");
}
