//! The crate from outside: runs driven through virtual time, the recorded conditions, the example.

#![expect(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test may fail loudly")]

mod conditions;
mod drive;
mod example;
mod jobs;
mod machine;
mod properties;
mod vendors;
