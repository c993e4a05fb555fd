//! Reads a time by a layout, with Go's leniency and Go's complaints.

use super::Time;
use super::civil::{MONTHS, WEEKDAYS, days_in, is_leap, seconds_of};
use super::layout::{Element, OffsetForm, OffsetParts, next_chunk};
use super::zone::Zone;

/// A text that does not follow its layout, told as Go tells it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct TimeError {
    value: Vec<u8>,
    what: String,
}

impl std::error::Error for TimeError {}

impl std::fmt::Display for TimeError {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "parsing time {}{}", quote(&self.value), self.what)
    }
}

/// Quotes as Go's `time` package does: everything above ASCII in hexadecimal.
pub(crate) fn quote(text: &[u8]) -> String {
    let mut quoted = String::with_capacity(text.len() + 2);
    quoted.push('"');
    for &byte in text {
        match byte {
            b'"' | b'\\' => quoted.extend(['\\', char::from(byte)]),
            0x20..=0x7F => quoted.push(char::from(byte)),
            _ => quoted.push_str(&format!("\\x{byte:02x}")),
        }
    }
    quoted.push('"');
    quoted
}

/// What makes an element unreadable.
enum Bad {
    /// It is not there.
    Form,
    /// It is out of its range; what stood behind it was read already.
    Range(&'static str),
}

/// What has been read so far.
#[derive(Default)]
struct Fields {
    year: i64,
    month: Option<u32>,
    day: Option<u32>,
    day_of_year: Option<u32>,
    hour: u32,
    minute: u32,
    second: u32,
    nanosecond: u32,
    half: Option<Half>,
    is_utc: bool,
    offset_seconds: Option<i32>,
    zone_name: Option<Vec<u8>>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Half {
    Morning,
    Afternoon,
}

/// Go's `time.ParseInLocation` with the local zone, which is UTC.
pub(crate) fn parse(layout: &[u8], value: &[u8]) -> Result<Time, TimeError> {
    let cannot = |value_rest: &[u8], element: &[u8]| TimeError {
        value: value.to_vec(),
        what: format!(" as {}: cannot parse {} as {}", quote(layout), quote(value_rest), quote(element)),
    };
    let told = |what: &str| TimeError { value: value.to_vec(), what: format!(": {what}") };
    let (mut layout_rest, mut rest) = (layout, value);
    let mut fields = Fields::default();
    loop {
        let chunk = next_chunk(layout_rest);
        rest = skip(rest, chunk.prefix).map_err(|rest| cannot(rest, chunk.prefix))?;
        let Some(element) = chunk.element else {
            if !rest.is_empty() {
                return Err(told(&format!("extra text: {}", quote(rest))));
            }
            break;
        };
        layout_rest = chunk.rest;
        match fields.read(element, rest, layout_rest) {
            Ok(after) => rest = after,
            Err(Bad::Form) => return Err(cannot(rest, chunk.spelling)),
            Err(Bad::Range(what)) => return Err(told(&format!("{what} out of range"))),
        }
    }
    fields.finish().map_err(told)
}

impl Fields {
    fn read<'a>(&mut self, element: Element, text: &'a [u8], layout_rest: &[u8]) -> Result<&'a [u8], Bad> {
        match element {
            Element::Year => {
                let (digits, rest) = text.split_at_checked(2).ok_or(Bad::Form)?;
                let year = signed(digits).ok_or(Bad::Form)?;
                self.year = if year >= 69 { year + 1900 } else { year + 2000 };
                Ok(rest)
            }
            Element::LongYear => {
                let (digits, rest) = text.split_at_checked(4).ok_or(Bad::Form)?;
                if !digits.first().is_some_and(u8::is_ascii_digit) {
                    return Err(Bad::Form);
                }
                self.year = signed(digits).ok_or(Bad::Form)?;
                Ok(rest)
            }
            Element::Month | Element::LongMonth => {
                let (place, rest) = lookup(text, &MONTHS, element == Element::Month)?;
                self.month = Some(place + 1);
                Ok(rest)
            }
            Element::NumberMonth | Element::ZeroMonth => {
                let (month, rest) = number(text, element == Element::ZeroMonth)?;
                self.month = Some(within(month, 1, 12, "month")?);
                Ok(rest)
            }
            Element::Weekday | Element::LongWeekday => {
                lookup(text, &WEEKDAYS, element == Element::Weekday).map(|(_, rest)| rest)
            }
            Element::Day | Element::BlankDay | Element::ZeroDay => {
                let text = if element == Element::BlankDay { text.strip_prefix(b" ").unwrap_or(text) } else { text };
                let (day, rest) = number(text, element == Element::ZeroDay)?;
                self.day = Some(day);
                Ok(rest)
            }
            Element::BlankYearDay | Element::ZeroYearDay => self.read_day_of_year(element, text),
            Element::Hour => {
                let (hour, rest) = number(text, false)?;
                self.hour = within(hour, 0, 23, "hour")?;
                Ok(rest)
            }
            Element::Hour12 | Element::ZeroHour12 => {
                let (hour, rest) = number(text, element == Element::ZeroHour12)?;
                self.hour = within(hour, 0, 12, "hour")?;
                Ok(rest)
            }
            Element::Minute | Element::ZeroMinute => {
                let (minute, rest) = number(text, element == Element::ZeroMinute)?;
                self.minute = within(minute, 0, 59, "minute")?;
                Ok(rest)
            }
            Element::Second | Element::ZeroSecond => self.read_second(element, text, layout_rest),
            Element::UpperHalf | Element::LowerHalf => self.read_half(element, text),
            Element::Offset(form) => self.read_offset(form, text),
            Element::Zone => self.read_zone(text),
            Element::Fraction { digits, trailing_zeros: true, .. } => {
                let (fraction, rest) = text.split_at_checked(digits + 1).ok_or(Bad::Form)?;
                self.nanosecond = nanoseconds(fraction)?;
                Ok(rest)
            }
            Element::Fraction { .. } => {
                if !begins_fraction(text) {
                    return Ok(text);
                }
                self.read_fraction(text)
            }
        }
    }

