//! Splits the text of an expression into tokens.

use super::ExpressionError;

/// What a token is.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Token {
    /// A name, or a word that is not an operator.
    Name(String),
    /// A whole number.
    Integer(i64),
    /// A number with a point or an exponent.
    Float(f64),
    /// A quoted text, unescaped.
    Text(String),
    /// An operator, a bracket or a punctuation mark.
    Symbol(&'static str),
    /// `#`, `#index` or `#acc`.
    Pointer(String),
    /// The end of the text.
    End,
}

/// A token and where it begins, counted in bytes.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Placed {
    pub(super) token: Token,
    pub(super) at: usize,
}

/// Longest first, so that `**` is not read as two `*`.
const SYMBOLS: [&str; 39] = [
    "==", "!=", "<=", ">=", "&&", "||", "**", "..", "?.", "??", "::", "+", "-", "*", "/", "%", "^", "<", ">", "!", "?",
    ":", ",", ";", ".", "|", "(", ")", "[", "]", "{", "}", "=", "~", "@", "&", "$", "\\", "'",
];

const WORDS: [&str; 11] =
    ["in", "or", "and", "not", "matches", "contains", "startsWith", "endsWith", "let", "if", "else"];

/// Splits `source` into tokens; the last one is [`Token::End`].
pub(super) fn tokens(source: &str) -> Result<Vec<Placed>, ExpressionError> {
    let mut found = Vec::new();
    let mut at = 0;
    while let Some(rest) = source.get(at..).filter(|rest| !rest.is_empty()) {
        let first = rest.chars().next().unwrap_or(' ');
        if first.is_whitespace() {
            at += first.len_utf8();
            continue;
        }
        if let Some(length) = comment(rest, at)? {
            at += length;
            continue;
        }
        let (token, length) = match first {
            '"' | '\'' => quoted(rest, first, at)?,
            '`' => raw(rest, at)?,
            '#' => {
                let word: String = rest.chars().skip(1).take_while(|c| is_word(*c)).collect();
                let length = 1 + word.len();
                (Token::Pointer(word), length)
            }
            '0'..='9' => number(rest, at)?,
            '.' if rest.chars().nth(1).is_some_and(|c| c.is_ascii_digit()) => number(rest, at)?,
            c if is_word(c) => {
                let word: String = rest.chars().take_while(|c| is_word(*c)).collect();
                let length = word.len();
                match WORDS.iter().find(|known| **known == word) {
                    Some(known) => (Token::Symbol(known), length),
                    None => (Token::Name(word), length),
                }
            }
            c => match SYMBOLS.iter().find(|symbol| rest.starts_with(**symbol)) {
                Some(symbol) => (Token::Symbol(symbol), symbol.len()),
                None => return Err(ExpressionError::new(at, format!("unrecognized character: {c:?}"))),
            },
        };
        found.push(Placed { token, at });
        at += length;
    }
    found.push(Placed { token: Token::End, at: source.len() });
    Ok(found)
}

fn is_word(c: char) -> bool {
    c == '_' || c == '$' || c.is_alphanumeric()
}

/// Returns the length of the comment at the start of `rest`, if there is one.
fn comment(rest: &str, at: usize) -> Result<Option<usize>, ExpressionError> {
    if rest.starts_with("//") {
        return Ok(Some(rest.find('\n').unwrap_or(rest.len())));
    }
    if let Some(inner) = rest.strip_prefix("/*") {
        let end = inner.find("*/").ok_or_else(|| ExpressionError::new(at, "unclosed comment"))?;
        return Ok(Some(end + 4));
    }
    Ok(None)
}

fn raw(rest: &str, at: usize) -> Result<(Token, usize), ExpressionError> {
    let inner = rest.get(1..).unwrap_or_default();
    let end = inner.find('`').ok_or_else(|| ExpressionError::new(at, "literal not terminated"))?;
    Ok((Token::Text(inner.get(..end).unwrap_or_default().to_owned()), end + 2))
}

fn quoted(rest: &str, quote: char, at: usize) -> Result<(Token, usize), ExpressionError> {
    let unterminated = || ExpressionError::new(at, "literal not terminated");
    let mut text = String::new();
    let mut characters = rest.char_indices().skip(1);
    while let Some((index, c)) = characters.next() {
        if c == quote {
            return Ok((Token::Text(text), index + 1));
        }
        match c {
            '\n' => return Err(unterminated()),
            '\\' => {
                let (_, escaped) = characters.next().ok_or_else(unterminated)?;
                text.push(
                    unescape(escaped, &mut characters)
                        .ok_or_else(|| ExpressionError::new(at, format!("invalid char escape: \\{escaped}")))?,
                );
            }
            other => text.push(other),
        }
    }
    Err(unterminated())
}

