//! Deletes and creates an object of which an immutable field changes, where the user allows it.
//!
//! First the server is asked whether it would take the new object under another name; only then the old one goes. The
//! inventory has the object throughout, so after a crash in between it is created as any missing object is.

use std::sync::Arc;

use api::OnImmutable;
use diff_engine::{EntryState, Inventory};
use object_model::Object;
use serde_json::{Value, json};

use super::desired::Wish;
use super::options::{on_immutable, speaks_for_itself};
use super::snapshot::Snapshot;
use super::status::Report;
use crate::patch::{canonical, digest};
use crate::{
    Act, Action, Answer, DryRunForm, DryRunObject, Kind, ObjectRef, Plan, Precondition, Propagation, Question, Refusal,
    Slot,
};

fn trial_names(plural: &str, kind: &str) -> Value {
    json!({"plural": plural, "singular": format!("{plural}one"), "kind": format!("{kind}Trial"), "listKind": format!("{kind}TrialList")})
}

/// Longest beginning of a name that the end for the trial is put to.
const NAME_CHARS_MAX: usize = 40;

/// Whether a write was refused because a field never changes, in the words of the API server.
pub(super) fn is_immutable(refusal: &Refusal) -> bool {
    const WORDS: [&str; 7] = [
        // Also what rules of definitions and policies say.
        "is immutable",
        "immutable field",
        "may not change once set",
        "cannot change roleRef",
        "updates to statefulset spec for fields other than",
        "updates to provisioner are forbidden",
        "updates to parameters are forbidden",
    ];
    WORDS.iter().any(|words| refusal.message.contains(words))
}

/// Where the server's opinion of a new object is kept.
pub(super) fn slot(snapshot: &Snapshot, wish: &Wish) -> Slot {
    let text = canonical(&wish.object.to_json());
    Slot::new(snapshot.uid().as_str(), format!("recreate/{}/{}", wish.object.id(), digest(&text)))
}

/// The slots that an observation reads.
pub(super) fn slots(snapshot: &Snapshot) -> Vec<Slot> {
    let refused = snapshot.wishes.iter().filter(|wish| {
        let refusal = snapshot.refusals.get(&wish.object.id());
        refusal.is_some_and(is_immutable) && on_immutable(&snapshot.spec, &wish.object) == OnImmutable::Recreate
    });
    refused.map(|wish| slot(snapshot, wish)).collect()
}

/// Whether everything of a kind would go with the object: only the object itself may allow that, not its config.
fn takes_others_along(object: &Object) -> bool {
    matches!(
        (object.group(), object.kind()),
        ("apiextensions.k8s.io", "CustomResourceDefinition")
            | ("", "Namespace" | "PersistentVolume" | "PersistentVolumeClaim")
    )
}

/// The next step: ask, then delete; the creation follows when the old object is gone.
#[expect(clippy::too_many_arguments, reason = "one object with everything that is known of it")]
pub(super) fn step(
    snapshot: &Snapshot,
    wish: &Wish,
    kind: &Kind,
    object: &Object,
    inventory: &Inventory,
    writes: bool,
    plan: &mut Plan,
    report: &mut Report,
) -> Option<Act> {
    let id = wish.object.id();
    let owned = inventory.get(&id).map(|entry| &entry.state);
    let is_ours =
        |live: &&Arc<Object>| matches!(owned, Some(EntryState::Owned { uid }) if live.uid().as_ref() == Some(uid));
    // An object without our label is there and not seen.
    let Some(live) = snapshot.live.get(&id).filter(is_ours) else {
        let why = "an immutable field changes, and this config did not create the object; delete it by hand";
        report.error(&id, wish, "ApplyFailed", why.to_owned());
        return None;
    };
    if takes_others_along(&wish.object) && !speaks_for_itself(&wish.object) {
        let why = "an immutable field changes, and what belongs to the object would go with it; annotation \
                   sluice.dev/on-immutable: recreate on it says that this is meant";
        report.error(&id, wish, "ApplyFailed", why.to_owned());
        return None;
    }
    if live.is_deleting() {
        plan.wait(id.to_string(), "it is being deleted, and is created again then");
        report.progress = Some(format!("{id} is being deleted, it is created again then"));
        return None;
    }
    let slot = slot(snapshot, wish);
    match snapshot.dry_runs.get(&slot) {
        None => {
            report.progress = Some(format!("the server is asked whether it takes {id} as a new object"));
            let objects = vec![DryRunObject { kind: kind.clone(), object: trial(object), form: DryRunForm::Create }];
            let question = Question::DryRun { actor: snapshot.actor(), objects };
            writes.then(|| Act::new(Action::Ask { slot, question: Box::new(question) }))
        }
        Some(Answer::DryRun(refused)) if refused.is_empty() => {
            report.progress = Some(format!("{id} is deleted and created again: an immutable field changes"));
            let action = Action::Delete {
                target: ObjectRef::of(kind, live),
                precondition: Precondition::exact(live),
                propagation: Propagation::Background,
            };
            writes.then(|| Act::new(action).by(snapshot.actor()).destructive())
        }
        Some(Answer::DryRun(refused)) => {
            let why = refused.first().map(|(_, why)| why.clone()).unwrap_or_default();
            report.error(&id, wish, "ApplyFailed", format!("it stays, because the new one would be refused: {why}"));
            None
        }
        Some(_) => {
            report.error(&id, wish, "ApplyFailed", "it stays, because the server could not be asked".to_owned());
            None
        }
    }
}

/// The object under a name that is free, as far as the server will tell. The name of a definition is that of what it
/// defines, so it is tried as the definition of another kind.
fn trial(object: &Object) -> Object {
    let mut trial = object.clone();
    if (object.group(), object.kind()) == ("apiextensions.k8s.io", "CustomResourceDefinition") {
        let text = |pointer: &str| object.str_at(pointer).unwrap_or_default().to_owned();
        let plural = format!("{}trial", text("/spec/names/plural"));
        trial.set_at(&["metadata", "name"], format!("{plural}.{}", text("/spec/group")).into());
        trial.set_at(&["spec", "names"], trial_names(&plural, &text("/spec/names/kind")));
        return trial;
    }
    let stem: String = object.name().chars().take(NAME_CHARS_MAX).collect();
    trial.set_at(&["metadata", "name"], format!("{stem}-sluice-trial").into());
    trial
}
