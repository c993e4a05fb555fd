//! Gates: named questions that must be answered yes before a version moves, each with its evidence.

use std::collections::BTreeSet;

use object_model::{Duration, Timestamp, format_go_duration, format_time};

use crate::bad_versions::BadVersion;
use crate::operation::OperationId;
use crate::version::Version;

/// The answer of a gate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum GateResult {
    /// Yes.
    Passed,
    /// Not yet; time or a person may change it.
    Waiting,
    /// No; only another version or an override changes it.
    Failed,
}

/// One answered gate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Gate {
    /// Its name.
    pub name: String,
    /// Its answer.
    pub result: GateResult,
    /// What the answer rests on, for people.
    pub evidence: String,
    /// When the answer changes by itself.
    pub wake: Option<Timestamp>,
}

impl Gate {
    /// A gate whose answer changes only when what it looks at does.
    pub fn new(name: &str, result: GateResult, evidence: impl Into<String>) -> Self {
        Self { name: name.to_owned(), result, evidence: evidence.into(), wake: None }
    }
}

/// One approval, as it was recorded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Approval {
    /// Who approved.
    pub by: String,
    /// The groups of that person at that time.
    pub groups: Vec<String>,
    /// The operation that was approved: an approval of other versions does not count.
    pub operation: OperationId,
}

/// What approvals an environment wants.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ApprovalRule<'a> {
    /// How many people.
    pub required: u32,
    /// Groups of which an approver must be in one; anybody may approve when empty.
    pub groups: &'a [String],
    /// Whether the one who asked may not approve.
    pub not_requester: bool,
}

/// Whether enough different people approved this operation.
pub fn approval_gate(
    rule: &ApprovalRule<'_>,
    operation: &OperationId,
    requester: &str,
    approvals: &[Approval],
) -> Gate {
    let counts = |approval: &&Approval| {
        approval.operation == *operation
            && (rule.groups.is_empty() || approval.groups.iter().any(|group| rule.groups.contains(group)))
            && !(rule.not_requester && approval.by == requester)
    };
    let people: BTreeSet<&str> = approvals.iter().filter(counts).map(|approval| approval.by.as_str()).collect();
    let names =
        if people.is_empty() { "nobody".to_owned() } else { people.iter().copied().collect::<Vec<_>>().join(", ") };
    let required = usize::try_from(rule.required).unwrap_or(usize::MAX);
    if people.len() >= required {
        let evidence =
            if required == 0 { "no approval is required".to_owned() } else { format!("approved by {names}") };
        return Gate::new("approval", GateResult::Passed, evidence);
    }
    Gate::new("approval", GateResult::Waiting, format!("{} of {required} approvals: {names}", people.len()))
}

/// Whether a version has been healthy for long enough where it comes from. `healthy_since` is `None` while it is not
/// healthy there.
pub fn soak_gate(from: &str, required: Duration, healthy_since: Option<Timestamp>, now: Timestamp) -> Gate {
    let wanted = format_go_duration(required);
    let Some(since) = healthy_since else {
        return Gate::new("soak", GateResult::Waiting, format!("not healthy in {from} yet, {wanted} are required"));
    };
    let until = since.checked_add(required).unwrap_or(Timestamp::MAX);
    if now >= until {
        return Gate::new("soak", GateResult::Passed, format!("healthy in {from} since {}", format_time(since)));
    }
    let evidence = format!("healthy in {from} since {}, {wanted} are required", format_time(since));
    Gate { wake: Some(until), ..Gate::new("soak", GateResult::Waiting, evidence) }
}

/// What an environment runs, as far as a gate asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SourceState<'a> {
    /// The environment.
    pub name: &'a str,
    /// Whether its sync and its rollouts are healthy.
    pub is_healthy: bool,
    /// Why not, or what is healthy.
    pub message: &'a str,
    /// The versions that it runs.
    pub versions: &'a [Version],
}

