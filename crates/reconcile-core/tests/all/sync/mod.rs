//! Sync decisions, played on a world in memory.

mod choices;
mod deletion;
mod health;
mod holds;
mod hooks;
mod windows;
mod world;
