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

/// One of the releases that an instance may have on a cluster.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Side {
    /// The one that is called as git says, without a slot: from before the strategy was `blueGreen`.
    Plain,
    /// One of the two.
    Of(Slot),
}

impl Side {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Plain, Self::Of(Slot::Blue), Self::Of(Slot::Green)];

    /// What its release is called.
    pub fn release_name(self, base: &str) -> String {
        match self {
            Self::Plain => base.to_owned(),
            Self::Of(slot) => slot.release_name(base),
        }
    }

    /// The slot in which the next release comes beside it.
    pub fn next(self) -> Slot {
        match self {
            Self::Plain => Slot::Blue,
            Self::Of(slot) => slot.other(),
        }
    }
}

/// The releases that an instance has on a cluster: the records of each that is there, oldest first.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Standing(BTreeMap<Side, Vec<RecordHead>>);

impl Standing {
    /// Of heads of any releases.
    pub fn of(base: &ReleaseId, heads: impl IntoIterator<Item = RecordHead>) -> Self {
        let mut sides: BTreeMap<Side, Vec<RecordHead>> = BTreeMap::new();
        for head in heads {
            if let Some(side) = Side::ALL.into_iter().find(|side| head.id == of(base, *side)) {
                sides.entry(side).or_default().push(head);
            }
        }
        // Another release may happen to have such a name.
        sides.retain(|side, heads| match side {
            Side::Plain => true,
            Side::Of(slot) => heads.iter().any(|head| head.origin.slot == Some(*slot)),
        });
        Self(sides)
    }

    /// Which releases are there: of one that was uninstalled, nothing but its history is.
    pub fn sides(&self) -> impl Iterator<Item = Side> {
        let is_there = |heads: &[RecordHead]| {
            heads.last().is_some_and(|newest| newest.status != ReleaseStatus::Uninstalled)
        };
        self.0.iter().filter(move |(_, heads)| is_there(heads)).map(|(side, _)| *side)
    }

    /// The records of all of them.
    pub fn heads(&self) -> impl Iterator<Item = &RecordHead> {
        self.0.values().flatten()
    }

    /// The records of one.
    pub fn heads_of(&self, side: Side) -> &[RecordHead] {
        self.0.get(&side).map_or(&[], Vec::as_slice)
    }

    /// Whether a slot is taken.
    pub fn has_slots(&self) -> bool {
        self.sides().any(|side| side != Side::Plain)
    }

    /// What a release is to the instance.
    pub fn mark(&self, side: Side) -> Option<&Mark> {
        self.heads_of(side).iter().rev().find_map(|head| head.mark.as_ref())
    }

    /// The newest record of a release.
    pub fn newest(&self, side: Side) -> Option<&RecordHead> {
        self.heads_of(side).last()
    }

    /// The release that the instance is at, and since when. Of two that say so, the later one: the
    /// other one's mark could not be changed any more. Where none does, the one from before is.
    pub fn active(&self) -> Option<(Side, Timestamp)> {
        let active = self.sides().filter_map(|side| match self.mark(side)? {
            Mark::Active { since } => Some((side, *since)),
            _ => None,
        });
        active.max_by_key(|(_, since)| *since).or_else(|| self.active_from_before())
    }

    fn active_from_before(&self) -> Option<(Side, Timestamp)> {
        let plain = self.sides().find(|side| *side == Side::Plain)?;
        let since = self.newest(plain)?.modified_at.unwrap_or(Timestamp::UNIX_EPOCH);
        let is_at_it = matches!(self.mark(plain), None | Some(Mark::Kept { .. }));
        is_at_it.then_some((plain, since))
    }

    /// The release that is on its way to the traffic, or back from it.
    pub fn coming(&self) -> Option<Side> {
        let active = self.active().map(|(side, _)| side);
        let is_coming = |side: &Side| {
            Some(*side) != active
                && matches!(
                    self.mark(*side),
                    None | Some(Mark::Trial { .. } | Mark::GivenUp { .. })
                )
        };
        self.sides().find(is_coming)
    }

    /// The releases whose time beside the active one is counted, and until when they stay.
    pub fn kept(&self) -> impl Iterator<Item = (Side, Timestamp)> {
        let active = self.active().map(|(side, _)| side);
        self.sides().filter_map(move |side| match self.mark(side)? {
            Mark::Kept { until, .. } if Some(side) != active => Some((side, *until)),
            _ => None,
        })
    }

    /// The records that tell what the instance is at: of the active release; without one, of what is
    /// being installed for the first time.
    pub fn present(&self) -> &[RecordHead] {
        let side = self.active().map(|(side, _)| side).or_else(|| self.sides().next());
        side.map_or(&[], |side| self.heads_of(side))
    }

    /// Whether a release is left that can go by now, or a mark that was not written any more.
    pub fn is_unfinished(&self, now: Timestamp) -> bool {
        let Some((active, _)) = self.active() else { return false };
        let mut others = self.sides().filter(|side| *side != active);
        others.any(|side| match self.mark(side) {
            Some(Mark::Kept { until, .. }) => *until <= now,
            Some(Mark::Active { .. }) => true,
            _ => false,
        })
    }

    /// The other release, where two are there, in words.
    pub fn beside(&self) -> Option<String> {
        if let Some(side) = self.coming() {
            let head = self.newest(side)?;
            let version = &head.origin.chart_version;
            let name = &head.id.name;
            let told = match self.mark(side) {
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
        let (side, until) = self.kept().next()?;
        let head = self.newest(side)?;
        let (name, version) = (&head.id.name, &head.origin.chart_version);
        Some(format!("{name} ({version}) is kept until {}", moment(until)))
    }
}

/// One of the releases of an instance.
pub fn of(base: &ReleaseId, side: Side) -> ReleaseId {
    ReleaseId { namespace: base.namespace.clone(), name: side.release_name(&base.name) }
}

/// The release that both slots of a record's release are called after; none where it has no slot.
pub fn base_of(head: &RecordHead) -> Option<ReleaseId> {
    let name = head.origin.slot?.base_of(&head.id.name)?;
    Some(ReleaseId { namespace: head.id.namespace.clone(), name: name.to_owned() })
}

/// What an instance has on a cluster, by one list.
pub async fn standing(client: &ClusterClient, base: &ReleaseId) -> Result<Standing, RequestError> {
    let heads = releases::heads_of(client, &Side::ALL.map(|side| of(base, side))).await?;
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
        assert_eq!(standing.active(), Some((Side::Of(Slot::Blue), at(9))));
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
