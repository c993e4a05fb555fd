//! The steps of a canary.

use object_model::Duration;
use serde_json::Value;

use super::analysis_ref::{AnalysisRef, read_analysis};
use super::experiment::{ExperimentStep, read_experiment_step};
use super::sizes::read_count;
use crate::Fields;
use crate::fields::read_duration;

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
    /// `experiment`.
    Experiment(Box<ExperimentStep>),
    /// `setHeaderRoute` as written.
    SetHeaderRoute(Value),
    /// `setMirrorRoute` as written.
    SetMirrorRoute(Value),
}

/// The keys that make a step what it is, in the order in which Argo asks for them.
const KINDS: [&str; 8] =
    ["pause", "setCanaryScale", "setWeight", "experiment", "analysis", "setHeaderRoute", "setMirrorRoute", "plugin"];

pub(crate) fn read_steps(
    fields: &mut Fields<'_>,
    steps: Option<&Value>,
    routed: bool,
    managed: Option<&[String]>,
) -> Vec<CanaryStep> {
    let items = steps.and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    let mut read = Vec::new();
    for (index, item) in items.iter().enumerate() {
        let at = format!("spec.strategy.steps[{index}]");
        if let Some(step) = read_step(fields, &at, item, routed, managed) {
            read.push(step);
        }
    }
    read
}

fn read_step(
    fields: &mut Fields<'_>,
    at: &str,
    item: &Value,
    routed: bool,
    managed: Option<&[String]>,
) -> Option<CanaryStep> {
    let named: Vec<(&str, &Value)> =
        KINDS.iter().filter_map(|kind| Some((*kind, item.get(*kind).filter(|value| !value.is_null())?))).collect();
    let [(kind, value)] = named.as_slice() else {
        let seen: Vec<&str> = named.iter().map(|(kind, _)| *kind).collect();
        let message = "Step must have one of the following set: experiment, setWeight, setCanaryScale, plugin or pause";
        fields.problem(at, format!("Invalid value: {:?}: {message}", seen.join(", ")));
        return None;
    };
    match *kind {
        "setWeight" => weight(fields, at, value).map(CanaryStep::SetWeight),
        "pause" => pause(fields, at, value),
        "setCanaryScale" => scale(fields, at, value, routed),
        "analysis" => Some(CanaryStep::Analysis(read_analysis(fields, &format!("{at}.analysis"), value))),
        "experiment" => {
            read_experiment_step(fields, at, value, routed).map(|step| CanaryStep::Experiment(Box::new(step)))
        }
        "setHeaderRoute" | "setMirrorRoute" => route(fields, at, kind, value, routed, managed),
        other => {
            let served = "setWeight, pause, setCanaryScale, analysis, experiment, setHeaderRoute and setMirrorRoute";
            fields.problem(at, format!("the step `{other}` is not served yet; {served} are"));
            None
        }
    }
}

fn weight(fields: &mut Fields<'_>, at: &str, value: &Value) -> Option<u32> {
    let weight = value.as_u64().and_then(|weight| u32::try_from(weight).ok()).filter(|weight| *weight <= 100);
    if weight.is_none() {
        let message = format!("Invalid value: {value}: SetWeight needs to be between 0 and 100");
        fields.problem(&format!("{at}.setWeight"), message);
    }
    weight
}

fn pause(fields: &mut Fields<'_>, at: &str, value: &Value) -> Option<CanaryStep> {
    let Some(duration) = value.get("duration").filter(|value| !value.is_null()) else {
        return Some(CanaryStep::Pause(None));
    };
    let is_negative = duration.as_i64().is_some_and(|seconds| seconds < 0)
        || duration.as_str().is_some_and(|text| text.starts_with('-'));
    let at = format!("{at}.pause.duration");
    if is_negative {
        fields.problem(&at, format!("Invalid value: {duration}: Duration needs to be greater than 0"));
        return None;
    }
    match read_duration(duration) {
        Ok(duration) => Some(CanaryStep::Pause(Some(duration))),
        Err(message) => {
            fields.problem(&at, format!("Invalid value: {message}"));
            None
        }
    }
}

fn scale(fields: &mut Fields<'_>, at: &str, value: &Value, routed: bool) -> Option<CanaryStep> {
    if !routed {
        let message = "Required value: SetCanaryScale requires TrafficRouting to be set";
        fields.problem("spec.strategy.trafficRouting", message);
    }
    let at = format!("{at}.setCanaryScale");
    Some(CanaryStep::SetCanaryScale {
        replicas: read_count(fields, &at, value, "replicas"),
        weight: read_count(fields, &at, value, "weight"),
        match_traffic_weight: value.get("matchTrafficWeight").and_then(Value::as_bool).unwrap_or(false),
    })
}

fn route(
    fields: &mut Fields<'_>,
    at: &str,
    kind: &str,
    value: &Value,
    routed: bool,
    managed: Option<&[String]>,
) -> Option<CanaryStep> {
    let at = format!("{at}.{kind}");
    if !routed {
        let message = match kind {
            "setHeaderRoute" => "SetHeaderRoute requires TrafficRouting, supports Istio and ALB and Apisix",
            _ => "SetMirrorRoute requires TrafficRouting, supports Istio and Plugins",
        };
        fields.problem(&at, format!("Invalid value: {message}"));
        return None;
    }
    let name = value.get("name").and_then(Value::as_str).unwrap_or_default();
    match managed {
        None => {
            let message =
                "Required value: Rollout has missing field 'spec.strategy.canary.trafficRouting.managedRoutes'";
            fields.problem("spec.strategy.trafficRouting.managedRoutes", message);
        }
        Some(managed) if !managed.iter().any(|route| route == name) => {
            let message =
                "Steps define a route that does not exist in spec.strategy.canary.trafficRouting.managedRoutes";
            fields.problem(&at, format!("Invalid value: {name:?}: {message}"));
        }
        Some(_) => {}
    }
    let matches = value.get("match").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    for (index, item) in matches.iter().enumerate() {
        let asked: Vec<Option<&Value>> = match kind {
            "setHeaderRoute" => vec![item.get("headerValue")],
            _ => ["method", "path"].iter().map(|key| item.get(*key)).filter(Option::is_some).collect(),
        };
        asked.into_iter().for_each(|asked| one_way_to_match(fields, &format!("{at}.match[{index}]"), asked));
    }
    Some(match kind {
        "setHeaderRoute" => CanaryStep::SetHeaderRoute(value.clone()),
        _ => CanaryStep::SetMirrorRoute(value.clone()),
    })
}

fn one_way_to_match(fields: &mut Fields<'_>, at: &str, value: Option<&Value>) {
    let ways = ["exact", "regex", "prefix"];
    let has = |way: &&str| value.and_then(|value| value.get(*way)?.as_str()).is_some_and(|text| !text.is_empty());
    let message = match ways.iter().filter(|way| has(way)).count() {
        1 => return,
        0 => "StringMatch value missed, match value must have one of the following: exact, regex, prefix",
        _ => "StringMatch match value must have exactly one of the following: exact, regex, prefix",
    };
    let seen = value.unwrap_or(&Value::Null);
    fields.problem(at, format!("Invalid value: {seen}: {message}"));
}