    fn read_day_of_year<'a>(&mut self, element: Element, text: &'a [u8]) -> Result<&'a [u8], Bad> {
        let mut text = text;
        if element == Element::BlankYearDay {
            for _ in 0..2 {
                text = text.strip_prefix(b" ").unwrap_or(text);
            }
        }
        let count = text.iter().take(3).take_while(|byte| byte.is_ascii_digit()).count();
        if count == 0 || element == Element::ZeroYearDay && count != 3 {
            return Err(Bad::Form);
        }
        let (digits, rest) = text.split_at_checked(count).ok_or(Bad::Form)?;
        self.day_of_year = signed(digits).and_then(|day| u32::try_from(day).ok());
        Ok(rest)
    }

    fn read_second<'a>(&mut self, element: Element, text: &'a [u8], layout_rest: &[u8]) -> Result<&'a [u8], Bad> {
        let (second, rest) = number(text, element == Element::ZeroSecond)?;
        self.second = within(second, 0, 59, "second")?;
        // A fraction is taken even where the layout has none.
        let layout_has_fraction = matches!(next_chunk(layout_rest).element, Some(Element::Fraction { .. }));
        if begins_fraction(rest) && !layout_has_fraction {
            return self.read_fraction(rest);
        }
        Ok(rest)
    }

    fn read_fraction<'a>(&mut self, text: &'a [u8]) -> Result<&'a [u8], Bad> {
        let digits = text.iter().skip(1).take_while(|byte| byte.is_ascii_digit()).count();
        let (fraction, rest) = text.split_at_checked(digits + 1).ok_or(Bad::Form)?;
        self.nanosecond = nanoseconds(fraction)?;
        Ok(rest)
    }

    fn read_half<'a>(&mut self, element: Element, text: &'a [u8]) -> Result<&'a [u8], Bad> {
        let (half, rest) = text.split_at_checked(2).ok_or(Bad::Form)?;
        self.half = Some(match (element, half) {
            (Element::UpperHalf, b"PM") | (Element::LowerHalf, b"pm") => Half::Afternoon,
            (Element::UpperHalf, b"AM") | (Element::LowerHalf, b"am") => Half::Morning,
            _ => return Err(Bad::Form),
        });
        Ok(rest)
    }

    fn read_offset<'a>(&mut self, form: OffsetForm, text: &'a [u8]) -> Result<&'a [u8], Bad> {
        if form.has_z
            && let [b'Z', rest @ ..] = text
        {
            self.is_utc = true;
            return Ok(rest);
        }
        let shape: &[u8] = match (form.parts, form.has_colons) {
            (OffsetParts::Hours, _) => b"+hh",
            (OffsetParts::Minutes, true) => b"+hh:mm",
            (OffsetParts::Minutes, false) => b"+hhmm",
            (OffsetParts::Seconds, true) => b"+hh:mm:ss",
            (OffsetParts::Seconds, false) => b"+hhmmss",
        };
        let (written, rest) = text.split_at_checked(shape.len()).ok_or(Bad::Form)?;
        let mut digits = Vec::with_capacity(6);
        for (&byte, &expected) in written.iter().zip(shape).skip(1) {
            match expected {
                b':' if byte != b':' => return Err(Bad::Form),
                b':' => {}
                _ => digits.push(byte),
            }
        }
        let mut parts = [0_u32; 3];
        let mut wrong = false;
        for (part, pair) in parts.iter_mut().zip(digits.chunks(2)) {
            // Go checks the ranges even after a part that is no number.
            match number(pair, true) {
                Ok((value, _)) if !wrong => *part = value,
                _ => wrong = true,
            }
        }
        let [hours, minutes, seconds] = parts;
        within(hours, 0, 24, "time zone offset hour")?;
        within(minutes, 0, 60, "time zone offset minute")?;
        within(seconds, 0, 60, "time zone offset second")?;
        if wrong {
            return Err(Bad::Form);
        }
        let magnitude = i32::try_from((hours * 60 + minutes) * 60 + seconds).unwrap_or(0);
        self.offset_seconds = Some(match written.first() {
            Some(b'+') => magnitude,
            Some(b'-') => -magnitude,
            _ => return Err(Bad::Form),
        });
        Ok(rest)
    }

    fn read_zone<'a>(&mut self, text: &'a [u8]) -> Result<&'a [u8], Bad> {
        if let Some(rest) = text.strip_prefix(b"UTC") {
            self.is_utc = true;
            return Ok(rest);
        }
        let length = zone_length(text).ok_or(Bad::Form)?;
        let (name, rest) = text.split_at_checked(length).ok_or(Bad::Form)?;
        self.zone_name = Some(name.to_vec());
        Ok(rest)
    }

    fn finish(self) -> Result<Time, &'static str> {
        let hour = match self.half {
            Some(Half::Afternoon) if self.hour < 12 => self.hour + 12,
            Some(Half::Morning) if self.hour == 12 => 0,
            _ => self.hour,
        };
        let (month, day) = match self.day_of_year {
            None => (self.month.unwrap_or(1), self.day.unwrap_or(1)),
            Some(day_of_year) => {
                let (month, day) = month_and_day(self.year, day_of_year).ok_or("day-of-year out of range")?;
                if self.month.is_some_and(|stated| stated != month) {
                    return Err("day-of-year does not match month");
                }
                if self.day.is_some_and(|stated| stated != day) {
                    return Err("day-of-year does not match day");
                }
                (month, day)
            }
        };
        if day < 1 || day > days_in(self.year, month) {
            return Err("day out of range");
        }
        let clock = i64::from(hour * 3600 + self.minute * 60 + self.second);
        let seconds = seconds_of(self.year, i64::from(month), i64::from(day), clock);
        let time = Time::from_unix(seconds, self.nanosecond);
        if self.is_utc {
            return Ok(time);
        }
        let name = self.zone_name.unwrap_or_default();
        let text_name = String::from_utf8_lossy(&name).into_owned();
        if let Some(offset_seconds) = self.offset_seconds {
            let instant = Time::from_unix(seconds - i64::from(offset_seconds), self.nanosecond);
            if offset_seconds == 0 && (text_name.is_empty() || text_name == "UTC") {
                return Ok(instant);
            }
            return Ok(instant.in_zone(Zone::Fixed { name: text_name, offset_seconds }));
        }
        if text_name.is_empty() {
            return Ok(time);
        }
        let hours = name.strip_prefix(b"GMT").and_then(signed).unwrap_or(0);
        let offset_seconds = i32::try_from(hours * 3600).unwrap_or(0);
        // The clock is taken as if in UTC: only a GMT zone states its offset, and Go does not shift for it either.
        Ok(time.in_zone(Zone::Fixed { name: text_name, offset_seconds }))
    }
}

