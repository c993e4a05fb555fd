//! Whole worlds in virtual time.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod argo_status;
mod crash;
mod crash_gitops;
mod crash_rollouts;
mod demo;
mod example;
mod restart;
mod scenarios;
mod world;