/// Whether the environment that versions come from runs exactly these, and is healthy.
pub fn health_gate(source: &SourceState<'_>, versions: &[Version]) -> Gate {
    let runs = |version: &&Version| source.versions.iter().any(|have| have.is_same(version));
    if let Some(missing) = versions.iter().find(|version| !runs(version)) {
        return Gate::new("health", GateResult::Waiting, format!("{} does not run {missing}", source.name));
    }
    if !source.is_healthy {
        return Gate::new("health", GateResult::Waiting, format!("{} is not healthy: {}", source.name, source.message));
    }
    Gate::new("health", GateResult::Passed, format!("{} is healthy", source.name))
}

/// A stop that a person or a rollback put on an environment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hold {
    /// Why.
    pub reason: String,
    /// Who put it there.
    pub by: String,
    /// When it ends by itself; never when `None`.
    pub until: Option<Timestamp>,
}

/// Whether nothing holds the environment.
pub fn hold_gate(hold: Option<&Hold>, now: Timestamp) -> Gate {
    match hold {
        None => Gate::new("hold", GateResult::Passed, "nothing holds the environment"),
        Some(Hold { until: Some(until), .. }) if *until <= now => {
            Gate::new("hold", GateResult::Passed, format!("the hold ended at {}", format_time(*until)))
        }
        Some(hold) => {
            let evidence = format!("held by {}: {}", hold.by, hold.reason);
            Gate { wake: hold.until, ..Gate::new("hold", GateResult::Waiting, evidence) }
        }
    }
}

/// Whether none of the versions was taken back in this environment. A person who overrides is named.
pub fn bad_version_gate(bad: &[BadVersion], env: &str, versions: &[Version], overridden_by: Option<&str>) -> Gate {
    let found = versions.iter().find_map(|version| bad.iter().find(|bad| bad.blocks(env, version)));
    match (found, overridden_by) {
        (None, _) => Gate::new("bad-version", GateResult::Passed, "no version was taken back here"),
        (Some(bad), Some(person)) => Gate::new(
            "bad-version",
            GateResult::Passed,
            format!("{person} overrides that {} was taken back: {}", bad.version, bad.reason),
        ),
        (Some(bad), None) => Gate::new(
            "bad-version",
            GateResult::Failed,
            format!("{} was taken back in {env} ({}): {}", bad.version, bad.commit, bad.reason),
        ),
    }
}

/// All gates of a promotion together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GatesAnswer {
    /// The worst answer; passed when there is no gate.
    pub result: GateResult,
    /// The gates that have not passed, as `name: evidence`.
    pub waiting_on: Vec<String>,
    /// When an answer changes by itself.
    pub wake: Option<Timestamp>,
}

