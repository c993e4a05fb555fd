//! The phases of a measurement, a metric and a run.

use std::fmt;

use serde::{Deserialize, Serialize};

/// How a measurement, a metric or a whole run stands; ordered from best to worst.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Phase {
    /// It holds.
    Successful,
    /// It goes on.
    Running,
    /// It has not begun.
    #[default]
    #[serde(alias = "")]
    Pending,
    /// Neither success nor failure could be told.
    Inconclusive,
    /// It could not be measured.
    Error,
    /// It does not hold.
    Failed,
}

impl Phase {
    /// Whether it is over.
    pub fn is_completed(self) -> bool {
        !matches!(self, Self::Running | Self::Pending)
    }

    /// The word that status fields and Events carry.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Successful => "Successful",
            Self::Running => "Running",
            Self::Pending => "Pending",
            Self::Inconclusive => "Inconclusive",
            Self::Error => "Error",
            Self::Failed => "Failed",
        }
    }
}

impl fmt::Display for Phase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// How a run ended, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verdict {
    /// Successful, Failed, Error or Inconclusive.
    pub phase: Phase,
    /// The reason, for people; empty when there is nothing to say.
    pub message: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failed_is_the_worst_and_error_is_worse_than_inconclusive() {
        let mut phases = [Phase::Failed, Phase::Error, Phase::Successful, Phase::Pending, Phase::Inconclusive];
        phases.sort();
        assert_eq!(phases, [Phase::Successful, Phase::Pending, Phase::Inconclusive, Phase::Error, Phase::Failed]);
    }
}
