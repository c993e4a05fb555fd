//! Sync decisions, played on a world in memory.

mod cases;
mod choices;
mod deletion;
mod health;
mod holds;
mod hooks;
mod surroundings;
mod windows;
mod world;
