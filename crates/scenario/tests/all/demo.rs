//! The demonstration, in virtual time and in memory, with the operator under RBAC.

use scenario::demo::play;

use crate::world::{in_virtual_time, with_operator, world};

#[test]
fn the_five_facts_hold() {
    in_virtual_time(async || {
        let setting = world(7);
        let mut log = Vec::new();
        let mut note = |progress| log.push(format!("{progress:?}"));
        let checks = with_operator(&setting, play(&setting, &mut note)).await.unwrap();
        let broken: Vec<_> = checks.iter().filter(|check| !check.holds).collect();
        assert!(broken.is_empty(), "{broken:#?}\n{}", log.join("\n"));
        assert!(checks.len() >= 18, "only {} facts were checked", checks.len());
    });
}
