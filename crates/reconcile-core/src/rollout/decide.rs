//! Decides the next safe step of a Rollout. Pure: reads a [`Snapshot`], returns a [`Plan`].
//!
//! | state | weight goes to | canary pods | stable pods | ends when |
//! |---|---|---|---|---|
//! | invalid spec | stays | stay | stay | the spec is mended |
//! | no stable version yet | 0 | all | none | all are available: it becomes stable |
//! | template is the stable one | 0, after the stable Service selects it | none, after a delay | all | never: this is rest |
//! | aborted | 0 at once | none, after a delay | all | template changes or a person retries |
//! | aborted, stable gave pods away | by the steps in reverse, as its pods return | as the traffic leaves | as the traffic returns | all is on stable |
//! | on a step | the last weight set, once the canary has the pods | for that weight | all | the step is done |
//! | past the steps | 100, once all canary pods are available | all | all | weight is seen: it becomes stable |
//!
//! Traffic leaves before pods do, and pods come before traffic does; each row is reached by acting, observing and
//! deciding again.

use std::sync::Arc;

use api::argo::Canary;
use object_model::{Duration, Weight};

use super::act::{self, Scaling};
use super::blue_green;
use super::experiments;
use super::metadata;
use super::model::{self, StepKind};
use super::old_sets;
use super::phase;
use super::progress::{INCONCLUSIVE, Progress};
use super::replica_set::ReplicaSetView;
use super::replicas::{self, RatioSet, RatioStable, RatioState};
use super::restart;
use super::route::{self, Observed};
use super::runs;
use super::services;
use super::snapshot::Snapshot;
use super::status;
use super::workload;
use crate::bugs::{self, Bug};
use crate::time::after;
use crate::{Act, Action, EventType, Plan, kinds};

/// Why a canary pauses at a step that says so.
const PAUSE: &str = "CanaryPauseStep";

/// Returns the plan that moves `snapshot` one safe step closer to its desired version.
pub(super) fn decide(snapshot: &Snapshot) -> Plan {
    let mut plan = Plan::empty();
    if snapshot.rollout.is_deleting() {
        plan.wait(format!("Rollout {}", snapshot.rollout.name()), "it is being deleted");
        plan.stage(route::release(snapshot));
        return plan;
    }
    if let Some(problem) = snapshot.problems.first() {
        match snapshot.settles_at() {
            Some(moment) => {
                plan.wait("what the Rollout names".to_owned(), problem.to_string());
                plan.wake_at(moment);
            }
            None => status::invalid(snapshot, &mut plan),
        }
        return plan;
    }
    if !snapshot.unreadable.is_empty() {
        let text = format!("Left out of the pods, because these are no quantities: {}", snapshot.unreadable.join(", "));
        let transition = format!("unreadable/{}", crate::patch::digest(&text));
        act::note(snapshot, &mut plan, EventType::Warning, "UnreadableQuantity", &text, &transition);
    }
    if let Some(act) = act::write_defaults(snapshot) {
        plan.stage(vec![act]);
        return plan;
    }
    let mut progress = Progress::of(snapshot);
    if snapshot.name_taken {
        progress.collision_count = Some(progress.collision_count.unwrap_or(0) + 1);
        plan.wait(format!("ReplicaSet {}", snapshot.set_name), "its name belongs to somebody else; taking another");
        status::write(snapshot, &progress, &Observed::Weight(Weight::ZERO), &mut plan);
        return plan;
    }
    let Some(new) = snapshot.new_set() else {
        begin(snapshot, &mut plan);
        return plan;
    };
    act::restamp_revision(snapshot, new, &mut plan);
    if let Some(strategy) = snapshot.blue_green() {
        tell_of_an_abort_by_hand(snapshot, &progress, &mut plan);
        judge_runs(snapshot, &mut progress, &mut plan);
        judge_deadline(snapshot, &mut progress, &mut plan);
        blue_green::advance(snapshot, strategy, &mut progress, new, &mut plan);
        runs::tidy(snapshot, &mut progress, &mut plan);
        settle(snapshot, &mut progress, &mut plan);
        experiments::tidy(snapshot, &mut progress, &mut plan);
        experiments::tidy_runs(snapshot, &progress, &mut plan);
        status::write(snapshot, &progress, &Observed::Weight(Weight::ZERO), &mut plan);
        return plan;
    }
    let observed = if snapshot.spec.is_routed() { route::observe(snapshot) } else { Observed::Weight(Weight::ZERO) };
    if let Observed::Unusable { why, .. } = &observed {
        plan.wait("traffic", why.clone());
        act::note(
            snapshot,
            &mut plan,
            EventType::Warning,
            "TrafficRoutingError",
            why,
            &format!("unusable/{}", crate::patch::digest(why)),
        );
        plan.report.problems.push(why.clone());
    }
    judge_runs(snapshot, &mut progress, &mut plan);
    judge_deadline(snapshot, &mut progress, &mut plan);
    if !observed.is_unusable() {
        leave_pause(snapshot, &mut progress, &mut plan);
    }
    let goal = Goal::of(snapshot, &progress, new, &observed);
    converge(snapshot, &progress, &goal, &observed, &mut plan);
    // What an abort takes away is told before the abort itself, as Argo's Events have it.
    tell_of_an_abort_by_hand(snapshot, &progress, &mut plan);
    // People see each step: after a pause that ended here the next one begins with the next decision.
    let is_in_time = !progress.left_pause || progress.is_past_steps(snapshot);
    if plan.acts().next().is_none() && !observed.is_unusable() && is_in_time {
        // Nothing is left to do for this row of the table: only now may the next row begin.
        advance(snapshot, &mut progress, &goal, &observed, new, &mut plan);
    } else if only_takes_pods_away(snapshot, &plan) && is_at_its_end(snapshot, &progress, new) {
        // What is left of the row is to take away pods that get no traffic: the same status may tell of the promotion.
        finish(snapshot, &mut progress, &observed, new, &mut plan);
    }
    runs::tidy(snapshot, &mut progress, &mut plan);
    settle(snapshot, &mut progress, &mut plan);
    experiments::tidy(snapshot, &mut progress, &mut plan);
    experiments::tidy_runs(snapshot, &progress, &mut plan);
    status::write(snapshot, &progress, &observed, &mut plan);
    plan
}

