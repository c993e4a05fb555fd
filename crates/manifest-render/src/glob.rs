//! Patterns over paths, for what a source includes and excludes.

/// Longest pattern in bytes.
const PATTERN_BYTES_MAX: usize = 1000;

/// Most patterns that braces may stand for.
const ALTERNATIVES_MAX: usize = 100;

/// A pattern over paths: `*` and `?` stay inside one folder, `**` crosses folders, `[a-z]` is one character of a set,
/// `{a,b}` is one of several texts. A pattern without a slash matches the last part of a path.
///
/// ```
/// use manifest_render::Glob;
///
/// assert!(Glob::parse("*.{yaml,yml}").unwrap().is_match("deep/down/web.yml"));
/// assert!(!Glob::parse("base/*.yaml").unwrap().is_match("base/deep/web.yaml"));
/// assert!(Glob::parse("base/**").unwrap().is_match("base/deep/web.yaml"));
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Glob {
    alternatives: Vec<Vec<Token>>,
}

/// Why a pattern is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("pattern `{pattern}` {what}")]
pub struct GlobError {
    /// The pattern as given.
    pub pattern: String,
    /// What is wrong with it.
    pub what: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Token {
    Character(char),
    /// `?`
    Any,
    /// `*`
    Run,
    /// `**`, with the slash after it: nothing or any folders.
    Folders,
    /// `[a-z]` or `[!a-z]`
    Set {
        is_negated: bool,
        ranges: Vec<(char, char)>,
    },
}

impl Glob {
    /// Reads a pattern.
    ///
    /// # Errors
    /// When a bracket or brace is not closed, or the pattern is too long.
    pub fn parse(pattern: &str) -> Result<Self, GlobError> {
        let refuse = |what| GlobError { pattern: pattern.chars().take(100).collect(), what };
        if pattern.len() > PATTERN_BYTES_MAX {
            return Err(refuse("is too long"));
        }
        let rooted = if pattern.contains('/') {
            pattern.trim_start_matches("./").trim_start_matches('/').to_owned()
        } else {
            format!("**/{pattern}")
        };
        let mut open = vec![rooted];
        let mut alternatives = Vec::new();
        while let Some(next) = open.pop() {
            match expand_braces(&next).map_err(refuse)? {
                Some(expanded) => open.extend(expanded),
                None => alternatives.push(tokens(&next).map_err(refuse)?),
            }
            if open.len() + alternatives.len() > ALTERNATIVES_MAX {
                return Err(refuse("stands for too many patterns"));
            }
        }
        Ok(Self { alternatives })
    }

    /// Whether a path matches.
    pub fn is_match(&self, path: &str) -> bool {
        let path: Vec<char> = path.chars().collect();
        self.alternatives.iter().any(|tokens| matches(tokens, &path))
    }
}

/// Replaces the first brace group by each of its alternatives.
fn expand_braces(pattern: &str) -> Result<Option<Vec<String>>, &'static str> {
    let Some(open) = pattern.find('{') else { return Ok(None) };
    let (head, rest) = pattern.split_at(open);
    let (mut depth, mut start, mut parts) = (0_u32, 1, Vec::new());
    for (at, c) in rest.char_indices() {
        match c {
            '{' => depth += 1,
            '}' if depth == 1 => {
                parts.push(rest.get(start..at).unwrap_or_default());
                let tail = rest.get(at + 1..).unwrap_or_default();
                return Ok(Some(parts.into_iter().map(|part| format!("{head}{part}{tail}")).collect()));
            }
            '}' => depth -= 1,
            ',' if depth == 1 => {
                parts.push(rest.get(start..at).unwrap_or_default());
                start = at + 1;
            }
            _ => {}
        }
    }
    Err("has an open brace")
}

fn tokens(pattern: &str) -> Result<Vec<Token>, &'static str> {
    let mut tokens = Vec::new();
    let mut rest = pattern;
    while let Some(c) = rest.chars().next() {
        if let Some(after) = rest.strip_prefix("**/") {
            tokens.push(Token::Folders);
            rest = after;
            continue;
        }
        if rest == "**" {
            tokens.extend([Token::Folders, Token::Run]);
            break;
        }
        rest = rest.get(c.len_utf8()..).unwrap_or_default();
        tokens.push(match c {
            '*' => Token::Run,
            '?' => Token::Any,
            '[' => {
                let (set, after) = set(rest)?;
                rest = after;
                set
            }
            c => Token::Character(c),
        });
    }
    Ok(tokens)
}

