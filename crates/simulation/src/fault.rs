//! What can go wrong, each with the number under which a log keeps it.

use std::fmt;
use std::time::Duration;

/// Something that goes wrong at one place.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Fault {
    /// The operator dies before the request leaves.
    CrashBefore,
    /// It dies when the server has done the request and the answer is on its way.
    CrashAfterCommit,
    /// It dies with the answer in its hands.
    CrashAfterResponse,
    /// Somebody else writes to the object right before.
    Rival,
    /// 429 without a word of when to come again.
    TooMany,
    /// 429 with Retry-After.
    TooManyRetryAfter,
    /// 500, nothing done.
    ServerError,
    /// 503, nothing done.
    Unavailable,
    /// 504, but it was done.
    TimeoutAfterCommit,
    /// No answer, nothing done.
    Hang,
    /// No answer, but it was done.
    HangAfterCommit,
    /// The connection breaks before the request is read.
    Reset,
    /// It breaks after it was done.
    ResetAfterCommit,
    /// Half of the answer's body comes.
    HalfBody,
    /// The request takes its time to the server.
    Slow,
    /// The answer takes its time.
    SlowAnswer,
    /// The operator's network is cut for longer than a Lease; this request arrives when it is mended.
    Cut,
    /// An event of a watch comes late, and all after it.
    Lag,
    /// The server closes a watch.
    Drop,
    /// The server has forgotten the position of a watch.
    Gone,
    /// A watch says nothing any more and stays open.
    Silence,
    /// Events are held back, then the position is forgotten: states in between are never seen.
    Unobserved,
    /// The connection of a watch breaks in the middle of an event.
    BrokenEvent,
    /// An event of a watch comes twice.
    Twice,
    /// The repository can't be reached.
    GitUnreachable,
    /// A push is done, its answer is lost.
    GitLoseReply,
    /// A push breaks half way and nothing is done.
    GitBreakPush,
    /// Somebody else pushes right before.
    GitRival,
    /// The operator dies before it asks a repository.
    GitCrashBefore,
    /// It dies after that.
    GitCrashAfter,
    /// A question to a repository takes its time.
    GitSlow,
    /// The metric provider answers 503.
    MetricsError,
    /// It answers NaN.
    MetricsNaN,
    /// It has no data.
    MetricsEmpty,
    /// It does not answer.
    MetricsNoAnswer,
    /// It takes its time.
    MetricsSlow,
    /// It answers something else than a number.
    MetricsNonsense,
    /// A ready pod is not ready for a moment.
    PodFlap,
    /// A pod is evicted.
    PodEvicted,
    /// A node goes away with all its pods of a namespace.
    NodeLost,
}

use Fault::*;

/// Every fault under its number, which logs keep for ever: new ones come last.
const NUMBERS: [(u64, Fault); 40] = [
    (1, CrashBefore),
    (2, CrashAfterCommit),
    (3, CrashAfterResponse),
    (4, Rival),
    (5, TooMany),
    (6, TooManyRetryAfter),
    (7, ServerError),
    (8, Unavailable),
    (9, TimeoutAfterCommit),
    (10, Hang),
    (11, HangAfterCommit),
    (12, Reset),
    (13, ResetAfterCommit),
    (14, HalfBody),
    (15, Slow),
    (16, SlowAnswer),
    (17, Cut),
    (20, Lag),
    (21, Drop),
    (22, Gone),
    (23, Silence),
    (24, Unobserved),
    (25, BrokenEvent),
    (26, Twice),
    (30, GitUnreachable),
    (31, GitLoseReply),
    (32, GitBreakPush),
    (33, GitRival),
    (34, GitCrashBefore),
    (35, GitCrashAfter),
    (36, GitSlow),
    (40, MetricsError),
    (41, MetricsNaN),
    (42, MetricsEmpty),
    (43, MetricsNoAnswer),
    (44, MetricsSlow),
    (45, MetricsNonsense),
    (50, PodFlap),
    (51, PodEvicted),
    (52, NodeLost),
];

/// How much of a fault: the second half of a number.
const DEGREE: u64 = 100;
/// Degrees that are drawn.
pub const DEGREES: u64 = 8;

impl Fault {
    /// The number of the fault in a degree.
    pub fn number(self, degree: u64) -> u64 {
        let number = NUMBERS.iter().find(|(_, fault)| *fault == self).map_or(0, |(number, _)| *number);
        number + DEGREE * degree
    }

    /// The fault and its degree; nothing for 0 and for numbers that are none.
    pub fn of(number: u64) -> Option<(Self, u64)> {
        let fault = NUMBERS.iter().find(|(known, _)| *known == number % DEGREE)?.1;
        Some((fault, number / DEGREE))
    }

    /// Whether an operator dies of it.
    pub fn kills(self) -> bool {
        matches!(self, CrashBefore | CrashAfterCommit | CrashAfterResponse | GitCrashBefore | GitCrashAfter)
    }

    /// Whether a verdict about a version may become another one by it, so that the story may end otherwise.
    pub fn may_change_verdicts(self) -> bool {
        matches!(self, MetricsError | MetricsNaN | MetricsEmpty | MetricsNoAnswer | MetricsSlow | MetricsNonsense)
    }

    /// Whether it takes readiness from pods.
    pub fn is_of_pods(self) -> bool {
        matches!(self, PodFlap | PodEvicted | NodeLost)
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The names are made for people to read.
        let mut words = String::new();
        for c in format!("{self:?}").chars() {
            if c.is_ascii_uppercase() && !words.is_empty() {
                words.push(' ');
            }
            words.push(c.to_ascii_lowercase());
        }
        f.write_str(&words)
    }
}

/// How long a slow thing of a degree takes: longer than a request's limit at the end.
pub fn delay(degree: u64) -> Duration {
    const MILLISECONDS: [u64; 8] = [5, 40, 200, 900, 2_500, 7_000, 16_000, 33_000];
    let index = usize::try_from(degree).unwrap_or(0);
    Duration::from_millis(MILLISECONDS.get(index).copied().unwrap_or(5))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_fault_comes_back_from_its_number() {
        for (number, fault) in NUMBERS {
            assert_eq!(fault.number(3), number + 300);
            assert_eq!(Fault::of(number + 300), Some((fault, 3)));
        }
        assert_eq!(Fault::of(0), None);
        assert_eq!(CrashAfterCommit.to_string(), "crash after commit");
    }
}