fn unescape(escaped: char, rest: &mut impl Iterator<Item = (usize, char)>) -> Option<char> {
    let mut code = |digits: usize, radix: u32| {
        let text: String = rest.by_ref().take(digits).map(|(_, c)| c).collect();
        (text.chars().count() == digits).then(|| u32::from_str_radix(&text, radix).ok()).flatten()
    };
    Some(match escaped {
        'n' => '\n',
        't' => '\t',
        'r' => '\r',
        'a' => '\x07',
        'b' => '\x08',
        'f' => '\x0c',
        'v' => '\x0b',
        '\\' | '\'' | '"' | '`' => escaped,
        'x' => char::from_u32(code(2, 16)?)?,
        'u' => char::from_u32(code(4, 16)?)?,
        'U' => char::from_u32(code(8, 16)?)?,
        _ => return None,
    })
}

fn number(rest: &str, at: usize) -> Result<(Token, usize), ExpressionError> {
    let bytes = rest.as_bytes();
    let radix = match (bytes.first(), bytes.get(1).map(u8::to_ascii_lowercase)) {
        (Some(b'0'), Some(b'x')) => 16,
        (Some(b'0'), Some(b'o')) => 8,
        (Some(b'0'), Some(b'b')) => 2,
        _ => 10,
    };
    let bad = |length: usize| {
        ExpressionError::new(at, format!("bad number syntax: {:?}", rest.get(..length).unwrap_or(rest)))
    };
    let digits = |from: usize, radix: u32| {
        bytes.iter().skip(from).take_while(|b| **b == b'_' || char::from(**b).is_digit(radix)).count()
    };
    if radix != 10 {
        let length = 2 + digits(2, radix);
        let text = rest.get(2..length).unwrap_or_default().replace('_', "");
        let value = i64::from_str_radix(&text, radix).map_err(|_| bad(length))?;
        return ends_cleanly(rest, length).then_some((Token::Integer(value), length)).ok_or_else(|| bad(length + 1));
    }
    let mut length = digits(0, 10);
    let mut is_float = false;
    if bytes.get(length) == Some(&b'.') && bytes.get(length + 1) != Some(&b'.') {
        is_float = true;
        length += 1;
        length += digits(length, 10);
    }
    if matches!(bytes.get(length), Some(b'e' | b'E')) {
        is_float = true;
        length += 1;
        length += usize::from(matches!(bytes.get(length), Some(b'+' | b'-')));
        length += digits(length, 10);
    }
    if !ends_cleanly(rest, length) {
        return Err(bad(length + 1));
    }
    let text = rest.get(..length).unwrap_or_default().replace('_', "");
    let token = if is_float {
        Token::Float(text.parse().map_err(|_| bad(length))?)
    } else {
        Token::Integer(text.parse().map_err(|_| bad(length))?)
    };
    Ok((token, length))
}

fn ends_cleanly(rest: &str, length: usize) -> bool {
    rest.get(length..).and_then(|tail| tail.chars().next()).is_none_or(|c| !is_word(c))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(source: &str) -> Vec<Token> {
        tokens(source).unwrap().into_iter().map(|placed| placed.token).collect()
    }

    #[test]
    fn a_range_of_numbers_is_not_read_as_two_fractions() {
        assert_eq!(read("1..3"), [Token::Integer(1), Token::Symbol(".."), Token::Integer(3), Token::End]);
        assert_eq!(read(".5"), [Token::Float(0.5), Token::End]);
        assert_eq!(read("1e-3"), [Token::Float(0.001), Token::End]);
        assert_eq!(read("0x_fF"), [Token::Integer(255), Token::End]);
    }

    #[test]
    fn what_is_no_token_is_named() {
        for (source, message) in [
            ("'abc", "literal not terminated"),
            ("1a", "bad number syntax: \"1a\""),
            ("/* x", "unclosed comment"),
            ("'\\q'", "invalid char escape: \\q"),
            ("€", "unrecognized character: '€'"),
        ] {
            assert_eq!(tokens(source).unwrap_err().to_string(), message, "{source}");
        }
    }
}
