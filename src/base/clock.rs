//! Time: the only reader of the real clock, and clocks that run faster or stand still.

use std::time::Duration;

use futures::future::BoxFuture;
pub use jiff::Timestamp;

/// A source of time that can be waited on. Everything that waits takes one as an argument.
pub trait Clock: Send + Sync + 'static {
    /// The time now.
    fn now(&self) -> Timestamp;
    /// Resolves once `duration` of this clock's time has passed.
    fn sleep(&self, duration: Duration) -> BoxFuture<'static, ()>;
}

/// The computer's own clock.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        Timestamp::now()
    }

    fn sleep(&self, duration: Duration) -> BoxFuture<'static, ()> {
        Box::pin(tokio::time::sleep(duration))
    }
}

/// A clock that starts now and runs `factor` times as fast as the real one: hours of soak
/// pass in seconds.
#[derive(Clone, Copy, Debug)]
pub struct FastClock {
    start: Timestamp,
    started: tokio::time::Instant,
    factor: u32,
}

impl FastClock {
    /// Starts at the present time. `factor` is at least 1.
    pub fn new(factor: u32) -> Self {
        Self {
            start: Timestamp::now(),
            started: tokio::time::Instant::now(),
            factor: factor.max(1),
        }
    }
}

impl Clock for FastClock {
    fn now(&self) -> Timestamp {
        let elapsed = self.started.elapsed().saturating_mul(self.factor);
        after(self.start, elapsed)
    }

    fn sleep(&self, duration: Duration) -> BoxFuture<'static, ()> {
        Box::pin(tokio::time::sleep(duration / self.factor))
    }
}

/// The computer's time, for what is not part of any simulated history.
pub fn now() -> Timestamp {
    Timestamp::now()
}

/// The computer's day, in UTC.
pub fn today() -> jiff::civil::Date {
    now().to_zoned(jiff::tz::TimeZone::UTC).date()
}

/// A time later; the end of time where there is none.
pub fn after(at: Timestamp, duration: Duration) -> Timestamp {
    at.saturating_add(duration).unwrap_or(Timestamp::MAX)
}

/// A time for people: to the second.
pub fn moment(at: Timestamp) -> String {
    at.strftime("%Y-%m-%d %H:%M:%SZ").to_string()
}
