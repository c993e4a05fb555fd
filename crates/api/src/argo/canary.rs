//! `spec.strategy.canary`.

use object_model::Duration;
use serde_json::Value;

use super::analysis_ref::{AnalysisRef, read_analysis};
use super::canary_step::{CanaryStep, read_steps};
use super::sizes::{
    AntiAffinity, IntOrPercent, PodMetadata, read_anti_affinity, read_count, read_seconds, read_size, read_text, refuse,
};
use crate::Fields;

/// How much of the asked-for capacity lets a step or a promotion go on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ProgressThreshold {
    /// So many percent of the pods that the step asks for.
    Percent(u32),
    /// So many pods.
    Pods(u32),
}

impl ProgressThreshold {
    /// Whether `available` of `desired` pods are enough.
    pub fn is_met(self, available: u32, desired: u32) -> bool {
        match self {
            Self::Percent(percent) => {
                desired == 0 || u64::from(available) * 100 >= u64::from(percent) * u64::from(desired)
            }
            Self::Pods(pods) => available >= pods,
        }
    }
}

/// `pingPong`: two Services that take turns at being the stable one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PingPong {
    /// `pingService`.
    pub ping: String,
    /// `pongService`.
    pub pong: String,
}

/// `spec.strategy.canary`.
#[derive(Debug, Clone, PartialEq)]
pub struct Canary {
    /// `canaryService`.
    pub canary_service: Option<String>,
    /// `stableService`.
    pub stable_service: Option<String>,
    /// `pingPong`.
    pub ping_pong: Option<PingPong>,
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
    /// `trafficRouting.managedRoutes`: names, first is strongest.
    pub managed_routes: Vec<String>,
    /// `scaleDownDelaySeconds`, 30 s: how long an old ReplicaSet stays after traffic left it.
    pub scale_down_delay: Duration,
    /// `scaleDownDelayRevisionLimit`: how many old ReplicaSets may wait for their deadline at once.
    pub scale_down_delay_revisions: Option<u32>,
    /// `abortScaleDownDelaySeconds`, 30 s; `None` (written 0) keeps the canary.
    pub abort_scale_down_delay: Option<Duration>,
    /// Whether `abortScaleDownDelaySeconds` is written.
    pub has_abort_delay: bool,
    /// `dynamicStableScale`: stable gives up the pods that its share of traffic does not need.
    pub dynamic_stable_scale: bool,
    /// `minPodsPerReplicaSet`.
    pub min_pods: Option<u32>,
    /// `replicaProgressThreshold`.
    pub progress_threshold: Option<ProgressThreshold>,
    /// `antiAffinity`.
    pub anti_affinity: Option<AntiAffinity>,
    /// `canaryMetadata`.
    pub canary_metadata: Option<PodMetadata>,
    /// `stableMetadata`.
    pub stable_metadata: Option<PodMetadata>,
}

pub(crate) fn read_canary(fields: &mut Fields<'_>, canary: &Value) -> Canary {
    let at = "spec.strategy.canary";
    refuse(fields, at, canary, &["pingPong", "canaryMetadata", "stableMetadata"]);
    let routing = read_routing(fields, canary);
    let managed = canary.pointer("/trafficRouting/managedRoutes").and_then(Value::as_array);
    let managed_routes: Option<Vec<String>> =
        managed.map(|routes| routes.iter().filter_map(|route| Some(route.get("name")?.as_str()?.to_owned())).collect());
    let max_surge = read_size(fields, at, canary, "maxSurge");
    let max_unavailable = read_size(fields, at, canary, "maxUnavailable");
    if max_surge.is_zero() && max_unavailable.is_zero() {
        let seen = canary.get("maxSurge").unwrap_or(&Value::Null);
        let message = format!("Invalid value: {seen}: MaxSurge and MaxUnavailable both can not be zero");
        fields.problem("spec.strategy.maxSurge", message);
    }
    check_delays(fields, canary, routing.is_some());
    let delay = read_seconds(fields, at, canary, "scaleDownDelaySeconds");
    let abort_delay = read_seconds(fields, at, canary, "abortScaleDownDelaySeconds");
    let part = |key: &str| canary.get(key).filter(|value| !value.is_null());
    let ping_pong = part("pingPong").map(|value| PingPong {
        ping: read_text(value, "pingService").unwrap_or_default(),
        pong: read_text(value, "pongService").unwrap_or_default(),
    });
    let read = Canary {
        steps: read_steps(fields, part("steps"), routing.is_some(), managed_routes.as_deref()),
        raw_steps: canary.get("steps").cloned().unwrap_or(Value::Null),
        canary_service: read_text(canary, "canaryService"),
        stable_service: read_text(canary, "stableService"),
        ping_pong,
        max_surge,
        max_unavailable,
        analysis: part("analysis").map(|value| read_analysis(fields, &format!("{at}.analysis"), value)),
        routing,
        managed_routes: managed_routes.unwrap_or_default(),
        scale_down_delay: delay.unwrap_or(Duration::from_secs(30)),
        scale_down_delay_revisions: read_count(fields, at, canary, "scaleDownDelayRevisionLimit"),
        abort_scale_down_delay: Some(abort_delay.unwrap_or(Duration::from_secs(30))).filter(|span| !span.is_zero()),
        has_abort_delay: abort_delay.is_some(),
        dynamic_stable_scale: part("dynamicStableScale").and_then(Value::as_bool).unwrap_or(false),
        min_pods: read_count(fields, at, canary, "minPodsPerReplicaSet"),
        progress_threshold: read_threshold(fields, at, canary),
        anti_affinity: read_anti_affinity(fields, "spec.strategy", canary),
        canary_metadata: part("canaryMetadata").map(PodMetadata::parse),
        stable_metadata: part("stableMetadata").map(PodMetadata::parse),
    };
    check_services(fields, &read);
    read
}

