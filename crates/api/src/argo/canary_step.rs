//! The steps of a canary.

use object_model::Duration;
use serde_json::Value;

use super::analysis_ref::{AnalysisRef, read_analysis};
use super::canary::has_provider;
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
    /// A step that says several things at once, the one that tells when it is done first.
    Several(Vec<CanaryStep>),
}

/// Of these a step has one at most; the others may stand beside it.
const ALONE: [&str; 4] = ["pause", "setWeight", "experiment", "analysis"];

/// The keys that make a step what it is, in the order in which Argo asks for them.
const KINDS: [&str; 8] =
    ["pause", "setCanaryScale", "setWeight", "experiment", "analysis", "setHeaderRoute", "setMirrorRoute", "plugin"];

/// What steps may lean on: the providers of traffic, the names of the routes that are managed, and what weights are shares
/// of.
#[derive(Clone, Copy)]
struct Ground<'a> {
    routing: Option<&'a Value>,
    managed: Option<&'a [String]>,
    weight_total: u32,
}

pub(crate) fn read_steps(
    fields: &mut Fields<'_>,
    steps: Option<&Value>,
    routing: Option<&Value>,
    managed: Option<&[String]>,
    weight_total: u32,
) -> Vec<CanaryStep> {
    let ground = Ground { routing: routing.filter(|routing| !routing.is_null()), managed, weight_total };
    let items = steps.and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    let mut read = Vec::new();
    for (index, item) in items.iter().enumerate() {
        let at = format!("spec.strategy.steps[{index}]");
        if let Some(step) = read_step(fields, &at, item, ground) {
            read.push(step);
        }
    }
    read
}

fn read_step(fields: &mut Fields<'_>, at: &str, item: &Value, ground: Ground<'_>) -> Option<CanaryStep> {
    let mut named: Vec<(&str, &Value)> =
        KINDS.iter().filter_map(|kind| Some((*kind, item.get(*kind).filter(|value| !value.is_null())?))).collect();
    if named.is_empty() || named.iter().filter(|(kind, _)| ALONE.contains(kind)).count() > 1 {
        let message = "Step must have one of the following set: experiment, setWeight, setCanaryScale, plugin or pause";
        fields.problem(at, format!("Invalid value: {:?}: {message}", kinds_seen(&named)));
        return None;
    }
    named.sort_by_key(|(kind, _)| !ALONE.contains(kind));
    let read: Vec<Option<CanaryStep>> =
        named.iter().map(|(kind, value)| read_kind(fields, at, kind, value, ground)).collect();
    let mut steps: Vec<CanaryStep> = read.into_iter().collect::<Option<_>>()?;
    if steps.len() == 1 { steps.pop() } else { Some(CanaryStep::Several(steps)) }
}

fn read_kind(fields: &mut Fields<'_>, at: &str, kind: &str, value: &Value, ground: Ground<'_>) -> Option<CanaryStep> {
    match kind {
        "setWeight" => weight(fields, at, value, ground.weight_total).map(CanaryStep::SetWeight),
        "pause" => pause(fields, at, value),
        "setCanaryScale" => scale(fields, at, value, ground.routing.is_some()),
        "analysis" => {
            check_arguments(fields, at, value);
            Some(CanaryStep::Analysis(read_analysis(fields, &format!("{at}.analysis"), value)))
        }
        "experiment" => read_experiment_step(fields, at, value, ground.routing.is_some())
            .map(|step| CanaryStep::Experiment(Box::new(step))),
        "setHeaderRoute" | "setMirrorRoute" => route(fields, at, kind, value, ground),
        other => {
            let served = "setWeight, pause, setCanaryScale, analysis, experiment, setHeaderRoute and setMirrorRoute";
            fields.problem(at, format!("the step `{other}` is not served yet; {served} are"));
            None
        }
    }
}

/// What Argo shows of a step that is none or several.
fn kinds_seen(named: &[(&str, &Value)]) -> String {
    let has = |kind: &str| named.iter().any(|(have, _)| *have == kind);
    let shown = |kinds: &[(&str, &str)], says: &dyn Fn(&str) -> bool| {
        let parts: Vec<String> = kinds.iter().map(|(word, kind)| format!("step.{word}: {}", says(kind))).collect();
        parts.join(" ")
    };
    let four = [("Experiment", "experiment"), ("Pause", "pause"), ("SetWeight", "setWeight"), ("Analysis", "analysis")];
    if !named.is_empty() {
        return shown(&four, &has);
    }
    let more = [
        ("SetCanaryScale", "setCanaryScale"),
        ("SetHeaderRoute", "setHeaderRoute"),
        ("SetMirrorRoute", "setMirrorRoute"),
        ("Plugin", "plugin"),
    ];
    // Argo tells here which ones are missing.
    shown(&[&four[..], &more[..]].concat(), &|kind| !has(kind))
}

