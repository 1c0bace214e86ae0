//! Which addon needs which: in the fleet's documents, and on one cluster.

use std::collections::BTreeSet;

use super::dag::{Dag, Link};
use crate::base::diagnostic::Diagnostic;
use crate::base::ids::{AddonName, ClusterName};
use crate::fleet::instance::Instance;
use crate::fleet::model::{Dependency, Fleet};

/// Addons and the ranges of versions that they need others in; an empty range is any version.
pub type AddonGraph = Dag<AddonName, Range>;

/// A range of versions as it is written; empty is any.
pub type Range = String;

/// All addons of the documents. What is depended on and is no addon is a node as well.
pub fn of_fleet(fleet: &Fleet) -> AddonGraph {
    let links =
        fleet.addons.iter().flat_map(|(name, addon)| links(name, &addon.value.spec.depends_on));
    Dag::new(fleet.addons.keys().cloned(), links, [])
}

/// The addons of one cluster. What is depended on and is not on the cluster is a node as well.
pub fn of_cluster(instances: &[Instance], cluster: &ClusterName) -> AddonGraph {
    let here = || instances.iter().filter(|instance| instance.key.cluster == *cluster);
    let links = here().flat_map(|instance| links(&instance.key.addon, &instance.depends_on));
    Dag::new(here().map(|instance| instance.key.addon.clone()), links, [])
}

fn links<'a>(
    name: &'a AddonName,
    depends_on: &'a [Dependency],
) -> impl Iterator<Item = Link<AddonName, Range>> + 'a {
    depends_on.iter().map(|dependency| Link {
        from: name.clone(),
        to: dependency.addon.clone(),
        edge: dependency.version.clone().unwrap_or_default(),
    })
}

/// Addons that depend on themselves through one another: one finding for each cycle, with a place
/// for each of its links.
pub fn cycles(fleet: &Fleet) -> Vec<Diagnostic> {
    of_fleet(fleet).cycles().iter().map(|cycle| diagnostic(fleet, cycle)).collect()
}

fn diagnostic(fleet: &Fleet, cycle: &[Link<AddonName, Range>]) -> Diagnostic {
    let message = match cycle {
        [only] => format!("addon `{}` depends on itself", only.from),
        links => {
            let names = links.iter().chain(links.first()).map(|link| format!("`{}`", link.from));
            let way: Vec<String> = names.collect();
            format!("addons depend on one another in a circle: {}", way.join(" → "))
        }
    };
    let found = Diagnostic::error("dependency-cycle", message);
    let found = cycle.iter().fold(found, |found, link| {
        let Some(addon) = fleet.addons.get(&link.from) else { return found };
        let on = &addon.value.spec.depends_on;
        let Some(at) = on.iter().position(|on| on.addon == link.to) else { return found };
        let span = addon.node.span_at(&["spec", "dependsOn", &at.to_string(), "addon"]);
        found.label(span, format!("`{}` needs `{}`", link.from, link.to))
    });
    let addons: BTreeSet<&AddonName> = cycle.iter().map(|link| &link.from).collect();
    found.help(match addons.len() {
        1 => "take it out of its own `dependsOn`",
        _ => "none of them could ever be the first: take one of these out",
    })
}
