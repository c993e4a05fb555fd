//! The pure model: decisions over generated Rollouts and what happens to them, without HTTP, tasks or a server.
//!
//! A schedule makes a Rollout with a random strategy, and then lets chance take turns: a decision of which only a part is
//! carried out (a crash after any prefix), pods that become available or lose it, analyses that succeed or fail, people who change the image, abort,
//! retry or promote, and time. After every write the rules about weights and pods are judged here once more, apart from
//! the engine and from its second opinion; at the end everything must come to rest.

mod runs;
mod world;

use std::ops::Range;

use crate::choice::{Hash, next};
use world::World;

/// What a range of seeds came to.
#[derive(Debug, Clone, Default)]
pub struct ModelTally {
    /// Schedules played.
    pub schedules: u64,
    /// Decisions in all of them.
    pub decisions: u64,
    /// Sum of the hashes of their logs: the same for the same code.
    pub digest: u64,
    /// Seeds that broke a rule, with what it was.
    pub broken: Vec<(u64, String)>,
}

/// Turns before the calm.
const TURNS: u64 = 24;
/// Decisions after which the calm must have come to rest.
const REST_MAX: u32 = 400;

/// Plays seeds one after the other.
pub fn seeds(range: Range<u64>, is_over: &dyn Fn() -> bool) -> ModelTally {
    let mut tally = ModelTally::default();
    for seed in range {
        if is_over() {
            break;
        }
        tally.schedules += 1;
        match play(seed) {
            Ok((decisions, hash)) => {
                tally.decisions += decisions;
                tally.digest = tally.digest.wrapping_add(hash);
            }
            Err(what) => tally.broken.push((seed, what)),
        }
    }
    tally
}

/// Plays one seed; returns how many decisions were made and the hash of what was written.
///
/// # Errors
/// Says which rule was broken.
pub fn play(seed: u64) -> Result<(u64, u64), String> {
    let mut state = seed ^ 0x5eed_5eed_5eed_5eed;
    let mut world = World::new(&mut state);
    for _ in 0..TURNS {
        let random = next(&mut state);
        match random % 10 {
            0 => world.person(next(&mut state)),
            1 => world.pods_fail(next(&mut state)),
            2 => world.pods_come(),
            3 => {
                world.pods_come();
                world.runs_end(next(&mut state));
            }
            4 => world.time(1 + next(&mut state) % 9),
            _ => world.decide_some(next(&mut state))?,
        }
    }
    world.calm();
    let mut rests = 0;
    for _ in 0..REST_MAX {
        world.pods_come();
        // From here on whatever is measured is good.
        world.runs_end(0o1111111111111111111);
        if world.decide_all()? {
            rests = 0;
        } else {
            rests += 1;
            // Pauses and delays need time; a pause without an end needs a person.
            world.time(7);
            world.go_on();
        }
        if rests >= 12 {
            let mut hash = Hash::default();
            hash.add(world.log.as_bytes());
            return world.is_at_its_end().map(|()| (world.decisions, hash.value()));
        }
    }
    Err(format!("it does not come to rest:\n{}", world.tail()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_seed_is_the_same_schedule() {
        for seed in 0..20 {
            assert_eq!(play(seed), play(seed), "seed {seed}");
        }
    }
}
