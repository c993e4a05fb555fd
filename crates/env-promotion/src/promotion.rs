//! Promotions: one operation from its request to its end.
//!
//! [`advance`] is the whole machine: it takes the state that was stored and what is observed now, and returns the next
//! state. A plan is stored before its push, so that a crash between the two repeats the same commit, and an operation
//! writes at most once.

use object_model::Timestamp;
use serde::{Deserialize, Serialize};

use crate::gates::{Gate, GateResult, judge_gates};

/// Where a promotion is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub enum PromotionPhase {
    /// Gates are not open yet.
    #[default]
    Waiting,
    /// The commit is planned and pushed.
    Writing,
    /// A pull request waits for its merge.
    Proposed,
    /// The commit is on the branch.
    Committed,
    /// The environment has taken the commit up.
    RollingOut,
    /// The rollout is done, verification runs.
    Verifying,
    /// The versions run and are verified.
    Succeeded,
    /// It ended without effect, or its effect could not be proven good.
    Failed,
    /// It was taken back.
    RolledBack,
    /// A newer promotion or another commit decided otherwise.
    Superseded,
}

impl PromotionPhase {
    /// Whether nothing happens any more.
    pub fn is_final(self) -> bool {
        matches!(self, Self::Succeeded | Self::Failed | Self::RolledBack | Self::Superseded)
    }
}

/// What is remembered of the write, because it can't be observed elsewhere.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct WriteState {
    /// How often a write was planned.
    pub attempt: u32,
    /// The head that the plan builds on.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub base_commit: String,
    /// The commit that the plan makes; it follows from the plan alone.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub planned_commit: String,
    /// The commit that is on the branch.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub pushed_commit: String,
    /// The pull request.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub pull_request: String,
}

/// The stored state of a promotion.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct PromotionState {
    /// Where it is.
    pub phase: PromotionPhase,
    /// On what it waits, or how it ended.
    pub message: String,
    /// The write.
    pub write: WriteState,
}

/// What became of the write since the state was stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum WriteObserved {
    /// Nothing is known.
    Nothing,
    /// A commit was planned on a base; it is not pushed.
    Planned {
        /// The head that it builds on.
        base: String,
        /// The commit.
        commit: String,
    },
    /// The commit, or one that carries this operation, is on the branch.
    OnBranch {
        /// The commit.
        commit: String,
    },
    /// A pull request is open.
    Proposed {
        /// Its URL.
        url: String,
    },
    /// The pull request was closed without a merge.
    Closed {
        /// Its URL.
        url: String,
    },
    /// The files say it already: there is nothing to commit.
    Unchanged {
        /// The head that says so.
        commit: String,
    },
    /// Somebody pushed first.
    Raced,
    /// A field was changed by somebody else since the request.
    Overtaken {
        /// Which field, and how.
        what: String,
    },
    /// The server or the editor refuses, and a repeat would too.
    Refused {
        /// Why.
        why: String,
    },
}

/// What the environment says about the pushed commit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DeliveryObserved {
    /// The environment's config has not synced the commit.
    NotSynced,
    /// It is synced, the rollout goes on.
    RollingOut,
    /// The rollout is done and healthy.
    Healthy,
    /// The rollout was aborted or its commit taken back.
    TakenBack {
        /// Why.
        why: String,
    },
}

/// What the verification after the rollout says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum VerificationObserved {
    /// None is asked for.
    NotAsked,
    /// It runs.
    Running,
    /// It passed.
    Passed,
    /// It failed.
    Failed {
        /// Why.
        why: String,
    },
}

/// Everything that [`advance`] looks at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PromotionObserved {
    /// The answered gates.
    pub gates: Vec<Gate>,
    /// What became of the write.
    pub write: WriteObserved,
    /// What the environment says.
    pub delivery: DeliveryObserved,
    /// What the verification says.
    pub verification: VerificationObserved,
    /// A newer promotion for the same environment and pipeline, that takes over as long as this one has not written.
    pub newer: Option<String>,
}

