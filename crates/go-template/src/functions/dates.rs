//! Functions of dates, and the objects of Go's `time` package that they return.

use std::any::Any;

use super::cast::{Base, parse_int};
use super::time::civil::{MONTHS, WEEKDAYS, seconds_of};
use super::time::duration::{self, SECOND};
use super::time::zone::Zone;
use super::time::{Time, layout, parse};
use super::{ANY, Answer, INT, STRING, add_all, text};
use crate::Str;
use crate::function::{Args, Call, CallError, Function, Functions, Signature};
use crate::value::{IntKind, Kind, Object, Type, Value};

const TIME: &Type = &Type::Object("time.Time");
const DURATION: &Type = &Type::Named("time.Duration", Type::INT64);
const MONTH: &Type = &Type::Named("time.Month", Type::INT);
const WEEKDAY: &Type = &Type::Named("time.Weekday", Type::INT);

/// Go's `time.Time`.
#[derive(Debug, Clone)]
struct TimeObject(Time);

const NO_PARAMETERS: Signature = Signature::fixed(&[]);
const LAYOUT_PARAMETER: Signature = Signature::fixed(&[STRING]);
const TIME_PARAMETER: Signature = Signature::fixed(&[TIME]);
const DURATION_PARAMETER: Signature = Signature::fixed(&[DURATION]);
const DATE_PARAMETERS: Signature = Signature::fixed(&[INT, INT, INT]);

impl Object for TimeObject {
    fn object_type(&self) -> &'static Type {
        TIME
    }

    fn kind(&self) -> Kind {
        Kind::Struct
    }

    fn method(&self, name: &str) -> Option<&'static Signature> {
        Some(match name {
            "Year" | "Month" | "Day" | "Weekday" | "YearDay" | "Hour" | "Minute" | "Second" | "Nanosecond" | "Unix"
            | "UnixMilli" | "UnixMicro" | "UnixNano" | "IsZero" | "String" | "UTC" | "Local" => &NO_PARAMETERS,
            "Format" => &LAYOUT_PARAMETER,
            "Before" | "After" | "Equal" | "Compare" | "Sub" => &TIME_PARAMETER,
            "Add" | "Round" | "Truncate" => &DURATION_PARAMETER,
            "AddDate" => &DATE_PARAMETERS,
            _ => return None,
        })
    }

    fn call(&self, name: &str, call: &mut Call<'_>, args: Args<'_>) -> Answer {
        let time = &self.0;
        let civil = time.civil();
        let int = |number: u32| Value::int(i64::from(number));
        Ok(match name {
            "Year" => Value::int(civil.year),
            "Month" => Value::object(Named { number: i64::from(civil.month), of: MONTH }),
            "Day" => int(civil.day),
            "Weekday" => Value::object(Named { number: i64::from(civil.weekday), of: WEEKDAY }),
            "YearDay" => int(civil.day_of_year),
            "Hour" => int(civil.hour),
            "Minute" => int(civil.minute),
            "Second" => int(civil.second),
            "Nanosecond" => int(civil.nanosecond),
            "Unix" => Value::int64(time.seconds),
            "UnixMilli" => Value::int64(since_epoch(time, 1_000)),
            "UnixMicro" => Value::int64(since_epoch(time, 1_000_000)),
            "UnixNano" => Value::int64(since_epoch(time, SECOND)),
            "IsZero" => Value::Bool(time.is_zero()),
            "String" => return text(call, time.to_string()),
            "UTC" | "Local" => Value::object(Self(time.clone().in_zone(Zone::Utc))),
            "Format" => return formatted(call, time, args.string(0)?.as_bytes()),
            "Add" => Value::object(Self(time.add(nanoseconds(args.value(0))))),
            "AddDate" => {
                let clock = civil.hour * 3600 + civil.minute * 60 + civil.second;
                let month = i64::from(civil.month).saturating_add(args.int(1)?);
                let day = i64::from(civil.day).saturating_add(args.int(2)?);
                let local = seconds_of(civil.year.saturating_add(args.int(0)?), month, day, i64::from(clock));
                let offset = time.zone.at(time.seconds).offset_seconds;
                let seconds = local.saturating_sub(i64::from(offset));
                Value::object(Self(Time { seconds, ..time.clone() }))
            }
            "Round" | "Truncate" => {
                let unit = nanoseconds(args.value(0));
                let since_zero = i128::from(time.since(&Time::zero()));
                let whole = if unit <= 0 { since_zero } else { since_zero - since_zero.rem_euclid(i128::from(unit)) };
                let rest = since_zero - whole;
                let up = if name == "Round" && rest * 2 >= i128::from(unit) && unit > 0 { i128::from(unit) } else { 0 };
                Value::object(Self(time.add(i64::try_from(up - rest).unwrap_or(0))))
            }
            _ => return self.compared(name, &args.object::<Self>(0)?.0),
        })
    }

    fn text(&self) -> Option<Str> {
        Some(self.0.to_string().into())
    }

    fn truth(&self) -> bool {
        true
    }

    fn json_value(&self) -> Value {
        let text = layout::format(&self.0, b"2006-01-02T15:04:05.999999999Z07:00");
        Value::Str(text.into())
    }

    fn is_equal(&self, other: &dyn Object) -> bool {
        other.as_any().downcast_ref::<Self>().is_some_and(|other| other.0 == self.0)
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}

