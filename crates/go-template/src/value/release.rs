//! Gives memory back: nested values without recursion, and maps that hold each other.

use std::cell::RefCell;
use std::rc::{Rc, Weak};

use super::Value;
use super::map::Entries;

/// Releases values. Lists and maps that nobody else holds are taken apart on a list of work, not on the stack.
pub(super) fn release(values: impl Iterator<Item = Value>) {
    let mut pending: Vec<Value> = values.filter(is_container).collect();
    while let Some(value) = pending.pop() {
        match value {
            Value::List(list) => {
                if let Some(mut items) = list.into_unshared().and_then(Rc::into_inner) {
                    pending.extend(items.0.drain(..).filter(is_container));
                }
            }
            Value::Map(map) => {
                if let Some(mut entries) = map.into_unshared().and_then(Rc::into_inner) {
                    let entries = std::mem::take(entries.entries.get_mut());
                    pending.extend(entries.into_values().filter(is_container));
                }
            }
            _ => {}
        }
    }
}

fn is_container(value: &Value) -> bool {
    matches!(value, Value::List(_) | Value::Map(_))
}

thread_local! {
    /// The maps of the scope that is open on this thread.
    static REMEMBERED: RefCell<Option<Vec<Weak<Entries>>>> = const { RefCell::new(None) };
}

/// Notes a map that something is put into that may hold the map itself.
pub(super) fn remember(entries: &Rc<Entries>) {
    if entries.is_remembered.get() {
        return;
    }
    REMEMBERED.with_borrow_mut(|remembered| {
        if let Some(maps) = remembered {
            maps.push(Rc::downgrade(entries));
            entries.is_remembered.set(true);
        }
    });
}

/// Empties maps that hold each other when it goes, which reference counts alone would never free.
///
/// Hold one on the thread that renders, for as long as the values of the rendering are used. All maps that got a list,
/// map or object by [`super::Map::insert`] in the meantime are emptied at the end, also those that somebody still
/// holds. A scope within a scope does nothing.
#[derive(Debug)]
pub struct MapScope {
    is_outermost: bool,
    /// It belongs to its thread.
    _thread: std::marker::PhantomData<*const ()>,
}

impl MapScope {
    /// Opens a scope.
    #[must_use]
    pub fn new() -> Self {
        let is_outermost = REMEMBERED.with_borrow_mut(|remembered| {
            let is_outermost = remembered.is_none();
            remembered.get_or_insert_default();
            is_outermost
        });
        Self { is_outermost, _thread: std::marker::PhantomData }
    }
}

impl Default for MapScope {
    fn default() -> Self {
        Self::new()
    }
}

impl Drop for MapScope {
    fn drop(&mut self) {
        if !self.is_outermost {
            return;
        }
        let maps = REMEMBERED.with_borrow_mut(Option::take).unwrap_or_default();
        for entries in maps.iter().filter_map(Weak::upgrade) {
            entries.is_remembered.set(false);
            // Who still reads a map keeps it whole.
            let emptied = entries.entries.try_borrow_mut().map(|mut entries| std::mem::take(&mut *entries));
            drop(emptied);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::{List, Map};
    use super::*;

    #[test]
    fn a_million_levels_are_released_without_a_million_frames() {
        let mut value = Value::Nil;
        for level in 0..1_000_000 {
            value = if level % 2 == 0 {
                Value::Map([("a", value)].into_iter().collect())
            } else {
                Value::List(List::new(vec![value]))
            };
        }
        drop(value);
    }

    #[test]
    fn maps_that_hold_each_other_are_freed_with_their_scope() {
        let kept = Rc::new(());
        struct Held(#[expect(dead_code, reason = "it is counted")] Rc<()>);
        impl crate::Object for Held {
            fn object_type(&self) -> &'static crate::Type {
                &crate::Type::Object("held")
            }
            fn as_any(&self) -> &dyn std::any::Any {
                self
            }
        }
        let scope = MapScope::new();
        let inner = MapScope::new();
        let (left, right) = (Map::new(), Map::new());
        left.insert("right", right.clone()).unwrap();
        right.insert("left", left.clone()).unwrap();
        right.insert("held", Value::object(Held(kept.clone()))).unwrap();
        drop((left, right, inner));
        assert_eq!(Rc::strong_count(&kept), 2);
        drop(scope);
        assert_eq!(Rc::strong_count(&kept), 1);
    }
}
