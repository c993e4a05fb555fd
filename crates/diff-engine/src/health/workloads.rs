//! Deployments, ReplicaSets, StatefulSets and DaemonSets.

use object_model::Object;

use super::{Health, conditions};

fn count(object: &Object, pointer: &str) -> i64 {
    object.int_at(pointer).unwrap_or(0)
}

/// The controller has not looked at the newest spec yet.
fn is_behind(object: &Object) -> bool {
    object.generation() > count(object, "/status/observedGeneration")
}

pub(super) fn deployment(live: &Object) -> Health {
    if live.bool_at("/spec/paused") == Some(true) {
        return Health::suspended("Deployment is paused");
    }
    if is_behind(live) {
        return Health::progressing(
            "Waiting for rollout to finish: observed deployment generation less than desired generation",
        );
    }
    if conditions(live)
        .iter()
        .any(|condition| condition.kind == "Progressing" && condition.reason == "ProgressDeadlineExceeded")
    {
        return Health::degraded(format!("Deployment \"{}\" exceeded its progress deadline", live.name()));
    }
    let wanted = live.int_at("/spec/replicas");
    let updated = count(live, "/status/updatedReplicas");
    let (all, available) = (count(live, "/status/replicas"), count(live, "/status/availableReplicas"));
    if let Some(wanted) = wanted.filter(|wanted| updated < *wanted) {
        return Health::progressing(format!(
            "Waiting for rollout to finish: {updated} out of {wanted} new replicas have been updated..."
        ));
    }
    if all > updated {
        let old = all - updated;
        return Health::progressing(format!(
            "Waiting for rollout to finish: {old} old replicas are pending termination..."
        ));
    }
    if available < updated {
        return Health::progressing(format!(
            "Waiting for rollout to finish: {available} of {updated} updated replicas are available..."
        ));
    }
    Health::healthy()
}

pub(super) fn replica_set(live: &Object) -> Health {
    if is_behind(live) {
        return Health::progressing(
            "Waiting for rollout to finish: observed replica set generation less than desired generation",
        );
    }
    if let Some(failure) =
        conditions(live).iter().find(|condition| condition.kind == "ReplicaFailure" && condition.status == "True")
    {
        return Health::degraded(failure.message);
    }
    let available = count(live, "/status/availableReplicas");
    if let Some(wanted) = live.int_at("/spec/replicas").filter(|wanted| available < *wanted) {
        return Health::progressing(format!(
            "Waiting for rollout to finish: {available} out of {wanted} new replicas are available..."
        ));
    }
    Health::healthy()
}

pub(super) fn stateful_set(live: &Object) -> Health {
    if count(live, "/status/observedGeneration") == 0 || is_behind(live) {
        return Health::progressing("Waiting for statefulset spec update to be observed...");
    }
    let wanted = live.int_at("/spec/replicas");
    let ready = count(live, "/status/readyReplicas");
    if let Some(wanted) = wanted.filter(|wanted| ready < *wanted) {
        return Health::progressing(format!("Waiting for {} pods to be ready...", wanted - ready));
    }
    let strategy = live.str_at("/spec/updateStrategy/type").unwrap_or("RollingUpdate");
    let partition = live.int_at("/spec/updateStrategy/rollingUpdate/partition");
    if let (true, Some(partition), Some(wanted)) = (strategy == "RollingUpdate", partition, wanted) {
        let (updated, target) = (count(live, "/status/updatedReplicas"), wanted - partition);
        if updated < target {
            return Health::progressing(format!(
                "Waiting for partitioned roll out to finish: {updated} out of {target} new pods have been updated..."
            ));
        }
        return Health::new(
            super::HealthStatus::Healthy,
            format!("partitioned roll out complete: {updated} new pods have been updated..."),
        );
    }
    if strategy == "OnDelete" {
        return Health::new(super::HealthStatus::Healthy, format!("statefulset has {ready} ready pods"));
    }
    let (update, current) = (live.str_at("/status/updateRevision"), live.str_at("/status/currentRevision"));
    if update != current {
        let (updated, update) = (count(live, "/status/updatedReplicas"), update.unwrap_or_default());
        return Health::progressing(format!(
            "waiting for statefulset rolling update to complete {updated} pods at revision {update}..."
        ));
    }
    Health::healthy()
}

pub(super) fn daemon_set(live: &Object) -> Health {
    if is_behind(live) {
        return Health::progressing(
            "Waiting for rollout to finish: observed daemon set generation less than desired generation",
        );
    }
    let (scheduled, updated) =
        (count(live, "/status/desiredNumberScheduled"), count(live, "/status/updatedNumberScheduled"));
    let available = count(live, "/status/numberAvailable");
    if live.str_at("/spec/updateStrategy/type") == Some("OnDelete") {
        return Health::new(
            super::HealthStatus::Healthy,
            format!("daemon set {updated} out of {scheduled} new pods have been updated"),
        );
    }
    if updated < scheduled {
        return Health::progressing(format!(
            "Waiting for daemon set rollout to finish: {updated} out of {scheduled} new pods have been updated..."
        ));
    }
    if available < scheduled {
        return Health::progressing(format!(
            "Waiting for daemon set rollout to finish: {available} of {scheduled} updated pods are available..."
        ));
    }
    Health::healthy()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::health::HealthStatus;
    use serde_json::{Value, json};

    fn object(kind: &str, spec: Value, status: Value) -> Object {
        Object::parse(json!({"apiVersion": "apps/v1", "kind": kind, "metadata": {"name": "a", "generation": 2}, "spec": spec, "status": status})).unwrap()
    }

    #[test]
    fn a_replica_set_waits_for_available_pods_and_shows_its_failure() {
        let waiting =
            object("ReplicaSet", json!({"replicas": 2}), json!({"observedGeneration": 2, "availableReplicas": 1}));
        assert_eq!(replica_set(&waiting).status, HealthStatus::Progressing);
        let condition = json!({"type": "ReplicaFailure", "status": "True", "message": "quota exceeded"});
        let failed =
            object("ReplicaSet", json!({"replicas": 2}), json!({"observedGeneration": 2, "conditions": [condition]}));
        assert_eq!(replica_set(&failed), Health::degraded("quota exceeded"));
    }

    #[test]
    fn a_partitioned_stateful_set_is_done_when_its_part_is() {
        let spec =
            json!({"replicas": 3, "updateStrategy": {"type": "RollingUpdate", "rollingUpdate": {"partition": 2}}});
        let part = |updated: i64| json!({"observedGeneration": 2, "readyReplicas": 3, "updatedReplicas": updated});
        assert_eq!(stateful_set(&object("StatefulSet", spec.clone(), part(0))).status, HealthStatus::Progressing);
        assert_eq!(stateful_set(&object("StatefulSet", spec, part(1))).status, HealthStatus::Healthy);
    }

    #[test]
    fn a_daemon_set_waits_for_updated_then_available_pods() {
        let status = |updated: i64, available: i64| json!({"observedGeneration": 2, "desiredNumberScheduled": 2, "updatedNumberScheduled": updated, "numberAvailable": available});
        for (updated, available, want) in
            [(1, 2, HealthStatus::Progressing), (2, 1, HealthStatus::Progressing), (2, 2, HealthStatus::Healthy)]
        {
            assert_eq!(daemon_set(&object("DaemonSet", json!({}), status(updated, available))).status, want);
        }
    }
}
