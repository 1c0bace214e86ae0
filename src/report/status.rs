//! The matrix of clusters and addons.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::fmt::Write as _;

use serde::Serialize;

use super::paint::Paint;
use crate::base::ids::{AddonName, ClusterName, InstanceKey};

/// How an instance stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Cell {
    /// How, in one word.
    pub standing: Standing,
    /// The chart's version there.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// Why, where it is not as it should be.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// How an instance stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Standing {
    /// As git says, and healthy.
    Ok,
    /// Healthy at an earlier revision.
    Behind,
    /// Being changed.
    Changing,
    /// Somebody has changed it.
    Drifted,
    /// Not healthy.
    Unhealthy,
    /// The last attempt failed.
    Failed,
    /// Wanted, and not there.
    Missing,
    /// There, and no longer wanted.
    Leaving,
    /// Given back to Helm.
    HandedOver,
    /// The cluster, or something of it, cannot be read.
    Unknown,
}

impl fmt::Display for Standing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Ok => "ok",
            Self::Behind => "behind",
            Self::Changing => "changing",
            Self::Drifted => "drifted",
            Self::Unhealthy => "unhealthy",
            Self::Failed => "failed",
            Self::Missing => "missing",
            Self::Leaving => "leaving",
            Self::HandedOver => "handed over",
            Self::Unknown => "unknown",
        })
    }
}

/// The matrix.
#[derive(Clone, Debug, Default)]
pub struct Matrix {
    /// Rows.
    pub clusters: BTreeSet<ClusterName>,
    /// Columns.
    pub addons: BTreeSet<AddonName>,
    /// Where an addon is, or shall be.
    pub cells: BTreeMap<InstanceKey, Cell>,
    /// What is to be said besides: rollouts under way, addons that are held.
    pub notes: Vec<String>,
}

impl Matrix {
    /// As text: one row for each cluster, then what is not as it should be, then the notes.
    pub fn text(&self, is_coloured: bool) -> String {
        let paint = Paint { is_coloured };
        let mut text = String::new();
        let first = self.clusters.iter().map(|name| name.as_str().len()).max().unwrap_or(0).max(7);
        let columns: Vec<(&AddonName, usize)> = self
            .addons
            .iter()
            .map(|addon| {
                let words = self.clusters.iter().map(|cluster| self.word(cluster, addon).len());
                (addon, words.max().unwrap_or(0).max(addon.as_str().len()))
            })
            .collect();
        let head: Vec<_> =
            columns.iter().map(|(addon, width)| format!("{addon:<width$}")).collect();
        let head = format!("{:<first$}  {}", "CLUSTER", head.join("  "));
        let _ = writeln!(text, "{}", paint.strong(head.trim_end()));
        for cluster in &self.clusters {
            let cells: Vec<_> = columns
                .iter()
                .map(|(addon, width)| {
                    let word = format!("{:<width$}", self.word(cluster, addon));
                    self.painted(cluster, addon, &word, paint)
                })
                .collect();
            let _ = writeln!(text, "{cluster:<first$}  {}", cells.join("  ").trim_end());
        }
        let reasons = self.cells.iter().filter_map(|(key, cell)| {
            let reason = cell.reason.as_ref()?;
            Some(format!("{key} is {}: {reason}", cell.standing))
        });
        let lines: Vec<String> = reasons.chain(self.notes.iter().cloned()).collect();
        if !lines.is_empty() {
            let _ = writeln!(text, "\n{}", lines.join("\n"));
        }
        text
    }

    fn cell(&self, cluster: &ClusterName, addon: &AddonName) -> Option<&Cell> {
        self.cells.get(&InstanceKey { cluster: cluster.clone(), addon: addon.clone() })
    }

    fn word(&self, cluster: &ClusterName, addon: &AddonName) -> String {
        match self.cell(cluster, addon) {
            None => "-".to_owned(),
            Some(cell) => match &cell.version {
                Some(version) if !version.is_empty() => format!("{version} {}", cell.standing),
                _ => cell.standing.to_string(),
            },
        }
    }

    fn painted(
        &self,
        cluster: &ClusterName,
        addon: &AddonName,
        word: &str,
        paint: Paint,
    ) -> String {
        match self.cell(cluster, addon).map(|cell| cell.standing) {
            None => paint.faint(word),
            Some(Standing::Ok) => paint.added(word),
            Some(
                Standing::Behind | Standing::Changing | Standing::Leaving | Standing::HandedOver,
            ) => paint.changed(word),
            Some(_) => paint.removed(word),
        }
    }
}
