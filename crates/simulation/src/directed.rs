//! Schedules that are made, not drawn: the three ways in which an operator may know less than it believes.

use crate::choice::{Log, Place};
use crate::fault::Fault;

/// What goes wrong on purpose.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Schedule {
    /// The watches of everything that a Rollout goes by stay behind, again and again, while writes go through.
    StaleCache,
    /// The one that leads is cut off around a write for longer than a Lease, and its write arrives when another leads.
    TwoLeaders,
    /// The operator that goes on has a clock that is fast by minutes.
    FastClock,
    /// Its clock is slow by minutes.
    SlowClock,
}

/// How late events come, by degree: 7 s, 16 s and 33 s.
const LATE: [u64; 3] = [5, 6, 7];
/// Kinds that a Rollout goes by: its own, what it makes, and what carries traffic.
const WATCHED: [&str; 14] = [
    "rollouts",
    "replicasets",
    "services",
    "analysisruns",
    "experiments",
    "jobs",
    "deployments",
    "pods",
    "virtualservices",
    "destinationrules",
    "ingresses",
    "apisixroutes",
    "httproutes",
    "mappings",
];
/// So many events of a kind are late, every third one.
const LATE_EVENTS: u32 = 6;

impl Schedule {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::StaleCache, Self::TwoLeaders, Self::FastClock, Self::SlowClock];

    /// The choices, where `writes` are those of a play in which nothing goes wrong.
    pub(crate) fn log(self, writes: &[Place]) -> Log {
        let chosen = |label: &str| Place { label: label.to_owned(), nth: 1 };
        match self {
            Self::StaleCache => {
                let late = |kind: &str, index: u32| {
                    let place = Place { label: format!("a event {kind}"), nth: 1 + 3 * index };
                    let degree = usize::try_from(index).ok().and_then(|index| LATE.get(index % LATE.len()));
                    (place, Fault::Lag.number(degree.copied().unwrap_or(6)))
                };
                WATCHED.iter().flat_map(|kind| (0..LATE_EVENTS).map(move |index| late(kind, index))).collect()
            }
            Self::TwoLeaders => {
                let cut = writes.get(writes.len() / 2).map(|place| (place.clone(), Fault::Cut.number(0)));
                std::iter::once((chosen("two operators"), 1)).chain(cut).collect()
            }
            Self::FastClock => Log::from([(chosen("clock skew"), 1)]),
            Self::SlowClock => Log::from([(chosen("clock skew"), 2)]),
        }
    }
}
