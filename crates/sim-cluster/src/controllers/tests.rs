//! Scenarios over a whole cluster with virtual time.

mod deployments;
mod lives;
mod ownership;
mod services;
mod sets;
mod world;
