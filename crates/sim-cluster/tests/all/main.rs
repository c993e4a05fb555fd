//! What the server answers, behaviour by behaviour.

#![expect(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a failed test panics")]

mod access;
mod apply;
mod client;
mod custom;
mod definitions;
mod listener;
mod objects;
mod security;
