//! Layouts: a format is written as the reference time `Mon Jan 2 15:04:05 MST 2006` would look.

use super::Time;
use super::civil::{MONTHS, WEEKDAYS};

/// One part of a layout.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Element {
    LongMonth,
    Month,
    NumberMonth,
    ZeroMonth,
    LongWeekday,
    Weekday,
    Day,
    BlankDay,
    ZeroDay,
    BlankYearDay,
    ZeroYearDay,
    Hour,
    Hour12,
    ZeroHour12,
    Minute,
    ZeroMinute,
    Second,
    ZeroSecond,
    LongYear,
    Year,
    UpperHalf,
    LowerHalf,
    Zone,
    Offset(OffsetForm),
    /// Digits of the second, behind a point or comma.
    Fraction {
        digits: usize,
        separator: u8,
        trailing_zeros: bool,
    },
}

/// How an offset from UTC is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct OffsetForm {
    /// UTC is written `Z`.
    pub(crate) has_z: bool,
    pub(crate) has_colons: bool,
    pub(crate) parts: OffsetParts,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum OffsetParts {
    Hours,
    Minutes,
    Seconds,
}

/// Fixed spellings, longer ones before those that begin them.
const SPELLINGS: &[(&[u8], Element)] = &[
    (b"January", Element::LongMonth),
    (b"Jan", Element::Month),
    (b"Monday", Element::LongWeekday),
    (b"Mon", Element::Weekday),
    (b"MST", Element::Zone),
    (b"002", Element::ZeroYearDay),
    (b"01", Element::ZeroMonth),
    (b"02", Element::ZeroDay),
    (b"03", Element::ZeroHour12),
    (b"04", Element::ZeroMinute),
    (b"05", Element::ZeroSecond),
    (b"06", Element::Year),
    (b"15", Element::Hour),
    (b"1", Element::NumberMonth),
    (b"2006", Element::LongYear),
    (b"2", Element::Day),
    (b"__2", Element::BlankYearDay),
    (b"_2", Element::BlankDay),
    (b"3", Element::Hour12),
    (b"4", Element::Minute),
    (b"5", Element::Second),
    (b"PM", Element::UpperHalf),
    (b"pm", Element::LowerHalf),
    (b"-070000", offset(false, false, OffsetParts::Seconds)),
    (b"-07:00:00", offset(false, true, OffsetParts::Seconds)),
    (b"-0700", offset(false, false, OffsetParts::Minutes)),
    (b"-07:00", offset(false, true, OffsetParts::Minutes)),
    (b"-07", offset(false, false, OffsetParts::Hours)),
    (b"Z070000", offset(true, false, OffsetParts::Seconds)),
    (b"Z07:00:00", offset(true, true, OffsetParts::Seconds)),
    (b"Z0700", offset(true, false, OffsetParts::Minutes)),
    (b"Z07:00", offset(true, true, OffsetParts::Minutes)),
    (b"Z07", offset(true, false, OffsetParts::Hours)),
];

const fn offset(has_z: bool, has_colons: bool, parts: OffsetParts) -> Element {
    Element::Offset(OffsetForm { has_z, has_colons, parts })
}

/// The next element of a layout: what stands before it, its own spelling, and what follows.
pub(crate) struct Chunk<'a> {
    pub(crate) prefix: &'a [u8],
    pub(crate) spelling: &'a [u8],
    pub(crate) element: Option<Element>,
    pub(crate) rest: &'a [u8],
}

/// Finds the next element.
pub(crate) fn next_chunk(layout: &[u8]) -> Chunk<'_> {
    for place in 0..layout.len() {
        let (prefix, tail) = layout.split_at_checked(place).unwrap_or((layout, b""));
        if let Some((length, element)) = element_at(tail) {
            // In `_2006` the underscore is text.
            let (prefix, tail) = if tail.starts_with(b"_2006") {
                layout.split_at_checked(place + 1).unwrap_or((prefix, tail))
            } else {
                (prefix, tail)
            };
            let (spelling, rest) = tail.split_at_checked(length).unwrap_or((tail, b""));
            return Chunk { prefix, spelling, element: Some(element), rest };
        }
    }
    Chunk { prefix: layout, spelling: b"", element: None, rest: b"" }
}

fn element_at(text: &[u8]) -> Option<(usize, Element)> {
    if matches!(text, [b'.' | b',', b'0' | b'9', ..]) {
        return fraction_at(text);
    }
    if text.starts_with(b"_2006") {
        return Some((4, Element::LongYear));
    }
    for (spelling, element) in SPELLINGS {
        let Some(rest) = text.strip_prefix(*spelling) else { continue };
        // "Janet" and "Monk" are words.
        let is_word =
            matches!(element, Element::Month | Element::Weekday) && rest.first().is_some_and(u8::is_ascii_lowercase);
        if !is_word {
            return Some((spelling.len(), *element));
        }
    }
    None
}

fn fraction_at(text: &[u8]) -> Option<(usize, Element)> {
    let (&separator, digits) = text.split_first()?;
    let &digit = digits.first()?;
    let count = digits.iter().take_while(|&&byte| byte == digit).count();
    if digits.get(count).is_some_and(u8::is_ascii_digit) {
        return None;
    }
    Some((count + 1, Element::Fraction { digits: count, separator, trailing_zeros: digit == b'0' }))
}