/// Makes the ReplicaSet of the present template, of the size that the first row asks for, and tells of the update: what is
/// decided once it is there is decided as if it were, so that one write and one status do for what would be two of each.
fn begin(snapshot: &Snapshot, plan: &mut Plan) {
    let Some(mut object) = act::new_set(snapshot) else { return };
    act::tell_of_a_new_set(snapshot, plan);
    let mut later = snapshot.clone();
    later.sets.extend(ReplicaSetView::of(Arc::new(object.clone())));
    if later.new_set().is_some() {
        let next = decide(&later);
        if let Some(size) = act::size_of(&object, &next) {
            object.set_at(&["spec", "replicas"], size.into());
        }
        let own = format!("scaled/{}/", object.name());
        plan.notes.extend(next.notes.into_iter().filter(|note| match note.reason.0 {
            "RolloutNotCompleted" | "RolloutResumed" => true,
            _ => note.transition.starts_with(&own),
        }));
        plan.status = next.status;
    }
    plan.stage(vec![Act::new(Action::Create { kind: kinds::replica_set(), object: Box::new(object) })]);
}

/// What is done beside the steps: nothing of it goes before what an update needs now, but for metadata, which hinders
/// nothing.
fn settle(snapshot: &Snapshot, progress: &mut Progress, plan: &mut Plan) {
    if plan.acts().next().is_none() {
        restart::advance(snapshot, progress, plan);
    }
    if plan.acts().next().is_none() {
        workload::scale(snapshot, progress, plan);
    }
    metadata::apply(snapshot, progress, plan);
    plan.stage(route::leave_behind(snapshot));
}

/// What the present row of the table asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Goal {
    /// Traffic of the canary, with a provider.
    pub(super) weight: Weight,
    /// Pods of the new version.
    pub(super) new: u32,
    /// Pods of the stable version, when it is another one.
    pub(super) stable: u32,
}

