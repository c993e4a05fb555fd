//! What the server answers, behaviour by behaviour.

mod access;
mod objects;