/// An argument that names a field of the metadata must name one that the downward API knows.
fn check_arguments(fields: &mut Fields<'_>, at: &str, analysis: &Value) {
    let Some(arguments) = analysis.get("args").and_then(Value::as_array) else { return };
    let known = |path: &str| {
        let plain = ["annotations", "labels", "name", "namespace", "uid"];
        let rest = path.strip_prefix("metadata.").unwrap_or_default();
        let keyed = rest.strip_suffix("']").and_then(|rest| rest.split_once("['"));
        plain.contains(&rest) || keyed.is_some_and(|(map, _)| matches!(map, "annotations" | "labels"))
    };
    let paths = arguments.iter().filter_map(|argument| argument.pointer("/valueFrom/fieldRef/fieldPath")?.as_str());
    for _ in paths.filter(|path| path.starts_with("metadata") && !known(path)) {
        let message = "Analyses arguments must refer to valid object metadata supported by downwardAPI";
        let seen = Value::Array(arguments.clone());
        fields.problem(&format!("{at}.analyses"), format!("Invalid value: {seen}: {message}"));
    }
}

fn weight(fields: &mut Fields<'_>, at: &str, value: &Value, total: u32) -> Option<u32> {
    let weight = value.as_u64().and_then(|weight| u32::try_from(weight).ok()).filter(|weight| *weight <= total);
    if weight.is_none() {
        let message = format!("Invalid value: {value}: SetWeight needs to be between 0 and {total}");
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
    match read_duration(duration) {
        Ok(duration) if !is_negative => Some(CanaryStep::Pause(Some(duration))),
        _ => {
            // What is no duration at all counts as -1 second for Argo.
            let unsigned = duration.as_str().map(|text| Value::from(text.trim_start_matches('-')));
            let seconds = unsigned.and_then(|text| read_duration(&text).ok()).filter(|_| is_negative);
            let seconds = seconds.map(|span| format!("-{}", span.as_secs()));
            let seconds = seconds.or_else(|| duration.as_i64().map(|seconds| seconds.to_string()));
            let seconds = seconds.unwrap_or_else(|| "-1".to_owned());
            let message = format!("Invalid value: {seconds}: Duration needs to be greater than 0");
            fields.problem(&format!("{at}.pause.duration"), message);
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

fn route(fields: &mut Fields<'_>, at: &str, kind: &str, value: &Value, ground: Ground<'_>) -> Option<CanaryStep> {
    let at = format!("{at}.{kind}");
    let (providers, message): (&[&str], &str) = match kind {
        "setHeaderRoute" => (
            &["istio", "alb", "apisix", "plugins"],
            "SetHeaderRoute requires TrafficRouting, supports Istio and ALB and Apisix",
        ),
        _ => (&["istio", "plugins"], "SetMirrorRoute requires TrafficRouting, supports Istio and Plugins"),
    };
    let routing = ground.routing.unwrap_or(&Value::Null);
    if !providers.iter().any(|name| has_provider(routing, name)) {
        fields.problem(&at, format!("Invalid value: {}: {message}", in_argos_order(value)));
        return None;
    }
    let name = value.get("name").and_then(Value::as_str).unwrap_or_default();
    match ground.managed {
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
        let at = format!("{at}.match[{index}]");
        for asked in asked {
            match kind == "setHeaderRoute" && has_provider(routing, "alb") {
                true => exact_match(fields, &at, asked),
                false => one_way_to_match(fields, &at, asked),
            }
        }
    }
    Some(match kind {
        "setHeaderRoute" => CanaryStep::SetHeaderRoute(value.clone()),
        _ => CanaryStep::SetMirrorRoute(value.clone()),
    })
}

/// A route as Go prints it: its name first.
fn in_argos_order(route: &Value) -> String {
    let keys = ["name", "match", "percentage"];
    let parts = keys.iter().filter_map(|key| Some(format!("\"{key}\":{}", route.get(*key)?)));
    format!("{{{}}}", parts.collect::<Vec<_>>().join(","))
}

/// ALB compares headers with texts and nothing else.
fn exact_match(fields: &mut Fields<'_>, at: &str, value: Option<&Value>) {
    let has = |way: &str| value.and_then(|value| value.get(way)?.as_str()).is_some_and(|text| !text.is_empty());
    let message = match value {
        None => "StringMatch value missed, match value must have one of the following: exact, regex, prefix",
        Some(_) if !has("exact") || has("regex") || has("prefix") => {
            "SetHeaderRoute match value invalid. ALB supports 'exact' value only"
        }
        Some(_) => return,
    };
    fields.problem(at, format!("Invalid value: {}: {message}", value.unwrap_or(&Value::Null)));
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
