//! The one model that every front end is lowered to: workload, steps with their origin, and nobody's names.

use object_model::{Duration, Weight};
use serde_json::Value;
use traffic_split::{HeaderRoute, MirrorRoute};

use api::argo::{AnalysisRef, BlueGreen, Canary, CanaryStep, ExperimentStep, Rollout, Strategy};

/// One thing to do before the next.
#[derive(Debug, Clone, PartialEq)]
pub enum StepKind {
    /// Send this share to the canary, once it has the pods for it.
    SetWeight(Weight),
    /// Copy this share of requests to the canary without using its answers.
    SetMirror(Weight),
    /// Fix the canary's size apart from its weight; `None` follows the weight again.
    SetScale(Option<Scale>),
    /// A named yes/no that must hold.
    Gate(String),
    /// Put this header route in place; without one, take it away.
    SetHeaderRoute(String, Option<HeaderRoute>),
    /// Put this mirror route in place; without one, take it away.
    SetMirrorRoute(String, Option<MirrorRoute>),
    /// Wait for an analysis of these templates.
    Analyze(AnalysisRef),
    /// Run an experiment and wait for its end.
    Experiment(Box<ExperimentStep>),
    /// Wait so long; without end when `None`, until a person goes on.
    Wait(Option<Duration>),
    /// Make the canary the stable version.
    Promote,
    /// Tidy up.
    Finish,
}

/// A canary size apart from its weight.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scale {
    /// A count of pods.
    Replicas(u32),
    /// A share of the replicas, of the total that weights are shares of.
    Share(u32),
}

/// A step and the index of the entry in the user's list that it comes from.
#[derive(Debug, Clone, PartialEq)]
pub struct Step {
    /// Index in the user's own list; the list's length for what the engine adds at the end.
    pub origin: usize,
    /// What to do.
    pub kind: StepKind,
    /// What to do at the same time; none of it decides when the step is done.
    pub also: Vec<StepKind>,
}

impl Step {
    /// All that it does.
    pub fn kinds(&self) -> impl Iterator<Item = &StepKind> {
        std::iter::once(&self.kind).chain(&self.also)
    }
}

/// Lowers the steps of an Argo canary: one step an entry, then promote and finish.
pub fn lower_argo(rollout: &Rollout) -> Vec<Step> {
    let Strategy::Canary(canary) = &rollout.strategy else { return Vec::new() };
    let total = canary.weight_total;
    let entries = canary.steps.iter().enumerate().map(|(origin, step)| lower_entry(origin, step, total));
    entries.chain(ending(canary.steps.len())).collect()
}

fn lower_entry(origin: usize, step: &CanaryStep, total: u32) -> Step {
    match step {
        CanaryStep::Several(steps) => {
            let mut kinds = steps.iter().map(|step| lower_step(step, total));
            let kind = kinds.next().unwrap_or(StepKind::Wait(None));
            Step { origin, kind, also: kinds.collect() }
        }
        step => Step { origin, kind: lower_step(step, total), also: Vec::new() },
    }
}

fn lower_step(step: &CanaryStep, total: u32) -> StepKind {
    match step {
        CanaryStep::SetWeight(weight) => StepKind::SetWeight(Weight::capped(*weight, total)),
        CanaryStep::Pause(duration) => StepKind::Wait(*duration),
        CanaryStep::SetCanaryScale { match_traffic_weight: true, .. } => StepKind::SetScale(None),
        CanaryStep::SetCanaryScale { replicas: Some(count), .. } => StepKind::SetScale(Some(Scale::Replicas(*count))),
        CanaryStep::SetCanaryScale { weight, .. } => StepKind::SetScale(weight.map(Scale::Share)),
        CanaryStep::Analysis(analysis) => StepKind::Analyze(analysis.clone()),
        CanaryStep::Experiment(step) => StepKind::Experiment(step.clone()),
        // The spec was checked when it was read; what the provider's own reader still refuses is a step without effect.
        CanaryStep::SetHeaderRoute(route) => {
            let (name, route) = HeaderRoute::parse(route).unwrap_or_default();
            StepKind::SetHeaderRoute(name, route)
        }
        CanaryStep::SetMirrorRoute(route) => {
            let (name, route) = MirrorRoute::parse(route).unwrap_or_default();
            StepKind::SetMirrorRoute(name, route)
        }
        // The reader nests none.
        CanaryStep::Several(steps) => steps.first().map_or(StepKind::Wait(None), |step| lower_step(step, total)),
    }
}

