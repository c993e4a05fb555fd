//! Tests of the crate from outside.

mod data;
mod example;
mod hostile;
mod recorded;
mod speed;
