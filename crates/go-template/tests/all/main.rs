//! Tests of the crate from outside.

mod data;
mod example;
mod recorded;
