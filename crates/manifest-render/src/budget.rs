//! How much one render may cost.

use std::fmt;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Steps between two looks at the deadline.
const STEPS_PER_LOOK: u64 = 1024;

/// Bytes that functions of templates may produce in all, most of it short-lived: public charts take hundreds of megabytes.
const PRODUCED_BYTES_MAX: u64 = 2 << 30;

/// Bounds of one render. The defaults suit a source that nobody vouches for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Steps of all templates and programs together.
    pub steps_max: u64,
    /// Depth of calls in programs.
    pub depth_max: u32,
    /// Bytes of all rendered text.
    pub output_bytes_max: u64,
    /// Bytes of one file.
    pub file_bytes_max: u64,
    /// Bytes of all files read.
    pub read_bytes_max: u64,
    /// Files and directories read.
    pub files_max: u64,
    /// Documents of all files.
    pub documents_max: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            steps_max: 50_000_000,
            depth_max: 500,
            output_bytes_max: 64 << 20,
            file_bytes_max: 32 << 20,
            read_bytes_max: 256 << 20,
            files_max: 10_000,
            documents_max: 50_000,
        }
    }
}

/// What a render ran out of.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{place}: {what}")]
pub struct BudgetError {
    /// The file and, where known, the line at work.
    pub place: String,
    /// Which bound was reached.
    pub what: Exhausted,
}

/// One bound of a [`Budget`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exhausted {
    /// Steps.
    Steps(u64),
    /// Depth.
    Depth(u32),
    /// Rendered bytes.
    OutputBytes(u64),
    /// Bytes that functions of templates produce.
    ProducedBytes(u64),
    /// Bytes of one value that a function of a template makes.
    ValueBytes(u64),
    /// Bytes of large values that templates keep.
    HeldBytes(u64),
    /// Bytes of one file.
    FileBytes(u64),
    /// Bytes of all files.
    ReadBytes(u64),
    /// Files.
    Files(u64),
    /// Documents.
    Documents(u64),
    /// The caller's deadline.
    Deadline,
}

impl fmt::Display for Exhausted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Steps(max) => write!(f, "rendering takes more than {max} steps"),
            Self::Depth(max) => write!(f, "calls are nested more than {max} deep"),
            Self::OutputBytes(max) => write!(f, "the output is larger than {max} bytes"),
            Self::ProducedBytes(max) => write!(f, "functions produce more than {max} bytes"),
            Self::ValueBytes(max) => write!(f, "a function would make a value of more than {max} bytes"),
            Self::HeldBytes(max) => write!(f, "templates would keep values of more than {max} bytes"),
            Self::FileBytes(max) => write!(f, "the file is larger than {max} bytes"),
            Self::ReadBytes(max) => write!(f, "all files together are larger than {max} bytes"),
            Self::Files(max) => write!(f, "more than {max} files are read"),
            Self::Documents(max) => write!(f, "there are more than {max} documents"),
            Self::Deadline => f.write_str("rendering took too long"),
        }
    }
}

/// What one render has used of its [`Limits`].
///
/// The clock is the caller's: a budget with a deadline asks the given function now and then and stops when it says so.
pub struct Budget {
    limits: Limits,
    is_over: Option<Arc<dyn Fn() -> bool + Send + Sync>>,
    steps: AtomicU64,
    output_bytes: AtomicU64,
    read_bytes: AtomicU64,
    files: AtomicU64,
    documents: AtomicU64,
}

impl Default for Budget {
    fn default() -> Self {
        Self::new(Limits::default())
    }
}

impl fmt::Debug for Budget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Budget").field("limits", &self.limits).field("steps", &self.steps).finish_non_exhaustive()
    }
}

impl Budget {
    /// Returns a fresh budget without a deadline.
    pub fn new(limits: Limits) -> Self {
        Self {
            limits,
            is_over: None,
            steps: AtomicU64::new(0),
            output_bytes: AtomicU64::new(0),
            read_bytes: AtomicU64::new(0),
            files: AtomicU64::new(0),
            documents: AtomicU64::new(0),
        }
    }

