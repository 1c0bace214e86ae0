//! Two clusters of a fleet against each other: what one has that the other has not, what differs and
//! why, and whether one could take the other's place.
//!
//! Pure: a function of one revision's documents and renders, and of what was seen of the clusters where
//! they were asked ([`live`]). Since both clusters get the same addons from the same files, whatever
//! differs comes from what their documents say ([`inputs`]); which of it made a difference is found by
//! rendering once more with one thing as the other cluster has it ([`causes`]).
//!
//! # Guarantees
//! - An addon that cannot be rendered on either cluster is told as such, never as equal.
//! - No value of a Secret, and no value under a name that sounds like one, is in a [`Report`].

mod allowed;
pub mod causes;
pub mod inputs;
pub mod live;
mod values;

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use crate::base::ids::{AddonName, ClusterName, InstanceKey, Rev};
use crate::chart::source::ChartStore;
use crate::diff::Change;
use crate::fleet::Desired;
use crate::fleet::resolve::{self, Absence};
use crate::fleet::switch::AllowedDifference;
use crate::preview::Pair;
use crate::preview::compare::{self, Compared};
use crate::preview::mask::Mask;
use crate::render::Release;

pub use inputs::{Input, InputDifference};
pub use live::{LiveParity, Sighting};
pub use values::{SetAt, ValueDifference};

/// One cluster, blue, against the one that is to take its place, green.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Report {
    /// The revision.
    pub rev: Rev,
    /// The cluster that is to be replaced.
    pub blue: ClusterName,
    /// The one that is to take its place.
    pub green: ClusterName,
    /// What their documents say differently.
    pub inputs: Vec<InputDifference>,
    /// Every addon that either of them has.
    pub addons: BTreeMap<AddonName, AddonParity>,
}

/// One addon on both clusters.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct AddonParity {
    /// What git says of it.
    pub standing: Standing,
    /// The chart's version on each cluster that has it.
    pub version: Sides<String>,
    /// Values that differ.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub values: Vec<ValueDifference>,
    /// Objects that differ.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub objects: Vec<ObjectDifference>,
    /// What the clusters say, where they were asked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub live: Option<LiveParity>,
}

/// What git says of an addon on two clusters.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Standing {
    /// The very same objects.
    Same,
    /// It differs.
    Differs,
    /// Only blue has it.
    Missing {
        /// Why green has not.
        because: String,
    },
    /// Only green has it.
    Extra,
    /// It cannot be rendered on one of them.
    Unknown,
}

/// One thing of each cluster; none where it has none.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Sides<T> {
    /// Of the cluster that is to be replaced.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub blue: Option<T>,
    /// Of the one that is to take its place.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub green: Option<T>,
}

impl<T> Default for Sides<T> {
    fn default() -> Self {
        Self { blue: None, green: None }
    }
}

/// An object that is not the same on both clusters.
#[derive(Clone, Debug, Serialize)]
pub struct ObjectDifference {
    /// From blue's to green's.
    pub change: Change,
    /// For each field of the change, what makes it differ: none where only several things together do.
    pub causes: Vec<BTreeSet<Input>>,
}

/// Why a cluster could not take another's place.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Lack {
    /// The addon; none for what is of no addon.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub addon: Option<AddonName>,
    /// What is not as it should be.
    pub what: String,
}

impl Report {
    /// What keeps green from taking blue's place, besides what is put up with. Empty: they are at parity.
    pub fn lacks(&self, allowed: &[AllowedDifference]) -> Vec<Lack> {
        let lacks = self.addons.iter().flat_map(|(name, addon)| {
            let told = addon.lacks(name, allowed, &self.green);
            told.into_iter().map(|what| Lack { addon: Some(name.clone()), what })
        });
        lacks.collect()
    }
}

impl Lack {
    /// With the addon it is about.
    pub fn told(&self) -> String {
        match &self.addon {
            Some(addon) => format!("{addon} {}", self.what),
            None => self.what.clone(),
        }
    }
}

impl AddonParity {
    fn lacks(
        &self,
        name: &AddonName,
        rules: &[AllowedDifference],
        green: &ClusterName,
    ) -> Vec<String> {
        let mut lacks = Vec::new();
        let is_allowed = allowed::whole_addon(rules, name);
        match &self.standing {
            Standing::Missing { because } if !is_allowed => {
                lacks.push(format!("is not on {green}: {because}"));
            }
            Standing::Unknown => lacks.push("cannot be rendered".to_owned()),
            _ => {}
        }
        if let (Some(blue), Some(green)) = (&self.version.blue, &self.version.green)
            && blue != green
            && !is_allowed
        {
            lacks.push(format!("is at {green}, and not at {blue}"));
        }
        let is_open = |object: &&ObjectDifference| !allowed::object(rules, name, object);
        let others: Vec<&ObjectDifference> = self.objects.iter().filter(is_open).collect();
        if let [first, rest @ ..] = others.as_slice() {
            let more = match rest.len() {
                0 => String::new(),
                count => format!(" and {count} more"),
            };
            lacks.push(format!("differs in {}{more}", first.change.key));
        }
        lacks.extend(self.live.iter().filter_map(|live| live.lack(green)));
        lacks
    }
}

