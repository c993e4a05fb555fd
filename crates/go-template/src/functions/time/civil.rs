//! Dates and clocks of the proleptic Gregorian calendar.

/// What a calendar and a clock on the wall show.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Civil {
    pub(crate) year: i64,
    /// 1 to 12.
    pub(crate) month: u32,
    pub(crate) day: u32,
    pub(crate) hour: u32,
    pub(crate) minute: u32,
    pub(crate) second: u32,
    pub(crate) nanosecond: u32,
    /// 1 to 366.
    pub(crate) day_of_year: u32,
    /// 0 is Sunday.
    pub(crate) weekday: u32,
}

const DAY_SECONDS: i64 = 86_400;

pub(crate) const MONTHS: [&str; 12] = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
];

pub(crate) const WEEKDAYS: [&str; 7] = ["Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"];

impl Civil {
    /// Reads local seconds since 1970.
    pub(crate) fn of(seconds: i64, nanosecond: u32) -> Self {
        let days = seconds.div_euclid(DAY_SECONDS);
        let clock = unsigned(seconds.rem_euclid(DAY_SECONDS));
        let (year, month, day) = date_of(days);
        let day_of_year = unsigned(days - days_to(year, 1, 1)) + 1;
        Self {
            year,
            month,
            day,
            hour: clock / 3600,
            minute: clock / 60 % 60,
            second: clock % 60,
            nanosecond,
            day_of_year,
            weekday: unsigned((days + 4).rem_euclid(7)),
        }
    }
}

fn unsigned(number: i64) -> u32 {
    u32::try_from(number).unwrap_or(0)
}

/// Returns the seconds since 1970 of a date and clock in UTC; months and days may overflow, as in Go's `time.Date`.
pub(crate) fn seconds_of(year: i64, month: i64, day: i64, clock_seconds: i64) -> i64 {
    let year = year.saturating_add((month - 1).div_euclid(12));
    let month = unsigned((month - 1).rem_euclid(12)) + 1;
    days_to(year, month, 1).saturating_add(day - 1).saturating_mul(DAY_SECONDS).saturating_add(clock_seconds)
}

/// Days from 1970 to a date. Years are counted from March, so that the leap day is the last.
fn days_to(year: i64, month: u32, day: u32) -> i64 {
    let year = if month <= 2 { year.saturating_sub(1) } else { year };
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let month_from_march = i64::from((month + 9) % 12);
    let day_of_year = (153 * month_from_march + 2) / 5 + i64::from(day) - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    era.saturating_mul(146_097).saturating_add(day_of_era).saturating_sub(719_468)
}

fn date_of(days: i64) -> (i64, u32, u32) {
    let shifted = days.saturating_add(719_468);
    let era = shifted.div_euclid(146_097);
    let day_of_era = shifted.rem_euclid(146_097);
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = unsigned(day_of_year - (153 * month_from_march + 2) / 5) + 1;
    let month = unsigned((month_from_march + 2) % 12) + 1;
    (year_of_era + era * 400 + i64::from(month <= 2), month, day)
}

/// Says whether the year has a leap day.
pub(crate) fn is_leap(year: i64) -> bool {
    year % 4 == 0 && (year % 100 != 0 || year % 400 == 0)
}

/// Returns the number of days of a month.
pub(crate) fn days_in(year: i64, month: u32) -> u32 {
    match month {
        4 | 6 | 9 | 11 => 30,
        2 if is_leap(year) => 29,
        2 => 28,
        _ => 31,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_go_there_and_back() {
        for days in (-800_000..800_000).step_by(97) {
            let civil = Civil::of(days * DAY_SECONDS, 0);
            assert_eq!(days_to(civil.year, civil.month, civil.day), days);
            assert!(civil.day >= 1 && civil.day <= days_in(civil.year, civil.month));
        }
        let leap_day = Civil::of(951_782_400 + 3661, 0);
        assert_eq!(
            (leap_day.year, leap_day.month, leap_day.day, leap_day.day_of_year, leap_day.weekday),
            (2000, 2, 29, 60, 2)
        );
        assert_eq!((leap_day.hour, leap_day.minute, leap_day.second), (1, 1, 1));
        assert_eq!(seconds_of(2000, 14, 1, 0), seconds_of(2001, 2, 1, 0));
    }
}