impl Goal {
    fn of(snapshot: &Snapshot, progress: &Progress, new: &ReplicaSetView, observed: &Observed) -> Self {
        let all = snapshot.spec.replicas;
        let dynamic = snapshot.canary().filter(|canary| canary.dynamic_stable_scale && snapshot.spec.is_routed());
        let rest = Self { weight: Weight::ZERO, new: all, stable: all };
        let Some(stable) = progress.stable_set(snapshot) else { return rest };
        // A stable version that gave pods away takes traffic back as its pods return, unless the others have none left.
        let returning = replicas::least_weight(all, stable.usable(), snapshot.weight_total()).min(observed.highest());
        let is_empty = holder(snapshot, new).is_some_and(|set| set.available == 0);
        let keeps = dynamic.is_some() && !is_empty && !bugs::on(Bug::TrafficBackBeforePods);
        let back = if keeps { returning } else { Weight::ZERO };
        if bugs::on(Bug::AbortAtRest) && progress.abort && progress.is_fully_promoted(snapshot) {
            return Self { new: 0, ..rest };
        }
        if progress.is_fully_promoted(snapshot) {
            return Self { weight: back, ..rest };
        }
        if progress.abort {
            if let Some(canary) = dynamic.filter(|_| keeps) {
                return Self::of_a_way_back(snapshot, canary, new, stable, observed);
            }
            let keeps_canary = !abort_delay_is_over(snapshot, new, observed);
            // Nothing is started anew for a version that failed; what runs stays for the delay.
            let new = if snapshot.spec.is_routed() && keeps_canary { new.desired } else { 0 };
            return Self { weight: back, new, ..rest };
        }
        let weight = match comes_back_in_window(snapshot, progress) {
            true => snapshot.all_traffic(),
            false => model::weight_at(&snapshot.steps, progress.step_index, snapshot.weight_total()),
        };
        if !snapshot.spec.is_routed() {
            let surge = snapshot.canary().map_or(0, |canary| canary.max_surge.ceil_of(all));
            let goal = replicas::ratio_goal(all, weight, surge);
            return Self { weight, new: goal.canary, stable: goal.stable };
        }
        let counts = replicas::routed_counts(&replicas::RoutedState {
            replicas: all,
            weight,
            total: snapshot.weight_total(),
            scale: model::scale_at(&snapshot.steps, progress.step_index),
            floor: snapshot.canary().and_then(|canary| canary.min_pods),
            dynamic_stable: dynamic.map(|_| observed.highest().complement(snapshot.weight_total())),
        });
        Self { weight, new: counts.canary, stable: counts.stable }
    }

    /// An aborted update whose stable version gave pods away goes back by the weights of its steps, in reverse order.
    fn of_a_way_back(
        snapshot: &Snapshot,
        canary: &Canary,
        new: &ReplicaSetView,
        stable: &ReplicaSetView,
        observed: &Observed,
    ) -> Self {
        let weights = snapshot.steps.iter().filter_map(|step| match step.kind {
            StepKind::SetWeight(weight) => Some(weight),
            _ => None,
        });
        let way = replicas::way_back(&replicas::WayBackState {
            replicas: snapshot.spec.replicas,
            total: snapshot.weight_total(),
            weights: weights.collect(),
            current: observed.highest(),
            canary_available: new.available,
            stable_available: stable.usable(),
            canary_stays: canary.has_abort_delay,
            floor: canary.min_pods,
        });
        let is_over = abort_delay_is_over(snapshot, new, observed);
        let new = match canary.has_abort_delay {
            true if is_over => 0,
            true => new.desired,
            false => way.counts.canary.min(new.desired),
        };
        Self { weight: way.weight, new, stable: way.counts.stable }
    }
}

/// The version that has the canary's traffic now.
fn holder<'a>(snapshot: &'a Snapshot, new: &'a ReplicaSetView) -> Option<&'a ReplicaSetView> {
    let hash = services::canary_hash(snapshot).unwrap_or_else(|| new.hash.clone());
    snapshot.sets.iter().find(|set| set.hash == hash)
}

/// Whether the present template is one that served a few revisions ago, so that its steps need not be taken again.
fn comes_back_in_window(snapshot: &Snapshot, progress: &Progress) -> bool {
    !progress.abort && !progress.is_fully_promoted(snapshot) && progress.is_in_rollback_window(snapshot)
}

/// Whether the canary of an aborted update may be scaled down.
fn abort_delay_is_over(snapshot: &Snapshot, new: &ReplicaSetView, observed: &Observed) -> bool {
    let Some(canary) = snapshot.canary() else { return false };
    if canary.dynamic_stable_scale && !canary.has_abort_delay {
        return *observed == Observed::Weight(Weight::ZERO);
    }
    canary.abort_scale_down_delay.is_some() && new.deadline.is_some_and(|deadline| deadline <= snapshot.now)
}

