//! What is wrong with a source, and where.

use std::fmt;

/// One fault of a source.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Diagnostic {
    /// The file, relative to the root of the tree.
    pub file: String,
    /// Line counted from 1; 0 when the fault has no line.
    pub line: u32,
    /// Column counted from 1; 0 when the fault has no column.
    pub column: u32,
    /// The object concerned, as people name it.
    pub object: Option<String>,
    /// What is wrong: a lower-case fragment.
    pub message: String,
    /// What a person can do about it, when that is known.
    pub hint: Option<String>,
}

impl Diagnostic {
    /// Returns a fault of a whole file.
    pub(crate) fn of_file(file: &str, message: impl Into<String>) -> Self {
        Self { file: file.to_owned(), line: 0, column: 0, object: None, message: message.into(), hint: None }
    }

    pub(crate) fn at(mut self, line: u32, column: u32) -> Self {
        (self.line, self.column) = (line, column);
        self
    }

    pub(crate) fn hinted(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// The same fault of a text of `file`.
    pub(crate) fn of_text(file: &str, fault: yaml::Diagnostic) -> Self {
        Self {
            file: file.to_owned(),
            line: fault.line,
            column: fault.column,
            object: None,
            message: fault.message,
            hint: fault.hint,
        }
    }
}

/// `qa/web.yaml:3:7: Service web: message (hint)`.
impl fmt::Display for Diagnostic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.file)?;
        match (self.line, self.column) {
            (0, _) => {}
            (line, 0) => write!(f, ":{line}")?,
            (line, column) => write!(f, ":{line}:{column}")?,
        }
        f.write_str(": ")?;
        if let Some(object) = &self.object {
            write!(f, "{object}: ")?;
        }
        f.write_str(&self.message)?;
        match &self.hint {
            Some(hint) => write!(f, " ({hint})"),
            None => Ok(()),
        }
    }
}
