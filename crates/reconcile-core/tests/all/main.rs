//! Decisions played out on a world in memory.

mod play;
mod rollout;