fn ending(origin: usize) -> [Step; 2] {
    [StepKind::Promote, StepKind::Finish].map(|kind| Step { origin, kind, also: Vec::new() })
}

/// A step in the words that Argo's Events have for it.
pub(super) fn step_text(kind: &StepKind) -> String {
    match kind {
        StepKind::SetWeight(weight) => format!("setWeight: {weight}"),
        StepKind::Wait(None) => "pause".to_owned(),
        StepKind::Wait(Some(duration)) => format!("pause: {}s", duration.as_secs()),
        StepKind::SetScale(None) => "setCanaryScale{matchTrafficWeight: true}".to_owned(),
        StepKind::SetScale(Some(Scale::Share(weight))) => format!("setCanaryScale{{weight: {weight}}}"),
        StepKind::SetScale(Some(Scale::Replicas(count))) => format!("setCanaryScale{{replicas: {count}}}"),
        StepKind::Analyze(_) => "analysis".to_owned(),
        StepKind::Experiment(_) => "experiment".to_owned(),
        StepKind::SetHeaderRoute(name, _) => format!("setHeaderRoute: {name}"),
        StepKind::SetMirrorRoute(name, _) => format!("setMirrorRoute: {name}"),
        StepKind::SetMirror(weight) => format!("mirror: {weight}"),
        StepKind::Gate(name) => format!("gate: {name}"),
        StepKind::Promote => "promote".to_owned(),
        StepKind::Finish => "finish".to_owned(),
    }
}

/// Lowers a Flagger Canary to the same steps: its confirm hooks become gates, each iteration or weight a wait of one
/// interval with the checks of that interval behind it (Flagger's `advanceCanary`).
pub fn lower_flagger(canary: &api::flagger::Canary) -> Vec<Step> {
    let mut kinds = Vec::new();
    let gates = |kind: &str| -> Vec<StepKind> {
        let of_kind = canary.webhooks.iter().filter(|(_, have)| have == kind);
        of_kind.map(|(name, _)| StepKind::Gate(name.clone())).collect()
    };
    kinds.extend(gates("confirm-rollout"));
    kinds.extend(gates("pre-rollout"));
    if !canary.skip_analysis {
        let check = || [StepKind::Wait(Some(canary.interval)), StepKind::Analyze(AnalysisRef::default())];
        if canary.mirror {
            kinds.push(StepKind::SetMirror(Weight::FULL));
            kinds.extend(check());
        }
        for weight in flagger_weights(canary) {
            kinds.push(StepKind::SetWeight(weight));
            kinds.extend(check());
        }
        for _ in 0..canary.iterations.min(10_000) {
            kinds.extend(check());
        }
    }
    kinds.extend(gates("confirm-promotion"));
    let length = kinds.len();
    let entries = kinds.into_iter().enumerate().map(|(origin, kind)| Step { origin, kind, also: Vec::new() });
    entries.chain(ending(length)).collect()
}

fn flagger_weights(canary: &api::flagger::Canary) -> Vec<Weight> {
    let listed = canary.step_weights.iter().filter_map(|weight| Weight::new(i64::from(*weight)).ok());
    if !canary.step_weights.is_empty() {
        return listed.collect();
    }
    if canary.step_weight == 0 {
        return Vec::new();
    }
    let last = canary.max_weight.min(100);
    let climb = (1..).map(|turn: u32| turn.saturating_mul(canary.step_weight)).take_while(|weight| *weight <= last);
    climb.filter_map(|weight| Weight::new(i64::from(weight)).ok()).take(100).collect()
}

