//! Go's durations: nanoseconds, written like `1h30m0.5s`.

use super::parse::quote;

pub(crate) const SECOND: i64 = 1_000_000_000;

/// A text that is no duration, told as Go tells it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("time: {what} {}", quote(text))]
pub(crate) struct DurationError {
    what: String,
    text: Vec<u8>,
}

/// Reads a sequence of numbers with units.
pub(crate) fn parse(text: &[u8]) -> Result<i64, DurationError> {
    let error = |what: &str| DurationError { what: what.to_owned(), text: text.to_vec() };
    let (is_negative, mut rest) = match text {
        [b'-', rest @ ..] => (true, rest),
        [b'+', rest @ ..] => (false, rest),
        _ => (false, text),
    };
    if rest == b"0" {
        return Ok(0);
    }
    if rest.is_empty() {
        return Err(error("invalid duration"));
    }
    let mut total: u64 = 0;
    while !rest.is_empty() {
        let (nanoseconds, after) = parse_part(rest).map_err(|what| error(&what))?;
        total =
            total.checked_add(nanoseconds).filter(|&sum| sum <= 1 << 63).ok_or_else(|| error("invalid duration"))?;
        rest = after;
    }
    if is_negative {
        return Ok(0_i64.wrapping_sub_unsigned(total));
    }
    i64::try_from(total).map_err(|_| error("invalid duration"))
}

/// One number with its unit.
fn parse_part(text: &[u8]) -> Result<(u64, &[u8]), String> {
    let invalid = || "invalid duration".to_owned();
    let whole_end = text.iter().take_while(|byte| byte.is_ascii_digit()).count();
    let (whole, mut rest) = text.split_at_checked(whole_end).ok_or_else(invalid)?;
    let mut number: u64 = 0;
    for &digit in whole {
        number = number
            .checked_mul(10)
            .and_then(|number| number.checked_add(u64::from(digit - b'0')))
            .ok_or_else(invalid)?;
        if number > 1 << 63 {
            return Err(invalid());
        }
    }
    let mut fraction: &[u8] = b"";
    if let [b'.', after @ ..] = rest {
        let end = after.iter().take_while(|byte| byte.is_ascii_digit()).count();
        (fraction, rest) = after.split_at_checked(end).ok_or_else(invalid)?;
    }
    if whole.is_empty() && fraction.is_empty() {
        return Err(invalid());
    }
    let unit_end = rest.iter().take_while(|&&byte| byte != b'.' && !byte.is_ascii_digit()).count();
    if unit_end == 0 {
        return Err("missing unit in duration".to_owned());
    }
    let (unit, rest) = rest.split_at_checked(unit_end).ok_or_else(invalid)?;
    let unit = unit_of(unit).ok_or_else(|| format!("unknown unit {} in duration", quote(unit)))?;
    if number > (1 << 63) / unit {
        return Err(invalid());
    }
    let nanoseconds = number * unit + fraction_of(fraction, unit);
    if nanoseconds > 1 << 63 { Err(invalid()) } else { Ok((nanoseconds, rest)) }
}

fn unit_of(name: &[u8]) -> Option<u64> {
    Some(match name {
        b"ns" => 1,
        b"us" | b"\xC2\xB5s" | b"\xCE\xBCs" => 1_000,
        b"ms" => 1_000_000,
        b"s" => 1_000_000_000,
        b"m" => 60_000_000_000,
        b"h" => 3_600_000_000_000,
        _ => return None,
    })
}

/// Digits behind the point, as far as they fit a number.
fn fraction_of(digits: &[u8], unit: u64) -> u64 {
    let (mut number, mut scale) = (0_u64, 1.0_f64);
    for &digit in digits {
        if number > ((1 << 63) - 1) / 10 {
            break;
        }
        let next = number * 10 + u64::from(digit - b'0');
        if next > 1 << 63 {
            break;
        }
        number = next;
        scale *= 10.0;
    }
    #[expect(clippy::cast_precision_loss, reason = "Go rounds here too")]
    let nanoseconds = number as f64 * (unit as f64 / scale);
    u64::try_from(super::super::cast::float_to_int(nanoseconds)).unwrap_or(0)
}

