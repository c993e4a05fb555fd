//! The JSONPath of kubectl and web metrics: `{$.a.b[0]}`, slices, wildcards, descent and simple filters.

use std::cmp::Ordering;

use serde_json::Value as Json;

/// The most values that a path may lead through.
const VALUES_MAX: usize = 10_000;

/// Why a path can't be read or followed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum JsonPathError {
    #[error("JSONPath `{path}`: {reason} at {at}")]
    Syntax { path: String, reason: &'static str, at: usize },
    #[error("{name} is not found")]
    NotFound { name: String },
    #[error("array index out of bounds: index {index}, length {length}")]
    OutOfBounds { index: i64, length: usize },
    #[error("the path leads through more than {VALUES_MAX} values")]
    TooMany,
}

#[derive(Debug, Clone, PartialEq)]
enum Step {
    Field(String),
    Wildcard,
    Descent,
    Index(i64),
    Slice(Option<i64>, Option<i64>, Option<i64>),
    Union(Vec<Step>),
    Filter { path: Vec<Step>, comparison: Option<(Comparison, Json)> },
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Comparison {
    Equal,
    NotEqual,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

/// A parsed path.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct JsonPath {
    steps: Vec<Step>,
}

impl JsonPath {
    /// Reads `{...}`, or the same without its braces.
    pub(super) fn parse(path: &str) -> Result<Self, JsonPathError> {
        let inner = path.strip_prefix('{').and_then(|rest| rest.strip_suffix('}')).unwrap_or(path);
        let mut reader = Reader { path, text: inner, at: 0 };
        if reader.text.starts_with('$') || reader.text.starts_with('@') {
            reader.at = 1;
        }
        let steps = reader.steps()?;
        Ok(Self { steps })
    }

    /// The first value that the path leads to.
    pub(super) fn first<'a>(&self, json: &'a Json) -> Result<Option<&'a Json>, JsonPathError> {
        Ok(follow(&self.steps, vec![json])?.first().copied())
    }
}

struct Reader<'a> {
    path: &'a str,
    text: &'a str,
    at: usize,
}

