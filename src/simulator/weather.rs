//! What goes wrong between the controllers and a cluster, as long as it does.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use http::Method;
use rand::RngExt as _;

use super::scenario::Dice;
use crate::sim::Fault;
use crate::sim::request::{Request, Target};

/// Something that goes wrong with requests to one cluster.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Trouble {
    /// Nothing gets through.
    Down,
    /// So many requests of a thousand meet a fault of this kind.
    Storm(Storm, u16),
    /// Lists of one kind fail.
    NoList(&'static str),
}

/// A kind of faults.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Storm {
    /// Refused connections.
    Refused,
    /// 429.
    TooMany,
    /// 500.
    Error,
    /// 409, for writes.
    Conflict,
    /// Late answers.
    Slow,
    /// What was asked is done, and nobody says so.
    LostAnswer,
    /// Nobody ever answers, and nothing is done.
    Hangs,
    /// Nobody ever answers, and it is done.
    HangsAfter,
}

const STORMS: [Storm; 8] = [
    Storm::Refused,
    Storm::TooMany,
    Storm::Error,
    Storm::Conflict,
    Storm::Slow,
    Storm::LostAnswer,
    Storm::Hangs,
    Storm::HangsAfter,
];
const LISTED: [&str; 4] = ["deployments", "configmaps", "secrets", "pods"];

impl Trouble {
    /// One of them.
    pub(super) fn draw(dice: &mut Dice) -> Self {
        match dice.random_range(0..10) {
            0..3 => Self::Down,
            3 => Self::NoList(LISTED[dice.random_range(0..LISTED.len())]),
            _ => {
                let storm = STORMS[dice.random_range(0..STORMS.len())];
                Self::Storm(storm, dice.random_range(20..=700))
            }
        }
    }

    fn meet(&self, request: &Request, dice: &mut Dice) -> Option<Fault> {
        match self {
            Self::Down => Some(Fault::Unreachable),
            Self::NoList(plural) => is_list(request, plural).then_some(Fault::ServerError),
            Self::Storm(storm, per_mille) => {
                let is_met = dice.random_range(0..1_000) < *per_mille;
                is_met.then(|| storm.fault(request, dice)).flatten()
            }
        }
    }
}

impl Storm {
    fn fault(self, request: &Request, dice: &mut Dice) -> Option<Fault> {
        Some(match self {
            Self::Refused => Fault::Unreachable,
            Self::TooMany => Fault::TooManyRequests(dice.random_range(1..=5)),
            Self::Error => Fault::ServerError,
            Self::Conflict if request.method == Method::GET => return None,
            Self::Conflict => Fault::Conflict,
            Self::Slow => Fault::Slow(Duration::from_secs(dice.random_range(1..=60))),
            Self::LostAnswer => Fault::LostAnswer,
            Self::Hangs => Fault::Hangs,
            Self::HangsAfter => Fault::HangsAfter,
        })
    }
}

fn is_list(request: &Request, plural: &str) -> bool {
    let Target::Objects(path) = request.target() else { return false };
    request.method == Method::GET && path.name.is_empty() && path.plural == plural
}

/// The weather over all clusters. Cheap to clone; clones are the same weather.
#[derive(Clone, Debug, Default)]
pub(super) struct Weather(Arc<Mutex<Troubles>>);

/// By cluster: what goes wrong, and until when.
type Troubles = BTreeMap<String, Vec<(Trouble, Duration)>>;

impl Weather {
    fn lock(&self) -> MutexGuard<'_, Troubles> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Something goes wrong until a time.
    pub(super) fn begins(&self, cluster: &str, what: Trouble, until: Duration) {
        self.lock().entry(cluster.to_owned()).or_default().push((what, until));
    }

    /// All is well from now on.
    pub(super) fn clears(&self) {
        self.lock().clear();
    }

    /// The fault that a request to a cluster meets.
    pub(super) fn meet(
        &self,
        cluster: &str,
        request: &Request,
        now: Duration,
        dice: &mut Dice,
    ) -> Option<Fault> {
        let mut all = self.lock();
        let troubles = all.get_mut(cluster)?;
        troubles.retain(|(_, until)| *until > now);
        troubles.iter().find_map(|(trouble, _)| trouble.meet(request, dice))
    }
}
