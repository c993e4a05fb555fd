//! The spec of a Rollout, field by field.

use object_model::{Duration, Object};
use serde_json::Value;

use crate::fields::{kind_of, read_duration};
use crate::{Fields, Problem};

/// An absolute count or a share of the replicas.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum IntOrPercent {
    /// A count of pods.
    Count(u32),
    /// A share in percent.
    Percent(u32),
}

impl IntOrPercent {
    /// Reads `1`, `"25%"` and, as Argo's old parser does, `"25"` as percent.
    pub fn parse(value: &Value) -> Option<Self> {
        match value {
            Value::Number(number) => number.as_u64().and_then(|number| u32::try_from(number).ok()).map(Self::Count),
            Value::String(text) => text.trim_end_matches('%').parse().ok().map(Self::Percent),
            _ => None,
        }
    }

    /// The count for `replicas`, rounded up.
    pub fn ceil_of(self, replicas: u32) -> u32 {
        match self {
            Self::Count(count) => count,
            Self::Percent(percent) => share(replicas, percent).div_ceil(100).try_into().unwrap_or(u32::MAX),
        }
    }

    /// The count for `replicas`, rounded down.
    pub fn floor_of(self, replicas: u32) -> u32 {
        match self {
            Self::Count(count) => count,
            Self::Percent(percent) => (share(replicas, percent) / 100).try_into().unwrap_or(u32::MAX),
        }
    }
}

fn share(replicas: u32, percent: u32) -> u64 {
    u64::from(replicas) * u64::from(percent)
}

/// Templates with arguments, as a Rollout refers to them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AnalysisRef {
    /// (template name, whether cluster-scoped).
    pub templates: Vec<(String, bool)>,
    /// `args[]` as written.
    pub args: Vec<Value>,
    /// `dryRun[]` as written.
    pub dry_run: Vec<Value>,
    /// `measurementRetention[]` as written.
    pub measurement_retention: Vec<Value>,
    /// First step (index) at which a background analysis runs.
    pub starting_step: u32,
}

/// One canary step.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CanaryStep {
    /// `setWeight`.
    SetWeight(u32),
    /// `pause`; without a duration it waits for a person.
    Pause(Option<Duration>),
    /// `setCanaryScale`.
    SetCanaryScale {
        /// Absolute count.
        replicas: Option<u32>,
        /// Share in percent.
        weight: Option<u32>,
        /// Back to following the weight.
        match_traffic_weight: bool,
    },
    /// `analysis`.
    Analysis(AnalysisRef),
}

/// `spec.strategy.canary`.
#[derive(Debug, Clone, PartialEq)]
pub struct Canary {
    /// `canaryService`.
    pub canary_service: Option<String>,
    /// `stableService`.
    pub stable_service: Option<String>,
    /// `steps`.
    pub steps: Vec<CanaryStep>,
    /// `steps` as written, for the steps hash.
    pub raw_steps: Value,
    /// `maxSurge`, 25 %.
    pub max_surge: IntOrPercent,
    /// `maxUnavailable`, 25 %.
    pub max_unavailable: IntOrPercent,
    /// `analysis`: background analysis.
    pub analysis: Option<AnalysisRef>,
    /// `trafficRouting` as written; `None` when it names no provider.
    pub routing: Option<Value>,
    /// `scaleDownDelaySeconds`, 30 s: how long an old ReplicaSet stays after traffic left it.
    pub scale_down_delay: Duration,
    /// `abortScaleDownDelaySeconds`, 30 s; `None` (written 0) keeps the canary.
    pub abort_scale_down_delay: Option<Duration>,
}

/// How a Rollout replaces its pods.
#[derive(Debug, Clone, PartialEq)]
pub enum Strategy {
    /// Step by step.
    Canary(Box<Canary>),
    /// None that can be used; the problems say why.
    Unusable,
}

/// The typed fields of a Rollout's spec.
#[derive(Debug, Clone, PartialEq)]
pub struct Rollout {
    /// `replicas`, 1.
    pub replicas: u32,
    /// `selector` as written.
    pub selector: Value,
    /// `template` as written.
    pub template: Value,
    /// `paused`.
    pub paused: bool,
    /// `minReadySeconds`.
    pub min_ready_seconds: u32,
    /// `revisionHistoryLimit`, 10.
    pub revision_history_limit: u32,
    /// `progressDeadlineSeconds`, 600.
    pub progress_deadline: Duration,
    /// `progressDeadlineAbort`.
    pub progress_deadline_abort: bool,
    /// `strategy`.
    pub strategy: Strategy,
}

