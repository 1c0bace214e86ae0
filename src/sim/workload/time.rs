//! Times as objects have them.

use std::time::Duration;

use jiff::{RoundMode, TimestampRound, Unit};
use serde_json::Value as Json;

use crate::base::clock::Timestamp;
use crate::object::access;

pub(super) use crate::base::clock::after;

/// `2026-01-01T00:00:00Z`, as most fields have times.
pub(super) fn seconds(at: Timestamp) -> String {
    whole(at).to_string()
}

/// `2026-01-01T00:00:00.250000Z`: exact enough to say later how long ago it was.
pub(super) fn micros(at: Timestamp) -> String {
    format!("{at:.6}")
}

fn whole(at: Timestamp) -> Timestamp {
    at.round(TimestampRound::new().smallest(Unit::Second).mode(RoundMode::Floor)).unwrap_or(at)
}

/// The time at a path of field names.
pub(super) fn read(object: &Json, path: &[&str]) -> Option<Timestamp> {
    access::text(object, path)?.parse().ok()
}

/// How long after `start` it is; nothing before it.
pub(super) fn since(start: Timestamp, now: Timestamp) -> Duration {
    Duration::try_from(now.duration_since(start)).unwrap_or_default()
}
