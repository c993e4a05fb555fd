//! Lua's patterns, with a budget: the interpreter's own matcher can't be interrupted, and some patterns take for ever.

/// How deep a match may nest.
const DEPTH_MAX: u32 = 200;
/// Most captures of a pattern.
const CAPTURES_MAX: usize = 32;

/// Why a pattern can't be matched.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum PatternError {
    /// It is not one, with the reason.
    Malformed(&'static str),
    /// It took too many steps.
    Spent,
}

type Outcome<T> = Result<T, PatternError>;

/// One capture of a match.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Capture {
    /// The bytes from here to there.
    Text(usize, usize),
    /// A place, counted from 0.
    Position(usize),
    /// It is not closed yet.
    Open(usize),
}

/// A match: where it begins and ends, and what it captured.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Match {
    pub(super) start: usize,
    pub(super) end: usize,
    pub(super) captures: Vec<Capture>,
}

/// Finds the first match at or after a place.
pub(super) fn find(text: &[u8], pattern: &[u8], from: usize, spend: &dyn Fn(u64) -> bool) -> Outcome<Option<Match>> {
    let (is_anchored, body) = match pattern.split_first() {
        Some((b'^', rest)) => (true, rest),
        _ => (false, pattern),
    };
    let mut start = from;
    loop {
        let mut matcher = Matcher { text, pattern: body, captures: Vec::new(), depth: 0, spend };
        if let Some(end) = matcher.run(start, 0)? {
            return Ok(Some(Match { start, end, captures: matcher.captures }));
        }
        start += 1;
        if is_anchored || start > text.len() {
            return Ok(None);
        }
    }
}

struct Matcher<'a> {
    text: &'a [u8],
    pattern: &'a [u8],
    captures: Vec<Capture>,
    depth: u32,
    spend: &'a dyn Fn(u64) -> bool,
}

