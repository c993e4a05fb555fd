//! The one source of chance: a decision has a label, and its number is drawn from the seed and the label, or looked up.
//!
//! A number is a function of seed, label and how often the label was met, never of the order of other decisions. So a log
//! of the few numbers that are not 0 is the whole schedule: taking one out leaves all others what they were.

use std::collections::BTreeMap;

/// Where a number was drawn: the label, and the how-manieth time it was met, from 1.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Place {
    /// What was decided.
    pub label: String,
    /// The how-manieth decision under this label.
    pub nth: u32,
}

/// The numbers of a schedule that are not 0; 0 is always "nothing happens".
pub type Log = BTreeMap<Place, u64>;

/// Most faults of one schedule: a world in which nothing ever works proves nothing.
const TAKEN_MAX: usize = 60;

#[derive(Debug, Clone)]
enum Source {
    Seed(u64),
    Log(Log),
}

/// Draws or looks up the numbers of one schedule and keeps those that are not 0.
#[derive(Debug, Clone)]
pub struct Choices {
    source: Source,
    met: BTreeMap<String, u32>,
    taken: Log,
    is_over: bool,
}

impl Choices {
    /// Numbers from a seed.
    pub fn of_seed(seed: u64) -> Self {
        Self { source: Source::Seed(seed), met: BTreeMap::new(), taken: Log::new(), is_over: false }
    }

    /// Numbers from a log.
    pub fn of_log(log: Log) -> Self {
        Self { source: Source::Log(log), met: BTreeMap::new(), taken: Log::new(), is_over: false }
    }

    /// Decides: `pick` turns a random number into a choice, 0 being nothing.
    pub fn take(&mut self, label: &str, pick: impl FnOnce(u64) -> u64) -> u64 {
        if self.is_over {
            return 0;
        }
        let met = match self.met.get_mut(label) {
            Some(met) => {
                *met += 1;
                *met
            }
            None => {
                self.met.insert(label.to_owned(), 1);
                1
            }
        };
        let place = || Place { label: label.to_owned(), nth: met };
        let value = match &self.source {
            Source::Seed(_) if self.taken.len() >= TAKEN_MAX => 0,
            Source::Seed(seed) => pick(draw(*seed, label, met)),
            Source::Log(log) => log.get(&place()).copied().unwrap_or(0),
        };
        if value != 0 {
            self.taken.insert(place(), value);
        }
        value
    }

    /// From here on every choice is 0.
    pub fn end(&mut self) {
        self.is_over = true;
    }

    /// Whether every choice is 0 from here on.
    pub fn is_over(&self) -> bool {
        self.is_over
    }

    /// What was chosen so far.
    pub fn taken(&self) -> &Log {
        &self.taken
    }
}

/// A number that follows from seed, label and count alone, the same on every machine.
pub fn draw(seed: u64, label: &str, nth: u32) -> u64 {
    let mut hash = Hash::default();
    hash.add(&seed.to_le_bytes());
    hash.add(label.as_bytes());
    hash.add(&nth.to_le_bytes());
    mix(hash.value())
}

/// The next state of a sequence and its number (splitmix64).
pub fn next(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    mix(*state)
}

fn mix(mut value: u64) -> u64 {
    value = (value ^ (value >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    value = (value ^ (value >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    value ^ (value >> 31)
}

/// A running FNV-1a hash of 64 bits: the same in every build.
#[derive(Debug, Clone, Copy)]
pub struct Hash(u64);

impl Default for Hash {
    fn default() -> Self {
        Self(0xcbf2_9ce4_8422_2325)
    }
}

impl Hash {
    /// Takes bytes in.
    pub fn add(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = (self.0 ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
        }
    }

    /// The hash so far.
    pub fn value(self) -> u64 {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_follows_from_seed_label_and_count_and_not_from_other_decisions() {
        let mut one = Choices::of_seed(7);
        let first = one.take("a", |random| random);
        let mut two = Choices::of_seed(7);
        two.take("b", |random| random);
        assert_eq!(two.take("a", |random| random), first);
        assert_ne!(two.take("a", |random| random), first, "the second time is another number");
        assert_ne!(Choices::of_seed(8).take("a", |random| random), first);
    }

    #[test]
    fn what_was_taken_is_the_schedule() {
        let mut drawn = Choices::of_seed(7);
        let numbers: Vec<u64> = (0..20).map(|n| drawn.take(&format!("x{}", n % 3), |random| random % 3)).collect();
        let mut again = Choices::of_log(drawn.taken().clone());
        assert_eq!(numbers, (0..20).map(|n| again.take(&format!("x{}", n % 3), |_| 9)).collect::<Vec<_>>());
        assert_eq!(again.taken(), drawn.taken());
    }

    #[test]
    fn after_the_end_nothing_happens_any_more() {
        let mut choices = Choices::of_seed(7);
        choices.end();
        assert_eq!(choices.take("a", |_| 5), 0);
        assert!(choices.taken().is_empty());
    }
}