fn set(rest: &str) -> Result<(Token, &str), &'static str> {
    let is_negated = rest.starts_with(['!', '^']);
    let body = if is_negated { rest.get(1..).unwrap_or_default() } else { rest };
    // A bracket right at the start is a member of the set.
    let close = body.char_indices().skip(1).find(|(_, c)| *c == ']').ok_or("has an open bracket")?.0;
    let members: Vec<char> = body.get(..close).unwrap_or_default().chars().collect();
    let mut ranges = Vec::new();
    let mut left = members.as_slice();
    loop {
        left = match left {
            [from, '-', to, tail @ ..] => {
                ranges.push((*from, *to));
                tail
            }
            [one, tail @ ..] => {
                ranges.push((*one, *one));
                tail
            }
            [] => break,
        };
    }
    Ok((Token::Set { is_negated, ranges }, body.get(close + 1..).unwrap_or_default()))
}

/// Matches by the set of token positions reached so far, so the cost is pattern times path and never more.
fn matches(tokens: &[Token], path: &[char]) -> bool {
    let mut reached = vec![false; tokens.len() + 1];
    mark(&mut reached, tokens, 0);
    for &c in path {
        let mut next = vec![false; tokens.len() + 1];
        for (at, token) in tokens.iter().enumerate() {
            if !reached.get(at).copied().unwrap_or(false) {
                continue;
            }
            match token {
                Token::Character(wanted) if *wanted == c => mark(&mut next, tokens, at + 1),
                Token::Any if c != '/' => mark(&mut next, tokens, at + 1),
                Token::Run if c != '/' => mark(&mut next, tokens, at),
                Token::Set { is_negated, ranges }
                    if c != '/' && ranges.iter().any(|(from, to)| (from..=to).contains(&&c)) != *is_negated =>
                {
                    mark(&mut next, tokens, at + 1);
                }
                // What follows `**/` begins at the start of a name: inside one only the skipping itself goes on.
                Token::Folders if c == '/' => mark(&mut next, tokens, at),
                Token::Folders => set_reached(&mut next, at),
                _ => {}
            }
        }
        reached = next;
    }
    reached.last().copied().unwrap_or(false)
}

fn set_reached(reached: &mut [bool], at: usize) {
    if let Some(slot) = reached.get_mut(at) {
        *slot = true;
    }
}

/// Marks a position and those reached from it without reading a character.
fn mark(reached: &mut [bool], tokens: &[Token], at: usize) {
    let mut at = at;
    loop {
        set_reached(reached, at);
        match tokens.get(at) {
            Some(Token::Run | Token::Folders) => at += 1,
            _ => return,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_match_as_people_expect() {
        let table = [
            ("*.yaml", "a.yaml", true),
            ("*.yaml", "x/a.yaml", true),
            ("x/*.yaml", "x/y/a.yaml", false),
            ("x/**/a.yaml", "x/a.yaml", true),
            ("x/**/a.yaml", "x/y/z/a.yaml", true),
            ("x/**/a.yaml", "x/ya.yaml", false),
            ("**/a.yaml", "ba.yaml", false),
            ("x/**", "x/y/z", true),
            ("x/**", "xy", false),
            ("{a,b{c,d}}.json", "bd.json", true),
            ("[a-c]?.yaml", "bz.yaml", true),
            ("[!a-c]?.yaml", "bz.yaml", false),
            ("a*b*c", "aXbYc", true),
            ("a*b*c", "aXbY", false),
        ];
        for (pattern, path, wanted) in table {
            assert_eq!(Glob::parse(pattern).unwrap().is_match(path), wanted, "{pattern} {path}");
        }
    }

    #[test]
    fn a_costly_pattern_stays_cheap() {
        let glob = Glob::parse(&"*a".repeat(400)).unwrap();
        assert!(!glob.is_match(&"a".repeat(399)));
        assert!(Glob::parse(&"{a,b}".repeat(20)).is_err());
        assert!(Glob::parse("{a").is_err());
        assert!(Glob::parse("[a").is_err());
    }
}