impl Matcher<'_> {
    fn step(&self) -> Outcome<()> {
        if (self.spend)(1) { Ok(()) } else { Err(PatternError::Spent) }
    }

    /// Matches the pattern from `at` against the text from `place`; returns where the match ends.
    fn run(&mut self, place: usize, at: usize) -> Outcome<Option<usize>> {
        self.depth += 1;
        if self.depth > DEPTH_MAX {
            return Err(PatternError::Malformed("pattern too complex"));
        }
        let outcome = self.run_from(place, at);
        self.depth -= 1;
        outcome
    }

    fn run_from(&mut self, mut place: usize, mut at: usize) -> Outcome<Option<usize>> {
        loop {
            self.step()?;
            let Some(&first) = self.pattern.get(at) else { return Ok(Some(place)) };
            match first {
                b'(' if self.pattern.get(at + 1) == Some(&b')') => {
                    return self.capture(Capture::Position(place), place, at + 2);
                }
                b'(' => return self.capture(Capture::Open(place), place, at + 1),
                b')' => return self.close(place, at + 1),
                b'$' if at + 1 == self.pattern.len() => return Ok((place == self.text.len()).then_some(place)),
                b'%' if self.pattern.get(at + 1) == Some(&b'b') => match self.balanced(place, at + 2)? {
                    Some(end) => (place, at) = (end, at + 4),
                    None => return Ok(None),
                },
                b'%' if self.pattern.get(at + 1) == Some(&b'f') => match self.frontier(place, at + 2)? {
                    Some(next) => at = next,
                    None => return Ok(None),
                },
                b'%' if self.pattern.get(at + 1).is_some_and(u8::is_ascii_digit) => {
                    match self.back_reference(place, at + 1)? {
                        Some(end) => (place, at) = (end, at + 2),
                        None => return Ok(None),
                    }
                }
                _ => {
                    let next = self.class_end(at)?;
                    match self.pattern.get(next) {
                        Some(b'?') => {
                            if self.is_single(place, at, next)
                                && let Some(end) = self.run(place + 1, next + 1)?
                            {
                                return Ok(Some(end));
                            }
                            at = next + 1;
                        }
                        Some(b'*') => return self.longest(place, at, next, 0),
                        Some(b'+') => return self.longest(place, at, next, 1),
                        Some(b'-') => return self.shortest(place, at, next),
                        _ if self.is_single(place, at, next) => (place, at) = (place + 1, next),
                        _ => return Ok(None),
                    }
                }
            }
        }
    }

    /// As many as there are, then fewer, until the rest fits too.
    fn longest(&mut self, place: usize, at: usize, next: usize, least: usize) -> Outcome<Option<usize>> {
        let mut count = 0;
        while self.is_single(place + count, at, next) {
            self.step()?;
            count += 1;
        }
        while count >= least {
            if let Some(end) = self.run(place + count, next + 1)? {
                return Ok(Some(end));
            }
            match count.checked_sub(1) {
                Some(fewer) => count = fewer,
                None => return Ok(None),
            }
        }
        Ok(None)
    }

    fn shortest(&mut self, mut place: usize, at: usize, next: usize) -> Outcome<Option<usize>> {
        loop {
            if let Some(end) = self.run(place, next + 1)? {
                return Ok(Some(end));
            }
            if !self.is_single(place, at, next) {
                return Ok(None);
            }
            place += 1;
        }
    }

    fn capture(&mut self, capture: Capture, place: usize, at: usize) -> Outcome<Option<usize>> {
        if self.captures.len() >= CAPTURES_MAX {
            return Err(PatternError::Malformed("too many captures"));
        }
        let had = self.captures.len();
        self.captures.push(capture);
        let outcome = self.run(place, at)?;
        if outcome.is_none() {
            self.captures.truncate(had);
        }
        Ok(outcome)
    }

    fn close(&mut self, place: usize, at: usize) -> Outcome<Option<usize>> {
        let open = self.captures.iter().rposition(|capture| matches!(capture, Capture::Open(_)));
        let found = open.and_then(|index| self.captures.get(index).copied().map(|capture| (index, capture)));
        let Some((index, Capture::Open(start))) = found else {
            return Err(PatternError::Malformed("invalid pattern capture"));
        };
        self.set(index, Capture::Text(start, place));
        let outcome = self.run(place, at)?;
        if outcome.is_none() {
            self.set(index, Capture::Open(start));
        }
        Ok(outcome)
    }

    fn set(&mut self, index: usize, capture: Capture) {
        if let Some(slot) = self.captures.get_mut(index) {
            *slot = capture;
        }
    }

    fn back_reference(&self, place: usize, at: usize) -> Outcome<Option<usize>> {
        let digit = self.pattern.get(at).map_or(0, |byte| usize::from(byte - b'0'));
        let capture = digit.checked_sub(1).and_then(|index| self.captures.get(index));
        let Some(Capture::Text(start, end)) = capture else {
            return Err(PatternError::Malformed("invalid capture index"));
        };
        let wanted = self.text.get(*start..*end).unwrap_or_default();
        if !(self.spend)(wanted.len() as u64) {
            return Err(PatternError::Spent);
        }
        let rest = self.text.get(place..).unwrap_or_default();
        Ok(rest.starts_with(wanted).then(|| place + wanted.len()))
    }

    fn balanced(&self, place: usize, at: usize) -> Outcome<Option<usize>> {
        let (Some(&open), Some(&close)) = (self.pattern.get(at), self.pattern.get(at + 1)) else {
            return Err(PatternError::Malformed("malformed pattern (missing arguments to '%b')"));
        };
        if self.text.get(place) != Some(&open) {
            return Ok(None);
        }
        let mut depth = 1_usize;
        for (offset, &byte) in self.text.get(place + 1..).unwrap_or_default().iter().enumerate() {
            self.step()?;
            if byte == close {
                depth -= 1;
                if depth == 0 {
                    return Ok(Some(place + offset + 2));
                }
            } else if byte == open {
                depth += 1;
            }
        }
        Ok(None)
    }

    /// A border between what is not in the set and what is; returns where the pattern goes on.
    fn frontier(&self, place: usize, at: usize) -> Outcome<Option<usize>> {
        if self.pattern.get(at) != Some(&b'[') {
            return Err(PatternError::Malformed("missing '[' after '%f' in pattern"));
        }
        let end = self.class_end(at)?;
        let before = place.checked_sub(1).and_then(|place| self.text.get(place)).copied().unwrap_or(0);
        let here = self.text.get(place).copied().unwrap_or(0);
        let set = self.pattern.get(at..end).unwrap_or_default();
        Ok((!is_in_set(before, set) && is_in_set(here, set)).then_some(end))
    }

    /// Where the class that begins at `at` ends.
    fn class_end(&self, at: usize) -> Outcome<usize> {
        match self.pattern.get(at) {
            Some(b'%') if at + 1 >= self.pattern.len() => {
                Err(PatternError::Malformed("malformed pattern (ends with '%')"))
            }
            Some(b'%') => Ok(at + 2),
            Some(b'[') => {
                let mut end = at + 1;
                if self.pattern.get(end) == Some(&b'^') {
                    end += 1;
                }
                // A bracket that stands first is itself.
                let first = end;
                loop {
                    match self.pattern.get(end) {
                        None => return Err(PatternError::Malformed("malformed pattern (missing ']')")),
                        Some(b']') if end > first => return Ok(end + 1),
                        Some(b'%') => end += 2,
                        Some(_) => end += 1,
                    }
                }
            }
            _ => Ok(at + 1),
        }
    }

    fn is_single(&self, place: usize, at: usize, end: usize) -> bool {
        let (Some(&byte), Some(class)) = (self.text.get(place), self.pattern.get(at..end)) else { return false };
        match class {
            [b'.'] => true,
            [b'%', class] => is_in_class(byte, *class),
            [b'[', ..] => is_in_set(byte, class),
            [literal] => *literal == byte,
            _ => false,
        }
    }
}

