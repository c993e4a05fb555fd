//! Compares two transcripts field by field, and knows which differences are accepted.

use std::fmt;

use serde_json::Value;

use crate::transcript::{Entry, Transcript};

/// One place in which the embedded cluster answers otherwise than the recorded one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Difference {
    /// The script's name.
    pub script: String,
    /// The call as the script writes it, with its place among the entries from 1.
    pub call: String,
    /// Where in the answer: `status`, `header Warning`, or a path into the body.
    pub path: String,
    /// What the real API server answered; `nothing` where it has no such field.
    pub recorded: String,
    /// What was answered now.
    pub answered: String,
}

impl fmt::Display for Difference {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            formatter,
            "{}: {}: {}: recorded {}, answered {}",
            self.script, self.call, self.path, self.recorded, self.answered
        )
    }
}

/// Returns every difference, in the order of the calls.
pub fn compare(script: &str, recorded: &Transcript, answered: &Transcript) -> Vec<Difference> {
    let mut differences = Vec::new();
    let count = recorded.entries.len().max(answered.entries.len());
    for index in 0..count {
        match (recorded.entries.get(index), answered.entries.get(index)) {
            (Some(recorded), Some(answered)) => {
                let call = format!("{} `{}`", index + 1, recorded.call);
                let mut found = Vec::new();
                compare_entries(recorded, answered, &mut found);
                differences.extend(found.into_iter().map(|(path, recorded, answered)| Difference {
                    script: script.to_owned(),
                    call: call.clone(),
                    path,
                    recorded,
                    answered,
                }));
            }
            (recorded, answered) => {
                let entry = recorded.or(answered);
                differences.push(Difference {
                    script: script.to_owned(),
                    call: format!("{} `{}`", index + 1, entry.map_or("", |entry| entry.call.as_str())),
                    path: "entry".to_owned(),
                    recorded: recorded.map_or("nothing", |_| "an answer").to_owned(),
                    answered: answered.map_or("nothing", |_| "an answer").to_owned(),
                });
            }
        }
    }
    differences
}

type Found = (String, String, String);

fn compare_entries(recorded: &Entry, answered: &Entry, found: &mut Vec<Found>) {
    if recorded.call != answered.call {
        found.push(("call".to_owned(), recorded.call.clone(), answered.call.clone()));
        return;
    }
    if recorded.status != answered.status {
        let shown = |status: Option<u16>| status.map_or_else(|| "nothing".to_owned(), |status| status.to_string());
        found.push(("status".to_owned(), shown(recorded.status), shown(answered.status)));
    }
    if recorded.headers != answered.headers {
        found.push(("headers".to_owned(), format!("{:?}", recorded.headers), format!("{:?}", answered.headers)));
    }
    compare_values("", Some(&recorded.body), Some(&answered.body), found);
}

fn compare_values(path: &str, recorded: Option<&Value>, answered: Option<&Value>, found: &mut Vec<Found>) {
    match (recorded, answered) {
        (Some(Value::Object(left)), Some(Value::Object(right))) => {
            let mut keys: Vec<&String> = left.keys().chain(right.keys()).collect();
            keys.sort();
            keys.dedup();
            for key in keys {
                compare_values(&format!("{path}.{key}"), left.get(key), right.get(key), found);
            }
        }
        (Some(Value::Array(left)), Some(Value::Array(right))) => {
            for index in 0..left.len().max(right.len()) {
                compare_values(&format!("{path}[{index}]"), left.get(index), right.get(index), found);
            }
        }
        (left, right) if left == right => {}
        (left, right) => found.push((path.to_owned(), shown(left), shown(right))),
    }
}

fn shown(value: Option<&Value>) -> String {
    const SHOWN_MAX: usize = 400;
    let Some(value) = value else { return "nothing".to_owned() };
    let text = value.to_string();
    match text.char_indices().nth(SHOWN_MAX) {
        Some((end, _)) => format!("{}...", text.get(..end).unwrap_or_default()),
        None => text,
    }
}

/// A difference that is accepted, with its reason.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Deviation {
    /// Which scripts, a name in which `*` stands for anything; behind a colon, which of its answers.
    pub script: String,
    /// Which paths, likewise.
    pub path: String,
    /// Why.
    pub reason: String,
}

impl Deviation {
    fn is_about(&self, difference: &Difference) -> bool {
        let (script, answer) = match self.script.split_once(':') {
            Some((script, answer)) => (script, Some(answer)),
            None => (self.script.as_str(), None),
        };
        let number = difference.call.split(' ').next();
        glob(script, &difference.script)
            && answer.is_none_or(|answer| Some(answer) == number)
            && glob(&self.path, &difference.path)
    }
}

