//! What goes wrong when templates are parsed and executed, in Go's words.

use crate::Str;
use crate::budget::Exhausted;

/// A template that doesn't parse: `template: NAME:LINE: ...`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("template: {name}:{line}: {message}")]
pub struct ParseError {
    /// The name of the source.
    pub name: Str,
    /// The line, counted from one.
    pub line: u32,
    /// What is wrong.
    pub message: String,
}

/// An execution that failed: `template: NAME:LINE:COLUMN: executing "NAME" at <CONTEXT>: ...`.
#[derive(Debug, thiserror::Error)]
#[error("{text}")]
pub struct ExecuteError {
    /// The whole text, as Go prints it.
    pub text: String,
    /// The name of the template that failed, the outermost one.
    pub template: Str,
    /// What ran out of the budget, when that is what happened.
    pub exhausted: Option<Exhausted>,
}
