//! The demonstration, in virtual time and in memory, with the operator under RBAC.

use scenario::end_to_end::{Scenario, on_embedded};

#[test]
fn the_five_facts_hold() {
    let mut log = Vec::new();
    let mut note = |progress| log.push(format!("{progress:?}"));
    let outcome = on_embedded(Scenario::Demonstration, 7, &mut note).unwrap();
    let told = log.join("\n");
    assert!(outcome.has_passed(), "{:#?}\n{told}\n{}", outcome.problems(), outcome.diagnosis);
    assert!(outcome.checks.len() >= 18, "only {} facts were checked", outcome.checks.len());
}