impl Reader<'_> {
    fn rest(&self) -> &str {
        self.text.get(self.at..).unwrap_or_default()
    }

    fn fail(&self, reason: &'static str) -> JsonPathError {
        JsonPathError::Syntax { path: self.path.to_owned(), reason, at: self.at }
    }

    fn steps(&mut self) -> Result<Vec<Step>, JsonPathError> {
        let mut steps = Vec::new();
        while !self.rest().is_empty() {
            if self.rest().starts_with("..") {
                self.at += 2;
                steps.push(Step::Descent);
                if !self.rest().starts_with('[') && !self.rest().is_empty() {
                    steps.push(self.field()?);
                }
            } else if self.rest().starts_with('.') {
                self.at += 1;
                if !self.rest().is_empty() {
                    steps.push(self.field()?);
                }
            } else if self.rest().starts_with('[') {
                steps.push(self.bracket()?);
            } else if steps.is_empty() {
                steps.push(self.field()?);
            } else {
                return Err(self.fail("unexpected character"));
            }
        }
        Ok(steps)
    }

    fn field(&mut self) -> Result<Step, JsonPathError> {
        let mut name = String::new();
        let mut length = 0;
        let mut characters = self.rest().chars();
        while let Some(c) = characters.next() {
            match c {
                '.' | '[' => break,
                '\\' => {
                    length += 1;
                    let Some(escaped) = characters.next() else { break };
                    length += escaped.len_utf8();
                    name.push(escaped);
                }
                _ => {
                    length += c.len_utf8();
                    name.push(c);
                }
            }
        }
        if name.is_empty() {
            return Err(self.fail("expected a field name"));
        }
        self.at += length;
        Ok(if name == "*" { Step::Wildcard } else { Step::Field(name) })
    }

    fn bracket(&mut self) -> Result<Step, JsonPathError> {
        let rest = self.rest();
        let (mut depth, mut quote, mut end) = (0, None, None);
        for (index, c) in rest.char_indices() {
            match (quote, c) {
                (Some(open), c) if c == open => quote = None,
                (Some(_), _) => {}
                (None, '\'' | '"') => quote = Some(c),
                (None, '[') => depth += 1,
                (None, ']') => {
                    depth -= 1;
                    if depth == 0 {
                        end = Some(index);
                        break;
                    }
                }
                _ => {}
            }
        }
        let Some(end) = end else { return Err(self.fail("unterminated array")) };
        let inner = rest.get(1..end).unwrap_or_default().trim().to_owned();
        let step = self.inside(&inner)?;
        self.at += end + 1;
        Ok(step)
    }

    fn inside(&self, inner: &str) -> Result<Step, JsonPathError> {
        if inner == "*" {
            return Ok(Step::Wildcard);
        }
        if let Some(filter) = inner.strip_prefix("?(").and_then(|rest| rest.strip_suffix(')')) {
            return self.filter(filter.trim());
        }
        if inner.contains(',') {
            let parts = inner.split(',').map(|part| self.inside(part.trim())).collect::<Result<_, _>>()?;
            return Ok(Step::Union(parts));
        }
        if let Some(name) = unquoted(inner) {
            return Ok(Step::Field(name.to_owned()));
        }
        let number = |text: &str| -> Result<Option<i64>, JsonPathError> {
            if text.is_empty() {
                Ok(None)
            } else {
                text.parse().map(Some).map_err(|_| self.fail("invalid array index"))
            }
        };
        let mut parts = inner.split(':');
        let (from, to, step) = (parts.next().unwrap_or_default(), parts.next(), parts.next());
        match (to, parts.next()) {
            (_, Some(_)) => Err(self.fail("invalid array index")),
            (None, None) => number(from)?.map(Step::Index).ok_or_else(|| self.fail("invalid array index")),
            (Some(to), None) => Ok(Step::Slice(number(from)?, number(to)?, number(step.unwrap_or_default())?)),
        }
    }

    fn filter(&self, filter: &str) -> Result<Step, JsonPathError> {
        const OPERATORS: [(&str, Comparison); 6] = [
            ("==", Comparison::Equal),
            ("!=", Comparison::NotEqual),
            ("<=", Comparison::LessOrEqual),
            (">=", Comparison::GreaterOrEqual),
            ("<", Comparison::Less),
            (">", Comparison::Greater),
        ];
        let found = OPERATORS.iter().find_map(|(symbol, comparison)| Some((filter.split_once(symbol)?, *comparison)));
        let (left, comparison) = match found {
            None => (filter, None),
            Some(((left, right), comparison)) => {
                let right = right.trim();
                let value = match unquoted(right) {
                    Some(text) => Json::String(text.to_owned()),
                    None => serde_json::from_str(right).map_err(|_| self.fail("unrecognized value in filter"))?,
                };
                (left.trim(), Some((comparison, value)))
            }
        };
        let left = left.strip_prefix('@').ok_or_else(|| self.fail("a filter must begin with @"))?;
        let path = Reader { path: self.path, text: left, at: 0 }.steps()?;
        if path.iter().any(|step| matches!(step, Step::Filter { .. })) {
            return Err(self.fail("a filter may not hold a filter"));
        }
        Ok(Step::Filter { path, comparison })
    }
}

fn unquoted(text: &str) -> Option<&str> {
    ['\'', '"'].into_iter().find_map(|quote| text.strip_prefix(quote)?.strip_suffix(quote))
}

fn follow<'a>(steps: &[Step], mut values: Vec<&'a Json>) -> Result<Vec<&'a Json>, JsonPathError> {
    for step in steps {
        let mut next = Vec::new();
        for value in values {
            take(step, value, &mut next)?;
            if next.len() > VALUES_MAX {
                return Err(JsonPathError::TooMany);
            }
        }
        if let (Step::Field(name), true) = (step, next.is_empty()) {
            return Err(JsonPathError::NotFound { name: name.clone() });
        }
        values = next;
    }
    Ok(values)
}

