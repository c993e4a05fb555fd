//! A schedule as a file: its story and the choices that are not "nothing", each with its words for a reader.

use std::fmt::Write as _;

use crate::choice::{Log, Place};
use crate::fault::Fault;

/// A schedule that is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Kept {
    /// What it shows, for people.
    pub about: String,
    /// The story.
    pub story: String,
    /// The choices.
    pub log: Log,
}

/// Why a file is no schedule.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {what}; hint: `story NAME`, then `choice NUMBER NTH LABEL` lines")]
pub struct KeptError {
    line: usize,
    what: String,
}

impl Kept {
    /// Reads a file.
    ///
    /// # Errors
    /// Names the first line that is neither.
    pub fn parse(text: &str) -> Result<Self, KeptError> {
        let mut kept = Self { about: String::new(), story: String::new(), log: Log::new() };
        for (index, line) in text.lines().enumerate() {
            let fail = |what: &str| KeptError { line: index + 1, what: what.to_owned() };
            let line = line.trim();
            if let Some(words) = line.strip_prefix('#') {
                let _ = writeln!(kept.about, "{}", words.trim());
                continue;
            }
            match line.split_once(' ') {
                None if line.is_empty() => {}
                Some(("story", name)) => kept.story = name.to_owned(),
                Some(("choice", rest)) => {
                    let mut parts = rest.splitn(3, ' ');
                    let number = parts.next().and_then(|text| text.parse().ok()).ok_or_else(|| fail("no number"))?;
                    let nth = parts.next().and_then(|text| text.parse().ok()).ok_or_else(|| fail("no count"))?;
                    let label = parts.next().ok_or_else(|| fail("no label"))?;
                    let label = label.split("  # ").next().unwrap_or(label).trim_end().to_owned();
                    kept.log.insert(Place { label, nth }, number);
                }
                _ => return Err(fail("neither a story nor a choice")),
            }
        }
        if kept.story.is_empty() {
            return Err(KeptError { line: 1, what: "it names no story".to_owned() });
        }
        Ok(kept)
    }

    /// Writes the file.
    pub fn to_text(&self) -> String {
        let mut text = String::new();
        for line in self.about.lines() {
            let _ = writeln!(text, "# {line}");
        }
        let _ = writeln!(text, "story {}", self.story);
        for (place, number) in &self.log {
            let words = Fault::of(*number).map(|(fault, degree)| format!("  # {fault}, degree {degree}"));
            let _ = writeln!(text, "choice {number} {} {}{}", place.nth, place.label, words.unwrap_or_default());
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_schedule_comes_back_from_its_file() {
        let log = Log::from([
            (Place { label: "a PATCH /api/v1/namespaces/qa/services/web".to_owned(), nth: 2 }, 203),
            (Place { label: "two operators".to_owned(), nth: 1 }, 1),
        ]);
        let kept = Kept { about: "A crash.\nIn two lines.\n".to_owned(), story: "canary-istio".to_owned(), log };
        assert_eq!(Kept::parse(&kept.to_text()), Ok(kept));
    }

    #[test]
    fn a_line_that_is_no_choice_is_named() {
        for (text, words) in [
            ("story x\nchoice one 1 a", "line 2: no number"),
            ("story x\nchoice 1 1", "line 2: no label"),
            ("stories", "line 1: neither"),
            ("choice 1 1 a", "line 1: it names no story"),
        ] {
            assert!(Kept::parse(text).unwrap_err().to_string().starts_with(words), "{text}");
        }
    }
}
