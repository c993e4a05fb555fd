//! Go's `filepath.Match`: `*` and `?` stay within one part of a path.

/// A pattern is malformed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("syntax error in pattern")]
pub(crate) struct PatternError;

/// Whether a name matches a pattern as a whole.
///
/// A malformed rest of the pattern is found only when the name gets there, as in Go.
pub(crate) fn matches(pattern: &str, name: &str) -> Result<bool, PatternError> {
    let pattern: Vec<char> = pattern.chars().collect();
    let name: Vec<char> = name.chars().collect();
    let mut rest = pattern.as_slice();
    let mut name = name.as_slice();
    // Each turn takes at least one character of the pattern.
    'pattern: while !rest.is_empty() {
        let (has_star, chunk, after) = next_chunk(rest);
        rest = after;
        if has_star && chunk.is_empty() {
            return Ok(!name.contains(&'/'));
        }
        match match_chunk(chunk, name)? {
            Some(left) if left.is_empty() || !rest.is_empty() => {
                name = left;
                continue;
            }
            _ => {}
        }
        if has_star {
            for skip in 0..name.len() {
                if name.get(skip) == Some(&'/') {
                    break;
                }
                if let Some(left) = match_chunk(chunk, name.get(skip + 1..).unwrap_or_default())? {
                    if rest.is_empty() && !left.is_empty() {
                        continue;
                    }
                    name = left;
                    continue 'pattern;
                }
            }
        }
        // The rest is looked at for its form only.
        while !rest.is_empty() {
            let (_, chunk, after) = next_chunk(rest);
            rest = after;
            match_chunk(chunk, &[])?;
        }
        return Ok(false);
    }
    Ok(name.is_empty())
}

/// Leading stars, the text up to the next star outside brackets, and what follows.
fn next_chunk(pattern: &[char]) -> (bool, &[char], &[char]) {
    let stars = pattern.iter().take_while(|character| **character == '*').count();
    let pattern = pattern.get(stars..).unwrap_or_default();
    let mut is_in_range = false;
    let mut at = 0;
    while let Some(character) = pattern.get(at) {
        match character {
            '\\' if at + 1 < pattern.len() => at += 1,
            '[' => is_in_range = true,
            ']' => is_in_range = false,
            '*' if !is_in_range => break,
            _ => {}
        }
        at += 1;
    }
    let (chunk, after) = pattern.split_at_checked(at).unwrap_or((pattern, &[]));
    (stars > 0, chunk, after)
}

/// What is left of the name behind a chunk; None when it does not match.
fn match_chunk<'n>(chunk: &[char], name: &'n [char]) -> Result<Option<&'n [char]>, PatternError> {
    let mut chunk = chunk;
    let mut name = name;
    // After a mismatch the chunk is still read to its end, for its form.
    let mut has_failed = false;
    while let Some((first, after)) = chunk.split_first() {
        if !has_failed && name.is_empty() {
            has_failed = true;
        }
        let current = name.first().copied();
        match first {
            '[' => {
                let (is_match, rest) = match_range(after, current.filter(|_| !has_failed))?;
                chunk = rest;
                has_failed |= !is_match;
            }
            '?' => {
                has_failed |= current == Some('/');
                chunk = after;
            }
            _ => {
                let (wanted, rest) = if *first == '\\' {
                    after.split_first().map(|(escaped, rest)| (*escaped, rest)).ok_or(PatternError)?
                } else {
                    (*first, after)
                };
                has_failed |= current != Some(wanted);
                chunk = rest;
            }
        }
        if !has_failed {
            name = name.get(1..).unwrap_or_default();
        }
    }
    Ok((!has_failed).then_some(name))
}

/// Whether a character is in the range that begins behind a bracket, and what follows the range.
fn match_range(pattern: &[char], character: Option<char>) -> Result<(bool, &[char]), PatternError> {
    let mut rest = pattern;
    let is_negated = rest.first() == Some(&'^');
    if is_negated {
        rest = rest.get(1..).unwrap_or_default();
    }
    let mut is_found = false;
    let mut count = 0;
    loop {
        if rest.first() == Some(&']') && count > 0 {
            let after = rest.get(1..).unwrap_or_default();
            return Ok((character.is_some() && is_found != is_negated, after));
        }
        let (low, after) = range_end(rest)?;
        rest = after;
        let mut high = low;
        if rest.first() == Some(&'-') {
            (high, rest) = range_end(rest.get(1..).unwrap_or_default())?;
        }
        is_found |= character.is_some_and(|character| low <= character && character <= high);
        count += 1;
    }
}

fn range_end(pattern: &[char]) -> Result<(char, &[char]), PatternError> {
    let (first, rest) = pattern.split_first().ok_or(PatternError)?;
    if matches!(first, '-' | ']') {
        return Err(PatternError);
    }
    let (end, rest) = if *first == '\\' { rest.split_first().ok_or(PatternError)? } else { (first, rest) };
    if rest.is_empty() { Err(PatternError) } else { Ok((*end, rest)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_match_as_in_go() {
        let rows = [
            ("abc", "abc", true),
            ("*", "abc", true),
            ("*c", "abc", true),
            ("a*", "ab/c", false),
            ("a*b*c*d*e*/f", "axbxcxdxe/f", true),
            ("a*b*c*d*e*/f", "axbxcxdxexxx/fff", false),
            ("a*b?c*x", "abxbbxdbxebxczzx", true),
            ("ab[b-d]", "abc", true),
            ("ab[^c]", "abc", false),
            ("ab[^e-g]", "abc", true),
            ("a\\*b", "a*b", true),
            ("a?b", "a/b", false),
            ("*x", "xxx", true),
            ("", "", true),
            ("a[", "ab", false),
        ];
        for (pattern, name, expected) in rows {
            if pattern == "a[" {
                assert_eq!(matches(pattern, name), Err(PatternError), "{pattern}");
            } else {
                assert_eq!(matches(pattern, name), Ok(expected), "{pattern} {name}");
            }
        }
        for pattern in ["[]a]", "[-]", "[x-]", "[-x]", "\\", "[a-b-c]", "[", "[^", "[^bc"] {
            assert_eq!(matches(pattern, "a"), Err(PatternError), "{pattern}");
        }
    }
}
