//! Events: what happened, once per transition.

use object_model::Uid;

use crate::ObjectRef;

/// Normal or Warning.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EventType {
    /// Expected.
    Normal,
    /// Somebody may have to act.
    Warning,
}

/// Reasons of Events and conditions, spelled as they appear. Argo's own are in the rollout module of their names.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Reason(pub &'static str);

/// An Event to be written under a name made of the object's uid and the transition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Note {
    /// What it is about.
    pub about: ObjectRef,
    /// The life of what it is about.
    pub uid: Uid,
    /// Normal or Warning.
    pub kind: EventType,
    /// CamelCase reason.
    pub reason: Reason,
    /// Sentence.
    pub message: String,
    /// Identifies the transition within the object's life, such as `revision-2/step-3`; a repeat has the same name.
    pub transition: String,
}
