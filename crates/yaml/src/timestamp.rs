//! Which plain scalars YAML 1.1 takes for a moment in time.

/// Whether Go's YAML reads `text` as a timestamp. Such a scalar stays a string, but is quoted when written.
pub(crate) fn is_timestamp(text: &str) -> bool {
    date(text).is_some_and(|rest| rest.is_empty() || at_zone(rest).is_some() || without_zone(rest).is_some())
}

/// Reads `2006-1-2` and returns what follows.
fn date(text: &str) -> Option<&str> {
    let leading = text.bytes().take_while(u8::is_ascii_digit).count();
    if leading != 4 {
        return None;
    }
    let (year, rest) = text.split_at(4);
    let year: u32 = year.parse().ok()?;
    let (month, rest) = number(rest.strip_prefix('-')?)?;
    let (day, rest) = number(rest.strip_prefix('-')?)?;
    (day >= 1 && day <= days_in(month, year)?).then_some(rest)
}

/// Reads `T15:4:5.999Z07:00`; the `T` may be small, the `Z` may not.
fn at_zone(rest: &str) -> Option<()> {
    let rest = clock(rest.strip_prefix(['T', 't'])?)?;
    if rest == "Z" {
        return Some(());
    }
    let offset = rest.strip_prefix(['+', '-'])?;
    let (hours, minutes) = offset.split_once(':')?;
    let two_digits = |part: &str| part.len() == 2 && part.bytes().all(|b| b.is_ascii_digit());
    if !two_digits(hours) || !two_digits(minutes) {
        return None;
    }
    (hours.parse::<u32>().ok()? <= 24 && minutes.parse::<u32>().ok()? <= 60).then_some(())
}

/// Reads ` 15:4:5.999`; any number of spaces may stand before it.
fn without_zone(rest: &str) -> Option<()> {
    let rest = clock(rest.strip_prefix(' ')?.trim_start_matches(' '))?;
    rest.is_empty().then_some(())
}

/// Reads `15:4:5` with an optional fraction and returns what follows.
fn clock(text: &str) -> Option<&str> {
    let (hour, rest) = number(text)?;
    let (minute, rest) = number(rest.strip_prefix(':')?)?;
    let (second, rest) = number(rest.strip_prefix(':')?)?;
    if hour >= 24 || minute >= 60 || second >= 60 {
        return None;
    }
    let Some(fraction) = rest.strip_prefix(['.', ',']) else { return Some(rest) };
    let after = fraction.trim_start_matches(|c: char| c.is_ascii_digit());
    // A point without digits is not a fraction; what follows then fails to match.
    if after.len() == fraction.len() { Some(rest) } else { Some(after) }
}

/// Reads one or two digits.
fn number(text: &str) -> Option<(u32, &str)> {
    let digits = text.bytes().take(2).take_while(u8::is_ascii_digit).count();
    let (number, rest) = text.split_at(digits);
    Some((number.parse().ok()?, rest))
}

fn days_in(month: u32, year: u32) -> Option<u32> {
    let is_leap = year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400));
    match month {
        1 | 3 | 5 | 7 | 8 | 10 | 12 => Some(31),
        4 | 6 | 9 | 11 => Some(30),
        2 => Some(if is_leap { 29 } else { 28 }),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_and_moments_are_told_from_other_text() {
        for text in [
            "2001-01-02",
            "2001-1-2",
            "2000-02-29",
            "2001-12-14t21:59:43.10-05:00",
            "2001-12-14T21:59:43Z",
            "2001-12-14 21:59:43.10",
            "2001-12-14   1:2:3",
        ] {
            assert!(is_timestamp(text), "{text}");
        }
        for text in ["2001-02-29", "2001-13-01", "201-1-1", "2001-1-1x", "2001-12-14T21:59Z", "2001-12-14 21:59:43 -5"]
        {
            assert!(!is_timestamp(text), "{text}");
        }
    }
}
