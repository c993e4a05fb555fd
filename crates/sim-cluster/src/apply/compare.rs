//! What differs between two states, and which fields a state has, in terms of field paths.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value};

use super::field_set::{FieldSet, PathElement};
use super::shape::{Atom, MergeType};

/// The difference of two states.
#[derive(Debug, Default)]
pub(super) struct Comparison {
    pub(super) removed: FieldSet,
    pub(super) modified: FieldSet,
    pub(super) added: FieldSet,
}

impl Comparison {
    /// Leaves out fields that a write through this subresource can't touch.
    pub(super) fn without(self, ignored: &FieldSet) -> Self {
        Self {
            removed: self.removed.without_below(ignored),
            modified: self.modified.without_below(ignored),
            added: self.added.without_below(ignored),
        }
    }
}

pub(super) fn compare(old: &Value, new: &Value, at: MergeType<'_>) -> Comparison {
    let mut walker = Walker { result: Comparison::default(), path: Vec::new() };
    walker.walk(Some(old), Some(new), at);
    walker.result
}

struct Walker {
    result: Comparison,
    path: Vec<PathElement>,
}

fn is_empty(value: Option<&Value>) -> bool {
    match value {
        None | Some(Value::Null) => true,
        Some(Value::Object(fields)) => fields.is_empty(),
        Some(Value::Array(list)) => list.is_empty(),
        Some(_) => false,
    }
}

impl Walker {
    fn walk(&mut self, old: Option<&Value>, new: Option<&Value>, at: MergeType<'_>) {
        let kind = |value: &Value| std::mem::discriminant(value);
        let atom = match (old, new) {
            (None, None) => return,
            (Some(one), None) | (None, Some(one)) => at.atom(one),
            (Some(Value::Null), Some(one)) | (Some(one), Some(Value::Null)) => at.atom(one),
            (Some(old), Some(new)) if kind(old) == kind(new) => at.atom(new),
            (Some(_), Some(_)) => Atom::Leaf,
        };
        if matches!(atom, Atom::Leaf) || (is_empty(old) && is_empty(new)) {
            self.leaf(old, new);
            return;
        }
        match atom {
            Atom::Map => self.fields(old.and_then(Value::as_object), new.and_then(Value::as_object), at),
            _ => self.items(old, new, at, &atom),
        }
        match (old, new) {
            (None, _) => self.result.added.insert(&self.path),
            (_, None) => self.result.removed.insert(&self.path),
            _ => {}
        }
    }

    fn leaf(&mut self, old: Option<&Value>, new: Option<&Value>) {
        match (old, new) {
            (None, _) => self.result.added.insert(&self.path),
            (_, None) => self.result.removed.insert(&self.path),
            (Some(old), Some(new)) if old != new => self.result.modified.insert(&self.path),
            _ => {}
        }
    }

    fn fields(&mut self, old: Option<&Map<String, Value>>, new: Option<&Map<String, Value>>, at: MergeType<'_>) {
        let names: BTreeSet<&String> = [old, new].into_iter().flatten().flat_map(Map::keys).collect();
        for name in names {
            self.path.push(PathElement::Field(name.clone()));
            let side = |fields: Option<&'_ Map<String, Value>>| fields.and_then(|fields| fields.get(name)).cloned();
            let (old, new) = (side(old), side(new));
            self.walk(old.as_ref(), new.as_ref(), at.field(name));
            self.path.pop();
        }
    }

    fn items(&mut self, old: Option<&Value>, new: Option<&Value>, at: MergeType<'_>, atom: &Atom) {
        let old = grouped(old, at, atom);
        let new = grouped(new, at, atom);
        let elements: BTreeSet<&PathElement> = old.keys().chain(new.keys()).collect();
        for element in elements {
            let before = old.get(element).map(Vec::as_slice).unwrap_or_default();
            let after = new.get(element).map(Vec::as_slice).unwrap_or_default();
            self.path.push(element.clone());
            match (before, after) {
                ([] | [_], [] | [_]) => self.walk(before.first().copied(), after.first().copied(), at.item()),
                ([_, _, ..], [_, _, ..]) => {
                    if before != after {
                        self.result.modified.insert(&self.path);
                    }
                }
                ([_, _, ..], _) => {
                    self.walk(None, after.first().copied(), at.item());
                    self.result.removed.insert(&self.path);
                }
                (_, [_, _, ..]) => {
                    self.walk(before.first().copied(), None, at.item());
                    self.result.added.insert(&self.path);
                }
            }
            self.path.pop();
        }
    }
}

fn grouped<'v>(list: Option<&'v Value>, at: MergeType<'_>, atom: &Atom) -> BTreeMap<PathElement, Vec<&'v Value>> {
    let mut groups: BTreeMap<PathElement, Vec<&Value>> = BTreeMap::new();
    for item in list.and_then(Value::as_array).into_iter().flatten() {
        if let Ok(element) = at.element(atom, item) {
            groups.entry(element).or_default().push(item);
        }
    }
    groups
}

/// The fields a state has.
pub(super) fn field_set(value: &Value, at: MergeType<'_>) -> FieldSet {
    let mut set = FieldSet::default();
    collect(value, at, &mut Vec::new(), &mut set);
    set
}

fn collect(value: &Value, at: MergeType<'_>, path: &mut Vec<PathElement>, set: &mut FieldSet) {
    let atom = at.atom(value);
    match (&atom, value) {
        (Atom::Map, Value::Object(fields)) => {
            for (name, value) in fields {
                path.push(PathElement::Field(name.clone()));
                collect(value, at.field(name), path, set);
                let is_hollow = value.is_null() || value.as_object().is_some_and(Map::is_empty);
                if is_hollow || !at.is_named_field(name) {
                    set.insert(path);
                }
                path.pop();
            }
        }
        (Atom::Keyed(_) | Atom::Set, Value::Array(_)) => {
            for (element, items) in grouped(Some(value), at, &atom) {
                path.push(element);
                if let [item] = items.as_slice() {
                    collect(item, at.item(), path, set);
                }
                set.insert(path);
                path.pop();
            }
        }
        (Atom::Leaf, _) => set.insert(path),
        _ => {}
    }
}
