//! Sets of clusters in words: the shortest true description by labels.

use std::collections::{BTreeMap, BTreeSet};

use crate::base::ids::{AddonName, ClusterName, InstanceKey};
use crate::fleet::Desired;

/// The clusters among which a set has to be told apart, with their labels.
pub type Universe<'a> = BTreeMap<&'a ClusterName, &'a BTreeMap<String, String>>;

/// Labels of all clusters of both sides, and who has which addon.
#[derive(Debug)]
pub struct Labels {
    clusters: BTreeMap<ClusterName, BTreeMap<String, String>>,
    addons: BTreeMap<AddonName, BTreeSet<ClusterName>>,
}

impl Labels {
    /// Of two revisions.
    pub fn of(base: &Desired, head: &Desired) -> Self {
        let mut labels = Self { clusters: BTreeMap::new(), addons: BTreeMap::new() };
        // The head's labels count where both have the cluster.
        for desired in [base, head] {
            for (name, cluster) in &desired.fleet.clusters {
                labels.clusters.insert(name.clone(), cluster.value.metadata.labels.clone());
            }
            for instance in &desired.instances {
                let InstanceKey { cluster, addon } = instance.key.clone();
                labels.addons.entry(addon).or_default().insert(cluster);
            }
        }
        labels
    }

    /// The clusters that have an addon on either side.
    pub fn of_addon(&self, addon: &AddonName) -> Universe<'_> {
        let clusters = self.addons.get(addon).into_iter().flatten();
        clusters.filter_map(|name| Some((name, self.clusters.get(name)?))).collect()
    }
}

/// Names that are told one by one.
const NAMES_MAX: usize = 3;
/// Labels in one description: more are harder to read than names.
const LABELS_MAX: usize = 3;
/// Values of one label in a description.
const VALUES_MAX: usize = 4;

/// A set of clusters in words, such as `all 300 clusters`, `212 clusters: environment=prod,
/// region!=meyrin` or `prod-01, prod-02`. Whatever it says is true of exactly these clusters, but for those
/// that it names as exceptions.
pub fn describe(clusters: &BTreeSet<ClusterName>, universe: &Universe<'_>) -> String {
    let count = clusters.len();
    if count == universe.len() && count > NAMES_MAX {
        return format!("all {count} clusters");
    }
    if count > 1
        && let Some(words) = by_labels(clusters, universe)
    {
        let names =
            if count <= NAMES_MAX { format!(" ({})", names(clusters)) } else { String::new() };
        return format!("{count} clusters: {words}{names}");
    }
    let others: BTreeSet<ClusterName> = universe
        .keys()
        .filter(|name| !clusters.contains(**name))
        .map(|name| (*name).clone())
        .collect();
    if others.len() <= NAMES_MAX && count > 2 * NAMES_MAX {
        return format!("{count} clusters: all but {}", names(&others));
    }
    if count <= NAMES_MAX {
        names(clusters)
    } else {
        format!("{count} clusters: {}", names(clusters))
    }
}

/// Some names, and how many more there are.
fn names(clusters: &BTreeSet<ClusterName>) -> String {
    const SHOWN: usize = 5;
    let shown: Vec<&str> = clusters.iter().take(SHOWN).map(ClusterName::as_str).collect();
    match clusters.len().saturating_sub(SHOWN) {
        0 => shown.join(", "),
        more => format!("{} and {more} more", shown.join(", ")),
    }
}

/// A set of clusters of a universe, one bit for each in order of the names. A description is looked for
/// among many combinations, each of which has to be cheap.
#[derive(Clone)]
struct Bits(Vec<u64>);

impl Bits {
    fn of(flags: impl Iterator<Item = bool>) -> Self {
        let mut words = Vec::new();
        for (at, flag) in flags.enumerate() {
            if at % 64 == 0 {
                words.push(0);
            }
            words[at / 64] |= u64::from(flag) << (at % 64);
        }
        Self(words)
    }

    fn and(&self, other: &Self) -> Self {
        Self(self.0.iter().zip(&other.0).map(|(one, other)| one & other).collect())
    }

    /// Those that are not in the other set.
    fn without(&self, other: &Self) -> Self {
        Self(self.0.iter().zip(&other.0).map(|(one, other)| one & !other).collect())
    }

