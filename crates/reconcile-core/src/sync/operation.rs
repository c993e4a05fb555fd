//! The memory of a running sync: what can't be seen in the cluster, kept in the config's status.
//!
//! A sync with hooks or several waves is an operation. Its beginning, every change of its phase and every result of a
//! hook is stored before anything follows from it, so after a crash the next look goes on where the last one was.

use api::Retry;
use diff_engine::HookPhase;
use object_model::{Duration, Object, Timestamp, format_time, parse_time};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::time::after;

/// How far an operation has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Phase {
    /// Hooks run before anything is applied.
    PreSync,
    /// Objects are applied, wave by wave.
    Sync,
    /// Hooks run after everything is applied and healthy.
    PostSync,
    /// It has failed, and hooks for that run.
    SyncFail,
    /// The config goes, and hooks run before anything is deleted.
    PreDelete,
    /// The config goes, and its objects are deleted.
    Delete,
    /// The config goes, and hooks run after everything is deleted.
    PostDelete,
    /// It is over, and all went well.
    Succeeded,
    /// It is over, and did not go well.
    Failed,
}

impl Phase {
    /// Whether it is over.
    pub fn is_over(self) -> bool {
        matches!(self, Self::Succeeded | Self::Failed)
    }

    /// The hooks that run in it.
    pub fn hooks(self) -> Option<HookPhase> {
        match self {
            Self::PreSync => Some(HookPhase::PreSync),
            Self::Sync => Some(HookPhase::Sync),
            Self::PostSync => Some(HookPhase::PostSync),
            Self::SyncFail => Some(HookPhase::SyncFail),
            Self::PreDelete => Some(HookPhase::PreDelete),
            Self::PostDelete => Some(HookPhase::PostDelete),
            Self::Delete | Self::Succeeded | Self::Failed => None,
        }
    }
}

impl std::fmt::Display for Phase {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        std::fmt::Debug::fmt(self, f)
    }
}

/// What is known of one hook of the present attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum HookResult {
    /// It was seen.
    Running,
    /// It did what it is for.
    Succeeded,
    /// It did not.
    Failed,
}

/// One hook of the present attempt.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HookRecord {
    /// The object.
    pub object: String,
    /// The phase it ran in.
    pub phase: HookPhase,
    /// How it ended.
    pub result: HookResult,
    /// Why it failed.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub message: String,
}

/// A sync, as the status remembers it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Operation {
    /// Counts the operations of the config.
    pub operation: u64,
    /// Counts the attempts of the operation, from 1.
    pub attempt: u32,
    /// How far the attempt has come.
    pub phase: Phase,
    /// Digest of what is to be applied.
    pub digest: String,
    /// The commit that it comes from.
    pub commit: String,
    /// Whether no operation had succeeded before.
    #[serde(default)]
    pub is_install: bool,
    /// Whether all objects have been applied once.
    #[serde(default)]
    pub is_applied: bool,
    /// Whether a person asked for it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub is_manual: bool,
    /// When the attempt began.
    pub started_at: String,
    /// When the attempt was over.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub finished_at: Option<String>,
    /// When the next attempt begins.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry_at: Option<String>,
    /// What went wrong.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub message: String,
    /// The hooks of the attempt.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub hooks: Vec<HookRecord>,
}

impl Operation {
    /// Reads the operation of a config; what can't be read counts as none.
    pub fn of(config: &Object) -> Option<Self> {
        serde_json::from_value(config.pointer("/status/sync")?.clone()).ok()
    }

    /// The operation after `previous`.
    pub fn begin(previous: Option<&Self>, wanted: Wanted<'_>, now: Timestamp) -> Self {
        Self {
            operation: previous.map_or(1, |previous| previous.operation.saturating_add(1)),
            attempt: 1,
            phase: Phase::PreSync,
            digest: wanted.digest.to_owned(),
            commit: wanted.commit.to_owned(),
            is_install: wanted.is_install,
            is_applied: false,
            is_manual: wanted.is_manual,
            started_at: format_time(now),
            finished_at: None,
            retry_at: None,
            message: String::new(),
            hooks: Vec::new(),
        }
    }