impl TimeObject {
    fn compared(&self, name: &str, other: &Time) -> Answer {
        let order = (self.0.seconds, self.0.nanoseconds).cmp(&(other.seconds, other.nanoseconds));
        Ok(match name {
            "Before" => order.is_lt().into(),
            "After" => order.is_gt().into(),
            "Equal" => order.is_eq().into(),
            "Compare" => Value::int(order as i64),
            _ => Value::object(DurationObject(self.0.since(other))),
        })
    }
}

fn since_epoch(time: &Time, units_of_second: i64) -> i64 {
    let fraction = i64::from(time.nanoseconds) / (SECOND / units_of_second);
    time.seconds.wrapping_mul(units_of_second).wrapping_add(fraction)
}

/// Go's `time.Month` or `time.Weekday`: a number with a name.
#[derive(Debug, Clone)]
struct Named {
    number: i64,
    of: &'static Type,
}

impl Object for Named {
    fn object_type(&self) -> &'static Type {
        self.of
    }

    fn kind(&self) -> Kind {
        Kind::Int(IntKind::Int)
    }

    fn method(&self, name: &str) -> Option<&'static Signature> {
        (name == "String").then_some(&NO_PARAMETERS)
    }

    fn call(&self, _name: &str, _call: &mut Call<'_>, _args: Args<'_>) -> Answer {
        Ok(Value::Str(self.text().unwrap_or_default()))
    }

    fn underlying(&self) -> Option<Value> {
        Some(Value::int(self.number))
    }

    fn text(&self) -> Option<Str> {
        let place = usize::try_from(self.number).ok()?;
        let name = if self.of == MONTH { MONTHS.get(place.checked_sub(1)?) } else { WEEKDAYS.get(place) };
        name.map(|name| Str::from_static(name))
    }

    fn is_equal(&self, other: &dyn Object) -> bool {
        other.as_any().downcast_ref::<Self>().is_some_and(|other| other.number == self.number && other.of == self.of)
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}

/// Go's `time.Duration`.
#[derive(Debug, Clone)]
struct DurationObject(i64);

impl Object for DurationObject {
    fn object_type(&self) -> &'static Type {
        DURATION
    }

    fn kind(&self) -> Kind {
        Kind::Int(IntKind::Int64)
    }

    fn method(&self, name: &str) -> Option<&'static Signature> {
        match name {
            "Hours" | "Minutes" | "Seconds" | "Milliseconds" | "Microseconds" | "Nanoseconds" | "String" | "Abs" => {
                Some(&NO_PARAMETERS)
            }
            "Round" | "Truncate" => Some(&DURATION_PARAMETER),
            _ => None,
        }
    }

    fn call(&self, name: &str, call: &mut Call<'_>, args: Args<'_>) -> Answer {
        #[expect(clippy::cast_precision_loss, reason = "Go rounds here too")]
        let parts = |unit: i64| Value::Float((self.0 / unit) as f64 + (self.0 % unit) as f64 / unit as f64);
        Ok(match name {
            "Hours" => parts(3600 * SECOND),
            "Minutes" => parts(60 * SECOND),
            "Seconds" => parts(SECOND),
            "Milliseconds" => Value::int64(self.0 / 1_000_000),
            "Microseconds" => Value::int64(self.0 / 1_000),
            "Nanoseconds" => Value::int64(self.0),
            "Abs" => Value::object(Self(self.0.saturating_abs())),
            "Round" => Value::object(Self(duration::round(self.0, nanoseconds(args.value(0))))),
            "Truncate" => {
                let unit = nanoseconds(args.value(0));
                Value::object(Self(if unit <= 0 { self.0 } else { self.0 - self.0 % unit }))
            }
            _ => return text(call, duration::format(self.0)),
        })
    }

    fn underlying(&self) -> Option<Value> {
        Some(Value::int64(self.0))
    }

    fn text(&self) -> Option<Str> {
        Some(duration::format(self.0).into())
    }

    fn is_equal(&self, other: &dyn Object) -> bool {
        other.as_any().downcast_ref::<Self>().is_some_and(|other| other.0 == self.0)
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}

fn nanoseconds(value: &Value) -> i64 {
    match value.underlying() {
        Value::Int(number, _) => number,
        _ => 0,
    }
}

fn now(call: &Call<'_>) -> Time {
    let now = call.now();
    Time::from_unix(now.seconds, now.nanoseconds)
}

fn time_of(value: &Value) -> Option<&Time> {
    match value {
        Value::Object(object) => object.as_any().downcast_ref::<TimeObject>().map(|time| &time.0),
        _ => None,
    }
}

