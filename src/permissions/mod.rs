//! What fitout must be allowed to do on a cluster, worked out of the releases it shall have there.
//!
//! Every permission stands for a request that [`crate::apply`] or [`crate::live`] really sends: who
//! adds one there adds it to [`needs`]. Nothing is watched.
//! What API servers allow to everybody who is logged in (discovery, `/version`, reviews of oneself)
//! is left out.
//!
//! Asks no cluster.

mod allowed;
pub mod catalog;
mod grants;
mod policy;
mod subject;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use serde::Serialize;
use serde_json::{Value as Json, json};

use crate::base::ids::{AddonName, ClusterName, OWN_NAMESPACE};
use crate::chart::model::{Hook, Manifest};
use crate::fleet::model::{CrdPolicy, Fleet, ImmutablePolicy, SecretKeyRef, UpgradeSpec};
use crate::health;
use crate::object::access;
use crate::object::manifest::each;
use crate::render::Release;

pub use allowed::Allowed;
pub use catalog::Catalog;
pub use policy::{Policy, Rule, in_verb_order};
pub use subject::Subject;

/// The group of roles and their bindings.
pub const RBAC_GROUP: &str = "rbac.authorization.k8s.io";

/// Where something is allowed.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Scope {
    /// In the whole cluster, and for what has no namespace.
    Cluster,
    /// In one namespace.
    Namespace(String),
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Cluster => f.write_str("over the whole cluster"),
            Self::Namespace(name) => write!(f, "in namespace `{name}`"),
        }
    }
}

/// What something is allowed on.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Target {
    /// Objects.
    Resource {
        /// API group; empty for the core group.
        group: String,
        /// The plural in URLs, with the subresource if there is one: `nodes/metrics`.
        resource: String,
        /// The one object; any when empty.
        name: String,
    },
    /// A path that is no object's, such as `/metrics`.
    Url(String),
}

impl Target {
    fn resource(group: &str, resource: &str, name: &str) -> Self {
        Self::Resource {
            group: group.to_owned(),
            resource: resource.to_owned(),
            name: name.to_owned(),
        }
    }
}

/// One verb on one target: what an API server is asked about, and what a rule grants.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Permission {
    /// Where.
    pub scope: Scope,
    /// On what.
    pub target: Target,
    /// `get`, `list`, `create`, `patch`, `delete`, …
    pub verb: String,
}

impl Permission {
    /// To read one Secret.
    pub fn of_secret(secret: &SecretKeyRef) -> Self {
        Self {
            scope: Scope::Namespace(secret.namespace.clone()),
            target: Target::resource("", "secrets", &secret.name),
            verb: "get".to_owned(),
        }
    }

    /// The `spec` of a SelfSubjectAccessReview that asks for it.
    pub fn attributes(&self) -> Json {
        match &self.target {
            Target::Url(path) => {
                json!({"nonResourceAttributes": {"path": path, "verb": self.verb}})
            }
            Target::Resource { group, resource, name } => {
                let (resource, subresource) = resource.split_once('/').unwrap_or((resource, ""));
                let namespace = match &self.scope {
                    Scope::Cluster => "",
                    Scope::Namespace(name) => name,
                };
                json!({"resourceAttributes": {
                    "namespace": namespace, "verb": self.verb, "group": group,
                    "resource": resource, "subresource": subresource, "name": name,
                }})
            }
        }
    }

    /// Whether whoever has this one has the other as well, by the rules of RBAC.
    pub fn covers(&self, other: &Self) -> bool {
        let is_like = |mine: &str, theirs: &str| mine == "*" || mine == theirs;
        let is_scope = self.scope == Scope::Cluster || self.scope == other.scope;
        is_scope
            && is_like(&self.verb, &other.verb)
            && match (&self.target, &other.target) {
                (
                    Target::Resource { group, resource, name },
                    Target::Resource { group: of_group, resource: of_resource, name: of_name },
                ) => {
                    is_like(group, of_group)
                        && is_like(resource, of_resource)
                        && (name.is_empty() || name == of_name)
                }
                (Target::Url(mine), Target::Url(theirs)) => match mine.strip_suffix('*') {
                    Some(start) => theirs.starts_with(start),
                    None => mine == theirs,
                },
                _ => false,
            }
    }
}

