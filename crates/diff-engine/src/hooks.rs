//! Objects that run at a point of a sync instead of being part of what is delivered, in the words of Argo CD and Helm.

use std::collections::BTreeSet;

use object_model::{Object, ObjectId};

use crate::health::{Health, HealthStatus, assess};
use crate::order::{WaveError, wave_of};

/// Our annotation of the same meaning as Argo CD's.
pub const HOOK_ANNOTATION: &str = "sluice.dev/hook";
/// Our annotation of the same meaning as Argo CD's.
pub const HOOK_DELETE_POLICY_ANNOTATION: &str = "sluice.dev/hook-delete-policy";
const ARGO_HOOK: &str = "argocd.argoproj.io/hook";
const ARGO_DELETE_POLICY: &str = "argocd.argoproj.io/hook-delete-policy";
const HELM_HOOK: &str = "helm.sh/hook";
const HELM_WEIGHT: &str = "helm.sh/hook-weight";
const HELM_DELETE_POLICY: &str = "helm.sh/hook-delete-policy";

/// The point of a sync at which a hook runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
pub enum HookPhase {
    /// Before anything is applied.
    PreSync,
    /// Together with the objects of its wave.
    Sync,
    /// After all is applied and healthy.
    PostSync,
    /// After a sync has failed.
    SyncFail,
    /// Before the objects of a config that goes are deleted.
    PreDelete,
    /// After they are gone.
    PostDelete,
}

impl std::fmt::Display for HookPhase {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::PreSync => "PreSync",
            Self::Sync => "Sync",
            Self::PostSync => "PostSync",
            Self::SyncFail => "SyncFail",
            Self::PreDelete => "PreDelete",
            Self::PostDelete => "PostDelete",
        })
    }
}

/// At which syncs a hook runs: Helm tells the first from the later ones.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Occasion {
    /// At every sync.
    Any,
    /// Until a sync has succeeded for the first time.
    Install,
    /// After that.
    Upgrade,
}

/// When a hook is deleted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct HookDeletion {
    /// The one of an earlier run, before it is created again.
    pub before_creation: bool,
    /// After it has succeeded, when its phase is over.
    pub on_success: bool,
    /// After it has failed.
    pub on_failure: bool,
}

/// A hook as its annotations describe it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HookSpec {
    /// When it runs.
    pub points: BTreeSet<(HookPhase, Occasion)>,
    /// Hooks of one phase run in the order of their waves.
    pub wave: i32,
    /// When it is deleted.
    pub deletion: HookDeletion,
}

impl HookSpec {
    /// Whether it has a part in a sync, and not only in the end of a config.
    pub fn is_for_sync(&self) -> bool {
        self.points.iter().any(|(phase, _)| !matches!(phase, HookPhase::PreDelete | HookPhase::PostDelete))
    }

    /// The phases in which it runs at a first sync, or at a later one.
    pub fn phases(&self, is_install: bool) -> BTreeSet<HookPhase> {
        let fits = |occasion: Occasion| match occasion {
            Occasion::Any => true,
            Occasion::Install => is_install,
            Occasion::Upgrade => !is_install,
        };
        self.points.iter().filter(|(_, occasion)| fits(*occasion)).map(|(phase, _)| *phase).collect()
    }
}

/// What an object is in a sync.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Role {
    /// It is delivered.
    Ordinary,
    /// It runs at some point.
    Hook(HookSpec),
    /// It is left out: it says so, or it is for an occasion that no sync is (Helm's tests and rollbacks).
    Skipped,
}

/// A hook annotation that can't be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum HookError {
    /// A value that nobody knows.
    #[error("annotation `{annotation}` of {id} has `{text}`; known are {known}")]
    UnknownValue {
        /// The object.
        id: Box<ObjectId>,
        /// The annotation.
        annotation: &'static str,
        /// The value.
        text: String,
        /// What would be right.
        known: &'static str,
    },
    /// Its wave is no number.
    #[error(transparent)]
    Wave(#[from] WaveError),
    /// Its weight is no number.
    #[error("annotation `{HELM_WEIGHT}` of {id} is `{text}`, a weight is a whole number")]
    Weight {
        /// The object.
        id: Box<ObjectId>,
        /// Its value.
        text: String,
    },
}

/// Says what an object is in a sync. Argo CD's annotations, and ours, win over Helm's.
///
/// # Errors
/// When an annotation has a value that nobody knows.
///
/// ```
/// use diff_engine::{HookPhase, Role, role_of};
/// let mut job = object_model::Object::new("batch/v1", "Job", Some("qa"), "migrate");
/// job.set_annotation("helm.sh/hook", "pre-install,pre-upgrade");
/// let Ok(Role::Hook(hook)) = role_of(&job) else { panic!("it is a hook") };
/// assert!(hook.phases(true).contains(&HookPhase::PreSync));
/// ```
pub fn role_of(object: &Object) -> Result<Role, HookError> {
    for annotation in [HOOK_ANNOTATION, ARGO_HOOK] {
        if let Some(text) = object.annotation(annotation) {
            return argo_role(object, annotation, text);
        }
    }
    match object.annotation(HELM_HOOK) {
        Some(text) => helm_role(object, text),
        None => Ok(Role::Ordinary),
    }
}

