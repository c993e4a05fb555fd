//! Time as Go's `time` package has it: instants in a zone, layouts like `2006-01-02`, durations like `1h30m`.
//!
//! There is no clock here and no local zone: what Go calls local is UTC, so that a chart renders alike everywhere.

pub(crate) mod civil;
pub(crate) mod duration;
pub(crate) mod layout;
pub(crate) mod parse;
pub(crate) mod zone;

use civil::Civil;
use zone::Zone;

/// An instant seen in a zone; Go's `time.Time`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Time {
    /// Seconds since 1970.
    pub(crate) seconds: i64,
    pub(crate) nanoseconds: u32,
    pub(crate) zone: Zone,
}

/// Seconds of Go's zero time, the first of January of year 1.
const ZERO_SECONDS: i64 = -62_135_596_800;

impl Time {
    /// Returns the instant in UTC.
    pub(crate) fn from_unix(seconds: i64, nanoseconds: u32) -> Self {
        Self { seconds, nanoseconds, zone: Zone::Utc }
    }

    /// Returns Go's zero time.
    pub(crate) fn zero() -> Self {
        Self::from_unix(ZERO_SECONDS, 0)
    }

    /// Says whether this is Go's zero time, in any zone.
    pub(crate) fn is_zero(&self) -> bool {
        self.seconds == ZERO_SECONDS && self.nanoseconds == 0
    }

    /// Returns the same instant in another zone.
    pub(crate) fn in_zone(mut self, zone: Zone) -> Self {
        self.zone = zone;
        self
    }

    /// Returns the date and clock that people of the zone read.
    pub(crate) fn civil(&self) -> Civil {
        Civil::of(self.seconds.saturating_add(i64::from(self.zone.at(self.seconds).offset_seconds)), self.nanoseconds)
    }

    /// Returns the instant so many nanoseconds later.
    pub(crate) fn add(&self, nanoseconds: i64) -> Self {
        const SECOND: i64 = 1_000_000_000;
        let sum = i64::from(self.nanoseconds) + nanoseconds.rem_euclid(SECOND);
        Self {
            seconds: self.seconds.saturating_add(nanoseconds.div_euclid(SECOND)).saturating_add(sum / SECOND),
            nanoseconds: u32::try_from(sum % SECOND).unwrap_or(0),
            zone: self.zone.clone(),
        }
    }

    /// Returns the nanoseconds from `earlier` to this instant, at most what a Go duration holds.
    pub(crate) fn since(&self, earlier: &Self) -> i64 {
        let seconds = i128::from(self.seconds) - i128::from(earlier.seconds);
        let nanoseconds = seconds * 1_000_000_000 + i128::from(self.nanoseconds) - i128::from(earlier.nanoseconds);
        i64::try_from(nanoseconds).unwrap_or(if nanoseconds < 0 { i64::MIN } else { i64::MAX })
    }
}

impl std::fmt::Display for Time {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let text = layout::format(self, b"2006-01-02 15:04:05.999999999 -0700 MST");
        formatter.write_str(&String::from_utf8_lossy(&text))
    }
}
