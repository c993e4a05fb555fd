//! The kubelet: moves each pod from stage to stage, as its own spec says.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use object_model::Timestamp;
use serde_json::json;

use super::{Key, Keyed, every};
use crate::cluster::Cluster;
use crate::error::ApiError;
use crate::stages::{Stage, next_stage, status};
use crate::store::Change;
use crate::write::DeleteOptions;

const ACTOR: &str = "system:node:node-0";
/// The first pod address is 10.128.0.1; the network has room for a million.
const NETWORK: u32 = 0x0a80_0000;
const ADDRESSES: u32 = 1 << 20;

/// What each pod waits for. A stage that still fits when the pod changes keeps its time.
#[derive(Clone, Default)]
pub(super) struct Kubelet {
    waiting: Arc<BTreeMap<Key, (Stage, Timestamp)>>,
    addresses: u32,
}

impl Keyed for Kubelet {
    const NAME: &'static str = "kubelet";

    fn touched(&self, _cluster: &Cluster, change: &Change, keys: &mut BTreeSet<Key>) {
        if change.resource.as_ref() == "pods" {
            keys.insert(Key::of(change));
        }
    }

    fn all(&self, cluster: &Cluster, keys: &mut BTreeSet<Key>) {
        every(cluster, "pods", keys);
    }

    fn sync(&mut self, cluster: &mut Cluster, key: &Key, now: Timestamp) -> Result<Option<Timestamp>, ApiError> {
        let pod = cluster.get("pods", &key.namespace, &key.name).cloned();
        let next =
            pod.as_ref().filter(|pod| !pod.text("/spec/nodeName").is_empty()).and_then(|pod| next_stage(pod.json()));
        let (Some(pod), Some((stage, delay))) = (pod, next) else {
            self.forget(key);
            return Ok(None);
        };
        let due = match self.waiting.get(key) {
            Some((waiting, due)) if *waiting == stage => *due,
            _ => now.checked_add(delay).unwrap_or(Timestamp::MAX),
        };
        if due > now {
            if self.waiting.get(key) != Some(&(stage, due)) {
                Arc::make_mut(&mut self.waiting).insert(key.clone(), (stage, due));
            }
            return Ok(Some(due));
        }
        self.forget(key);
        if stage == Stage::Delete {
            let options = DeleteOptions {
                uid: Some(pod.uid().to_owned()),
                grace_period_seconds: Some(0),
                ..DeleteOptions::default()
            };
            cluster.acting_as(ACTOR).delete("pods", &key.namespace, &key.name, options)?;
            return Ok(None);
        }
        let address = match pod.text("/status/podIP") {
            "" => self.next_address(),
            known => known.to_owned(),
        };
        let patch = json!({"status": status(stage, pod.json(), &address, now)});
        cluster.acting_as(ACTOR).merge_subresource("pods", &key.namespace, &key.name, "status", patch)?;
        Ok(None)
    }
}

impl Kubelet {
    fn forget(&mut self, key: &Key) {
        if self.waiting.contains_key(key) {
            Arc::make_mut(&mut self.waiting).remove(key);
        }
    }

    fn next_address(&mut self) -> String {
        self.addresses = self.addresses % (ADDRESSES - 2) + 1;
        std::net::Ipv4Addr::from(NETWORK + self.addresses).to_string()
    }
}
