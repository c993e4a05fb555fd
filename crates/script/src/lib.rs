//! Scripts that play on a cluster, embedded or real, and what they saw.
//!
//! A [`Script`] is a text of lines; each begins with a verb (`create`, `apply`, `watch`, `wait`, `expect`, ...) and may
//! have a body indented below it. A [`Stage`] plays it through a [`Transport`], which leads into a service of this
//! process or to any API server, so the same file runs on both. What was answered becomes a [`Transcript`], and
//! [`normalise`] gives uids, resource versions, moments and generated names stable names, so that transcripts of two
//! clusters can be [compared](compare). Verbs are a table: other parts add theirs to the same language.
//!
//! The crate does not know what a right answer is: that was recorded from the real API server.
//!
//! ```
//! use script::Script;
//!
//! let script = Script::parse("greeting", "create configmaps/a\n  data: {word: hello}\nexpect 201\n").unwrap();
//! assert_eq!(script.calls[0].verb, "create");
//! assert_eq!(script.calls[1].words, ["201"]);
//! ```

mod compare;
pub mod embedded;
mod kubeconfig;
mod managed_fields;
mod normalise;
mod paths;
mod runner;
mod script;
mod stage;
mod target;
mod transcript;
mod transport;
mod variables;
mod verbs;
mod watches;

pub use compare::{Deviation, Deviations, DeviationsError, Difference, compare};
pub use kubeconfig::{KubeconfigError, connection};
pub use normalise::{Shown, normalise};
pub use runner::{PlayError, Scene, play};
pub use script::{Call, Case, Script, ScriptError};
pub use stage::{Answer, Play, Playing, Stage, Verb, Verbs};
pub use transcript::{Entry, Transcript, TranscriptError};
pub use transport::{Body, BoxError, BoxFuture, Connection, InProcess, Transport, TransportError};
pub use variables::Variables;
