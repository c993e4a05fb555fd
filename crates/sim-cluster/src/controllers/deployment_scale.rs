//! How many pods each ReplicaSet of a Deployment should have: surge, unavailability, proportion.

use serde_json::{Value, json};

use super::deployment::{Rollout, Sets, annotation, set_annotation};
use super::view::{int, int_or, text, time};
use crate::error::ApiError;

pub(super) const DESIRED_REPLICAS: &str = "deployment.kubernetes.io/desired-replicas";
pub(super) const MAX_REPLICAS: &str = "deployment.kubernetes.io/max-replicas";

fn is_rolling(deployment: &Value) -> bool {
    text(deployment, "/spec/strategy/type") != "Recreate"
}

fn wanted(deployment: &Value) -> i64 {
    int_or(deployment, "/spec/replicas", 1)
}

/// Surge (rounded up) and unavailability (rounded down); both zero would never move, so one may be unavailable then.
fn fenceposts(deployment: &Value) -> (i64, i64) {
    let total = wanted(deployment);
    let resolve = |key: &str, round_up: bool| {
        let value = deployment.pointer(&format!("/spec/strategy/rollingUpdate/{key}"));
        match value {
            Some(Value::String(text)) => {
                let percent: i64 = text.trim_end_matches('%').parse().unwrap_or(25);
                let scaled = percent.saturating_mul(total);
                if round_up { (scaled + 99).div_euclid(100) } else { scaled.div_euclid(100) }
            }
            Some(number) => number.as_i64().unwrap_or(0),
            None => 0,
        }
    };
    match (resolve("maxSurge", true), resolve("maxUnavailable", false)) {
        (0, 0) => (0, 1),
        bounds => bounds,
    }
}

pub(super) fn max_surge(deployment: &Value) -> i64 {
    if is_rolling(deployment) { fenceposts(deployment).0 } else { 0 }
}

pub(super) fn max_unavailable(deployment: &Value) -> i64 {
    if !is_rolling(deployment) || wanted(deployment) == 0 {
        return 0;
    }
    fenceposts(deployment).1.min(wanted(deployment))
}

fn total<'a>(sets: impl Iterator<Item = &'a Value>, pointer: &str) -> i64 {
    sets.map(|set| int(set, pointer)).sum()
}

/// The size for the newest set that the surge allows now.
pub(super) fn new_replicas<'a>(deployment: &Value, all: impl Iterator<Item = &'a Value>, current: i64) -> i64 {
    let want = wanted(deployment);
    if !is_rolling(deployment) {
        return want;
    }
    let most = want + max_surge(deployment);
    let pods = total(all, "/spec/replicas");
    if pods >= most {
        return current;
    }
    current + (most - pods).min(want - current)
}

/// Writes on a set for which size of the Deployment it was scaled; tells whether that changed anything.
pub(super) fn set_size_annotations(deployment: &Value, set: &mut Value) -> bool {
    let want = wanted(deployment);
    let most = want + max_surge(deployment);
    let desired = set_annotation(set, DESIRED_REPLICAS, &want.to_string());
    set_annotation(set, MAX_REPLICAS, &most.to_string()) || desired
}

/// Scales a set and says so in an event.
pub(super) fn scale_set(rollout: &mut Rollout<'_>, set: &Value, size: i64) -> Result<Value, ApiError> {
    let before = int(set, "/spec/replicas");
    let mut scaled = set.clone();
    let is_annotated = set_size_annotations(&rollout.deployment, &mut scaled);
    if before == size && !is_annotated {
        return Ok(scaled);
    }
    if let Some(spec) = scaled.get_mut("spec").and_then(Value::as_object_mut) {
        spec.insert("replicas".to_owned(), json!(size));
    }
    let stored = rollout.update_set(scaled)?;
    if before != size {
        let direction = if size > before { "up" } else { "down" };
        let name = text(set, "/metadata/name");
        rollout.event("ScalingReplicaSet", &format!("Scaled {direction} replica set {name} from {before} to {size}"));
    }
    Ok(stored)
}

/// Moves the newest set towards its size; tells whether it was scaled.
pub(super) fn reconcile_new(rollout: &mut Rollout<'_>, sets: &mut Sets) -> Result<bool, ApiError> {
    let Some(new) = sets.new.clone() else { return Ok(false) };
    let (have, want) = (int(&new, "/spec/replicas"), rollout.replicas());
    let size = match have.cmp(&want) {
        std::cmp::Ordering::Equal => return Ok(false),
        std::cmp::Ordering::Greater => want,
        std::cmp::Ordering::Less => new_replicas(&rollout.deployment, sets.all(), have),
    };
    sets.new = Some(scale_set(rollout, &new, size)?);
    Ok(size != have)
}

/// Takes pods from old sets as far as enough others are available: first unhealthy ones, then the oldest.
pub(super) fn reconcile_old(rollout: &mut Rollout<'_>, sets: &mut Sets) -> Result<bool, ApiError> {
    let old_pods = total(sets.old.iter(), "/spec/replicas");
    if old_pods == 0 {
        return Ok(false);
    }
    let least = rollout.replicas() - max_unavailable(&rollout.deployment);
    let new_unavailable =
        sets.new.as_ref().map_or(0, |new| int(new, "/spec/replicas") - int(new, "/status/availableReplicas"));
    let spare = total(sets.all(), "/spec/replicas") - least - new_unavailable;
    if spare <= 0 {
        return Ok(false);
    }
    let unhealthy =
        take(rollout, sets, spare, |set| int(set, "/spec/replicas") - int(set, "/status/availableReplicas"))?;
    let available = total(sets.all(), "/status/availableReplicas");
    let healthy = take(rollout, sets, available - least, |set| int(set, "/spec/replicas"))?;
    Ok(unhealthy + healthy > 0)
}

