//! Who read what in its last observation, so that a change wakes exactly those.

use std::collections::{BTreeMap, BTreeSet};

use reconcile_core::{Kind, Read, Slot};

use crate::TaskKey;
use crate::store::Change;

type Tasks = BTreeSet<TaskKey>;

/// The last reads of every task, both ways.
#[derive(Debug, Default)]
pub(crate) struct Readers {
    reads: BTreeMap<Read, Tasks>,
    slots: BTreeMap<Slot, Tasks>,
    of_task: BTreeMap<TaskKey, (BTreeSet<Read>, BTreeSet<Slot>)>,
}

impl Readers {
    /// Replaces what `task` read last.
    pub(crate) fn note(&mut self, task: &TaskKey, reads: BTreeSet<Read>, slots: BTreeSet<Slot>) {
        let (old_reads, old_slots) = self.of_task.remove(task).unwrap_or_default();
        for read in old_reads.difference(&reads) {
            forget(&mut self.reads, read, task);
        }
        for slot in old_slots.difference(&slots) {
            forget(&mut self.slots, slot, task);
        }
        for read in reads.difference(&old_reads) {
            self.reads.entry(read.clone()).or_default().insert(task.clone());
        }
        for slot in slots.difference(&old_slots) {
            self.slots.entry(slot.clone()).or_default().insert(task.clone());
        }
        if !reads.is_empty() || !slots.is_empty() {
            self.of_task.insert(task.clone(), (reads, slots));
        }
    }

    /// Forgets a task whose object is gone.
    pub(crate) fn forget(&mut self, task: &TaskKey) {
        self.note(task, BTreeSet::new(), BTreeSet::new());
    }

    /// Who reads a slot.
    pub(crate) fn of_slot(&self, slot: &Slot) -> Tasks {
        self.slots.get(slot).cloned().unwrap_or_default()
    }

    /// Whom a change concerns. Lists wake only tasks for which `wakes_by_list` holds: a domain maps the changes of
    /// kinds that it declares to keys itself, more precisely.
    pub(crate) fn of_change(&self, change: &Change, wakes_by_list: impl Fn(&TaskKey, &Kind) -> bool) -> Tasks {
        let mut tasks = Tasks::new();
        for object in change.old.iter().chain(&change.new) {
            let namespace = object.namespace().unwrap_or_default().to_owned();
            let get = Read::Get(change.kind.clone(), namespace.clone(), object.name().to_owned());
            tasks.extend(self.reads.get(&get).into_iter().flatten().cloned());
            if let Some(owner) = object.controller() {
                let owned = Read::Owned(change.kind.clone(), owner.uid);
                tasks.extend(self.reads.get(&owned).into_iter().flatten().cloned());
            }
            for scope in [namespace, String::new()] {
                let list = Read::List(change.kind.clone(), scope);
                let listers = self.reads.get(&list).into_iter().flatten();
                tasks.extend(listers.filter(|task| wakes_by_list(task, &change.kind)).cloned());
            }
        }
        tasks
    }
}

fn forget<K: Ord + Clone>(index: &mut BTreeMap<K, Tasks>, key: &K, task: &TaskKey) {
    if let Some(tasks) = index.get_mut(key) {
        tasks.remove(task);
        if tasks.is_empty() {
            index.remove(key);
        }
    }
}
