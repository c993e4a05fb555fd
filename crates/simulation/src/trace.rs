//! What happened in one schedule, line by line, and the hash by which two schedules are the same.

use std::fmt;

use crate::choice::Hash;

/// Most lines that are kept for people; the hash goes on.
const LINES_MAX: usize = 60_000;

/// One thing that happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    /// Milliseconds since the beginning of the play.
    pub ms: u64,
    /// Who: `a` and `b` are operators, `people`, a controller, or the world.
    pub actor: String,
    /// What was asked, and of what.
    pub what: String,
    /// What came of it.
    pub effect: String,
}

impl fmt::Display for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:>7}.{:03}  {:<10}  {}", self.ms / 1_000, self.ms % 1_000, self.actor, self.what)?;
        if !self.effect.is_empty() {
            write!(f, "  -> {}", self.effect)?;
        }
        Ok(())
    }
}

/// Lines in the order they happened.
#[derive(Debug, Clone, Default)]
pub struct Trace {
    lines: Vec<Line>,
    count: u64,
    hash: Hash,
}

impl Trace {
    /// Adds what happened.
    pub fn add(&mut self, ms: u64, actor: &str, what: &str, effect: &str) {
        self.hash.add(&ms.to_le_bytes());
        for part in [actor, what, effect] {
            self.hash.add(part.as_bytes());
            self.hash.add(b"\0");
        }
        self.count += 1;
        if self.lines.len() < LINES_MAX {
            let (actor, what, effect) = (actor.to_owned(), what.to_owned(), effect.to_owned());
            self.lines.push(Line { ms, actor, what, effect });
        }
    }

    /// The lines.
    pub fn lines(&self) -> &[Line] {
        &self.lines
    }

    /// How many things happened, kept or not.
    pub fn count(&self) -> u64 {
        self.count
    }

    /// Equal traces have equal hashes.
    pub fn hash(&self) -> u64 {
        self.hash.value()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_moment_actor_or_effect_is_another_trace() {
        let hash = |ms, actor, effect| {
            let mut trace = Trace::default();
            trace.add(ms, actor, "GET /x", effect);
            trace.hash()
        };
        let one = hash(1, "a", "200");
        assert_eq!(one, hash(1, "a", "200"));
        assert!([hash(2, "a", "200"), hash(1, "b", "200"), hash(1, "a", "500")].iter().all(|other| *other != one));
    }
}