/// Scales old sets down, oldest first, by at most `spare` in all and `part` of each.
fn take(rollout: &mut Rollout<'_>, sets: &mut Sets, spare: i64, part: fn(&Value) -> i64) -> Result<i64, ApiError> {
    let mut taken = 0;
    for slot in &mut sets.old {
        let have = int(slot, "/spec/replicas");
        let by = part(slot).min(spare - taken).min(have);
        if by > 0 {
            *slot = scale_set(rollout, slot, have - by)?;
            taken += by;
        }
    }
    Ok(taken)
}

/// Brings the sets to a changed size of the Deployment. In the middle of a rollout each gets its share.
pub(super) fn scale_to_size(rollout: &mut Rollout<'_>, sets: &mut Sets) -> Result<(), ApiError> {
    let want = rollout.replicas();
    if let Some(only) = active_or_latest(sets) {
        if int(&only, "/spec/replicas") != want
            || annotation(&only, DESIRED_REPLICAS) != Some(want.to_string().as_str())
        {
            let scaled = scale_set(rollout, &only, want)?;
            replace(sets, scaled);
        }
        return Ok(());
    }
    if is_saturated(&rollout.deployment, sets.new.as_ref()) {
        for slot in sets.old.iter_mut().filter(|set| int(set, "/spec/replicas") > 0) {
            *slot = scale_set(rollout, slot, 0)?;
        }
        return Ok(());
    }
    if is_rolling(&rollout.deployment) {
        scale_in_proportion(rollout, sets)?;
    }
    Ok(())
}

fn replace(sets: &mut Sets, set: Value) {
    let name = text(&set, "/metadata/name").to_owned();
    for slot in sets.old.iter_mut().chain(&mut sets.new) {
        if text(slot, "/metadata/name") == name {
            *slot = set;
            return;
        }
    }
}

/// The set to scale when at most one has pods: that one, else the newest.
fn active_or_latest(sets: &Sets) -> Option<Value> {
    let active: Vec<&Value> = sets.all().filter(|set| int(set, "/spec/replicas") > 0).collect();
    match active.as_slice() {
        [] => sets.new.as_ref().or(sets.old.last()).cloned(),
        [only] => Some((*only).clone()),
        _ => None,
    }
}

fn is_saturated(deployment: &Value, new: Option<&Value>) -> bool {
    let want = wanted(deployment);
    new.is_some_and(|new| {
        annotation(new, DESIRED_REPLICAS).and_then(|desired| desired.parse::<i64>().ok()) == Some(want)
            && int(new, "/spec/replicas") == want
            && int(new, "/status/availableReplicas") == want
    })
}

fn scale_in_proportion(rollout: &mut Rollout<'_>, sets: &mut Sets) -> Result<(), ApiError> {
    let want = rollout.replicas();
    let allowed = if want > 0 { want + max_surge(&rollout.deployment) } else { 0 };
    let mut active: Vec<Value> = sets.all().filter(|set| int(set, "/spec/replicas") > 0).cloned().collect();
    let to_add = allowed - total(active.iter(), "/spec/replicas");
    // Larger ones first; among equals the newer one grows, the older one shrinks.
    active.sort_by_cached_key(|set| time(set, "/metadata/creationTimestamp"));
    if to_add > 0 {
        active.reverse();
    }
    active.sort_by_key(|set| std::cmp::Reverse(int(set, "/spec/replicas")));
    let mut added = 0;
    let mut sizes = Vec::new();
    for set in &active {
        let part = proportion(&rollout.deployment, set, to_add, added);
        added += part;
        sizes.push(int(set, "/spec/replicas") + part);
    }
    if to_add != 0
        && let Some(first) = sizes.first_mut()
    {
        *first = (*first + to_add - added).max(0);
    }
    for (set, size) in active.iter().zip(sizes) {
        let scaled = scale_set(rollout, set, size)?;
        replace(sets, scaled);
    }
    Ok(())
}

fn proportion(deployment: &Value, set: &Value, to_add: i64, added: i64) -> i64 {
    let size = int(set, "/spec/replicas");
    if size == 0 || to_add == 0 || to_add == added {
        return 0;
    }
    let fraction = fraction(deployment, set, size);
    let allowed = to_add - added;
    if to_add > 0 { fraction.min(allowed) } else { fraction.max(allowed) }
}

/// By how much a set changes when the whole goes from the size it was last scaled for to the present one.
fn fraction(deployment: &Value, set: &Value, size: i64) -> i64 {
    if wanted(deployment) == 0 {
        return -size;
    }
    let now = wanted(deployment) + max_surge(deployment);
    let before = annotation(set, MAX_REPLICAS).and_then(|most| most.parse::<i64>().ok()).filter(|most| *most > 0);
    let before = before.unwrap_or_else(|| int(deployment, "/status/replicas"));
    if before <= 0 {
        return 0;
    }
    (size as f64 * now as f64 / before as f64).round() as i64 - size
}