impl Rollout {
    /// Reads a Rollout; problems name their fields and make the spec invalid.
    pub fn parse(object: &Object) -> (Self, Vec<Problem>) {
        let mut fields = Fields::of(object);
        let selector = fields.value("spec.selector").cloned().unwrap_or(Value::Null);
        let template = fields.value("spec.template").cloned().unwrap_or(Value::Null);
        if fields.value("spec.workloadRef").is_some() {
            fields.problem("spec.workloadRef", "is not served yet; write the template into the Rollout");
        } else {
            check_selector(&mut fields, &selector, &template);
        }
        let rollout = Self {
            replicas: fields.count("spec.replicas").unwrap_or(1),
            selector,
            template,
            paused: fields.boolean("spec.paused").unwrap_or(false),
            min_ready_seconds: fields.count("spec.minReadySeconds").unwrap_or(0),
            revision_history_limit: fields.count("spec.revisionHistoryLimit").unwrap_or(10),
            progress_deadline: Duration::from_secs(u64::from(
                fields.count("spec.progressDeadlineSeconds").unwrap_or(600),
            )),
            progress_deadline_abort: fields.boolean("spec.progressDeadlineAbort").unwrap_or(false),
            strategy: strategy(&mut fields),
        };
        (rollout, fields.into_problems())
    }

    /// Whether traffic is shifted by a provider, not by counting pods.
    pub fn is_routed(&self) -> bool {
        matches!(&self.strategy, Strategy::Canary(canary) if canary.routing.is_some())
    }
}

fn check_selector(fields: &mut Fields<'_>, selector: &Value, template: &Value) {
    match object_model::LabelSelector::parse(selector) {
        Ok(parsed) if parsed.is_empty() => {
            fields.problem("spec.selector", "Required value: empty selector is invalid for deployment")
        }
        Ok(parsed) => {
            let labels = template.pointer("/metadata/labels").and_then(Value::as_object);
            let labels =
                labels.into_iter().flatten().filter_map(|(key, value)| Some((key.as_str(), value.as_str()?))).collect();
            if !parsed.matches(&labels) {
                fields.problem(
                    "spec.template.metadata.labels",
                    "Invalid value: `selector` does not match template `labels`",
                );
            }
        }
        Err(error) => fields.problem("spec.selector", format!("Invalid value: {error}")),
    }
    if template.pointer("/spec/containers").and_then(Value::as_array).is_none_or(Vec::is_empty) {
        fields.problem("spec.template.spec.containers", "Required value");
    }
}

fn strategy(fields: &mut Fields<'_>) -> Strategy {
    let canary = fields.value("spec.strategy.canary");
    let blue_green = fields.value("spec.strategy.blueGreen");
    match (canary, blue_green) {
        (Some(canary), None) => Strategy::Canary(Box::new(read_canary(fields, canary))),
        (None, Some(_)) => {
            fields.problem("spec.strategy.blueGreen", "is not served yet; use strategy.canary");
            Strategy::Unusable
        }
        (Some(_), Some(_)) => {
            fields.problem("spec.strategy", "Invalid value: Multiple Strategies can not be listed");
            Strategy::Unusable
        }
        (None, None) => {
            fields.problem(
                "spec.strategy",
                "Required value: Rollout has missing field '.spec.strategy.canary or .spec.strategy.blueGreen'",
            );
            Strategy::Unusable
        }
    }
}