fn take<'a>(step: &Step, value: &'a Json, next: &mut Vec<&'a Json>) -> Result<(), JsonPathError> {
    match step {
        Step::Field(name) => next.extend(value.get(name)),
        Step::Wildcard => children(value, next),
        Step::Descent => {
            let mut waiting = vec![value];
            while let Some(value) = waiting.pop() {
                if next.len() > VALUES_MAX {
                    return Err(JsonPathError::TooMany);
                }
                next.push(value);
                let from = waiting.len();
                children(value, &mut waiting);
                if let Some(added) = waiting.get_mut(from..) {
                    added.reverse();
                }
            }
        }
        Step::Index(index) => {
            let Json::Array(items) = value else { return Ok(()) };
            let length = i64::try_from(items.len()).unwrap_or(i64::MAX);
            let from_start = if *index < 0 { length.saturating_add(*index) } else { *index };
            let item = usize::try_from(from_start).ok().and_then(|at| items.get(at));
            next.push(item.ok_or(JsonPathError::OutOfBounds { index: *index, length: items.len() })?);
        }
        Step::Slice(from, to, every) => {
            let Json::Array(items) = value else { return Ok(()) };
            let length = i64::try_from(items.len()).unwrap_or(i64::MAX);
            let bound = |bound: i64| if bound < 0 { length.saturating_add(bound).max(0) } else { bound.min(length) };
            let start = usize::try_from(from.map_or(0, bound)).unwrap_or(0);
            let end = usize::try_from(to.map_or(length, bound)).unwrap_or(0);
            let every = usize::try_from(every.unwrap_or(1)).unwrap_or(1).max(1);
            next.extend(items.iter().take(end).skip(start).step_by(every));
        }
        Step::Union(parts) => {
            for part in parts {
                take(part, value, next)?;
            }
        }
        Step::Filter { path, comparison } => {
            let mut items = Vec::new();
            children(value, &mut items);
            next.extend(items.into_iter().filter(|item| passes(item, path, comparison.as_ref())));
        }
    }
    Ok(())
}

fn children<'a>(value: &'a Json, into: &mut Vec<&'a Json>) {
    match value {
        Json::Array(items) => into.extend(items),
        Json::Object(map) => into.extend(map.values()),
        _ => {}
    }
}

fn passes(item: &Json, path: &[Step], comparison: Option<&(Comparison, Json)>) -> bool {
    let found = follow(path, vec![item]).ok().and_then(|values| values.first().copied());
    let (Some(found), Some((comparison, wanted))) = (found, comparison) else { return found.is_some() };
    let ordering = match (found, wanted) {
        (Json::Number(a), Json::Number(b)) => a.as_f64().partial_cmp(&b.as_f64()),
        (Json::String(a), Json::String(b)) => Some(a.cmp(b)),
        (a, b) if a == b => Some(Ordering::Equal),
        _ => None,
    };
    match comparison {
        Comparison::Equal => ordering == Some(Ordering::Equal),
        Comparison::NotEqual => ordering != Some(Ordering::Equal),
        Comparison::Less => ordering == Some(Ordering::Less),
        Comparison::LessOrEqual => ordering.is_some_and(Ordering::is_le),
        Comparison::Greater => ordering == Some(Ordering::Greater),
        Comparison::GreaterOrEqual => ordering.is_some_and(Ordering::is_ge),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn at(path: &str) -> String {
        let json = json!({
            "a": {"b.c": 1, "list": [10, 20, 30]},
            "items": [{"kind": "x", "n": 1}, {"kind": "y", "n": 2, "deep": {"n": 9}}],
        });
        match JsonPath::parse(path).and_then(|parsed| parsed.first(&json).map(|found| found.cloned())) {
            Ok(found) => found.map_or_else(|| "nothing".to_owned(), |value| value.to_string()),
            Err(error) => error.to_string(),
        }
    }

    #[test]
    fn paths_lead_where_kubectl_leads() {
        for (path, value) in [
            ("{.a.list[0]}", "10"),
            ("{$.a.list[-1]}", "30"),
            ("a.list[1:]", "20"),
            ("{.a.list[::2]}", "10"),
            ("{.a['b.c']}", "1"),
            (r"{.a.b\.c}", "1"),
            ("{.items[?(@.kind==\"y\")].n}", "2"),
            ("{.items[?(@.n>1)].kind}", "\"y\""),
            ("{.items[?(@.deep)].n}", "2"),
            ("{.items[*].n}", "1"),
            ("{.items[0,1].kind}", "\"x\""),
            ("{..deep.n}", "9"),
            ("{.a.list[9]}", "array index out of bounds: index 9, length 3"),
            ("{.a.none}", "none is not found"),
            ("{.items[?(@.n>5)]}", "nothing"),
            ("{.a[x]}", "JSONPath `{.a[x]}`: invalid array index at 2"),
        ] {
            assert_eq!(at(path), value, "{path}");
        }
    }
}