/// Puts gates together: one No is a No, one Not yet is a Not yet.
pub fn judge_gates(gates: &[Gate]) -> GatesAnswer {
    let open = gates.iter().filter(|gate| gate.result != GateResult::Passed);
    GatesAnswer {
        result: gates.iter().map(|gate| gate.result).max().unwrap_or(GateResult::Passed),
        waiting_on: open.clone().map(|gate| format!("{}: {}", gate.name, gate.evidence)).collect(),
        wake: open.filter_map(|gate| gate.wake).min(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn time(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    fn approval(by: &str, group: &str, operation: &str) -> Approval {
        Approval { by: by.to_owned(), groups: vec![group.to_owned()], operation: OperationId::of_parts(&[operation]) }
    }

    #[test]
    fn only_different_people_of_the_groups_count_and_only_for_this_operation() {
        let groups = ["managers".to_owned()];
        let rule = ApprovalRule { required: 2, groups: &groups, not_requester: true };
        let operation = OperationId::of_parts(&["this"]);
        let approvals = [
            approval("ann", "managers", "this"),
            approval("bo", "managers", "this"),
            approval("bo", "managers", "this"),
            approval("cy", "developers", "this"),
            approval("di", "managers", "other"),
        ];
        let gate = approval_gate(&rule, &operation, "ann", &approvals);
        assert_eq!((gate.result, gate.evidence.as_str()), (GateResult::Waiting, "1 of 2 approvals: bo"));
        let gate = approval_gate(&rule, &operation, "eve", &approvals);
        assert_eq!((gate.result, gate.evidence.as_str()), (GateResult::Passed, "approved by ann, bo"));
        let nobody = ApprovalRule { required: 0, ..rule };
        assert_eq!(approval_gate(&nobody, &operation, "ann", &[]).result, GateResult::Passed);
    }

    #[test]
    fn a_version_soaks_from_the_moment_it_is_healthy() {
        let half_hour = Duration::from_secs(1800);
        let since = Some(time("2026-01-01T00:00:00Z"));
        let waiting = soak_gate("qa", half_hour, since, time("2026-01-01T00:29:59Z"));
        assert_eq!((waiting.result, waiting.wake), (GateResult::Waiting, Some(time("2026-01-01T00:30:00Z"))));
        assert_eq!(waiting.evidence, "healthy in qa since 2026-01-01T00:00:00Z, 30m0s are required");
        assert_eq!(soak_gate("qa", half_hour, since, time("2026-01-01T00:30:00Z")).result, GateResult::Passed);
        let sick = soak_gate("qa", half_hour, None, time("2026-01-01T00:30:00Z"));
        assert_eq!((sick.result, sick.wake), (GateResult::Waiting, None));
    }

    #[test]
    fn health_asks_for_the_very_versions() {
        let runs = [Version::parse("web=1").unwrap()];
        let state = SourceState { name: "qa", is_healthy: true, message: "", versions: &runs };
        assert_eq!(health_gate(&state, &runs).result, GateResult::Passed);
        let other = health_gate(&state, &[Version::parse("web=2").unwrap()]);
        assert_eq!((other.result, other.evidence.as_str()), (GateResult::Waiting, "qa does not run web=2"));
        let sick = SourceState { is_healthy: false, message: "rollout/web is Degraded", ..state };
        assert_eq!(health_gate(&sick, &runs).evidence, "qa is not healthy: rollout/web is Degraded");
    }

    #[test]
    fn a_hold_ends_by_itself_or_by_a_person() {
        let hold = Hold {
            reason: "rolled back".to_owned(),
            by: "sluice".to_owned(),
            until: Some(time("2026-01-02T00:00:00Z")),
        };
        let held = hold_gate(Some(&hold), time("2026-01-01T00:00:00Z"));
        assert_eq!(
            (held.result, held.evidence.as_str(), held.wake),
            (GateResult::Waiting, "held by sluice: rolled back", hold.until)
        );
        assert_eq!(hold_gate(Some(&hold), time("2026-01-02T00:00:00Z")).result, GateResult::Passed);
        assert_eq!(hold_gate(Some(&Hold { until: None, ..hold }), time("2027-01-02T00:00:00Z")).wake, None);
    }

    #[test]
    fn one_no_is_a_no_and_the_next_change_wakes() {
        let now = time("2026-01-01T00:00:00Z");
        let hold = |hour: &str| Hold { reason: "x".to_owned(), by: "y".to_owned(), until: Some(time(hour)) };
        let gates = [
            hold_gate(Some(&hold("2026-01-01T02:00:00Z")), now),
            hold_gate(Some(&hold("2026-01-01T01:00:00Z")), now),
            hold_gate(None, now),
        ];
        let answer = judge_gates(&gates);
        assert_eq!((answer.result, answer.wake), (GateResult::Waiting, Some(time("2026-01-01T01:00:00Z"))));
        assert_eq!(answer.waiting_on, ["hold: held by y: x", "hold: held by y: x"]);
        assert_eq!(judge_gates(&[]).result, GateResult::Passed);
    }
}
