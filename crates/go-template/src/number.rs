//! Numbers as templates spell them: Go's integer and floating-point literals.

/// A number literal and all that it can stand for, as `text/template` decides it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Number {
    /// The value as a signed integer.
    pub(crate) int: Option<i64>,
    /// The value as an unsigned integer.
    pub(crate) uint: Option<u64>,
    /// The value as a float.
    pub(crate) float: Option<f64>,
}

/// Text that is no number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum BadNumber {
    /// An integer beyond 64 bits.
    Overflow,
    /// Anything else.
    Syntax,
}

impl Number {
    /// Returns the number of a character constant.
    pub(crate) fn of_char(code: u32) -> Self {
        Self { int: Some(i64::from(code)), uint: Some(u64::from(code)), float: Some(f64::from(code)) }
    }

    /// Reads a literal.
    pub(crate) fn parse(text: &str) -> Result<Self, BadNumber> {
        let int = parse_int(text);
        let mut uint = parse_uint(text);
        if int == Some(0) {
            uint = uint.or(Some(0));
        }
        #[expect(clippy::cast_precision_loss, reason = "Go converts like this")]
        if let Some(float) = int.map(|value| value as f64).or_else(|| uint.map(|value| value as f64)) {
            return Ok(Self { int, uint, float: Some(float) });
        }
        let float = parse_float(text).ok_or(BadNumber::Syntax)?;
        if !text.contains(['.', 'e', 'E', 'p', 'P']) {
            return Err(BadNumber::Overflow);
        }
        Ok(Self { int: whole_int(float), uint: whole_uint(float), float: Some(float) })
    }
}

/// Returns the integer that a float is, when it is one.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_precision_loss,
    clippy::float_cmp,
    reason = "bounds are checked"
)]
fn whole_int(float: f64) -> Option<i64> {
    let within = (-9_223_372_036_854_775_808.0..9_223_372_036_854_775_808.0).contains(&float);
    (within && (float as i64) as f64 == float).then_some(float as i64)
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_precision_loss,
    clippy::cast_sign_loss,
    clippy::float_cmp,
    reason = "bounds are checked"
)]
fn whole_uint(float: f64) -> Option<u64> {
    let within = (0.0..18_446_744_073_709_551_616.0).contains(&float);
    (within && (float as u64) as f64 == float).then_some(float as u64)
}

/// `strconv.ParseUint(text, 0, 64)`
fn parse_uint(text: &str) -> Option<u64> {
    let (radix, digits) = match text.as_bytes() {
        [b'0', b'x' | b'X', _, ..] => (16, text.get(2..)?),
        [b'0', b'b' | b'B', _, ..] => (2, text.get(2..)?),
        [b'0', b'o' | b'O', _, ..] => (8, text.get(2..)?),
        [b'0', _, ..] => (8, text.get(1..)?),
        _ => (10, text),
    };
    if digits.contains('_') {
        if !are_underscores_separators(text) {
            return None;
        }
        return u64::from_str_radix(&digits.replace('_', ""), radix).ok();
    }
    if digits.starts_with('+') {
        return None;
    }
    u64::from_str_radix(digits, radix).ok()
}

/// `strconv.ParseInt(text, 0, 64)`
fn parse_int(text: &str) -> Option<i64> {
    if let Some(digits) = text.strip_prefix('-') {
        return 0_i64.checked_sub_unsigned(parse_uint(digits)?);
    }
    parse_uint(text.strip_prefix('+').unwrap_or(text)).and_then(|value| i64::try_from(value).ok())
}

/// Returns whether every underscore stands between digits, or after the prefix of a base.
fn are_underscores_separators(text: &str) -> bool {
    let text = text.strip_prefix(['-', '+']).unwrap_or(text);
    let (mut saw, mut rest, mut hex) = ('^', text, false);
    if let [b'0', letter, ..] = text.as_bytes() {
        let letter = letter.to_ascii_lowercase();
        if matches!(letter, b'b' | b'o' | b'x') {
            (saw, rest, hex) = ('0', text.get(2..).unwrap_or(""), letter == b'x');
        }
    }
    for character in rest.chars() {
        if character.is_ascii_digit() || (hex && character.is_ascii_hexdigit()) {
            saw = '0';
        } else if character == '_' {
            if saw != '0' {
                return false;
            }
            saw = '_';
        } else {
            if saw == '_' {
                return false;
            }
            saw = '!';
        }
    }
    saw != '_'
}

