//! What the first container's script says: how long it sleeps, whether and how it exits.

use std::time::Duration;

use serde_json::Value;

use crate::controllers::view::items;

/// Command and arguments of the first container, in one line.
pub(super) fn of(pod: &Value) -> String {
    let Some(first) = items(pod, "/spec/containers").first() else { return String::new() };
    let words = items(first, "/command").iter().chain(items(first, "/args"));
    words.filter_map(Value::as_str).collect::<Vec<_>>().join(" ")
}

/// The number that follows a word's first occurrence with one.
pub(super) fn number_after(script: &str, word: &str) -> Option<u64> {
    script
        .match_indices(word)
        .find_map(|(at, _)| leading_number(script.get(at + word.len()..)?).map(|(number, _)| number))
}

/// `sleep N`, `sleep Ns`, `sleep Nm`, `sleep Nh` as a word of its own.
pub(super) fn sleep(script: &str) -> Option<Duration> {
    after_word(script, "sleep ").find_map(|rest| {
        let (number, rest) = leading_number(rest)?;
        let (scale, rest) = match rest.chars().next() {
            Some('s') => (1, rest.get(1..)?),
            Some('m') => (60, rest.get(1..)?),
            Some('h') => (3600, rest.get(1..)?),
            _ => (1, rest),
        };
        let is_whole = !rest.starts_with(|c: char| c.is_ascii_digit() || c.is_ascii_lowercase());
        is_whole.then(|| Duration::from_secs(number.saturating_mul(scale)))
    })
}

/// `sleep infinity` and sleeps of days never end.
pub(super) fn is_endless(script: &str) -> bool {
    script.match_indices("sleep ").any(|(at, word)| {
        let rest = script.get(at + word.len()..).unwrap_or_default();
        rest.starts_with("infinity") || leading_number(rest).is_some_and(|(_, rest)| rest.starts_with('d'))
    })
}

/// Whether it says `exit` with any code.
pub(super) fn exits(script: &str) -> bool {
    after_word(script, "exit ").any(|rest| rest.starts_with(|c: char| c.is_ascii_digit()))
}

/// Whether it says `exit` with another code than 0.
pub(super) fn fails(script: &str) -> bool {
    after_word(script, "exit ").any(|rest| rest.starts_with(|c: char| matches!(c, '1'..='9')))
}

/// What follows a word that is not the end of a longer one.
fn after_word<'a>(script: &'a str, word: &'a str) -> impl Iterator<Item = &'a str> {
    script.match_indices(word).filter_map(move |(at, _)| {
        let before = script.get(..at)?.chars().next_back();
        if before.is_some_and(|c| c.is_ascii_lowercase()) {
            return None;
        }
        script.get(at + word.len()..)
    })
}

fn leading_number(text: &str) -> Option<(u64, &str)> {
    let end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, rest) = text.split_at_checked(end)?;
    Some((number.parse().ok()?, rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_script_says_how_long_it_sleeps() {
        for (script, seconds) in [
            ("sleep 5", Some(5)),
            ("sh -c sleep 2m; exit 1", Some(120)),
            ("sleep 1h", Some(3600)),
            ("sleep 3s && echo", Some(3)),
            ("sleep infinity", None),
            ("sleep 3days", None),
            ("nosleep 3", None),
            ("sleep", None),
        ] {
            assert_eq!(sleep(script).map(|sleep| sleep.as_secs()), seconds, "{script}");
        }
    }

    #[test]
    fn a_script_says_whether_it_ends_and_how() {
        assert!(is_endless("sleep infinity") && is_endless("sleep 365d") && !is_endless("sleep 365"));
        assert!(fails("sleep 1; exit 3") && !fails("exit 0") && !fails("noexit 1"));
        assert!(exits("exit 0") && !exits("exit"));
    }
}