/// The next state, and when to look again by itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Advance {
    /// The state to store.
    pub state: PromotionState,
    /// When an answer changes by itself; changes of objects wake in any case.
    pub wake: Option<Timestamp>,
}

/// How often a write is planned anew after somebody else pushed first.
pub const ATTEMPTS_MAX: u32 = 10;

/// Returns the next state of a promotion, at most one phase on.
///
/// A final state stays as it is, and equal observations give an equal state.
pub fn advance(state: &PromotionState, observed: &PromotionObserved) -> Advance {
    let next =
        |phase, message: String| Advance { state: PromotionState { phase, message, ..state.clone() }, wake: None };
    match state.phase {
        PromotionPhase::Waiting => wait(state, observed),
        PromotionPhase::Writing => write(state, observed),
        PromotionPhase::Proposed => propose(state, observed),
        PromotionPhase::Committed => match &observed.delivery {
            DeliveryObserved::NotSynced => {
                next(PromotionPhase::Committed, "waiting for the environment to sync".to_owned())
            }
            DeliveryObserved::RollingOut | DeliveryObserved::Healthy => {
                next(PromotionPhase::RollingOut, "rolling out".to_owned())
            }
            DeliveryObserved::TakenBack { why } => next(PromotionPhase::RolledBack, why.clone()),
        },
        PromotionPhase::RollingOut => match &observed.delivery {
            DeliveryObserved::Healthy => next(PromotionPhase::Verifying, "verifying".to_owned()),
            DeliveryObserved::TakenBack { why } => next(PromotionPhase::RolledBack, why.clone()),
            DeliveryObserved::NotSynced | DeliveryObserved::RollingOut => {
                next(PromotionPhase::RollingOut, "rolling out".to_owned())
            }
        },
        PromotionPhase::Verifying => match (&observed.delivery, &observed.verification) {
            (DeliveryObserved::TakenBack { why }, _) => next(PromotionPhase::RolledBack, why.clone()),
            (_, VerificationObserved::Failed { why }) => {
                next(PromotionPhase::Failed, format!("verification failed: {why}"))
            }
            (_, VerificationObserved::Running) => next(PromotionPhase::Verifying, "verifying".to_owned()),
            (_, VerificationObserved::NotAsked) => next(PromotionPhase::Succeeded, "the versions run".to_owned()),
            (_, VerificationObserved::Passed) => {
                next(PromotionPhase::Succeeded, "the versions run and are verified".to_owned())
            }
        },
        PromotionPhase::Succeeded
        | PromotionPhase::Failed
        | PromotionPhase::RolledBack
        | PromotionPhase::Superseded => Advance { state: state.clone(), wake: None },
    }
}

fn wait(state: &PromotionState, observed: &PromotionObserved) -> Advance {
    let next = |phase, message| PromotionState { phase, message, ..state.clone() };
    if let Some(newer) = &observed.newer {
        return Advance { state: next(PromotionPhase::Superseded, format!("{newer} is newer")), wake: None };
    }
    let answer = judge_gates(&observed.gates);
    let state = match answer.result {
        GateResult::Passed => next(PromotionPhase::Writing, "writing".to_owned()),
        GateResult::Waiting => next(PromotionPhase::Waiting, answer.waiting_on.join("; ")),
        GateResult::Failed => next(PromotionPhase::Failed, answer.waiting_on.join("; ")),
    };
    let wake = answer.wake.filter(|_| state.phase == PromotionPhase::Waiting);
    Advance { state, wake }
}

