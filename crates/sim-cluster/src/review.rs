//! Requests that store nothing of their own: access and token reviews, service account tokens, evictions.

use std::time::Duration;

use object_model::{LabelSelector, format_time};
use serde_json::{Value, json};

use crate::cluster::{Cluster, Token};
use crate::error::ApiError;
use crate::log::Actor;
use crate::rbac::Attempt;
use crate::request::User;
use crate::write::{Action, Call, DeleteOptions};

fn text(value: &Value, pointer: &str) -> String {
    value.pointer(pointer).and_then(Value::as_str).unwrap_or_default().to_owned()
}

fn with_status(mut body: Value, status: Value) -> Value {
    if let Some(fields) = body.as_object_mut() {
        fields.entry("metadata").or_insert_with(|| json!({}));
        fields.insert("status".to_owned(), status);
    }
    body
}

fn attempt(spec: &Value) -> Attempt {
    let resource = text(spec, "/resourceAttributes/resource");
    let subresource = text(spec, "/resourceAttributes/subresource");
    Attempt {
        verb: match text(spec, "/resourceAttributes/verb") {
            verb if verb.is_empty() => text(spec, "/nonResourceAttributes/verb"),
            verb => verb,
        },
        group: text(spec, "/resourceAttributes/group"),
        resource: if subresource.is_empty() { resource } else { format!("{resource}/{subresource}") },
        namespace: text(spec, "/resourceAttributes/namespace"),
        name: text(spec, "/resourceAttributes/name"),
        path: text(spec, "/nonResourceAttributes/path"),
    }
}

fn user_value(user: &User) -> Value {
    json!({"username": user.name, "groups": user.groups})
}

impl Cluster {
    /// Answers a review.
    pub(crate) fn review(&self, kind: &str, body: Value, actor: &Actor) -> Result<Value, ApiError> {
        let spec = body.get("spec").cloned().unwrap_or_else(|| json!({}));
        let allowed = |user: &User| {
            let is_allowed = self.may(user, &attempt(&spec));
            let mut status = json!({"allowed": is_allowed});
            if let Some(fields) = status.as_object_mut().filter(|_| is_allowed && self.is_rbac_on) {
                fields.insert("reason".to_owned(), "RBAC: allowed".into());
            }
            status
        };
        let status = match kind {
            "SelfSubjectAccessReview" => allowed(&actor.user),
            "SubjectAccessReview" | "LocalSubjectAccessReview" => {
                let mut user = User { name: text(&spec, "/user"), groups: Vec::new() };
                let groups = spec.get("groups").and_then(Value::as_array).into_iter().flatten();
                user.groups = groups.filter_map(Value::as_str).map(str::to_owned).collect();
                if user.name.is_empty() && user.groups.is_empty() {
                    let cause = crate::error::Cause::invalid(
                        "spec.user",
                        &json!(""),
                        "at least one of user or group must be specified",
                    );
                    return Err(ApiError::invalid("authorization.k8s.io", kind, "", &[cause]));
                }
                allowed(&user)
            }
            "SelfSubjectRulesReview" => {
                let everything = json!([{"verbs": ["*"], "apiGroups": ["*"], "resources": ["*"]}]);
                let is_free = !self.is_rbac_on || actor.user.is_in("system:masters");
                let rules = match is_free {
                    true => everything,
                    false => Value::Array(self.rules_of(&actor.user, &text(&spec, "/namespace"))),
                };
                json!({"resourceRules": rules, "nonResourceRules": [], "incomplete": false})
            }
            "SelfSubjectReview" => json!({"userInfo": user_value(&actor.user)}),
            "TokenReview" => match self.user_of_token(&text(&spec, "/token")) {
                Some(user) => json!({"authenticated": true, "user": user_value(&user)}),
                None => json!({"authenticated": false, "error": "invalid bearer token"}),
            },
            _ => return Err(ApiError::method_not_allowed()),
        };
        Ok(with_status(body, status))
    }

