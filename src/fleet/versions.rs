//! Chart versions, as far as the fleet's own files tell them.

use std::collections::BTreeMap;

use super::instance::{ChartLocation, Instance};
use crate::base::ids::InstanceKey;
use crate::base::span::SourceFile;
use crate::git::Source;
use crate::yaml::node::Node;
use crate::yaml::parse;

/// The chart version of each instance. Left out is what only a fetch would tell (a chart of
/// another git repository), and what cannot be read.
pub(super) fn of(instances: &[Instance], source: &Source) -> BTreeMap<InstanceKey, String> {
    let mut folders: BTreeMap<&str, Option<String>> = BTreeMap::new();
    let mut versions = BTreeMap::new();
    for instance in instances {
        let version = match &instance.chart {
            ChartLocation::Http { version, .. } => Some(version.clone()),
            ChartLocation::Path(folder) => {
                folders.entry(folder).or_insert_with(|| in_folder(source, folder)).clone()
            }
            ChartLocation::Git { .. } => None,
        };
        versions.extend(version.map(|version| (instance.key.clone(), version)));
    }
    versions
}

fn in_folder(source: &Source, folder: &str) -> Option<String> {
    let path = if folder.is_empty() { "Chart.yaml".into() } else { format!("{folder}/Chart.yaml") };
    let file = SourceFile::new(path.as_str(), source.text(&path)?);
    let documents = parse::parse(&file).ok()?;
    documents.first()?.get("version").and_then(Node::text).map(str::to_owned)
}
