//! What is on each cluster together: releases in one another's way, dependencies that are not
//! there or at another version, and Kubernetes versions that an addon does not work on.

use std::collections::BTreeMap;

use jiff::civil::Date;

use crate::base::diagnostic::Diagnostic;
use crate::base::ids::{AddonName, ClusterName, InstanceKey};
use crate::base::span::Span;
use crate::fleet::findings::Findings;
use crate::fleet::instance::Instance;
use crate::fleet::model::{Dependency, Fleet};
use crate::fleet::range::{self, Range};
use crate::fleet::resolve::is_placed;
use crate::fleet::versions;
use crate::git::Source;

pub(super) fn check(
    fleet: &Fleet,
    source: &Source,
    (instances, today): (&[Instance], Date),
    found: &mut Vec<Diagnostic>,
) {
    let mut checking = Checking {
        fleet,
        versions: versions::of(instances, source),
        findings: Findings::default(),
    };
    checking.releases(instances);
    for instance in instances {
        checking.kubernetes(instance);
        for (at, dependency) in instance.depends_on.iter().enumerate() {
            checking.dependency(instance, at, dependency);
        }
    }
    found.extend(checking.findings.into_waived(fleet, today));
}

struct Checking<'a> {
    fleet: &'a Fleet,
    versions: BTreeMap<InstanceKey, String>,
    findings: Findings,
}

impl Checking<'_> {
    fn span(&self, addon: &AddonName, path: &[&str]) -> Option<Span> {
        self.fleet.addons.get(addon).map(|addon| addon.node.span_at(path).clone())
    }

    /// Two addons must not be the same Helm release.
    fn releases(&mut self, instances: &[Instance]) {
        let mut seen: BTreeMap<(&ClusterName, &str, &str), &Instance> = BTreeMap::new();
        for instance in instances {
            let id = (
                &instance.key.cluster,
                instance.namespace.as_str(),
                instance.release_name.as_str(),
            );
            let Some(other) = seen.insert(id, instance) else { continue };
            let (one, two) = (&other.key.addon, &instance.key.addon);
            let message = format!(
                "`{one}` and `{two}` are both the release `{}` in namespace `{}`",
                instance.release_name, instance.namespace
            );
            let place = |addon: &AddonName| {
                let document = self.fleet.addons.get(addon)?;
                let path: &[&str] = match document.value.spec.release_name {
                    Some(_) => &["spec", "releaseName"],
                    None => &["metadata", "name"],
                };
                Some(document.node.span_at(path).clone())
            };
            let mut diagnostic = Diagnostic::error("release-conflict", message);
            for addon in [two, one] {
                if let Some(span) = place(addon) {
                    diagnostic = diagnostic.label(&span, format!("the release of `{addon}`"));
                }
            }
            let diagnostic = diagnostic.help("give one of them another `releaseName`");
            self.findings.add(diagnostic, &instance.key.cluster);
        }
    }

    fn kubernetes(&mut self, instance: &Instance) {
        let addon = &instance.key.addon;
        let wanted = self.fleet.addons.get(addon).and_then(|a| a.value.spec.kubernetes.as_deref());
        let Some(text) = wanted else { return };
        let version = &instance.kubernetes_version;
        let fits = Range::parse(text)
            .ok()
            .zip(range::version(version))
            .is_none_or(|(range, version)| range.admits(&version));
        let Some(span) = self.span(addon, &["spec", "kubernetes"]).filter(|_| !fits) else {
            return;
        };
        let message = format!("`{addon}` does not work on Kubernetes {version}");
        let mut found = Diagnostic::error("kubernetes-version", message)
            .label(&span, "the versions it works on");
        if let Some(cluster) = self.fleet.clusters.get(&instance.key.cluster) {
            let span = cluster.node.span_at(&["spec", "kubernetesVersion"]);
            found = found.label(span, "a cluster of another version");
        }
        self.findings.add_of(addon, found, &instance.key.cluster);
    }

    fn dependency(&mut self, instance: &Instance, at: usize, dependency: &Dependency) {
        let (addon, on) = (&instance.key.addon, &dependency.addon);
        let cluster = &instance.key.cluster;
        let at = at.to_string();
        let path = ["spec", "dependsOn", &at];
        let (Some(document), Some(of)) =
            (self.fleet.addons.get(on), self.fleet.clusters.get(cluster))
        else {
            return;
        };
        if is_placed(&document.value, &of.value).is_none() {
            let Some(span) = self.span(addon, &[path.as_slice(), &["addon"]].concat()) else {
                return;
            };
            let message = format!("`{addon}` depends on `{on}`, which is not on the same cluster");
            let found = Diagnostic::error("missing-dependency", message)
                .label(&span, "not there")
                .help(format!("place `{on}` wherever `{addon}` is"));
            self.findings.add(found, cluster);
            return;
        }
        let key = InstanceKey { cluster: cluster.clone(), addon: on.clone() };
        let Some((text, version)) = dependency.version.as_ref().zip(self.versions.get(&key)) else {
            return;
        };
        let is_met = Range::parse(text)
            .ok()
            .zip(range::version(version))
            .is_none_or(|(range, version)| range.admits(&version));
        let span = self.span(addon, &[path.as_slice(), &["version"]].concat());
        let Some(span) = span.filter(|_| !is_met) else { return };
        let message = format!("`{addon}` needs `{on}` {text}, and git has {version}");
        let mut found = Diagnostic::error("dependency-version", message)
            .label(&span, format!("does not admit {version}"));
        if let Some(chart) = self.span(on, &["spec", "chart"]) {
            found = found.label(&chart, format!("the chart of `{on}`"));
        }
        self.findings.add_of(addon, found, cluster);
    }
}
