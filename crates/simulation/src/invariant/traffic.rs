//! I3 and I4: where requests go.

use serde_json::Value;

use super::view::{Rollout, hash_of, int, istio_weight, items, nginx_weight, routes, selected};
use super::{Ground, Memory};

/// Remembers when a version that served was left by its Service.
pub(super) fn remember(ground: &Ground<'_>, memory: &mut Memory) {
    let change = &ground.write.change;
    if &*change.resource != "services" {
        return;
    }
    let (Some(before), Some(after)) = (&change.before, &change.after) else { return };
    let (from, to) = (selected(before), selected(after));
    if from == to || from.is_empty() {
        return;
    }
    for rollout in Rollout::all(ground.cluster, &change.namespace) {
        let serves = ["/spec/strategy/blueGreen/activeService", "/spec/strategy/canary/stableService"];
        if !serves.iter().any(|pointer| rollout.text(pointer) == &*change.name) {
            continue;
        }
        let left = rollout.sets().into_iter().find(|set| hash_of(set) == from);
        if let Some(left) = left.filter(|set| int(set, "/status/availableReplicas") > 0) {
            memory.left.insert((change.namespace.to_string(), left.name().to_owned()), ground.ms);
        }
    }
}

pub(super) fn judge(ground: &Ground<'_>) {
    match &*ground.write.change.resource {
        "services" => selector(ground),
        "virtualservices.networking.istio.io" => istio(ground),
        _ => nginx(ground),
    }
}

/// A Service that serves is not pointed at a version without available pods while its present one has some.
fn selector(ground: &Ground<'_>) {
    let change = &ground.write.change;
    let (Some(before), Some(after)) = (&change.before, &change.after) else { return };
    let (from, to) = (selected(before), selected(after));
    if from == to || ground.play.counts().hit_pods {
        return;
    }
    for rollout in Rollout::all(ground.cluster, &change.namespace) {
        let is = |pointer: &str| rollout.text(pointer) == &*change.name;
        let serves = is("/spec/strategy/blueGreen/activeService") || is("/spec/strategy/canary/stableService");
        let tries = is("/spec/strategy/canary/canaryService") && rollout.weight() > 0;
        if !serves && !tries {
            continue;
        }
        if to.is_empty() {
            ground.broke("I4", format!("Service {} lost the selector of its version {from}", change.name));
        } else if rollout.available(from) > 0 && rollout.available(to) == 0 {
            ground.broke("I4", format!("Service {} goes from {from} to {to}, which has no available pod", change.name));
        }
        let promotes = is("/spec/strategy/blueGreen/activeService") && to != rollout.text("/status/stableRS");
        if promotes && !from.is_empty() && rollout.available(to) < rollout.replicas() {
            let have = rollout.available(to);
            ground.broke("I4", format!("active Service {} goes to {to}, which has {have} pods", change.name));
        }
    }
}

fn istio(ground: &Ground<'_>) {
    let change = &ground.write.change;
    let Some(after) = &change.after else { return };
    for http in items(after, "/spec/http") {
        let weights: Vec<i64> = routes(http).iter().filter_map(|route| route.get("weight")?.as_i64()).collect();
        let sum: i64 = weights.iter().sum();
        if weights.len() > 1 && (sum != 100 || weights.iter().any(|weight| !(0..=100).contains(weight))) {
            ground.broke("I3", format!("the weights of VirtualService {} are {weights:?}", change.name));
        }
    }
    for rollout in Rollout::all(ground.cluster, &change.namespace) {
        if rollout.text("/spec/strategy/canary/trafficRouting/istio/virtualService/name") == &*change.name {
            let canary = rollout.text("/spec/strategy/canary/canaryService");
            let before = change.before.as_ref().map_or(0, |before| istio_weight(before, canary));
            raise(ground, &rollout, before, istio_weight(after, canary));
        }
    }
}

fn nginx(ground: &Ground<'_>) {
    let change = &ground.write.change;
    let Some(after) = &change.after else { return };
    let weight = nginx_weight(after);
    if !(0..=100).contains(&weight) {
        ground.broke("I3", format!("the canary weight of Ingress {} is {weight}", change.name));
    }
    for rollout in Rollout::all(ground.cluster, &change.namespace) {
        let ingress = rollout.text("/spec/strategy/canary/trafficRouting/nginx/stableIngress");
        if format!("{}-{ingress}-canary", rollout.object.name()) == *change.name {
            let backend = after.at("/spec/rules/0/http/paths/0/backend/service/name").and_then(Value::as_str);
            let canary = rollout.text("/spec/strategy/canary/canaryService");
            if backend != Some(canary) {
                ground.broke("I4", format!("canary Ingress {} sends to {backend:?}", change.name));
            }
            raise(ground, &rollout, change.before.as_ref().map_or(0, |before| nginx_weight(before)), weight);
        }
    }
}

/// A version that gave pods away gets no more requests than its pods can take.
fn returns(ground: &Ground<'_>, rollout: &Rollout<'_>, after: i64) {
    let gives_up = rollout.object.at("/spec/strategy/canary/dynamicStableScale").and_then(Value::as_bool);
    let (all, have) = (rollout.replicas(), rollout.available(rollout.serving()));
    // Shares and pods are rounded, each at most by one pod.
    let needed = all * (100 - after) / 100;
    if gives_up == Some(true) && have < needed && !ground.play.counts().hit_pods {
        ground.broke("I1", format!("stable gets {} % of the requests with {have} of {all} pods", 100 - after));
    }
}

/// Only a version with available pods gets more requests; one that failed gets none.
fn raise(ground: &Ground<'_>, rollout: &Rollout<'_>, before: i64, after: i64) {
    if after < before {
        returns(ground, rollout, after);
    }
    if after <= before {
        return;
    }
    let hash = rollout.trying();
    if !ground.play.counts().hit_pods && rollout.available(hash) == 0 {
        ground.broke("I4", format!("version `{hash}` gets {after} % of the requests and has no available pod"));
    }
    let is_aborted = rollout.object.at("/status/abort").and_then(Value::as_bool) == Some(true);
    if is_aborted && rollout.text("/status/phase") == "Degraded" && hash == rollout.text("/status/currentPodHash") {
        ground.broke("I4", format!("version {hash} was given up and gets {after} % of the requests"));
    }
    if after == 100 && hash != rollout.serving() {
        let want = rollout.replicas();
        let have = rollout.available(hash);
        if have < want && !ground.play.counts().hit_pods {
            ground.broke("I4", format!("version {hash} gets all requests with {have} of {want} pods"));
        }
    }
}
