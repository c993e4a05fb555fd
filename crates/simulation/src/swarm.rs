//! Which faults a seed has, and how often: each seed switches a random part of them on, so that rare pairs meet.

use crate::choice::draw;
use crate::fault::{DEGREES, Fault};

use Fault::{
    BrokenEvent, CrashAfterCommit, CrashAfterResponse, CrashBefore, Cut, Drop, GitBreakPush, GitCrashAfter,
    GitCrashBefore, GitLoseReply, GitRival, GitSlow, GitUnreachable, Gone, HalfBody, Hang, HangAfterCommit, Lag,
    MetricsEmpty, MetricsError, MetricsNaN, MetricsNoAnswer, MetricsNonsense, MetricsSlow, NodeLost, PodEvicted,
    PodFlap, Reset, ResetAfterCommit, Rival, ServerError, Silence, Slow, SlowAnswer, TimeoutAfterCommit, TooMany,
    TooManyRetryAfter, Twice, Unavailable, Unobserved,
};

/// Faults that are switched on together.
struct Group {
    name: &'static str,
    faults: &'static [Fault],
    /// Whether it hits writes of the operator.
    hits_writes: bool,
}

const GROUPS: [Group; 14] = [
    Group {
        name: "crash",
        faults: &[CrashBefore, CrashAfterCommit, CrashAfterResponse, GitCrashBefore, GitCrashAfter],
        hits_writes: true,
    },
    Group { name: "rival", faults: &[Rival, GitRival], hits_writes: true },
    Group { name: "busy", faults: &[TooMany, TooManyRetryAfter], hits_writes: true },
    Group { name: "errors", faults: &[ServerError, Unavailable], hits_writes: true },
    Group {
        name: "lost answers",
        faults: &[TimeoutAfterCommit, HangAfterCommit, ResetAfterCommit, HalfBody],
        hits_writes: true,
    },
    Group { name: "no answers", faults: &[Hang, Reset], hits_writes: true },
    Group { name: "slow", faults: &[Slow, SlowAnswer, GitSlow, MetricsSlow], hits_writes: true },
    Group { name: "cut", faults: &[Cut], hits_writes: true },
    Group { name: "watch ends", faults: &[Drop, Gone, BrokenEvent, Twice], hits_writes: false },
    Group { name: "stale", faults: &[Lag, Silence], hits_writes: false },
    Group { name: "unobserved", faults: &[Unobserved], hits_writes: false },
    Group { name: "repository", faults: &[GitUnreachable, GitLoseReply, GitBreakPush], hits_writes: false },
    Group {
        name: "metrics",
        faults: &[MetricsError, MetricsNaN, MetricsEmpty, MetricsNoAnswer, MetricsNonsense],
        hits_writes: false,
    },
    Group { name: "pods", faults: &[PodFlap, PodEvicted, NodeLost], hits_writes: false },
];

/// Faults in a thousand, for groups that are on.
const RATES: [u64; 5] = [4, 10, 25, 60, 120];

/// What a decision is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A request that changes something.
    Write,
    /// A request that looks.
    Read,
    /// One event of a watch.
    Event,
    /// A push.
    Push,
    /// Another question to a repository.
    Fetch,
    /// A question to a metric provider.
    Query,
    /// A second in the life of the pods.
    Pods,
}

