//! The conditions of a Rollout's status, replaced as Argo replaces them: only when status or reason changes, so that their
//! times tell of transitions; Progressing also whenever there was progress.

use object_model::{Timestamp, format_time, parse_time};
use serde_json::{Map, Value, json};

use super::snapshot::Snapshot;

/// A condition's three states.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Holds {
    Yes,
    No,
    Unknown,
}

impl Holds {
    pub(crate) fn of(holds: bool) -> Self {
        if holds { Self::Yes } else { Self::No }
    }

    fn text(self) -> &'static str {
        match self {
            Self::Yes => "True",
            Self::No => "False",
            Self::Unknown => "Unknown",
        }
    }
}

pub(crate) fn text<'a>(item: &'a Value, key: &str) -> &'a str {
    item.get(key).and_then(Value::as_str).unwrap_or_default()
}

/// Argo's conditions: a `lastUpdateTime` beside the transition time.
pub(crate) struct Conditions {
    list: Vec<Value>,
}

impl Conditions {
    pub(crate) fn of(status: &Map<String, Value>) -> Self {
        Self { list: status.get("conditions").and_then(Value::as_array).cloned().unwrap_or_default() }
    }

    /// The conditions as the cluster shows them.
    pub(crate) fn live(snapshot: &Snapshot) -> Self {
        Self { list: snapshot.rollout.list_at("/status/conditions").to_vec() }
    }

    pub(crate) fn find(&self, kind: &str) -> Option<&Value> {
        self.list.iter().find(|item| text(item, "type") == kind)
    }

    pub(crate) fn has(&self, kind: &str) -> bool {
        self.find(kind).is_some()
    }

    pub(crate) fn reason(&self, kind: &str) -> &str {
        self.find(kind).map(|item| text(item, "reason")).unwrap_or_default()
    }

    pub(crate) fn is_true(&self, kind: &str) -> bool {
        self.find(kind).is_some_and(|item| text(item, "status") == "True")
    }

    /// When a condition was last renewed.
    pub(crate) fn renewed_at(&self, kind: &str) -> Option<Timestamp> {
        parse_time(text(self.find(kind)?, "lastUpdateTime"))
    }

    pub(crate) fn drop(&mut self, kind: &str) {
        self.list.retain(|item| text(item, "type") != kind);
    }

    /// Sets a condition unless it has this status and reason already; says whether it did.
    pub(crate) fn set(&mut self, kind: &str, holds: Holds, reason: &str, message: &str, now: Timestamp) -> bool {
        let same =
            self.find(kind).is_some_and(|item| text(item, "status") == holds.text() && text(item, "reason") == reason);
        if !same {
            self.renew(kind, holds, reason, message, now);
        }
        !same
    }

    /// Sets a condition whatever it was; the time of its transition stays while its status does.
    pub(crate) fn renew(&mut self, kind: &str, holds: Holds, reason: &str, message: &str, now: Timestamp) {
        let now = format_time(now);
        let before = self.list.iter_mut().find(|item| text(item, "type") == kind);
        let transition = match &before {
            Some(item) if text(item, "status") == holds.text() => text(item, "lastTransitionTime").to_owned(),
            _ => now.clone(),
        };
        let condition = json!({
            "type": kind, "status": holds.text(), "reason": reason, "message": message,
            "lastUpdateTime": now, "lastTransitionTime": transition,
        });
        match before {
            Some(item) => *item = condition,
            None => self.list.push(condition),
        }
    }

    /// Takes a condition over as it stands.
    pub(crate) fn put(&mut self, condition: Value) {
        let kind = text(&condition, "type").to_owned();
        if self.find(&kind) != Some(&condition) {
            self.drop(&kind);
            self.list.push(condition);
        }
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &Value> {
        self.list.iter()
    }

    pub(crate) fn into_json(self) -> Value {
        Value::Array(self.list)
    }
}