/// What a permission is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Purpose {
    /// The release records in the release's namespace.
    Records,
    /// The objects of the charts.
    Objects,
    /// The CRDs of the charts' `crds/` folders.
    Definitions,
    /// The hooks of the charts.
    Hooks,
    /// Roles of the charts: nobody may grant what they do not have.
    Grants,
    /// Bindings of the charts to roles that no chart brings.
    Binds,
    /// A namespace that is not there yet.
    MakeNamespace,
    /// Whether the namespace is there.
    Namespace,
    /// The release records of the whole cluster.
    EveryRecord,
    /// All objects of a kind at once.
    Lists,
    /// CRDs that somebody has deleted.
    MissingDefinitions,
    /// The objects of CRDs that the charts bring.
    CustomResources,
    /// The pods of workloads and of hooks.
    Pods,
    /// Events, and logs of pods.
    Reasons,
    /// The test hooks of the charts.
    Tests,
    /// The Jobs of gates.
    Gates,
    /// What traffic goes through between two releases beside one another.
    Traffic,
    /// The annotation with which a cluster holds rollouts off.
    Hold,
}

impl Purpose {
    /// What is not done without it, where the rest goes on; `None` where nothing does.
    pub fn without(self) -> Option<&'static str> {
        match self {
            Self::Records
            | Self::Objects
            | Self::Definitions
            | Self::Hooks
            | Self::Grants
            | Self::Binds
            | Self::Traffic
            | Self::MakeNamespace => None,
            Self::Namespace => Some("the namespace is taken to be there"),
            Self::EveryRecord => Some(
                "releases that git no longer wants are not found, and the controller and `fitout \
                 status` see nothing",
            ),
            Self::Lists => Some("objects are asked for one by one, which takes more requests"),
            Self::MissingDefinitions => Some("a CRD that somebody deleted is not missed"),
            Self::CustomResources => Some(
                "a CRD is not deleted, since it cannot be told whether objects of it are there",
            ),
            Self::Pods => Some("why a workload is not ready is told with less detail"),
            Self::Reasons => Some("what fails is told without events and without last log lines"),
            Self::Tests => Some("`fitout test` cannot run the tests of the chart"),
            Self::Gates => Some("a gate that runs a Job does not pass"),
            Self::Hold => Some("the cluster cannot hold rollouts off"),
        }
    }
}

impl fmt::Display for Purpose {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Records => "release records",
            Self::Objects => "objects of the chart",
            Self::Definitions => "CRDs of the chart",
            Self::Hooks => "hooks of the chart",
            Self::Grants => "a role of the chart grants it, and nobody may grant what they lack",
            Self::Binds => "the chart binds this role",
            Self::MakeNamespace => "the release's namespace is not there",
            Self::Namespace => "whether the release's namespace is there",
            Self::EveryRecord => "finding releases that git no longer wants",
            Self::Lists => "reading all objects of a kind at once",
            Self::MissingDefinitions => "finding CRDs that somebody deleted",
            Self::CustomResources => "what a change of a CRD would take away",
            Self::Pods => "why a workload is not ready",
            Self::Reasons => "why something fails",
            Self::Tests => "tests of the chart",
            Self::Gates => "Jobs of gates",
            Self::Traffic => "moving traffic from one release to the other",
            Self::Hold => "whether the cluster holds rollouts off",
        })
    }
}

/// A permission, and why it is needed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Need {
    /// What must be allowed.
    pub permission: Permission,
    /// What for, by which addons.
    pub purposes: BTreeMap<Purpose, BTreeSet<AddonName>>,
    /// Of rules that the charts' roles grant: who has all of these may do without.
    #[serde(skip)]
    pub instead: BTreeSet<Permission>,
}

impl Need {
    /// Whether something fails without it.
    pub fn is_required(&self) -> bool {
        self.purposes.keys().any(|purpose| purpose.without().is_none())
    }

