//! Two releases of one instance beside one another, as their records tell of them.
//!
//! Each is a release of its own, called `RELEASE-blue` and `RELEASE-green`. Which of them the
//! instance is at, and how far traffic has moved, stands as a [`Mark`] on their records: whoever
//! comes next goes on from there, whatever became of whoever began.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::record::{RecordHead, ReleaseStatus};
use super::{ReleaseId, releases};
use crate::base::clock::{Timestamp, moment};
use crate::fleet::blue_green::Slot;
use crate::k8s::{ClusterClient, RequestError};

/// What one of the two releases is to the instance. A release without a mark was installed, or is
/// being installed, and has never had traffic.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", rename_all_fields = "camelCase", tag = "is")]
pub enum Mark {
    /// It is new, and on its way to all of the traffic.
    Trial {
        /// The step that it is at: of none of the traffic (0), of the first step's (1), …
        step: usize,
        /// Since when it is healthy with what that step gives it.
        since: Timestamp,
        /// Since when it is not, or has not got there yet; then `since` says nothing.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        lost_at: Option<Timestamp>,
        /// It had all of the traffic before: it gets it back at once, without steps.
        #[serde(default)]
        returns: bool,
    },
    /// The instance is at it, and it has all of the traffic.
    Active {
        /// Since when.
        since: Timestamp,
    },
    /// The other one has taken its place.
    Kept {
        /// Since when.
        since: Timestamp,
        /// Until when it stays.
        until: Timestamp,
    },
    /// It did not get there, and goes.
    GivenUp {
        /// Since when.
        since: Timestamp,
        /// Why.
        reason: String,
    },
}

/// The releases that an instance has on a cluster, by their records.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Standing {
    /// Records of the release that is called as git says, without a slot: from before the strategy
    /// was `blueGreen`. Oldest first, as those of the slots.
    pub plain: Vec<RecordHead>,
    /// Records of the slots that are there.
    pub slots: BTreeMap<Slot, Vec<RecordHead>>,
}

impl Standing {
    /// Of heads of any releases.
    pub fn of(base: &ReleaseId, heads: impl IntoIterator<Item = RecordHead>) -> Self {
        let mut standing = Self::default();
        let mut by_slot: BTreeMap<Slot, Vec<RecordHead>> = BTreeMap::new();
        for head in heads {
            if head.id == *base {
                standing.plain.push(head);
            } else if let Some(slot) = Slot::ALL.into_iter().find(|slot| head.id == of(base, *slot))
            {
                by_slot.entry(slot).or_default().push(head);
            }
        }
        // Another release may happen to have such a name.
        by_slot.retain(|slot, heads| heads.iter().any(|head| head.origin.slot == Some(*slot)));
        standing.slots = by_slot;
        standing
    }

    /// What a slot's release is to the instance.
    pub fn mark(&self, slot: Slot) -> Option<&Mark> {
        self.slots.get(&slot)?.iter().rev().find_map(|head| head.mark.as_ref())
    }

    /// The newest record of a slot.
    pub fn newest(&self, slot: Slot) -> Option<&RecordHead> {
        self.slots.get(&slot)?.last()
    }

    /// The slot that the instance is at, and since when. Of two that say so, the later one: the
    /// other one's mark could not be changed any more.
    pub fn active(&self) -> Option<(Slot, Timestamp)> {
        let active = self.slots.keys().filter_map(|slot| match self.mark(*slot)? {
            Mark::Active { since } => Some((*slot, *since)),
            _ => None,
        });
        active.max_by_key(|(_, since)| *since)
    }

    /// The slot with a release that is on its way to the traffic, or back from it.
    pub fn coming(&self) -> Option<Slot> {
        let is_coming = |slot: &Slot| {
            matches!(self.mark(*slot), None | Some(Mark::Trial { .. } | Mark::GivenUp { .. }))
        };
        self.slots.keys().copied().find(is_coming)
    }

    /// The records that tell what the instance is at: of the active slot; without one, of the
    /// release from before; else of what is being installed for the first time.
    pub fn present(&self) -> &[RecordHead] {
        match self.active() {
            Some((slot, _)) => &self.slots[&slot],
            None if !self.plain.is_empty() => &self.plain,
            None => self.slots.values().next().map_or(&[], Vec::as_slice),
        }
    }

    /// Whether a release is left that can go by now, or a mark that was not written any more.
    pub fn is_unfinished(&self, now: Timestamp) -> bool {
        let Some((active, _)) = self.active() else { return false };
        match self.mark(active.other()) {
            Some(Mark::Kept { until, .. }) => *until <= now,
            Some(Mark::Active { .. }) => true,
            _ => false,
        }
    }

