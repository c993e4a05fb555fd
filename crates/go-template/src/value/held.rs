//! Watches values without keeping them.

use std::rc;
use std::sync;

use super::Value;
use super::list::Items;

/// A text or list that somebody else may keep.
pub(crate) enum Held {
    Text(sync::Weak<[u8]>),
    List(rc::Weak<Items>),
}

impl Held {
    /// Watches a value; `None` for what is not shared.
    pub(crate) fn of(value: &Value) -> Option<Self> {
        match value {
            Value::Str(text) => text.shared().map(|shared| Self::Text(sync::Arc::downgrade(shared))),
            Value::List(list) => list.shared().map(|shared| Self::List(rc::Rc::downgrade(shared))),
            _ => None,
        }
    }

    /// Whether somebody keeps it.
    pub(crate) fn is_kept(&self) -> bool {
        match self {
            Self::Text(text) => text.strong_count() > 0,
            Self::List(list) => list.strong_count() > 0,
        }
    }

    /// Whether both watch one value.
    pub(crate) fn is_same(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Text(one), Self::Text(other)) => one.ptr_eq(other),
            (Self::List(one), Self::List(other)) => one.ptr_eq(other),
            _ => false,
        }
    }
}
