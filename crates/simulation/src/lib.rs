//! The simulation: the operator that ships, on the embedded cluster, in virtual time, under faults drawn from one seed.
//!
//! # How a schedule is played
//! A [`Story`] has a beginning (a world at rest, made once and copied for nothing) and what people do then. A schedule is a
//! play of it on a thread and a paused, single-threaded runtime of its own. The operator is the one of the setting of the
//! crate `scenario`; between it and everything else lie skins that belong to this crate:
//!
//! ```text
//! story, people ──────────────────────────────┐
//! operator a (b) ─ kube::Client ─ Skin ─ API server, controllers, pods ─ rules after every commit
//!        │            watch ─ spoiled events
//!        ├─ repository ─ Ways        (push, fetch, render, commit)
//!        └─ metric provider ─ Ways   (queries)
//! ```
//!
//! The operator ships without a retry layer in its client (`default_retry = false`): retries belong to its drive loop, so
//! the skin lies directly under [`kube::Client`], as the transport does in production.
//!
//! # One seed, one trace
//! Every decision goes through [`choice::Choices`]: a label such as `a PATCH /api/v1/.../services/web`, the how-manieth time
//! it was met, and a number that follows from seed, label and count. 0 is "nothing happens"; the numbers that are not 0 are
//! the log, and a log is the whole schedule. Nothing else is drawn: the order of tasks is that of one thread, `select!` is
//! `biased` wherever it is met, maps are ordered, uids come from the cluster's own sequence, and no clock but tokio's paused
//! one is read. tokio's watch channels draw at random whom they wake first, so none is used on the way. `--twice` plays
//! seeds twice and shows the first line in which two traces part. There is no `unsafe` here.
//!
//! A seed switches a random part of the faults on ([`swarm`]), with rates of their own. The faults end some time after
//! people's last deed. Then the end must come: that of the play without faults, unless a fault may have changed a verdict
//! about a version; the goal of the story; and no write for a while after it.
//!
//! # What is judged
//! After every commit in the store the rules I1 to I15 (`invariant/mod.rs` has the table); at the end liveness (L1), the same end (D1) with the same
//! creations and deletions (D2), and that no plan was refused by its second opinion. What is not judged, and why:
//! L2 (every error told within a minute) needs a text for each fault and is left to the scenarios; L3 (queues return to
//! their base) follows from L1 here, as nothing is asked any more. Time travel of caches is out of reach for this operator:
//! it lists at the quorum and its watches begin at such a list.
//!
//! # What it finds
//! [`shrink()`] leaves out choices until each one that is left is needed. `regressions/*.choices` holds what was found;
//! the tests play them again. Wrong turns on purpose ([`reconcile_core::bugs`], behind the feature `bugs`) show whether it
//! would find them at all.
//!
//! ```
//! use simulation::{Ready, story};
//!
//! let ready = Ready::new(story("canary-of-pods").unwrap())?;
//! let outcome = ready.seed(1);
//! assert!(outcome.broken.is_none(), "{:?}", outcome.broken);
//! # Ok::<(), simulation::ReadyError>(())
//! ```

pub mod choice;
mod directed;
mod events;
pub mod fault;
mod invariant;
pub mod ledger;
pub mod model;
mod operator;
mod play;
mod pods;
pub mod record;
mod rival;
mod schedule;
pub mod search;
mod shrink;
mod skin;
mod story;
pub mod swarm;
mod trace;
mod ways;

pub use directed::Schedule;
pub use play::{Broken, Counts};
pub use schedule::{Outcome, Ready, ReadyError};
pub use shrink::{Shrunk, shrink};
pub use story::{Story, stories, story, tales};
pub use trace::{Line, Trace};
