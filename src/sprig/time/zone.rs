//! Time zones: by name from the tables that are part of the program, so that a render does not
//! depend on the machine it runs on.

use jiff::Timestamp;
use jiff::tz::{Offset, TimeZone, TimeZoneDatabase};

/// Where a time is shown.
#[derive(Clone, Debug)]
pub(in crate::sprig) enum Zone {
    /// `UTC`; `Local` is the same, since a render must not depend on the machine.
    Utc,
    /// A zone of the database.
    Named(TimeZone),
    /// Seconds east of Greenwich, and an abbreviation, which may be empty.
    Fixed(i32, String),
}

impl Zone {
    /// A zone by its name; UTC when there is no such one, as sprig has it.
    pub(in crate::sprig) fn named(name: &str) -> Self {
        if matches!(name, "" | "UTC" | "Local") {
            return Self::Utc;
        }
        TimeZoneDatabase::bundled().get(name).map_or(Self::Utc, Self::Named)
    }

    /// The zone for calculations.
    pub(super) fn time_zone(&self) -> TimeZone {
        match self {
            Self::Utc => TimeZone::UTC,
            Self::Named(zone) => zone.clone(),
            Self::Fixed(seconds, _) => {
                Offset::from_seconds(*seconds).map_or(TimeZone::UTC, TimeZone::fixed)
            }
        }
    }

    /// Seconds east of Greenwich at a point in time.
    pub(super) fn offset(&self, at: Timestamp) -> i32 {
        self.time_zone().to_offset(at).seconds()
    }

    /// What the zone is called at a point in time, such as `CEST`; an offset where it has no name.
    pub(super) fn abbreviation(&self, at: Timestamp) -> String {
        match self {
            Self::Utc => "UTC".to_owned(),
            Self::Named(zone) => zone.to_offset_info(at).abbreviation().to_owned(),
            Self::Fixed(_, name) if !name.is_empty() => name.clone(),
            Self::Fixed(seconds, _) => short_offset(*seconds),
        }
    }
}

/// `+0200`, or `+0530`.
fn short_offset(seconds: i32) -> String {
    let sign = if seconds < 0 { '-' } else { '+' };
    let minutes = seconds.abs() / 60;
    if minutes % 60 == 0 {
        return format!("{sign}{:02}", minutes / 60);
    }
    format!("{sign}{:02}{:02}", minutes / 60, minutes % 60)
}
