//! Argo CD's health scripts, run as they are by an interpreter that reaches nothing but the object.

mod budget;
mod machine;
mod moments;
mod patterns;
mod texts;

pub(crate) use machine::Machine;