/// Writes the time as the layout asks.
pub(crate) fn format(time: &Time, layout: &[u8]) -> Vec<u8> {
    let mut written = Vec::with_capacity(layout.len() + 16);
    let civil = time.civil();
    let zone = time.zone.at(time.seconds);
    let mut rest = layout;
    while !rest.is_empty() {
        let chunk = next_chunk(rest);
        written.extend_from_slice(chunk.prefix);
        let Some(element) = chunk.element else { break };
        rest = chunk.rest;
        let month = MONTHS.get(civil.month as usize - 1).copied().unwrap_or_default();
        let weekday = WEEKDAYS.get(civil.weekday as usize).copied().unwrap_or_default();
        let hour12 = if civil.hour.is_multiple_of(12) { 12 } else { civil.hour % 12 };
        let text = match element {
            Element::LongMonth => month.to_owned(),
            Element::Month => month.get(..3).unwrap_or(month).to_owned(),
            Element::NumberMonth => civil.month.to_string(),
            Element::ZeroMonth => format!("{:02}", civil.month),
            Element::LongWeekday => weekday.to_owned(),
            Element::Weekday => weekday.get(..3).unwrap_or(weekday).to_owned(),
            Element::Day => civil.day.to_string(),
            Element::BlankDay => format!("{:2}", civil.day),
            Element::ZeroDay => format!("{:02}", civil.day),
            Element::BlankYearDay => format!("{:3}", civil.day_of_year),
            Element::ZeroYearDay => format!("{:03}", civil.day_of_year),
            Element::Hour => format!("{:02}", civil.hour),
            Element::Hour12 => hour12.to_string(),
            Element::ZeroHour12 => format!("{hour12:02}"),
            Element::Minute => civil.minute.to_string(),
            Element::ZeroMinute => format!("{:02}", civil.minute),
            Element::Second => civil.second.to_string(),
            Element::ZeroSecond => format!("{:02}", civil.second),
            Element::LongYear if civil.year < 0 => format!("-{:04}", civil.year.unsigned_abs()),
            Element::LongYear => format!("{:04}", civil.year),
            Element::Year => format!("{:02}", civil.year.unsigned_abs() % 100),
            Element::UpperHalf => if civil.hour >= 12 { "PM" } else { "AM" }.to_owned(),
            Element::LowerHalf => if civil.hour >= 12 { "pm" } else { "am" }.to_owned(),
            Element::Zone if zone.abbreviation.is_empty() => offset_text(
                zone.offset_seconds,
                OffsetForm { has_z: false, has_colons: false, parts: OffsetParts::Minutes },
            ),
            Element::Zone => zone.abbreviation.clone(),
            Element::Offset(form) => offset_text(zone.offset_seconds, form),
            Element::Fraction { digits, separator, trailing_zeros } => {
                fraction_text(civil.nanosecond, digits, separator, trailing_zeros)
            }
        };
        written.extend_from_slice(text.as_bytes());
    }
    written
}

fn offset_text(offset_seconds: i32, form: OffsetForm) -> String {
    if form.has_z && offset_seconds == 0 {
        return "Z".to_owned();
    }
    let sign = if offset_seconds / 60 < 0 { '-' } else { '+' };
    // Go keeps the sign of the seconds when the minutes round to zero.
    let minutes = (offset_seconds / 60).unsigned_abs();
    let seconds = if offset_seconds / 60 < 0 { -offset_seconds } else { offset_seconds } % 60;
    let colon = if form.has_colons { ":" } else { "" };
    match form.parts {
        OffsetParts::Hours => format!("{sign}{:02}", minutes / 60),
        OffsetParts::Minutes => format!("{sign}{:02}{colon}{:02}", minutes / 60, minutes % 60),
        OffsetParts::Seconds => format!("{sign}{:02}{colon}{:02}{colon}{seconds:02}", minutes / 60, minutes % 60),
    }
}

fn fraction_text(nanosecond: u32, digits: usize, separator: u8, trailing_zeros: bool) -> String {
    let all = format!("{nanosecond:09}");
    let mut shown: &str = all.get(..digits.min(9)).unwrap_or(&all);
    if !trailing_zeros {
        shown = shown.trim_end_matches('0');
        if shown.is_empty() {
            return String::new();
        }
    }
    // More digits than nine are filled with zeros.
    let filled = if trailing_zeros { digits.min(64) } else { shown.len() };
    format!("{}{shown:0<filled$}", char::from(separator))
}

#[cfg(test)]
mod tests {
    use super::super::zone::Zone;
    use super::*;

    #[test]
    fn layouts_are_written_as_go_writes_them() {
        let time = Time::from_unix(1_136_239_445, 123_456_000);
        let away = time.clone().in_zone(Zone::Fixed { name: String::new(), offset_seconds: -7 * 3600 });
        let rows = [
            ("Monday, 02-Jan-06 15:04:05 MST", "Monday, 02-Jan-06 22:04:05 UTC", "Monday, 02-Jan-06 15:04:05 -0700"),
            ("2006-01-02T15:04:05.999999999Z07:00", "2006-01-02T22:04:05.123456Z", "2006-01-02T15:04:05.123456-07:00"),
            ("3:4:5pm _2 __2 002 Janet Jan", "10:4:5pm  2   2 002 Janet Jan", "3:4:5pm  2   2 002 Janet Jan"),
            (".000 ,00 .0001 .99", ".123 ,12 .0001 .12", ".123 ,12 .0001 .12"),
            ("_2006 -07 -07:00:00", "_2006 +00 +00:00:00", "_2006 -07 -07:00:00"),
        ];
        for (layout, utc, mountain) in rows {
            assert_eq!(String::from_utf8(format(&time, layout.as_bytes())).unwrap(), utc);
            assert_eq!(String::from_utf8(format(&away, layout.as_bytes())).unwrap(), mountain);
        }
        assert_eq!(Time::zero().to_string(), "0001-01-01 00:00:00 +0000 UTC");
    }
}
