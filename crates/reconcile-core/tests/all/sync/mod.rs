//! Sync decisions, played on a world in memory.

mod choices;
mod deletion;
mod hooks;
mod surroundings;
mod world;
