//! The ledger of seed ranges: what was played on which commit, and what came of it.

use std::fmt::Write as _;

/// One line of the ledger.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// The story.
    pub story: String,
    /// The seeds, from and to.
    pub from: u64,
    /// The seed after the last one.
    pub to: u64,
    /// The commit of the code.
    pub commit: String,
    /// Schedules played.
    pub schedules: u64,
    /// Different traces.
    pub distinct: u64,
    /// Those of them with a fault that hit a write.
    pub hit: u64,
    /// Schedules that broke a rule.
    pub broken: u64,
}

/// What the first line of a ledger says.
pub const HEAD: &str = "story from to commit schedules distinct with-a-write-hit broken";

impl Entry {
    /// The line.
    pub fn to_line(&self) -> String {
        let mut line = String::new();
        let Self { story, from, to, commit, schedules, distinct, hit, broken } = self;
        let _ = write!(line, "{story} {from} {to} {commit} {schedules} {distinct} {hit} {broken}");
        line
    }

    /// Reads a line; nothing for the head and for lines that are none.
    pub fn parse(line: &str) -> Option<Self> {
        let mut parts = line.split_whitespace();
        let story = parts.next()?.to_owned();
        let number = |parts: &mut std::str::SplitWhitespace<'_>| parts.next()?.parse().ok();
        let (from, to) = (number(&mut parts)?, number(&mut parts)?);
        let commit = parts.next()?.to_owned();
        let counts = [number(&mut parts)?, number(&mut parts)?, number(&mut parts)?, number(&mut parts)?];
        let [schedules, distinct, hit, broken] = counts;
        Some(Self { story, from, to, commit, schedules, distinct, hit, broken })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_comes_back() {
        let line = "canary-istio 0 100 abc 100 99 80 0";
        assert_eq!(Entry::parse(line).map(|entry| entry.to_line()).as_deref(), Some(line));
        assert_eq!(Entry::parse(HEAD), None);
    }
}