    /// Whether who has these permissions may do without this one.
    pub fn is_replaced_by(&self, allowed: &BTreeSet<Permission>) -> bool {
        let is_granted = |purpose: &Purpose| *purpose == Purpose::Grants;
        self.purposes.keys().all(is_granted) && self.instead.is_subset(allowed)
    }

    /// Whether it is for a namespace that is not there yet, and for nothing else.
    pub fn is_for_absent_namespace(&self) -> bool {
        self.purposes.keys().all(|purpose| *purpose == Purpose::MakeNamespace)
    }
}

/// A release, as far as it decides about permissions.
#[derive(Clone, Copy, Debug)]
pub struct Wanted<'a> {
    /// The addon.
    pub addon: &'a AddonName,
    /// Where its records are.
    pub namespace: &'a str,
    /// CRDs of `crds/` folders.
    pub crds: &'a [Manifest],
    /// Its objects.
    pub manifests: &'a [Manifest],
    /// Its hooks.
    pub hooks: &'a [Hook],
    /// How it is upgraded.
    pub upgrade: &'a UpgradeSpec,
    /// Whether something random is in it, which may be a name.
    pub is_random: bool,
}

impl<'a> Wanted<'a> {
    /// Of a release, in whichever slot it may stand.
    pub fn of(release: &'a Release) -> impl Iterator<Item = Self> {
        release.stands_as().into_iter().map(|rendered| Self {
            addon: &release.instance.key.addon,
            namespace: &release.instance.namespace,
            crds: &rendered.crds.manifests,
            manifests: &rendered.manifests,
            hooks: &rendered.hooks,
            upgrade: &release.instance.upgrade,
            is_random: rendered.impure,
        })
    }

    /// Every object that gets to a cluster: CRDs, objects, and the hooks that are run.
    pub fn objects(&self) -> Vec<Manifest> {
        let parts = [self.crds, self.manifests].map(|part| each(part, self.namespace));
        let objects = parts.into_iter().flatten().map(std::borrow::Cow::into_owned);
        objects.chain(self.due().map(|hook| hook.manifest.clone())).collect()
    }

    /// The hooks that are run: all but tests.
    fn due(&self) -> impl Iterator<Item = &'a Hook> + use<'a> {
        let is_run = |event: &String| {
            let (when, what) = event.split_once('-').unwrap_or_default();
            matches!(when, "pre" | "post")
                && matches!(what, "install" | "upgrade" | "rollback" | "delete")
        };
        self.hooks.iter().filter(move |hook| hook.events.iter().any(is_run))
    }
}

/// Every permission that bringing, observing, healing, rolling back and removing these releases
/// of one cluster takes, in order.
///
/// # Assumptions
/// - A later version of a chart may have objects of other kinds, or others without namespaces: it
///   may need more.
pub fn needs(releases: &[Wanted<'_>], catalog: &Catalog) -> Vec<Need> {
    gathered(releases, catalog).needs.into_values().collect()
}

fn gathered<'a>(releases: &[Wanted<'_>], catalog: &'a Catalog) -> Gathered<'a> {
    let own: BTreeSet<&str> = releases.iter().map(|release| release.namespace).collect();
    let brought = releases.iter().flat_map(Wanted::objects).filter(|object| {
        let key = &object.key;
        key.group.is_empty() && key.kind == "Namespace" && !own.contains(key.name.as_str())
    });
    let brought: BTreeSet<String> = brought.map(|object| object.key.name).collect();
    let mut gathered = Gathered { catalog, brought, needs: BTreeMap::new() };
    for release in releases {
        gathered.of_release(release);
    }
    grants::gather(releases, &mut gathered);
    gathered
}