fn read_canary(fields: &mut Fields<'_>, canary: &Value) -> Canary {
    let at = "spec.strategy.canary";
    for unserved in
        ["pingPong", "dynamicStableScale", "minPodsPerReplicaSet", "antiAffinity", "replicaProgressThreshold"]
    {
        if canary.get(unserved).is_some_and(|value| !value.is_null() && value != &Value::Bool(false)) {
            fields.problem(&format!("{at}.{unserved}"), "is not served yet");
        }
    }
    let routing = read_routing(fields, canary);
    let text = |key: &str| canary.get(key).and_then(Value::as_str).filter(|text| !text.is_empty()).map(str::to_owned);
    let seconds = |key: &str| canary.get(key).and_then(Value::as_u64).unwrap_or(30);
    let size = |fields: &mut Fields<'_>, key: &str| match canary.get(key).filter(|value| !value.is_null()) {
        None => IntOrPercent::Percent(25),
        Some(value) => IntOrPercent::parse(value).unwrap_or_else(|| {
            fields
                .problem(&format!("{at}.{key}"), format!("Invalid value: {value} is neither a count nor a percentage"));
            IntOrPercent::Percent(25)
        }),
    };
    let max_surge = size(fields, "maxSurge");
    let max_unavailable = size(fields, "maxUnavailable");
    let zero = |value: IntOrPercent| matches!(value, IntOrPercent::Count(0) | IntOrPercent::Percent(0));
    if zero(max_surge) && zero(max_unavailable) {
        fields.problem(&format!("{at}.maxSurge"), "Invalid value: MaxSurge and MaxUnavailable both can not be zero");
    }
    let canary_service = text("canaryService");
    let stable_service = text("stableService");
    if routing.is_some() && (canary_service.is_none() || stable_service.is_none()) {
        fields.problem(
            &format!("{at}.stableService"),
            "Required value: canaryService and stableService are needed with traffic routing",
        );
    }
    if canary_service.is_some() && canary_service == stable_service {
        fields.problem(&format!("{at}.stableService"), "Invalid value: This rollout uses the same service for the stable and canary services, but two different services are required.");
    }
    Canary {
        steps: read_steps(fields, canary.get("steps"), routing.is_some()),
        raw_steps: canary.get("steps").cloned().unwrap_or(Value::Null),
        canary_service,
        stable_service,
        max_surge,
        max_unavailable,
        analysis: canary
            .get("analysis")
            .filter(|value| !value.is_null())
            .map(|value| read_analysis(fields, "spec.strategy.canary.analysis", value)),
        routing,
        scale_down_delay: Duration::from_secs(seconds("scaleDownDelaySeconds")),
        abort_scale_down_delay: Some(seconds("abortScaleDownDelaySeconds"))
            .filter(|seconds| *seconds > 0)
            .map(Duration::from_secs),
    }
}

fn read_routing(fields: &mut Fields<'_>, canary: &Value) -> Option<Value> {
    let routing = canary.get("trafficRouting")?;
    let total = routing.get("maxTrafficWeight").filter(|value| !value.is_null());
    if total.is_some_and(|total| total.as_u64() != Some(100)) {
        fields.problem("spec.strategy.canary.trafficRouting.maxTrafficWeight", "is not served yet but as 100");
    }
    let is_provider = |(name, section): (&String, &Value)| {
        !section.is_null() && !matches!(name.as_str(), "managedRoutes" | "maxTrafficWeight")
    };
    routing.as_object()?.iter().any(is_provider).then(|| routing.clone())
}

fn read_steps(fields: &mut Fields<'_>, steps: Option<&Value>, routed: bool) -> Vec<CanaryStep> {
    let items = steps.and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    let mut read = Vec::new();
    for (index, item) in items.iter().enumerate() {
        let at = format!("spec.strategy.canary.steps[{index}]");
        if let Some(step) = read_step(fields, &at, item, routed) {
            read.push(step);
        }
    }
    read
}

fn read_step(fields: &mut Fields<'_>, at: &str, item: &Value, routed: bool) -> Option<CanaryStep> {
    let present = |key: &str| item.get(key).filter(|value| !value.is_null());
    if let Some(weight) = present("setWeight") {
        return match weight.as_u64().and_then(|weight| u32::try_from(weight).ok()).filter(|weight| *weight <= 100) {
            Some(weight) => Some(CanaryStep::SetWeight(weight)),
            None => {
                fields.problem(
                    &format!("{at}.setWeight"),
                    format!("Invalid value: {weight}: SetWeight needs to be between 0 and 100"),
                );
                None
            }
        };
    }
    if let Some(pause) = present("pause") {
        return match pause.get("duration").filter(|value| !value.is_null()) {
            None => Some(CanaryStep::Pause(None)),
            Some(value) => match read_duration(value) {
                Ok(duration) => Some(CanaryStep::Pause(Some(duration))),
                Err(message) => {
                    fields.problem(&format!("{at}.pause.duration"), format!("Invalid value: {message}"));
                    None
                }
            },
        };
    }
    if let Some(scale) = present("setCanaryScale") {
        if !routed {
            fields.problem(&format!("{at}.setCanaryScale"), "Invalid value: SetCanaryScale needs traffic routing");
        }
        let number = |key: &str| scale.get(key).and_then(Value::as_u64).and_then(|number| u32::try_from(number).ok());
        let match_traffic_weight = scale.get("matchTrafficWeight").and_then(Value::as_bool).unwrap_or(false);
        return Some(CanaryStep::SetCanaryScale {
            replicas: number("replicas"),
            weight: number("weight"),
            match_traffic_weight,
        });
    }
    if let Some(analysis) = present("analysis") {
        return Some(CanaryStep::Analysis(read_analysis(fields, &format!("{at}.analysis"), analysis)));
    }
    let named = item.as_object().and_then(|map| map.keys().next()).map_or("empty", String::as_str);
    fields.problem(
        at,
        format!("the step `{named}` is not served yet; setWeight, pause, setCanaryScale and analysis are"),
    );
    None
}

