//! The verbs that need nothing but a cluster. Other crates add tables of their own.

mod programs;
mod requests;
mod waits;
mod watching;

pub(crate) use programs::PROGRAMS;
pub(crate) use requests::REQUESTS;
pub(crate) use waits::WAITS;
pub(crate) use watching::WATCHES;
