//! Server-side apply: which manager owns which fields, and the structured merge that follows from it.
//!
//! The rules are those of structured-merge-diff: structs and granular maps merge by field, lists by their keys or as
//! sets, everything else is owned as a whole.

mod compare;
mod declared;
mod field_set;
mod managers;
mod merge;
mod shape;

pub(crate) use declared::problems;
pub(crate) use field_set::{FieldSet, PathElement};
pub(crate) use managers::{ApplyError, FieldWriter, Managers, apply, keep_times, update};
pub(crate) use shape::MergeType;