fn write(state: &PromotionState, observed: &PromotionObserved) -> Advance {
    let mut next = state.clone();
    match &observed.write {
        WriteObserved::Nothing => next.message = "writing".to_owned(),
        WriteObserved::Planned { base, commit } => {
            if next.write.planned_commit != *commit {
                next.write.attempt += 1;
            }
            next.write.base_commit.clone_from(base);
            next.write.planned_commit.clone_from(commit);
            next.message = format!("pushing {}", short(commit));
        }
        WriteObserved::OnBranch { commit } => committed(&mut next, commit, "committed"),
        WriteObserved::Unchanged { commit } => committed(&mut next, commit, "the files say it already"),
        WriteObserved::Proposed { url } => {
            next.phase = PromotionPhase::Proposed;
            next.write.pull_request.clone_from(url);
            next.message = format!("waiting for the merge of {url}");
        }
        WriteObserved::Closed { url } => end(&mut next, PromotionPhase::Failed, format!("{url} was closed")),
        WriteObserved::Overtaken { what } => end(&mut next, PromotionPhase::Superseded, what.clone()),
        WriteObserved::Refused { why } => end(&mut next, PromotionPhase::Failed, why.clone()),
        WriteObserved::Raced if state.write.attempt >= ATTEMPTS_MAX => {
            end(&mut next, PromotionPhase::Failed, format!("others pushed first {ATTEMPTS_MAX} times"));
        }
        WriteObserved::Raced => {
            next.write.base_commit.clear();
            next.write.planned_commit.clear();
            next.message = "somebody pushed first, planning again".to_owned();
        }
    }
    Advance { state: next, wake: None }
}

fn propose(state: &PromotionState, observed: &PromotionObserved) -> Advance {
    let mut next = state.clone();
    match &observed.write {
        WriteObserved::OnBranch { commit } | WriteObserved::Unchanged { commit } => {
            committed(&mut next, commit, "merged")
        }
        WriteObserved::Closed { url } => end(&mut next, PromotionPhase::Failed, format!("{url} was closed")),
        WriteObserved::Refused { why } => end(&mut next, PromotionPhase::Failed, why.clone()),
        WriteObserved::Overtaken { what } => end(&mut next, PromotionPhase::Superseded, what.clone()),
        WriteObserved::Nothing
        | WriteObserved::Planned { .. }
        | WriteObserved::Proposed { .. }
        | WriteObserved::Raced => {}
    }
    Advance { state: next, wake: None }
}

fn committed(state: &mut PromotionState, commit: &str, how: &str) {
    state.phase = PromotionPhase::Committed;
    state.write.pushed_commit = commit.to_owned();
    state.message = format!("{how}: {}", short(commit));
}

fn end(state: &mut PromotionState, phase: PromotionPhase, message: String) {
    state.phase = phase;
    state.message = message;
}