/// `strconv.ParseFloat(text, 64)` of what starts with a digit, sign or dot.
fn parse_float(text: &str) -> Option<f64> {
    if text.contains('_') && !are_underscores_separators(text) {
        return None;
    }
    let text = text.replace('_', "");
    let (negative, body) = match text.as_bytes().first()? {
        b'-' => (true, text.get(1..)?),
        b'+' => (false, text.get(1..)?),
        _ => (false, text.as_str()),
    };
    if body.starts_with("0x") || body.starts_with("0X") {
        return hex_float(body.get(2..)?).map(|value| if negative { -value } else { value });
    }
    // Rust reads a little more than Go's digits: infinities, NaN.
    if !body.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'.' | b'e' | b'E' | b'+' | b'-')) {
        return None;
    }
    let value: f64 = text.parse().ok()?;
    value.is_finite().then_some(value)
}

/// Reads `1.8p-3`: hexadecimal digits and a binary exponent.
fn hex_float(body: &str) -> Option<f64> {
    let (mantissa, exponent) = body.split_once(['p', 'P'])?;
    let exponent: i64 = exponent.parse().ok()?;
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    if whole.is_empty() && fraction.is_empty() {
        return None;
    }
    let mut bits: u64 = 0;
    let mut scale: i64 = 0;
    let mut is_sticky = false;
    for (index, character) in whole.chars().chain(fraction.chars()).enumerate() {
        let digit = u64::from(character.to_digit(16)?);
        let in_fraction = i64::from(index >= whole.chars().count());
        if bits >> 58 == 0 {
            bits = bits << 4 | digit;
            scale -= 4 * in_fraction;
        } else {
            is_sticky |= digit != 0;
            scale += 4 * (1 - in_fraction);
        }
    }
    let value = scaled(bits | u64::from(is_sticky), exponent.saturating_add(scale).clamp(-5_000, 5_000));
    value.is_finite().then_some(value)
}

/// Returns bits * 2^exponent, rounded once to nearest even.
fn scaled(bits: u64, exponent: i64) -> f64 {
    if bits == 0 {
        return 0.0;
    }
    let length = 64 - i64::from(bits.leading_zeros());
    // The place of the lowest bit that a float of this size keeps; subnormals keep less.
    let lowest = (length + exponent - 53).max(-1_074);
    let drop = lowest - exponent;
    let (kept, lowest) = if drop > 0 {
        if drop > 64 {
            return 0.0;
        }
        let (wide, drop) = (u128::from(bits), drop.unsigned_abs());
        let (kept, rest, half) = (wide >> drop, wide & ((1 << drop) - 1), 1_u128 << (drop - 1));
        let up = rest > half || (rest == half && kept & 1 == 1);
        (kept + u128::from(up), lowest)
    } else {
        (u128::from(bits), exponent)
    };
    #[expect(clippy::cast_precision_loss, reason = "at most 64 bits with 53 significant ones remain")]
    let mut value = kept as f64;
    let mut left = lowest;
    while left != 0 {
        let step = left.clamp(-1_000, 1_000);
        #[expect(clippy::cast_possible_truncation, reason = "it is within 1,000")]
        let factor = 2.0_f64.powi(step as i32);
        value *= factor;
        left -= step;
    }
    value
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn literals_are_read_as_go_reads_them() {
        let of = |text| Number::parse(text).map(|number| (number.int, number.uint, number.float));
        let int = |value: i64| Ok((Some(value), u64::try_from(value).ok(), Some(value as f64)));
        for (text, value) in
            [("0", 0), ("-1", -1), ("0x1F", 31), ("0b101", 5), ("0o17", 15), ("017", 15), ("1_000", 1000), ("0x_1", 1)]
        {
            assert_eq!(of(text), int(value), "{text}");
        }
        assert_eq!(of("-0"), Ok((Some(0), Some(0), Some(0.0))));
        assert_eq!(of("1e3"), Ok((Some(1000), Some(1000), Some(1000.0))));
        assert_eq!(of("1.5"), Ok((None, None, Some(1.5))));
        assert_eq!(of("0x1p-2"), Ok((None, None, Some(0.25))));
        assert_eq!(of("0x1.8p1"), Ok((Some(3), Some(3), Some(3.0))));
        assert_eq!(of("0x1p-1074").unwrap().2, Some(5e-324));
        assert_eq!(of("18446744073709551615").unwrap().1, Some(u64::MAX));
        assert_eq!(of("18446744073709551616"), Err(BadNumber::Overflow));
        assert_eq!(of("08"), Err(BadNumber::Overflow));
        for bad in ["1__0", "_1", "0x", "1e", "0x1.8", ".", "1_", "1e999"] {
            assert_eq!(of(bad), Err(BadNumber::Syntax), "{bad}");
        }
    }
}