/// Whether so many of the pods that were asked for are available that a step or a promotion may go on.
fn has_enough(snapshot: &Snapshot, new: &ReplicaSetView, wanted: u32) -> bool {
    match snapshot.canary().and_then(|canary| canary.progress_threshold) {
        Some(threshold) => new.desired == wanted && threshold.is_met(new.available, wanted),
        None => new.is_settled_at(wanted),
    }
}

/// Lets the AnalysisRuns of this revision speak: a failed one aborts, an inconclusive one pauses.
fn judge_runs(snapshot: &Snapshot, progress: &mut Progress, plan: &mut Plan) {
    if progress.abort || progress.is_fully_promoted(snapshot) || progress.promote_full {
        return;
    }
    for run in runs::present(snapshot, progress) {
        match run.phase.as_str() {
            "Failed" | "Error" if bugs::on(Bug::FailureUnheard) => {}
            "Failed" | "Error" => {
                let why = if run.message.is_empty() {
                    format!("AnalysisRun {} {}", run.object.name(), run.phase)
                } else {
                    run.message.clone()
                };
                progress.abort_now(snapshot, &why);
                let text = progress.abort_message.clone().unwrap_or_default();
                act::note(
                    snapshot,
                    plan,
                    EventType::Warning,
                    "RolloutAborted",
                    &text,
                    &format!("aborted/{}", snapshot.version()),
                );
                return;
            }
            "Inconclusive" => progress.pause(INCONCLUSIVE, snapshot.now),
            _ => {}
        }
    }
}

/// What the engine aborts it tells of itself; here somebody else set `status.abort`.
fn tell_of_an_abort_by_hand(snapshot: &Snapshot, progress: &Progress, plan: &mut Plan) {
    if progress.abort && snapshot.status.aborted_at.is_none() {
        let text = progress.abort_message.clone().unwrap_or_default();
        let transition = format!("aborted/{}", snapshot.version());
        act::note(snapshot, plan, EventType::Warning, "RolloutAborted", &text, &transition);
    }
}

/// An update that makes no progress in time goes back by itself when the spec asks for that.
fn judge_deadline(snapshot: &Snapshot, progress: &mut Progress, plan: &mut Plan) {
    let is_on_its_way = !progress.abort && !progress.restarted && !progress.is_fully_promoted(snapshot);
    if !snapshot.spec.progress_deadline_abort || !is_on_its_way || progress.stable_set(snapshot).is_none() {
        return;
    }
    let Some(why) = phase::overdue(snapshot) else { return };
    progress.abort_now(snapshot, &why);
    let text = progress.abort_message.clone().unwrap_or_default();
    let transition = format!("aborted/{}", snapshot.version());
    act::note(snapshot, plan, EventType::Warning, "RolloutAborted", &text, &transition);
}

/// The acts that bring pods, Services and weights to the goal, in the one order that keeps traffic on ready pods.
fn converge(snapshot: &Snapshot, progress: &Progress, goal: &Goal, observed: &Observed, plan: &mut Plan) {
    let Some(new) = snapshot.new_set() else { return };
    // Versions of which none was ever stable share the pods as an update of a stable one would.
    let others = snapshot.sets.iter().any(|set| set.hash != new.hash && set.desired > 0);
    let scaling = if snapshot.spec.is_routed() || (progress.stable_set(snapshot).is_none() && !others) {
        routed_scaling(snapshot, progress, goal, observed, new)
    } else {
        ratio_scaling(snapshot, progress, goal, new)
    };
    let scaling = match snapshot.spec.paused && new.desired == 0 && !progress.abort {
        // What a person paused does not begin; as with Argo that holds for the first deploy too.
        true => scaling.into_iter().filter(|change| change.set != new.name() && change.to > change.from).collect(),
        false => scaling,
    };
    // Traffic that must leave goes first and alone: nothing may delay it.
    let is_given_away = !serves_new(snapshot, progress) && !bugs::on(Bug::CanaryServiceTooEarly);
    if snapshot.spec.is_routed() && observed.highest() > Weight::ZERO && is_given_away {
        // A version between this one and stable loses its traffic before its Service is given away; what it goes to is the
        // stable version, also where that became stable a moment ago.
        if progress.stable_set(snapshot).is_some_and(|stable| !is_reached(snapshot, stable)) {
            services::select(snapshot, progress, observed, plan);
            if plan.acts().next().is_some() {
                return;
            }
        }
        return act::shift(snapshot, Weight::ZERO, plan);
    }
    if snapshot.spec.is_routed() && observed.highest() > goal.weight && may_shed(snapshot, progress) {
        act::shift(snapshot, goal.weight, plan);
        if goal.weight == Weight::ZERO {
            // The delay of its pods begins with the same plan that takes the traffic away.
            plan.stage(abort_deadline(snapshot, progress, &Observed::Weight(Weight::ZERO), new));
        }
        return;
    }
    plan.stage(route::claim(snapshot, observed));
    act::grow(snapshot, &scaling, plan);
    services::select(snapshot, progress, observed, plan);
    if plan.acts().next().is_some() {
        return;
    }
    if snapshot.spec.is_routed() && *observed != Observed::Weight(goal.weight) {
        if let Some(wait) = not_ready_for(snapshot, progress, goal, observed, new) {
            plan.wait(format!("ReplicaSet {}", new.name()), wait);
        } else {
            return act::shift(snapshot, goal.weight, plan);
        }
    }
    act::shrink(snapshot, &scaling, plan);
    if plan.acts().next().is_none() {
        plan.stage(abort_deadline(snapshot, progress, observed, new));
    }
}