/// Go's test for a number in its range.
fn within(value: u32, least: u32, most: u32, name: &'static str) -> Result<u32, Bad> {
    if value < least || value > most { Err(Bad::Range(name)) } else { Ok(value) }
}

/// Skips a literal; runs of blanks are alike.
fn skip<'a>(mut value: &'a [u8], mut prefix: &[u8]) -> Result<&'a [u8], &'a [u8]> {
    while let Some((&expected, after)) = prefix.split_first() {
        if expected == b' ' {
            if value.first().is_some_and(|&byte| byte != b' ') {
                return Err(value);
            }
            prefix = without_blanks(prefix);
            value = without_blanks(value);
            continue;
        }
        match value.split_first() {
            Some((&found, rest)) if found == expected => value = rest,
            _ => return Err(value),
        }
        prefix = after;
    }
    Ok(value)
}

fn without_blanks(text: &[u8]) -> &[u8] {
    let blanks = text.iter().take_while(|&&byte| byte == b' ').count();
    text.get(blanks..).unwrap_or_default()
}

/// One or two digits.
fn number(text: &[u8], two_digits: bool) -> Result<(u32, &[u8]), Bad> {
    match text {
        [tens, ones, rest @ ..] if tens.is_ascii_digit() && ones.is_ascii_digit() => {
            Ok((u32::from(tens - b'0') * 10 + u32::from(ones - b'0'), rest))
        }
        [ones, rest @ ..] if ones.is_ascii_digit() && !two_digits => Ok((u32::from(ones - b'0'), rest)),
        _ => Err(Bad::Form),
    }
}

