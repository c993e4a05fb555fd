//! Lists: Go's slices, as far as templates can see them. Nothing in a template changes an element in place, so lists
//! are immutable and shared; `append` makes a new one.

use std::rc::Rc;

use super::release::release;
use super::{Type, Value};

/// An immutable list with the Go type of its slice.
#[derive(Clone)]
pub struct List {
    items: Option<Rc<Items>>,
    of: &'static Type,
}

/// The items of a list. Nested ones are released one by one, so that no depth overflows the stack.
#[derive(Clone)]
pub(crate) struct Items(pub(super) Vec<Value>);

impl Drop for Items {
    fn drop(&mut self) {
        release(self.0.drain(..));
    }
}

impl List {
    /// Returns a list of anything: `[]interface {}`.
    #[must_use]
    pub fn new(items: Vec<Value>) -> Self {
        Self::of(Type::ANY_LIST, items)
    }

    /// Returns a list of a slice type, like [`Type::STRING_LIST`]; the items must be of its element type.
    #[must_use]
    pub fn of(of: &'static Type, items: Vec<Value>) -> Self {
        Self { items: Some(Rc::new(Items(items))), of }
    }

    /// Returns a list of strings: `[]string`.
    #[must_use]
    pub fn of_strings<T: Into<crate::Str>>(items: impl IntoIterator<Item = T>) -> Self {
        Self::of(Type::STRING_LIST, items.into_iter().map(|item| Value::Str(item.into())).collect())
    }

    /// Returns the nil slice of a type: empty, and `null` in JSON.
    #[must_use]
    pub fn nil(of: &'static Type) -> Self {
        Self { items: None, of }
    }

    /// Returns the same items as a slice of another type (Go's conversion between slice types).
    #[must_use]
    pub fn converted(&self, of: &'static Type) -> Self {
        Self { items: self.items.clone(), of }
    }

    /// Returns what is shared, so that it can be seen how long it is kept.
    pub(super) fn shared(&self) -> Option<&Rc<Items>> {
        self.items.as_ref()
    }

    /// Returns whether it is the nil slice.
    #[must_use]
    pub fn is_nil(&self) -> bool {
        self.items.is_none()
    }

    /// Returns the slice type.
    #[must_use]
    pub fn list_type(&self) -> &'static Type {
        self.of
    }

    /// Returns the items.
    #[must_use]
    pub fn items(&self) -> &[Value] {
        self.items.as_deref().map_or(&[], |items| items.0.as_slice())
    }

    /// Returns how many items there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.items().len()
    }

    /// Returns whether there are no items.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.items().is_empty()
    }

    /// Returns the items as a vector of one's own; nothing is copied when nobody else holds the list.
    #[must_use]
    pub fn into_items(self) -> Vec<Value> {
        self.items.map_or_else(Vec::new, |items| match Rc::try_unwrap(items) {
            Ok(mut items) => std::mem::take(&mut items.0),
            Err(shared) => shared.0.clone(),
        })
    }

    /// Returns the items when nobody else holds them.
    pub(super) fn into_unshared(self) -> Option<Rc<Items>> {
        self.items.filter(|items| Rc::strong_count(items) == 1)
    }

    /// Returns whether both are one list in memory.
    #[must_use]
    pub fn is_same(&self, other: &Self) -> bool {
        match (&self.items, &other.items) {
            (Some(left), Some(right)) => Rc::ptr_eq(left, right),
            (None, None) => true,
            _ => false,
        }
    }

    /// Returns an address that tells lists apart while they live (`%p`).
    #[must_use]
    pub fn address(&self) -> usize {
        self.items.as_ref().map_or(0, |items| Rc::as_ptr(items).addr())
    }
}

impl FromIterator<Value> for List {
    fn from_iter<T: IntoIterator<Item = Value>>(items: T) -> Self {
        Self::new(items.into_iter().collect())
    }
}
