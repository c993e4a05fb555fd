//! Decides what may be deleted because it left Git.
//!
//! Only an object that the inventory owns, by uid, and that a complete render no longer has, is deleted; everything else
//! is kept with a reason. A delete carries the uid and the resourceVersion that were looked at.

use std::collections::BTreeSet;

use object_model::{Object, ObjectId, Uid};

use crate::inventory::{ConfigIdentity, Entry, EntryState, Inventory, Live, LiveView};
use crate::order::kind_rank;
use crate::ownership::{OWNER_ANNOTATION, Owner};

/// The annotation that keeps an object when it leaves Git (`disabled`) or lets a protected one go (`enabled`).
pub const PRUNE_ANNOTATION: &str = "sluice.dev/prune";

/// Argo CD's annotation with options for one object, separated by commas.
pub const SYNC_OPTIONS_ANNOTATION: &str = "argocd.argoproj.io/sync-options";

/// How the render that the plan leans on ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RenderOutcome {
    /// All of it was read and rendered.
    Complete,
    /// It failed, wholly or in part, or belongs to another commit.
    Failed,
}

/// What a user allows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PrunePolicy {
    /// Whether objects are deleted at all when they leave Git.
    pub is_enabled: bool,
    /// Whether a render without any object may delete everything.
    pub allows_empty: bool,
    /// The largest part of the owned objects that one plan may delete, in percent.
    pub share_max_percent: u32,
    /// Up to this many deletes the share does not matter.
    pub free_deletes: usize,
    /// A person approved this very plan, whatever its share.
    pub is_approved: bool,
    /// Kinds (group, kind) that are deleted only when the object itself allows it.
    pub protected: BTreeSet<(String, String)>,
}

impl Default for PrunePolicy {
    fn default() -> Self {
        let protected = [
            ("", "Namespace"),
            ("", "PersistentVolume"),
            ("", "PersistentVolumeClaim"),
            ("", "Node"),
            ("apiextensions.k8s.io", "CustomResourceDefinition"),
            ("storage.k8s.io", "StorageClass"),
        ];
        Self {
            is_enabled: true,
            allows_empty: false,
            share_max_percent: 50,
            free_deletes: 10,
            is_approved: false,
            protected: protected.iter().map(|(group, kind)| ((*group).to_owned(), (*kind).to_owned())).collect(),
        }
    }
}

/// Why an object that left Git stays.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum KeepReason {
    /// Pruning is off.
    #[error("pruning is off")]
    Disabled,
    /// The render failed.
    #[error("the render failed")]
    RenderFailed,
    /// The render has no object at all.
    #[error("the render is empty")]
    RenderEmpty,
    /// Too large a part of what is owned would go.
    #[error("{deletes} of {owned} owned objects would go, more than {percent} %")]
    TooMany {
        /// How many would go.
        deletes: usize,
        /// How many are owned.
        owned: usize,
        /// The limit.
        percent: u32,
    },
    /// Its kind is protected.
    #[error("kind {kind} is protected")]
    Protected {
        /// The kind.
        kind: String,
    },
    /// An annotation on it says so.
    #[error("annotation `{annotation}` keeps it")]
    OptedOut {
        /// The annotation.
        annotation: String,
    },
    /// It was intended, but no live object proved to be ours.
    #[error("it never proved to be ours")]
    NotOwned,
    /// Another config delivers it now.
    #[error("config {config} delivers it")]
    Foreign {
        /// That config as `namespace/name`.
        config: String,
    },
    /// The object under this name is another life.
    #[error("uid {live} is not the uid {owned} that is ours")]
    OtherUid {
        /// The uid that is there.
        live: String,
        /// The uid that is ours.
        owned: Uid,
    },
    /// Its kind can't be read now.
    #[error("its kind can't be read now")]
    Unknown,
    /// It is being deleted already.
    #[error("it is being deleted{}", finalizer_text(.finalizers))]
    Deleting {
        /// What holds the deletion up.
        finalizers: Vec<String>,
    },
}

fn finalizer_text(finalizers: &[String]) -> String {
    if finalizers.is_empty() { String::new() } else { format!(", held by {}", finalizers.join(", ")) }
}

/// Delete or keep.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PruneVerdict {
    /// Delete it, under the preconditions of the decision.
    Delete,
    /// Keep it.
    Keep(KeepReason),
}