/// As [`needs`], with what the Jobs of gates take: those of the policies that the releases go by.
pub fn needs_with_gates(
    releases: &[Wanted<'_>],
    catalog: &Catalog,
    (fleet, cluster): (&Fleet, &ClusterName),
) -> Vec<Need> {
    let mut gathered = gathered(releases, catalog);
    for release in releases {
        let addon = fleet.addons.get(release.addon).map(|addon| &addon.value.spec.rollout);
        let strategy = addon.and_then(|rollout| rollout.strategy.blue_green());
        if let Some(object) = strategy.and_then(|strategy| strategy.traffic.object()) {
            let (api_version, kind) = object.kind.api();
            let group = access::group_of(api_version);
            let plural = gathered.catalog.kind(group, kind).plural;
            let scope = gathered.scope(object.namespace.unwrap_or(release.namespace));
            let target = Target::resource(group, &plural, object.name);
            let verbs = ["get", "patch"];
            gathered.add_all((&scope, &target), &verbs, Purpose::Traffic, release.addon);
        }
        let policy = addon.and_then(|rollout| fleet.policies.get(rollout.policy.as_ref()?));
        let stages = policy.into_iter().flat_map(|policy| &policy.value.spec.stages);
        let jobs = stages.flat_map(|stage| &stage.gates).filter_map(|gate| gate.job.as_ref());
        for job in jobs.filter(|job| job.cluster.as_ref().is_none_or(|one| one == cluster)) {
            let own =
                job.manifest.as_ref().and_then(|job| job.get("metadata")?["namespace"].as_str());
            let scope = gathered.scope(own.unwrap_or(release.namespace));
            let target = Target::resource("batch", "jobs", "");
            let verbs = ["get", "create", "patch"];
            gathered.add_all((&scope, &target), &verbs, Purpose::Gates, release.addon);
            gathered.of_pods(&scope, release.addon);
        }
    }
    gathered.needs.into_values().collect()
}

/// The needs so far.
struct Gathered<'a> {
    catalog: &'a Catalog,
    /// Namespaces that charts bring. They are not there when somebody gives permissions in them.
    brought: BTreeSet<String>,
    needs: BTreeMap<Permission, Need>,
}

const READ: &[&str] = &["get"];
const WRITE: &[&str] = &["get", "create", "patch"];
const ALL: &[&str] = &["get", "create", "patch", "delete"];

