//! Fetch, read, merge, commit and push Git repositories without a checkout and without a git binary.
//!
//! A [`Repository`] holds objects and references in memory (where a clone is an independent world that costs nothing)
//! or in a directory that the git binary reads as well. A [`Remote`] is a repository elsewhere: [`HttpRemote`] over
//! smart HTTP, [`LocalRemote`] on this machine, [`MemoryRemote`] for tests and simulation. [`Repository::fetch`] brings a branch, [`Repository::tree_at`]
//! opens the files of a commit, [`Repository::commit`] writes a commit whose id depends on nothing but its arguments,
//! [`Repository::merge`] takes a change back at some paths only, and [`push()`] moves a branch as a compare-and-swap that
//! tells a race from a rule of the server.
//!
//! [`verify_commit`] and [`verify_tag`] prove who signed. [`Webhook`] proves who sent a webhook. With feature `server`, `server::GitServer` serves any remote to `git clone` and
//! `git push` on a loopback address.
//!
//! It does not check files out, run programs, read a clock, a credential store or the user's Git settings, speak ssh,
//! follow submodules, or rename-detect. Calls block; whoever needs them not to block runs them on a thread of their own.
//!
//! ```
//! use git_source::{CommitPlan, Edit, MemoryRemote, Message, Person, PushOutcome, Repository, push};
//!
//! let bot = Person::new("Sluice", "sluice@example.com")?;
//! let plan = |subject: &str| -> Result<CommitPlan, Box<dyn std::error::Error>> {
//!     let time = "2026-11-22T07:00:00Z".parse()?;
//!     Ok(CommitPlan { author: bot.clone(), committer: bot.clone(), time, message: Message::new(subject)? })
//! };
//! let fleet = MemoryRemote::new("fleet.git");
//! fleet.commit("main", &[Edit::put("qa/web.yaml", "image: web:1")], &plan("First")?)?;
//!
//! let mut repository = Repository::in_memory();
//! let head = repository.fetch(&fleet, "main", None)?.commit;
//! assert_eq!(&*repository.tree_at(head)?.read("qa/web.yaml")?, b"image: web:1");
//!
//! let next = repository.commit(Some(head), &[Edit::put("qa/web.yaml", "image: web:2")], &plan("Second")?)?;
//! assert_eq!(push(&mut repository, &fleet, "main", Some(head), next)?, PushOutcome::Done { now_at: next });
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod address;
mod agent;
mod commit;
mod connect;
mod disk;
mod download;
mod edit;
mod egress;
mod fetch;
mod github_app;
mod history;
mod http;
mod id;
mod local;
mod memory;
mod merge;
mod message;
mod object;
mod pack;
mod pack_index;
mod packet;
mod path;
mod push;
mod reach;
mod receive;
mod remote;
mod repository;
#[cfg(feature = "server")]
pub mod server;
mod signature;
mod store;
mod text_merge;
mod tree;
mod webhook;
mod wire;

pub use address::{AddressError, HttpAddress, redact, same_repository};
pub use agent::HttpProxy;
pub use commit::{CommitError, CommitPlan};
pub use connect::{LocalAccess, connect};
pub use disk::OpenError;
pub use download::{Download, DownloadError, DownloadRequest, Downloader};
pub use edit::{Edit, EditError};
pub use egress::{AddressFilter, refuses_link_local};
pub use fetch::{FetchError, Fetched};
pub use github_app::{GitHubApp, GitHubAppError, InstallationToken};
pub use history::{Ancestry, LastTouch, Log, LogEntry};
pub use http::{Credential, HttpOptions, HttpRemote, PlainHttp};
pub use id::{CommitId, GitId, GitIdError, TreeId};
pub use local::LocalRemote;
pub use memory::{Fault, MemoryRemote, MemorySnapshot, RequestCounts};
pub use merge::{Conflict, Conflicts, MergeError};
pub use message::{Message, MessageError, Person, Trailers};
pub use object::{EntryKind, GitObject, ObjectError, ObjectKind, ObjectSource};
pub use path::{PathError, RepositoryPath};
pub use push::{PushError, PushOutcome, push};
pub use receive::{Hook, ProposedUpdate, Rule};
pub use remote::{FetchReply, FetchRequest, RefList, RefReply, RefUpdate, Remote, RemoteError, Retry, TransferLimits};
pub use repository::{HistoryError, Repository};
pub use signature::{AllowedSigners, SignatureError, Signed, verify_commit, verify_tag};
pub use tree::{Entry, ReadError, ReadLimits, Tree};
pub use webhook::{
    MovedReference, WEBHOOK_BYTES_MAX, Webhook, WebhookAnswer, WebhookKind, WebhookRejection, WebhookSetupError,
};
