//! The reconcile core: what is seen becomes a plan, purely.
//!
//! A [`Domain`] reads a [`View`] of the world into a snapshot (`observe`), turns the snapshot into a [`Plan`]
//! (`decide`) and has its plans checked by a second opinion (`check`). Nothing here waits, calls, reads a clock or draws
//! a random number: time is `snapshot.now`, slow answers arrive through the view. The runtime carries plans out
//! ([`World`]) and observes again; a plan never leans on the effect of its own earlier action.
//!
//! It does not know Kubernetes clients, Git, HTTP or files; it names what it wants as [`Action`]s and [`Question`]s.
//!
//! ```
//! use reconcile_core::{Plan, Wake};
//!
//! let plan = Plan::empty();
//! assert!(plan.is_empty());
//! assert_eq!(plan.wake, Wake::OnChange);
//! ```

mod action;
pub mod analysis;
pub mod bugs;
mod domain;
pub mod environment;
mod event;
mod exchange;
pub mod experiment;
mod kind;
pub mod notification;
mod patch;
pub mod promotion;
pub mod provenance;
pub mod rollout;
pub mod sync;
mod time;
mod view;

pub use action::{
    Act, Action, Actor, FieldManager, ObjectRef, Precondition, Propagation, RecordRow, Side, StatusPatch,
};
pub use domain::{ActError, Domain, Key, Plan, Report, Stored, Violation, Waiting, Wake, World};
pub use event::{EventType, Note, Reason};
pub use exchange::{
    Answer, CommitFacts, CommitPlan, DryRunForm, DryRunObject, Edits, FetchSource, Head, HttpQuery, HttpReply,
    Identity, PlannedCommit, PushResult, Question, Rendered, RenderedObject, Slot, SourceFailure, Surroundings,
};
pub use kind::{Kind, Scope, kinds};
pub use view::{MemoryView, Read, Refusal, View};
