//! The crate from outside: splits put into live objects, and the example.
#![expect(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test may fail loudly")]

mod details;
mod example;
mod istio;
mod nginx;
mod properties;
mod providers;
