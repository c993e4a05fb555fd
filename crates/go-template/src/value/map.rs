//! Maps: shared by reference, as in Go. What `set` writes is seen by everybody who holds the map.

use std::cell::{Cell, Ref, RefCell};
use std::collections::BTreeMap;
use std::rc::Rc;

use super::release::{release, remember};
use super::{Type, Value};
use crate::Str;

/// A map from strings to values that all its clones share, with the Go type of this handle on it.
#[derive(Clone)]
pub struct Map {
    entries: Option<Rc<Entries>>,
    of: &'static Type,
}

/// The entries of a map. Nested ones are released one by one, so that no depth overflows the stack.
#[derive(Default)]
pub(super) struct Entries {
    pub(super) entries: RefCell<BTreeMap<Str, Value>>,
    /// Whether a [`super::MapScope`] knows the map.
    pub(super) is_remembered: Cell<bool>,
}

impl Drop for Entries {
    fn drop(&mut self) {
        release(std::mem::take(self.entries.get_mut()).into_values());
    }
}

/// A write to the nil map.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("assignment to entry in nil map")]
pub struct NilMap;

impl Default for Map {
    fn default() -> Self {
        Self::new()
    }
}

impl Map {
    /// Returns an empty `map[string]interface {}`.
    #[must_use]
    pub fn new() -> Self {
        Self::of(Type::ANY_MAP, BTreeMap::new())
    }

    /// Returns a map of a map type, like [`Type::STRING_MAP`]; the values must be of its element type.
    #[must_use]
    pub fn of(of: &'static Type, entries: BTreeMap<Str, Value>) -> Self {
        Self { entries: Some(Rc::new(Entries { entries: RefCell::new(entries), is_remembered: Cell::new(false) })), of }
    }

    /// Returns the nil map of a type: empty, `null` in JSON, and nothing can be written to it.
    #[must_use]
    pub fn nil(of: &'static Type) -> Self {
        Self { entries: None, of }
    }

    /// Returns another handle on the same entries under another type (Go's conversion between map types).
    #[must_use]
    pub fn converted(&self, of: &'static Type) -> Self {
        Self { entries: self.entries.clone(), of }
    }

    /// Returns whether it is the nil map.
    #[must_use]
    pub fn is_nil(&self) -> bool {
        self.entries.is_none()
    }

    /// Returns the map type.
    #[must_use]
    pub fn map_type(&self) -> &'static Type {
        self.of
    }

    /// Returns the value of a key.
    #[must_use]
    pub fn get(&self, key: impl AsRef<[u8]>) -> Option<Value> {
        self.entries.as_ref().and_then(|entries| entries.entries.borrow().get(key.as_ref()).cloned())
    }

    /// Returns whether there is such a key.
    #[must_use]
    pub fn contains_key(&self, key: impl AsRef<[u8]>) -> bool {
        self.entries.as_ref().is_some_and(|entries| entries.entries.borrow().contains_key(key.as_ref()))
    }

    /// Writes an entry for all who hold the map.
    ///
    /// # Errors
    /// It is the nil map, or the caller holds a [`Map::borrow`] of it.
    pub fn insert(&self, key: impl Into<Str>, value: impl Into<Value>) -> Result<(), NilMap> {
        let entries = self.entries.as_ref().ok_or(NilMap)?;
        let value = value.into();
        if matches!(value, Value::Map(_) | Value::List(_) | Value::Object(_)) {
            remember(entries);
        }
        let old = entries.entries.try_borrow_mut().map_err(|_| NilMap)?.insert(key.into(), value);
        // What was there is released when the map is no longer being written to.
        drop(old);
        Ok(())
    }

    /// Removes an entry for all who hold the map, and returns it. Nothing is removed while the caller holds a
    /// [`Map::borrow`] of it.
    pub fn remove(&self, key: impl AsRef<[u8]>) -> Option<Value> {
        self.entries.as_ref().and_then(|entries| entries.entries.try_borrow_mut().ok()?.remove(key.as_ref()))
    }

    /// Returns how many entries there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.entries.as_ref().map_or(0, |entries| entries.entries.borrow().len())
    }

    /// Returns whether there are no entries.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Returns the entries to read, sorted by key; `None` for the nil map. Don't write to the map while you hold this.
    #[must_use]
    pub fn borrow(&self) -> Option<Ref<'_, BTreeMap<Str, Value>>> {
        self.entries.as_ref().map(|entries| entries.entries.borrow())
    }

    /// Returns the entries as they are now, sorted by key.
    #[must_use]
    pub fn entries(&self) -> Vec<(Str, Value)> {
        self.borrow()
            .map_or_else(Vec::new, |entries| entries.iter().map(|(key, value)| (key.clone(), value.clone())).collect())
    }

    /// Returns the sorted keys.
    #[must_use]
    pub fn keys(&self) -> Vec<Str> {
        self.borrow().map_or_else(Vec::new, |entries| entries.keys().cloned().collect())
    }

    /// Returns the entries when nobody else holds them.
    pub(super) fn into_unshared(self) -> Option<Rc<Entries>> {
        self.entries.filter(|entries| Rc::strong_count(entries) == 1)
    }

    /// Returns whether both are one map in memory.
    #[must_use]
    pub fn is_same(&self, other: &Self) -> bool {
        match (&self.entries, &other.entries) {
            (Some(left), Some(right)) => Rc::ptr_eq(left, right),
            (None, None) => true,
            _ => false,
        }
    }

    /// Returns an address that tells maps apart while they live (`%p`).
    #[must_use]
    pub fn address(&self) -> usize {
        self.entries.as_ref().map_or(0, |entries| Rc::as_ptr(entries).addr())
    }
}

impl<K: Into<Str>, V: Into<Value>> FromIterator<(K, V)> for Map {
    fn from_iter<T: IntoIterator<Item = (K, V)>>(entries: T) -> Self {
        Self::of(Type::ANY_MAP, entries.into_iter().map(|(key, value)| (key.into(), value.into())).collect())
    }
}
