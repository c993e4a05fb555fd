//! What the API server refuses of schedules, autoscalers, budgets, quotas and network kinds.

use object_model::CronSchedule;
use serde_json::{Value, json};

use crate::error::Cause;
use crate::quantity;

fn text<'v>(value: &'v Value, pointer: &str) -> &'v str {
    value.pointer(pointer).and_then(Value::as_str).unwrap_or_default()
}

pub(crate) fn cron_job(object: &Value, causes: &mut Vec<Cause>) {
    let schedule = text(object, "/spec/schedule");
    if schedule.is_empty() {
        causes.push(Cause::required("spec.schedule", ""));
    } else if let Err(problem) = CronSchedule::parse(schedule) {
        causes.push(Cause::invalid("spec.schedule", &json!(schedule), &problem.to_string()));
    }
    let policy = text(object, "/spec/concurrencyPolicy");
    if !matches!(policy, "Allow" | "Forbid" | "Replace") {
        let supported = ["Allow", "Forbid", "Replace"].map(str::to_owned);
        causes.push(Cause::unsupported("spec.concurrencyPolicy", &json!(policy), &supported));
    }
    let zone = text(object, "/spec/timeZone");
    if !zone.is_empty() && object_model::time_zone(zone).is_none() {
        causes.push(Cause::invalid("spec.timeZone", &json!(zone), &format!("unknown time zone {zone}")));
    }
}

pub(crate) fn autoscaler(object: &Value, causes: &mut Vec<Cause>) {
    let least = object.pointer("/spec/minReplicas").and_then(Value::as_i64).unwrap_or(1);
    let most = object.pointer("/spec/maxReplicas").and_then(Value::as_i64).unwrap_or(0);
    if least < 1 {
        causes.push(Cause::invalid("spec.minReplicas", &json!(least), "must be greater than or equal to 1"));
    }
    if most < 1 {
        causes.push(Cause::invalid("spec.maxReplicas", &json!(most), "must be greater than 0"));
    }
    if most < least {
        let detail = "must be greater than or equal to `minReplicas`";
        causes.push(Cause::invalid("spec.maxReplicas", &json!(most), detail));
    }
    for key in ["kind", "name"] {
        if text(object, &format!("/spec/scaleTargetRef/{key}")).is_empty() {
            causes.push(Cause::required(format!("spec.scaleTargetRef.{key}"), ""));
        }
    }
    let api_version = text(object, "/spec/scaleTargetRef/apiVersion");
    if api_version.is_empty() {
        let detail = "apiVersion must specify API group";
        causes.push(Cause::invalid("spec.scaleTargetRef.apiVersion", &json!(api_version), detail));
    }
}

pub(crate) fn budget(object: &Value, causes: &mut Vec<Cause>) {
    let part = |key: &str| object.pointer(&format!("/spec/{key}")).filter(|value| !value.is_null());
    let (least, most) = (part("minAvailable"), part("maxUnavailable"));
    if let (Some(least), Some(most)) = (least, most) {
        // The message shows the object inside the server, whose fields have Go's names.
        let shown = |value: Option<&Value>| value.cloned().unwrap_or_default().to_string();
        let message = format!(
            "Invalid value: {{\"MinAvailable\":{least},\"Selector\":{},\"MaxUnavailable\":{most},\
             \"UnhealthyPodEvictionPolicy\":{}}}: minAvailable and maxUnavailable cannot be both set",
            shown(part("selector")),
            shown(part("unhealthyPodEvictionPolicy")),
        );
        causes.push(Cause { reason: "FieldValueInvalid", message, field: "spec".to_owned() });
    }
    for (key, value) in [("minAvailable", least), ("maxUnavailable", most)] {
        let Some(value) = value else { continue };
        let field = format!("spec.{key}");
        match value {
            Value::String(percent) => match percent.strip_suffix('%').and_then(|part| part.parse::<u32>().ok()) {
                Some(part) if part > 100 => {
                    causes.push(Cause::invalid(field, value, "must not be greater than 100%"));
                }
                Some(_) => {}
                None => {
                    let detail = "a valid percent string must be a numeric string followed by an ending '%' (e.g. '1%',  or '93%', regex used for validation is '[0-9]+%')";
                    causes.push(Cause::invalid(field, value, detail));
                }
            },
            number if number.as_i64().is_some_and(|number| number < 0) => {
                causes.push(Cause::invalid(field, number, "must be greater than or equal to 0"));
            }
            _ => {}
        }
    }
}

