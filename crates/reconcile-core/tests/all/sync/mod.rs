//! Sync decisions, played on a world in memory.

mod choices;
mod deletion;
mod health;
mod holds;
mod hooks;
mod surroundings;
mod windows;
mod world;
