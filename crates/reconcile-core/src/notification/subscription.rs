//! Who wants to hear of what: subscriptions in annotations, triggers by the reason of an Event.

use object_model::Object;

/// The beginning of annotations that subscribe.
const SUBSCRIBE: &str = "notifications.argoproj.io/subscribe.";

/// Where a message goes.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Destination {
    /// Name of the service, as the configuration has it.
    pub service: String,
    /// Channel, address or key; empty for services without.
    pub recipient: String,
}

/// The trigger of an Event: `on-rollout-completed` of `RolloutCompleted`.
pub fn trigger_of(reason: &str) -> String {
    let letters: Vec<char> = reason.chars().collect();
    let mut trigger = "on-".to_owned();
    for (place, letter) in letters.iter().enumerate() {
        let before = place.checked_sub(1).and_then(|place| letters.get(place));
        let after = letters.get(place + 1);
        // A capital begins a word after a small letter or number, and before a small letter.
        let begins = letter.is_ascii_uppercase()
            && before.is_some_and(|before| {
                before.is_ascii_lowercase() || before.is_ascii_digit() || after.is_some_and(char::is_ascii_lowercase)
            });
        if begins {
            trigger.push('-');
        }
        trigger.push(letter.to_ascii_lowercase());
    }
    trigger
}

/// Whether an object's annotations ask to be told of Events with this reason; those without a trigger may.
pub fn may_want(object: &Object, reason: &str) -> bool {
    let trigger = format!("{}.", trigger_of(reason));
    let mut subscriptions = object.annotations().into_keys().filter_map(|key| key.strip_prefix(SUBSCRIBE));
    subscriptions.any(|rest| rest.starts_with(&trigger) || !rest.contains('.'))
}

/// The destinations of a trigger by an object's annotations, each once.
pub fn destinations(object: &Object, trigger: &str, default_triggers: &[String]) -> Vec<Destination> {
    let mut found = Vec::new();
    for (key, value) in object.annotations() {
        let Some(rest) = key.strip_prefix(SUBSCRIBE) else { continue };
        let service = match rest.split_once('.') {
            Some((of, service)) if of == trigger => service,
            None if default_triggers.iter().any(|default| default == trigger) => rest,
            _ => continue,
        };
        let recipients = value.split(';').map(str::trim);
        found.extend(
            recipients
                .filter(|recipient| !recipient.is_empty() || value.trim().is_empty())
                .map(|recipient| Destination { service: service.to_owned(), recipient: recipient.to_owned() }),
        );
    }
    found.sort();
    found.dedup();
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn reasons_become_triggers_as_argo_spells_them() {
        for (reason, trigger) in [
            ("RolloutCompleted", "on-rollout-completed"),
            ("ScalingReplicaSet", "on-scaling-replica-set"),
            ("AnalysisRunFailed", "on-analysis-run-failed"),
            ("SwitchService", "on-switch-service"),
            ("PatchingALBIngress", "on-patching-alb-ingress"),
        ] {
            assert_eq!(trigger_of(reason), trigger);
        }
    }

    #[test]
    fn annotations_name_trigger_service_and_recipients() {
        let object = Object::parse(json!({
            "apiVersion": "argoproj.io/v1alpha1", "kind": "Rollout", "metadata": {"name": "web", "annotations": {
                "notifications.argoproj.io/subscribe.on-rollout-completed.slack": "a;b",
                "notifications.argoproj.io/subscribe.on-rollout-completed.hook": "",
                "notifications.argoproj.io/subscribe.on-rollout-aborted.slack": "c",
                "notifications.argoproj.io/subscribe.teams": "d",
                "other": "x",
            }},
        }))
        .unwrap();
        let told = |trigger: &str, defaults: &[String]| -> Vec<String> {
            let all = destinations(&object, trigger, defaults);
            all.into_iter().map(|it| format!("{}:{}", it.service, it.recipient)).collect()
        };
        assert_eq!(told("on-rollout-completed", &[]), ["hook:", "slack:a", "slack:b"]);
        assert_eq!(told("on-rollout-aborted", &["on-rollout-aborted".to_owned()]), ["slack:c", "teams:d"]);
        assert!(may_want(&object, "RolloutAborted"));
        let plain = Object::parse(json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p"}})).unwrap();
        assert!(!may_want(&plain, "RolloutAborted"));
    }
}