/// The decision on one object that the inventory has and Git no longer wants.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PruneDecision {
    /// The object.
    pub id: ObjectId,
    /// The API version to delete it with.
    pub version: String,
    /// The uid that a delete requires.
    pub uid: Option<Uid>,
    /// The resourceVersion that a delete requires.
    pub resource_version: Option<String>,
    /// The wave of the object: the highest goes first.
    pub wave: i32,
    /// Delete or keep.
    pub verdict: PruneVerdict,
}

/// What a plan is made for.
#[derive(Debug, Clone, Copy)]
pub struct PruneScope<'a> {
    /// The config.
    pub config: &'a ConfigIdentity,
    /// How the render ended.
    pub render: RenderOutcome,
    /// What the user allows.
    pub policy: &'a PrunePolicy,
}

/// Decides about every object of the inventory that is not desired, in the order of deletion: highest wave first, and
/// within a wave the reverse of the order of creation.
pub fn prune_plan(
    inventory: &Inventory,
    desired: &BTreeSet<ObjectId>,
    live: &LiveView<'_>,
    scope: &PruneScope<'_>,
) -> Vec<PruneDecision> {
    let mut decisions: Vec<PruneDecision> = inventory
        .iter()
        .filter(|entry| !desired.contains(&entry.id))
        .filter_map(|entry| decide(entry, live, scope))
        .collect();
    guard_share(&mut decisions, inventory, desired, scope);
    sort_for_deletion(&mut decisions);
    decisions
}

/// Decides about every object of the inventory of a config that goes away with what it delivered, in the order of
/// deletion. What an annotation or its kind protects from a prune stays here too, and so does what Argo CD is told to
/// keep when its application is deleted.
pub fn deletion_plan(inventory: &Inventory, live: &LiveView<'_>, config: &ConfigIdentity) -> Vec<PruneDecision> {
    let policy = PrunePolicy::default();
    let scope = PruneScope { config, render: RenderOutcome::Complete, policy: &policy };
    let mut decisions: Vec<PruneDecision> = inventory.iter().filter_map(|entry| decide(entry, live, &scope)).collect();
    for decision in decisions.iter_mut().filter(|decision| decision.verdict == PruneVerdict::Delete) {
        let Live::Present(object) = live.get(&decision.id) else { continue };
        if let Some(annotation) = sync_option(object, &["Delete=false", "Delete=confirm"]) {
            decision.verdict = PruneVerdict::Keep(KeepReason::OptedOut { annotation });
        }
    }
    sort_for_deletion(&mut decisions);
    decisions
}

/// Whether a live object stays when its config is deleted, by its kind or by an annotation.
pub fn is_kept_on_deletion(live: &Object, config: &ConfigIdentity) -> bool {
    let policy = PrunePolicy::default();
    is_protected(live, &policy, config)
        || opted_out(live).is_some()
        || sync_option(live, &["Delete=false", "Delete=confirm"]).is_some()
}

fn sort_for_deletion(decisions: &mut [PruneDecision]) {
    decisions.sort_by(|left, right| {
        let key = |decision: &PruneDecision| (decision.wave, kind_rank(&decision.id.group, &decision.id.kind));
        key(right).cmp(&key(left)).then_with(|| right.id.cmp(&left.id))
    });
}

fn decide(entry: &Entry, live: &LiveView<'_>, scope: &PruneScope<'_>) -> Option<PruneDecision> {
    let mut decision = PruneDecision {
        id: entry.id.clone(),
        version: entry.version.clone(),
        uid: None,
        resource_version: None,
        wave: entry.wave,
        verdict: PruneVerdict::Keep(KeepReason::Unknown),
    };
    match live.get(&entry.id) {
        Live::Absent => return None,
        Live::Unknown => {}
        Live::Present(object) => {
            decision.uid = object.uid();
            decision.resource_version = object.resource_version().map(str::to_owned);
            decision.verdict = match keep_reason(entry, object, scope) {
                Some(reason) => PruneVerdict::Keep(reason),
                None => PruneVerdict::Delete,
            };
        }
    }
    Some(decision)
}

