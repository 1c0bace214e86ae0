//! Dates and durations. `Local` is UTC: a render does not depend on the machine's zone.

use super::args::{Outcome, fixed, parse_int, text};
use super::time::{Duration, Time, TimeObject, Zone};
use crate::template::function::{Function, Param, Runtime};
use crate::template::value::Value;

const SECOND: i64 = 1_000_000_000;

const TEXT_TIME: &[Param] = &[Param::Str, Param::Object("time.Time")];
const TEXT_ANY: &[Param] = &[Param::Str, Param::Any];

pub(super) const FUNCTIONS: &[Function] = &[
    fixed("now", &[], |runtime, _| Ok(TimeObject::value(now(runtime)))),
    fixed("ago", &[Param::Any], |runtime, args| {
        let (time, now) = (time_of(runtime, &args[0]), now(runtime));
        Ok(Value::str(now.since(&time).round(SECOND).to_string()))
    }),
    fixed("date", TEXT_ANY, |runtime, args| {
        Ok(Value::str(formatted(runtime, text(args, 0), &args[1], "Local")))
    }),
    fixed("dateInZone", &[Param::Str, Param::Any, Param::Str], date_in_zone),
    fixed("date_in_zone", &[Param::Str, Param::Any, Param::Str], date_in_zone),
    fixed("htmlDate", &[Param::Any], |runtime, args| {
        Ok(Value::str(formatted(runtime, "2006-01-02", &args[0], "Local")))
    }),
    fixed("htmlDateInZone", &[Param::Any, Param::Str], |runtime, args| {
        Ok(Value::str(formatted(runtime, "2006-01-02", &args[0], text(args, 1))))
    }),
    fixed("dateModify", TEXT_TIME, date_modify),
    fixed("date_modify", TEXT_TIME, date_modify),
    fixed("mustDateModify", TEXT_TIME, must_date_modify),
    fixed("must_date_modify", TEXT_TIME, must_date_modify),
    fixed("toDate", &[Param::Str, Param::Str], |_, args| {
        let time = Time::parse(text(args, 0), text(args, 1)).unwrap_or_else(|_| Time::zero());
        Ok(TimeObject::value(time))
    }),
    fixed("mustToDate", &[Param::Str, Param::Str], |_, args| {
        Ok(TimeObject::value(Time::parse(text(args, 0), text(args, 1))?))
    }),
    fixed("unixEpoch", &[Param::Object("time.Time")], |_, args| {
        let nanoseconds = time_at(args, 0).at.as_nanosecond();
        Ok(Value::str(nanoseconds.div_euclid(SECOND.into()).to_string()))
    }),
    fixed("duration", &[Param::Any], |_, args| {
        let seconds = match &args[0] {
            Value::Str(text) => parse_int(text, 10).unwrap_or(0),
            Value::Int64(seconds) => *seconds,
            _ => 0,
        };
        Ok(Value::str(Duration(seconds.wrapping_mul(SECOND)).to_string()))
    }),
    fixed("durationRound", &[Param::Any], duration_round),
];

fn now(runtime: &mut dyn Runtime) -> Time {
    Time::from_nanoseconds(runtime.world().now())
}

/// The time that is meant: a time, seconds since 1970, or else now.
fn time_of(runtime: &mut dyn Runtime, value: &Value) -> Time {
    match value {
        Value::Int(seconds) | Value::Int64(seconds) => {
            Time::from_nanoseconds(i128::from(*seconds) * i128::from(SECOND))
        }
        other => TimeObject::of(other).cloned().unwrap_or_else(|| now(runtime)),
    }
}

fn formatted(runtime: &mut dyn Runtime, layout: &str, value: &Value, zone: &str) -> String {
    time_of(runtime, value).in_zone(Zone::named(zone)).format(layout)
}

fn date_in_zone(runtime: &mut dyn Runtime, args: &[Value]) -> Outcome {
    Ok(Value::str(formatted(runtime, text(args, 0), &args[1], text(args, 2))))
}

/// A parameter declared `time.Time`.
fn time_at(args: &[Value], at: usize) -> &Time {
    TimeObject::of(&args[at]).expect("the evaluator checks the types of arguments")
}

fn date_modify(_: &mut dyn Runtime, args: &[Value]) -> Outcome {
    let time = time_at(args, 1);
    Ok(match Duration::parse(text(args, 0)) {
        Ok(duration) => TimeObject::value(time.add(duration)),
        Err(_) => args[1].clone(),
    })
}

fn must_date_modify(_: &mut dyn Runtime, args: &[Value]) -> Outcome {
    let time = time_at(args, 1);
    Ok(TimeObject::value(time.add(Duration::parse(text(args, 0))?)))
}

/// The largest unit that fits more than once, such as `3mo`.
fn duration_round(runtime: &mut dyn Runtime, args: &[Value]) -> Outcome {
    let duration = match &args[0] {
        Value::Str(text) => Duration::parse(text).map_or(0, |duration| duration.0),
        Value::Int64(nanoseconds) => *nanoseconds,
        other => match TimeObject::of(other) {
            Some(time) => now(runtime).since(time).0,
            None => 0,
        },
    };
    let hours = 3_600 * SECOND.unsigned_abs();
    let units = [
        (365 * 24 * hours, "y"),
        (30 * 24 * hours, "mo"),
        (24 * hours, "d"),
        (hours, "h"),
        (hours / 60, "m"),
        (hours / 3_600, "s"),
    ];
    let total = duration.unsigned_abs();
    let largest = units.into_iter().find(|(unit, _)| total > *unit);
    Ok(Value::str(
        largest.map_or_else(|| "0s".to_owned(), |(unit, name)| format!("{}{name}", total / unit)),
    ))
}
