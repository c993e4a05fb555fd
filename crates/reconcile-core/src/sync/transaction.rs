//! The whole set or none: the server is asked about every write before the first one.

use std::collections::BTreeSet;

use diff_engine::Inventory;
use object_model::{Object, ObjectId};

use super::desired;
use super::snapshot::Snapshot;
use super::status::Report;
use crate::bugs::{self, Bug};
use crate::{Act, Action, Answer, DryRunForm, DryRunObject, FieldManager, Plan, Question, Slot};

/// How long an answer that refuses something counts, in seconds: quotas and webhooks change without a trace.
const ANSWER_SECONDS: i64 = 300;

/// Where the server's opinion of what Git wants is kept; `None` where nobody asks for it.
pub(super) fn slot(snapshot: &Snapshot) -> Option<Slot> {
    if !snapshot.spec.apply.is_transaction || snapshot.rendered().is_none() {
        return None;
    }
    let period = snapshot.now.as_second().div_euclid(ANSWER_SECONDS);
    let name = format!("transaction/{}/{}/{period}", snapshot.desired_digest(), snapshot.config.generation());
    Some(Slot::new(snapshot.uid().as_str(), name))
}

/// Whether objects may be applied; asks, or tells what the server would refuse, when not.
pub(super) fn allows(snapshot: &Snapshot, inventory: &Inventory, plan: &mut Plan, report: &mut Report) -> bool {
    let Some(slot) = slot(snapshot) else { return true };
    let differing = differing(snapshot, inventory);
    if differing.is_empty() {
        return true;
    }
    match snapshot.dry_runs.get(&slot) {
        None => {
            report.progress = Some("the server is asked about every object first".to_owned());
            let question = Question::DryRun { actor: snapshot.actor(), objects: differing };
            plan.stage(vec![Act::new(Action::Ask { slot, question: Box::new(question) })]);
            false
        }
        Some(Answer::DryRun(refused)) if refused.is_empty() || bugs::on(Bug::HalfTransaction) => true,
        Some(Answer::DryRun(refused)) => {
            for (id, why) in refused {
                let Some(wish) = snapshot.wishes.iter().find(|wish| wish.object.id() == *id) else { continue };
                report.error(id, wish, "DryRunRefused", format!("{why}; nothing is applied (spec.apply.onError)"));
            }
            let left = ANSWER_SECONDS - snapshot.now.as_second().rem_euclid(ANSWER_SECONDS);
            if let Ok(left) = u64::try_from(left)
                && let Some(at) = crate::time::after(snapshot.now, object_model::Duration::from_secs(left))
            {
                plan.wake_at(at);
            }
            false
        }
        Some(Answer::Failed(failure)) => {
            report.progress = Some(format!("the server could not be asked: {}", failure.message));
            false
        }
        Some(_) => false,
    }
}

/// The writes that would be made. What lies in a namespace or is of a kind that comes with the same set can't be tried.
fn differing(snapshot: &Snapshot, inventory: &Inventory) -> Vec<DryRunObject> {
    let comes = |object: &&Object| !snapshot.live.contains_key(&object.id());
    let new: Vec<&Object> = snapshot.wishes.iter().map(|wish| &wish.object).filter(comes).collect();
    let namespaces: BTreeSet<&str> =
        new.iter().filter(|object| object.kind() == "Namespace").map(|object| object.name()).collect();
    let mut differing = Vec::new();
    for wish in &snapshot.wishes {
        let id: ObjectId = wish.object.id();
        let Some(kind) = snapshot.kind_of(&id) else { continue };
        if id.namespace.as_deref().is_some_and(|namespace| namespaces.contains(namespace)) {
            continue;
        }
        let prepared = desired::prepare(snapshot, wish, inventory.owner_of(&id, &snapshot.identity).as_ref());
        if prepared.is_in_sync() {
            continue;
        }
        let force = snapshot.spec.apply.force_conflicts || prepared.is_repair;
        let form = DryRunForm::Apply { manager: FieldManager::Sync, force };
        differing.push(DryRunObject { kind: kind.clone(), object: prepared.object, form });
    }
    differing
}
