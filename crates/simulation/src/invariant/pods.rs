//! I1, I2 and I5: how many pods versions have.

use serde_json::Value;
use sim_cluster::Stored;

use super::view::{Rollout, flag, hash_of, int};
use super::{Ground, Memory};

pub(super) fn judge(ground: &Ground<'_>, memory: &Memory) {
    let change = &ground.write.change;
    let Some(set) = change.after.as_ref().or(change.before.as_ref()) else { return };
    let wanted = |set: &Stored| int(set, "/spec/replicas");
    let from = change.before.as_ref().map_or(0, |set| wanted(set));
    let to = change.after.as_ref().map_or(0, |set| wanted(set));
    let Some(rollout) = Rollout::of(ground.cluster, set) else { return };
    if to < from {
        shrinks(ground, memory, &rollout, set, from, to);
    }
    if to > from {
        grows(ground, &rollout, set, to);
    }
    let same = rollout.sets().iter().filter(|other| hash_of(other) == hash_of(set)).count();
    if same > 1 {
        ground.broke("I2", format!("version {} has {same} ReplicaSets", hash_of(set)));
    }
}

fn shrinks(ground: &Ground<'_>, memory: &Memory, rollout: &Rollout<'_>, set: &Stored, from: i64, to: i64) {
    let (hash, all) = (hash_of(set), rollout.replicas());
    let words = |why: &str| format!("ReplicaSet {} goes from {from} to {to} pods {why}", set.name());
    let weight = rollout.weight();
    let serves = rollout.serving() == hash;
    if rollout.is_blue_green() && serves && to < all {
        ground.broke("I5", words("while the active Service selects it"));
    }
    if rollout.is_routed() && serves {
        let gives_up = flag(&rollout.object, "/spec/strategy/canary/dynamicStableScale");
        let share = if gives_up { 100 - weight } else { 100 };
        let needed = (all * share + 99) / 100;
        if to < needed {
            ground.broke("I5", words(&format!("while the stable Service selects it and {weight} % go elsewhere")));
        }
    }
    if rollout.is_routed() && !serves && rollout.trying() == hash && weight > 0 && to == 0 {
        ground.broke("I5", words(&format!("while it gets {weight} % of the requests")));
    }
    if to == 0 {
        delay(ground, memory, rollout, set);
    }
    if !rollout.is_blue_green() && !rollout.is_routed() && !ground.play.counts().hit_pods {
        available(ground, rollout, set, from, to);
    }
}

/// A version that has served stays for its delay once another one is stable.
fn delay(ground: &Ground<'_>, memory: &Memory, rollout: &Rollout<'_>, set: &Stored) {
    let Some(left) = memory.left.get(&(rollout.namespace.clone(), set.name().to_owned())) else { return };
    let strategy = if rollout.is_blue_green() { "blueGreen" } else { "canary" };
    let seconds = int(&rollout.object, &format!("/spec/strategy/{strategy}/scaleDownDelaySeconds"));
    let is_over = rollout.text("/status/stableRS") == rollout.text("/status/currentPodHash")
        && rollout.text("/status/stableRS") != hash_of(set);
    let lasted = ground.ms.saturating_sub(*left) / 1_000;
    // The deadline is stamped with whole seconds.
    let least = u64::try_from(seconds).unwrap_or(0).saturating_sub(1);
    if is_over && lasted < least {
        ground.broke("I5", format!("ReplicaSet {} loses its pods {lasted} s after it served", set.name()));
    }
}

/// Without a provider the pods are the traffic: a write leaves as many available as the strategy promises, or as many as
/// there were.
fn available(ground: &Ground<'_>, rollout: &Rollout<'_>, set: &Stored, from: i64, to: i64) {
    let unavailable = bound(rollout, "maxUnavailable", false);
    let sum = |size: i64| -> i64 {
        let sets = rollout.sets();
        let of = |other: &Stored| {
            let wanted = if other.name() == set.name() { size } else { int(other, "/spec/replicas") };
            int(other, "/status/availableReplicas").min(wanted)
        };
        sets.iter().map(|other| of(other)).sum()
    };
    let (before, after) = (sum(from), sum(to));
    let promised = rollout.replicas() - unavailable.max(0);
    if after < before && after < promised {
        ground.broke("I1", format!("{after} pods stay available of {promised} after {} goes to {to}", set.name()));
    }
}

fn grows(ground: &Ground<'_>, rollout: &Rollout<'_>, set: &Stored, to: i64) {
    let all = rollout.replicas();
    if to > all {
        ground.broke("I2", format!("ReplicaSet {} is to have {to} pods of {all}", set.name()));
    }
    if rollout.is_blue_green() || rollout.is_routed() {
        return;
    }
    let asked: i64 = rollout.sets().iter().map(|set| int(set, "/spec/replicas")).sum();
    let most = all + bound(rollout, "maxSurge", true).max(1);
    if asked > most {
        ground.broke("I2", format!("{asked} pods are asked for, {most} are the most"));
    }
}

/// A bound of the strategy as a number of pods.
fn bound(rollout: &Rollout<'_>, name: &str, rounds_up: bool) -> i64 {
    match rollout.object.at(&format!("/spec/strategy/canary/{name}")) {
        Some(Value::Number(number)) => number.as_i64().unwrap_or(0),
        Some(Value::String(text)) => {
            let percent: i64 = text.trim_end_matches('%').parse().unwrap_or(25);
            (rollout.replicas() * percent + if rounds_up { 99 } else { 0 }) / 100
        }
        _ => (rollout.replicas() * 25 + if rounds_up { 99 } else { 0 }) / 100,
    }
}
