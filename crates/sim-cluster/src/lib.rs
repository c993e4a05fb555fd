//! An embedded Kubernetes API server.
//!
//! [`Cluster`] is a synchronous state machine: a [`Request`] and a moment go in, a [`Response`] or a [`Watch`] comes
//! out. It reads no clock, opens no socket and draws its uids from a seeded sequence, so the same requests at the same
//! moments give the same state; a clone is an independent world that shares what has not changed. Around it lie two
//! thin skins in [`Handle`]: an in-process service for clients such as kube-rs, and an HTTP listener for kubectl.
//!
//! It runs no containers. [`run_controllers`] adds the controllers of Kubernetes, a node, and pods that live through
//! stages by what their spec says; others are added with [`Cluster::add_controller`].
//!
//! ```
//! use serde_json::json;
//! use sim_cluster::{Cluster, Request};
//!
//! let mut cluster = Cluster::default();
//! let now = "2026-11-22T07:00:00Z".parse().unwrap();
//! let body = json!({"metadata": {"name": "settings"}, "data": {"color": "blue"}});
//! let reply = cluster.handle(&Request::post("/api/v1/namespaces/default/configmaps", &body), now);
//! assert_eq!(reply.status(), 201);
//! let copy = cluster.clone();
//! cluster.handle(&Request::delete("/api/v1/namespaces/default/configmaps/settings"), now);
//! assert!(cluster.get("configmaps", "default", "settings").is_none());
//! assert!(copy.get("configmaps", "default", "settings").is_some());
//! ```

mod allocate;
mod apply;
mod bodies;
mod cluster;
mod controller;
mod controllers;
mod crd;
mod decode;
mod defaults;
mod discovery;
mod error;
mod event_forms;
mod go_text;
mod handle;
mod log;
mod meta;
mod openapi;
mod openapi_two;
mod options;
mod paging;
mod patch;
mod preconditions;
mod present;
mod protobuf;
mod quantity;
mod quota;
mod rbac;
mod request;
mod resource;
mod review;
mod revision;
mod route;
mod rules;
mod scale;
mod schema;
mod schema_form;
mod selector;
mod serve;
mod stages;
mod store;
mod strategic;
mod table;
mod types;
mod validate;
mod validate_policy;
mod watch;
mod write;

pub use cluster::{Acting, Cluster, CommitHook, Settings, WriteHook, WriteInfo};
pub use controller::{Controller, Step};
pub use controllers::{run_controllers, settle};
pub use crd::{CustomType, ScalePaths};
pub use error::{ApiError, Cause};
pub use log::{Actor, Effect, LogEntry};
pub use request::{Reply, Request, Response, User};
pub use resource::ResourceType;
pub use serve::{Body, Clock, Handle, Service};
pub use store::{Change, Stored};
pub use watch::{Polled, Watch};
pub use write::{Action, DeleteOptions, FieldValidation, PatchKind, Propagation, WriteOptions};
