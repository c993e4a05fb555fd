//! The promises of the crate, seen from outside.

mod parse;
