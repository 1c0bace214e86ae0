//! Times, durations and months as templates see them: objects with Go's methods.

use std::rc::Rc;

use jiff::ToSpan as _;

use super::duration::SECOND;
use super::layout::{DAYS, MONTHS};
use super::{Duration, Time, Zone};
use crate::sprig::args::{int, text};
use crate::template::function::{Param, Signature};
use crate::template::value::{Object, Value};

/// `time.Time`.
#[derive(Debug)]
pub(in crate::sprig) struct TimeObject(pub(in crate::sprig) Time);

/// `time.Duration`.
#[derive(Debug)]
struct DurationObject(Duration);

/// `time.Month`, from 1.
#[derive(Debug)]
pub(in crate::sprig) struct Month(pub(in crate::sprig) i8);

/// `time.Weekday`, from 0 for Sunday.
#[derive(Debug)]
struct Weekday(i8);

impl TimeObject {
    /// The time as a template's value.
    pub(in crate::sprig) fn value(time: Time) -> Value {
        Value::Object(Rc::new(Self(time)))
    }

    /// The time that a template's value is.
    pub(in crate::sprig) fn of(value: &Value) -> Option<&Time> {
        match value {
            Value::Object(object) => object.as_any().downcast_ref::<Self>().map(|object| &object.0),
            _ => None,
        }
    }
}

impl Month {
    /// The number that a value of one of Go's named integer types stands for.
    pub(in crate::sprig) fn number_of(value: &Value) -> Option<i64> {
        let Value::Object(object) = value else { return None };
        let any = object.as_any();
        let month = any.downcast_ref::<Self>().map(|month| month.0);
        let number = month.or_else(|| any.downcast_ref::<Weekday>().map(|day| day.0));
        number.map(i64::from)
    }
}

fn duration_of(value: &Value) -> Option<Duration> {
    match value {
        Value::Int(nanoseconds) | Value::Int64(nanoseconds) => Some(Duration(*nanoseconds)),
        Value::Object(object) => {
            object.as_any().downcast_ref::<DurationObject>().map(|object| object.0)
        }
        _ => None,
    }
}

fn duration(duration: Duration) -> Value {
    Value::Object(Rc::new(DurationObject(duration)))
}

const ANY: &[Param] = &[Param::Any];
const TIME: &[Param] = &[Param::Object("time.Time")];

impl Object for TimeObject {
    fn type_name(&self) -> &'static str {
        "time.Time"
    }

    fn field(&self, _name: &str) -> Option<Value> {
        None
    }

    fn method(&self, name: &str) -> Option<Signature> {
        let params = match name {
            "Unix" | "UnixMilli" | "UnixMicro" | "UnixNano" | "Year" | "Month" | "Day" | "Hour"
            | "Minute" | "Second" | "Nanosecond" | "Weekday" | "YearDay" | "UTC" | "Local"
            | "IsZero" | "String" => &[],
            "Format" => &[Param::Str][..],
            "AddDate" => &[Param::Int, Param::Int, Param::Int][..],
            "Sub" | "Before" | "After" | "Equal" | "Compare" => TIME,
            "Add" | "Truncate" | "Round" => ANY,
            _ => return None,
        };
        Some(Signature { params, variadic: None })
    }

    fn call(&self, method: &str, args: &[Value]) -> Result<Value, String> {
        let (time, wall) = (&self.0, self.0.wall());
        Ok(match method {
            "Unix" => Value::Int64(time.at.as_nanosecond().div_euclid(SECOND.into()) as i64),
            "UnixMilli" => Value::Int64(time.at.as_nanosecond().div_euclid(1_000_000) as i64),
            "UnixMicro" => Value::Int64(time.at.as_nanosecond().div_euclid(1_000) as i64),
            "UnixNano" => Value::Int64(time.at.as_nanosecond() as i64),
            "Year" => Value::Int(wall.year().into()),
            "Month" => Value::Object(Rc::new(Month(wall.month()))),
            "Day" => Value::Int(wall.day().into()),
            "Hour" => Value::Int(wall.hour().into()),
            "Minute" => Value::Int(wall.minute().into()),
            "Second" => Value::Int(wall.second().into()),
            "Nanosecond" => Value::Int(wall.subsec_nanosecond().into()),
            "Weekday" => Value::Object(Rc::new(Weekday(wall.weekday().to_sunday_zero_offset()))),
            "YearDay" => Value::Int(wall.day_of_year().into()),
            "UTC" | "Local" => Self::value(time.in_zone(Zone::Utc)),
            "IsZero" => Value::Bool(time.at == Time::zero().at),
            "String" => Value::str(self.print()),
            "Format" => Value::str(time.format(text(args, 0))),
            "AddDate" => self.add_date(int(args, 0), int(args, 1), int(args, 2))?,
            "Add" | "Truncate" | "Round" => self.with_duration(method, &args[0])?,
            _ => self.with_time(method, &args[0])?,
        })
    }

    fn print(&self) -> String {
        self.0.format("2006-01-02 15:04:05.999999999 -0700 MST")
    }

    fn plain(&self) -> Value {
        Value::str(self.0.format("2006-01-02T15:04:05.999999999Z07:00"))
    }

    fn as_any(&self) -> &dyn std::any::Any {
        self
    }
}

