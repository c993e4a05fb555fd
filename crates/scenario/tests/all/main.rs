//! Whole worlds in virtual time.

#![expect(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test fails by panicking")]

mod crash;
mod demo;
mod example;
mod faults;
mod ownership;
mod restart;
mod scenarios;
mod shop;
mod world;