/// Writes a duration as Go does.
pub(crate) fn format(nanoseconds: i64) -> String {
    let magnitude = nanoseconds.unsigned_abs();
    let sign = if nanoseconds < 0 { "-" } else { "" };
    const MICRO: u64 = 1_000;
    const MILLI: u64 = 1_000_000;
    const WHOLE: u64 = 1_000_000_000;
    if magnitude == 0 {
        return "0s".to_owned();
    }
    if magnitude < MICRO {
        return format!("{sign}{magnitude}ns");
    }
    if magnitude < MILLI {
        return format!("{sign}{}µs", with_fraction(magnitude, MICRO));
    }
    if magnitude < WHOLE {
        return format!("{sign}{}ms", with_fraction(magnitude, MILLI));
    }
    let seconds = magnitude / WHOLE;
    let last = format!("{}s", with_fraction(magnitude % (60 * WHOLE), WHOLE));
    match (seconds / 3600, seconds / 60 % 60) {
        (0, 0) => format!("{sign}{last}"),
        (0, minutes) => format!("{sign}{minutes}m{last}"),
        (hours, minutes) => format!("{sign}{hours}h{minutes}m{last}"),
    }
}

fn with_fraction(number: u64, unit: u64) -> String {
    let digits = unit.ilog10() as usize;
    let fraction = format!("{:0digits$}", number % unit);
    let shown = fraction.trim_end_matches('0');
    let point = if shown.is_empty() { "" } else { "." };
    format!("{}{point}{shown}", number / unit)
}

/// Go's `Duration.Round`: half away from zero, and unchanged when it would not fit.
pub(crate) fn round(nanoseconds: i64, unit: i64) -> i64 {
    if unit <= 0 {
        return nanoseconds;
    }
    let rest = nanoseconds % unit;
    let toward_zero = nanoseconds - rest;
    if rest.unsigned_abs() < unit.unsigned_abs() - rest.unsigned_abs() {
        return toward_zero;
    }
    toward_zero.saturating_add(if nanoseconds < 0 { -unit } else { unit })
}

/// sprig's `durationRound`: only the largest unit, a year having 365 and a month 30 days.
pub(crate) fn largest_unit(nanoseconds: i64) -> String {
    const UNITS: [(u64, &str); 6] =
        [(365 * 86_400, "y"), (30 * 86_400, "mo"), (86_400, "d"), (3_600, "h"), (60, "m"), (1, "s")];
    let magnitude = nanoseconds.unsigned_abs();
    for (seconds, name) in UNITS {
        let unit = seconds * 1_000_000_000;
        if magnitude > unit {
            return format!("{}{name}", magnitude / unit);
        }
    }
    "0s".to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_read_and_written() {
        let rows = [
            ("1h30m", "1h30m0s"),
            ("-1.5h", "-1h30m0s"),
            ("300ms", "300ms"),
            ("1.5us", "1.5µs"),
            ("2h45m0.5s", "2h45m0.5s"),
            ("0", "0s"),
            (".5s", "500ms"),
            ("1ns", "1ns"),
        ];
        for (given, expected) in rows {
            assert_eq!(format(parse(given.as_bytes()).unwrap()), expected);
        }
        let errors = [
            ("", r#"time: invalid duration """#),
            ("1", r#"time: missing unit in duration "1""#),
            ("1d", r#"time: unknown unit "d" in duration "1d""#),
            ("x", r#"time: invalid duration "x""#),
            ("9999999999h", r#"time: invalid duration "9999999999h""#),
        ];
        for (given, expected) in errors {
            assert_eq!(parse(given.as_bytes()).unwrap_err().to_string(), expected);
        }
    }

    #[test]
    fn rounding_keeps_the_largest_unit() {
        assert_eq!(largest_unit(parse(b"2400h10m5s").unwrap()), "3mo");
        assert_eq!(largest_unit(parse(b"-45m").unwrap()), "45m");
        assert_eq!(round(parse(b"-1.5s").unwrap(), SECOND), -2 * SECOND);
        assert_eq!(round(parse(b"1.4s").unwrap(), SECOND), SECOND);
    }
}
