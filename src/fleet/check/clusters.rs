//! Clusters: labels, and what they say about addons.

use std::collections::BTreeMap;

use super::addons::ADDON;
use super::unknown;
use crate::base::diagnostic::Diagnostic;
use crate::base::ids::{AddonName, ClusterName};
use crate::base::span::Span;
use crate::chart::capabilities::KubeVersion;
use crate::fleet::model::{Addon, Cluster, Document, Fleet};
use crate::fleet::selector::{is_label_key, is_label_value};
use crate::yaml::node::{Node, NodeKind};

pub(super) fn check(fleet: &Fleet, found: &mut Vec<Diagnostic>) {
    let mut connections: BTreeMap<String, (&ClusterName, &Span)> = BTreeMap::new();
    for (name, cluster) in &fleet.clusters {
        labels(name, cluster, found);
        version(cluster, found);
        settings(fleet, name, cluster, found);
        let Some(place) = place(&cluster.value) else { continue };
        let span = cluster.node.span_at(&["spec", "connection"]);
        if let Some((other, first)) = connections.insert(place, (name, span)) {
            let message = format!("`{other}` and `{name}` are the same cluster");
            found.push(
                Diagnostic::error("same-cluster", message)
                    .label(span, "reached like this")
                    .label(first, "and like this as well")
                    .help("two Cluster documents would undo one another's releases"),
            );
        }
    }
}

/// Charts compare it as a semantic version.
fn version(cluster: &Document<Cluster>, found: &mut Vec<Diagnostic>) {
    let text = &cluster.value.spec.kubernetes_version;
    if let Err(reason) = KubeVersion::parse(text) {
        let span = cluster.node.span_at(&["spec", "kubernetesVersion"]);
        found.push(
            Diagnostic::error("bad-version", format!("`{text}` is not a Kubernetes version"))
                .label(span, reason)
                .help("a Kubernetes version is like `1.35` or `1.35.2`"),
        );
    }
}

/// What two documents must not have in common.
fn place(cluster: &Cluster) -> Option<String> {
    let connection = &cluster.spec.connection;
    let context = connection.context.as_ref().map(|context| format!("context {context}"));
    let file = connection.kubeconfig_file.as_ref().map(|file| format!("file {file}"));
    let secret = connection
        .kubeconfig_secret
        .as_ref()
        .map(|secret| format!("secret {}/{} {:?}", secret.namespace, secret.name, secret.key));
    context.or(file).or(secret).or(connection.in_cluster.as_ref().map(|_| "here".to_owned()))
}

fn labels(name: &ClusterName, cluster: &Document<Cluster>, found: &mut Vec<Diagnostic>) {
    let Some(labels) = cluster.node.at(&["metadata", "labels"]) else { return };
    let NodeKind::Mapping(entries) = &labels.kind else { return };
    for (key, value) in entries {
        let text = key.text().unwrap_or_default();
        if !is_label_key(text) && text != "<<" {
            found.push(
                Diagnostic::error("bad-label", format!("`{text}` cannot be a label of `{name}`"))
                    .label(&key.span, "not a label")
                    .help(
                        "a label is at most 63 letters, digits, `-`, `_` and `.`, behind an \
                         optional domain and `/`",
                    ),
            );
        }
        let text = value.text().unwrap_or_default();
        if !is_label_value(text) {
            let message = format!("`{text}` cannot be the value of a label of `{name}`");
            found.push(
                Diagnostic::error("bad-label", message)
                    .label(&value.span, "not a label's value")
                    .help("a label's value is at most 63 letters, digits, `-`, `_` and `.`"),
            );
        }
    }
}

fn settings(
    fleet: &Fleet,
    name: &ClusterName,
    cluster: &Document<Cluster>,
    found: &mut Vec<Diagnostic>,
) {
    let mut seen: BTreeMap<&AddonName, &Span> = BTreeMap::new();
    for (at, setting) in cluster.value.spec.addons.iter().enumerate() {
        let at = at.to_string();
        let at = ["spec", "addons", &at];
        let span = cluster.node.span_at(&[at.as_slice(), &["name"]].concat());
        if let Some(first) = seen.insert(&setting.name, span) {
            let message = format!("cluster `{name}` has two settings for `{}`", setting.name);
            found.push(
                Diagnostic::error("duplicate-name", message)
                    .label(span, "again here")
                    .label(first, "first here"),
            );
        }
        let Some(addon) = fleet.addons.get(&setting.name) else {
            let message = format!("cluster `{name}` wants `{}`, which is no addon", setting.name);
            let known = fleet.addons.keys().map(AddonName::as_str);
            let addon = setting.name.as_str();
            found.extend(unknown(fleet, ADDON, addon, (message, span), known));
            continue;
        };
        let version = cluster.node.at(&[at.as_slice(), &["version"]].concat());
        pin(addon, version, found);
    }
}

/// A version that a cluster or a variant asks for: only a repository can have several.
pub(super) fn pin(addon: &Document<Addon>, version: Option<&Node>, found: &mut Vec<Diagnostic>) {
    let Some(version) = version.filter(|version| version.text().is_some_and(|t| !t.is_empty()))
    else {
        return;
    };
    let name = &addon.value.metadata.name;
    if addon.value.spec.chart.repository.is_some() {
        found.extend(super::addons::exact(version));
        return;
    }
    let message = format!("`{name}` has one chart, and no versions to choose from");
    found.push(
        Diagnostic::error("no-versions", message)
            .label(&version.span, "cannot be had")
            .label(addon.node.span_at(&["spec", "chart"]), "the chart is not of a repository")
            .help("a chart of a ChartRepository can have another version on each cluster"),
    );
}
