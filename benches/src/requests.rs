//! The operator's requests as the API server saw them.

use std::collections::BTreeMap;
use std::path::PathBuf;

use anyhow::{Context, Result};
use serde_json::Value;
use sim_cluster::Handle;

/// Counts of requests by what they were for, such as `patch configmaps`.
pub(crate) type Counts = BTreeMap<String, u64>;

/// Where the server writes down who asked for what.
pub(crate) enum RequestLog {
    /// The embedded cluster's own log.
    Embedded(Handle),
    /// The audit log of an API server.
    Audit(PathBuf),
}

impl RequestLog {
    /// All requests of the operator so far, also those as somebody whom it impersonates.
    pub(crate) fn counts(&self) -> Result<Counts> {
        let operator = operator_name();
        match self {
            Self::Embedded(handle) => Ok(handle.with(|cluster| {
                let mut counts = Counts::new();
                let own = |actor: &sim_cluster::Actor| {
                    actor.user.name == operator || actor.impersonator.as_deref() == Some(&operator)
                };
                for entry in cluster.requests().filter(|entry| own(&entry.actor)) {
                    let resource = entry.resource.split('.').next().unwrap_or_default();
                    add(&mut counts, entry.verb, resource, &entry.subresource);
                }
                counts
            })),
            Self::Audit(path) => {
                let text = std::fs::read_to_string(path)
                    .with_context(|| format!("failed to read the audit log `{}`", path.display()))?;
                Ok(counts_of_audit(&text, &operator))
            }
        }
    }
}

fn operator_name() -> String {
    format!("system:serviceaccount:{}:{}", api::install::NAMESPACE, api::install::SERVICE_ACCOUNT)
}

/// A watch counts when it begins, anything else when it is answered.
fn counts_of_audit(text: &str, operator: &str) -> Counts {
    let mut counts = Counts::new();
    for line in text.lines() {
        // The last line may still be on its way.
        let Ok(event) = serde_json::from_str::<Value>(line) else { continue };
        let field = |pointer: &str| event.pointer(pointer).and_then(Value::as_str).unwrap_or_default();
        let counted_stage = if field("/verb") == "watch" { "ResponseStarted" } else { "ResponseComplete" };
        if field("/user/username") == operator && field("/stage") == counted_stage {
            add(&mut counts, field("/verb"), field("/objectRef/resource"), field("/objectRef/subresource"));
        }
    }
    counts
}

fn add(counts: &mut Counts, verb: &str, resource: &str, subresource: &str) {
    let mut what = format!("{verb} {}", if resource.is_empty() { "discovery" } else { resource });
    if !subresource.is_empty() {
        what.push('/');
        what.push_str(subresource);
    }
    *counts.entry(what).or_default() += 1;
}

/// What came after `before`.
pub(crate) fn since(before: &Counts, after: &Counts) -> Counts {
    let grown = after.iter().map(|(what, count)| (what.clone(), count - before.get(what).copied().unwrap_or(0)));
    grown.filter(|(_, count)| *count > 0).collect()
}

/// The sum without requests for Leases and without watches that were opened again: what time alone makes.
pub(crate) fn of_work(counts: &Counts) -> u64 {
    counts.iter().filter(|(what, _)| !is_of_time(what)).map(|(_, count)| count).sum()
}

/// The sum of what changes objects, without Leases.
pub(crate) fn writes(counts: &Counts) -> u64 {
    counts.iter().filter(|(what, _)| is_write(what)).map(|(_, count)| count).sum()
}

/// Whether requests of this kind change objects other than Leases.
pub(crate) fn is_write(what: &str) -> bool {
    let verb = what.split(' ').next().unwrap_or_default();
    matches!(verb, "create" | "update" | "patch" | "delete" | "deletecollection") && !is_of_time(what)
}

fn is_of_time(what: &str) -> bool {
    what.ends_with(" leases") || what.starts_with("watch ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_audit_log_counts_each_request_of_the_operator_once() {
        let event = |user: &str, verb: &str, stage: &str| {
            serde_json::json!({
                "user": {"username": user}, "verb": verb, "stage": stage,
                "objectRef": {"resource": "configmaps"}, "impersonatedUser": {"username": "x"},
            })
            .to_string()
        };
        let me = operator_name();
        let text = [
            event(&me, "watch", "ResponseStarted"),
            event(&me, "watch", "ResponseComplete"),
            event(&me, "patch", "ResponseComplete"),
            event("kubectl", "patch", "ResponseComplete"),
            "{\"half".to_owned(),
        ]
        .join("\n");
        let counts = counts_of_audit(&text, &me);
        assert_eq!(counts, Counts::from([("patch configmaps".to_owned(), 1), ("watch configmaps".to_owned(), 1)]));
        assert_eq!(of_work(&counts), 1);
    }

    #[test]
    fn a_span_counts_only_what_came_in_it() {
        let before = Counts::from([("get leases".to_owned(), 3)]);
        let after = Counts::from([("get leases".to_owned(), 3), ("patch services".to_owned(), 2)]);
        assert_eq!(since(&before, &after), Counts::from([("patch services".to_owned(), 2)]));
    }
}
