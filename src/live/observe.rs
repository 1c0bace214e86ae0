//! One look at one release: what it is at, how its objects are, what could not be seen.

use std::collections::BTreeMap;

use serde_json::Value as Json;

use super::read::{pods_of, read};
use super::record::RecordHead;
use super::releases::{self, RecordsError};
use super::{
    Adopted, Gap, GapSubject, Live, ObjectRef, Observation, ObservedObject, ReleaseId, blue_green,
    drift,
};
use crate::base::clock::Clock;
use crate::chart::model::Manifest;
use crate::fleet::blue_green::renamed;
use crate::fleet::model::HealthCheck;
use crate::health::check::Check;
use crate::health::{self, Health};
use crate::k8s::ClusterClient;
use crate::object::key::ObjectKey;
use crate::object::{access, manifest, noise};
use crate::render::Release;

/// What to look at.
#[derive(Clone, Copy, Debug)]
pub struct Subject<'a> {
    /// Namespace and name.
    pub namespace: &'a str,
    /// Name.
    pub name: &'a str,
    /// What git says: its objects are used where the cluster is at that digest, which saves
    /// reading the record itself.
    pub release: Option<&'a Release>,
    /// Checks besides those built in.
    pub checks: &'a [HealthCheck],
    /// Objects about which all is known, and which are not read.
    pub known: Option<&'a BTreeMap<ObjectKey, ObservedObject>>,
}

impl<'a> Subject<'a> {
    /// The checks of an object.
    pub fn checks_of(&self, key: &ObjectKey) -> impl Iterator<Item = &'a HealthCheck> {
        let namespace = self.namespace;
        self.checks.iter().filter(move |check| {
            let of = check.object.namespace.as_deref().unwrap_or(namespace);
            check.object.kind == key.kind
                && check.object.name == key.name
                && (key.namespace.is_empty() || of == key.namespace)
        })
    }

    /// What is known of an object, whatever its scope.
    fn known(&self, key: &ObjectKey) -> Option<(ObjectKey, &'a ObservedObject)> {
        let unscoped = manifest::settled(key, false);
        [key.clone(), unscoped].into_iter().find_map(|key| {
            let known = self.known?.get(&key)?;
            Some((key, known))
        })
    }
}

impl<'a> From<&'a Release> for Subject<'a> {
    fn from(release: &'a Release) -> Self {
        Self {
            namespace: &release.instance.namespace,
            name: &release.instance.release_name,
            release: Some(release),
            checks: &release.instance.health.checks,
            known: None,
        }
    }
}

impl<'a> From<&'a ReleaseId> for Subject<'a> {
    fn from(id: &'a ReleaseId) -> Self {
        Self { namespace: &id.namespace, name: &id.name, release: None, checks: &[], known: None }
    }
}

/// Looks at a release. Never fails: what could not be read is in `gaps`, and then the health is
/// [`health::Condition::Unknown`] at best.
pub async fn observe<'a>(
    client: &ClusterClient,
    subject: impl Into<Subject<'a>>,
    clock: &dyn Clock,
) -> Observation {
    look(client, subject.into(), clock).await.0
}

