//! The runtime on the embedded cluster, on virtual time.

#![expect(clippy::unwrap_used, clippy::panic, clippy::print_stderr, reason = "helpers of tests fail the test")]

mod chart;
mod chart_repository;
mod cluster;
mod drive;
mod example;
mod git;
mod nginx;
mod record;
mod references;
mod server;
mod signed;
mod tenancy;
