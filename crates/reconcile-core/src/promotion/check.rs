//! A second opinion on promotion plans, written from DESIGN §4.5 and not from `decide`.

use super::snapshot::Snapshot;
use crate::{Action, Plan, Question, Violation};

/// Names what a plan would break: nothing reaches Git that was not persisted before, and nothing twice.
pub(super) fn check(snapshot: &Snapshot, plan: &Plan) -> Vec<Violation> {
    let mut violations = Vec::new();
    for (stage, act) in
        plan.stages.iter().enumerate().flat_map(|(stage, acts)| acts.iter().map(move |act| (stage, act)))
    {
        let Action::Ask { question, .. } = &act.action else { continue };
        let Question::Push { plan: commit, base, commit: id } = &**question else { continue };
        let stored = |pointer: &str| snapshot.promotion.str_at(pointer).unwrap_or_default();
        let broken = if stored("/status/write/base") != base || stored("/status/write/planned") != id {
            Some(("persist-before-push", format!("commit {id} would be pushed before the status has it")))
        } else if !stored("/status/write/pushed").is_empty() {
            Some(("push-once", format!("commit {id} would be pushed again")))
        } else if commit.operation != snapshot.operation() {
            Some(("operation-is-the-promotion", format!("commit {id} would carry the operation {}", commit.operation)))
        } else {
            None
        };
        if let Some((rule, message)) = broken {
            violations.push(Violation { rule, message, stage: Some(stage) });
        }
    }
    violations
}