    /// Adds a deadline: rendering stops soon after `is_over` answers true.
    #[must_use]
    pub fn with_deadline(mut self, is_over: impl Fn() -> bool + Send + Sync + 'static) -> Self {
        self.is_over = Some(Arc::new(is_over));
        self
    }

    /// The bounds.
    pub fn limits(&self) -> &Limits {
        &self.limits
    }

    /// Steps used so far.
    pub fn steps(&self) -> u64 {
        self.steps.load(Ordering::Relaxed)
    }

    /// Whether the caller's deadline has passed.
    pub(crate) fn check_deadline(&self) -> Result<(), Exhausted> {
        if self.is_over.as_ref().is_some_and(|is_over| is_over()) { Err(Exhausted::Deadline) } else { Ok(()) }
    }

    /// Counts `count` steps.
    pub(crate) fn step(&self, count: u64) -> Result<(), Exhausted> {
        let before = self.steps.fetch_add(count, Ordering::Relaxed);
        let after = before.saturating_add(count);
        if after > self.limits.steps_max {
            return Err(Exhausted::Steps(self.limits.steps_max));
        }
        if before / STEPS_PER_LOOK != after / STEPS_PER_LOOK { self.check_deadline() } else { Ok(()) }
    }

    /// Counts rendered bytes.
    pub(crate) fn output(&self, bytes: usize) -> Result<(), Exhausted> {
        add(&self.output_bytes, bytes, self.limits.output_bytes_max, Exhausted::OutputBytes)
    }

    /// What is left of it, for templates of charts.
    pub(crate) fn for_templates(&self) -> go_template::Budget {
        let left = |max: u64, used: &AtomicU64| max.saturating_sub(used.load(Ordering::Relaxed));
        let budget = go_template::Budget::new(go_template::Limits {
            steps: left(self.limits.steps_max, &self.steps),
            output_bytes: left(self.limits.output_bytes_max, &self.output_bytes),
            produced_bytes: PRODUCED_BYTES_MAX,
            ..go_template::Limits::default()
        });
        match self.is_over.clone() {
            Some(is_over) => budget.interrupted_by(Rc::new(move || is_over())),
            None => budget,
        }
    }

    /// Counts a file or directory that is about to be read.
    pub(crate) fn file(&self) -> Result<(), Exhausted> {
        self.check_deadline()?;
        add(&self.files, 1, self.limits.files_max, Exhausted::Files)
    }

    /// Counts the bytes of a file.
    pub(crate) fn read(&self, bytes: usize) -> Result<(), Exhausted> {
        if u64::try_from(bytes).unwrap_or(u64::MAX) > self.limits.file_bytes_max {
            return Err(Exhausted::FileBytes(self.limits.file_bytes_max));
        }
        add(&self.read_bytes, bytes, self.limits.read_bytes_max, Exhausted::ReadBytes)
    }

    /// Counts documents.
    pub(crate) fn documents(&self, count: usize) -> Result<(), Exhausted> {
        self.check_deadline()?;
        add(&self.documents, count, self.limits.documents_max, Exhausted::Documents)
    }
}

fn add(used: &AtomicU64, amount: usize, max: u64, exhausted: fn(u64) -> Exhausted) -> Result<(), Exhausted> {
    let amount = u64::try_from(amount).unwrap_or(u64::MAX);
    let before = used.fetch_add(amount.min(max.saturating_add(1)), Ordering::Relaxed);
    if before.saturating_add(amount) > max { Err(exhausted(max)) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_and_output_are_bounded_and_the_deadline_is_seen_between_steps() {
        let budget = Budget::new(Limits { steps_max: 5000, output_bytes_max: 10, ..Limits::default() });
        assert_eq!(budget.step(5000), Ok(()));
        assert_eq!(budget.step(1), Err(Exhausted::Steps(5000)));
        assert_eq!(budget.output(10), Ok(()));
        assert_eq!(budget.output(1), Err(Exhausted::OutputBytes(10)));
        let budget = Budget::default().with_deadline(|| true);
        assert_eq!(budget.step(1000), Ok(()));
        assert_eq!(budget.step(1000), Err(Exhausted::Deadline));
    }
}
