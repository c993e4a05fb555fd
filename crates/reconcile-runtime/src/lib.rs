//! The world around the reconcile core: a Kubernetes client with ordered stores, a queue, slow questions, Leases, the
//! record and a small server.
//!
//! A [`Runtime`] takes domains ([`reconcile_core::Domain`]), a [`kube::Client`], a [`Clock`] and the ways to the outside
//! ([`Sender`], [`GitBackend`], [`Record`]). It observes, decides and acts by the rules of the design: a destructive act
//! is preceded by a quorum read of everything its decision read, own writes are seen at once, one failed stage ends a
//! plan, and a dropped runtime leaves no task behind. On a current-thread runtime with a paused clock the same inputs
//! give the same requests in the same order.
//!
//! It decides nothing about rollouts, Git or environments, and renders no manifests by itself.
//!
//! ```
//! use std::time::Duration;
//!
//! use reconcile_core::Key;
//! use reconcile_runtime::{Queue, TaskKey};
//!
//! # #[tokio::main(flavor = "current_thread", start_paused = true)]
//! # async fn main() {
//! let queue = Queue::default();
//! queue.enable(0, true);
//! let task = TaskKey::new(0, Key::new("qa", "web"));
//! queue.add(task.clone());
//! assert_eq!(queue.take().await, task);
//! assert_eq!(queue.add_after_failure(task), Duration::from_secs(1));
//! # }
//! ```

mod act;
mod api;
mod api_error;
mod argo_metrics;
mod ask;
mod chart_fetch;
mod chart_inputs;
mod clock;
mod definitions;
mod discovery;
mod domains;
mod drive;
mod dry_run;
mod erased;
mod exchange;
mod git;
mod git_access;
mod git_commit;
mod git_files;
mod git_images;
mod git_reference;
mod git_render;
mod git_same;
mod lease;
mod mail;
mod metrics;
mod queue;
mod readers;
mod record;
mod record_actual;
mod record_sqlite;
mod remotes;
mod request_counts;
mod runtime;
mod selector;
mod sender;
mod server;
mod server_record;
mod shared;
mod sops;
mod store;
mod view;
mod watch;
mod webhook;

pub use analysis::AwsCredentials;
pub use api::{ApiClient, ApiError, Detail, ObjectList, Patch};
pub use ask::{GitBackend, NoGit};
pub use chart_fetch::{ChartFetchError, PackedChart, fetch_chart};
pub use clock::Clock;
pub use discovery::{Discovery, Known};
pub use domains::{DomainSettings, with_domains};
pub use exchange::{Asked, Exchange, Ready};
pub use git::{Blocking, GitOptions, GitWorker};
pub use lease::LeaseOptions;
pub use metrics::Metrics;
pub use queue::{Queue, TaskKey};
pub use record::{MemoryRecord, ROWS_MAX, Record, RecordError, RecordFilter};
pub use record_sqlite::SqliteRecord;
pub use remotes::{
    GitCredential, GitLogin, MemoryRemotes, RemoteFactory, RemoteFactoryError, RemotePolicy, StandardRemotes,
};
pub use runtime::{Handle, Options, Runtime, RuntimeBuilder};
pub use selector::WatchSelector;
pub use sender::{EgressPolicy, HttpSender, InProcess, Sender, SenderError};
pub use server::{RecordAccess, ServerOptions, serve, serve_metrics};
pub use store::{Change, MANAGED_LABEL, OVERLAY_AGE_MAX, Store, Sync};
