//! Kinds that need one look, and our own kinds, which say how they are in conditions.

use object_model::Object;

use super::{Health, HealthStatus, conditions};

pub(super) fn volume_claim(live: &Object) -> Health {
    match live.str_at("/status/phase") {
        Some("Bound") => Health::healthy(),
        Some("Pending") => Health::progressing("Waiting for a volume"),
        Some("Lost") => Health::degraded("The volume is lost"),
        _ => Health::new(HealthStatus::Unknown, "The claim has no phase"),
    }
}

/// A Service has a health only when something must be provided for it.
pub(super) fn service(live: &Object) -> Option<Health> {
    if live.str_at("/spec/type") != Some("LoadBalancer") {
        return Some(Health::healthy());
    }
    Some(balanced(live))
}

pub(super) fn ingress(live: &Object) -> Health {
    balanced(live)
}

fn balanced(live: &Object) -> Health {
    if live.list_at("/status/loadBalancer/ingress").is_empty() {
        Health::progressing("Waiting for a load balancer address")
    } else {
        Health::healthy()
    }
}

pub(super) fn api_service(live: &Object) -> Health {
    match conditions(live).iter().find(|condition| condition.kind == "Available") {
        Some(available) if available.status == "True" => {
            Health::new(HealthStatus::Healthy, format!("{}: {}", available.reason, available.message))
        }
        Some(available) => Health::progressing(format!("{}: {}", available.reason, available.message)),
        None => Health::progressing("Waiting to be processed"),
    }
}

pub(super) fn definition(live: &Object) -> Health {
    let seen = conditions(live);
    let find = |kind: &str| seen.iter().find(|condition| condition.kind == kind);
    if let Some(terminating) = find("Terminating").filter(|condition| condition.status == "True") {
        return Health::progressing(format!("CRD is terminating: {}", terminating.message));
    }
    if live.is_deleting() {
        return Health::progressing("CRD is terminating");
    }
    if seen.is_empty() {
        return Health::progressing("Status conditions not found");
    }
    if let Some(names) = find("NamesAccepted").filter(|condition| condition.status == "False") {
        return Health::degraded(format!("CRD names have not been accepted: {}", names.message));
    }
    match find("Established") {
        Some(established) if established.status == "True" => {}
        Some(established) if established.reason != "Installing" => return Health::degraded("CRD is not established"),
        _ => return Health::progressing("CRD is being installed"),
    }
    match find("NonStructuralSchema").filter(|condition| condition.status == "True") {
        Some(schema) => Health::degraded(format!("Schema violations found: {}", schema.message)),
        None => Health::new(HealthStatus::Healthy, "CRD is healthy"),
    }
}

pub(super) fn disruption_budget(live: &Object) -> Health {
    let seen = conditions(live);
    let failed =
        seen.iter().find(|condition| condition.kind == "DisruptionAllowed" && condition.reason == "SyncFailed");
    if failed.is_some() {
        return Health::degraded("PodDisruptionBudget has SyncFailed");
    }
    match seen.iter().find(|condition| condition.kind == "DisruptionAllowed") {
        Some(condition) => Health::new(HealthStatus::Healthy, format!("PodDisruptionBudget has {}", condition.reason)),
        None => Health::progressing("Waiting for status"),
    }
}

/// Our own kinds: Ready says it, Stalled says that waiting alone does not help, `spec.suspend` that nobody looks.
pub(super) fn by_conditions(live: &Object) -> Option<Health> {
    if live.bool_at("/spec/suspend") == Some(true) {
        return Some(Health::suspended("It is suspended"));
    }
    let seen = conditions(live);
    let find = |kind: &str| seen.iter().find(|condition| condition.kind == kind);
    if let Some(stalled) = find("Stalled").filter(|condition| condition.status == "True") {
        return Some(Health::degraded(stalled.message));
    }
    let observed = live.int_at("/status/observedGeneration");
    if observed.is_some_and(|observed| observed < live.generation()) {
        return Some(Health::progressing("Waiting for the spec to be observed"));
    }
    let ready = find("Ready").or_else(|| find("Synced"));
    match ready {
        // Objects that only hold data, such as an inventory, have no status to wait for.
        None if live.pointer("/status").is_none() => None,
        None => Some(Health::progressing("Waiting for a condition")),
        Some(ready) if ready.status == "True" => Some(Health::new(HealthStatus::Healthy, ready.message)),
        Some(ready) if ready.status == "False" && find("Reconciling").is_none_or(|other| other.status != "True") => {
            Some(Health::degraded(ready.message))
        }
        Some(ready) => Some(Health::progressing(ready.message)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    #[test]
    fn our_own_kinds_are_judged_by_their_conditions() {
        let ready = |status: &str| json!({"type": "Ready", "status": status, "message": "m"});
        let reconciling = json!({"type": "Reconciling", "status": "True"});
        let table: [(Value, HealthStatus); 5] = [
            (json!([ready("True")]), HealthStatus::Healthy),
            (json!([ready("False")]), HealthStatus::Degraded),
            (json!([ready("False"), reconciling]), HealthStatus::Progressing),
            (json!([ready("Unknown")]), HealthStatus::Progressing),
            (json!([ready("True"), {"type": "Stalled", "status": "True"}]), HealthStatus::Degraded),
        ];
        for (conditions, want) in table {
            let object = Object::parse(json!({
                "apiVersion": "sluice.dev/v1alpha1", "kind": "GitOpsConfig", "metadata": {"name": "a"},
                "status": {"conditions": conditions},
            }))
            .unwrap();
            assert_eq!(by_conditions(&object).unwrap().status, want, "{conditions}");
        }
    }
}
