//! The words of scenarios. Each is defined for the embedded cluster and for a real one; fixtures/scenarios/README.md
//! tells what they mean.

mod files;
mod git;
mod operation;
mod people;
mod waits;

use std::time::Duration;

use script::{Stage, Verb, Verbs};

use crate::world::World;

/// All tables, in the order of the page that describes them.
const TABLES: [&[Verb]; 4] = [git::GIT, people::PEOPLE, operation::OPERATION, waits::WAITS];

/// The verbs that scenarios may use.
pub fn verbs() -> Verbs {
    let mut verbs = Verbs::default();
    for table in TABLES {
        verbs.add(table);
    }
    verbs
}

/// How a line with each verb looks, in the order of the page that describes them.
pub fn usages() -> Vec<&'static str> {
    TABLES.iter().flat_map(|table| table.iter().map(|verb| verb.usage)).collect()
}

/// The names of all verbs.
pub(crate) fn names() -> Vec<&'static str> {
    TABLES.iter().flat_map(|table| table.iter().map(|verb| verb.name)).collect()
}

fn world(stage: &mut Stage) -> Result<World, String> {
    stage.property::<World>().cloned().ok_or_else(|| "there is no world on this stage".to_owned())
}

/// Reads `500ms`, `3s` or `2m`.
fn duration(text: &str) -> Result<Duration, String> {
    object_model::parse_go_duration(text).map_err(|_| format!("`{text}` is no duration"))
}
