//! A whole world on a stage: cluster, Git, traffic and operator in one process, and the stories that are played there.
//!
//! [`setting`] puts the parts together, the same reconcile-runtime on an embedded or a real cluster. Scenario files, in the
//! language of the crate `script` with the [`verbs`] of this one, are played on both by [`end_to_end`]; [`demo`] is what
//! `sluice demo` shows.
//!
//! The crate decides nothing: what it starts is what the operator ships.
//!
//! ```
//! use scenario::end_to_end::{Scenario, on_embedded};
//!
//! let text = "# An operator starts and stops.\noperator start\nexpect operator is up\noperator stop\nexpect operator is down\n";
//! let scenario = Scenario::parse("up-and-down", text).unwrap();
//! assert!(on_embedded(&scenario, 7)?.has_passed());
//! # Ok::<(), std::io::Error>(())
//! ```

pub mod comparison;
mod condition;
pub mod demo;
pub mod end_to_end;
pub mod setting;
pub mod story;
pub mod tale;
pub mod verbs;
mod world;
