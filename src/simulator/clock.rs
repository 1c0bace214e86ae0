//! Virtual time: the runtime's paused clock, and a controller's own that may be wrong.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use futures::future::BoxFuture;

use crate::base::clock::{Clock, Timestamp};

/// When every history begins: a Monday morning.
const EPOCH: i64 = 1_767_600_000;

/// A clock of the simulated world.
#[derive(Clone, Debug)]
pub(super) struct SimClock {
    began: tokio::time::Instant,
    /// By how many seconds it is wrong.
    wrong_by: Arc<AtomicI64>,
}

impl SimClock {
    /// A clock that is right, and begins now.
    pub(super) fn begin() -> Self {
        Self { began: tokio::time::Instant::now(), wrong_by: Arc::default() }
    }

    /// One that runs with it until it jumps.
    pub(super) fn another(&self) -> Self {
        Self { began: self.began, wrong_by: Arc::default() }
    }

    /// How long the history goes on.
    pub(super) fn elapsed(&self) -> Duration {
        self.began.elapsed()
    }

    /// It jumps.
    pub(super) fn jump(&self, seconds: i64) {
        self.wrong_by.fetch_add(seconds, Ordering::Relaxed);
    }
}

impl Clock for SimClock {
    fn now(&self) -> Timestamp {
        let begin = Timestamp::from_second(EPOCH + self.wrong_by.load(Ordering::Relaxed));
        let begin = begin.unwrap_or(Timestamp::UNIX_EPOCH);
        crate::base::clock::after(begin, self.elapsed())
    }

    fn sleep(&self, duration: Duration) -> BoxFuture<'static, ()> {
        Box::pin(tokio::time::sleep(duration))
    }
}
