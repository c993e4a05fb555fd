//! Deterministic shares: sequences that follow a share closely over every short stretch, from a seeded phase.

use std::collections::BTreeMap;

/// One part in a choice; shares are kept as integers so that every machine chooses alike.
const WHOLE: i64 = 1 << 20;

/// A 64-bit mix of the seed and a name (FNV-1a, then a finaliser), so that each sequence has a phase of its own.
pub(crate) fn phase(seed: u64, name: &str) -> u64 {
    let mut hash = 0xcbf2_9ce4_8422_2325_u64 ^ seed.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    for byte in name.bytes() {
        hash = (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3);
    }
    hash = (hash ^ (hash >> 33)).wrapping_mul(0xff51_afd7_ed55_8ccd);
    hash ^ (hash >> 33)
}

/// The phase as a number from 0 up to, not including, 1.
pub(crate) fn unit_phase(seed: u64, name: &str) -> f64 {
    // 53 bits are what a double holds exactly.
    (phase(seed, name) >> 11) as f64 / (1_u64 << 53) as f64
}

/// Chooses among weighted destinations: each gains its share at every choice, the one with most credit is taken and
/// pays the whole. Over any run the count of a destination is within one of its share.
#[derive(Debug, Clone, Default)]
pub(crate) struct Weighted {
    credit: BTreeMap<String, i64>,
}

impl Weighted {
    /// Returns the index of the chosen entry; `None` when all weights are zero.
    pub(crate) fn choose<'a>(
        &mut self,
        seed: u64,
        entries: impl Iterator<Item = (&'a str, u64)> + Clone,
    ) -> Option<usize> {
        let total: u64 = entries.clone().map(|(_, weight)| weight).sum();
        if total == 0 {
            return None;
        }
        let mut best: Option<(usize, &str, i64)> = None;
        let mut given = 0;
        for (index, (key, weight)) in entries.enumerate().filter(|(_, (_, weight))| *weight > 0) {
            let share = share_of(weight, total);
            given += share;
            let credit = match self.credit.get_mut(key) {
                Some(credit) => credit,
                None => self.credit.entry(key.to_owned()).or_insert_with(|| start(seed, key, share)),
            };
            *credit += share;
            if best.is_none_or(|(_, _, most)| *credit > most) {
                best = Some((index, key, *credit));
            }
        }
        let (index, key, _) = best?;
        if let Some(credit) = self.credit.get_mut(key) {
            *credit -= given;
        }
        Some(index)
    }
}

fn share_of(weight: u64, total: u64) -> i64 {
    let scaled = u128::from(weight) * u128::from(WHOLE.unsigned_abs()) / u128::from(total);
    i64::try_from(scaled).unwrap_or(WHOLE)
}

/// A seeded head start below the destination's own share: it moves which requests are taken, not how many.
fn start(seed: u64, key: &str, share: i64) -> i64 {
    if share >= WHOLE {
        return 0;
    }
    i64::try_from(phase(seed, key) % WHOLE.unsigned_abs()).unwrap_or(0) * share / WHOLE
}

/// Answers "does this one happen?" so that a rate is followed evenly: at 0.1 it is every tenth time.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Rate {
    sum: f64,
}

impl Rate {
    pub(crate) fn new(seed: u64, name: &str) -> Self {
        Self { sum: unit_phase(seed, name) }
    }

    pub(crate) fn happens(&mut self, rate: f64) -> bool {
        self.sum += rate;
        // The small term keeps ten times 0.1 from falling short of one by rounding.
        if self.sum + 1e-9 < 1.0 {
            return false;
        }
        self.sum -= 1.0;
        true
    }
}

/// Numbers spread evenly over 0 to 1 (golden ratio steps), for latencies.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Spread {
    at: f64,
}

impl Spread {
    pub(crate) fn new(seed: u64, name: &str) -> Self {
        Self { at: unit_phase(seed, name) }
    }

    pub(crate) fn next(&mut self) -> f64 {
        self.at = (self.at + 0.618_033_988_749_894_9).fract();
        self.at
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counts(seed: u64, weights: &[(&str, u64)], requests: usize) -> Vec<usize> {
        let mut weighted = Weighted::default();
        let mut counts = vec![0; weights.len()];
        for _ in 0..requests {
            counts[weighted.choose(seed, weights.iter().copied()).unwrap()] += 1;
        }
        counts
    }

    #[test]
    fn every_prefix_of_a_weighted_choice_is_within_one_of_its_share() {
        for seed in 0..50 {
            for canary in [1, 5, 20, 33, 50, 80, 99] {
                for requests in [1, 10, 37, 100, 1000] {
                    let count = counts(seed, &[("stable", 100 - canary), ("canary", canary)], requests)[1] as f64;
                    let want = canary as f64 * requests as f64 / 100.0;
                    assert!(
                        (count - want).abs() <= 1.01,
                        "seed {seed}, weight {canary}, {requests}: {count} of {want}"
                    );
                }
            }
        }
    }

    #[test]
    fn seeds_differ_in_which_requests_are_taken() {
        let first = |seed| {
            let mut weighted = Weighted::default();
            (0..20)
                .map(|_| weighted.choose(seed, [("stable", 80), ("canary", 20)].into_iter()).unwrap())
                .collect::<Vec<_>>()
        };
        assert_eq!(first(1), first(1));
        assert!((0..20).any(|seed| first(seed) != first(1)));
    }

    #[test]
    fn weights_of_zero_choose_nothing() {
        assert_eq!(Weighted::default().choose(1, [("a", 0)].into_iter()), None);
        assert_eq!(counts(7, &[("a", 0), ("b", 1)], 10), [0, 10]);
    }

    #[test]
    fn a_rate_of_a_tenth_is_every_tenth_time() {
        for seed in 0..20 {
            let mut rate = Rate::new(seed, "x");
            let hits: Vec<usize> = (0..1000).filter(|_| rate.happens(0.1)).collect();
            assert_eq!(hits.len(), 100);
            assert!(hits.windows(2).all(|pair| pair[1] - pair[0] == 10), "{hits:?}");
        }
    }
}