/// Compares two clusters of a revision. `releases` are what was rendered of it for both; what could not
/// be is told as unknown. Blocks: charts may be fetched once more.
pub fn compare(
    desired: &Desired,
    releases: &[Release],
    (blue, green): (&ClusterName, &ClusterName),
    store: &ChartStore,
) -> Report {
    let of = |cluster: &ClusterName| -> BTreeMap<AddonName, &Release> {
        let of_cluster = releases.iter().filter(|one| one.instance.key.cluster == *cluster);
        of_cluster.map(|one| (one.instance.key.addon.clone(), one)).collect()
    };
    let (on_blue, on_green) = (of(blue), of(green));
    let wanted = desired.instances.iter().map(|instance| &instance.key);
    let wanted = wanted.filter(|key| key.cluster == *blue || key.cluster == *green);
    let names: BTreeSet<&AddonName> = wanted.map(|key| &key.addon).collect();
    let inputs = inputs::between(&desired.fleet, blue, green);
    let mut addons: BTreeMap<AddonName, AddonParity> = names
        .into_iter()
        .map(|name| {
            let sides = (on_blue.get(name).copied(), on_green.get(name).copied());
            (name.clone(), addon(desired, name, (blue, green), sides))
        })
        .collect();
    let pairs: BTreeMap<&AddonName, (&Release, &Release)> = on_blue
        .iter()
        .filter_map(|(name, release)| Some((name, (*release, *on_green.get(name)?))))
        .filter(|(_, (blue, green))| blue.digest != green.digest)
        .collect();
    let differences = causes::of(desired, &pairs, &inputs, (blue, green), store);
    for (name, objects) in differences {
        if let Some(addon) = addons.get_mut(name) {
            addon.objects = objects;
        }
    }
    let mask =
        Mask::of_secrets(releases.iter().flat_map(|release| {
            release.rendered.manifests.iter().map(|manifest| &*manifest.object)
        }));
    let mut report = Report {
        rev: desired.source.rev.clone(),
        blue: blue.clone(),
        green: green.clone(),
        inputs,
        addons,
    };
    hide(&mut report, &mask);
    report
}

fn addon(
    desired: &Desired,
    name: &AddonName,
    (blue, green): (&ClusterName, &ClusterName),
    sides: (Option<&Release>, Option<&Release>),
) -> AddonParity {
    let wants = |cluster: &ClusterName| {
        let key = InstanceKey { cluster: cluster.clone(), addon: name.clone() };
        desired.instance(&key).is_some()
    };
    let version = |release: Option<&Release>| release.map(|one| one.chart_version().to_owned());
    let standing = match (wants(blue), wants(green), sides) {
        (true, false, _) => Standing::Missing { because: absence(desired, name, green) },
        (false, true, _) => Standing::Extra,
        (_, _, (Some(blue), Some(green))) if blue.digest == green.digest => Standing::Same,
        (_, _, (Some(_), Some(_))) => Standing::Differs,
        _ => Standing::Unknown,
    };
    let values = match sides {
        (Some(blue), Some(green)) => values::between(blue, green),
        _ => Vec::new(),
    };
    AddonParity {
        standing,
        version: Sides { blue: version(sides.0), green: version(sides.1) },
        values,
        objects: Vec::new(),
        live: None,
    }
}

/// Why an addon is not on a cluster, with the place that says so.
fn absence(desired: &Desired, addon: &AddonName, cluster: &ClusterName) -> String {
    let fleet = &desired.fleet;
    let (Some(addon), Some(cluster)) = (fleet.addons.get(addon), fleet.clusters.get(cluster))
    else {
        return "its document cannot be read".to_owned();
    };
    match resolve::absence(addon, cluster) {
        Some(Absence::SwitchedOff(span)) => format!("its document switches it off ({span})"),
        Some(Absence::NotPlaced(Some(span))) => {
            format!("the addon's placement does not match it ({span})")
        }
        Some(Absence::NotPlaced(None)) => "its document does not list it".to_owned(),
        None => "its chart cannot be found".to_owned(),
    }
}

/// Every object that is not the same in two releases.
fn objects(blue: &Release, green: &Release) -> Vec<Compared> {
    let addon = blue.instance.key.addon.clone();
    let clusters = BTreeSet::from([green.instance.key.cluster.clone()]);
    compare::all(&[Pair { addon, base: Some(blue), head: Some(green), clusters }])
}

fn hide(report: &mut Report, mask: &Mask) {
    for addon in report.addons.values_mut() {
        addon.objects.iter_mut().for_each(|object| mask.change(&mut object.change));
        addon.values.iter_mut().for_each(|value| value.hide(mask));
    }
}