    fn count(&self) -> usize {
        self.0.iter().map(|word| word.count_ones() as usize).sum()
    }

    fn has(&self, at: usize) -> bool {
        self.0[at / 64] & (1 << (at % 64)) != 0
    }
}

/// What one label says of all clusters of the set.
struct Condition {
    words: String,
    /// The clusters that it is true of.
    holds: Bits,
}

fn by_labels(clusters: &BTreeSet<ClusterName>, universe: &Universe<'_>) -> Option<String> {
    let keys: BTreeSet<&str> =
        universe.values().flat_map(|labels| labels.keys().map(String::as_str)).collect();
    let wanted = Bits::of(universe.keys().map(|name| clusters.contains(*name)));
    let conditions: Vec<Condition> =
        keys.into_iter().filter_map(|key| condition(key, &wanted, universe)).collect();
    let names: Vec<&str> = universe.keys().map(|name| name.as_str()).collect();
    let mut best: Option<(usize, String)> = None;
    choose(&conditions, 0, &mut Vec::new(), &mut |chosen| {
        // Whatever is longer than what was found is not looked at any more.
        if best.as_ref().is_some_and(|(count, _)| chosen.len() > *count) {
            return;
        }
        let Some(words) = exactly(chosen, &wanted, &names) else { return };
        let is_better = best.as_ref().is_none_or(|(count, best)| {
            (chosen.len(), words.len(), &words) < (*count, best.len(), best)
        });
        if is_better {
            best = Some((chosen.len(), words));
        }
    });
    best.map(|(_, words)| words)
}

/// The tightest condition over one label that is true of the whole set and not of everything.
fn condition(key: &str, wanted: &Bits, universe: &Universe<'_>) -> Option<Condition> {
    let values: Vec<Option<&str>> =
        universe.values().map(|labels| labels.get(key).map(String::as_str)).collect();
    let inside: BTreeSet<Option<&str>> =
        values.iter().enumerate().filter(|(at, _)| wanted.has(*at)).map(|(_, one)| *one).collect();
    let outside: BTreeSet<Option<&str>> =
        values.iter().copied().filter(|value| !inside.contains(value)).collect();
    if outside.is_empty() {
        return None;
    }
    let words = words(key, &inside, &outside)?;
    Some(Condition { words, holds: Bits::of(values.iter().map(|value| inside.contains(value))) })
}

fn words(
    key: &str,
    inside: &BTreeSet<Option<&str>>,
    outside: &BTreeSet<Option<&str>>,
) -> Option<String> {
    fn some<'v>(values: &BTreeSet<Option<&'v str>>) -> Option<Vec<&'v str>> {
        values.iter().copied().collect()
    }
    match (some(inside).as_deref(), some(outside).as_deref()) {
        (Some([one]), _) => Some(format!("{key}={one}")),
        (_, Some([one])) => Some(format!("{key}!={one}")),
        (Some(values), _) if values.len() <= VALUES_MAX => {
            Some(format!("{key} in ({})", values.join(", ")))
        }
        (_, Some(values)) if values.len() <= VALUES_MAX => {
            Some(format!("{key} notin ({})", values.join(", ")))
        }
        // Only the absence of the label tells them apart.
        (None, Some(_)) if inside.len() == 1 => Some(format!("!{key}")),
        (Some(_), None) if outside.len() == 1 => Some(key.to_owned()),
        _ => None,
    }
}

/// Calls `visit` with each choice of up to [`LABELS_MAX`] conditions.
fn choose<'a>(
    conditions: &'a [Condition],
    from: usize,
    chosen: &mut Vec<&'a Condition>,
    visit: &mut impl FnMut(&[&Condition]),
) {
    if !chosen.is_empty() {
        visit(chosen);
    }
    if chosen.len() == LABELS_MAX {
        return;
    }
    for at in from..conditions.len() {
        chosen.push(&conditions[at]);
        choose(conditions, at + 1, chosen, visit);
        chosen.pop();
    }
}