fn keep_reason(entry: &Entry, object: &Object, scope: &PruneScope<'_>) -> Option<KeepReason> {
    let EntryState::Owned { uid } = &entry.state else { return Some(KeepReason::NotOwned) };
    if object.uid().as_ref() != Some(uid) {
        let live = object.uid().map_or_else(|| "(none)".to_owned(), |uid| uid.to_string());
        return Some(KeepReason::OtherUid { live, owned: uid.clone() });
    }
    match Owner::of(object) {
        Some(owner) if owner.uid != scope.config.uid => return Some(KeepReason::Foreign { config: owner.config }),
        Some(_) => {}
        // An annotation that is there and does not fit was put there by somebody else.
        None if object.annotation(OWNER_ANNOTATION).is_some() => {
            return Some(KeepReason::Foreign { config: "(unreadable)".to_owned() });
        }
        None => {}
    }
    if object.is_deleting() {
        let finalizers =
            object.list_at("/metadata/finalizers").iter().filter_map(|name| name.as_str()).map(str::to_owned);
        return Some(KeepReason::Deleting { finalizers: finalizers.collect() });
    }
    if scope.render == RenderOutcome::Failed {
        return Some(KeepReason::RenderFailed);
    }
    if !scope.policy.is_enabled {
        return Some(KeepReason::Disabled);
    }
    if let Some(annotation) = opted_out(object) {
        return Some(KeepReason::OptedOut { annotation });
    }
    if is_protected(object, scope.policy, scope.config) {
        return Some(KeepReason::Protected { kind: entry.id.kind.clone() });
    }
    None
}

/// Whether the kind of an object protects it and the object itself does not let go.
fn is_protected(object: &Object, policy: &PrunePolicy, config: &ConfigIdentity) -> bool {
    let kind = (object.group().to_owned(), object.kind().to_owned());
    let is_home = object.kind() == "Namespace" && object.name() == config.namespace;
    (policy.protected.contains(&kind) || is_home) && object.annotation(PRUNE_ANNOTATION) != Some("enabled")
}

/// The annotation that keeps an object, in our words or in those of Argo CD, Flux and Helm.
fn opted_out(object: &Object) -> Option<String> {
    let is =
        |key: &str, value: &str| object.annotation(key).is_some_and(|have| have.trim().eq_ignore_ascii_case(value));
    for (key, value) in [
        (PRUNE_ANNOTATION, "disabled"),
        ("kustomize.toolkit.fluxcd.io/prune", "disabled"),
        ("kustomize.toolkit.fluxcd.io/reconcile", "disabled"),
        ("helm.sh/resource-policy", "keep"),
    ] {
        if is(key, value) {
            return Some(format!("{key}: {value}"));
        }
    }
    sync_option(object, &["Prune=false", "Prune=confirm"])
}

/// The first of these options that Argo CD's annotation on an object has, with the annotation before it.
fn sync_option(object: &Object, wanted: &[&str]) -> Option<String> {
    let options = object.annotation(SYNC_OPTIONS_ANNOTATION)?;
    let option = options.split(',').map(str::trim).find(|option| wanted.contains(option))?;
    Some(format!("{SYNC_OPTIONS_ANNOTATION}: {option}"))
}

/// Turns deletes into keeps when the render is empty or too large a part would go.
fn guard_share(
    decisions: &mut [PruneDecision],
    inventory: &Inventory,
    desired: &BTreeSet<ObjectId>,
    scope: &PruneScope<'_>,
) {
    let policy = scope.policy;
    let owned = inventory.iter().filter(|entry| matches!(entry.state, EntryState::Owned { .. })).count();
    let deletes = decisions.iter().filter(|decision| decision.verdict == PruneVerdict::Delete).count();
    let percent = usize::try_from(policy.share_max_percent).unwrap_or(usize::MAX);
    let is_too_many = deletes > policy.free_deletes && deletes.saturating_mul(100) > owned.saturating_mul(percent);
    let reason = if desired.is_empty() && !policy.allows_empty {
        KeepReason::RenderEmpty
    } else if is_too_many && !policy.is_approved {
        KeepReason::TooMany { deletes, owned, percent: policy.share_max_percent }
    } else {
        return;
    };
    for decision in decisions.iter_mut().filter(|decision| decision.verdict == PruneVerdict::Delete) {
        decision.verdict = PruneVerdict::Keep(reason.clone());
    }
}