/// A time, or seconds since 1970 of the kinds that the function knows; anything else is now.
fn instant(call: &Call<'_>, value: &Value, kinds: &[IntKind]) -> Time {
    match value {
        Value::Int(seconds, kind) if kinds.contains(kind) => Time::from_unix(*seconds, 0),
        _ => time_of(value).cloned().unwrap_or_else(|| now(call)),
    }
}

fn formatted(call: &mut Call<'_>, time: &Time, layout: &[u8]) -> Answer {
    call.step(layout.len())?;
    text(call, layout::format(time, layout))
}

fn in_zone(call: &mut Call<'_>, layout: &[u8], date: &Value, zone: &[u8]) -> Answer {
    let time = instant(call, date, &[IntKind::Int, IntKind::Int32, IntKind::Int64]);
    let zone = Zone::load(zone).unwrap_or(Zone::Utc);
    formatted(call, &time.in_zone(zone), layout)
}

const HTML: &[u8] = b"2006-01-02";

pub(super) fn add(functions: &mut Functions) {
    functions.add(Function::new("now", NO_PARAMETERS, |call, _| Ok(Value::object(TimeObject(now(call))))));
    add_formats(functions);
    add_changes(functions);
    add_durations(functions);
}

fn add_formats(functions: &mut Functions) {
    functions.add(Function::new("date", Signature::fixed(&[STRING, ANY]), |call, args| {
        in_zone(call, args.string(0)?.as_bytes(), args.value(1), b"Local")
    }));
    add_all(functions, &["dateInZone", "date_in_zone"], Signature::fixed(&[STRING, ANY, STRING]), |call, args| {
        in_zone(call, args.string(0)?.as_bytes(), args.value(1), args.string(2)?.as_bytes())
    });
    functions.add(Function::new("htmlDate", Signature::fixed(&[ANY]), |call, args| {
        in_zone(call, HTML, args.value(0), b"Local")
    }));
    functions.add(Function::new("htmlDateInZone", Signature::fixed(&[ANY, STRING]), |call, args| {
        in_zone(call, HTML, args.value(0), args.string(1)?.as_bytes())
    }));
    functions.add(Function::new("unixEpoch", TIME_PARAMETER, |call, args| {
        text(call, args.object::<TimeObject>(0)?.0.seconds.to_string())
    }));
    functions.add(Function::new("toDate", Signature::fixed(&[STRING, STRING]), |call, args| {
        Ok(Value::object(TimeObject(read(call, args)?.unwrap_or_else(|_| Time::zero()))))
    }));
    functions.add(Function::new("mustToDate", Signature::fixed(&[STRING, STRING]), |call, args| {
        let time = read(call, args)?.map_err(|error| CallError::new(error.to_string()))?;
        Ok(Value::object(TimeObject(time)))
    }));
}

fn read(call: &mut Call<'_>, args: Args<'_>) -> Result<Result<Time, parse::TimeError>, CallError> {
    let (layout, value) = (args.string(0)?.as_bytes(), args.string(1)?.as_bytes());
    call.step(layout.len() + value.len())?;
    Ok(parse::parse(layout, value))
}

fn add_changes(functions: &mut Functions) {
    const MODIFY: Signature = Signature::fixed(&[STRING, TIME]);
    add_all(functions, &["dateModify", "date_modify"], MODIFY, |_, args| {
        let time = &args.object::<TimeObject>(1)?.0;
        let change = duration::parse(args.string(0)?.as_bytes()).unwrap_or(0);
        Ok(Value::object(TimeObject(time.add(change))))
    });
    add_all(functions, &["mustDateModify", "must_date_modify"], MODIFY, |_, args| {
        let time = &args.object::<TimeObject>(1)?.0;
        let change = duration::parse(args.string(0)?.as_bytes()).map_err(|error| CallError::new(error.to_string()))?;
        Ok(Value::object(TimeObject(time.add(change))))
    });
}

fn add_durations(functions: &mut Functions) {
    functions.add(Function::new("ago", Signature::fixed(&[ANY]), |call, args| {
        let time = instant(call, args.value(0), &[IntKind::Int, IntKind::Int64]);
        let since = duration::round(now(call).since(&time), SECOND);
        text(call, duration::format(since))
    }));
    functions.add(Function::new("duration", Signature::fixed(&[ANY]), |call, args| {
        let seconds = match args.value(0) {
            Value::Str(given) => parse_int(given.as_bytes(), Base::Of(10)).unwrap_or(0),
            Value::Int(seconds, IntKind::Int64) => *seconds,
            _ => 0,
        };
        text(call, duration::format(seconds.wrapping_mul(SECOND)))
    }));
    functions.add(Function::new("durationRound", Signature::fixed(&[ANY]), |call, args| {
        let nanoseconds = match args.value(0) {
            Value::Str(given) => duration::parse(given.as_bytes()).unwrap_or(0),
            Value::Int(nanoseconds, IntKind::Int64) => *nanoseconds,
            other => time_of(other).map_or(0, |time| now(call).since(time)),
        };
        text(call, duration::largest_unit(nanoseconds))
    }));
}