/// Stamps when the pods of an aborted canary may go, once stable has all of its own and no traffic is left on them.
fn abort_deadline(snapshot: &Snapshot, progress: &Progress, observed: &Observed, new: &ReplicaSetView) -> Vec<Act> {
    let Some(canary) = snapshot.canary() else { return Vec::new() };
    let Some(stable) = progress.stable_set(snapshot) else { return Vec::new() };
    let is_left = progress.abort
        && snapshot.spec.is_routed()
        && stable.hash != new.hash
        && stable.usable() >= snapshot.spec.replicas
        && *observed == Observed::Weight(Weight::ZERO);
    if !is_left || new.desired == 0 || new.deadline.is_some() {
        return Vec::new();
    }
    canary.abort_scale_down_delay.and_then(|delay| act::stamp_deadline(snapshot, new, delay)).into_iter().collect()
}

/// Whether traffic of the canary Service reaches the new version.
fn serves_new(snapshot: &Snapshot, progress: &Progress) -> bool {
    progress.is_fully_promoted(snapshot) || services::canary_selects(snapshot, &snapshot.hash)
}

/// Whether every stable Service selects the stable version, or none could.
fn is_reached(snapshot: &Snapshot, stable: &ReplicaSetView) -> bool {
    stable.available == 0 || services::stable_selects(snapshot, &stable.hash)
}

/// After a promotion the old weight stays until the stable Service selects the new pods; at any other time it may fall.
fn may_shed(snapshot: &Snapshot, progress: &Progress) -> bool {
    !progress.is_fully_promoted(snapshot) || services::stable_selects(snapshot, &snapshot.hash)
}

/// Why the canary can't take more traffic yet.
fn not_ready_for(
    snapshot: &Snapshot,
    progress: &Progress,
    goal: &Goal,
    observed: &Observed,
    new: &ReplicaSetView,
) -> Option<String> {
    if observed.is_unusable() {
        return Some("the traffic objects can't carry the split".to_owned());
    }
    if goal.weight < observed.highest() && !may_shed(snapshot, progress) {
        return Some("the stable Service does not select the version that became stable yet".to_owned());
    }
    if goal.weight <= observed.highest() || progress.is_fully_promoted(snapshot) {
        return None;
    }
    if bugs::on(Bug::ShiftBeforePods) {
        return None;
    }
    if new.available == 0 || !has_enough(snapshot, new, goal.new) && new.available < goal.new.max(1) {
        return Some(format!("canary has {} of {} pods available", new.available, goal.new.max(1)));
    }
    if !services::canary_selects(snapshot, &snapshot.hash) {
        return Some("the canary Service does not select it yet".to_owned());
    }
    None
}

fn routed_scaling(
    snapshot: &Snapshot,
    progress: &Progress,
    goal: &Goal,
    observed: &Observed,
    new: &ReplicaSetView,
) -> Vec<Scaling> {
    let mut scaling = Vec::new();
    let gives_up = snapshot.canary().is_some_and(|canary| canary.dynamic_stable_scale);
    let stable = progress.stable_set(snapshot).map(|set| set.hash.clone());
    for set in &snapshot.sets {
        let to = if set.hash == new.hash {
            let holds = progress.abort && observed.highest() > Weight::ZERO && !gives_up;
            if holds { set.desired } else { goal.new }
        } else if Some(&set.hash) == stable.as_ref() {
            goal.stable
        } else {
            act::unused_size(snapshot, progress, set, observed)
        };
        if progress.abort && set.hash == new.hash && to == set.desired {
            // Its deadline is what takes it down.
            continue;
        }
        scaling.push(Scaling { set: set.name().to_owned(), from: set.desired, to });
    }
    scaling
}

