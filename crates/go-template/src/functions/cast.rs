//! Numbers out of text as Go's `strconv` reads them, and the loose conversions of `spf13/cast`.

/// Go's conversion of a float to an int64 on amd64: what does not fit is the least number.
pub(crate) fn float_to_int(float: f64) -> i64 {
    const LIMIT: f64 = 9_223_372_036_854_775_808.0;
    if (-LIMIT..LIMIT).contains(&float) {
        #[expect(clippy::cast_possible_truncation, reason = "the range is checked and Go truncates too")]
        return float as i64;
    }
    i64::MIN
}

/// Why `strconv` reads no number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum NumberError {
    Syntax,
    Range,
}

/// The base of a number: stated, or read off a prefix (`0x`, `0b`, `0o`, `0`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Base {
    Of(u32),
    Prefixed,
}

/// Go's `strconv.ParseInt` of 64 bits.
pub(crate) fn parse_int(text: &[u8], base: Base) -> Result<i64, NumberError> {
    let (is_negative, digits) = match text {
        [b'-', rest @ ..] => (true, rest),
        [b'+', rest @ ..] => (false, rest),
        _ => (false, text),
    };
    let magnitude = parse_uint(digits, base)?;
    if is_negative {
        return 0_i64.checked_sub_unsigned(magnitude).ok_or(NumberError::Range);
    }
    i64::try_from(magnitude).map_err(|_| NumberError::Range)
}

/// Go's `strconv.ParseUint` of 64 bits.
pub(crate) fn parse_uint(text: &[u8], base: Base) -> Result<u64, NumberError> {
    let (radix, digits) = match (base, text) {
        (Base::Of(radix), _) => (radix, text),
        (Base::Prefixed, [b'0', b'x' | b'X', rest @ ..]) if !rest.is_empty() => (16, rest),
        (Base::Prefixed, [b'0', b'b' | b'B', rest @ ..]) if !rest.is_empty() => (2, rest),
        (Base::Prefixed, [b'0', b'o' | b'O', rest @ ..]) if !rest.is_empty() => (8, rest),
        (Base::Prefixed, [b'0', rest @ ..]) if !rest.is_empty() => (8, rest),
        (Base::Prefixed, _) => (10, text),
    };
    if digits.is_empty() {
        return Err(NumberError::Syntax);
    }
    let (mut number, mut overflows, mut has_underscore) = (0_u64, false, false);
    for &byte in digits {
        if byte == b'_' && base == Base::Prefixed {
            has_underscore = true;
            continue;
        }
        let digit = char::from(byte).to_digit(36).filter(|&digit| digit < radix).ok_or(NumberError::Syntax)?;
        match number.checked_mul(u64::from(radix)).and_then(|number| number.checked_add(u64::from(digit))) {
            Some(next) => number = next,
            None => overflows = true,
        }
        if overflows {
            // Go stops at the first digit that does not fit, wrong ones behind it unseen.
            return Err(NumberError::Range);
        }
    }
    if has_underscore && !is_underscore_ok(text) {
        return Err(NumberError::Syntax);
    }
    Ok(number)
}

/// Underscores stand only between digits, or between the prefix and a digit.
fn is_underscore_ok(text: &[u8]) -> bool {
    let text = match text {
        [b'-' | b'+', rest @ ..] => rest,
        _ => text,
    };
    let (digits, is_hex, mut previous) = match text {
        [b'0', letter, rest @ ..] if matches!(letter.to_ascii_lowercase(), b'b' | b'o' | b'x') => {
            (rest, letter.eq_ignore_ascii_case(&b'x'), b'0')
        }
        _ => (text, false, b'^'),
    };
    for &byte in digits {
        if byte.is_ascii_digit() || is_hex && byte.is_ascii_hexdigit() {
            previous = b'0';
        } else if byte == b'_' {
            if previous != b'0' {
                return false;
            }
            previous = b'_';
        } else {
            if previous == b'_' {
                return false;
            }
            previous = b'!';
        }
    }
    previous != b'_'
}

/// Go's `strconv.ParseFloat` of 64 bits.
pub(crate) fn parse_float(text: &[u8]) -> Result<f64, NumberError> {
    let text = std::str::from_utf8(text).map_err(|_| NumberError::Syntax)?;
    let unsigned = text.strip_prefix(['+', '-']).unwrap_or(text);
    if unsigned.is_empty() {
        return Err(NumberError::Syntax);
    }
    let folded = unsigned.to_ascii_lowercase();
    if let Some(hex) = folded.strip_prefix("0x") {
        let magnitude = parse_hex_float(hex, text)?;
        return Ok(if text.starts_with('-') { -magnitude } else { magnitude });
    }
    if folded == "nan" {
        return if unsigned.len() == text.len() { Ok(f64::NAN) } else { Err(NumberError::Syntax) };
    }
    let number: f64 = match text.contains('_') {
        true if is_underscore_ok(text.as_bytes()) => text.replace('_', "").parse(),
        true => return Err(NumberError::Syntax),
        false => text.parse(),
    }
    .map_err(|_| NumberError::Syntax)?;
    if number.is_infinite() && !matches!(folded.as_str(), "inf" | "infinity") {
        return Err(NumberError::Range);
    }
    Ok(number)
}

