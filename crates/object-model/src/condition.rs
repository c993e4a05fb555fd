//! Conditions as the Kubernetes API conventions have them (`metav1.Condition`).

use serde::{Deserialize, Serialize};

use crate::{Timestamp, format_time};

/// The three answers of a condition.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum ConditionStatus {
    /// It holds.
    True,
    /// It does not hold.
    False,
    /// It can't be told.
    Unknown,
}

/// One condition of a status.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Condition {
    /// CamelCase name of what is being told, such as `Ready`.
    #[serde(rename = "type")]
    pub kind: String,
    /// Whether it holds.
    pub status: ConditionStatus,
    /// The generation that was looked at; 0 when the API has no such field.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub observed_generation: i64,
    /// When the status last changed, as `metav1.Time`.
    #[serde(default)]
    pub last_transition_time: String,
    /// CamelCase reason, for programs.
    #[serde(default)]
    pub reason: String,
    /// Sentence, for people.
    #[serde(default)]
    pub message: String,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde wants a reference")]
fn is_zero(number: &i64) -> bool {
    *number == 0
}

impl Condition {
    /// Returns a condition whose transition time is set by [`set_condition`].
    pub fn new(kind: &str, status: ConditionStatus, reason: &str, message: impl Into<String>) -> Self {
        Self {
            kind: kind.to_owned(),
            status,
            observed_generation: 0,
            last_transition_time: String::new(),
            reason: reason.to_owned(),
            message: message.into(),
        }
    }

    /// The same condition with the generation that was looked at.
    #[must_use]
    pub fn observed(mut self, generation: i64) -> Self {
        self.observed_generation = generation;
        self
    }
}

/// Puts `new` into `conditions`: the transition time moves only when the status does (API conventions), and the order
/// of the list is kept so that a status without news is equal to the one before.
pub fn set_condition(conditions: &mut Vec<Condition>, mut new: Condition, now: Timestamp) {
    match conditions.iter_mut().find(|old| old.kind == new.kind) {
        Some(old) => {
            let unmoved = old.status == new.status && !old.last_transition_time.is_empty();
            new.last_transition_time = if unmoved { old.last_transition_time.clone() } else { format_time(now) };
            *old = new;
        }
        None => {
            new.last_transition_time = format_time(now);
            conditions.push(new);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_transition_time_moves_only_with_the_status() {
        let first: Timestamp = "2026-01-01T00:00:00Z".parse().unwrap();
        let later: Timestamp = "2026-01-01T00:01:00Z".parse().unwrap();
        let mut conditions = Vec::new();
        set_condition(&mut conditions, Condition::new("Ready", ConditionStatus::False, "Waiting", "one"), first);
        set_condition(&mut conditions, Condition::new("Ready", ConditionStatus::False, "Waiting", "two"), later);
        assert_eq!(conditions[0].last_transition_time, "2026-01-01T00:00:00Z");
        assert_eq!(conditions[0].message, "two");
        set_condition(&mut conditions, Condition::new("Ready", ConditionStatus::True, "Done", ""), later);
        assert_eq!(conditions[0].last_transition_time, "2026-01-01T00:01:00Z");
    }
}
