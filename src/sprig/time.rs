//! Points in time and durations as Go sees them.

mod duration;
mod layout;
mod object;
mod parse;
mod zone;

pub(super) use duration::Duration;
pub(super) use object::{Month, TimeObject};
pub(super) use zone::Zone;

use std::fmt::Write as _;

use jiff::Timestamp;
use jiff::civil::DateTime;

use crate::template::binary::to_bytes;

/// A point in time and the zone in which it is shown.
#[derive(Clone, Debug)]
pub(super) struct Time {
    /// When.
    pub(super) at: Timestamp,
    /// Where.
    pub(super) zone: Zone,
}

impl Time {
    /// A point in time, shown in UTC. Beyond the years that a calendar knows it is the nearest.
    pub(super) fn from_nanoseconds(nanoseconds: i128) -> Self {
        Self { at: timestamp(nanoseconds), zone: Zone::Utc }
    }

    /// Go's zero time: the first second of year 1.
    pub(super) fn zero() -> Self {
        Self::from_nanoseconds(-62_135_596_800 * 1_000_000_000)
    }

    /// The same point in time, shown elsewhere.
    pub(super) fn in_zone(&self, zone: Zone) -> Self {
        Self { at: self.at, zone }
    }

    /// Later by a duration, or earlier by a negative one.
    pub(super) fn add(&self, duration: Duration) -> Self {
        let nanoseconds = self.at.as_nanosecond() + i128::from(duration.0);
        Self { at: timestamp(nanoseconds), zone: self.zone.clone() }
    }

    /// How much later this is.
    pub(super) fn since(&self, earlier: &Self) -> Duration {
        let difference = self.at.as_nanosecond() - earlier.at.as_nanosecond();
        let limit = if difference < 0 { i64::MIN } else { i64::MAX };
        Duration(i64::try_from(difference).unwrap_or(limit))
    }

    /// What the calendar and the clock on the wall show.
    pub(super) fn wall(&self) -> DateTime {
        self.zone.time_zone().to_datetime(self.at)
    }
}

fn timestamp(nanoseconds: i128) -> Timestamp {
    let nearest = if nanoseconds < 0 { Timestamp::MIN } else { Timestamp::MAX };
    Timestamp::from_nanosecond(nanoseconds).unwrap_or(nearest)
}

/// Quotes as Go's `time` package does in its errors: all that is not plain ASCII byte by byte.
fn quote(text: &str) -> String {
    let mut out = String::from('"');
    for byte in to_bytes(text).iter().copied() {
        match byte {
            b'"' | b'\\' => out.extend(['\\', char::from(byte)]),
            b' '..=b'\x7f' => out.push(char::from(byte)),
            _ => write!(out, "\\x{byte:02x}").expect("a String takes everything"),
        }
    }
    out.push('"');
    out
}