    /// The next attempt of the same operation.
    #[must_use]
    pub fn again(&self, now: Timestamp) -> Self {
        Self {
            attempt: self.attempt.saturating_add(1),
            phase: Phase::PreSync,
            started_at: format_time(now),
            finished_at: None,
            retry_at: None,
            hooks: Vec::new(),
            ..self.clone()
        }
    }

    /// Ends the attempt well.
    #[must_use]
    pub fn succeeded(&self, now: Timestamp) -> Self {
        let finished_at = Some(format_time(now));
        Self { phase: Phase::Succeeded, is_applied: true, finished_at, message: String::new(), ..self.clone() }
    }

    /// Ends the attempt; another one follows after a delay that grows, until there were as many as allowed.
    #[must_use]
    pub fn failed(&self, now: Timestamp, retry: &Retry) -> Self {
        let delay = (self.attempt <= retry.limit).then(|| delay(self.attempt, retry));
        let retry_at = delay.and_then(|delay| after(now, delay)).map(format_time);
        Self { phase: Phase::Failed, finished_at: Some(format_time(now)), retry_at, ..self.clone() }
    }

    /// When the attempt began.
    pub fn started(&self) -> Option<Timestamp> {
        parse_time(&self.started_at)
    }

    /// When the next attempt begins.
    pub fn retries(&self) -> Option<Timestamp> {
        parse_time(self.retry_at.as_deref()?)
    }

    /// Names the run of hooks that belong to this attempt and phase.
    pub fn run(&self, phase: HookPhase) -> String {
        format!("{}.{}/{phase}", self.operation, self.attempt)
    }

    /// What is known of a hook.
    pub fn record_of(&self, object: &str, phase: HookPhase) -> Option<&HookRecord> {
        self.hooks.iter().find(|record| record.object == object && record.phase == phase)
    }

    /// Remembers how a hook does.
    pub fn note(&mut self, record: HookRecord) {
        match self.hooks.iter_mut().find(|have| have.object == record.object && have.phase == record.phase) {
            Some(have) => *have = record,
            None => self.hooks.push(record),
        }
    }

    /// As the status has it.
    pub fn to_value(&self) -> Value {
        serde_json::to_value(self).unwrap_or(Value::Null)
    }
}

/// What a new operation is about.
#[derive(Debug, Clone, Copy)]
pub struct Wanted<'a> {
    /// Digest of what is to be applied.
    pub digest: &'a str,
    /// The commit.
    pub commit: &'a str,
    /// Whether no operation has succeeded before.
    pub is_install: bool,
    /// Whether a person asked for it.
    pub is_manual: bool,
}

/// The delay after the given attempt.
pub(super) fn delay(attempt: u32, retry: &Retry) -> Duration {
    let factor = retry.factor.saturating_pow(attempt.saturating_sub(1).min(32));
    retry.delay.saturating_mul(factor).min(retry.delay_max)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_delay_grows_to_its_limit() {
        let retry = Retry::default();
        let delays: Vec<u64> = (1..8).map(|attempt| delay(attempt, &retry).as_secs()).collect();
        assert_eq!(delays, [5, 10, 20, 40, 80, 160, 180]);
        assert_eq!(delay(u32::MAX, &retry).as_secs(), 180);
    }

    #[test]
    fn an_operation_survives_the_status() {
        let wanted = Wanted { digest: "d", commit: "c", is_install: true, is_manual: true };
        let mut operation = Operation::begin(None, wanted, "2026-01-01T00:00:00Z".parse().unwrap());
        let record = HookRecord {
            object: "Job.batch qa/migrate".to_owned(),
            phase: HookPhase::PreSync,
            result: HookResult::Running,
            message: String::new(),
        };
        operation.note(record);
        let config = serde_json::json!({
            "apiVersion": "sluice.dev/v1", "kind": "GitOpsConfig", "metadata": {"name": "a"},
            "status": {"sync": operation.to_value()},
        });
        assert_eq!(Operation::of(&Object::parse(config).unwrap()), Some(operation));
    }
}
