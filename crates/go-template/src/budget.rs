//! What one execution may use: steps, depth, output, produced bytes and time. Everything that works for a template
//! charges it, so that no template runs on.

use std::fmt;
use std::rc::Rc;

use crate::value::{Held, Value};

/// The limits of one execution.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Steps: one for each node, loop round, element or key that is looked at.
    pub steps: u64,
    /// How deep templates, includes and blocks may nest in sum.
    pub depth: u32,
    /// How deep includes of one name may nest (Helm's limit is 1,000).
    pub includes_of_one_name: u32,
    /// Bytes that may be written in all.
    pub output_bytes: u64,
    /// Bytes of strings, lists and maps that functions may produce in all.
    pub produced_bytes: u64,
    /// Bytes that one call of a function may produce: it is refused before it takes them. Arguments, a buffer that grows
    /// and the result are there at once, so a call may need four times as many.
    pub value_bytes: u64,
    /// Bytes of large texts and lists that may be kept at a time; the others count among all that is produced.
    pub held_bytes: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            steps: 50_000_000,
            depth: 4_000,
            includes_of_one_name: 1_000,
            output_bytes: 64 << 20,
            produced_bytes: 256 << 20,
            value_bytes: 64 << 20,
            held_bytes: 256 << 20,
        }
    }
}

/// What ran out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Exhausted {
    /// More steps than allowed.
    #[error("more than {0} steps were needed")]
    Steps(u64),
    /// Deeper nesting than allowed.
    #[error("exceeded maximum template depth ({0})")]
    Depth(u32),
    /// More output than allowed.
    #[error("the output is longer than {0} bytes")]
    Output(u64),
    /// More bytes produced by functions than allowed.
    #[error("functions produced more than {0} bytes")]
    Produced(u64),
    /// One value larger than allowed.
    #[error("one value would be larger than {0} bytes")]
    Value(u64),
    /// More large values kept than allowed.
    #[error("large values of more than {0} bytes would be kept")]
    Held(u64),
    /// The caller's check said stop.
    #[error("the time is up")]
    Interrupted,
}

/// How many steps pass between two questions to the caller's check.
const STEPS_BETWEEN_CHECKS: u64 = 1_024;

/// From how many bytes on a value is a large one. There are few, so each is watched for as long as it is kept.
const LARGE_BYTES: usize = 1 << 20;

/// Counts what an execution uses and refuses what is beyond its limits.
pub struct Budget {
    limits: Limits,
    steps: u64,
    next_check: u64,
    depth: u32,
    output_bytes: u64,
    produced_bytes: u64,
    /// Large values that were kept when it was last looked at.
    large: Vec<(usize, Held)>,
    interrupted: Option<Rc<dyn Fn() -> bool>>,
}

impl fmt::Debug for Budget {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Budget")
            .field("limits", &self.limits)
            .field("steps", &self.steps)
            .field("depth", &self.depth)
            .field("output_bytes", &self.output_bytes)
            .field("produced_bytes", &self.produced_bytes)
            .finish_non_exhaustive()
    }
}

impl Default for Budget {
    fn default() -> Self {
        Self::new(Limits::default())
    }
}

impl Budget {
    /// Returns a fresh budget.
    #[must_use]
    pub fn new(limits: Limits) -> Self {
        Self {
            limits,
            steps: 0,
            next_check: STEPS_BETWEEN_CHECKS.min(limits.steps.saturating_add(1)),
            depth: 0,
            output_bytes: 0,
            produced_bytes: 0,
            large: Vec::new(),
            interrupted: None,
        }
    }

    /// Asks `interrupted` every 1,024 steps; the execution ends when it says true. This is how a deadline is kept
    /// without a clock in here.
    #[must_use]
    pub fn interrupted_by(mut self, interrupted: Rc<dyn Fn() -> bool>) -> Self {
        self.interrupted = Some(interrupted);
        self
    }

    /// Returns the limits.
    #[must_use]
    pub fn limits(&self) -> &Limits {
        &self.limits
    }

    /// Returns the steps used so far.
    #[must_use]
    pub fn steps_used(&self) -> u64 {
        self.steps
    }

    /// Returns the bytes that functions produced so far.
    #[must_use]
    pub fn produced_bytes_used(&self) -> u64 {
        self.produced_bytes
    }

    /// Charges `count` steps.
    ///
    /// # Errors
    /// The steps or the time have run out.
    #[inline]
    pub fn step(&mut self, count: u64) -> Result<(), Exhausted> {
        self.steps = self.steps.saturating_add(count);
        if self.steps >= self.next_check { self.check() } else { Ok(()) }
    }

    #[cold]
    fn check(&mut self) -> Result<(), Exhausted> {
        if self.steps > self.limits.steps {
            return Err(Exhausted::Steps(self.limits.steps));
        }
        if self.interrupted.as_ref().is_some_and(|interrupted| interrupted()) {
            return Err(Exhausted::Interrupted);
        }
        let next = self.steps.saturating_add(STEPS_BETWEEN_CHECKS);
        self.next_check = next.min(self.limits.steps.saturating_add(1));
        Ok(())
    }

    /// Charges bytes that a function is about to produce: call it before the allocation.
    ///
    /// # Errors
    /// The bytes have run out.
    pub fn produce(&mut self, bytes: usize) -> Result<(), Exhausted> {
        if bytes as u64 > self.limits.value_bytes {
            return Err(Exhausted::Value(self.limits.value_bytes));
        }
        self.produced_bytes = self.produced_bytes.saturating_add(bytes as u64);
        if self.produced_bytes > self.limits.produced_bytes {
            return Err(Exhausted::Produced(self.limits.produced_bytes));
        }
        if bytes >= LARGE_BYTES && self.held() + bytes as u64 > self.limits.held_bytes {
            return Err(Exhausted::Held(self.limits.held_bytes));
        }
        Ok(())
    }

    /// Watches a value that a function returned, when it is a large one.
    #[inline]
    pub(crate) fn watch(&mut self, value: &Value) {
        let bytes = match value {
            Value::Str(text) => text.len(),
            Value::List(list) => list.len() * size_of::<Value>(),
            _ => return,
        };
        if bytes < LARGE_BYTES {
            return;
        }
        if let Some(held) = Held::of(value)
            && !self.large.iter().any(|(_, known)| known.is_same(&held))
        {
            self.large.push((bytes, held));
        }
    }

    /// Bytes of the large values that are kept.
    fn held(&mut self) -> u64 {
        self.large.retain(|(_, held)| held.is_kept());
        self.large.iter().map(|(bytes, _)| *bytes as u64).sum()
    }

    /// Charges bytes that are about to be written.
    ///
    /// # Errors
    /// The output has grown too long.
    #[inline]
    pub fn output(&mut self, bytes: usize) -> Result<(), Exhausted> {
        self.output_bytes = self.output_bytes.saturating_add(bytes as u64);
        if self.output_bytes > self.limits.output_bytes {
            return Err(Exhausted::Output(self.limits.output_bytes));
        }
        Ok(())
    }

    /// Goes one level deeper; pair it with [`Budget::leave`].
    ///
    /// # Errors
    /// The nesting is too deep.
    pub fn enter(&mut self) -> Result<(), Exhausted> {
        if self.depth >= self.limits.depth {
            return Err(Exhausted::Depth(self.limits.depth));
        }
        self.depth += 1;
        Ok(())
    }

    /// Comes back from a level that [`Budget::enter`] went into.
    pub fn leave(&mut self) {
        self.depth = self.depth.saturating_sub(1);
    }
}
