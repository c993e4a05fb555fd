//! Floats as Go's `strconv.AppendFloat` writes them.

use std::fmt::Write as _;

/// More digits than any float has; what is asked beyond them is zeros.
const DIGITS_MAX: usize = 1_100;

/// The digits of a float without leading or trailing zeros, and where its decimal point stands among them.
struct Digits {
    digits: Vec<u8>,
    point: i32,
}

impl Digits {
    /// Reads what Rust prints with `{:e}`.
    fn of_scientific(text: &str) -> Self {
        let (mantissa, exponent) = text.split_once('e').unwrap_or((text, "0"));
        let mut digits: Vec<u8> = mantissa.bytes().filter(u8::is_ascii_digit).collect();
        while digits.last() == Some(&b'0') {
            digits.pop();
        }
        let point = if digits.is_empty() { 0 } else { exponent.parse::<i32>().unwrap_or(0) + 1 };
        Self { digits, point }
    }

    fn shortest(value: f64) -> Self {
        Self::of_scientific(&format!("{value:e}"))
    }

    fn rounded(value: f64, count: usize) -> Self {
        Self::of_scientific(&format!("{value:.*e}", count.clamp(1, DIGITS_MAX) - 1))
    }

    fn digit(&self, index: i32) -> char {
        let digit = usize::try_from(index).ok().and_then(|index| self.digits.get(index));
        digit.map_or('0', |digit| char::from(*digit))
    }

    /// Returns how many digits there are.
    fn count(&self) -> i32 {
        i32::try_from(self.digits.len()).unwrap_or(i32::MAX)
    }
}

/// `strconv.FormatFloat(value, format, precision, 64)`; without a precision the shortest text that reads back.
pub(crate) fn format_float(value: f64, format: u8, precision: Option<usize>) -> String {
    if value.is_nan() {
        return "NaN".to_owned();
    }
    if value.is_infinite() {
        return if value > 0.0 { "+Inf".to_owned() } else { "-Inf".to_owned() };
    }
    let mut text = String::from(if value.is_sign_negative() { "-" } else { "" });
    let value = value.abs();
    match format {
        b'b' => binary(&mut text, value),
        b'x' | b'X' => hexadecimal(&mut text, value, format, precision),
        b'e' | b'E' => {
            let digits = precision
                .map_or_else(|| Digits::shortest(value), |count| Digits::rounded(value, count.saturating_add(1)));
            let shown = precision.unwrap_or_else(|| digits.digits.len().saturating_sub(1));
            exponential(&mut text, &digits, shown, format);
        }
        b'f' => fixed(&mut text, value, precision),
        _ => general(&mut text, value, format, precision),
    }
    text
}

fn exponential(text: &mut String, digits: &Digits, precision: usize, letter: u8) {
    text.push(digits.digit(0));
    if precision > 0 {
        text.push('.');
        let precision = i32::try_from(precision).unwrap_or(i32::MAX);
        text.extend((1..=precision).map(|index| digits.digit(index)));
    }
    let exponent = if digits.digits.is_empty() { 0 } else { digits.point - 1 };
    let sign = if exponent < 0 { '-' } else { '+' };
    let _ = write!(text, "{}{sign}{:02}", char::from(letter), exponent.abs());
}

fn fixed(text: &mut String, value: f64, precision: Option<usize>) {
    let Some(precision) = precision else {
        let digits = Digits::shortest(value);
        return plain(text, &digits, (digits.count() - digits.point).max(0));
    };
    let _ = write!(text, "{value:.*}", precision.min(DIGITS_MAX));
    text.extend(std::iter::repeat_n('0', precision.saturating_sub(DIGITS_MAX)));
}

/// Writes digits without an exponent.
fn plain(text: &mut String, digits: &Digits, precision: i32) {
    if digits.point > 0 {
        text.extend((0..digits.point).map(|index| digits.digit(index)));
    } else {
        text.push('0');
    }
    if precision > 0 {
        text.push('.');
        text.extend((0..precision).map(|index| digits.digit(digits.point + index)));
    }
}

fn general(text: &mut String, value: f64, format: u8, precision: Option<usize>) {
    let digits = precision.map_or_else(|| Digits::shortest(value), |count| Digits::rounded(value, count.max(1)));
    let mut precision_left = precision.map_or(digits.count(), |count| i32::try_from(count.max(1)).unwrap_or(i32::MAX));
    let mut threshold = precision_left;
    if threshold > digits.count() && digits.count() >= digits.point {
        threshold = digits.count();
    }
    if precision.is_none() {
        threshold = 6;
    }
    let exponent = digits.point - 1;
    if exponent < -4 || exponent >= threshold {
        precision_left = precision_left.min(digits.count());
        let letter = if format == b'G' { b'E' } else { b'e' };
        return exponential(text, &digits, usize::try_from(precision_left - 1).unwrap_or(0), letter);
    }
    if precision_left > digits.point {
        precision_left = digits.count();
    }
    plain(text, &digits, (precision_left - digits.point).max(0));
}

const MANTISSA_BITS: i32 = 52;

/// Returns mantissa and exponent: the value is mantissa * 2^(exponent - 52).
fn parts(value: f64) -> (u64, i32) {
    let bits = value.to_bits();
    let fraction = bits & ((1 << MANTISSA_BITS) - 1);
    let biased = i32::try_from(bits >> MANTISSA_BITS & 0x7ff).unwrap_or(0);
    if biased == 0 { (fraction, -1_022) } else { (fraction | 1 << MANTISSA_BITS, biased - 1_023) }
}

fn binary(text: &mut String, value: f64) {
    let (mantissa, exponent) = parts(value);
    let _ = write!(text, "{mantissa}p{:+}", exponent - MANTISSA_BITS);
}

fn hexadecimal(text: &mut String, value: f64, format: u8, precision: Option<usize>) {
    let (mut mantissa, mut exponent) = parts(value);
    if mantissa == 0 {
        exponent = 0;
    }
    mantissa <<= 60 - MANTISSA_BITS;
    while mantissa != 0 && mantissa & 1 << 60 == 0 {
        mantissa <<= 1;
        exponent -= 1;
    }
    if let Some(digits @ 0..15) = precision {
        let shift = digits * 4;
        let extra = mantissa << shift & ((1 << 60) - 1);
        mantissa >>= 60 - shift;
        if extra | (mantissa & 1) > 1 << 59 {
            mantissa += 1;
        }
        mantissa <<= 60 - shift;
        if mantissa & 1 << 61 != 0 {
            mantissa >>= 1;
            exponent += 1;
        }
    }
    let is_upper = format == b'X';
    text.push_str(if is_upper { "0X" } else { "0x" });
    text.push(if mantissa >> 60 & 1 == 1 { '1' } else { '0' });
    mantissa <<= 4;
    let shown =
        precision.unwrap_or_else(|| (64 - mantissa.trailing_zeros() as usize).div_ceil(4) * usize::from(mantissa != 0));
    if shown > 0 {
        text.push('.');
    }
    for _ in 0..shown {
        let digit =
            u32::try_from(mantissa >> 60 & 15).ok().and_then(|digit| char::from_digit(digit, 16)).unwrap_or('0');
        text.push(if is_upper { digit.to_ascii_uppercase() } else { digit });
        mantissa <<= 4;
    }
    let sign = if exponent < 0 { '-' } else { '+' };
    let _ = write!(text, "{}{sign}{:02}", if is_upper { 'P' } else { 'p' }, exponent.abs());
}