/// Whether a byte is of the class `%a`, `%d`, ...; of a capital, whether it is not.
fn is_in_class(byte: u8, class: u8) -> bool {
    let is_in = match class.to_ascii_lowercase() {
        b'a' => byte.is_ascii_alphabetic(),
        b'c' => byte.is_ascii_control(),
        b'd' => byte.is_ascii_digit(),
        b'g' => byte.is_ascii_graphic(),
        b'l' => byte.is_ascii_lowercase(),
        b'p' => byte.is_ascii_punctuation(),
        b's' => byte.is_ascii_whitespace() || byte == 0x0b,
        b'u' => byte.is_ascii_uppercase(),
        b'w' => byte.is_ascii_alphanumeric(),
        b'x' => byte.is_ascii_hexdigit(),
        _ => return class == byte,
    };
    is_in != class.is_ascii_uppercase()
}

/// Whether a byte is in `[...]`.
fn is_in_set(byte: u8, set: &[u8]) -> bool {
    let inner = set.get(1..set.len().saturating_sub(1)).unwrap_or_default();
    let (is_complement, mut rest) = match inner.split_first() {
        Some((b'^', rest)) => (true, rest),
        _ => (false, inner),
    };
    while let Some((&first, after)) = rest.split_first() {
        match (first, after) {
            (b'%', [class, after @ ..]) => {
                if is_in_class(byte, *class) {
                    return !is_complement;
                }
                rest = after;
            }
            (low, [b'-', high, after @ ..]) => {
                if (low..=*high).contains(&byte) {
                    return !is_complement;
                }
                rest = after;
            }
            _ => {
                if first == byte {
                    return !is_complement;
                }
                rest = after;
            }
        }
    }
    is_complement
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(text: &str, pattern: &str) -> String {
        let matched = match find(text.as_bytes(), pattern.as_bytes(), 0, &|_| true) {
            Err(PatternError::Malformed(why)) => return why.to_owned(),
            Err(PatternError::Spent) => return "spent".to_owned(),
            Ok(None) => return "nil".to_owned(),
            Ok(Some(matched)) => matched,
        };
        let mut parts = vec![text[matched.start..matched.end].to_owned()];
        parts.extend(matched.captures.iter().map(|capture| match capture {
            Capture::Text(start, end) => text[*start..*end].to_owned(),
            Capture::Position(place) => (place + 1).to_string(),
            Capture::Open(_) => "open".to_owned(),
        }));
        parts.join("|")
    }

    #[test]
    fn patterns_match_as_the_manual_says() {
        for (text, pattern, want) in [
            ("hello world", "o w", "o w"),
            ("hello", "l+", "ll"),
            ("hello", "^e", "nil"),
            ("hello", "o$", "o"),
            ("a$b", "$b", "$b"),
            ("2026-11-22T07:15:00Z", "(%d+)-(%d+)-(%d+)T(%d+)", "2026-11-22T07|2026|11|22|07"),
            ("key = value", "^(%w+)%s*=%s*(%w+)$", "key = value|key|value"),
            ("abc", "()b()", "b|2|3"),
            ("f(a(b)c)d", "%b()", "(a(b)c)"),
            ("THE (quick) fox", "%f[%a]%a+%f[%A]", "THE"),
            ("say \"hi\" 'no'", "([\"'])(.-)%1", "\"hi\"|\"|hi"),
            ("a-b", "[a-c%-]+", "a-b"),
            ("a]b", "[]]", "]"),
            ("abc", "[^a]+", "bc"),
            ("ac", "ab?c", "ac"),
            ("<a><b>", "<.->", "<a>"),
            ("<a><b>", "<.*>", "<a><b>"),
            ("x1", "%u", "nil"),
            ("x.y", "%.", "."),
            ("", ".*", ""),
            ("abc", "[a-", "malformed pattern (missing ']')"),
            ("abc", "%", "malformed pattern (ends with '%')"),
            ("abc", "a)", "invalid pattern capture"),
            ("abc", "%1", "invalid capture index"),
            ("abc", "%b(", "malformed pattern (missing arguments to '%b')"),
        ] {
            assert_eq!(found(text, pattern), want, "{text:?} {pattern:?}");
        }
    }

    #[test]
    fn a_pattern_that_takes_for_ever_is_stopped() {
        let left = std::cell::Cell::new(100_000_u64);
        let spend = |steps: u64| {
            left.set(left.get().saturating_sub(steps));
            left.get() > 0
        };
        let text = vec![b'a'; 5_000];
        assert_eq!(find(&text, b"a*a*a*a*a*b", 0, &spend), Err(PatternError::Spent));
    }
}