/// The names that a quota may count without a domain.
const STANDARD: [&str; 19] = [
    "configmaps",
    "cpu",
    "ephemeral-storage",
    "limits.cpu",
    "limits.ephemeral-storage",
    "limits.memory",
    "memory",
    "persistentvolumeclaims",
    "pods",
    "replicationcontrollers",
    "requests.cpu",
    "requests.ephemeral-storage",
    "requests.memory",
    "requests.storage",
    "resourcequotas",
    "secrets",
    "services",
    "services.loadbalancers",
    "services.nodeports",
];

pub(crate) fn quota(object: &Value, causes: &mut Vec<Cause>) {
    for (name, amount) in object.pointer("/spec/hard").and_then(Value::as_object).into_iter().flatten() {
        let field = format!("spec.hard[{name}]");
        if let Some(problem) = crate::meta::qualified_name_problem(name) {
            causes.push(Cause::invalid(field.clone(), &json!(name), &problem));
        }
        if !name.contains('/') && !STANDARD.contains(&name.as_str()) {
            causes.push(Cause::invalid(field.clone(), &json!(name), "must be a standard resource for quota"));
        }
        if amount.as_str().and_then(quantity::nano).is_some_and(|nano| nano < 0) {
            causes.push(Cause::invalid(field, amount, "must be greater than or equal to 0"));
        }
    }
}

pub(crate) fn priority_class(object: &Value, causes: &mut Vec<Cause>) {
    const HIGHEST: i64 = 1_000_000_000;
    let is_system = text(object, "/metadata/name").starts_with("system-");
    if !is_system && object.get("value").and_then(Value::as_i64).is_some_and(|value| value > HIGHEST) {
        let detail = format!("maximum allowed value of a user defined priority is {HIGHEST}");
        causes.push(Cause::forbidden("value", &detail));
    }
}

pub(crate) fn ingress(object: &Value, causes: &mut Vec<Cause>) {
    let spec = object.get("spec").unwrap_or(&Value::Null);
    let has_rules = spec.get("rules").and_then(Value::as_array).is_some_and(|rules| !rules.is_empty());
    if !has_rules && spec.get("defaultBackend").is_none_or(Value::is_null) {
        let message = "Invalid value: null: either `defaultBackend` or `rules` must be specified".to_owned();
        causes.push(Cause { reason: "FieldValueInvalid", message, field: "spec".to_owned() });
    }
}

pub(crate) fn network_policy(object: &Value, causes: &mut Vec<Cause>) {
    let types = object.pointer("/spec/policyTypes").and_then(Value::as_array).into_iter().flatten();
    for (index, kind) in types.enumerate() {
        if !matches!(kind.as_str(), Some("Ingress" | "Egress")) {
            causes.push(Cause {
                reason: "FieldValueNotSupported",
                message: format!("Unsupported value: {kind}: supported values: \"Ingress\", \"Egress\""),
                field: format!("spec.policyTypes[{index}]"),
            });
        }
    }
}

/// What of a StatefulSet stays as it was made.
pub(crate) fn stateful_set_change(old: &Value, new: &Value, causes: &mut Vec<Cause>) {
    const CHANGEABLE: [&str; 7] = [
        "replicas",
        "ordinals",
        "template",
        "updateStrategy",
        "persistentVolumeClaimRetentionPolicy",
        "minReadySeconds",
        "revisionHistoryLimit",
    ];
    let fixed = |object: &Value| {
        let mut spec = object.get("spec").and_then(Value::as_object).cloned().unwrap_or_default();
        spec.retain(|key, _| !CHANGEABLE.contains(&key.as_str()));
        spec
    };
    if fixed(old) != fixed(new) {
        let detail = "updates to statefulset spec for fields other than 'replicas', 'ordinals', 'template', 'updateStrategy', 'revisionHistoryLimit', 'persistentVolumeClaimRetentionPolicy' and 'minReadySeconds' are forbidden";
        causes.push(Cause::forbidden("spec", detail));
    }
}
