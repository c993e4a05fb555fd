//! Quantities in the canonical form the API server stores: `1000m` is `1`, `0.5` is `500m`, `1024Mi` is `1Gi`.

/// How a quantity was written, which decides its canonical suffixes.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Format {
    Binary,
    DecimalExponent,
    DecimalSuffix,
}

const DIGITS_MAX: usize = 24;

/// The canonical form of a quantity; none when it is not one.
pub(crate) fn canonical(text: &str) -> Option<String> {
    let (nano, format) = read(text)?;
    let sign = if nano < 0 { "-" } else { "" };
    Some(format!("{sign}{}", write(nano.abs(), format)))
}

/// The value in units of 10^-9; none when it is not a quantity.
pub(crate) fn nano(text: &str) -> Option<i128> {
    read(text).map(|(nano, _)| nano)
}

/// Writes nano units in the form of another quantity: decimal or binary.
pub(crate) fn from_nano(nano: i128, like: &str) -> String {
    let format = read(like).map_or(Format::DecimalSuffix, |(_, format)| format);
    let sign = if nano < 0 { "-" } else { "" };
    format!("{sign}{}", write(nano.abs(), format))
}

fn read(text: &str) -> Option<(i128, Format)> {
    let text = text.trim();
    let (negative, rest) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    let end = rest.find(|letter: char| !letter.is_ascii_digit() && letter != '.').unwrap_or(rest.len());
    let (number, suffix) = rest.split_at(end);
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    if whole.len() + fraction.len() == 0 || fraction.contains('.') || whole.len() + fraction.len() > DIGITS_MAX {
        return None;
    }
    let (format, exponent, binary) = read_suffix(suffix)?;
    // The value in nano units (10^-9), rounded up as Kubernetes does.
    let mantissa: i128 = format!("{whole}{fraction}").parse().ok()?;
    let scale = exponent.checked_sub(i32::try_from(fraction.len()).ok()?)?.checked_add(9)?;
    let scaled = mantissa.checked_mul(1_i128.checked_shl(binary)?)?;
    let nano = if scale >= 0 {
        scaled.checked_mul(10_i128.checked_pow(u32::try_from(scale).ok()?)?)?
    } else {
        let divisor = 10_i128.checked_pow(u32::try_from(-scale).ok()?)?;
        scaled.checked_add(divisor - 1)? / divisor
    };
    Some((if negative { -nano } else { nano }, format))
}

fn read_suffix(suffix: &str) -> Option<(Format, i32, u32)> {
    let table = [
        ("", Format::DecimalSuffix, 0, 0),
        ("n", Format::DecimalSuffix, -9, 0),
        ("u", Format::DecimalSuffix, -6, 0),
        ("m", Format::DecimalSuffix, -3, 0),
        ("k", Format::DecimalSuffix, 3, 0),
        ("M", Format::DecimalSuffix, 6, 0),
        ("G", Format::DecimalSuffix, 9, 0),
        ("T", Format::DecimalSuffix, 12, 0),
        ("P", Format::DecimalSuffix, 15, 0),
        ("E", Format::DecimalSuffix, 18, 0),
        ("Ki", Format::Binary, 0, 10),
        ("Mi", Format::Binary, 0, 20),
        ("Gi", Format::Binary, 0, 30),
        ("Ti", Format::Binary, 0, 40),
        ("Pi", Format::Binary, 0, 50),
        ("Ei", Format::Binary, 0, 60),
    ];
    if let Some((_, format, exponent, binary)) = table.iter().find(|(name, ..)| *name == suffix) {
        return Some((*format, *exponent, *binary));
    }
    let exponent: i32 = suffix.strip_prefix(['e', 'E'])?.parse().ok()?;
    (exponent.abs() <= 18).then_some((Format::DecimalExponent, exponent, 0))
}

fn write(nano: i128, format: Format) -> String {
    if nano == 0 {
        return "0".to_owned();
    }
    const UNIT: i128 = 1_000_000_000;
    if format == Format::Binary && nano % UNIT == 0 && nano / UNIT >= 1024 {
        let mut value = nano / UNIT;
        let mut step = 0usize;
        while value % 1024 == 0 && step < 6 {
            value /= 1024;
            step += 1;
        }
        let suffix = ["", "Ki", "Mi", "Gi", "Ti", "Pi", "Ei"].get(step).copied().unwrap_or_default();
        return format!("{value}{suffix}");
    }
    let mut value = nano;
    let mut exponent = -9i32;
    while value % 1000 == 0 && exponent < 18 {
        value /= 1000;
        exponent += 3;
    }
    if format == Format::DecimalExponent {
        return if exponent == 0 { value.to_string() } else { format!("{value}e{exponent}") };
    }
    let suffix = match exponent {
        -9 => "n",
        -6 => "u",
        -3 => "m",
        3 => "k",
        6 => "M",
        9 => "G",
        12 => "T",
        15 => "P",
        18 => "E",
        _ => "",
    };
    format!("{value}{suffix}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantities_become_canonical() {
        let table = [
            ("1000m", "1"),
            ("0.5", "500m"),
            ("100m", "100m"),
            ("1024Mi", "1Gi"),
            ("128Mi", "128Mi"),
            ("1.5Gi", "1536Mi"),
            ("1000", "1k"),
            ("1048576", "1048576"),
            ("1e3", "1e3"),
            ("0", "0"),
            ("0.5Ki", "512"),
            ("-2", "-2"),
        ];
        for (text, want) in table {
            assert_eq!(canonical(text).as_deref(), Some(want), "{text}");
        }
        assert_eq!(from_nano(1_500_000_000, "1"), "1500m");
        assert_eq!(from_nano(2048 * 1_000_000_000, "1Ki"), "2Ki");
        assert_eq!(canonical("two"), None);
        assert_eq!(canonical("1.2.3"), None);
        assert_eq!(canonical("5x"), None);
    }
}