    /// The other release, where two are there, in words.
    pub fn beside(&self) -> Option<String> {
        if let Some(slot) = self.coming() {
            let head = self.newest(slot)?;
            let version = &head.origin.chart_version;
            let name = &head.id.name;
            let told = match self.mark(slot) {
                Some(Mark::Trial { returns: true, .. }) => "gets the traffic back".to_owned(),
                Some(Mark::Trial { step: 0, .. }) => {
                    "is to be healthy before it gets traffic".into()
                }
                Some(Mark::Trial { step, since, lost_at: None, .. }) => {
                    format!("is at step {step} of the traffic since {}", moment(*since))
                }
                Some(Mark::Trial { step, .. }) => format!("goes to step {step} of the traffic"),
                Some(Mark::GivenUp { reason, .. }) => format!("goes again: {reason}"),
                _ => match head.status {
                    ReleaseStatus::Deployed => "has no traffic yet".to_owned(),
                    status => format!("is {status}"),
                },
            };
            return Some(format!("{name} ({version}) {told}"));
        }
        let (active, _) = self.active()?;
        let other = active.other();
        let Some(Mark::Kept { until, .. }) = self.mark(other) else { return None };
        let head = self.newest(other)?;
        let (name, version) = (&head.id.name, &head.origin.chart_version);
        Some(format!("{name} ({version}) is kept until {}", moment(*until)))
    }
}

/// The release of a slot.
pub fn of(base: &ReleaseId, slot: Slot) -> ReleaseId {
    ReleaseId { namespace: base.namespace.clone(), name: slot.release_name(&base.name) }
}

/// The release that both slots of a record's release are called after; none where it has no slot.
pub fn base_of(head: &RecordHead) -> Option<ReleaseId> {
    let name = head.origin.slot?.base_of(&head.id.name)?;
    Some(ReleaseId { namespace: head.id.namespace.clone(), name: name.to_owned() })
}

/// What an instance has on a cluster, by one list.
pub async fn standing(client: &ClusterClient, base: &ReleaseId) -> Result<Standing, RequestError> {
    let names = [base.clone(), of(base, Slot::Blue), of(base, Slot::Green)];
    let heads = releases::heads_of(client, &names).await?;
    Ok(Standing::of(base, heads))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::live::record::heads;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn slot(slot: Slot, mark: Option<Mark>) -> RecordHead {
        let mut head = heads(&[(ReleaseStatus::Deployed, "d")]).remove(0);
        head.id.name = slot.release_name("web");
        head.origin.slot = Some(slot);
        head.origin.chart_version = "1.0.0".to_owned();
        head.mark = mark;
        head
    }

    fn base() -> ReleaseId {
        ReleaseId { namespace: "n".to_owned(), name: "web".to_owned() }
    }

    #[test]
    fn of_two_active_ones_the_later_counts() {
        let active = |second| Some(Mark::Active { since: at(second) });
        let heads = [slot(Slot::Blue, active(9)), slot(Slot::Green, active(5))];
        let standing = Standing::of(&base(), heads);
        assert_eq!(standing.active(), Some((Slot::Blue, at(9))));
        assert!(standing.is_unfinished(at(9)));
        assert_eq!(standing.coming(), None);
    }

    #[test]
    fn a_release_that_only_has_such_a_name_is_another_one() {
        let mut other = slot(Slot::Blue, None);
        other.origin.slot = None;
        assert_eq!(Standing::of(&base(), [other]), Standing::default());
    }

    #[test]
    fn what_stands_beside_is_told() {
        let active = slot(Slot::Blue, Some(Mark::Active { since: at(0) }));
        let told = |mark| {
            let heads = [active.clone(), slot(Slot::Green, mark)];
            Standing::of(&base(), heads).beside().unwrap()
        };
        assert_eq!(told(None), "web-green (1.0.0) has no traffic yet");
        let kept = Mark::Kept { since: at(0), until: at(3600) };
        assert_eq!(told(Some(kept)), "web-green (1.0.0) is kept until 1970-01-01 01:00:00Z");
        let given_up = Mark::GivenUp { since: at(0), reason: "it crashed".to_owned() };
        assert_eq!(told(Some(given_up)), "web-green (1.0.0) goes again: it crashed");
    }

    #[test]
    fn a_mark_survives_its_annotation() {
        for mark in [
            Mark::Trial { step: 2, since: at(7), lost_at: Some(at(8)), returns: true },
            Mark::Active { since: at(1) },
            Mark::Kept { since: at(1), until: at(2) },
            Mark::GivenUp { since: at(1), reason: "why".to_owned() },
        ] {
            let text = serde_json::to_string(&mark).unwrap();
            assert_eq!(serde_json::from_str::<Mark>(&text).unwrap(), mark);
        }
    }
}
