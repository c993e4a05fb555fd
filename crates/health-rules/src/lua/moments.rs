//! `os.time` and `os.date`: the moment of the decision, never that of a clock.

use jiff::civil::{DateTime, date};
use jiff::tz::TimeZone;
use mlua::{Error, Lua, Table, Value};
use object_model::Timestamp;

/// Puts `time` and `date` into the functions of the host.
pub(super) fn install(lua: &Lua, host: &Table, now: Timestamp) -> mlua::Result<()> {
    let seconds = now.as_second() as f64;
    host.set(
        "time",
        lua.create_function(move |_, parts: Option<Table>| match parts {
            None => Ok(seconds),
            Some(parts) => moment(&parts),
        })?,
    )?;
    host.set(
        "date",
        lua.create_function(move |lua, (form, at): (Option<String>, Option<f64>)| {
            date_of(lua, form.as_deref().unwrap_or("%c"), at.unwrap_or(seconds))
        })?,
    )?;
    Ok(())
}

/// The seconds since 1970 of a table of parts, in UTC; parts beyond their range carry over.
fn moment(parts: &Table) -> mlua::Result<f64> {
    let part = |name: &str, otherwise: Option<i64>| -> mlua::Result<i64> {
        let value = match parts.raw_get::<Value>(name)? {
            Value::Integer(number) => Some(number as f64),
            Value::Number(number) => Some(number),
            Value::String(text) => text.to_str().ok().and_then(|text| text.trim().parse::<f64>().ok()),
            _ => None,
        };
        let value = value.filter(|value| value.abs() < 1e9).map(|value| value as i64);
        value.or(otherwise).ok_or_else(|| Error::runtime(format!("field '{name}' missing in date table")))
    };
    let (year, month, day) = (part("year", None)?, part("month", None)?, part("day", None)?);
    let (hour, minute, second) = (part("hour", Some(12))?, part("min", Some(0))?, part("sec", Some(0))?);
    let months = year.saturating_mul(12).saturating_add(month - 1);
    let first = i16::try_from(months.div_euclid(12))
        .ok()
        .zip(i8::try_from(months.rem_euclid(12) + 1).ok())
        .and_then(|(year, month)| DateTime::new(year, month, 1, 0, 0, 0, 0).ok())
        .and_then(|first| first.to_zoned(TimeZone::UTC).ok());
    let Some(first) = first else { return Err(Error::runtime("time out of range")) };
    let seconds = (day - 1) * 86_400 + hour * 3_600 + minute * 60 + second;
    Ok(first.timestamp().as_second().saturating_add(seconds) as f64)
}

fn date_of(lua: &Lua, form: &str, seconds: f64) -> mlua::Result<Value> {
    let at = if seconds.abs() < 1e12 { Timestamp::from_second(seconds as i64).ok() } else { None };
    let Some(at) = at else { return Err(Error::runtime("time out of range")) };
    let zoned = at.to_zoned(TimeZone::UTC);
    let form = form.trim_start_matches('!');
    if form.starts_with("*t") {
        let parts = lua.create_table()?;
        let day_of_year = zoned.date().duration_since(date(zoned.year(), 1, 1)).as_hours() / 24 + 1;
        for (name, value) in [
            ("year", f64::from(zoned.year())),
            ("month", f64::from(zoned.month())),
            ("day", f64::from(zoned.day())),
            ("hour", f64::from(zoned.hour())),
            ("min", f64::from(zoned.minute())),
            ("sec", f64::from(zoned.second())),
            ("wday", f64::from(zoned.weekday().to_sunday_zero_offset() + 1)),
            ("yday", day_of_year as f64),
        ] {
            parts.raw_set(name, value)?;
        }
        parts.raw_set("isdst", false)?;
        return Ok(Value::Table(parts));
    }
    let text = jiff::fmt::strtime::format(form, &zoned).map_err(|error| Error::runtime(error.to_string()))?;
    Ok(Value::String(lua.create_string(text)?))
}