impl Kind {
    /// The faults that can hit it.
    fn faults(self) -> &'static [Fault] {
        match self {
            Self::Write => &[
                CrashBefore,
                CrashAfterCommit,
                CrashAfterResponse,
                Rival,
                TooMany,
                TooManyRetryAfter,
                ServerError,
                Unavailable,
                TimeoutAfterCommit,
                Hang,
                HangAfterCommit,
                Reset,
                ResetAfterCommit,
                HalfBody,
                Slow,
                SlowAnswer,
                Cut,
            ],
            Self::Read => &[
                CrashBefore,
                CrashAfterResponse,
                TooMany,
                TooManyRetryAfter,
                ServerError,
                Unavailable,
                Hang,
                Reset,
                HalfBody,
                Slow,
                SlowAnswer,
                Gone,
            ],
            Self::Event => &[Lag, Drop, Gone, Silence, Unobserved, BrokenEvent, Twice],
            Self::Push => {
                &[GitUnreachable, GitLoseReply, GitBreakPush, GitRival, GitCrashBefore, GitCrashAfter, GitSlow]
            }
            Self::Fetch => &[GitUnreachable, GitRival, GitCrashBefore, GitCrashAfter, GitSlow],
            Self::Query => &[MetricsError, MetricsNaN, MetricsEmpty, MetricsNoAnswer, MetricsSlow, MetricsNonsense],
            Self::Pods => &[PodFlap, PodEvicted, NodeLost],
        }
    }

    /// How many times more often than a read it is hit.
    fn factor(self) -> u64 {
        match self {
            Self::Write | Self::Push => 4,
            Self::Fetch | Self::Query | Self::Pods => 2,
            Self::Read | Self::Event => 1,
        }
    }
}

/// The faults of one seed with their rates.
#[derive(Debug, Clone)]
pub struct Swarm {
    rates: Vec<(Fault, u64)>,
    names: Vec<&'static str>,
}

impl Swarm {
    /// Draws the faults of a seed: a quarter of the groups, and at least one that hits writes.
    pub fn of_seed(seed: u64) -> Self {
        let mut rates = Vec::new();
        let mut names = Vec::new();
        let writing: Vec<&Group> = GROUPS.iter().filter(|group| group.hits_writes).collect();
        let sure = pick(&writing, draw(seed, "swarm: surely", 1)).map(|group| group.name);
        for group in &GROUPS {
            let random = draw(seed, group.name, 0);
            if !random.is_multiple_of(4) && sure != Some(group.name) {
                continue;
            }
            let rate = pick(&RATES, random >> 8).copied().unwrap_or(4);
            names.push(group.name);
            for (index, fault) in group.faults.iter().enumerate() {
                // Half of the faults of a group are off, but for the first of a group that must do something.
                let is_on = (random >> (16 + index)) & 1 == 1;
                if is_on || (index == 0 && sure == Some(group.name)) {
                    rates.push((*fault, rate));
                }
            }
        }
        Self { rates, names }
    }

    /// A swarm without faults.
    pub fn none() -> Self {
        Self { rates: Vec::new(), names: Vec::new() }
    }

    /// The groups that are on.
    pub fn names(&self) -> &[&'static str] {
        &self.names
    }

    /// Turns a random number into the number of a fault, or 0.
    pub fn pick(&self, kind: Kind, random: u64) -> u64 {
        let possible = kind.faults();
        let on: Vec<(Fault, u64)> = self.rates.iter().filter(|(fault, _)| possible.contains(fault)).copied().collect();
        let mut point = random % 1_000;
        for (fault, rate) in on {
            let share = rate * kind.factor() / 4;
            if point < share.max(1) {
                return fault.number((random >> 32) % DEGREES);
            }
            point -= share.max(1);
        }
        0
    }
}

fn pick<T>(items: &[T], random: u64) -> Option<&T> {
    let index = usize::try_from(random % u64::try_from(items.len()).ok()?).ok()?;
    items.get(index)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_seed_has_something_that_hits_writes() {
        for seed in 0..500 {
            let swarm = Swarm::of_seed(seed);
            let hits = (0..4_000).any(|n| swarm.pick(Kind::Write, draw(seed, "x", n)) != 0);
            assert!(hits, "seed {seed}: {:?}", swarm.names());
        }
    }

    #[test]
    fn seeds_differ_in_their_faults() {
        let sets: std::collections::BTreeSet<Vec<&str>> = (0..100).map(|seed| Swarm::of_seed(seed).names).collect();
        assert!(sets.len() > 40, "{} sets", sets.len());
    }
}