/// Argo's words on delays that have no meaning without a provider, or none together.
fn check_delays(fields: &mut Fields<'_>, canary: &Value, routed: bool) {
    let delay = canary.get("scaleDownDelaySeconds").filter(|value| !value.is_null());
    let dynamic = canary.get("dynamicStableScale") == Some(&Value::Bool(true));
    if let (Some(seconds), false) = (delay, routed) {
        let message =
            format!("Invalid value: {seconds}: Canary scaleDownDelaySeconds can only be used with traffic routing");
        fields.problem("spec.strategy.scaleDownDelaySeconds", message);
    }
    if dynamic && !routed {
        let message = "Invalid value: true: Canary dynamicStableScale can only be used with traffic routing";
        fields.problem("spec.strategy.dynamicStableScale", message);
    }
    if dynamic && delay.is_some() && routed {
        let message = "Invalid value: true: Canary dynamicStableScale cannot be used with scaleDownDelaySeconds";
        fields.problem("spec.strategy.dynamicStableScale", message);
    }
}

fn check_services(fields: &mut Fields<'_>, canary: &Canary) {
    if let (Some(first), Some(second)) = (&canary.canary_service, &canary.stable_service)
        && first == second
    {
        let message = format!(
            "Invalid value: {second:?}: This rollout uses the same service for the stable and canary services, but two different services are required."
        );
        fields.problem("spec.strategy.stableService", message);
    }
    if let Some(PingPong { ping, pong }) = &canary.ping_pong {
        let missing = "Ping service and Pong service must to be set to use Ping-Pong feature";
        for (key, name) in [("pingService", ping), ("pongService", pong)] {
            if name.is_empty() {
                fields.problem(&format!("spec.strategy.pingPong.{key}"), format!("Invalid value: {name:?}: {missing}"));
            }
        }
        if ping == pong {
            let message = format!(
                "Invalid value: {ping:?}: This rollout uses the same service for the ping and pong services, but two different services are required."
            );
            fields.problem("spec.strategy.pingPong.pingService", message);
        }
        return;
    }
    let by_subset = |routing: &Value| routing.pointer("/istio/destinationRule").is_some_and(|rule| !rule.is_null());
    if canary.routing.as_ref().is_some_and(|routing| !by_subset(routing)) {
        let message = "Invalid value: \"\": Canary service and Stable service must to be set to use Traffic Routing";
        for (key, name) in [("stableService", &canary.stable_service), ("canaryService", &canary.canary_service)] {
            if name.is_none() {
                fields.problem(&format!("spec.strategy.{key}"), message);
            }
        }
    }
}

fn read_threshold(fields: &mut Fields<'_>, at: &str, canary: &Value) -> Option<ProgressThreshold> {
    let value = canary.get("replicaProgressThreshold").filter(|value| !value.is_null())?;
    let at = format!("{at}.replicaProgressThreshold");
    let amount = read_count(fields, &at, value, "value")?;
    match value.get("type").and_then(Value::as_str) {
        Some("Percent") => Some(ProgressThreshold::Percent(amount)),
        Some("Pods") => Some(ProgressThreshold::Pods(amount)),
        other => {
            let seen = other.unwrap_or_default();
            fields.problem(
                &format!("{at}.type"),
                format!("Unsupported value: {seen:?}: supported values: \"Percent\", \"Pods\""),
            );
            None
        }
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