fn ratio_scaling(snapshot: &Snapshot, progress: &Progress, goal: &Goal, new: &ReplicaSetView) -> Vec<Scaling> {
    let all = snapshot.spec.replicas;
    let Some(canary) = snapshot.canary() else { return Vec::new() };
    // Of versions of which none was ever stable the last one keeps that place, as with Argo.
    let last =
        || snapshot.sets.iter().rev().find(|set| progress.stable.is_none() && set.hash != new.hash && set.desired > 0);
    let stable = progress.stable_set(snapshot).filter(|set| set.hash != new.hash).or_else(last);
    let older: Vec<_> = snapshot
        .sets
        .iter()
        .filter(|set| set.hash != new.hash && stable.is_none_or(|stable| stable.hash != set.hash))
        .collect();
    let ratio = |set: &ReplicaSetView| RatioSet { spec: set.desired, available: set.available };
    let older_sets = RatioSet {
        spec: older.iter().map(|set| set.desired).sum(),
        available: older.iter().map(|set| set.usable()).sum(),
    };
    let (surge, unavailable) = replicas::surge_and_unavailable(canary.max_surge, canary.max_unavailable, all);
    let next = replicas::ratio_next(&RatioState {
        replicas: all,
        weight: if progress.stable_set(snapshot).is_none() { Weight::FULL } else { goal.weight },
        surge,
        unavailable,
        canary: ratio(new),
        stable: match stable {
            Some(stable) => RatioStable::Other(ratio(stable)),
            None if progress.is_fully_promoted(snapshot) => RatioStable::Same,
            None => RatioStable::Absent,
        },
        older: older_sets.spec,
    });
    let available = snapshot.sets.iter().map(ReplicaSetView::usable).sum();
    let mut to_older = replicas::older_next(all, unavailable, available, older_sets);
    let mut scaling = vec![Scaling { set: new.name().to_owned(), from: new.desired, to: next.canary }];
    if let Some(stable) = stable {
        scaling.push(Scaling { set: stable.name().to_owned(), from: stable.desired, to: next.stable });
    }
    for set in older {
        let to = set.desired.min(to_older);
        to_older -= to;
        scaling.push(Scaling { set: set.name().to_owned(), from: set.desired, to });
    }
    scaling
}

/// Moves to the next row or step when what the present one asks for is there.
fn advance(
    snapshot: &Snapshot,
    progress: &mut Progress,
    goal: &Goal,
    observed: &Observed,
    new: &ReplicaSetView,
    plan: &mut Plan,
) {
    let all = snapshot.spec.replicas;
    if progress.is_fully_promoted(snapshot) || progress.abort {
        act::wake_for_deadlines(snapshot, plan);
        plan.stage(old_sets::history(snapshot, progress));
        return;
    }
    if progress.stable_set(snapshot).is_none() {
        if new.is_settled_at(all) && services::services_select(snapshot, &snapshot.hash) {
            promote(snapshot, progress, new, "Initial deploy", plan);
        } else {
            plan.wait(format!("ReplicaSet {}", new.name()), format!("{} of {all} pods available", new.available));
        }
        return;
    }
    if snapshot.spec.paused {
        plan.wait(format!("Rollout {}", snapshot.rollout.name()), "spec.paused is set");
        return;
    }
    if !progress.is_past_steps(snapshot) && !comes_back_in_window(snapshot, progress) {
        step(snapshot, progress, goal, observed, new, plan);
        return;
    }
    finish(snapshot, progress, observed, new, plan);
}

/// Whether nothing but pods of other versions keeps an update without traffic routing from its promotion.
fn is_at_its_end(snapshot: &Snapshot, progress: &Progress, new: &ReplicaSetView) -> bool {
    !snapshot.spec.is_routed()
        && is_on_its_steps(snapshot, progress)
        && (progress.is_past_steps(snapshot) || comes_back_in_window(snapshot, progress))
        && has_enough(snapshot, new, snapshot.spec.replicas)
}

