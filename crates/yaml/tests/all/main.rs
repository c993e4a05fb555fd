//! The promises of the crate, seen from outside.

mod cases;
mod edit;
mod example;
mod hostile;
mod parse;
mod recorded;
