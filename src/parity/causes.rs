//! Which of what two clusters' documents say differently makes a field differ.
//!
//! Green is rendered again with one thing as blue has it. A field that is then no longer as green has
//! it depends on that thing.

use std::collections::{BTreeMap, BTreeSet};

use super::inputs::{Input, InputDifference, with};
use super::{ObjectDifference, objects};
use crate::base::ids::{AddonName, ClusterName};
use crate::chart::source::ChartStore;
use crate::diff::{Change, Op};
use crate::fleet::Desired;
use crate::fleet::instance::Instance;
use crate::fleet::model::Fleet;
use crate::fleet::resolve;
use crate::render::{Release, RenderOptions, render_fleet};

/// Pairs of an addon's releases, on blue and on green, that differ.
pub(super) type Differing<'a> = BTreeMap<&'a AddonName, (&'a Release, &'a Release)>;

/// The objects that differ of each addon, with what makes their fields differ. Blocks.
pub(super) fn of<'a>(
    desired: &Desired,
    differing: &Differing<'a>,
    inputs: &[InputDifference],
    (blue, green): (&ClusterName, &ClusterName),
    store: &ChartStore,
) -> BTreeMap<&'a AddonName, Vec<ObjectDifference>> {
    let mut found: BTreeMap<&AddonName, Vec<ObjectDifference>> = differing
        .iter()
        .map(|(name, (blue, green))| {
            let objects = objects(blue, green).into_iter().map(|one| ObjectDifference {
                causes: vec![BTreeSet::new(); one.change.fields.len()],
                change: one.change,
            });
            (*name, objects.collect())
        })
        .collect();
    for difference in inputs {
        let input = &difference.input;
        let instances = instances(desired, differing, input, (blue, green));
        let rendered =
            render_fleet(&instances, &desired.source, store, &RenderOptions::to_look_at());
        for other in &rendered.value {
            let name = &other.instance.key.addon;
            let (Some((_, green)), Some(objects)) = (differing.get(name), found.get_mut(name))
            else {
                continue;
            };
            if other.digest != green.digest {
                blame(input, objects, other, green);
            }
        }
        // Where it is not even there without that, all of it depends on it.
        let left: BTreeSet<&AddonName> =
            instances.iter().map(|instance| &instance.key.addon).collect();
        let gone = found.iter_mut().filter(|(name, _)| !left.contains(**name));
        for causes in gone.flat_map(|(_, objects)| objects).flat_map(|object| &mut object.causes) {
            causes.insert(input.clone());
        }
    }
    found
}

/// The instances of green's addons that differ, were it as blue is in one thing.
fn instances(
    desired: &Desired,
    differing: &Differing<'_>,
    input: &Input,
    (blue, green): (&ClusterName, &ClusterName),
) -> Vec<Instance> {
    let all = &desired.fleet;
    let (Some(blue), Some(document)) = (all.clusters.get(blue), all.clusters.get(green)) else {
        return Vec::new();
    };
    let addons = all.addons.iter().filter(|(name, _)| differing.contains_key(name));
    let fleet = Fleet {
        clusters: BTreeMap::from([(green.clone(), with(document, input, blue))]),
        addons: addons.map(|(name, addon)| (name.clone(), addon.clone())).collect(),
        repositories: all.repositories.clone(),
        ..Fleet::default()
    };
    resolve::resolve(&fleet, &desired.source).value
}

/// Puts an input down as a cause of the fields that differ between `other`, which has it as blue has
/// it, and green.
fn blame(input: &Input, objects: &mut [ObjectDifference], other: &Release, green: &Release) {
    let differing: BTreeMap<_, Change> = self::objects(other, green)
        .into_iter()
        .map(|one| (one.change.key.clone(), one.change))
        .collect();
    for object in objects {
        let Some(change) = differing.get(&object.change.key) else { continue };
        let is_whole = change.op != Op::Update || object.change.op != Op::Update;
        for (field, causes) in object.change.fields.iter().zip(&mut object.causes) {
            let is_meant = |one: &crate::diff::FieldChange| {
                let (one, field) = (one.path.0.as_slice(), field.path.0.as_slice());
                one.starts_with(field) || field.starts_with(one)
            };
            if is_whole || change.fields.iter().any(is_meant) {
                causes.insert(input.clone());
            }
        }
    }
}