/// Whether an update goes on by itself from step to step.
fn is_on_its_steps(snapshot: &Snapshot, progress: &Progress) -> bool {
    !progress.abort
        && !progress.is_fully_promoted(snapshot)
        && progress.stable_set(snapshot).is_some()
        && !snapshot.spec.paused
}

/// Whether all that a plan does is to make ReplicaSets smaller.
fn only_takes_pods_away(snapshot: &Snapshot, plan: &Plan) -> bool {
    plan.acts().all(|act| match &act.action {
        Action::Patch { target, patch, .. } => snapshot.sets.iter().any(|set| {
            let to = patch.pointer("/spec/replicas").and_then(serde_json::Value::as_u64);
            target.kind == kinds::replica_set()
                && set.name() == target.name
                && to.is_some_and(|to| to < set.desired.into())
        }),
        _ => false,
    })
}

/// Makes the new version the stable one once it has all pods and all traffic.
fn finish(snapshot: &Snapshot, progress: &mut Progress, observed: &Observed, new: &ReplicaSetView, plan: &mut Plan) {
    let all = snapshot.spec.replicas;
    let traffic_is_there = !snapshot.spec.is_routed() || *observed == Observed::Weight(snapshot.all_traffic());
    if has_enough(snapshot, new, all) && traffic_is_there {
        let why = match snapshot.status.promote_full {
            _ if comes_back_in_window(snapshot, progress) => "Rollback within window".to_owned(),
            true => "Full promotion requested".to_owned(),
            false => format!("Completed all {} canary steps", snapshot.user_steps()),
        };
        promote(snapshot, progress, new, &why, plan);
    } else {
        plan.wait(
            format!("ReplicaSet {}", new.name()),
            format!("{} of {all} pods available before it becomes stable", new.available),
        );
    }
}

fn promote(snapshot: &Snapshot, progress: &mut Progress, new: &ReplicaSetView, why: &str, plan: &mut Plan) {
    progress.promote(snapshot);
    progress.step_index = snapshot.user_steps();
    let text = format!("Rollout completed update to revision {} ({}): {why}", new.revision, new.hash);
    act::note(snapshot, plan, EventType::Normal, "RolloutCompleted", &text, &format!("completed/{}", new.revision));
}

fn step(
    snapshot: &Snapshot,
    progress: &mut Progress,
    goal: &Goal,
    observed: &Observed,
    new: &ReplicaSetView,
    plan: &mut Plan,
) {
    let done = match progress.step(snapshot) {
        Some(StepKind::SetWeight(_)) => weight_is_reached(snapshot, progress, goal, observed, new, plan),
        Some(StepKind::SetScale(_)) => new.available >= goal.new || has_enough(snapshot, new, goal.new),
        Some(StepKind::Wait(duration)) => wait_is_over(snapshot, progress, *duration, plan),
        Some(StepKind::Analyze(analysis)) => runs::step_is_done(snapshot, progress, analysis, plan),
        Some(StepKind::Experiment(wanted)) => experiments::step_is_done(snapshot, progress, wanted, plan),
        Some(StepKind::SetHeaderRoute(..) | StepKind::SetMirrorRoute(..)) => true,
        Some(StepKind::Gate(name)) => {
            plan.wait(format!("gate {name}"), "it has not said yes");
            false
        }
        Some(StepKind::SetMirror(_)) => {
            plan.wait("traffic", "no provider of this Rollout can mirror");
            false
        }
        Some(StepKind::Promote | StepKind::Finish) | None => return,
    };
    if done && !progress.abort && !is_undecided(progress) {
        complete_step(snapshot, progress, plan);
        if let Some(StepKind::Wait(duration)) = progress.step(snapshot) {
            // A pause needs nothing that is not there already: the same status may tell of it.
            wait_is_over(snapshot, progress, *duration, plan);
        }
    }
}

/// Whether a run could not say yes or no and nobody has judged it since.
fn is_undecided(progress: &Progress) -> bool {
    progress.pauses.iter().any(|pause| pause.reason == INCONCLUSIVE)
}

fn complete_step(snapshot: &Snapshot, progress: &mut Progress, plan: &mut Plan) {
    let index = progress.step_index;
    let words = progress.step(snapshot).map(model::step_text).unwrap_or_default();
    let text = format!("Rollout step {}/{} completed ({words})", index + 1, snapshot.user_steps());
    let transition = format!("step/{index}/{}", snapshot.version());
    act::note(snapshot, plan, EventType::Normal, "RolloutStepCompleted", &text, &transition);
    progress.next_step();
    if bugs::on(Bug::StepSkipped) {
        progress.next_step();
    }
}

