//! The controllers of a simulated cluster: what would make Deployments, pods, claims and the rest
//! come true in a real one.
//!
//! Pure: a round looks at all objects at one instant and says what to write. The store carries
//! the effects out and asks again until there are none, then at the time that [`next_wake`] says.
//! Everything that takes time in a real cluster takes simulated time here, by the names and
//! images of the objects alone, so that the same cluster always goes the same way.

mod apiservice;
mod condition;
mod crd;
mod daemonset;
mod deployment;
mod disruption;
mod image;
mod job;
mod kubelet;
mod names;
mod namespace;
mod node;
mod pod;
mod replicas;
mod replicaset;
mod revision;
mod rolling;
mod round;
mod selector;
mod service;
mod statefulset;
mod time;
mod volume;

use std::collections::BTreeMap;

use serde_json::Value as Json;

use crate::base::clock::Timestamp;
use crate::object::key::ObjectKey;
use round::Round;

pub(in crate::sim) use image::tag as image_tag;
pub(in crate::sim) use names::hash;

/// Objects of a cluster as its controllers see them.
#[derive(Clone, Copy, Debug)]
pub struct View<'a> {
    /// Every object. Keys have settled scopes: the namespace of a cluster-scoped one is empty.
    pub objects: &'a BTreeMap<ObjectKey, Json>,
    /// How many nodes the cluster shall have.
    pub nodes: u32,
    /// The time now.
    pub now: Timestamp,
}

/// What a controller writes. Within one round there is at most one effect of each variant for an
/// object, and later ones do not rest on earlier ones.
#[derive(Clone, Debug, PartialEq)]
pub enum Effect {
    /// Make an object; it has no `uid` and no `status`.
    Create(Json),
    /// Write all but `status`, whatever the object's resourceVersion.
    Update(Json),
    /// Write `status` alone, whatever the object's resourceVersion.
    UpdateStatus(Json),
    /// Delete, without a grace period.
    Delete(ObjectKey),
}

/// One round of all controllers. A round without effects is settled: nothing happens before
/// [`next_wake`] unless an object changes.
pub fn step(view: &View<'_>) -> Vec<Effect> {
    round(view).0
}

/// When [`step`] will next have something to do although nothing else changes; now, if it has
/// something to do now.
pub fn next_wake(view: &View<'_>) -> Option<Timestamp> {
    let (effects, wake) = round(view);
    if effects.is_empty() { wake } else { Some(view.now) }
}

/// [`step`] and, for a settled cluster, [`next_wake`] at the price of one.
pub fn round(view: &View<'_>) -> (Vec<Effect>, Option<Timestamp>) {
    let mut round = Round::new(view);
    node::run(&mut round);
    namespace::run(&mut round);
    crd::run(&mut round);
    deployment::run(&mut round);
    replicaset::run(&mut round);
    daemonset::run(&mut round);
    statefulset::run(&mut round);
    job::run(&mut round);
    pod::run(&mut round);
    volume::run(&mut round);
    service::run(&mut round);
    disruption::run(&mut round);
    apiservice::run(&mut round);
    round.finish()
}

#[cfg(test)]
mod tests;
