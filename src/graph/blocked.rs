//! Why an addon cannot be changed yet, in words: what it waits for, down to what holds up the
//! others.

use std::collections::BTreeSet;
use std::fmt;

use super::addons::{AddonGraph, Range};
use crate::base::ids::AddonName;
use crate::fleet::range;

/// What an addon is like on its cluster, as far as others depend on it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Standing {
    /// Healthy, at this version.
    Ready {
        /// Of the chart; empty where it is not known.
        version: String,
    },
    /// On its way, or not well, and why.
    NotReady(String),
    /// Not installed.
    Absent,
    /// Could not be read, and why: a gap is no absence.
    Unknown(String),
}

/// One thing that an addon waits for.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Blocker {
    /// From what the addon itself depends on to what holds it up; never empty.
    pub chain: Vec<AddonName>,
    /// What is the matter with the last of them, to follow its name.
    pub reason: String,
}

impl fmt::Display for Blocker {
    /// `waits for prometheus-crds, which waits for cert-manager, which is not installed`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for addon in &self.chain {
            write!(f, "waits for {addon}, which ")?;
        }
        f.write_str(&self.reason)
    }
}

/// Everything an addon waits for, each cause once and in order; empty where it can go ahead.
///
/// `standing` is asked of what the addon depends on, at any depth.
pub fn why_blocked(
    graph: &AddonGraph,
    addon: &AddonName,
    standing: &dyn Fn(&AddonName) -> Standing,
) -> Vec<Blocker> {
    let mut search = Search { graph, standing, seen: BTreeSet::from([addon.clone()]) };
    let mut found = Vec::new();
    let first = search.collect(addon, &[], &mut found);
    // Where everything waits in a circle, nothing is a cause: what comes first has to do.
    if found.is_empty() {
        found.extend(first);
    }
    found
}

struct Search<'a> {
    graph: &'a AddonGraph,
    standing: &'a dyn Fn(&AddonName) -> Standing,
    seen: BTreeSet<AddonName>,
}

impl Search<'_> {
    /// Adds the causes; gives the first thing that is waited for, cause or not.
    fn collect(
        &mut self,
        addon: &AddonName,
        chain: &[AddonName],
        found: &mut Vec<Blocker>,
    ) -> Option<Blocker> {
        let mut first = None;
        for (needed, range) in self.graph.needs(addon) {
            let Some(reason) = unmet(&(self.standing)(needed), range) else { continue };
            let chain = [chain, std::slice::from_ref(needed)].concat();
            let blocker = Blocker { chain: chain.clone(), reason };
            first.get_or_insert_with(|| blocker.clone());
            if !self.seen.insert(needed.clone()) {
                continue;
            }
            // What waits itself is not the cause.
            if self.collect(needed, &chain, found).is_none() {
                found.push(blocker);
            }
        }
        first
    }
}

/// Why an addon in this state is not enough, if it is not.
fn unmet(standing: &Standing, range: &Range) -> Option<String> {
    match standing {
        Standing::Absent => Some("is not installed".to_owned()),
        Standing::NotReady(why) if why.is_empty() => Some("is not healthy".to_owned()),
        Standing::NotReady(why) => Some(format!("is not healthy: {why}")),
        Standing::Unknown(why) => Some(format!("cannot be looked at: {why}")),
        Standing::Ready { .. } if range.is_empty() => None,
        Standing::Ready { version } => {
            let wanted = range::Range::parse(range).ok();
            let is_met = wanted
                .zip(range::version(version))
                .is_some_and(|(wanted, version)| wanted.admits(&version));
            let at = if version.is_empty() { "an unknown version" } else { version };
            (!is_met).then(|| format!("is at {at}, and {range} is needed"))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::graph::dag::{Dag, Link};

    fn graph() -> AddonGraph {
        let link = |from: &str, to: &str, range: &str| Link {
            from: from.into(),
            to: to.into(),
            edge: range.to_owned(),
        };
        Dag::new(
            [],
            [
                link("shop", "ingress", ">=2"),
                link("shop", "database", ""),
                link("ingress", "certificates", ""),
                link("database", "certificates", ""),
            ],
            [],
        )
    }

    fn told(standings: &[(&str, Standing)]) -> Vec<String> {
        let standing = |addon: &AddonName| {
            let known = standings.iter().find(|(name, _)| *name == addon.as_str());
            known.map_or_else(
                || Standing::Ready { version: "2.1.0".to_owned() },
                |(_, standing)| standing.clone(),
            )
        };
        let blockers = why_blocked(&graph(), &"shop".into(), &standing);
        blockers.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn nothing_is_in_the_way_of_an_addon_whose_needs_are_met() {
        assert!(told(&[]).is_empty());
    }

    #[test]
    fn the_cause_is_told_and_not_what_follows_from_it() {
        let down = Standing::NotReady("Deployment/certs/issuer has 0 of 1 replicas".to_owned());
        let waits = Standing::NotReady(String::new());
        assert_eq!(
            told(&[("certificates", down), ("ingress", waits.clone()), ("database", waits)]),
            ["waits for database, which waits for certificates, which is not healthy: \
                 Deployment/certs/issuer has 0 of 1 replicas"]
        );
    }

    #[test]
    fn versions_gaps_and_absence_are_told_apart() {
        let old = Standing::Ready { version: "v1.9.3-cern-0.1+abc".to_owned() };
        assert_eq!(
            told(&[("ingress", old), ("database", Standing::Absent)]),
            [
                "waits for database, which is not installed",
                "waits for ingress, which is at v1.9.3-cern-0.1+abc, and >=2 is needed",
            ]
        );
        let gap = Standing::Unknown("forbidden".to_owned());
        assert_eq!(
            told(&[("database", gap)]),
            ["waits for database, which cannot be looked at: forbidden"]
        );
    }

    #[test]
    fn a_cycle_ends_the_search() {
        let link =
            |from: &str, to: &str| Link { from: from.into(), to: to.into(), edge: String::new() };
        let graph: AddonGraph = Dag::new([], [link("a", "b"), link("b", "a")], []);
        let found = why_blocked(&graph, &"a".into(), &|_| Standing::Absent);
        assert_eq!(found.len(), 1);
    }
}
