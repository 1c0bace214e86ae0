//! From the fleet's documents to switches: which cluster of each pair serves, and which is to take its
//! place.

use std::collections::BTreeMap;

use super::event::{SwitchEvent, SwitchEventKind as Kind, Switches};
use super::model::{Pair, PairId, Switch, SwitchId};
use crate::base::clock::Timestamp;
use crate::base::ids::{ClusterName, PolicyName, Rev};
use crate::fleet::model::{Cluster, Fleet};
use crate::fleet::switch::{SwitchPolicySpec, pairs};

/// What the documents make of all pairs.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Begun {
    /// To be put on record.
    pub events: Vec<SwitchEvent>,
    /// Pairs of which nothing is made, and why.
    pub held: BTreeMap<PairId, String>,
}

/// Finds the pairs of every policy, and what begins with them.
///
/// # Guarantees
/// No two clusters switch twice, unless somebody says so, or one of them has left and joined again: what is left of
/// a pair when its traffic has gone to one of them begins nothing.
pub fn begin(fleet: &Fleet, rev: &Rev, known: &Switches, now: Timestamp) -> Begun {
    let mut begun = Begun::default();
    let mut numbers: BTreeMap<&PolicyName, u32> = BTreeMap::new();
    for (name, policy) in &fleet.switches {
        let spec = &policy.value.spec;
        let clusters = fleet.clusters.values().map(|document| &document.value);
        for (values, members) in pairs(spec, clusters) {
            let labels =
                spec.pair.by.iter().cloned().zip(values.iter().map(|one| (*one).to_owned()));
            let id = PairId { policy: name.clone(), labels: labels.collect() };
            let nothing = Pair::default();
            let pair = known.pairs.get(&id).unwrap_or(&nothing);
            let number = numbers.entry(name).or_insert_with(|| known.next_number(name));
            let looked = Members { id: &id, pair, rev, spec, now };
            match looked.events(&members, *number) {
                Ok(events) => {
                    let starts = |event: &&SwitchEvent| matches!(event.kind, Kind::Started { .. });
                    *number += u32::try_from(events.iter().filter(starts).count()).unwrap_or(0);
                    begun.events.extend(events);
                }
                Err(reason) => {
                    begun.held.insert(id, reason);
                }
            }
        }
    }
    begun
}

struct Members<'a> {
    id: &'a PairId,
    pair: &'a Pair,
    rev: &'a Rev,
    spec: &'a SwitchPolicySpec,
    now: Timestamp,
}

impl Members<'_> {
    /// What begins with the clusters of a pair.
    ///
    /// # Errors
    /// Why that cannot be known.
    fn events(&self, members: &[&Cluster], number: u32) -> Result<Vec<SwitchEvent>, String> {
        let names: Vec<&ClusterName> = members.iter().map(|one| &one.metadata.name).collect();
        let serving = self.pair.serving.as_ref();
        let is_under_way = self.pair.switches.last().is_some_and(|switch| !switch.phase.is_ended());
        match (names.as_slice(), serving) {
            ([one], None) => Ok(vec![self.serves(one)]),
            ([_], Some(_)) if is_under_way => Ok(Vec::new()),
            // The other one has left: if it joins again, that is another cluster of the same name.
            ([one], Some(serving)) if serving == *one => {
                Ok(if self.pair.is_alone { Vec::new() } else { vec![self.serves(one)] })
            }
            ([_] | [_, _], Some(serving)) if !names.contains(&serving) && !is_under_way => {
                Err(format!(
                    "{serving} serves, as far as is on record, and is not in the fleet: say which one does \
                 with `fitout switch serves CLUSTER`"
                ))
            }
            ([one, other], Some(serving)) => {
                let green = if serving == *one { other } else { one };
                Ok(self.of_two(serving, green, number))
            }
            ([_, _], None) => {
                let replaced = replaced(members)?;
                let green = names.iter().find(|name| **name != replaced);
                let mut events = vec![self.serves(replaced)];
                events.extend(
                    green.into_iter().flat_map(|green| self.of_two(replaced, green, number)),
                );
                Ok(events)
            }
            ([], _) => Ok(Vec::new()),
            (more, _) => {
                Err(format!("{} clusters are a pair: nobody knows which is which", more.len()))
            }
        }
    }

    fn of_two(&self, blue: &ClusterName, green: &ClusterName, number: u32) -> Vec<SwitchEvent> {
        let newest = self.pair.switches.last();
        let is_known = |newest: &&Switch| !self.pair.is_alone && newest.is_between(blue, green);
        if let Some(newest) = newest.filter(is_known) {
            let is_other = newest.phase.is_before() && newest.policy != *self.spec;
            let kind = || Kind::Repinned {
                revision: self.rev.clone(),
                policy: Box::new(self.spec.clone()),
            };
            let events = is_other.then(|| SwitchEvent::of(newest, kind(), self.now));
            return events.into_iter().collect();
        }
        // What is under way with another cluster comes to its end first.
        if newest.is_some_and(|newest| !newest.phase.is_ended()) {
            return Vec::new();
        }
        let kind = Kind::Started {
            blue: blue.clone(),
            green: green.clone(),
            revision: self.rev.clone(),
            policy: Box::new(self.spec.clone()),
        };
        let switch = Some(SwitchId { policy: self.id.policy.clone(), number });
        vec![SwitchEvent { kind, at: self.now, pair: self.id.clone(), switch, reason: None }]
    }

    fn serves(&self, cluster: &ClusterName) -> SwitchEvent {
        let kind = Kind::Serving { cluster: cluster.clone(), by: None };
        SwitchEvent { kind, at: self.now, pair: self.id.clone(), switch: None, reason: None }
    }
}

/// The cluster that the other one says it replaces.
///
/// # Errors
/// That nobody says so.
fn replaced<'a>(members: &[&'a Cluster]) -> Result<&'a ClusterName, String> {
    let said = members.iter().filter_map(|cluster| {
        let replaces = cluster.spec.replaces.as_ref()?;
        members.iter().map(|one| &one.metadata.name).find(|name| *name == replaces)
    });
    match said.collect::<Vec<_>>().as_slice() {
        [one] => Ok(one),
        _ => Err(
            "nobody knows which of the two serves: let the new one's document say `replaces`, or say \
             `fitout switch serves CLUSTER`"
                .to_owned(),
        ),
    }
}
