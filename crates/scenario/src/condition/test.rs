//! How a found value is compared with a wanted one.

use serde_json::Value;

/// A comparison with its wanted value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Test {
    operator: Operator,
    wanted: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Operator {
    Is,
    IsNot,
    Contains,
    Lacks,
    AtLeast,
    AtMost,
    Matches,
    Exists,
    Absent,
}

/// What the operators look like.
const OPERATORS: &str = "is, is not, contains, lacks, >=, <=, matches, exists, absent";

impl Test {
    /// Reads an operator and its value from the beginning of `words`, and returns what follows.
    pub(crate) fn parse(words: &[String]) -> Result<(Self, &[String]), String> {
        let (first, rest) = words.split_first().ok_or_else(|| format!("an operator is missing: {OPERATORS}"))?;
        let operator = match (first.as_str(), rest.first().map(String::as_str)) {
            ("exists", _) => return Ok((Self { operator: Operator::Exists, wanted: String::new() }, rest)),
            ("absent", _) => return Ok((Self { operator: Operator::Absent, wanted: String::new() }, rest)),
            ("is", Some("not")) => {
                let rest = rest.get(1..).unwrap_or_default();
                return Self::with_value(Operator::IsNot, rest);
            }
            ("is", _) => Operator::Is,
            ("contains", _) => Operator::Contains,
            ("lacks", _) => Operator::Lacks,
            (">=", _) => Operator::AtLeast,
            ("<=", _) => Operator::AtMost,
            ("matches", _) => Operator::Matches,
            (other, _) => return Err(format!("`{other}` is no operator: {OPERATORS}")),
        };
        Self::with_value(operator, rest)
    }

    fn with_value(operator: Operator, words: &[String]) -> Result<(Self, &[String]), String> {
        let (wanted, rest) = words.split_first().ok_or("a value is missing")?;
        if operator == Operator::Matches {
            regex_lite::Regex::new(wanted).map_err(|error| format!("`{wanted}` is no pattern: {error}"))?;
        }
        Ok((Self { operator, wanted: wanted.clone() }, rest))
    }

    /// The test for one value exactly.
    pub(crate) fn is(wanted: &str) -> Self {
        Self { operator: Operator::Is, wanted: wanted.to_owned() }
    }

    /// The test for a part of a text.
    pub(crate) fn contains(wanted: &str) -> Self {
        Self { operator: Operator::Contains, wanted: wanted.to_owned() }
    }

    /// Whether a value passes; nothing found passes only what asks for nothing.
    pub(crate) fn holds(&self, found: Option<&str>) -> bool {
        let Some(found) = found else {
            return matches!(self.operator, Operator::Absent | Operator::IsNot | Operator::Lacks);
        };
        match self.operator {
            Operator::Exists => true,
            Operator::Absent => false,
            Operator::Is => found == self.wanted,
            Operator::IsNot => found != self.wanted,
            Operator::Contains => found.contains(&self.wanted),
            Operator::Lacks => !found.contains(&self.wanted),
            Operator::AtLeast => self.compare(found, |found, wanted| found >= wanted),
            Operator::AtMost => self.compare(found, |found, wanted| found <= wanted),
            Operator::Matches => regex_lite::Regex::new(&self.wanted).is_ok_and(|pattern| pattern.is_match(found)),
        }
    }

    fn compare(&self, found: &str, compare: impl Fn(f64, f64) -> bool) -> bool {
        match (found.parse(), self.wanted.parse()) {
            (Ok(found), Ok(wanted)) => compare(found, wanted),
            _ => false,
        }
    }
}

/// A value as text: a string without quotes, everything else as JSON.
pub(crate) fn text_of(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn test(text: &str) -> Test {
        let words: Vec<String> = text.split(' ').map(str::to_owned).collect();
        let (test, rest) = Test::parse(&words).unwrap();
        assert!(rest.is_empty());
        test
    }

    #[test]
    fn each_operator_says_yes_and_no() {
        for (text, yes, no) in [
            ("is a", Some("a"), Some("ab")),
            ("is not a", Some("b"), Some("a")),
            ("is not a", None, Some("a")),
            ("contains a", Some("cab"), Some("b")),
            ("lacks a", Some("b"), Some("cab")),
            ("lacks a", None, Some("cab")),
            (">= 2", Some("10"), Some("1")),
            (">= 2", Some("2"), None),
            ("<= 2", Some("2"), Some("2.5")),
            ("matches ^v[0-9]$", Some("v2"), Some("v2-rc")),
            ("exists", Some(""), None),
            ("absent", None, Some("")),
        ] {
            assert!(test(text).holds(yes), "{text} {yes:?}");
            assert!(!test(text).holds(no), "{text} {no:?}");
        }
    }

    #[test]
    fn what_is_no_test_is_refused() {
        let words = |text: &str| text.split(' ').map(str::to_owned).collect::<Vec<_>>();
        assert_eq!(Test::parse(&[]).unwrap_err(), format!("an operator is missing: {OPERATORS}"));
        assert_eq!(Test::parse(&words("equals 3")).unwrap_err(), format!("`equals` is no operator: {OPERATORS}"));
        assert_eq!(Test::parse(&words("is")).unwrap_err(), "a value is missing");
        assert!(Test::parse(&words("matches (")).unwrap_err().starts_with("`(` is no pattern"));
    }
}