fn read_analysis(fields: &mut Fields<'_>, at: &str, value: &Value) -> AnalysisRef {
    let list = |key: &str| value.get(key).and_then(Value::as_array).cloned().unwrap_or_default();
    let mut templates = Vec::new();
    for (index, item) in list("templates").iter().enumerate() {
        match item.get("templateName").and_then(Value::as_str) {
            Some(name) => {
                templates.push((name.to_owned(), item.get("clusterScope").and_then(Value::as_bool).unwrap_or(false)))
            }
            None => fields.problem(
                &format!("{at}.templates[{index}].templateName"),
                format!("Required value, not {}", kind_of(item)),
            ),
        }
    }
    if templates.is_empty() {
        fields.problem(&format!("{at}.templates"), "Required value: needs at least one template");
    }
    let starting_step = value.get("startingStep").and_then(Value::as_u64).and_then(|step| u32::try_from(step).ok());
    AnalysisRef {
        templates,
        args: list("args"),
        dry_run: list("dryRun"),
        measurement_retention: list("measurementRetention"),
        starting_step: starting_step.unwrap_or(0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn rollout(strategy: Value) -> (Rollout, Vec<String>) {
        let object = Object::parse(json!({
            "apiVersion": "argoproj.io/v1alpha1", "kind": "Rollout", "metadata": {"name": "web", "namespace": "qa"},
            "spec": {"replicas": 5, "selector": {"matchLabels": {"app": "web"}}, "strategy": strategy,
                     "template": {"metadata": {"labels": {"app": "web"}}, "spec": {"containers": [{"name": "web", "image": "web:v1"}]}}},
        }));
        let (rollout, problems) = Rollout::parse(&object.unwrap());
        (rollout, problems.iter().map(ToString::to_string).collect())
    }

    #[test]
    fn steps_and_routing_are_read_as_argo_writes_them() {
        let (rollout, problems) = rollout(json!({"canary": {
            "canaryService": "c", "stableService": "s",
            "trafficRouting": {"istio": {"virtualService": {"name": "web", "routes": ["primary"]}}},
            "steps": [{"setWeight": 20}, {"pause": {"duration": "6s"}}, {"pause": {}}, {"pause": {"duration": 3}}],
        }}));
        assert!(problems.is_empty(), "{problems:?}");
        assert!(rollout.is_routed());
        let Strategy::Canary(canary) = rollout.strategy else { panic!("a canary") };
        assert_eq!(
            canary.steps,
            [
                CanaryStep::SetWeight(20),
                CanaryStep::Pause(Some(Duration::from_secs(6))),
                CanaryStep::Pause(None),
                CanaryStep::Pause(Some(Duration::from_secs(3)))
            ]
        );
        assert_eq!(canary.abort_scale_down_delay, Some(Duration::from_secs(30)));
    }

    #[test]
    fn what_can_not_be_honoured_is_said_by_name() {
        let (_, problems) = rollout(
            json!({"canary": {"steps": [{"setWeight": 120}, {"experiment": {}}], "trafficRouting": {"maxTrafficWeight": 1000}}}),
        );
        assert_eq!(
            problems,
            [
                "spec.strategy.canary.trafficRouting.maxTrafficWeight: is not served yet but as 100",
                "spec.strategy.canary.steps[0].setWeight: Invalid value: 120: SetWeight needs to be between 0 and 100",
                "spec.strategy.canary.steps[1]: the step `experiment` is not served yet; setWeight, pause, setCanaryScale and analysis are",
            ]
        );
    }

    #[test]
    fn a_text_without_a_percent_sign_still_means_percent() {
        assert_eq!(IntOrPercent::parse(&json!("25")), Some(IntOrPercent::Percent(25)));
        assert_eq!(IntOrPercent::Percent(25).ceil_of(5), 2);
        assert_eq!(IntOrPercent::Percent(25).floor_of(5), 1);
    }
}
