//! What has drifted of an instance, who has done it, and whether they do it again and again.

use std::time::Duration;

use crate::base::clock::{Timestamp, moment};
use crate::live::{Observation, drift};

/// Fields that are told one by one.
const SHOWN: usize = 3;

/// Lines about an instance that has drifted, and about what is fought over. `resync` is how often it
/// is looked at.
pub fn lines(seen: &Observation, resync: Duration, now: Timestamp) -> Vec<String> {
    let mut lines: Vec<String> = seen.drifts.iter().take(SHOWN).map(ToString::to_string).collect();
    if seen.drifts.len() > SHOWN {
        lines.push(format!("and {} more", seen.drifts.len() - SHOWN));
    }
    let has_drifted = seen.has_drifted == Some(true);
    if has_drifted && lines.is_empty() {
        lines.push("somebody has changed it".to_owned());
    }
    let fights = drift::fights(&seen.heals, now);
    lines.extend(fights.iter().map(ToString::to_string));
    let next = drift::heal_at(&seen.heals, resync, now);
    if has_drifted && next > now {
        lines.push(format!("not put back before {}", moment(next)));
    }
    if !fights.is_empty() {
        lines.push(
            "leave the field to its owner with `ignoreDifferences`, or make its owner stop"
                .to_owned(),
        );
    }
    lines
}
