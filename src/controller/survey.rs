//! The fleet as a controller would see it now: for `status` and `why`. Records nothing and changes
//! nothing.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::head::Head;
use super::tick::Reconciler;
use super::wishes::{Looks, wishes};
use crate::base::ids::{AddonName, ClusterName, InstanceKey};
use crate::base::planted::{Planted, is_planted};
use crate::live::Observation;
use crate::rollout::train::advance_each;
use crate::rollout::{Rollout, RolloutId, WaitingOn};

/// The fleet as it is seen now.
#[derive(Debug)]
pub struct Survey {
    /// What git says.
    pub head: Arc<Head>,
    /// What each cluster has.
    pub looks: Looks,
    /// A full look at each instance that was asked for.
    pub observed: BTreeMap<InstanceKey, Observation>,
    /// What the members of rollouts that are under way wait for.
    pub waiting: BTreeMap<RolloutId, BTreeMap<ClusterName, WaitingOn>>,
    /// Addons that are held, and why.
    pub held: BTreeMap<AddonName, String>,
    /// Addons whose rollout would begin, or change, with the controller's next tick.
    pub pending: Vec<AddonName>,
}

impl Reconciler {
    /// Looks at the whole fleet, and at each instance that `is_wanted` as a controller's tick would.
    ///
    /// # Errors
    /// In words, when git cannot be read.
    pub async fn survey(
        &mut self,
        is_wanted: impl Fn(&InstanceKey) -> bool,
    ) -> Result<Survey, String> {
        self.is_onlooker = true;
        self.poll().await?;
        let head = self.head.clone().ok_or("git could not be read")?;
        let looks = self.look_at_clusters(&head).await;
        let mut made = wishes(&head, &looks, self.rollouts());
        self.ids.append(&mut made.ids);
        self.name_releases();
        let mut survey = Survey {
            head: Arc::clone(&head),
            observed: BTreeMap::new(),
            waiting: BTreeMap::new(),
            held: made.held.clone(),
            pending: Vec::new(),
            looks,
        };
        for departure in self.departures(&made, &survey.looks) {
            let changed: BTreeSet<&AddonName> =
                departure.events.iter().map(|event| &event.addon).collect();
            survey.pending.extend(changed.into_iter().cloned());
            survey.held.extend(departure.told());
        }
        if is_planted(Planted::LookHeals) {
            self.heal_if_due(&head, &survey.looks).await;
            self.finish().await;
        }
        self.take_approvals(&head).await.map_err(|error| error.to_string())?;
        let active: Vec<Rollout> = self.active().cloned().collect();
        let now = self.options.clock.now();
        let observed = self.observe_members(&head, &survey.looks, active).await;
        for step in advance_each(observed, now).flat_map(|together| together.parts) {
            survey.waiting.insert(step.rollout.id.clone(), step.waiting);
        }
        self.survey_switches(&head, &survey.looks).await;
        let keys: Vec<InstanceKey> =
            self.ids.keys().filter(|key| is_wanted(key)).cloned().collect();
        survey.observed = self.skim(&head, &survey.looks, keys).await;
        Ok(survey)
    }
}
