//! Maps: shared by reference, as in Go. What `set` writes is seen by everybody who holds the map.

use std::cell::{Ref, RefCell};
use std::collections::BTreeMap;
use std::rc::Rc;

use super::{Type, Value};
use crate::Str;

/// A map from strings to values that all its clones share, with the Go type of this handle on it.
#[derive(Clone)]
pub struct Map {
    entries: Option<Rc<RefCell<BTreeMap<Str, Value>>>>,
    of: &'static Type,
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
        Self { entries: Some(Rc::new(RefCell::new(entries))), of }
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
        self.entries.as_ref().and_then(|entries| entries.borrow().get(key.as_ref()).cloned())
    }

    /// Returns whether there is such a key.
    #[must_use]
    pub fn contains_key(&self, key: impl AsRef<[u8]>) -> bool {
        self.entries.as_ref().is_some_and(|entries| entries.borrow().contains_key(key.as_ref()))
    }

    /// Writes an entry for all who hold the map.
    ///
    /// # Errors
    /// It is the nil map.
    pub fn insert(&self, key: impl Into<Str>, value: impl Into<Value>) -> Result<(), NilMap> {
        let entries = self.entries.as_ref().ok_or(NilMap)?;
        // Nobody holds a borrow across a call into this crate: `entries` gives out none that outlives a statement.
        let mut entries = entries.try_borrow_mut().map_err(|_| NilMap)?;
        entries.insert(key.into(), value.into());
        Ok(())
    }

    /// Removes an entry for all who hold the map, and returns it.
    pub fn remove(&self, key: impl AsRef<[u8]>) -> Option<Value> {
        self.entries.as_ref().and_then(|entries| entries.try_borrow_mut().ok()?.remove(key.as_ref()))
    }

    /// Returns how many entries there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.entries.as_ref().map_or(0, |entries| entries.borrow().len())
    }

    /// Returns whether there are no entries.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Returns the entries to read, sorted by key; `None` for the nil map. Don't write to the map while you hold this.
    #[must_use]
    pub fn borrow(&self) -> Option<Ref<'_, BTreeMap<Str, Value>>> {
        self.entries.as_ref().map(|entries| entries.borrow())
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
        self.entries.as_ref().map_or(0, |entries| Rc::as_ptr(entries) as *const u8 as usize)
    }
}

impl<K: Into<Str>, V: Into<Value>> FromIterator<(K, V)> for Map {
    fn from_iter<T: IntoIterator<Item = (K, V)>>(entries: T) -> Self {
        Self::of(Type::ANY_MAP, entries.into_iter().map(|(key, value)| (key.into(), value.into())).collect())
    }
}
