//! Whether what git says of an addon is what is on two clusters, and whether it is well.

use serde::{Deserialize, Serialize};

use super::Sides;
use crate::base::clock::Timestamp;
use crate::base::ids::ClusterName;
use crate::live::{Observation, ReleaseStatus};
use crate::render::Release;

/// What two clusters say of one addon. A side that git wants and that is none was not asked.
pub type LiveParity = Sides<Sighting>;

/// One addon on one cluster, seen at one time.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Sighting {
    /// When the reading began.
    pub observed_at: Timestamp,
    /// The chart's version that is there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// What is wrong with it; none where it is as git says and healthy.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub problem: Option<String>,
    /// Whether nothing could be seen of it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub is_unknown: bool,
}

impl LiveParity {
    /// What keeps green from taking blue's place: blue's own troubles do not.
    pub(super) fn lack(&self, cluster: &ClusterName) -> Option<String> {
        let problem = self.green.as_ref()?.problem.as_ref()?;
        Some(format!("is not ready on {cluster}: {problem}"))
    }
}

impl Sighting {
    /// Of a look at a release that is wanted.
    pub fn of(observation: &Observation, release: &Release) -> Self {
        let adopted = observation.adopted.as_ref();
        Self {
            observed_at: observation.observed_at,
            version: adopted.map(|adopted| adopted.chart_version.clone()),
            problem: problem(observation, release),
            is_unknown: !observation.gaps.is_empty(),
        }
    }

    /// Of a cluster that could not be asked.
    pub fn unreachable(reason: &str, at: Timestamp) -> Self {
        Self {
            observed_at: at,
            version: None,
            problem: Some(format!("the cluster does not answer: {reason}")),
            is_unknown: true,
        }
    }
}

fn problem(observation: &Observation, release: &Release) -> Option<String> {
    if let Some(gap) = observation.gaps.first() {
        return Some(gap.to_string());
    }
    if let Some(pending) = &observation.pending {
        return Some(format!("its newest record is {}", pending.status));
    }
    let Some(adopted) = &observation.adopted else {
        return Some("it is not installed".to_owned());
    };
    if adopted.status != ReleaseStatus::Deployed {
        return Some(format!("its newest record is {}", adopted.status));
    }
    let is_at = adopted.digest.as_ref() == Some(&release.digest);
    if !is_at && adopted.chart_version != release.chart_version() {
        let (has, wants) = (&adopted.chart_version, release.chart_version());
        return Some(format!("it is at {has}, and git says {wants}"));
    }
    if !is_at {
        return Some("it is not what git says".to_owned());
    }
    if !observation.health.is_ready() {
        return Some(observation.health.message.clone());
    }
    (observation.has_drifted == Some(true))
        .then(|| "somebody has changed what was applied".to_owned())
}
