//! Plays whole scenarios on both grounds, the embedded cluster and a real one, and tells what held.
//!
//! The operator is the same on both: it acts as its own ServiceAccount under RBAC, so what its ClusterRoles lack shows
//! here and not at a user's.

mod clearing;
mod diagnosis;
mod embedded;
mod real;

pub use clearing::{ClearError, clear};
pub use diagnosis::diagnosis;
use diagnosis::{forbidden, revision};
pub use embedded::on_embedded;
pub use real::{RealError, on_real};

use std::fmt;
use std::time::Duration;

use crate::demo::{self, Check, DemoError, Progress};
use crate::setting::{OperatorOptions, Setting};

/// A story with checks that can be played on any setting.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scenario {
    /// Environments, a canary, a rollback in cluster and Git, a promotion, and the record.
    Demonstration,
}

impl Scenario {
    /// Every scenario, in the order in which they are played.
    pub const ALL: [Self; 1] = [Self::Demonstration];

    /// The name by which it is asked for.
    pub fn name(self) -> &'static str {
        match self {
            Self::Demonstration => "demonstration",
        }
    }

    async fn play(self, setting: &Setting, tell: &mut dyn FnMut(Progress)) -> Result<Vec<Check>, DemoError> {
        match self {
            Self::Demonstration => demo::play(setting, tell).await,
        }
    }
}

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
    pub scenario: Scenario,
    /// Where.
    pub place: Place,
    /// What was looked up, in order.
    pub checks: Vec<Check>,
    /// Why it ended early, if it did.
    pub failure: Option<String>,
    /// What RBAC refused after all roles stood; only the embedded cluster tells.
    pub forbidden: Vec<String>,
    /// What the cluster looked like, when something is wrong.
    pub diagnosis: String,
    /// How long it lasted by the clock of its world.
    pub lasted: Duration,
}

impl Outcome {
    /// Whether it came to its end and everything held.
    pub fn has_passed(&self) -> bool {
        let all_hold = !self.checks.is_empty() && self.checks.iter().all(|check| check.holds);
        all_hold && self.failure.is_none() && self.forbidden.is_empty()
    }

    /// What did not hold, a line each.
    pub fn problems(&self) -> Vec<String> {
        let broken = self.checks.iter().filter(|check| !check.holds);
        let lines = broken.map(|check| format!("not so: {} (found: {})", check.what, check.found));
        let forbidden = self.forbidden.iter().map(|request| format!("forbidden: {request}"));
        let failure = self.failure.iter().map(|failure| format!("ended early: {failure}"));
        lines.chain(forbidden).chain(failure).collect()
    }
}

/// Plays with the operator and the traffic beside it.
async fn play_beside_the_operator(
    scenario: Scenario,
    place: Place,
    setting: &Setting,
    tell: &mut dyn FnMut(Progress),
) -> Outcome {
    let begun = setting.now();
    let operator = setting.operator_runtime(&OperatorOptions::default());
    let mut checks = Vec::new();
    let mut prepared = None;
    let mut note = |progress: Progress| {
        match &progress {
            Progress::Act { number: 1, .. } => prepared = revision(setting),
            Progress::Checked(check) => checks.push(check.clone()),
            Progress::Act { .. } | Progress::Told(_) => {}
        }
        tell(progress);
    };
    let failure = tokio::select! {
        biased;
        played = scenario.play(setting, &mut note) => played.err().map(|error| error.to_string()),
        () = setting.turn() => Some("the world stopped turning".to_owned()),
        () = operator.run(std::future::pending()) => Some("the operator ended".to_owned()),
    };
    let lasted = Duration::try_from(setting.now().duration_since(begun)).unwrap_or_default();
    let forbidden = prepared.map(|since| forbidden(setting, since)).unwrap_or_default();
    let mut outcome = Outcome { scenario, place, checks, failure, forbidden, diagnosis: String::new(), lasted };
    if !outcome.has_passed() {
        outcome.diagnosis = diagnosis(setting).await;
    }
    outcome
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outcome(checks: &[bool], failure: Option<&str>) -> Outcome {
        let checks =
            checks.iter().map(|holds| Check { what: "v2 is stable".to_owned(), holds: *holds, found: "v1".to_owned() });
        Outcome {
            scenario: Scenario::Demonstration,
            place: Place::Embedded,
            checks: checks.collect(),
            failure: failure.map(str::to_owned),
            forbidden: Vec::new(),
            diagnosis: String::new(),
            lasted: Duration::ZERO,
        }
    }

    #[test]
    fn a_play_passes_only_when_it_ended_and_every_check_held() {
        assert!(outcome(&[true, true], None).has_passed());
        assert!(!outcome(&[], None).has_passed());
        assert!(!outcome(&[true, false], None).has_passed());
        assert!(!outcome(&[true], Some("late")).has_passed());
        let refused = Outcome { forbidden: vec!["get secrets".to_owned()], ..outcome(&[true], None) };
        assert!(!refused.has_passed());
    }

    #[test]
    fn problems_name_the_broken_checks_and_the_early_end() {
        assert_eq!(
            outcome(&[true, false], Some("late")).problems(),
            ["not so: v2 is stable (found: v1)", "ended early: late"]
        );
    }
}