/// The words of conditions that together hold for exactly these clusters, or for a few more, which
/// are then named.
fn exactly(chosen: &[&Condition], wanted: &Bits, names: &[&str]) -> Option<String> {
    let (first, rest) = chosen.split_first()?;
    let all = rest.iter().fold(first.holds.clone(), |all, one| all.and(&one.holds));
    let others = all.without(wanted);
    let count = others.count();
    if count > NAMES_MAX || count * 5 > wanted.count() {
        return None;
    }
    let words: Vec<&str> = chosen.iter().map(|condition| condition.words.as_str()).collect();
    let words = words.join(", ");
    if count == 0 {
        return Some(words);
    }
    let excepted = names.iter().enumerate().filter(|(at, _)| others.has(*at));
    let excepted: Vec<&str> = excepted.map(|(_, name)| *name).collect();
    Some(format!("{words}, but not {}", excepted.join(", ")))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    type Fleet = BTreeMap<ClusterName, BTreeMap<String, String>>;

    fn fleet() -> Fleet {
        let mut fleet = Fleet::new();
        for at in 0..20 {
            let environment = if at < 5 { "staging" } else { "prod" };
            let region = ["meyrin", "prevessin", "bern"][at % 3];
            let mut labels = BTreeMap::from([
                ("environment".to_owned(), environment.to_owned()),
                ("region".to_owned(), region.to_owned()),
            ]);
            if at % 4 == 0 {
                labels.insert("gpu".to_owned(), "yes".to_owned());
            }
            fleet.insert(ClusterName::new(format!("c{at:02}")), labels);
        }
        fleet
    }

    fn told(is_in: impl Fn(usize, &BTreeMap<String, String>) -> bool) -> String {
        let fleet = fleet();
        let some = fleet.iter().enumerate().filter(|(at, (_, labels))| is_in(*at, labels));
        let some = some.map(|(_, (name, _))| name.clone()).collect();
        describe(&some, &fleet.iter().collect())
    }

    #[test]
    fn sets_are_told_by_the_fewest_labels() {
        assert_eq!(told(|_, _| true), "all 20 clusters");
        assert_eq!(told(|_, l| l["environment"] == "prod"), "15 clusters: environment=prod");
        assert_eq!(told(|_, l| l["region"] != "bern"), "14 clusters: region!=bern");
        assert_eq!(
            told(|_, l| l["environment"] == "prod" && l["region"] != "meyrin"),
            "10 clusters: environment=prod, region!=meyrin"
        );
        assert_eq!(told(|_, l| l.contains_key("gpu")), "5 clusters: gpu=yes");
        assert_eq!(told(|at, _| at == 7), "c07");
        assert_eq!(told(|at, _| at != 7), "19 clusters: all but c07");
        assert_eq!(
            told(|at, l| l["environment"] == "prod" && at != 9),
            "14 clusters: environment=prod, but not c09"
        );
        assert_eq!(told(|at, _| [1, 5, 8, 10].contains(&at)), "4 clusters: c01, c05, c08, c10");
    }

    proptest! {
        /// Reads the description back: it must be true of exactly the set.
        #[test]
        fn a_description_is_true_of_the_set_and_of_nothing_else(bits in 1_u32..(1 << 20)) {
            let fleet = fleet();
            let is_in = |at: usize| bits & (1 << at) != 0;
            let some = fleet.keys().enumerate().filter(|(at, _)| is_in(*at));
            let some: BTreeSet<ClusterName> = some.map(|(_, name)| name.clone()).collect();
            let words = describe(&some, &fleet.iter().collect());
            let Some((_, words)) = words.split_once(" clusters: ") else { return Ok(()) };
            let (words, excepted) = words.split_once(", but not ").unwrap_or((words, ""));
            let selector = words.split(" (").next().filter(|_| !words.contains(" in ")).unwrap_or(words);
            let Ok(selector) = crate::fleet::model::Selector::parse(selector) else { return Ok(()) };
            if words.starts_with('c') {
                return Ok(());
            }
            let excepted: BTreeSet<&str> = excepted.split(", ").collect();
            for (name, labels) in &fleet {
                let holds = selector.matches(labels) && !excepted.contains(name.as_str());
                prop_assert_eq!(holds, some.contains(name), "{} {}", words, name);
            }
        }
    }
}
