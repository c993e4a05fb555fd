//! Go durations (`1h30m`, `500ms`), the form that Kubernetes APIs write spans of time in.

use std::fmt::Write as _;

use crate::Duration;

/// Why a text is not a duration.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is not a duration: {why}")]
pub struct DurationError {
    /// The text as given.
    pub text: String,
    /// What is wrong with it.
    pub why: &'static str,
}

const UNITS: [(&str, u64); 8] = [
    ("ns", 1),
    ("us", 1_000),
    ("µs", 1_000),
    ("μs", 1_000),
    ("ms", 1_000_000),
    ("s", 1_000_000_000),
    ("m", 60_000_000_000),
    ("h", 3_600_000_000_000),
];

/// Parses a duration with the grammar of Go's `time.ParseDuration`; negative ones are refused.
///
/// # Errors
/// When the text is empty, negative, has no unit or is too large.
pub fn parse_go_duration(text: &str) -> Result<Duration, DurationError> {
    let fail = |why| DurationError { text: text.to_owned(), why };
    if text == "0" {
        return Ok(Duration::ZERO);
    }
    let mut rest = text.strip_prefix('+').unwrap_or(text);
    if rest.starts_with('-') {
        return Err(fail("it is negative"));
    }
    if rest.is_empty() {
        return Err(fail("it is empty"));
    }
    let mut total: u128 = 0;
    while !rest.is_empty() {
        let number_end = rest.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(rest.len());
        let (number, tail) = rest.split_at(number_end);
        let unit_end = tail.find(|c: char| c.is_ascii_digit() || c == '.').unwrap_or(tail.len());
        let (unit, tail) = tail.split_at(unit_end);
        let scale = UNITS.iter().find(|(name, _)| *name == unit).map(|(_, scale)| *scale);
        let scale = scale.ok_or_else(|| fail("a number needs a unit: ns, us, ms, s, m or h"))?;
        total = total.saturating_add(scaled(number, scale).ok_or_else(|| fail("it has no number before its unit"))?);
        rest = tail;
    }
    let nanos = u64::try_from(total).ok().filter(|nanos| i64::try_from(*nanos).is_ok());
    nanos.map(Duration::from_nanos).ok_or_else(|| fail("it is longer than 292 years"))
}

/// Multiplies a decimal number by `scale` without floating point.
fn scaled(number: &str, scale: u64) -> Option<u128> {
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    if whole.is_empty() && fraction.is_empty() || whole.len() > 20 || fraction.contains('.') {
        return None;
    }
    let mut total = if whole.is_empty() { 0 } else { whole.parse::<u128>().ok()? * u128::from(scale) };
    let mut place = u128::from(scale);
    for digit in fraction.bytes() {
        place /= 10;
        total += place * u128::from(digit.checked_sub(b'0')?);
    }
    Some(total)
}

/// Formats a duration as Go's `Duration.String` does (`1h0m0s`, `1.5s`, `250ms`).
pub fn format_go_duration(duration: Duration) -> String {
    let nanos = duration.as_nanos();
    if nanos == 0 {
        return "0s".to_owned();
    }
    let with_fraction = |scale: u128, unit: &str| {
        let mut text = format!("{}", nanos % (60 * scale) / scale);
        let fraction = nanos % scale;
        if fraction > 0 {
            let width = scale.ilog10() as usize;
            let digits = format!("{fraction:0width$}");
            let _ = write!(text, ".{}", digits.trim_end_matches('0'));
        }
        text + unit
    };
    if nanos < 1_000 {
        return format!("{nanos}ns");
    }
    if nanos < 1_000_000 {
        return fraction_of(nanos, 1_000, "µs");
    }
    if nanos < 1_000_000_000 {
        return fraction_of(nanos, 1_000_000, "ms");
    }
    let minutes = nanos / 60_000_000_000;
    let seconds = with_fraction(1_000_000_000, "s");
    match (minutes / 60, minutes % 60) {
        (0, 0) => seconds,
        (0, minutes) => format!("{minutes}m{seconds}"),
        (hours, minutes) => format!("{hours}h{minutes}m{seconds}"),
    }
}

fn fraction_of(nanos: u128, scale: u128, unit: &str) -> String {
    let mut text = (nanos / scale).to_string();
    let fraction = nanos % scale;
    if fraction > 0 {
        let width = scale.ilog10() as usize;
        let digits = format!("{fraction:0width$}");
        let _ = write!(text, ".{}", digits.trim_end_matches('0'));
    }
    text + unit
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_read_as_go_reads_them() {
        for (text, nanos) in [
            ("0", 0),
            ("5s", 5_000_000_000),
            ("1h30m", 5_400_000_000_000),
            ("1.5s", 1_500_000_000),
            (".5s", 500_000_000),
            ("250ms", 250_000_000),
            ("1us2ns", 1_002),
        ] {
            assert_eq!(parse_go_duration(text), Ok(Duration::from_nanos(nanos)), "{text}");
        }
    }

    #[test]
    fn what_go_refuses_is_refused_with_the_reason() {
        for (text, why) in [
            ("", "it is empty"),
            ("-1s", "it is negative"),
            ("5", "a number needs a unit: ns, us, ms, s, m or h"),
            ("s", "it has no number before its unit"),
            ("9999999h", "it is longer than 292 years"),
        ] {
            assert_eq!(parse_go_duration(text).unwrap_err().why, why, "{text}");
        }
    }

    #[test]
    fn durations_print_as_go_prints_them() {
        for (nanos, text) in [
            (0, "0s"),
            (1, "1ns"),
            (1_100, "1.1µs"),
            (2_200_000, "2.2ms"),
            (1_500_000_000, "1.5s"),
            (60_000_000_000, "1m0s"),
            (3_600_000_000_000, "1h0m0s"),
            (5_405_000_000_001, "1h30m5.000000001s"),
        ] {
            assert_eq!(format_go_duration(Duration::from_nanos(nanos)), text);
        }
    }
}
