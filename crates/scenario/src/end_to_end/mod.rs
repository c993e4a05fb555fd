//! Plays scenario files on both grounds, the embedded cluster and a real one, and tells what was not so.
//!
//! The operator is the same on both: it acts as its own ServiceAccount under RBAC, so what its ClusterRoles lack shows
//! here and not at a user's.

mod clearing;
mod diagnosis;
mod embedded;
mod file;
mod real;

pub use clearing::ClearError;
pub use diagnosis::diagnosis;
pub use embedded::{on_embedded, on_embedded_heard};
pub use file::{Scenario, fixtures, scenarios};
pub use real::{RealCluster, RealError};

use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use script::{Stage, Transport};

use crate::setting::BRANCH;
use crate::verbs::verbs;
use crate::world::World;

/// Where a scenario is played.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// In this process and in virtual time.
    Embedded,
    /// On a cluster outside, by the wall clock.
    Real,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Embedded => "embedded cluster",
            Self::Real => "real cluster",
        })
    }
}

/// How one scenario went on one ground.
#[derive(Debug, Clone)]
pub struct Outcome {
    /// Which one.
    pub name: String,
    /// Where.
    pub place: Place,
    /// The first line that was not so, and what was seen instead.
    pub failure: Option<String>,
    /// Requests for which the operator lacked a right.
    pub forbidden: Vec<String>,
    /// What the cluster looked like, when something is wrong.
    pub diagnosis: String,
    /// How long it lasted by the clock of its world.
    pub lasted: Duration,
    /// How many of its named cases were so, or one where it names none.
    pub cases: usize,
    /// How many there are.
    pub cases_all: usize,
}

impl Outcome {
    /// Whether every line was so.
    pub fn has_passed(&self) -> bool {
        self.failure.is_none() && self.forbidden.is_empty()
    }

    /// What was not so, a line each.
    pub fn problems(&self) -> Vec<String> {
        let forbidden = self.forbidden.iter().map(|request| format!("forbidden: {request}"));
        self.failure.iter().cloned().chain(forbidden).collect()
    }
}

/// Plays on a cluster on which everything is installed. The operator that the scenario started is ended.
async fn play(scenario: &Scenario, place: Place, world: &World, cluster: Arc<dyn Transport>) -> Outcome {
    let setting = &world.setting;
    let begun = setting.now();
    let mut stage = Stage::new(cluster, "default");
    stage.variables.set("repository", &setting.fleet.url());
    stage.variables.set("branch", BRANCH);
    stage.put(world.clone());
    let verbs = verbs();
    let mut reached = 0;
    let lines = async {
        let played = stage.play(&scenario.script, &verbs).await;
        played.map_err(|error| {
            reached = error.line;
            in_its_case(scenario, &error)
        })?;
        match world.violated().await.or_else(|| world.unrefused()) {
            Some(violated) => Err(format!("{}: {violated}", scenario.name())),
            None => Ok(()),
        }
    };
    let mut failure = tokio::select! {
        biased;
        played = lines => played.err(),
        violated = world.guard() => Some(format!("{}: {violated}", scenario.name())),
        () = setting.turn() => Some("the world stopped turning".to_owned()),
    };
    let cases_all = scenario.script.cases.len().max(1);
    let cases = if failure.is_some() { scenario.passed_before(reached) } else { cases_all };
    let lasted = Duration::try_from(setting.now().duration_since(begun)).unwrap_or_default();
    let forbidden = forbidden(world);
    let is_wrong = failure.is_some() || !forbidden.is_empty();
    let diagnosis = if is_wrong { diagnosis(setting).await } else { String::new() };
    setting.overheard.trap.disarm();
    if let Err(message) = world.operator.stop().await {
        failure.get_or_insert(message);
    }
    Outcome { name: scenario.name().to_owned(), place, failure, forbidden, diagnosis, lasted, cases, cases_all }
}

/// A failure with the case in which it came.
fn in_its_case(scenario: &Scenario, error: &script::ScriptError) -> String {
    match scenario.script.case_at(error.line).filter(|_| error.script == scenario.name()) {
        Some(case) => format!("{}:{}: {}: {}", error.script, error.line, case.name, error.message),
        None => error.to_string(),
    }
}

/// What RBAC refused to the operator: each is a right that a role lacks, though the play may do without. A namespace that
/// is going away refuses new objects by the same status, so scenarios do not delete namespaces that are in use.
/// What a scenario says that an account may not do is no lack.
fn forbidden(world: &World) -> Vec<String> {
    const FORBIDDEN: u16 = 403;
    let expected = world.notes().refused.clone();
    let asked = world.setting.overheard.asked().into_iter().filter(|asked| asked.status == FORBIDDEN);
    let asked = asked.filter(|asked| asked.acted_as.as_ref().is_none_or(|user| !expected.contains(user)));
    let requests: BTreeSet<String> = asked.map(|asked| format!("{} {}", asked.method, asked.path)).collect();
    requests.into_iter().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outcome(failure: Option<&str>, forbidden: &[&str]) -> Outcome {
        Outcome {
            name: "drift".to_owned(),
            place: Place::Embedded,
            failure: failure.map(str::to_owned),
            forbidden: forbidden.iter().map(|request| (*request).to_owned()).collect(),
            diagnosis: String::new(),
            lasted: Duration::ZERO,
            cases: 1,
            cases_all: 1,
        }
    }

    #[test]
    fn a_play_passes_only_when_every_line_was_so_and_no_right_was_missing() {
        assert!(outcome(None, &[]).has_passed());
        assert!(!outcome(Some("drift:3: late"), &[]).has_passed());
        assert!(!outcome(None, &["GET /api/v1/secrets"]).has_passed());
    }

    #[test]
    fn problems_name_the_line_and_the_missing_rights() {
        assert_eq!(
            outcome(Some("drift:3: late"), &["GET /api/v1/secrets"]).problems(),
            ["drift:3: late", "forbidden: GET /api/v1/secrets"]
        );
    }
}
