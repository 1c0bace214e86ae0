//! The services behind gates, in a history: what they say is an act.

use std::sync::{Arc, Mutex, PoisonError};

use futures::FutureExt as _;
use futures::future::BoxFuture;
use serde_json::json;

use crate::base::clock::Timestamp;
use crate::base::ids::ClusterName;
use crate::controller::AsksGates;
use crate::fleet::model::{Gate, PrometheusGate};
use crate::rollout::comparison::{Compared, Groups, Times, compared};
use crate::rollout::{Evidence, GateSeen, Rollout, Verdict};

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
    fn ask(&self, gate: &Gate, rollout: &Rollout, now: Timestamp) -> BoxFuture<'static, GateSeen> {
        let says = *self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let compares = gate.prometheus.as_ref().filter(|gate| gate.compare_to.is_some());
        let said = match (compares, says) {
            (Some(compares), _) => match compare(compares, rollout, now, says) {
                Ok(seen) => GateSeen::by(now, gate, Evidence::Comparison(seen)),
                Err(reason) => GateSeen::new(now, Verdict::Unknown(reason)),
            },
            (None, None) => GateSeen::new(now, Verdict::Unknown("nobody answers".to_owned())),
            (None, Some(true)) => GateSeen::new(now, Verdict::Holds("0.01".to_owned())),
            (None, Some(false)) => {
                GateSeen::new(now, Verdict::Broken("0.9 is more than 0.1".to_owned()))
            }
        };
        async move { said }.boxed()
    }
}

/// As a Prometheus would that has always seen what is so now.
fn compare(
    gate: &PrometheusGate,
    rollout: &Rollout,
    now: Timestamp,
    says: Option<bool>,
) -> Result<Compared, String> {
    let groups = Groups::of(rollout).with_control()?;
    let times = Times::of(gate, rollout, now)?;
    let is_well = says.ok_or("nobody answers")?;
    let series = |name: &ClusterName, value: &str| {
        let seconds = |at: u32| times.at(at).as_millisecond() as f64 / 1_000.0;
        let values: Vec<_> = (1..=times.count).map(|at| json!([seconds(at), value])).collect();
        json!({"metric": {"cluster": name}, "values": values})
    };
    let changed = groups.changed.iter().map(|name| series(name, if is_well { "0" } else { "0.9" }));
    let control = groups.control.iter().map(|name| series(name, "0"));
    let series: Vec<_> = changed.chain(control).collect();
    let data = json!({"resultType": "matrix", "result": series});
    compared(gate, &groups, times, &json!({"status": "success", "data": data}))
}
