//! Whole worlds in virtual time.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "a test fails by panicking"
)]

mod crash;
mod demo;
mod example;
mod faults;
mod ownership;
mod restart;
mod shop;
mod world;
