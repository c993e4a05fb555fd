//! From a schedule that breaks a rule to the fewest choices that still break it.

use crate::choice::{Log, Place};
use crate::fault::Fault;
use crate::schedule::{Outcome, Ready};

/// Most plays of one shrinking.
const PLAYS_MAX: usize = 300;

/// A log that breaks the same rule with less.
pub struct Shrunk {
    /// The play of it.
    pub outcome: Outcome,
    /// How many plays it took.
    pub plays: usize,
}

/// Leaves out choices, first all of a kind, then ever smaller pieces, then makes those that stay smaller.
pub fn shrink(ready: &Ready, failed: Outcome) -> Shrunk {
    let Some(rule) = failed.broken.as_ref().map(|broken| broken.rule) else {
        return Shrunk { outcome: failed, plays: 0 };
    };
    let mut best = failed;
    let mut plays = 0;
    let mut try_log = |log: Log, best: &mut Outcome| -> bool {
        if plays >= PLAYS_MAX || log == best.log {
            return false;
        }
        plays += 1;
        let outcome = ready.replay(log);
        let is_same = outcome.broken.as_ref().is_some_and(|broken| broken.rule == rule);
        if is_same {
            *best = outcome;
        }
        is_same
    };
    let kinds: Vec<u64> = best.log.values().map(|number| number % 100).collect();
    for kind in kinds {
        let without = best.log.iter().filter(|(_, number)| *number % 100 != kind);
        let without = without.map(|(place, number)| (place.clone(), *number)).collect();
        try_log(without, &mut best);
    }
    let mut size = best.log.len().div_ceil(2);
    while size > 0 {
        let mut from = 0;
        while from < best.log.len() {
            let kept = best.log.iter().enumerate().filter(|(index, _)| *index < from || *index >= from + size);
            let kept: Log = kept.map(|(_, (place, number))| (place.clone(), *number)).collect();
            if !try_log(kept, &mut best) {
                from += size;
            }
        }
        size = if size == 1 { 0 } else { size.div_ceil(2) };
    }
    let places: Vec<Place> = best.log.keys().cloned().collect();
    for place in places {
        let Some((fault, degree)) = best.log.get(&place).and_then(|number| Fault::of(*number)) else { continue };
        for smaller in 0..degree {
            let mut log = best.log.clone();
            log.insert(place.clone(), fault.number(smaller));
            if try_log(log, &mut best) {
                break;
            }
        }
    }
    Shrunk { outcome: best, plays }
}
