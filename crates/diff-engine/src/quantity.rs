//! Kubernetes quantities, exactly: `1000m` is `1`, `1Gi` is `1024Mi`.

/// A number as mantissa and exponents, so that no spelling loses a digit: `mantissa * 10^ten * 2^two`.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Exact {
    negative: bool,
    digits: String,
    ten: i64,
    two: i64,
}

/// Whether two texts are the same quantity in different spellings; false when either is not a quantity.
pub(crate) fn same_quantity(left: &str, right: &str) -> bool {
    match (parse(left), parse(right)) {
        (Some(left), Some(right)) => equal(&left, &right),
        _ => false,
    }
}

/// Longer than any quantity that people or controllers write.
const LENGTH_MAX: usize = 40;

fn parse(text: &str) -> Option<Exact> {
    if text.is_empty() || text.len() > LENGTH_MAX || !text.is_ascii() {
        return None;
    }
    let (negative, rest) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    let number_end = rest.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(rest.len());
    let (number, suffix) = rest.split_at(number_end);
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    if (whole.is_empty() && fraction.is_empty()) || fraction.contains('.') {
        return None;
    }
    let (ten, two) = exponents(suffix)?;
    let fraction_digits = i64::try_from(fraction.len()).ok()?;
    Some(Exact { negative, digits: format!("{whole}{fraction}"), ten: ten - fraction_digits, two })
}

fn exponents(suffix: &str) -> Option<(i64, i64)> {
    Some(match suffix {
        "" => (0, 0),
        "n" => (-9, 0),
        "u" => (-6, 0),
        "m" => (-3, 0),
        "k" => (3, 0),
        "M" => (6, 0),
        "G" => (9, 0),
        "T" => (12, 0),
        "P" => (15, 0),
        "E" => (18, 0),
        "Ki" => (0, 10),
        "Mi" => (0, 20),
        "Gi" => (0, 30),
        "Ti" => (0, 40),
        "Pi" => (0, 50),
        "Ei" => (0, 60),
        other => {
            let exponent = other.strip_prefix(['e', 'E'])?;
            (exponent.parse::<i64>().ok().filter(|exponent| exponent.abs() <= 30)?, 0)
        }
    })
}

/// Compares without rounding: both sides are scaled to the smaller exponents and kept as decimal digits.
fn equal(left: &Exact, right: &Exact) -> bool {
    let ten = left.ten.min(right.ten);
    let two = left.two.min(right.two);
    let (left_digits, right_digits) = (scaled(left, ten, two), scaled(right, ten, two));
    left_digits == right_digits && (left.negative == right.negative || left_digits.is_empty())
}

fn scaled(number: &Exact, ten: i64, two: i64) -> String {
    let mut digits: Vec<u32> = number.digits.bytes().rev().map(|byte| u32::from(byte - b'0')).collect();
    for _ in 0..(number.two - two).max(0) {
        let mut carry = 0;
        for digit in &mut digits {
            let doubled = *digit * 2 + carry;
            *digit = doubled % 10;
            carry = doubled / 10;
        }
        if carry > 0 {
            digits.push(carry);
        }
    }
    let zeros = usize::try_from(number.ten - ten).unwrap_or(0);
    let text: String = digits.iter().rev().filter_map(|digit| char::from_digit(*digit, 10)).collect();
    let text = text.trim_start_matches('0');
    if text.is_empty() { String::new() } else { format!("{text}{}", "0".repeat(zeros)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_quantity_in_two_spellings_is_equal() {
        for (left, right) in [
            ("1000m", "1"),
            ("1", "1.0"),
            ("0.5", "500m"),
            ("1Gi", "1024Mi"),
            ("1073741824", "1Gi"),
            ("1k", "1000"),
            ("1e3", "1k"),
            ("128974848", "123Mi"),
            ("0", "0m"),
            ("0.1Gi", "107374182.4"),
        ] {
            assert!(same_quantity(left, right), "{left} = {right}");
        }
    }

    #[test]
    fn different_quantities_and_other_texts_are_not_equal() {
        for (left, right) in
            [("1", "2"), ("1Gi", "1G"), ("100m", "1"), ("abc", "abc"), ("", "0"), ("1x", "1"), ("-1", "1")]
        {
            assert!(!same_quantity(left, right), "{left} != {right}");
        }
    }
}
