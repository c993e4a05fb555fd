//! Tests of the crate from outside.

mod data;
mod example;
mod functions;
mod hostile;
mod recorded;
mod speed;