impl TimeObject {
    fn add_date(&self, years: i64, months: i64, days: i64) -> Result<Value, String> {
        let out_of_range = |_| "time out of range".to_owned();
        let wall = self.0.wall();
        // Go normalizes: a month after 31 January is 3 March, not the last of February.
        let first = wall.with().day(1).build().map_err(out_of_range)?;
        let span = years.years().months(months).days(days);
        let moved = first.checked_add(span).map_err(out_of_range)?;
        let moved = moved.checked_add((i64::from(wall.day()) - 1).days()).map_err(out_of_range)?;
        let zoned = self.0.zone.time_zone().to_zoned(moved).map_err(out_of_range)?;
        Ok(Self::value(Time { at: zoned.timestamp(), zone: self.0.zone.clone() }))
    }

    fn with_duration(&self, method: &str, given: &Value) -> Result<Value, String> {
        let wrong = "wrong type for value; expected time.Duration";
        let step = duration_of(given).ok_or(wrong)?;
        if method == "Add" {
            return Ok(Self::value(self.0.add(step)));
        }
        if step.0 <= 0 {
            return Ok(Self::value(self.0.clone()));
        }
        let step = i128::from(step.0);
        let since_zero = self.0.at.as_nanosecond() - Time::zero().at.as_nanosecond();
        let rest = since_zero.rem_euclid(step);
        let change = if method == "Round" && rest * 2 >= step { step - rest } else { -rest };
        let moved = Time::from_nanoseconds(self.0.at.as_nanosecond() + change);
        Ok(Self::value(moved.in_zone(self.0.zone.clone())))
    }

    fn with_time(&self, method: &str, given: &Value) -> Result<Value, String> {
        let other = Self::of(given).ok_or("wrong type for value; expected time.Time")?;
        let order = self.0.at.cmp(&other.at);
        Ok(match method {
            "Sub" => duration(self.0.since(other)),
            "Before" => Value::Bool(order.is_lt()),
            "After" => Value::Bool(order.is_gt()),
            "Equal" => Value::Bool(order.is_eq()),
            _ => Value::Int(order as i64),
        })
    }
}

impl Object for DurationObject {
    fn type_name(&self) -> &'static str {
        "time.Duration"
    }

    fn kind(&self) -> &'static str {
        "int64"
    }

    fn field(&self, _name: &str) -> Option<Value> {
        None
    }

    fn method(&self, name: &str) -> Option<Signature> {
        let params = match name {
            "Hours" | "Minutes" | "Seconds" | "Milliseconds" | "Microseconds" | "Nanoseconds"
            | "String" | "Abs" => &[],
            "Round" | "Truncate" => ANY,
            _ => return None,
        };
        Some(Signature { params, variadic: None })
    }

    fn call(&self, method: &str, args: &[Value]) -> Result<Value, String> {
        let Duration(total) = self.0;
        let step = args.first().and_then(duration_of).map_or(0, |step| step.0);
        Ok(match method {
            "Hours" => Value::Float(total as f64 / (3_600 * SECOND) as f64),
            "Minutes" => Value::Float(total as f64 / (60 * SECOND) as f64),
            "Seconds" => Value::Float(total as f64 / SECOND as f64),
            "Milliseconds" => Value::Int64(total / 1_000_000),
            "Microseconds" => Value::Int64(total / 1_000),
            "Nanoseconds" => Value::Int64(total),
            "Abs" => duration(Duration(total.saturating_abs())),
            "Round" => duration(self.0.round(step)),
            "Truncate" if step > 0 => duration(Duration(total - total % step)),
            "Truncate" => duration(self.0),
            _ => Value::str(self.print()),
        })
    }

    fn print(&self) -> String {
        self.0.to_string()
    }

    fn truth(&self) -> bool {
        self.0.0 != 0
    }

    fn plain(&self) -> Value {
        Value::Int64(self.0.0)
    }

    fn as_any(&self) -> &dyn std::any::Any {
        self
    }
}

impl Object for Month {
    fn type_name(&self) -> &'static str {
        "time.Month"
    }

    fn kind(&self) -> &'static str {
        "int"
    }

    fn field(&self, _name: &str) -> Option<Value> {
        None
    }

    fn method(&self, name: &str) -> Option<Signature> {
        (name == "String").then_some(Signature { params: &[], variadic: None })
    }

    fn call(&self, _method: &str, _args: &[Value]) -> Result<Value, String> {
        Ok(Value::str(self.print()))
    }

    fn print(&self) -> String {
        MONTHS[self.0 as usize - 1].to_owned()
    }

    fn plain(&self) -> Value {
        Value::Int(self.0.into())
    }

    fn as_any(&self) -> &dyn std::any::Any {
        self
    }
}

impl Object for Weekday {
    fn type_name(&self) -> &'static str {
        "time.Weekday"
    }

    fn kind(&self) -> &'static str {
        "int"
    }

    fn field(&self, _name: &str) -> Option<Value> {
        None
    }

    fn method(&self, name: &str) -> Option<Signature> {
        (name == "String").then_some(Signature { params: &[], variadic: None })
    }

    fn call(&self, _method: &str, _args: &[Value]) -> Result<Value, String> {
        Ok(Value::str(self.print()))
    }

    fn print(&self) -> String {
        DAYS[self.0 as usize].to_owned()
    }

    fn truth(&self) -> bool {
        self.0 != 0
    }

    fn plain(&self) -> Value {
        Value::Int(self.0.into())
    }

    fn as_any(&self) -> &dyn std::any::Any {
        self
    }
}