/// As [`observe`], with the objects themselves.
pub async fn look(
    client: &ClusterClient,
    subject: Subject<'_>,
    clock: &dyn Clock,
) -> (Observation, Live) {
    let id = ReleaseId { namespace: subject.namespace.to_owned(), name: subject.name.to_owned() };
    let observed_at = clock.now();
    let nothing = Live { objects: BTreeMap::new(), gaps: Vec::new(), observed_at };
    let mut observation = Observation {
        adopted: None,
        pending: None,
        health: Health::unknown("not seen"),
        objects: BTreeMap::new(),
        has_drifted: None,
        drifts: Vec::new(),
        heals: Vec::new(),
        is_unfinished: false,
        beside: None,
        observed_at,
        gaps: Vec::new(),
    };
    let standing = match blue_green::standing(client, &id).await {
        Ok(standing) => standing,
        Err(error) => {
            let gap = Gap::of(GapSubject::Records, &error);
            observation.health = Health::unknown(gap.to_string());
            observation.gaps.push(gap);
            return (observation, nothing);
        }
    };
    let heads = standing.present();
    let (settled, pending) = releases::adopted(heads);
    observation.adopted = settled.map(Adopted::from);
    observation.pending = pending.map(Adopted::from);
    observation.is_unfinished =
        releases::deployed_over_another(heads).is_some() || standing.is_unfinished(observed_at);
    observation.beside = standing.beside();
    if let Some(coming) = standing.coming().and_then(|slot| standing.newest(slot)) {
        observation.pending = Some(Adopted::from(coming));
    }
    let own = heads.last().map_or(&id, |head| &head.id).clone();
    let checks = checks_at(&subject, &own);
    let subject = if own == id {
        subject
    } else {
        Subject { name: &own.name, checks: &checks, release: None, ..subject }
    };
    let Some(head) = pending.or(settled) else {
        observation.health = Health::unknown("is not installed");
        return (observation, nothing);
    };
    let inventory = match inventory(client, &subject, head).await {
        Ok((inventory, chart_version)) => {
            let seen = [&mut observation.adopted, &mut observation.pending];
            for adopted in seen.into_iter().flatten() {
                if adopted.release_revision == head.revision && adopted.chart_version.is_empty() {
                    chart_version.clone_into(&mut adopted.chart_version);
                }
            }
            inventory
        }
        Err(error) => {
            let gap = match &error {
                RecordsError::Request(error) => Gap::of(GapSubject::Records, error),
                RecordsError::Record(error) => {
                    Gap { subject: GapSubject::Records, reason: error.to_string() }
                }
            };
            observation.health = Health::unknown(gap.to_string());
            observation.gaps.push(gap);
            return (observation, nothing);
        }
    };
    let unknown = inventory.iter().filter(|one| subject.known(&one.key).is_none());
    let live = read(client, unknown.map(reference), observed_at).await;
    observation.has_drifted =
        if subject.known.is_none() { has_drifted(head, &live, &inventory) } else { None };
    if observation.has_drifted == Some(true) {
        observation.drifts = drift::drifts(head, &live, &inventory);
    }
    observation.heals.clone_from(&head.heals);
    judge(client, &subject, &inventory, &live, &mut observation).await;
    (observation, live)
}

/// The checks of a release as those of the one that stands for it.
fn checks_at(subject: &Subject<'_>, own: &ReleaseId) -> Vec<HealthCheck> {
    let checks = subject.checks.iter().cloned();
    let checks = checks.map(|mut check| {
        check.object.name = renamed(&check.object.name, subject.name, &own.name);
        check
    });
    checks.collect()
}

/// The objects that a release has by its record, and its chart's version.
async fn inventory(
    client: &ClusterClient,
    subject: &Subject<'_>,
    head: &RecordHead,
) -> Result<(Vec<Manifest>, String), RecordsError> {
    if let Some(release) = subject.release
        && head.origin.digest.as_ref() == Some(&release.digest)
        // Of one with random parts, only the record knows what was drawn; a name may be among them.
        && !release.rendered.impure
    {
        let manifests = &release.rendered.manifests;
        let manifests = manifest::expanded(manifests, &release.instance.namespace);
        return Ok((manifests, release.chart_version().to_owned()));
    }
    let Some(record) = releases::record(client, head).await? else { return Ok(Default::default()) };
    let version = access::text(&record.chart.metadata, &["version"]).unwrap_or_default();
    match manifest::parse(&record.manifest, &record.namespace) {
        Ok(manifests) => Ok((manifests, version.to_owned())),
        Err(_) => Err(RecordsError::Record(super::record::RecordError::Damaged {
            secret: head.secret_name.clone(),
            what: "its manifest is not YAML",
        })),
    }
}

/// The reference to a manifest's object.
pub fn reference(manifest: &Manifest) -> ObjectRef {
    ObjectRef { key: manifest.key.clone(), api_version: manifest.api_version.clone() }
}