fn signed(text: &[u8]) -> Option<i64> {
    let (digits, sign) = match text {
        [b'-', rest @ ..] => (rest, -1),
        [b'+', rest @ ..] => (rest, 1),
        _ => (text, 1),
    };
    if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    std::str::from_utf8(digits).ok()?.parse::<i64>().ok().map(|number| number * sign)
}

/// A name of the table, letter case aside; short names are the first three letters.
fn lookup<'a>(text: &'a [u8], names: &[&str], is_short: bool) -> Result<(u32, &'a [u8]), Bad> {
    for (place, name) in names.iter().enumerate() {
        let name = if is_short { name.get(..3).unwrap_or(name) } else { name };
        if let Some((start, rest)) = text.split_at_checked(name.len())
            && start.eq_ignore_ascii_case(name.as_bytes())
        {
            return Ok((u32::try_from(place).unwrap_or(0), rest));
        }
    }
    Err(Bad::Form)
}

fn begins_fraction(text: &[u8]) -> bool {
    matches!(text, [b'.' | b',', digit, ..] if digit.is_ascii_digit())
}

/// A separator and digits, cut at nine.
fn nanoseconds(fraction: &[u8]) -> Result<u32, Bad> {
    let [b'.' | b',', digits @ ..] = fraction else { return Err(Bad::Form) };
    let digits = digits.get(..digits.len().min(9)).unwrap_or(digits);
    let number = signed(digits).ok_or(Bad::Form)?;
    if number < 0 {
        return Err(Bad::Range("fractional second"));
    }
    let scale = 10_i64.pow(u32::try_from(9 - digits.len()).unwrap_or(0));
    u32::try_from(number * scale).map_err(|_| Bad::Form)
}