fn listed(text: &str) -> impl Iterator<Item = &str> {
    text.split(',').map(str::trim).filter(|item| !item.is_empty())
}

fn argo_role(object: &Object, annotation: &'static str, text: &str) -> Result<Role, HookError> {
    let mut points = BTreeSet::new();
    let mut is_skipped = false;
    for name in listed(text) {
        let phase = match name {
            "PreSync" => HookPhase::PreSync,
            "Sync" => HookPhase::Sync,
            "PostSync" => HookPhase::PostSync,
            "SyncFail" => HookPhase::SyncFail,
            "PreDelete" => HookPhase::PreDelete,
            "PostDelete" => HookPhase::PostDelete,
            "Skip" => {
                is_skipped = true;
                continue;
            }
            other => {
                return Err(HookError::UnknownValue {
                    id: Box::new(object.id()),
                    annotation,
                    text: other.chars().take(40).collect(),
                    known: "PreSync, Sync, PostSync, SyncFail, PreDelete, PostDelete, Skip",
                });
            }
        };
        points.insert((phase, Occasion::Any));
    }
    if is_skipped || points.is_empty() {
        return Ok(Role::Skipped);
    }
    Ok(Role::Hook(HookSpec { points, wave: wave(object)?, deletion: deletion(object)? }))
}

fn helm_role(object: &Object, text: &str) -> Result<Role, HookError> {
    let mut points = BTreeSet::new();
    for event in listed(text) {
        let point = match event {
            // Helm 2's way to say that a definition comes first, which it does anyway.
            "crd-install" => return Ok(Role::Ordinary),
            "pre-install" => (HookPhase::PreSync, Occasion::Install),
            "pre-upgrade" => (HookPhase::PreSync, Occasion::Upgrade),
            "post-install" => (HookPhase::PostSync, Occasion::Install),
            "post-upgrade" => (HookPhase::PostSync, Occasion::Upgrade),
            "pre-delete" => (HookPhase::PreDelete, Occasion::Any),
            "post-delete" => (HookPhase::PostDelete, Occasion::Any),
            // Tests and rollbacks of releases; Helm itself passes over what it does not know.
            _ => continue,
        };
        points.insert(point);
    }
    if points.is_empty() {
        return Ok(Role::Skipped);
    }
    Ok(Role::Hook(HookSpec { points, wave: wave(object)?, deletion: deletion(object)? }))
}

/// The wave, or Helm's weight where there is none.
fn wave(object: &Object) -> Result<i32, HookError> {
    let has_wave = crate::order::WAVE_ANNOTATIONS.iter().any(|annotation| object.annotation(annotation).is_some());
    match object.annotation(HELM_WEIGHT).filter(|_| !has_wave) {
        None => Ok(wave_of(object)?),
        Some(text) => text
            .trim()
            .parse()
            .map_err(|_| HookError::Weight { id: Box::new(object.id()), text: text.chars().take(40).collect() }),
    }
}

fn deletion(object: &Object) -> Result<HookDeletion, HookError> {
    let mut deletion = HookDeletion::default();
    for annotation in [HOOK_DELETE_POLICY_ANNOTATION, ARGO_DELETE_POLICY, HELM_DELETE_POLICY] {
        let Some(text) = object.annotation(annotation) else { continue };
        for policy in listed(text) {
            match policy {
                "BeforeHookCreation" | "before-hook-creation" => deletion.before_creation = true,
                "HookSucceeded" | "hook-succeeded" => deletion.on_success = true,
                "HookFailed" | "hook-failed" => deletion.on_failure = true,
                other => {
                    return Err(HookError::UnknownValue {
                        id: Box::new(object.id()),
                        annotation,
                        text: other.chars().take(40).collect(),
                        known: "BeforeHookCreation, HookSucceeded, HookFailed",
                    });
                }
            }
        }
        return Ok(deletion);
    }
    Ok(HookDeletion { before_creation: true, ..deletion })
}

/// How far a hook has come.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HookOutcome {
    /// It is not finished.
    Running,
    /// It did what it is for. An object that has no health has done so once it exists.
    Succeeded,
    /// It did not, with the reason.
    Failed(String),
}

/// Judges the live object of a hook as Argo CD does: only there a Job that runs is not done.
pub fn hook_outcome(live: &Object) -> HookOutcome {
    outcome_of(assess(live).as_ref())
}

/// What the health of a hook's object says about the hook.
pub fn outcome_of(health: Option<&Health>) -> HookOutcome {
    let Some(health) = health else { return HookOutcome::Succeeded };
    match health.status {
        HealthStatus::Healthy => HookOutcome::Succeeded,
        HealthStatus::Progressing | HealthStatus::Suspended | HealthStatus::Missing => HookOutcome::Running,
        HealthStatus::Degraded | HealthStatus::Unknown => HookOutcome::Failed(health.message.clone()),
    }
}

