//! Arguments that choose clusters and addons, the same for every command.

use std::collections::BTreeSet;

use super::exit::CommandError;
use crate::base::diagnostic::closest;
use crate::base::ids::{AddonName, ClusterName, InstanceKey};
use crate::fleet::Desired;
use crate::fleet::instance::Instance;
use crate::fleet::model::{Fleet, Selector};

/// Which clusters: by name, by label, or all.
#[derive(Clone, Debug, Default, clap::Args)]
pub struct ClusterArgs {
    /// Clusters by name
    #[arg(value_name = "CLUSTER")]
    pub clusters: Vec<String>,
    /// Every cluster of the fleet
    #[arg(long, conflicts_with_all = ["clusters", "selector"])]
    pub all: bool,
    /// Clusters by label: `a=b,c!=d,e in (x,y),!f`
    #[arg(short = 'l', long, value_name = "SELECTOR", conflicts_with = "clusters")]
    pub selector: Option<String>,
}

/// Which addons; all when none is named.
#[derive(Clone, Debug, Default, clap::Args)]
pub struct AddonArgs {
    /// Only this addon; repeat for more
    #[arg(long = "addon", value_name = "ADDON")]
    pub addons: Vec<String>,
}

/// Which instances.
#[derive(Clone, Debug, Default, clap::Args)]
pub struct InstanceArgs {
    /// On which clusters
    #[command(flatten)]
    pub clusters: ClusterArgs,
    /// Of which addons
    #[command(flatten)]
    pub addons: AddonArgs,
}

impl ClusterArgs {
    /// The clusters that are meant.
    ///
    /// # Errors
    /// [`CommandError::Usage`] when none are named, one is unknown, or the selector cannot be read
    /// or selects nothing.
    pub fn select(&self, fleet: &Fleet) -> Result<BTreeSet<ClusterName>, CommandError> {
        if self.is_empty() {
            return Err(CommandError::Usage {
                message: "no clusters are named".to_owned(),
                help: vec!["name clusters, or use `--selector` or `--all`".to_owned()],
            });
        }
        self.select_or_all(fleet)
    }

    /// As [`ClusterArgs::select`], but all clusters when none are named.
    pub fn select_or_all(&self, fleet: &Fleet) -> Result<BTreeSet<ClusterName>, CommandError> {
        if let Some(text) = &self.selector {
            return select_by_label(fleet, text);
        }
        if self.clusters.is_empty() {
            return Ok(fleet.clusters.keys().cloned().collect());
        }
        let known = || fleet.clusters.keys().map(ClusterName::as_str);
        self.clusters
            .iter()
            .map(|name| match fleet.clusters.get_key_value(name.as_str()) {
                Some((name, _)) => Ok(name.clone()),
                None => Err(unknown("cluster", name, known())),
            })
            .collect()
    }

    /// Whether nothing was said.
    pub fn is_empty(&self) -> bool {
        self.clusters.is_empty() && !self.all && self.selector.is_none()
    }
}

impl AddonArgs {
    /// The addons that are meant.
    ///
    /// # Errors
    /// [`CommandError::Usage`] when one is unknown.
    pub fn select(&self, fleet: &Fleet) -> Result<BTreeSet<AddonName>, CommandError> {
        if self.addons.is_empty() {
            return Ok(fleet.addons.keys().cloned().collect());
        }
        let known = || fleet.addons.keys().map(AddonName::as_str);
        self.addons
            .iter()
            .map(|name| match fleet.addons.get_key_value(name.as_str()) {
                Some((name, _)) => Ok(name.clone()),
                None => Err(unknown("addon", name, known())),
            })
            .collect()
    }
}

impl InstanceArgs {
    /// The instances that are meant, in order of cluster and addon; clusters must be named.
    ///
    /// # Errors
    /// As [`ClusterArgs::select`] and [`AddonArgs::select`].
    pub fn select(&self, desired: &Desired) -> Result<Vec<Instance>, CommandError> {
        let clusters = self.clusters.select(&desired.fleet)?;
        self.on(desired, &clusters)
    }

    /// As [`InstanceArgs::select`], but on all clusters when none are named.
    pub fn select_or_all(&self, desired: &Desired) -> Result<Vec<Instance>, CommandError> {
        let clusters = self.clusters.select_or_all(&desired.fleet)?;
        self.on(desired, &clusters)
    }

    fn on(
        &self,
        desired: &Desired,
        clusters: &BTreeSet<ClusterName>,
    ) -> Result<Vec<Instance>, CommandError> {
        let addons = self.addons.select(&desired.fleet)?;
        let is_meant = |instance: &&Instance| {
            clusters.contains(&instance.key.cluster) && addons.contains(&instance.key.addon)
        };
        Ok(desired.instances.iter().filter(is_meant).cloned().collect())
    }
}

/// All instances on these clusters, also of addons that were not asked for.
pub fn instances_on(desired: &Desired, clusters: &BTreeSet<ClusterName>) -> Vec<Instance> {
    let is_there = |instance: &&Instance| clusters.contains(&instance.key.cluster);
    desired.instances.iter().filter(is_there).cloned().collect()
}

/// The instance of an addon on a cluster.
///
/// # Errors
/// [`CommandError::Usage`] when one of them is unknown, or the addon is not on the cluster.
pub fn one_instance<'a>(
    desired: &'a Desired,
    cluster: &str,
    addon: &str,
) -> Result<&'a Instance, CommandError> {
    let fleet = &desired.fleet;
    if !fleet.clusters.contains_key(cluster) {
        return Err(unknown("cluster", cluster, fleet.clusters.keys().map(ClusterName::as_str)));
    }
    if !fleet.addons.contains_key(addon) {
        return Err(unknown("addon", addon, fleet.addons.keys().map(AddonName::as_str)));
    }
    let key = InstanceKey { cluster: cluster.into(), addon: addon.into() };
    desired.instance(&key).ok_or_else(|| CommandError::Usage {
        message: format!("`{addon}` is not on cluster `{cluster}`"),
        help: vec!["its `placement` and the cluster's own settings say where it is".to_owned()],
    })
}

fn select_by_label(fleet: &Fleet, text: &str) -> Result<BTreeSet<ClusterName>, CommandError> {
    let selector = Selector::parse(text).map_err(|reason| CommandError::Usage {
        message: format!("the selector `{text}` cannot be read: {reason}"),
        help: Vec::new(),
    })?;
    let found: BTreeSet<ClusterName> = fleet
        .clusters
        .iter()
        .filter(|(_, cluster)| selector.matches(&cluster.value.metadata.labels))
        .map(|(name, _)| name.clone())
        .collect();
    if found.is_empty() {
        return Err(CommandError::Usage {
            message: format!("no cluster matches the selector `{text}`"),
            help: Vec::new(),
        });
    }
    Ok(found)
}

/// That there is no such thing, with the name that was probably meant.
pub fn unknown<'a>(
    noun: &str,
    name: &str,
    known: impl Iterator<Item = &'a str> + Clone,
) -> CommandError {
    let help = closest(name, known).map(|best| format!("did you mean `{best}`?"));
    CommandError::Usage {
        message: format!("there is no {noun} `{name}`"),
        help: help.into_iter().collect(),
    }
}
