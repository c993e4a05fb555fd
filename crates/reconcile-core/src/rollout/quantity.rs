//! Amounts as Kubernetes writes them back: `1000m` is `1`, `1024Mi` is `1Gi`.

/// Billionths: the smallest part that an amount keeps.
const NANO: i128 = 1_000_000_000;
/// Longer than any amount that people or controllers write.
const LENGTH_MAX: usize = 40;

/// How an amount's unit is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Unit {
    Decimal,
    Binary,
    Exponent,
}

/// The one spelling of an amount; nothing when the text is none, or more than fits.
pub(super) fn canonical_quantity(text: &str) -> Option<String> {
    let (nanos, unit) = parse(text)?;
    if nanos == 0 {
        return Some("0".to_owned());
    }
    // Small binary amounts are written as decimals, so that nothing is rounded.
    let unit = if unit == Unit::Binary && nanos.abs() < 1_024 * NANO { Unit::Decimal } else { unit };
    if unit == Unit::Binary {
        let mut whole = nanos.div_euclid(NANO) + i128::from(nanos.rem_euclid(NANO) != 0);
        let mut steps = 0;
        while whole % 1_024 == 0 && steps < 6 {
            whole /= 1_024;
            steps += 1;
        }
        let suffix = ["", "Ki", "Mi", "Gi", "Ti", "Pi", "Ei"].get(steps)?;
        return Some(format!("{whole}{suffix}"));
    }
    let (mut value, mut steps) = (nanos, 0);
    while value % 1_000 == 0 && steps < 9 {
        value /= 1_000;
        steps += 1;
    }
    let suffix = match unit {
        Unit::Exponent if steps == 3 => String::new(),
        Unit::Exponent => format!("e{}", i64::try_from(steps).ok()? * 3 - 9),
        _ => (*["n", "u", "m", "", "k", "M", "G", "T", "P", "E"].get(steps)?).to_owned(),
    };
    Some(format!("{value}{suffix}"))
}

fn parse(text: &str) -> Option<(i128, Unit)> {
    if text.is_empty() || text.len() > LENGTH_MAX || !text.is_ascii() {
        return None;
    }
    let (sign, rest) = match text.strip_prefix('-') {
        Some(rest) => (-1, rest),
        None => (1, text.strip_prefix('+').unwrap_or(text)),
    };
    let end = rest.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(rest.len());
    let (number, suffix) = rest.split_at(end);
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    if (whole.is_empty() && fraction.is_empty()) || fraction.contains('.') {
        return None;
    }
    let (ten, two, unit) = scale(suffix)?;
    let digits: i128 = format!("0{whole}{fraction}").parse().ok()?;
    let scaled = digits.checked_mul(1_i128.checked_shl(two)?)?;
    let power = ten + 9 - i32::try_from(fraction.len()).ok()?;
    let nanos = match u32::try_from(power) {
        Ok(power) => scaled.checked_mul(10_i128.checked_pow(power)?)?,
        // Less than a billionth is rounded up.
        Err(_) => {
            let divisor = 10_i128.checked_pow(power.unsigned_abs())?;
            scaled / divisor + i128::from(scaled % divisor != 0)
        }
    };
    Some((sign * nanos, unit))
}

/// The powers of ten and of two that a suffix stands for.
fn scale(suffix: &str) -> Option<(i32, u32, Unit)> {
    let decimal = |power| Some((power, 0, Unit::Decimal));
    let binary = |power| Some((0, power, Unit::Binary));
    match suffix {
        "n" => decimal(-9),
        "u" => decimal(-6),
        "m" => decimal(-3),
        "" => decimal(0),
        "k" => decimal(3),
        "M" => decimal(6),
        "G" => decimal(9),
        "T" => decimal(12),
        "P" => decimal(15),
        "E" => decimal(18),
        "Ki" => binary(10),
        "Mi" => binary(20),
        "Gi" => binary(30),
        "Ti" => binary(40),
        "Pi" => binary(50),
        "Ei" => binary(60),
        other => {
            let exponent = other.strip_prefix(['e', 'E'])?.parse::<i32>().ok()?;
            (exponent.abs() <= 18).then_some((exponent, 0, Unit::Exponent))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_have_one_spelling() {
        for (written, canonical) in [
            ("1000m", "1"),
            ("1024Mi", "1Gi"),
            ("16Mi", "16Mi"),
            ("0.5", "500m"),
            ("1.5Gi", "1536Mi"),
            ("1500M", "1500M"),
            ("1000M", "1G"),
            ("100Ki", "100Ki"),
            ("0", "0"),
            ("0.5Ki", "512"),
            ("1e3", "1e3"),
            ("12e6", "12e6"),
            ("-1", "-1"),
        ] {
            assert_eq!(canonical_quantity(written).as_deref(), Some(canonical), "{written}");
        }
        for nonsense in ["", "invalid", "1.2.3", "1Qi", "."] {
            assert_eq!(canonical_quantity(nonsense), None, "{nonsense}");
        }
    }
}