/// `1.8p3` after `0x`; the exponent is not optional.
fn parse_hex_float(hex: &str, whole: &str) -> Result<f64, NumberError> {
    let (mantissa, exponent) = hex.split_once('p').ok_or(NumberError::Syntax)?;
    if whole.contains('_') && !is_underscore_ok(whole.as_bytes()) {
        return Err(NumberError::Syntax);
    }
    let exponent: i32 = exponent.replace('_', "").parse().map_err(|_| NumberError::Syntax)?;
    let mantissa = mantissa.replace('_', "");
    let (whole_digits, fraction) = mantissa.split_once('.').unwrap_or((&mantissa, ""));
    if whole_digits.is_empty() && fraction.is_empty() {
        return Err(NumberError::Syntax);
    }
    let mut value = 0.0_f64;
    for digit in whole_digits.chars().chain(fraction.chars()) {
        value = value.mul_add(16.0, f64::from(digit.to_digit(16).ok_or(NumberError::Syntax)?));
    }
    let shift = i32::try_from(fraction.len()).map_err(|_| NumberError::Range)?.saturating_mul(4);
    let number = value * 2.0_f64.powi(exponent.saturating_sub(shift));
    if number.is_infinite() { Err(NumberError::Range) } else { Ok(number) }
}

/// `cast` drops `.000` before it reads an integer.
fn without_zero_decimals(text: &[u8]) -> &[u8] {
    let kept = text.len() - text.iter().rev().take_while(|&&byte| byte == b'0').count();
    if kept == text.len() {
        return text;
    }
    match text.get(..kept) {
        Some([whole @ .., b'.']) => whole,
        _ => text,
    }
}

/// `cast.ToInt64` of a text: 0 when it is no number.
pub(crate) fn text_to_int(text: &[u8]) -> i64 {
    parse_int(without_zero_decimals(text), Base::Prefixed).unwrap_or(0)
}

/// `cast.ToFloat64` of a text: 0 when it is no number.
pub(crate) fn text_to_float(text: &[u8]) -> f64 {
    parse_float(text).unwrap_or(0.0)
}

/// Go's `math.Pow(10, places)`, with its rounding of every multiplication.
pub(crate) fn power_of_ten(places: i64) -> f64 {
    // 10 is 0.625 * 2^4.
    let (mut factor, mut factor_exponent) = (0.625_f64, 4_i64);
    let (mut product, mut exponent) = (1.0_f64, 0_i64);
    let mut rest = places.unsigned_abs();
    while rest != 0 {
        if !(-4096..=4096).contains(&factor_exponent) {
            return if places < 0 { 0.0 } else { f64::INFINITY };
        }
        if rest & 1 == 1 {
            product *= factor;
            exponent += factor_exponent;
        }
        factor *= factor;
        factor_exponent *= 2;
        if factor < 0.5 {
            factor += factor;
            factor_exponent -= 1;
        }
        rest >>= 1;
    }
    if places < 0 {
        product = 1.0 / product;
        exponent = -exponent;
    }
    let half = i32::try_from(exponent / 2).unwrap_or(i32::MAX);
    let other = i32::try_from(exponent - exponent / 2).unwrap_or(i32::MAX);
    product * 2.0_f64.powi(half) * 2.0_f64.powi(other)
}

/// sprig's `round`: to `places` decimal places, up from `round_on`.
pub(crate) fn round(value: f64, places: i64, round_on: f64) -> f64 {
    let power = power_of_ten(places);
    let digits = power * value;
    let rounded = if digits.fract() >= round_on { digits.ceil() } else { digits.floor() };
    rounded / power
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn integers_are_read_with_prefix_and_underscores() {
        let rows: [(&str, Result<i64, NumberError>); 14] = [
            ("0x1F", Ok(31)),
            ("010", Ok(8)),
            ("-0b11", Ok(-3)),
            ("1_000", Ok(1000)),
            ("1__0", Err(NumberError::Syntax)),
            ("0x_1", Ok(1)),
            ("_1", Err(NumberError::Syntax)),
            ("08", Err(NumberError::Syntax)),
            ("", Err(NumberError::Syntax)),
            ("+5", Ok(5)),
            ("-9223372036854775808", Ok(i64::MIN)),
            ("9223372036854775808", Err(NumberError::Range)),
            ("1.5", Err(NumberError::Syntax)),
            ("0x", Err(NumberError::Syntax)),
        ];
        for (given, expected) in rows {
            assert_eq!(parse_int(given.as_bytes(), Base::Prefixed), expected, "{given}");
        }
    }

    #[test]
    fn cast_drops_zero_decimals_only() {
        assert_eq!(
            ["5.0", "5.00", "5.", "1.5", "abc", "100"].map(|text| text_to_int(text.as_bytes())),
            [5, 5, 0, 0, 0, 100]
        );
    }

    #[test]
    fn floats_are_read_as_go_reads_them() {
        assert_eq!(parse_float(b"1e400"), Err(NumberError::Range));
        assert_eq!(parse_float(b"0x1.8p1"), Ok(3.0));
        assert_eq!(parse_float(b"-Inf"), Ok(f64::NEG_INFINITY));
        assert_eq!(parse_float(b"1_0"), Ok(10.0));
        assert_eq!(parse_float(b"1_"), Err(NumberError::Syntax));
        assert_eq!(parse_float(b".5"), Ok(0.5));
        assert_eq!(parse_float(b"0x1F"), Err(NumberError::Syntax));
    }

    #[test]
    fn rounding_goes_over_powers_of_ten() {
        assert_eq!(round(123.555_555, 3, 0.5), 123.556);
        assert_eq!(round(123.49, 0, 0.5), 123.0);
        assert_eq!((power_of_ten(22), power_of_ten(-3), power_of_ten(400)), (1e22, 1e-3, f64::INFINITY));
    }
}
