//! Numbers as Go writes them: `strconv.FormatFloat(x, 'g', -1, bits)` and `encoding/json`.

/// The decimal digits of a finite float and the power of ten of the first one.
struct Decimal {
    is_negative: bool,
    digits: String,
    exponent: i32,
}

/// Splits the shortest notation of a finite float, whose digits are the same as Go's.
///
/// The digits are those of `serde_json`, which breaks ties to even as Go does; the standard library rounds them up.
fn decimal(shortest: &str) -> Decimal {
    let (is_negative, unsigned) = match shortest.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, shortest),
    };
    let (mantissa, exponent) = unsigned.split_once('e').unwrap_or((unsigned, "0"));
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let written = format!("{whole}{fraction}");
    let digits = written.trim_start_matches('0');
    if digits.is_empty() {
        return Decimal { is_negative, digits: "0".to_owned(), exponent: 0 };
    }
    let leading_zeros = written.len() - digits.len();
    let shift = i32::try_from(whole.len()).unwrap_or(0) - 1 - i32::try_from(leading_zeros).unwrap_or(0);
    Decimal {
        is_negative,
        digits: digits.trim_end_matches('0').to_owned(),
        exponent: exponent.parse::<i32>().unwrap_or(0) + shift,
    }
}

fn shortest(x: f64) -> Decimal {
    decimal(&serde_json::to_string(&x).unwrap_or_default())
}

/// Formats as Go's `FormatFloat(x, 'g', -1, 64)`, with YAML's words for what is not finite.
pub(crate) fn format_go(x: f64) -> String {
    match not_finite(x) {
        Some(word) => word.to_owned(),
        None => general(&shortest(x)),
    }
}

/// Formats as Go's `FormatFloat(x, 'g', -1, 32)`: how a float becomes a string where a string is wanted.
pub fn format_go_single(x: f64) -> String {
    #[expect(clippy::cast_possible_truncation, reason = "the peer narrows float keys to 32 bits")]
    let single = x as f32;
    match not_finite(f64::from(single)) {
        Some(word) => word.to_owned(),
        None => general(&decimal(&serde_json::to_string(&single).unwrap_or_default())),
    }
}

/// Formats as Go's `encoding/json`: plain digits from 1e-6 up to below 1e21, an exponent outside.
pub(crate) fn format_json(x: f64) -> String {
    let decimal = shortest(x);
    if x != 0.0 && (x.abs() < 1e-6 || x.abs() >= 1e21) {
        return exponential(&decimal, 1);
    }
    positional(&decimal)
}

fn not_finite(x: f64) -> Option<&'static str> {
    match x {
        _ if x.is_nan() => Some(".nan"),
        f64::INFINITY => Some(".inf"),
        f64::NEG_INFINITY => Some("-.inf"),
        _ => None,
    }
}

fn general(decimal: &Decimal) -> String {
    // Asked for the shortest form, Go chooses the notation as if the precision were 6.
    let precision = 6;
    if decimal.exponent < -4 || decimal.exponent >= precision { exponential(decimal, 2) } else { positional(decimal) }
}

fn exponential(decimal: &Decimal, exponent_digits: usize) -> String {
    let (first, rest) = decimal.digits.split_at(decimal.digits.len().min(1));
    let sign = if decimal.is_negative { "-" } else { "" };
    let point = if rest.is_empty() { "" } else { "." };
    let exponent_sign = if decimal.exponent < 0 { '-' } else { '+' };
    let exponent = decimal.exponent.unsigned_abs();
    format!("{sign}{first}{point}{rest}e{exponent_sign}{exponent:0exponent_digits$}")
}

fn positional(decimal: &Decimal) -> String {
    let sign = if decimal.is_negative { "-" } else { "" };
    let digits = &decimal.digits;
    if decimal.exponent < 0 {
        let zeros = usize::try_from(-decimal.exponent - 1).unwrap_or(0);
        return format!("{sign}0.{:0<zeros$}{digits}", "");
    }
    let before_point = usize::try_from(decimal.exponent).unwrap_or(0) + 1;
    if digits.len() <= before_point {
        return format!("{sign}{digits:0<before_point$}");
    }
    let (whole, fraction) = digits.split_at(before_point);
    format!("{sign}{whole}.{fraction}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn floats_read_as_go_writes_them() {
        let table = [
            (1_234_567.5, "1.2345675e+06"),
            (123_456.5, "123456.5"),
            (1e20, "1e+20"),
            (0.0001, "0.0001"),
            (0.00001, "1e-05"),
            (715_113_801_247_362.2, "7.151138012473622e+14"),
            (0.1, "0.1"),
            (100.0, "100"),
            (-2.5, "-2.5"),
            (f64::INFINITY, ".inf"),
        ];
        for (x, text) in table {
            assert_eq!(format_go(x), text);
        }
    }

    #[test]
    fn json_floats_have_no_exponent_between_a_millionth_and_a_sextillion() {
        let table =
            [(1e20, "100000000000000000000"), (1e21, "1e+21"), (1e-6, "0.000001"), (1e-7, "1e-7"), (-0.0, "-0")];
        for (x, text) in table {
            assert_eq!(format_json(x), text);
        }
    }
}