/// Whether any object lost a field that fitout had applied, by the record's digests.
pub fn has_drifted(head: &RecordHead, live: &Live, inventory: &[Manifest]) -> Option<bool> {
    if head.ownership.is_empty() && !inventory.is_empty() {
        return None;
    }
    if !live.gaps.is_empty() {
        return None;
    }
    let now: BTreeMap<String, String> = live
        .objects
        .iter()
        .filter_map(|(key, object)| Some((key.to_string(), noise::ownership(object)?)))
        .collect();
    let mut before = head.ownership.clone();
    for manifest in inventory.iter().filter(|one| health::takes_itself_away(&one.object)) {
        let key = manifest.key.to_string();
        if !now.contains_key(&key) {
            before.remove(&key);
        }
    }
    Some(now != before)
}

async fn judge(
    client: &ClusterClient,
    subject: &Subject<'_>,
    inventory: &[Manifest],
    live: &Live,
    observation: &mut Observation,
) {
    observation.gaps.clone_from(&live.gaps);
    for manifest in inventory {
        if let Some((key, known)) = subject.known(&manifest.key) {
            observation.objects.insert(key.to_string(), known.clone());
            continue;
        }
        let found = find(live, &manifest.key);
        let key = found.map_or(&manifest.key, |(key, _)| key);
        let observed = match found {
            Some((_, object)) => {
                let health = object_health(client, object, &mut observation.gaps).await;
                observed(object, with_checks(subject, key, object, health))
            }
            None => absent(manifest, live.gap_over(&manifest.key)),
        };
        observation.objects.insert(key.to_string(), observed);
    }
    let parts = observation.objects.iter().map(|(key, object)| (key.clone(), &object.health));
    observation.health = health::of_all(parts);
}

/// The live object of a key, whatever its scope.
pub fn find<'a>(live: &'a Live, key: &ObjectKey) -> Option<(&'a ObjectKey, &'a Json)> {
    live.objects
        .get_key_value(key)
        .or_else(|| live.objects.get_key_value(&manifest::settled(key, false)))
}

async fn object_health(client: &ClusterClient, object: &Json, gaps: &mut Vec<Gap>) -> Health {
    let own = health::of(object);
    let group = access::group_of(access::api_version(object));
    if own.is_ready() || !health::has_pods(group, access::kind(object)) {
        return own;
    }
    match pods_of(client, object).await {
        Ok(pods) => health::of_workload(object, &pods),
        Err(error) => {
            gaps.push(Gap::of(GapSubject::Pods(access::key_of(object)), &error));
            own
        }
    }
}

/// Checks that users wrote count once the built-in rules are content.
fn with_checks(subject: &Subject<'_>, key: &ObjectKey, object: &Json, health: Health) -> Health {
    if !health.is_ready() {
        return health;
    }
    for check in subject.checks_of(key) {
        let asked = match Check::compile(&check.cel) {
            Ok(compiled) => compiled.health(object),
            Err(error) => Health::failed(format!("the check `{}` {error}", check.cel)),
        };
        if !asked.is_ready() {
            return asked;
        }
    }
    health
}

fn observed(object: &Json, health: Health) -> ObservedObject {
    ObservedObject {
        health,
        uid: access::uid(object).to_owned(),
        resource_version: access::resource_version(object).to_owned(),
        generation: access::number(object, &["metadata", "generation"]),
        observed_generation: access::number(object, &["status", "observedGeneration"]),
    }
}

fn absent(manifest: &Manifest, gap: Option<&Gap>) -> ObservedObject {
    let health = match gap {
        Some(gap) => Health::unknown(format!("could not be read: {}", gap.reason)),
        None if health::takes_itself_away(&manifest.object) => {
            Health::ready("has ended, and its time to live is over")
        }
        None => Health::stalled("is not on the cluster"),
    };
    ObservedObject {
        health,
        uid: String::new(),
        resource_version: String::new(),
        generation: None,
        observed_generation: None,
    }
}
