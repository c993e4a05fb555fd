//! The inventory of a config, written before anything is created and again when it is proven.

use diff_engine::{ENTRIES_PER_CHUNK, Inventory, InventoryScope, LiveView, Wanted};
use object_model::{Object, format_time};

use super::snapshot::Snapshot;
use super::status;
use crate::{Act, Action, ObjectRef, Plan, Precondition, Propagation, kinds};

pub(super) fn planned_inventory(snapshot: &Snapshot, stored: &Inventory, waves: &[diff_engine::Wave<'_>]) -> Inventory {
    let mut wanted = Vec::new();
    for wave in waves {
        for object in wave.stages.iter().flat_map(|stage| &stage.objects) {
            wanted.push(Wanted { id: object.id(), version: object.gvk().version, wave: wave.number });
        }
    }
    for hook in snapshot.running_hooks() {
        wanted.push(Wanted { id: hook.id(), version: hook.object.gvk().version, wave: hook.wave });
    }
    let operation = snapshot.rendered().map(|rendered| rendered.touched.commit.clone()).unwrap_or_default();
    let now = format_time(snapshot.now);
    let scope = InventoryScope { config: &snapshot.identity, operation: &operation, now: &now };
    diff_engine::plan_inventory(stored, &wanted, &live_view(snapshot), &scope)
}

pub(super) fn live_view(snapshot: &Snapshot) -> LiveView<'_> {
    let mut view = LiveView::new(snapshot.live.values().map(|object| &**object));
    for id in &snapshot.unserved {
        view = view.without_kind(&id.group, &id.kind);
    }
    view
}

/// Writes what the stored inventory lacks; `true` when there was something to write, which must be seen before more.
pub(super) fn write_inventory(
    snapshot: &Snapshot,
    inventory: &Inventory,
    plan: &mut Plan,
    report: &mut status::Report,
) -> bool {
    report.inventory = inventory.len();
    let stored = snapshot.chunks.iter().map(|chunk| &**chunk);
    let chunks = match diff_engine::plan_chunks(stored, inventory, &snapshot.identity, ENTRIES_PER_CHUNK) {
        Ok(chunks) => chunks,
        Err(error) => {
            report.stall("InventoryUnwritable", &error.to_string());
            return true;
        }
    };
    if chunks.is_empty() {
        return false;
    }
    let (objects, deletes) =
        if chunks.write.is_empty() { (chunks.shrink, chunks.delete) } else { (chunks.write, Vec::new()) };
    let mut acts: Vec<Act> = objects.into_iter().filter_map(|chunk| chunk_write(snapshot, chunk)).collect();
    acts.extend(deletes.iter().filter_map(|name| chunk_delete(snapshot, name)));
    let stored = snapshot.inventory.as_ref().ok();
    if snapshot.wishes.iter().any(|wish| stored.is_none_or(|stored| stored.get(&wish.object.id()).is_none())) {
        // What the inventory does not have yet is not applied either.
        report.different += 1;
    }
    plan.stage(acts);
    plan.wait("inventory", "it is written before anything is created");
    true
}

/// A chunk is replaced under the version that was read, or created under its deterministic name.
fn chunk_write(snapshot: &Snapshot, mut chunk: Object) -> Option<Act> {
    let kind = kinds::inventory();
    chunk.set_at(&["apiVersion"], kind.api_version().into());
    let stored = snapshot.chunks.iter().find(|stored| stored.name() == chunk.name());
    let Some(stored) = stored else {
        return Some(Act::new(Action::Create { kind, object: Box::new(chunk) }));
    };
    let spec = chunk.pointer("/spec")?.clone();
    Some(Act::new(Action::Patch {
        target: ObjectRef::of(&kind, stored),
        patch: serde_json::json!({"spec": spec}),
        precondition: Precondition::exact(stored),
    }))
}

fn chunk_delete(snapshot: &Snapshot, name: &str) -> Option<Act> {
    let stored = snapshot.chunks.iter().find(|stored| stored.name() == name)?;
    Some(Act::new(Action::Delete {
        target: ObjectRef::of(&kinds::inventory(), stored),
        precondition: Precondition::exact(stored),
        propagation: Propagation::Background,
    }))
}