impl Gathered<'_> {
    fn add(&mut self, permission: Permission, purpose: Purpose, addon: &AddonName) -> &mut Need {
        let need = self.needs.entry(permission.clone()).or_insert_with(|| Need {
            permission,
            purposes: BTreeMap::new(),
            instead: BTreeSet::new(),
        });
        need.purposes.entry(purpose).or_default().insert(addon.clone());
        need
    }

    fn add_all(
        &mut self,
        (scope, target): (&Scope, &Target),
        verbs: &[&str],
        purpose: Purpose,
        addon: &AddonName,
    ) {
        for verb in verbs {
            let permission = Permission {
                scope: scope.clone(),
                target: target.clone(),
                verb: (*verb).to_owned(),
            };
            self.add(permission, purpose, addon);
        }
    }

    /// Where permissions for a namespace can be given.
    fn scope(&self, namespace: &str) -> Scope {
        if namespace.is_empty() || self.brought.contains(namespace) {
            Scope::Cluster
        } else {
            Scope::Namespace(namespace.to_owned())
        }
    }

    fn of_release(&mut self, release: &Wanted<'_>) {
        let addon = release.addon;
        let secrets = Target::resource("", "secrets", "");
        let own = self.scope(release.namespace);
        let verbs = ["list", "get", "create", "patch", "delete"];
        self.add_all((&own, &secrets), &verbs, Purpose::Records, addon);
        self.add_all((&Scope::Cluster, &secrets), &["list"], Purpose::EveryRecord, addon);
        let namespace = Target::resource("", "namespaces", release.namespace);
        self.add_all((&Scope::Cluster, &namespace), READ, Purpose::Namespace, addon);
        let hold = Target::resource("", "namespaces", OWN_NAMESPACE);
        self.add_all((&Scope::Cluster, &hold), READ, Purpose::Hold, addon);
        let namespaces = Target::resource("", "namespaces", "");
        self.add_all((&Scope::Cluster, &namespaces), &["create"], Purpose::MakeNamespace, addon);
        for object in each(release.manifests, release.namespace) {
            self.of_object(release, &object);
        }
        self.of_definitions(release);
        for hook in release.due() {
            self.of_hook(release, &hook.manifest, Purpose::Hooks);
        }
        let is_test = |hook: &&Hook| hook.events.iter().any(|event| event == "test");
        for hook in release.hooks.iter().filter(is_test) {
            self.of_hook(release, &hook.manifest, Purpose::Tests);
        }
    }

    /// The scope and target of an object. What has no namespace is named, so that a rule does not
    /// reach everybody's; in a namespace the next version may bring objects of other names.
    fn place(&self, release: &Wanted<'_>, object: &Manifest) -> (Scope, Target) {
        let key = &object.key;
        let kind = self.catalog.kind(&key.group, &key.kind);
        if kind.is_namespaced {
            let target = Target::resource(&key.group, &kind.plural, "");
            return (self.scope(&key.namespace), target);
        }
        let name = if release.is_random { "" } else { key.name.as_str() };
        (Scope::Cluster, Target::resource(&key.group, &kind.plural, name))
    }

    fn of_object(&mut self, release: &Wanted<'_>, object: &Manifest) {
        let (scope, target) = self.place(release, object);
        // It is never pruned, and a way round a field that cannot change is the only reason to
        // delete it.
        let is_kept = access::says_keep(&object.object)
            && release.upgrade.on_immutable == ImmutablePolicy::Fail;
        let verbs = if is_kept { WRITE } else { ALL };
        self.add_all((&scope, &target), verbs, Purpose::Objects, release.addon);
        let key = &object.key;
        self.list(&key.group, &key.kind, Purpose::Lists, release.addon);
        self.of_custom_resources(release, object);
        if health::has_pods(&key.group, &key.kind) {
            self.of_pods(&scope, release.addon);
        }
    }

    fn list(&mut self, group: &str, kind: &str, purpose: Purpose, addon: &AddonName) {
        let plural = self.catalog.kind(group, kind).plural;
        let whole = Target::resource(group, &plural, "");
        self.add_all((&Scope::Cluster, &whole), &["list"], purpose, addon);
    }

    /// CRDs of `crds/` folders are never deleted.
    fn of_definitions(&mut self, release: &Wanted<'_>) {
        if release.upgrade.crds == CrdPolicy::Skip {
            return;
        }
        for crd in each(release.crds, release.namespace) {
            let (scope, target) = self.place(release, &crd);
            self.add_all((&scope, &target), WRITE, Purpose::Definitions, release.addon);
            let key = &crd.key;
            self.list(&key.group, &key.kind, Purpose::MissingDefinitions, release.addon);
            self.of_custom_resources(release, &crd);
        }
    }

    /// The objects of a CRD are looked at before it changes or goes.
    fn of_custom_resources(&mut self, release: &Wanted<'_>, crd: &Manifest) {
        if crd.key.kind != "CustomResourceDefinition" {
            return;
        }
        let text = |path: &[&str]| access::text(&crd.object, path).unwrap_or_default().to_owned();
        let (group, kind) = (text(&["spec", "group"]), text(&["spec", "names", "kind"]));
        self.list(&group, &kind, Purpose::CustomResources, release.addon);
    }

    /// A hook is created anew each time, and patched where one is left of an attempt that was
    /// killed. To create it is asked for without its name.
    fn of_hook(&mut self, release: &Wanted<'_>, hook: &Manifest, purpose: Purpose) {
        let addon = release.addon;
        let (scope, target) = self.place(release, hook);
        self.add_all((&scope, &target), &["get", "patch", "delete"], purpose, addon);
        let unnamed = match &target {
            Target::Resource { group, resource, .. } => Target::resource(group, resource, ""),
            Target::Url(_) => target.clone(),
        };
        self.add_all((&scope, &unnamed), &["create"], purpose, addon);
        let key = &hook.key;
        if health::has_pods(&key.group, &key.kind) || (&*key.group, &*key.kind) == ("", "Pod") {
            self.of_pods(&scope, addon);
        }
    }

    /// Pods, and what they and their events and logs say when something fails.
    fn of_pods(&mut self, scope: &Scope, addon: &AddonName) {
        let core = |resource| Target::resource("", resource, "");
        self.add_all((scope, &core("pods")), &["list"], Purpose::Pods, addon);
        self.add_all((scope, &core("pods/log")), READ, Purpose::Reasons, addon);
        self.add_all((scope, &core("events")), &["list"], Purpose::Reasons, addon);
    }
}
