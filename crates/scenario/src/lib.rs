//! A whole world on a stage: cluster, Git, traffic and operator in one process, and the stories that are played there.
//!
//! [`setting`] puts the parts together, the same reconcile-runtime on an embedded or a real cluster; [`story`] and
//! [`demo`] play on it. The script language in which requests and scenarios are written is the crate `script`.
//!
//! The crate decides nothing: what it starts is what the operator ships.

mod condition;
pub mod demo;
pub mod end_to_end;
pub mod setting;
pub mod story;
pub mod verbs;
mod world;
