//! Waiting for health: level-triggered and bounded.

use std::fmt;
use std::time::Duration;

use crate::base::clock::{Clock, Timestamp};
use crate::health::Condition;
use crate::k8s::ClusterClient;
use crate::live::{Cause, Live, Observation, PodLog, Subject, causes, look};

/// The first pause between two looks; it doubles up to [`PAUSE_MAX`].
const PAUSE_MIN: Duration = Duration::from_millis(250);
/// The longest pause between two looks.
const PAUSE_MAX: Duration = Duration::from_secs(4);
/// How long something may be stalled before waiting is given up: an image that cannot be pulled
/// may be there a moment later.
const STALLED_FOR: Duration = Duration::from_secs(45);

/// Since when something is stalled.
#[derive(Default)]
pub(super) struct Patience {
    stalled_since: Option<Timestamp>,
}

impl Patience {
    /// Whether something that is in this condition now has been stalled for too long.
    pub(super) fn is_over(&mut self, condition: Condition, now: Timestamp) -> bool {
        if condition != Condition::Stalled {
            self.stalled_since = None;
            return false;
        }
        let since = *self.stalled_since.get_or_insert(now);
        now.duration_since(since).unsigned_abs() >= STALLED_FOR
    }
}

/// A release that did not become healthy.
#[derive(Debug, thiserror::Error)]
pub enum WaitError {
    /// Not in time.
    #[error(
        "not healthy after {}: {}{}",
        humantime::format_duration(*.after),
        .observation.health.message,
        News(.observation, .causes)
    )]
    TimedOut {
        /// How long was waited.
        after: Duration,
        /// What was seen last.
        observation: Box<Observation>,
        /// Why, as far as pods, events and logs tell.
        causes: Vec<Cause>,
    },
    /// It failed, or has been stalled for a while.
    #[error("{}{}", .observation.health.message, News(.observation, .causes))]
    Failed {
        /// What was seen last.
        observation: Box<Observation>,
        /// Why, as far as pods, events and logs tell.
        causes: Vec<Cause>,
    },
}

impl WaitError {
    /// What was seen last.
    pub fn observation(&self) -> &Observation {
        match self {
            Self::TimedOut { observation, .. } | Self::Failed { observation, .. } => observation,
        }
    }

    /// The last words of containers that ended with an error.
    pub fn logs(&self) -> Vec<PodLog> {
        let (Self::TimedOut { causes, .. } | Self::Failed { causes, .. }) = self;
        causes.iter().filter_map(|cause| cause.log.clone()).collect()
    }
}

/// What causes say that the observation does not.
struct News<'a>(&'a Observation, &'a [Cause]);

impl fmt::Display for News<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(observation, causes) = self;
        let said = &observation.health.message;
        for cause in causes.iter().filter(|cause| !cause.is_said_in(said)) {
            write!(f, "; {}", cause.reason)?;
        }
        Ok(())
    }
}

/// Waits until a release is healthy. Each look reads the present state; nothing is remembered
/// but since when it is stalled.
pub async fn wait<'a>(
    client: &ClusterClient,
    subject: impl Into<Subject<'a>>,
    timeout: Duration,
    clock: &dyn Clock,
) -> Result<Observation, WaitError> {
    let subject = subject.into();
    let started = clock.now();
    let mut patience = Patience::default();
    let mut pause = PAUSE_MIN;
    loop {
        let (observation, live) = look(client, subject, clock).await;
        let now = clock.now();
        let waited = now.duration_since(started).unsigned_abs();
        match observation.health.condition {
            Condition::Ready if observation.gaps.is_empty() => return Ok(observation),
            condition if condition == Condition::Failed || patience.is_over(condition, now) => {
                let causes = why(client, &live, &observation).await;
                return Err(WaitError::Failed { observation: Box::new(observation), causes });
            }
            _ => {}
        }
        if waited >= timeout {
            let causes = why(client, &live, &observation).await;
            let observation = Box::new(observation);
            return Err(WaitError::TimedOut { after: timeout, observation, causes });
        }
        clock.sleep(pause.min(timeout.saturating_sub(waited))).await;
        pause = (pause * 2).min(PAUSE_MAX);
    }
}

/// What causes say of a release that is not healthy, beyond what was observed.
pub(super) async fn told_why(
    client: &ClusterClient,
    live: &Live,
    observation: &Observation,
) -> String {
    News(observation, &why(client, live, observation).await).to_string()
}

/// Why the objects are not healthy that are not.
async fn why(client: &ClusterClient, live: &Live, observation: &Observation) -> Vec<Cause> {
    let unhealthy = live.objects.keys().filter_map(|key| {
        let health = &observation.objects.get(&key.to_string())?.health;
        (!health.is_ready()).then_some((key, health))
    });
    causes(client, live, unhealthy).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patience_is_over_only_when_nothing_moved_for_a_while() {
        let at = |second| Timestamp::from_second(second).unwrap();
        let mut patience = Patience::default();
        assert!(!patience.is_over(Condition::Stalled, at(0)));
        assert!(!patience.is_over(Condition::Stalled, at(44)));
        assert!(!patience.is_over(Condition::Progressing, at(45)));
        assert!(!patience.is_over(Condition::Stalled, at(46)));
        assert!(!patience.is_over(Condition::Stalled, at(90)));
        assert!(patience.is_over(Condition::Stalled, at(91)));
    }
}
