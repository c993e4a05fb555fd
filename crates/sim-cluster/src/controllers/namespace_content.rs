//! What every namespace gets by itself: the ServiceAccount `default` and the ConfigMap with the cluster's certificate.

use std::collections::BTreeSet;

use object_model::Timestamp;
use serde_json::json;

use super::{Key, Keyed, every};
use crate::cluster::Cluster;
use crate::error::ApiError;
use crate::store::Change;

const ROOT_CA: &str = "kube-root-ca.crt";
const ROOT_CA_NOTE: &str = "Contains a CA bundle that can be used to verify the kube-apiserver when using internal endpoints such as the internal service IP or kubernetes.default.svc. No other usage is guaranteed across distributions of Kubernetes clusters.";

#[derive(Clone)]
pub(super) struct NamespaceContent;

impl Keyed for NamespaceContent {
    const NAME: &'static str = "service-account-controller";

    fn touched(&self, _cluster: &Cluster, change: &Change, keys: &mut BTreeSet<Key>) {
        let is_ours = match change.resource.as_ref() {
            "serviceaccounts" => change.after.is_none() && change.name.as_ref() == "default",
            "configmaps" => change.name.as_ref() == ROOT_CA,
            _ => false,
        };
        if change.resource.as_ref() == "namespaces" {
            keys.insert(Key::of(change));
        } else if is_ours {
            keys.insert(Key::new("namespaces", "", &change.namespace));
        }
    }

    fn all(&self, cluster: &Cluster, keys: &mut BTreeSet<Key>) {
        every(cluster, "namespaces", keys);
    }

    fn sync(&mut self, cluster: &mut Cluster, key: &Key, _now: Timestamp) -> Result<Option<Timestamp>, ApiError> {
        let name = key.name.as_ref();
        if cluster.get("namespaces", "", name).is_none_or(|namespace| namespace.is_deleting()) {
            return Ok(None);
        }
        if cluster.get("serviceaccounts", name, "default").is_none() {
            let account = json!({"metadata": {"name": "default", "namespace": name}});
            cluster.acting_as_controller("service-account-controller").create("serviceaccounts", name, account)?;
        }
        let data = json!({"ca.crt": ""});
        match cluster.get("configmaps", name, ROOT_CA) {
            Some(known) if known.at("/data") == Some(&data) => {}
            Some(_) => {
                let patch = json!({"data": null});
                cluster.acting_as_controller("root-ca-cert-publisher").merge("configmaps", name, ROOT_CA, patch)?;
                let patch = json!({"data": data});
                cluster.acting_as_controller("root-ca-cert-publisher").merge("configmaps", name, ROOT_CA, patch)?;
            }
            None => {
                let map = json!({
                    "metadata": {"name": ROOT_CA, "namespace": name, "annotations": {"kubernetes.io/description": ROOT_CA_NOTE}},
                    "data": data,
                });
                cluster.acting_as_controller("root-ca-cert-publisher").create("configmaps", name, map)?;
            }
        }
        Ok(None)
    }
}
