//! `spec.strategy.canary`.

use object_model::Duration;
use serde_json::Value;

use super::analysis_ref::{AnalysisRef, read_analysis};
use super::canary_step::{CanaryStep, read_steps};
use super::sizes::{
    AntiAffinity, IntOrPercent, PodMetadata, read_anti_affinity, read_count, read_seconds, read_size, read_text,
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
    /// `trafficRouting.maxTrafficWeight`, 100: what weights are shares of.
    pub weight_total: u32,
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
    let routing = read_routing(canary);
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
    let canary_service = read_text(canary, "canaryService");
    let stable_service = read_text(canary, "stableService");
    let part = |key: &str| canary.get(key).filter(|value| !value.is_null());
    let ping_pong = part("pingPong").map(|value| PingPong {
        ping: read_text(value, "pingService").unwrap_or_default(),
        pong: read_text(value, "pongService").unwrap_or_default(),
    });
    let services = Services {
        canary: canary_service.as_deref(),
        stable: stable_service.as_deref(),
        ping_pong: ping_pong.as_ref(),
    };
    check_services(fields, &services, canary.get("trafficRouting").unwrap_or(&Value::Null));
    check_delays(fields, canary, routing.is_some());
    let weight_total = read_total(fields, canary);
    let delay = read_seconds(fields, at, canary, "scaleDownDelaySeconds");
    let abort_delay = read_seconds(fields, at, canary, "abortScaleDownDelaySeconds");
    Canary {
        steps: read_steps(fields, part("steps"), canary.get("trafficRouting"), managed_routes.as_deref(), weight_total),
        raw_steps: canary.get("steps").cloned().unwrap_or(Value::Null),
        canary_service,
        stable_service,
        ping_pong,
        max_surge,
        max_unavailable,
        analysis: part("analysis").map(|value| read_analysis(fields, &format!("{at}.analysis"), value)),
        routing,
        weight_total,
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
    }
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

/// The Services that a canary names.
struct Services<'a> {
    canary: Option<&'a str>,
    stable: Option<&'a str>,
    ping_pong: Option<&'a PingPong>,
}

fn check_services(fields: &mut Fields<'_>, services: &Services<'_>, routing: &Value) {
    if let (Some(canary), Some(stable)) = (services.canary, services.stable)
        && canary == stable
    {
        let message = format!(
            "Invalid value: {stable:?}: This rollout uses the same service for the stable and canary services, but two different services are required."
        );
        fields.problem("spec.strategy.stableService", message);
    }
    if let Some(ping_pong) = services.ping_pong {
        check_ping_pong(fields, ping_pong, routing);
        check_apart(fields, services, ping_pong);
    }
    if needs_two_services(routing, services.ping_pong.is_some()) {
        let message = "Invalid value: \"\": Canary service and Stable service must to be set to use Traffic Routing";
        for (key, name) in [("stableService", services.stable), ("canaryService", services.canary)] {
            if name.is_none() {
                fields.problem(&format!("spec.strategy.{key}"), message);
            }
        }
    }
}

/// A Service that keeps its role can't take turns. Argo has no words on it: there the two roles take the Service from each
/// other for ever.
fn check_apart(fields: &mut Fields<'_>, services: &Services<'_>, PingPong { ping, pong }: &PingPong) {
    for (key, name) in [("pingService", ping), ("pongService", pong)] {
        let fixed = [("canaryService", services.canary), ("stableService", services.stable)];
        if let Some((other, _)) = fixed.iter().find(|(_, fixed)| *fixed == Some(name.as_str())) {
            let message = format!("Invalid value: {name:?}: a Service that takes turns can't be the {other} too");
            fields.problem(&format!("spec.strategy.pingPong.{key}"), message);
        }
    }
}

/// Whether a section of the traffic routing is there.
pub(crate) fn has_provider(routing: &Value, name: &str) -> bool {
    match routing.get(name) {
        None | Some(Value::Null) => false,
        Some(Value::Object(section)) if name == "plugins" => !section.is_empty(),
        Some(_) => true,
    }
}

fn check_ping_pong(fields: &mut Fields<'_>, PingPong { ping, pong }: &PingPong, routing: &Value) {
    let takes_turns = ["alb", "istio", "plugins"].iter().any(|name| has_provider(routing, name));
    if routing.is_object() && !takes_turns {
        let message = "Ping-pong feature works with the ALB, Istio, and plugin-based traffic routers only";
        fields.problem("spec.strategy.trafficRouting.alb", format!("Invalid value: null: {message}"));
    }
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
    if has_provider(routing, "alb")
        && routing.pointer("/alb/rootService").and_then(Value::as_str).is_none_or(str::is_empty)
    {
        let message = "Root service field is required for the configuration with ALB and ping-pong feature enabled";
        fields.problem("spec.strategy.trafficRouting.alb.rootService", format!("Invalid value: \"\": {message}"));
    }
}

/// Whether a provider leads to the versions by the names of two Services, and no others take turns.
fn needs_two_services(routing: &Value, takes_turns: bool) -> bool {
    let has = |name: &str| has_provider(routing, name);
    let by_subset = routing.pointer("/istio/destinationRule").is_some_and(|rule| !rule.is_null());
    let always = ["smi", "apisix", "ambassador", "nginx", "appMesh", "traefik"];
    always.iter().any(|name| has(name))
        || (!takes_turns && (has("alb") || has("plugins") || has("istio") && !by_subset))
}

/// What weights are shares of, with Argo's words on the providers that take another total than 100, and ours on one that
/// leaves nothing to divide.
fn read_total(fields: &mut Fields<'_>, canary: &Value) -> u32 {
    const USUAL: u32 = 100;
    let routing = canary.get("trafficRouting").unwrap_or(&Value::Null);
    let Some(total) = routing.get("maxTrafficWeight").filter(|value| !value.is_null()) else { return USUAL };
    let number = total.as_i64().and_then(|total| i32::try_from(total).ok()).and_then(|total| u32::try_from(total).ok());
    let number = number.filter(|total| *total > 0);
    if !has_provider(routing, "nginx") && !has_provider(routing, "plugins") {
        let message = "Canary maxTrafficWeight in traffic routing only supported in Nginx and Plugins";
        fields.problem("spec.strategy.trafficRouting.maxTrafficWeight", format!("Invalid value: {total}: {message}"));
    } else if number.is_none() {
        let message = format!("Invalid value: {total}: needs to be at least 1");
        fields.problem("spec.strategy.trafficRouting.maxTrafficWeight", message);
    }
    number.unwrap_or(USUAL)
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

fn read_routing(canary: &Value) -> Option<Value> {
    let routing = canary.get("trafficRouting")?;
    let is_provider = |(name, section): (&String, &Value)| {
        !section.is_null() && !matches!(name.as_str(), "managedRoutes" | "maxTrafficWeight")
    };
    routing.as_object()?.iter().any(is_provider).then(|| routing.clone())
}