/// Goes on from a pause that is over, before anything is done for it: what follows is then one decision with its end.
fn leave_pause(snapshot: &Snapshot, progress: &mut Progress, plan: &mut Plan) {
    let goes_on = is_on_its_steps(snapshot, progress) && !comes_back_in_window(snapshot, progress);
    if !goes_on || progress.begins_a_try() || is_undecided(progress) {
        return;
    }
    let Some(StepKind::Wait(duration)) = progress.step(snapshot) else { return };
    if pause_is_over(snapshot, progress, *duration) {
        complete_step(snapshot, progress, plan);
        progress.left_pause = true;
        status::tell_of_a_resumption(snapshot, plan);
    }
}

/// Whether the pause of the present step has begun and is over, by its time or because a person ended it.
fn pause_is_over(snapshot: &Snapshot, progress: &Progress, duration: Option<Duration>) -> bool {
    let Some(pause) = progress.pauses.iter().find(|pause| pause.reason == PAUSE) else {
        return progress.controller_pause && progress.pauses.is_empty();
    };
    let start = pause.start_time.map(|start| begin_of(snapshot, start));
    match duration {
        // A pause whose begin can't be read has no end to wait for.
        Some(duration) => start.and_then(|start| after(start, duration)).is_none_or(|end| end <= snapshot.now),
        None => false,
    }
}

/// When a pause began, as it was stored.
fn begin_of(snapshot: &Snapshot, start: object_model::Timestamp) -> object_model::Timestamp {
    if bugs::on(Bug::PauseEndsEarly) {
        return start.checked_sub(std::time::Duration::from_secs(2)).unwrap_or(start);
    }
    if bugs::on(Bug::PauseByServerClock) {
        let made = snapshot.new_set().and_then(|set| set.object.str_at("/metadata/creationTimestamp")?.parse().ok());
        return made.unwrap_or(start);
    }
    start
}

fn weight_is_reached(
    snapshot: &Snapshot,
    progress: &Progress,
    goal: &Goal,
    observed: &Observed,
    new: &ReplicaSetView,
    plan: &mut Plan,
) -> bool {
    if snapshot.spec.is_routed() {
        let serves = goal.weight == Weight::ZERO || services::canary_selects(snapshot, &snapshot.hash);
        let there = *observed == Observed::Weight(goal.weight) && serves && has_enough(snapshot, new, goal.new);
        if !there {
            plan.wait(
                format!("ReplicaSet {}", new.name()),
                format!("{} of {} pods available for weight {}", new.available, goal.new, goal.weight),
            );
        }
        return there;
    }
    let stable_is = progress.stable_set(snapshot).is_some_and(|set| set.desired == goal.stable);
    let older_gone = snapshot
        .sets
        .iter()
        .all(|set| set.hash == new.hash || progress.stable.as_ref() == Some(&set.hash) || set.current == 0);
    let there = has_enough(snapshot, new, goal.new) && stable_is && older_gone;
    if !there {
        plan.wait(format!("ReplicaSet {}", new.name()), format!("{} of {} pods available", new.available, goal.new));
    }
    there
}

fn wait_is_over(snapshot: &Snapshot, progress: &mut Progress, duration: Option<Duration>, plan: &mut Plan) -> bool {
    if pause_is_over(snapshot, progress, duration) {
        return true;
    }
    let pause = progress.pauses.iter().find(|pause| pause.reason == PAUSE);
    let Some(pause) = pause else {
        progress.pause(PAUSE, snapshot.now);
        if let Some(end) = duration.and_then(|duration| after(snapshot.now, duration)) {
            plan.wake_at(end);
        }
        return false;
    };
    let Some(duration) = duration else {
        plan.wait(format!("Rollout {}", snapshot.rollout.name()), "paused until somebody promotes it");
        return false;
    };
    let start = pause.start_time.map(|start| begin_of(snapshot, start));
    if let Some(end) = start.and_then(|start| after(start, duration)) {
        let until = object_model::format_time(end);
        plan.wait(format!("Rollout {}", snapshot.rollout.name()), format!("paused until {until}"));
        plan.wake_at(end);
    }
    false
}
