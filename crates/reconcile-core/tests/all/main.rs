//! Decisions played out on a world in memory.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

mod analysis;
mod argo_fields;
mod blue_green;
mod canary;
mod duration;
mod example;
mod experiment;
mod experiment_step;
mod metadata;
mod notification;
mod oracle;
mod ping_pong;
mod play;
mod restart;
mod rollout;
mod sync;
mod traffic;
mod tries;
mod two_pairs;
mod validation;
mod workload;