    /// The user a bearer token stands for now.
    pub(crate) fn user_of_token(&self, token: &str) -> Option<User> {
        let token = self.tokens.get(token)?;
        token.expires.is_none_or(|expires| self.now() < expires).then(|| token.user.clone())
    }

    /// Issues a token of a service account.
    pub(crate) fn issue_token(&mut self, call: &Call, body: Value) -> Result<Value, ApiError> {
        self.existing(call)?;
        let seconds = body.pointer("/spec/expirationSeconds").and_then(Value::as_u64).unwrap_or(3_600);
        if seconds < 600 {
            let cause = crate::error::Cause::invalid(
                "spec.expirationSeconds",
                &json!(seconds),
                "may not specify a duration less than 10 minutes",
            );
            return Err(ApiError::invalid("authentication.k8s.io", "TokenRequest", "", &[cause]));
        }
        let expires = self.now() + Duration::from_secs(seconds.min(1 << 32));
        let token = format!("sim.{}.{}.{:016x}", call.namespace, call.name, self.next_random());
        let user = User::new(&format!("system:serviceaccount:{}:{}", call.namespace, call.name));
        if !call.options.is_dry_run {
            self.insert_token(&token, Token { user, expires: Some(expires) });
        }
        Ok(with_status(body, json!({"token": token, "expirationTimestamp": format_time(expires)})))
    }

    /// Evicts a pod unless a disruption budget forbids it now.
    pub(crate) fn evict(&mut self, call: &Call, body: &Value) -> Result<Value, ApiError> {
        let pod = self.existing(call)?;
        let labels = pod.at("/metadata/labels").and_then(Value::as_object);
        let labels: std::collections::BTreeMap<&str, &str> =
            labels.into_iter().flatten().filter_map(|(key, value)| Some((key.as_str(), value.as_str()?))).collect();
        let budget = self
            .list("poddisruptionbudgets.policy", Some(&call.namespace))
            .find(|budget| {
                let selector = budget.at("/spec/selector").and_then(|selector| LabelSelector::parse(selector).ok());
                selector.is_some_and(|selector| selector.matches(&labels))
            })
            .cloned();
        let is_over = matches!(pod.text("/status/phase"), "Succeeded" | "Failed" | "Pending") || pod.is_deleting();
        if let Some(budget) = budget.filter(|_| !is_over) {
            let number = |key: &str| budget.at(&format!("/status/{key}")).and_then(Value::as_i64).unwrap_or(0);
            if number("disruptionsAllowed") <= 0 {
                let why = "Cannot evict pod as it would violate the pod's disruption budget.";
                let message = format!(
                    "The disruption budget {} needs {} healthy pods and has {} currently",
                    budget.name(),
                    number("desiredHealthy"),
                    number("currentHealthy")
                );
                return Err(ApiError::new(429, "TooManyRequests", why)
                    .with_causes(json!([{"reason": "DisruptionBudget", "message": message}])));
            }
            let mut taken = budget.json().clone();
            if let Some(status) = taken.get_mut("status").and_then(Value::as_object_mut) {
                status.insert("disruptionsAllowed".to_owned(), json!(number("disruptionsAllowed") - 1));
            }
            if !call.options.is_dry_run {
                let namespace = call.namespace.clone();
                self.acting_as("system:apiserver").update_status("poddisruptionbudgets.policy", &namespace, taken)?;
            }
        }
        let options = DeleteOptions {
            grace_period_seconds: body.pointer("/deleteOptions/gracePeriodSeconds").and_then(Value::as_i64),
            uid: body.pointer("/deleteOptions/preconditions/uid").and_then(Value::as_str).map(str::to_owned),
            ..DeleteOptions::default()
        };
        let pod = Call { subresource: None, ..call.clone() };
        self.perform(&pod, Action::Delete(options))?;
        Ok(json!({"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "code": 201}))
    }
}
