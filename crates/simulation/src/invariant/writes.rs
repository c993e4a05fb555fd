//! I8, I9, I13, I14 and I15: which writes there may be at all.

use sim_cluster::Stored;

use super::{Ground, Memory};
use crate::story::CANARY;

/// Most writes of one object by operators in a minute.
pub(crate) const PER_MINUTE: usize = 90;
const MINUTE_MS: u64 = 60_000;

pub(super) fn judge(ground: &Ground<'_>, memory: &mut Memory) {
    let change = &ground.write.change;
    if &*change.resource == "leases.coordination.k8s.io" {
        return;
    }
    secret(ground);
    stale_leader(ground);
    if &*change.resource == "events" {
        return;
    }
    if ground.write.verb == "delete" {
        delete(ground);
    }
    order(ground);
    let key = format!("{} {}/{}", change.resource, change.namespace, change.name);
    let moments = memory.written.entry(key).or_default();
    moments.push_back(ground.ms);
    while moments.front().is_some_and(|first| ground.ms.saturating_sub(*first) > MINUTE_MS) {
        moments.pop_front();
    }
    if moments.len() > PER_MINUTE {
        let (count, name) = (moments.len(), &change.name);
        ground.broke("I14", format!("{} {name} was written {count} times in a minute", change.resource));
    }
}

fn secret(ground: &Ground<'_>) {
    let Some(after) = &ground.write.change.after else { return };
    let bytes = after.bytes();
    if bytes.windows(CANARY.len()).any(|window| window == CANARY.as_bytes()) {
        let change = &ground.write.change;
        ground.broke("I13", format!("the value of a Secret is in {} {}", change.resource, change.name));
    }
}

/// What a story says of the order of things.
fn order(ground: &Ground<'_>) {
    let change = &ground.write.change;
    let Some(after) = &change.after else { return };
    for never in ground.story.nevers {
        let is_object = never.resource == &*change.resource && never.name == &*change.name;
        let is_so = is_object && after.at(never.pointer).and_then(serde_json::Value::as_str) == Some(never.value);
        if is_so && !(never.unless)(ground.cluster) {
            ground.broke("order", format!("{} {} has {}", change.resource, change.name, never.value));
        }
    }
}

/// Only what the story lets go is deleted, and what a config delivers only by its inventory.
fn delete(ground: &Ground<'_>) {
    let change = &ground.write.change;
    let may = ground
        .story
        .deletes
        .iter()
        .any(|(resource, prefix)| *resource == &*change.resource && change.name.starts_with(prefix));
    if !may {
        let words = format!("{} {}/{} was deleted", change.resource, change.namespace, change.name);
        return ground.broke("I8", words);
    }
    let Some(before) = &change.before else { return };
    let is_delivered = before.at("/metadata/annotations/sluice.dev~1owner").is_some();
    if ground.write.actor.impersonator.is_some() && is_delivered && !is_owned(ground, before) {
        let words = format!("{} {} was deleted and is in no inventory", change.resource, change.name);
        ground.broke("I8", words);
    }
}

fn is_owned(ground: &Ground<'_>, object: &Stored) -> bool {
    let uid = object.uid().as_bytes();
    let mut chunks = ground.cluster.list("inventories.sluice.dev", None);
    chunks.any(|chunk| chunk.bytes().windows(uid.len()).any(|window| window == uid))
}

/// Once every Lease is another's, who held them before writes nothing more.
fn stale_leader(ground: &Ground<'_>) {
    let agent = ground.write.actor.agent.strip_prefix("sluice-operator/").unwrap_or_default();
    let Some(letter) = agent.get(..1) else { return };
    let leases: Vec<String> = ground
        .cluster
        .list("leases.coordination.k8s.io", Some(api::install::NAMESPACE))
        .map(|lease| lease.text("/spec/holderIdentity").to_owned())
        .collect();
    let own = format!("operator-{letter}");
    let is_others = |holder: &String| !holder.is_empty() && *holder != own;
    if leases.len() > 1 && leases.iter().all(is_others) {
        let change = &ground.write.change;
        ground.broke("I15", format!("{own} leads nothing and wrote {} {}", change.resource, change.name));
    }
}
