//! The shortest digits of floats, in the notations of Go's `strconv`.

/// The decimal digits of a finite float and the power of ten of the first one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Digits {
    pub(super) is_negative: bool,
    pub(super) digits: String,
    pub(super) exponent: i32,
}

impl Digits {
    /// Returns the shortest digits that read back as the float. Those of `serde_json` break ties to even as Go does.
    pub(super) fn of(float: f64) -> Self {
        let text = serde_json::to_string(&float).unwrap_or_default();
        let is_negative = text.starts_with('-');
        let unsigned = text.trim_start_matches('-');
        let (mantissa, exponent) = unsigned.split_once('e').unwrap_or((unsigned, "0"));
        let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
        let written = format!("{whole}{fraction}");
        let digits = written.trim_start_matches('0');
        if digits.is_empty() {
            return Self { is_negative, digits: "0".to_owned(), exponent: 0 };
        }
        let leading_zeros = i32::try_from(written.len() - digits.len()).unwrap_or(0);
        let whole = i32::try_from(whole.len()).unwrap_or(0);
        let exponent = exponent.parse::<i32>().unwrap_or(0) + whole - 1 - leading_zeros;
        Self { is_negative, digits: digits.trim_end_matches('0').to_owned(), exponent }
    }
}

/// Writes the shortest digits, with an exponent of at least so many digits where it lies outside of the range.
pub(super) fn plain_or_exponent(float: f64, plain: std::ops::Range<i32>, exponent_digits: usize) -> String {
    let Digits { is_negative, digits, exponent } = Digits::of(float);
    let sign = if is_negative { "-" } else { "" };
    if !plain.contains(&exponent) {
        let (first, rest) = digits.split_at_checked(1).unwrap_or((&digits, ""));
        let point = if rest.is_empty() { "" } else { "." };
        let exponent_sign = if exponent < 0 { '-' } else { '+' };
        return format!("{sign}{first}{point}{rest}e{exponent_sign}{:0exponent_digits$}", exponent.unsigned_abs());
    }
    let Ok(before_point) = usize::try_from(exponent + 1) else {
        let zeros = usize::try_from(-exponent - 1).unwrap_or(0);
        return format!("{sign}0.{:0<zeros$}{digits}", "");
    };
    if before_point == 0 {
        return format!("{sign}0.{digits}");
    }
    match digits.split_at_checked(before_point) {
        Some((whole, "")) => format!("{sign}{whole}"),
        Some((whole, fraction)) => format!("{sign}{whole}.{fraction}"),
        None => format!("{sign}{digits:0<before_point$}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn notations_are_those_of_go() {
        let json = |float| plain_or_exponent(float, -6..21, 1);
        assert_eq!([0.0, -1.5, 1e6, 1e20, 1e21].map(json), ["0", "-1.5", "1000000", "100000000000000000000", "1e+21"]);
        assert_eq!([0.1, 0.05, 1e-6, 1.5e-7, 12.25].map(json), ["0.1", "0.05", "0.000001", "1.5e-7", "12.25"]);
        let general = |float| plain_or_exponent(float, -4..6, 2);
        assert_eq!([1e5, 1e6, 123_456_789.5, 1e-5].map(general), ["100000", "1e+06", "1.234567895e+08", "1e-05"]);
    }
}