/// The weight that holds at `index`: the last one set before or at it, and after all of them everything, which is `total`.
pub fn weight_at(steps: &[Step], index: usize, total: u32) -> Weight {
    let mut kinds = steps.iter().take(index.saturating_add(1)).rev().flat_map(Step::kinds);
    let set = kinds.find_map(|kind| match kind {
        StepKind::SetWeight(weight) => Some(*weight),
        StepKind::Promote | StepKind::Finish => Some(Weight::capped(total, total)),
        _ => None,
    });
    set.unwrap_or(Weight::ZERO)
}

/// The size that holds at `index` apart from the weight, if any.
pub fn scale_at(steps: &[Step], index: usize) -> Option<Scale> {
    let ended = steps.get(index).is_none_or(|step| matches!(step.kind, StepKind::Promote | StepKind::Finish));
    if ended {
        return None;
    }
    let mut kinds = steps.iter().take(index.saturating_add(1)).rev().flat_map(Step::kinds);
    let set = kinds.find_map(|kind| match kind {
        StepKind::SetScale(scale) => Some(*scale),
        _ => None,
    });
    set.flatten()
}

/// The canary strategy of a Rollout, when that is what it has.
pub(crate) fn canary_of(rollout: &Rollout) -> Option<&Canary> {
    match &rollout.strategy {
        Strategy::Canary(canary) => Some(canary),
        Strategy::BlueGreen(_) | Strategy::Unusable => None,
    }
}

/// The blue-green strategy of a Rollout, when that is what it has.
pub(crate) fn blue_green_of(rollout: &Rollout) -> Option<&BlueGreen> {
    match &rollout.strategy {
        Strategy::BlueGreen(strategy) => Some(strategy),
        Strategy::Canary(_) | Strategy::Unusable => None,
    }
}

/// The hash of the steps as Argo's `currentStepHash` has it: a change of steps starts a running canary again.
pub fn step_hash(raw_steps: &Value) -> String {
    super::pod_hash::step_hash(raw_steps)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn flagger(change: impl Fn(&mut api::flagger::Canary)) -> Vec<StepKind> {
        let mut canary = api::flagger::Canary {
            target: "api".to_owned(),
            progress_deadline: Duration::from_secs(60),
            interval: Duration::from_secs(5),
            threshold: 2,
            iterations: 0,
            step_weight: 0,
            max_weight: 100,
            step_weights: Vec::new(),
            mirror: false,
            skip_analysis: false,
            webhooks: Vec::new(),
        };
        change(&mut canary);
        lower_flagger(&canary).into_iter().map(|step| step.kind).collect()
    }

    #[test]
    fn a_flagger_canary_climbs_by_its_step_weight() {
        let kinds = flagger(|canary| {
            canary.step_weight = 40;
            canary.max_weight = 90;
        });
        let weights: Vec<_> = kinds
            .iter()
            .filter_map(|kind| if let StepKind::SetWeight(weight) = kind { Some(weight.get()) } else { None })
            .collect();
        assert_eq!(weights, [40, 80]);
        assert_eq!(kinds[kinds.len() - 2..], [StepKind::Promote, StepKind::Finish]);
    }

    #[test]
    fn flagger_iterations_become_waits_with_checks_between_two_gates() {
        let kinds = flagger(|canary| {
            canary.iterations = 2;
            canary.webhooks = vec![
                ("ask".to_owned(), "confirm-rollout".to_owned()),
                ("yes".to_owned(), "confirm-promotion".to_owned()),
            ];
        });
        let wait = StepKind::Wait(Some(Duration::from_secs(5)));
        let analyze = StepKind::Analyze(AnalysisRef::default());
        assert_eq!(
            kinds,
            [
                StepKind::Gate("ask".to_owned()),
                wait.clone(),
                analyze.clone(),
                wait,
                analyze,
                StepKind::Gate("yes".to_owned()),
                StepKind::Promote,
                StepKind::Finish
            ]
        );
    }
}
