//! A person's request for a sync now, by annotation: of everything, or of some objects.

use object_model::{Object, ObjectId};

use api::names;

/// The annotation's value as `ID`, or `ID only Kind/name,Kind.group/name,...`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Request {
    /// Tells one request from another.
    pub(super) id: String,
    /// The objects; all when empty.
    pub(super) only: Vec<String>,
}

impl Request {
    /// The request that was not handled yet.
    pub(super) fn pending(config: &Object) -> Option<Self> {
        let text = config.annotation(names::SYNC)?.trim();
        if text.is_empty() || config.str_at("/status/lastHandledSync") == Some(text) {
            return None;
        }
        let only = text.split_once(" only ").map(|(_, only)| only).unwrap_or_default();
        let only = only.split(',').map(str::trim).filter(|name| !name.is_empty()).map(str::to_owned).collect();
        Some(Self { id: text.to_owned(), only })
    }

    /// Whether it is about some objects only.
    pub(super) fn is_selective(&self) -> bool {
        !self.only.is_empty()
    }

    /// Whether it is about this object.
    pub(super) fn covers(&self, id: &ObjectId) -> bool {
        if self.only.is_empty() {
            return true;
        }
        let kind = if id.group.is_empty() { id.kind.clone() } else { format!("{}.{}", id.kind, id.group) };
        self.only.iter().any(|wanted| {
            let Some((wanted_kind, name)) = wanted.split_once('/') else { return false };
            let is_kind = wanted_kind.eq_ignore_ascii_case(&kind) || wanted_kind.eq_ignore_ascii_case(&id.kind);
            let is_name = match name.split_once('/') {
                Some((namespace, name)) => id.namespace.as_deref() == Some(namespace) && name == id.name,
                None => name == id.name,
            };
            is_kind && is_name
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pending(annotation: &str, handled: &str) -> Option<Request> {
        let mut config = Object::new("sluice.dev/v1", "GitOpsConfig", Some("qa"), "shop");
        config.set_annotation(names::SYNC, annotation);
        config.set_at(&["status"], serde_json::json!({"lastHandledSync": handled}));
        Request::pending(&config)
    }

    #[test]
    fn a_request_is_handled_once_and_names_its_objects() {
        assert_eq!(pending("1", "1"), None);
        let request = pending("2 only ConfigMap/a, Deployment.apps/qa/web", "1").unwrap();
        for (id, covers) in [
            (ObjectId::new("", "ConfigMap", Some("qa"), "a"), true),
            (ObjectId::new("", "ConfigMap", Some("qa"), "b"), false),
            (ObjectId::new("apps", "Deployment", Some("qa"), "web"), true),
            (ObjectId::new("apps", "Deployment", Some("e2e"), "web"), false),
        ] {
            assert_eq!(request.covers(&id), covers, "{id}");
        }
        assert!(pending("3", "2").is_some_and(|request| !request.is_selective()));
    }
}
