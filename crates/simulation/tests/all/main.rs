//! The simulation about itself: one seed is one trace, and what was found once stays found.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod directed;
mod example;
mod regressions;
mod schedules;