fn short(commit: &str) -> &str {
    commit.get(..8).unwrap_or(commit)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn gate(result: GateResult) -> Gate {
        Gate {
            name: "soak".to_owned(),
            result,
            evidence: "30m0s are required".to_owned(),
            wake: Some(Timestamp::UNIX_EPOCH),
        }
    }

    fn quiet() -> PromotionObserved {
        PromotionObserved {
            gates: Vec::new(),
            write: WriteObserved::Nothing,
            delivery: DeliveryObserved::NotSynced,
            verification: VerificationObserved::NotAsked,
            newer: None,
        }
    }

    fn wrote(write: WriteObserved) -> PromotionObserved {
        PromotionObserved { write, ..quiet() }
    }

    fn delivered(delivery: DeliveryObserved) -> PromotionObserved {
        PromotionObserved { delivery, ..quiet() }
    }

    fn run(steps: impl IntoIterator<Item = PromotionObserved>) -> String {
        let mut state = PromotionState::default();
        let mut lines = Vec::new();
        for observed in steps {
            state = advance(&state, &observed).state;
            lines.push(format!("{:?}: {}", state.phase, state.message));
        }
        lines.join("\n")
    }

    fn planned() -> WriteObserved {
        WriteObserved::Planned { base: "base".to_owned(), commit: "0123456789".to_owned() }
    }

    fn on_branch() -> WriteObserved {
        WriteObserved::OnBranch { commit: "0123456789".to_owned() }
    }

    #[test]
    fn a_promotion_goes_from_its_gates_to_its_success() {
        let text = run([
            PromotionObserved { gates: vec![gate(GateResult::Waiting)], ..quiet() },
            PromotionObserved { gates: vec![gate(GateResult::Passed)], ..quiet() },
            wrote(planned()),
            wrote(on_branch()),
            quiet(),
            delivered(DeliveryObserved::RollingOut),
            delivered(DeliveryObserved::Healthy),
            PromotionObserved { verification: VerificationObserved::Running, ..delivered(DeliveryObserved::Healthy) },
            PromotionObserved { verification: VerificationObserved::Passed, ..delivered(DeliveryObserved::Healthy) },
            delivered(DeliveryObserved::TakenBack { why: "too late".to_owned() }),
        ]);
        insta::assert_snapshot!(text, @r"
        Waiting: soak: 30m0s are required
        Writing: writing
        Writing: pushing 01234567
        Committed: committed: 01234567
        Committed: waiting for the environment to sync
        RollingOut: rolling out
        Verifying: verifying
        Verifying: verifying
        Succeeded: the versions run and are verified
        Succeeded: the versions run and are verified
        ");
    }

    #[test]
    fn what_is_taken_back_ends_as_rolled_back() {
        let back = || delivered(DeliveryObserved::TakenBack { why: "analysis failed".to_owned() });
        let text = run([quiet(), wrote(on_branch()), back()]);
        assert_eq!(text.lines().last(), Some("RolledBack: analysis failed"));
        let text = run([quiet(), wrote(on_branch()), delivered(DeliveryObserved::RollingOut), back()]);
        assert_eq!(text.lines().last(), Some("RolledBack: analysis failed"));
    }

    #[test]
    fn a_closed_gate_a_newer_promotion_and_a_refusal_end_it() {
        let failed = PromotionObserved { gates: vec![gate(GateResult::Failed)], ..quiet() };
        assert_eq!(run([failed]), "Failed: soak: 30m0s are required");
        let newer = PromotionObserved { newer: Some("web-8".to_owned()), ..quiet() };
        assert_eq!(run([newer]), "Superseded: web-8 is newer");
        let refused = WriteObserved::Refused { why: "protected branch".to_owned() };
        assert_eq!(run([quiet(), wrote(refused)]), "Writing: writing\nFailed: protected branch");
        let overtaken = WriteObserved::Overtaken { what: "image is web:9".to_owned() };
        assert_eq!(run([quiet(), wrote(overtaken)]).lines().last(), Some("Superseded: image is web:9"));
    }

    #[test]
    fn a_lost_race_is_planned_again_and_not_for_ever() {
        let mut state = PromotionState { phase: PromotionPhase::Writing, ..PromotionState::default() };
        for attempt in 1..=ATTEMPTS_MAX {
            let plan = WriteObserved::Planned { base: format!("base{attempt}"), commit: format!("commit{attempt}") };
            state = advance(&state, &wrote(plan.clone())).state;
            assert_eq!(state, advance(&state, &wrote(plan)).state, "a plan that is seen twice counts once");
            assert_eq!(state.write.attempt, attempt);
            state = advance(&state, &wrote(WriteObserved::Raced)).state;
        }
        assert_eq!((state.phase, state.message.as_str()), (PromotionPhase::Failed, "others pushed first 10 times"));
    }

    #[test]
    fn a_pull_request_waits_for_its_merge() {
        let url = "https://forge.example.com/pr/7".to_owned();
        let proposed = WriteObserved::Proposed { url: url.clone() };
        let merged = run([quiet(), wrote(proposed.clone()), quiet(), wrote(on_branch())]);
        insta::assert_snapshot!(merged, @r"
        Writing: writing
        Proposed: waiting for the merge of https://forge.example.com/pr/7
        Proposed: waiting for the merge of https://forge.example.com/pr/7
        Committed: merged: 01234567
        ");
        let closed = run([quiet(), wrote(proposed), wrote(WriteObserved::Closed { url })]);
        assert_eq!(closed.lines().last(), Some("Failed: https://forge.example.com/pr/7 was closed"));
    }

    #[test]
    fn a_state_reads_back_from_its_status() {
        let state = advance(&PromotionState::default(), &quiet()).state;
        let text = serde_json::to_value(&state).unwrap();
        assert_eq!(text, json!({"phase": "Writing", "message": "writing", "write": {"attempt": 0}}));
        assert_eq!(serde_json::from_value::<PromotionState>(text).unwrap(), state);
    }
}
