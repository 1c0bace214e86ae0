//! The services behind gates, in a history: what they say is an act.

use std::sync::{Arc, Mutex, PoisonError};

use futures::FutureExt as _;
use futures::future::BoxFuture;

use crate::base::clock::Timestamp;
use crate::controller::AsksGates;
use crate::fleet::model::Gate;
use crate::rollout::{Rollout, Verdict};

/// One service behind all gates. Cheap to clone; clones are the same one.
#[derive(Clone, Debug)]
pub(super) struct SimGates(Arc<Mutex<Option<bool>>>);

impl SimGates {
    /// A service that says pass.
    pub(super) fn new() -> Self {
        Self(Arc::new(Mutex::new(Some(true))))
    }

    /// What it says from now on; nothing when `None`.
    pub(super) fn says(&self, says: Option<bool>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = says;
    }
}

impl AsksGates for SimGates {
    fn ask(&self, _: &Gate, _: &Rollout, _: Timestamp) -> BoxFuture<'static, Verdict> {
        let says = *self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let verdict = match says {
            None => Verdict::Unknown("nobody answers".to_owned()),
            Some(true) => Verdict::Holds("0.01".to_owned()),
            Some(false) => Verdict::Broken("0.9 is more than 0.1".to_owned()),
        };
        async move { verdict }.boxed()
    }
}