/// All accepted differences, and how often each was met.
#[derive(Debug, Clone, Default)]
pub struct Deviations {
    list: Vec<(Deviation, usize)>,
}

/// A line that is no deviation.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: write SCRIPT PATH reason, with * for anything")]
pub struct DeviationsError {
    /// Where, from 1.
    pub line: usize,
}

impl Deviations {
    /// Reads one deviation a line: script (or script and answer, `NAME:3`), path, and the reason in words. `#` begins
    /// a comment.
    ///
    /// # Errors
    ///
    /// Names a line that lacks one of the three.
    pub fn parse(text: &str) -> Result<Self, DeviationsError> {
        let mut list = Vec::new();
        for (index, line) in text.lines().enumerate() {
            let line = line.trim();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let mut parts = line.splitn(3, char::is_whitespace);
            let (Some(script), Some(path), Some(reason)) = (parts.next(), parts.next(), parts.next()) else {
                return Err(DeviationsError { line: index + 1 });
            };
            let deviation =
                Deviation { script: script.to_owned(), path: path.to_owned(), reason: reason.trim().to_owned() };
            list.push((deviation, 0));
        }
        Ok(Self { list })
    }

    /// Says whether the difference is accepted, and counts it.
    pub fn accept(&mut self, difference: &Difference) -> bool {
        let found = self.list.iter_mut().find(|(one, _)| one.is_about(difference));
        let Some((_, count)) = found else { return false };
        *count += 1;
        true
    }

    /// Returns the deviations that no difference needed: they can be taken off the list.
    pub fn unused(&self) -> impl Iterator<Item = &Deviation> {
        self.list.iter().filter(|(_, count)| *count == 0).map(|(deviation, _)| deviation)
    }

    /// Returns how many there are.
    pub fn len(&self) -> usize {
        self.list.len()
    }

    /// Says whether there are none.
    pub fn is_empty(&self) -> bool {
        self.list.is_empty()
    }
}

/// Matches a pattern in which `*` stands for any number of characters.
fn glob(pattern: &str, text: &str) -> bool {
    let mut parts = pattern.split('*');
    let Some(mut rest) = parts.next().and_then(|first| text.strip_prefix(first)) else { return false };
    let mut parts: Vec<&str> = parts.collect();
    let Some(last) = parts.pop() else { return rest.is_empty() };
    for part in parts {
        let Some(found) = rest.find(part) else { return false };
        rest = rest.get(found + part.len()..).unwrap_or_default();
    }
    rest.ends_with(last)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn entry(body: Value) -> Transcript {
        let entry = Entry { call: "get x".to_owned(), status: Some(200), headers: Vec::new(), body, only: None };
        Transcript { entries: vec![entry] }
    }

    #[test]
    fn every_field_that_differs_is_named() {
        let recorded = entry(json!({"a": 1, "list": [{"b": 2}], "only": true}));
        let answered = entry(json!({"a": 1, "list": [{"b": 3}, 4]}));
        let shown: Vec<String> = compare("s", &recorded, &answered).iter().map(ToString::to_string).collect();
        assert_eq!(
            shown,
            [
                "s: 1 `get x`: .list[0].b: recorded 2, answered 3",
                "s: 1 `get x`: .list[1]: recorded nothing, answered 4",
                "s: 1 `get x`: .only: recorded true, answered nothing",
            ]
        );
    }

    #[test]
    fn an_accepted_difference_is_counted_and_a_stale_one_is_found() {
        let mut deviations = Deviations::parse("# why\ns:1 .list[*].b it is so\ns:2 * .never because\n").unwrap();
        let differences = compare("s", &entry(json!({"list": [{"b": 2}]})), &entry(json!({"list": [{"b": 3}]})));
        assert!(deviations.accept(&differences[0]));
        assert_eq!(deviations.unused().map(|one| one.path.as_str()).collect::<Vec<_>>(), ["*"]);
        assert_eq!(
            Deviations::parse("a b").unwrap_err().to_string(),
            "line 1: write SCRIPT PATH reason, with * for anything"
        );
    }

    #[test]
    fn a_star_stands_for_anything() {
        for (pattern, text, matches) in [
            ("*", "", true),
            ("a*c", "abc", true),
            ("a*c", "acd", false),
            ("a", "ab", false),
            ("*b*", "abc", true),
            ("a*a", "a", false),
        ] {
            assert_eq!(glob(pattern, text), matches, "{pattern} {text}");
        }
    }
}