/// Whether the program of a hook runs at this moment, so that nobody should pull it from under it.
pub fn is_hook_at_work(live: &Object) -> bool {
    if hook_outcome(live) != HookOutcome::Running || live.is_deleting() {
        return false;
    }
    match (live.group(), live.kind()) {
        ("batch", "Job") => live.int_at("/status/ready").unwrap_or(0) > 0,
        ("", "Pod") => live.str_at("/status/phase") == Some("Running"),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn role(annotations: &[(&str, &str)]) -> Result<Role, HookError> {
        let mut job = Object::new("batch/v1", "Job", Some("qa"), "migrate");
        annotations.iter().for_each(|(key, value)| job.set_annotation(key, value));
        role_of(&job)
    }

    fn told(annotations: &[(&str, &str)]) -> String {
        match role(annotations) {
            Err(error) => error.to_string(),
            Ok(Role::Ordinary) => "ordinary".to_owned(),
            Ok(Role::Skipped) => "skipped".to_owned(),
            Ok(Role::Hook(hook)) => {
                let phases = |is_install| {
                    let names: Vec<String> = hook.phases(is_install).iter().map(ToString::to_string).collect();
                    names.join("+")
                };
                let HookDeletion { before_creation, on_success, on_failure } = hook.deletion;
                let deletion: Vec<&str> =
                    [(before_creation, "before"), (on_success, "succeeded"), (on_failure, "failed")]
                        .into_iter()
                        .filter_map(|(is_on, name)| is_on.then_some(name))
                        .collect();
                format!("{} / {} at {}, {}", phases(true), phases(false), hook.wave, deletion.join("+"))
            }
        }
    }

    #[test]
    fn the_words_of_argo_and_helm_are_understood() {
        let (hook, policy, wave) = (ARGO_HOOK, ARGO_DELETE_POLICY, "argocd.argoproj.io/sync-wave");
        for (annotations, want) in [
            (&[][..], "ordinary"),
            (&[(hook, "PreSync")][..], "PreSync / PreSync at 0, before"),
            (&[(hook, "PreSync, PostSync"), (wave, "-3")][..], "PreSync+PostSync / PreSync+PostSync at -3, before"),
            (
                &[(hook, "SyncFail"), (policy, "HookSucceeded,HookFailed")][..],
                "SyncFail / SyncFail at 0, succeeded+failed",
            ),
            (&[(hook, "Skip")][..], "skipped"),
            (&[(hook, "PostDelete")][..], "PostDelete / PostDelete at 0, before"),
            (&[(HELM_HOOK, "pre-delete")][..], "PreDelete / PreDelete at 0, before"),
            (&[(HOOK_ANNOTATION, "Sync"), (HELM_HOOK, "test")][..], "Sync / Sync at 0, before"),
            (&[(HELM_HOOK, "pre-install"), (HELM_WEIGHT, "-5")][..], "PreSync /  at -5, before"),
            (&[(HELM_HOOK, "post-install,post-upgrade")][..], "PostSync / PostSync at 0, before"),
            (&[(HELM_HOOK, "pre-upgrade"), (HELM_DELETE_POLICY, "hook-succeeded")][..], " / PreSync at 0, succeeded"),
            (&[(HELM_HOOK, "test")][..], "skipped"),
            (&[(HELM_HOOK, "crd-install")][..], "ordinary"),
        ] {
            assert_eq!(told(annotations), want, "{annotations:?}");
        }
    }

    #[test]
    fn a_word_that_nobody_knows_is_named() {
        assert_eq!(
            told(&[(ARGO_HOOK, "BeforeSync")]),
            "annotation `argocd.argoproj.io/hook` of Job.batch qa/migrate has `BeforeSync`; known are PreSync, Sync, \
             PostSync, SyncFail, PreDelete, PostDelete, Skip"
        );
        assert!(told(&[(HELM_HOOK, "pre-install"), (HELM_WEIGHT, "heavy")]).contains("is `heavy`, a weight is"));
        assert!(told(&[(ARGO_HOOK, "Sync"), (ARGO_DELETE_POLICY, "Never")]).contains("has `Never`; known are Before"));
    }

    #[test]
    fn a_job_is_at_work_while_a_pod_of_it_is_ready() {
        let mut job = Object::new("batch/v1", "Job", Some("qa"), "migrate");
        assert!(!is_hook_at_work(&job), "its image may never come");
        job.set_at(&["status"], serde_json::json!({"active": 1, "ready": 1}));
        assert!(is_hook_at_work(&job));
        job.set_at(
            &["status"],
            serde_json::json!({"conditions": [{"type": "Failed", "status": "True", "message": "m"}]}),
        );
        assert_eq!(hook_outcome(&job), HookOutcome::Failed("m".to_owned()));
    }
}