/// Length of what looks like a zone's abbreviation.
fn zone_length(text: &[u8]) -> Option<usize> {
    if text.len() < 3 {
        return None;
    }
    if text.starts_with(b"ChST") || text.starts_with(b"MeST") {
        return Some(4);
    }
    if let Some(rest) = text.strip_prefix(b"GMT") {
        return Some(3 + signed_offset_length(rest).unwrap_or(0));
    }
    if matches!(text.first(), Some(b'+' | b'-')) {
        return signed_offset_length(text);
    }
    let upper = text.iter().take(6).take_while(|byte| byte.is_ascii_uppercase()).count();
    match upper {
        3 => Some(3),
        4 if text.get(3) == Some(&b'T') || text.starts_with(b"WITA") => Some(4),
        5 if text.get(4) == Some(&b'T') => Some(5),
        _ => None,
    }
}

/// A sign and a number of at most 23.
fn signed_offset_length(text: &[u8]) -> Option<usize> {
    let [b'+' | b'-', digits @ ..] = text else { return None };
    let count = digits.iter().take_while(|byte| byte.is_ascii_digit()).count();
    let hours = signed(digits.get(..count)?)?;
    (hours <= 23).then_some(count + 1)
}

fn month_and_day(year: i64, day_of_year: u32) -> Option<(u32, u32)> {
    let mut rest = day_of_year;
    if rest < 1 || rest > 365 + u32::from(is_leap(year)) {
        return None;
    }
    for month in 1..=12 {
        let days = days_in(year, month);
        if rest <= days {
            return Some((month, rest));
        }
        rest -= days;
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_by_their_layout() {
        let rows = [
            ("2006-01-02", "2019-07-31", "2019-07-31 00:00:00 +0000 UTC"),
            ("2006-01-02T15:04:05Z07:00", "2020-02-29T01:02:03.5+01:00", "2020-02-29 01:02:03.5 +0100 +0100"),
            ("Mon Jan _2 3:04PM 2006", "thu feb  4 9:10PM 2021", "2021-02-04 21:10:00 +0000 UTC"),
            ("2006 002", "2020 060", "2020-02-29 00:00:00 +0000 UTC"),
            ("15:04 MST", "10:00 CET", "0000-01-01 10:00:00 +0000 CET"),
        ];
        for (layout, value, expected) in rows {
            assert_eq!(parse(layout.as_bytes(), value.as_bytes()).unwrap().to_string(), expected);
        }
    }

    #[test]
    fn what_does_not_fit_is_told_as_go_tells_it() {
        let rows = [
            ("2006-01-02", "foo", r#"parsing time "foo" as "2006-01-02": cannot parse "foo" as "2006""#),
            ("2006-01-02", "2019-13-01", r#"parsing time "2019-13-01": month out of range"#),
            ("2006-01-02", "2019-02-30", r#"parsing time "2019-02-30": day out of range"#),
            ("2006-01-02", "2019-02-03x", r#"parsing time "2019-02-03x": extra text: "x""#),
            ("2006-01-02", "2019/02", r#"parsing time "2019/02" as "2006-01-02": cannot parse "/02" as "-""#),
        ];
        for (layout, value, expected) in rows {
            assert_eq!(parse(layout.as_bytes(), value.as_bytes()).unwrap_err().to_string(), expected);
        }
    }
}
