//! What Git wants, made ready for the cluster: namespace, ownership, claims.

use std::collections::BTreeSet;

use api::{GitOpsConfig, names};
use diff_engine::{Applied, Claim, Claims, CompareOptions, Comparison, Owner, Role};
use object_model::{Object, ObjectId};

use super::hooks::HookTemplate;
use super::options::is_left_alone;
use super::rerender;
use super::snapshot::Snapshot;
use crate::bugs::{self, Bug};
use crate::{FieldManager, Rendered, Scope, View, kinds};

/// One object that Git wants.
#[derive(Debug, Clone, PartialEq)]
pub struct Wish {
    /// The object as the source has it, with its namespace.
    pub object: Object,
    /// The file it came from.
    pub file: String,
    /// The line it begins on.
    pub line: u32,
}

/// A render, sorted by what its objects are in a sync.
#[derive(Debug, Default)]
pub(super) struct Sorted {
    /// What is delivered.
    pub(super) wishes: Vec<Wish>,
    /// What runs at some point.
    pub(super) hooks: Vec<HookTemplate>,
    /// What is left out, and is left alone where it is live.
    pub(super) skipped: BTreeSet<ObjectId>,
    /// Annotations that can't be read.
    pub(super) errors: Vec<String>,
}

/// Sorts a render, and puts objects that name no namespace into the config's, when their kind lives in one.
pub(super) fn sort(view: &dyn View, spec: &GitOpsConfig, rendered: &Rendered) -> Sorted {
    let mut sorted = Sorted::default();
    for item in rendered.objects.iter() {
        let mut object = (*item.object).clone();
        let served = view.resolve(object.api_version(), object.kind());
        let is_namespaced = served.is_none_or(|kind| kind.scope == Scope::Namespaced);
        if is_namespaced && object.namespace().is_none() {
            object.set_namespace(&spec.namespace);
        }
        let (file, line) = (item.file.clone(), item.line);
        if is_left_alone(&object) {
            sorted.skipped.insert(object.id());
            continue;
        }
        match diff_engine::role_of(&object) {
            Ok(Role::Ordinary) => sorted.wishes.push(Wish { object, file, line }),
            Ok(Role::Hook(spec)) => sorted.hooks.push(HookTemplate { object, spec, file, line }),
            Ok(Role::Skipped) => drop(sorted.skipped.insert(object.id())),
            Err(error) => sorted.errors.push(format!("{file}:{line}: {error}")),
        }
    }
    sorted
}

/// What would be applied for a wish, and how it differs from live.
#[derive(Debug, Clone)]
pub(super) struct Prepared {
    /// What to apply; its commit annotation names the present commit when something changes.
    pub(super) object: Object,
    /// The difference from live; everything when there is no live object.
    pub(super) comparison: Option<Comparison>,
    /// Whether every field that differs was ours when this object was applied last: what differs now was taken from us.
    pub(super) is_repair: bool,
}

impl Prepared {
    /// Whether an apply would change nothing.
    pub(super) fn is_in_sync(&self) -> bool {
        self.comparison.as_ref().is_some_and(Comparison::is_in_sync)
    }
}

/// Prepares one wish: ownership marks on, claimed fields from live.
pub(super) fn prepare(snapshot: &Snapshot, wish: &Wish, owner: Option<&Owner>) -> Prepared {
    let mut object = wish.object.clone();
    diff_engine::fold_string_data(&mut object);
    object.set_label(names::MANAGED_LABEL, "true");
    object.set_annotation(names::CONFIG, &snapshot.identity.to_string());
    if let Some(owner) = owner {
        owner.put_on(&mut object);
    }
    if let Some(fields) = rerender::secret_fields(snapshot, &wish.object) {
        object.set_annotation(names::SECRET_FIELDS, &fields);
    }
    let live = snapshot.live.get(&wish.object.id());
    let mut is_repair = false;
    let comparison = live.map(|live| {
        let claims = claims(snapshot, live);
        object = diff_engine::take_claimed(&object, live, &claims, FieldManager::Sync.name());
        object = diff_engine::take_ignored(&object, live, &snapshot.ignore, FieldManager::Sync.name());
        keep_marks(&mut object, live);
        let applied = match diff_engine::applied_digest(&wish.object) {
            Some(digest) if live.annotation(names::APPLIED) == Some(&digest) => Applied::Same,
            Some(_) if live.annotation(names::APPLIED).is_some() => Applied::Other,
            _ => Applied::Unknown,
        };
        is_repair = applied == Applied::Same && is_ours(snapshot, live);
        let options = CompareOptions {
            field_manager: FieldManager::Sync.name(),
            applied,
            claims: &claims,
            ignore: &snapshot.ignore,
        };
        let comparison = diff_engine::compare(&object, live, &options);
        // A commit that changes what somebody edited by hand is a repair too, where drift is repaired.
        let fields = live.annotation(FIELDS).filter(|_| snapshot.spec.sync.self_heal && is_ours(snapshot, live));
        is_repair |= fields.is_some_and(|fields| diff_engine::had_changed_fields(fields, &comparison));
        comparison
    });
    if !comparison.as_ref().is_some_and(Comparison::is_in_sync) {
        stamp(snapshot, wish, &mut object);
    }
    Prepared { object, comparison, is_repair }
}

/// Annotation: which fields were applied last, so that a field that was taken from us is told from one that never was
/// ours.
const FIELDS: &str = "sluice.dev/applied-fields";

/// What stands on an object counts only where this config wrote it.
fn is_ours(snapshot: &Snapshot, live: &Object) -> bool {
    Owner::of(live).is_none_or(|owner| owner.uid == snapshot.identity.uid)
}

/// Where nothing else differs, the commit that last changed the object keeps standing on it.
fn keep_marks(object: &mut Object, live: &Object) {
    for key in [names::COMMIT, names::SOURCE, names::APPLIED, FIELDS] {
        if let Some(value) = live.annotation(key) {
            object.set_annotation(key, value);
        }
    }
}

fn stamp(snapshot: &Snapshot, wish: &Wish, object: &mut Object) {
    if let Some(rendered) = snapshot.rendered() {
        object.set_annotation(names::COMMIT, &rendered.touched.commit);
    }
    let place = if wish.line > 0 { format!("{}:{}", wish.file, wish.line) } else { wish.file.clone() };
    object.set_annotation(names::SOURCE, &place);
    if let Some(digest) = diff_engine::applied_digest(&wish.object) {
        object.set_annotation(names::APPLIED, &digest);
    }
    match diff_engine::field_digests(&wish.object) {
        Some(fields) => object.set_annotation(FIELDS, &fields),
        None => object.set_annotation(FIELDS, ""),
    }
}

/// The fields of a live object that others drive: published claims of living owners, and autoscalers.
fn claims(snapshot: &Snapshot, live: &Object) -> Claims {
    let counts = |claim: &Claim| is_live(snapshot, claim) && !bugs::on(Bug::ClaimsUnread);
    let published = Claims::on(live).unwrap_or_default().of_live_owners(counts);
    let autoscalers = snapshot.autoscalers.iter().map(|autoscaler| &**autoscaler);
    published.and(diff_engine::autoscaler_claims(live, autoscalers))
}

/// A claim ends with its owner. Only Rollouts publish claims here; what another engine claims is its own to take back.
fn is_live(snapshot: &Snapshot, claim: &Claim) -> bool {
    claim.kind != kinds::rollout().kind || snapshot.rollouts.contains(&claim.uid)
}
