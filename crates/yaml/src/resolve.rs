//! What a plain scalar means under YAML 1.1 as Go's YAML reads it.

use crate::timestamp::is_timestamp;

/// The meaning of a plain scalar.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Resolved {
    Null,
    Bool(bool),
    Int(i64),
    Uint(u64),
    Float(f64),
    Timestamp,
    String,
}

impl Resolved {
    /// The short tag of YAML for this meaning.
    pub(crate) fn tag(&self) -> &'static str {
        match self {
            Self::Null => "!!null",
            Self::Bool(_) => "!!bool",
            Self::Int(_) | Self::Uint(_) => "!!int",
            Self::Float(_) => "!!float",
            Self::Timestamp => "!!timestamp",
            Self::String => "!!str",
        }
    }
}

/// Returns the meaning of a plain scalar without a tag.
pub(crate) fn resolve(text: &str) -> Resolved {
    let Some(first) = text.chars().next() else { return Resolved::Null };
    if !matches!(first, '+' | '-' | '.' | '0'..='9' | 'y' | 'Y' | 'n' | 'N' | 't' | 'T' | 'f' | 'F' | 'o' | 'O' | '~') {
        return Resolved::String;
    }
    if let Some(word) = resolve_word(text) {
        return word;
    }
    match first {
        '.' => parse_go_float(text).map_or(Resolved::String, Resolved::Float),
        '+' | '-' | '0'..='9' => resolve_number(text),
        _ => Resolved::String,
    }
}

fn resolve_word(text: &str) -> Option<Resolved> {
    Some(match text {
        "y" | "Y" | "yes" | "Yes" | "YES" | "true" | "True" | "TRUE" | "on" | "On" | "ON" => Resolved::Bool(true),
        "n" | "N" | "no" | "No" | "NO" | "false" | "False" | "FALSE" | "off" | "Off" | "OFF" => Resolved::Bool(false),
        "~" | "null" | "Null" | "NULL" => Resolved::Null,
        ".nan" | ".NaN" | ".NAN" => Resolved::Float(f64::NAN),
        ".inf" | ".Inf" | ".INF" | "+.inf" | "+.Inf" | "+.INF" => Resolved::Float(f64::INFINITY),
        "-.inf" | "-.Inf" | "-.INF" => Resolved::Float(f64::NEG_INFINITY),
        _ => return None,
    })
}

fn resolve_number(text: &str) -> Resolved {
    if is_timestamp(text) {
        return Resolved::Timestamp;
    }
    let plain: std::borrow::Cow<'_, str> = if text.contains('_') { text.replace('_', "").into() } else { text.into() };
    if let Some(int) = parse_int(&plain) {
        return Resolved::Int(int);
    }
    if let Some(uint) = parse_magnitude(&plain) {
        return Resolved::Uint(uint);
    }
    if is_float_notation(&plain)
        && let Some(float) = parse_go_float(&plain)
    {
        return Resolved::Float(float);
    }
    // Go tries binary once more with a sign after the prefix.
    match plain.strip_prefix("0b").map(|digits| i64::from_str_radix(digits, 2)) {
        Some(Ok(int)) => Resolved::Int(int),
        _ => Resolved::String,
    }
}

/// Go's `strconv.ParseInt(text, 0, 64)` for text without underscores.
fn parse_int(text: &str) -> Option<i64> {
    if let Some(rest) = text.strip_prefix('-') {
        let magnitude = parse_magnitude(rest)?;
        return 0_i64.checked_sub_unsigned(magnitude);
    }
    i64::try_from(parse_magnitude(text.strip_prefix('+').unwrap_or(text))?).ok()
}

/// Go's `strconv.ParseUint(text, 0, 64)` for text without underscores.
fn parse_magnitude(text: &str) -> Option<u64> {
    let (radix, digits) = match text.as_bytes() {
        [b'0', b'x' | b'X', _, ..] => (16, text.get(2..)?),
        [b'0', b'b' | b'B', _, ..] => (2, text.get(2..)?),
        [b'0', b'o' | b'O', _, ..] => (8, text.get(2..)?),
        [b'0', _, ..] => (8, text.get(1..)?),
        _ => (10, text),
    };
    if digits.is_empty() || !digits.chars().all(|c| c.is_digit(radix)) {
        return None;
    }
    u64::from_str_radix(digits, radix).ok()
}

/// `[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?`
fn is_float_notation(text: &str) -> bool {
    let unsigned = text.strip_prefix(['+', '-']).unwrap_or(text);
    let (mantissa, exponent) = match unsigned.find(['e', 'E']) {
        Some(at) => {
            let (mantissa, exponent) = unsigned.split_at(at);
            (mantissa, exponent.get(1..))
        }
        None => (unsigned, None),
    };
    let all_digits = |part: &str| part.bytes().all(|b| b.is_ascii_digit());
    let is_mantissa = match mantissa.split_once('.') {
        Some((whole, fraction)) => {
            all_digits(whole) && all_digits(fraction) && !(whole.is_empty() && fraction.is_empty())
        }
        None => !mantissa.is_empty() && all_digits(mantissa),
    };
    let is_exponent = exponent.is_none_or(|exponent| {
        let digits = exponent.strip_prefix(['+', '-']).unwrap_or(exponent);
        !digits.is_empty() && all_digits(digits)
    });
    is_mantissa && is_exponent
}

/// Go's `strconv.ParseFloat` for decimal notation: what overflows is no float.
fn parse_go_float(text: &str) -> Option<f64> {
    if !is_float_notation(text) {
        return None;
    }
    text.parse::<f64>().ok().filter(|float| float.is_finite())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scalars_mean_what_go_reads() {
        let table = [
            ("", Resolved::Null),
            ("~", Resolved::Null),
            ("yes", Resolved::Bool(true)),
            ("Off", Resolved::Bool(false)),
            ("yEs", Resolved::String),
            ("0777", Resolved::Int(511)),
            ("0o17", Resolved::Int(15)),
            ("08", Resolved::Float(8.0)),
            ("0x1F", Resolved::Int(31)),
            ("-0b11", Resolved::Int(-3)),
            ("1_000", Resolved::Int(1000)),
            ("+1", Resolved::Int(1)),
            ("9223372036854775808", Resolved::Uint(9_223_372_036_854_775_808)),
            ("-9223372036854775808", Resolved::Int(i64::MIN)),
            ("1.", Resolved::Float(1.0)),
            (".5", Resolved::Float(0.5)),
            ("1e3", Resolved::Float(1000.0)),
            ("1e400", Resolved::String),
            (".", Resolved::String),
            ("-", Resolved::String),
            ("12:30", Resolved::String),
            ("1.2.3", Resolved::String),
            ("2001-01-02", Resolved::Timestamp),
            ("100m", Resolved::String),
        ];
        for (text, resolved) in table {
            assert_eq!(resolve(text), resolved, "{text}");
        }
    }
}
