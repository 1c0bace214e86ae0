//! How fast requests to one cluster may follow one another.

use std::num::NonZeroU32;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// Requests that may begin at once after a rest.
const BURST: u32 = 16;

/// Lets at most so many requests begin in a second, after a burst of [`BURST`]: the generic cell
/// rate algorithm of ITU-T I.371, as a virtual schedule. Whoever asks first goes first.
pub(super) struct Pace {
    interval: Duration,
    /// When the next request would begin if all kept exactly to the interval.
    due: Mutex<Instant>,
}

impl Pace {
    pub(super) fn new(per_second: NonZeroU32) -> Self {
        let interval = Duration::from_secs(1) / per_second.get();
        Self { interval, due: Mutex::new(Instant::now()) }
    }

    /// Returns when the next request may begin.
    pub(super) async fn turn(&self) {
        tokio::time::sleep_until(self.next(Instant::now())).await;
    }

    /// When a request may begin that is wanted at `now`.
    fn next(&self, now: Instant) -> Instant {
        let mut due = self.due.lock().unwrap_or_else(PoisonError::into_inner);
        let planned = (*due).max(now);
        *due = planned + self.interval;
        let ahead = self.interval * (BURST - 1);
        planned.checked_sub(ahead).map_or(now, |earliest| earliest.max(now))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn after_a_burst_requests_keep_their_distance_and_a_rest_allows_another_burst() {
        let pace = Pace::new(NonZeroU32::new(10).unwrap());
        let began = Instant::now();
        for _ in 0..BURST {
            pace.turn().await;
        }
        assert_eq!(began.elapsed(), Duration::ZERO);
        for _ in 0..20 {
            pace.turn().await;
        }
        assert_eq!(began.elapsed(), Duration::from_secs(2));

        tokio::time::advance(Duration::from_hours(1)).await;
        let rested = Instant::now();
        for _ in 0..=BURST {
            pace.turn().await;
        }
        assert_eq!(rested.elapsed(), Duration::from_millis(100));
    }
}
