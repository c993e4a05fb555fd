//! What an execution gets from outside: its budget, entropy, the time, and whatever the caller's own functions need.

use std::any::Any;

use crate::budget::Budget;

/// A point in time, in UTC.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Timestamp {
    /// Seconds since 1970-01-01T00:00:00Z.
    pub seconds: i64,
    /// Nanoseconds within the second.
    pub nanoseconds: u32,
}

/// Where random functions get their bytes from.
pub trait Entropy {
    /// Fills `bytes`. `template` is the name of the template that asks, for sources that are to give each template the
    /// same bytes again.
    fn fill(&mut self, template: &str, bytes: &mut [u8]);
}

/// What one execution gets from outside.
pub struct Environment<'run> {
    /// What it may use.
    pub budget: Budget,
    /// What random functions draw from.
    pub entropy: &'run mut dyn Entropy,
    /// What `now` returns.
    pub now: Timestamp,
    /// What the caller's own functions find by [`crate::Call::host`].
    pub host: Option<&'run dyn Any>,
}

impl std::fmt::Debug for Environment<'_> {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("Environment")
            .field("budget", &self.budget)
            .field("now", &self.now)
            .finish_non_exhaustive()
    }
}

impl<'run> Environment<'run> {
    /// Returns an environment with the default budget at the beginning of time.
    pub fn new(entropy: &'run mut dyn Entropy) -> Self {
        Self { budget: Budget::default(), entropy, now: Timestamp::default(), host: None }
    }
}

/// An entropy that is always the same: bytes counted up from zero. For templates that ask for none, and for tests.
#[derive(Debug, Clone, Default)]
pub struct CountingEntropy {
    next: u8,
}

impl Entropy for CountingEntropy {
    fn fill(&mut self, _template: &str, bytes: &mut [u8]) {
        for byte in bytes {
            *byte = self.next;
            self.next = self.next.wrapping_add(1);
        }
    }
}
