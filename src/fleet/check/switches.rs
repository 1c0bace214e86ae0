//! Switch policies: labels that make pairs, pairs that are three, hooks and gates that cannot work.

use std::collections::BTreeSet;
use std::time::Duration;

use super::selectors;
use crate::base::diagnostic::{Diagnostic, closest, few};
use crate::base::ids::{AddonName, ClusterName, PolicyName};
use crate::fleet::model::{Cluster, Document, Fleet, Gate, JobGate};
use crate::fleet::schema::Kind;
use crate::fleet::selector::is_label_key;
use crate::fleet::switch::{Ends, Hook, SwitchPolicy, pair_of, pairs};
use crate::net::http::Url;

pub(super) fn check(fleet: &Fleet, found: &mut Vec<Diagnostic>) {
    for (name, policy) in &fleet.switches {
        let mut checking = Checking { fleet, name, policy, found };
        checking.labels();
        checking.pairs();
        checking.allowed();
        checking.gates();
        checking.hook();
        checking.calendar();
    }
    shared(fleet, found);
    replaces(fleet, found);
}

struct Checking<'a> {
    fleet: &'a Fleet,
    name: &'a PolicyName,
    policy: &'a Document<SwitchPolicy>,
    found: &'a mut Vec<Diagnostic>,
}

impl<'a> Checking<'a> {
    fn error(&mut self, code: &'static str, message: String, path: &[&str], label: &str) {
        let span = self.policy.node.span_at(path);
        self.found.push(Diagnostic::error(code, message).label(span, label));
    }

    /// The clusters that the policy is for.
    fn members(&self) -> Vec<&'a Document<Cluster>> {
        let selector = &self.policy.value.spec.clusters;
        let all = self.fleet.clusters.values();
        all.filter(|one| selector.matches(&one.value.metadata.labels)).collect()
    }

    fn labels(&mut self) {
        let spec = &self.policy.value.spec;
        if let Some(node) = self.policy.node.at(&["spec", "clusters"]) {
            selectors::check(self.fleet, &spec.clusters, node, self.found);
        }
        if spec.pair.by.is_empty() {
            let message = format!("switch policy `{}` makes no pairs", self.name);
            let path = ["spec", "pair", "by"];
            self.error("bad-pair", message, &path, "name labels, such as `[site, role]`");
        }
        let known = selectors::labels(self.fleet);
        for (at, label) in spec.pair.by.iter().enumerate() {
            let at = at.to_string();
            let path = ["spec", "pair", "by", at.as_str()];
            if !is_label_key(label) {
                let message = format!("`{label}` cannot be a label");
                self.error("bad-selector", message, &path, "not a label");
            } else if !known.contains(label.as_str()) && !self.fleet.clusters.is_empty() {
                let warning = selectors::unknown_label(label, known.iter().copied());
                let span = self.policy.node.span_at(&path);
                self.found.push(warning.label(span, "no cluster has it"));
            }
        }
        if spec.clusters.match_labels.is_empty() && spec.clusters.match_expressions.is_empty() {
            return;
        }
        for cluster in self.members().into_iter().filter(|one| pair_of(spec, &one.value).is_none())
        {
            let labels = &cluster.value.metadata.labels;
            let missing: Vec<&str> = spec
                .pair
                .by
                .iter()
                .filter(|label| !labels.contains_key(*label))
                .map(String::as_str)
                .collect();
            let name = &cluster.value.metadata.name;
            let message = format!("cluster `{name}` can have no pair: it lacks {}", few(&missing));
            self.found.push(
                Diagnostic::warning("no-pair", message)
                    .label(cluster.node.span_at(&["metadata", "labels"]), "these labels")
                    .label(self.policy.node.span_at(&["spec", "pair"]), "pairs are made by these"),
            );
        }
    }

    /// Clusters that are three in a pair.
    fn pairs(&mut self) {
        let spec = &self.policy.value.spec;
        let clusters = self.fleet.clusters.values().map(|document| &document.value);
        for (values, clusters) in pairs(spec, clusters) {
            if clusters.len() <= 2 {
                continue;
            }
            let labels = spec.pair.by.iter().zip(&values);
            let labels: Vec<String> =
                labels.map(|(label, value)| format!("{label}={value}")).collect();
            let message = format!(
                "{} clusters are a pair by switch policy `{}`: {}",
                clusters.len(),
                self.name,
                labels.join(",")
            );
            let mut found = Diagnostic::error("pair-of-three", message);
            for cluster in clusters {
                let name = &cluster.metadata.name;
                if let Some(document) = self.fleet.clusters.get(name) {
                    found =
                        found.label(document.node.span_at(&["metadata", "name"]), "one of them");
                }
            }
            self.found.push(found.help(
                "a pair is the cluster that serves and the one that is to take its place: remove what \
                 was replaced, or tell them apart by a label of `pair.by`",
            ));
        }
    }

    fn allowed(&mut self) {
        for (at, rule) in self.policy.value.spec.parity.allow.iter().enumerate() {
            let at = at.to_string();
            let path = ["spec", "parity", "allow", at.as_str()];
            let is_all = rule.label.is_none()
                && rule.addon.is_none()
                && rule.kind.is_none()
                && rule.name.is_none()
                && rule.path.is_none();
            if is_all {
                let message = "this allows every difference".to_owned();
                self.error("bad-parity", message, &path, "say which: a label, an addon, a kind, …");
            }
            if let Some(addon) = &rule.addon {
                let path = [path.as_slice(), &["addon"]].concat();
                self.addon(addon, &path);
            }
        }
    }

    fn addon(&mut self, addon: &AddonName, path: &[&str]) {
        let is_known = self.fleet.addons.contains_key(addon)
            || self.fleet.is_broken(Kind::Addon, addon.as_str());
        if !is_known {
            let known = self.fleet.addons.keys().map(AddonName::as_str);
            let label = closest(addon.as_str(), known)
                .map_or("not in the fleet".to_owned(), |best| format!("did you mean `{best}`?"));
            self.error("unknown-addon", format!("there is no addon `{addon}`"), path, &label);
        }
    }

    fn cluster(&mut self, cluster: Option<&ClusterName>, path: &[&str]) {
        let Some(cluster) = cluster else { return };
        let is_known = self.fleet.clusters.contains_key(cluster)
            || self.fleet.is_broken(Kind::Cluster, cluster.as_str());
        if !is_known {
            let known = self.fleet.clusters.keys().map(ClusterName::as_str);
            let label = closest(cluster.as_str(), known)
                .map_or("not in the fleet".to_owned(), |best| format!("did you mean `{best}`?"));
            let path = [path, &["cluster"]].concat();
            self.error("bad-hook", format!("there is no cluster `{cluster}`"), &path, &label);
        }
    }

    fn gates(&mut self) {
        let mut names: BTreeSet<&str> = BTreeSet::new();
        let mut approvals = 0;
        for (at, gate) in self.policy.value.spec.gates.iter().enumerate() {
            let at = at.to_string();
            let path = ["spec", "gates", at.as_str()];
            let refused = match gate {
                Gate { rollout: Some(_), .. } => {
                    Some("a switch waits for parity, not for rollouts")
                }
                Gate { job: Some(_), .. } => {
                    Some("a Job that checks the new cluster is not supported")
                }
                Gate { prometheus: Some(gate), .. }
                    if gate.compare_to.is_some() || gate.query.contains("$control") =>
                {
                    Some("there are no control clusters of a switch")
                }
                Gate { prometheus: Some(gate), .. } if gate.min.is_none() && gate.max.is_none() => {
                    Some("any value would pass: give `min` or `max`")
                }
                Gate { approval: Some(gate), .. } if gate.not_author => {
                    Some("`notAuthor` is of rollouts: a switch has no author")
                }
                Gate { approval: Some(gate), .. } if gate.count == 0 => {
                    Some("it needs at least one approval")
                }
                Gate { approval: Some(gate), .. }
                    if !gate.from.is_empty() && gate.from.len() < gate.count as usize =>
                {
                    Some("it asks for more approvals than there are people in `from`")
                }
                _ => None,
            };
            if let Some(label) = refused {
                self.error(
                    "bad-gate",
                    "this gate cannot be one of a switch".to_owned(),
                    &path,
                    label,
                );
            }
            approvals += usize::from(gate.approval.is_some());
            if approvals > 1 && gate.approval.is_some() {
                let message = "a switch has one approval gate at most".to_owned();
                self.error("bad-gate", message, &path, "another one");
            }
            let url = gate.webhook.as_ref().map(|gate| ("webhook", &gate.url, true));
            let url = url.or(gate.prometheus.as_ref().map(|gate| ("prometheus", &gate.url, false)));
            if let Some((kind, url, is_asked)) = url {
                self.url(url, is_asked, &[path.as_slice(), &[kind, "url"]].concat());
            }
            let Some(asked) = gate.asked() else { continue };
            let interval = asked.interval;
            if !(Duration::from_secs(1)..=Duration::from_hours(24)).contains(&interval) {
                let message = "the interval is between one second and one day".to_owned();
                self.error("bad-duration", message, &path, "out of range");
            }
            if !names.insert(asked.name) || ["parity", "approval"].contains(&asked.name) {
                let message = format!("there is another gate named `{}`", asked.name);
                self.error("duplicate-name", message, &path, "give it a `name` of its own");
            }
        }
    }

    fn url(&mut self, url: &str, carries_signature: bool, path: &[&str]) {
        match Url::parse(url) {
            Err(error) => self.error("bad-url", error.to_string(), path, "not a URL"),
            Ok(url) if carries_signature && !url.may_carry_credentials() => {
                let message = "a webhook is asked by https, or on this machine".to_owned();
                self.error("bad-url", message, path, "anybody on the way could answer");
            }
            Ok(_) => {}
        }
    }

    fn hook(&mut self) {
        let spec = &self.policy.value.spec;
        let Hook { webhook, job, patch } = &spec.switch;
        if let Some(webhook) = webhook {
            self.url(&webhook.url, true, &["spec", "switch", "webhook", "url"]);
        }
        if let Some(job) = job {
            let path = ["spec", "switch", "job"];
            self.cluster(job.cluster.as_ref(), &path);
            if let Some(flaw) = JobGate::flaw(&job.manifest) {
                let path = [path.as_slice(), &["manifest"]].concat();
                self.error("bad-hook", "no cluster would run this".to_owned(), &path, flaw);
            }
        }
        if let Some(patch) = patch {
            let path = ["spec", "switch", "patch"];
            self.cluster(patch.cluster.as_ref(), &path);
            if patch.merge.is_some() == patch.json.is_some() {
                let message = "a patch is either `merge` or `json`".to_owned();
                self.error("bad-hook", message, &path, "give exactly one of them");
            }
            let texts: String = spec.switch.templates().iter().map(ToString::to_string).collect();
            if !texts.contains("$(to") {
                let message = "the patch is the same whichever cluster traffic goes to".to_owned();
                let label = "name the cluster: `$(to)`, `$(to.labels.KEY)` or `$(to.facts.KEY)`";
                self.error("bad-hook", message, &path, label);
            }
            for (at, operation) in patch.json.iter().flatten().enumerate() {
                let word = operation["op"].as_str().unwrap_or_default();
                let is_whole = operation["path"].is_string()
                    && ["add", "remove", "replace", "move", "copy", "test"].contains(&word);
                if !is_whole {
                    let at = at.to_string();
                    let path = [path.as_slice(), &["json", &at]].concat();
                    let label = "an operation has an `op`, such as `replace`, and a `path`";
                    self.error("bad-hook", "no operation of a JSON patch".to_owned(), &path, label);
                }
            }
        }
        self.references();
    }

    /// References of hooks that lead nowhere on a cluster of the policy.
    fn references(&mut self) {
        let spec = &self.policy.value.spec;
        for cluster in self.members() {
            let ends = Ends { to: &cluster.value, from: &cluster.value };
            for template in spec.switch.templates() {
                if let Err(reason) = ends.fill(&template) {
                    let message = "the hook names what is not there".to_owned();
                    self.error("bad-hook", message, &["spec", "switch"], &reason);
                    return;
                }
            }
        }
    }

    fn calendar(&mut self) {
        let spec = &self.policy.value.spec;
        for (at, window) in spec.windows.iter().enumerate().filter(|(_, one)| one.is_empty()) {
            let message = format!("the window {window} closes as it opens");
            let path = ["spec", "windows", &at.to_string(), "to"];
            self.error("bad-time", message, &path, "write the whole day as `00:00` to `24:00`");
        }
        for (at, freeze) in spec.freezes.iter().enumerate() {
            let (from, to) = freeze.bounds();
            if from >= to {
                let message = format!("the freeze {freeze} ends before it begins");
                let path = ["spec", "freezes", &at.to_string(), "to"];
                self.error("bad-time", message, &path, "not after `from`");
            }
        }
    }
}

/// A cluster whose traffic two policies would switch.
fn shared(fleet: &Fleet, found: &mut Vec<Diagnostic>) {
    for cluster in fleet.clusters.values() {
        let labels = &cluster.value.metadata.labels;
        let policies: Vec<&Document<SwitchPolicy>> = fleet
            .switches
            .values()
            .filter(|policy| policy.value.spec.clusters.matches(labels))
            .collect();
        if let [first, second, ..] = policies.as_slice() {
            let name = &cluster.value.metadata.name;
            let message = format!("two switch policies are for cluster `{name}`");
            found.push(
                Diagnostic::error("two-switch-policies", message)
                    .label(second.node.span_at(&["spec", "clusters"]), "this one")
                    .label(first.node.span_at(&["spec", "clusters"]), "and this one"),
            );
            return;
        }
    }
}

/// `replaces` that names no cluster of the same pair.
fn replaces(fleet: &Fleet, found: &mut Vec<Diagnostic>) {
    for cluster in fleet.clusters.values() {
        let Some(replaced) = &cluster.value.spec.replaces else { continue };
        let span = cluster.node.span_at(&["spec", "replaces"]);
        let name = &cluster.value.metadata.name;
        let labels = &cluster.value.metadata.labels;
        let policy =
            fleet.switches.values().find(|policy| policy.value.spec.clusters.matches(labels));
        let Some(policy) = policy else {
            let message = format!("no switch policy is for cluster `{name}`");
            found.push(
                Diagnostic::warning("no-pair", message)
                    .label(span, "says nothing without one")
                    .help("write a SwitchPolicy whose `clusters` match it"),
            );
            continue;
        };
        // What was replaced may have left since.
        let Some(other) = fleet.clusters.get(replaced) else { continue };
        let spec = &policy.value.spec;
        let is_pair = replaced != name
            && spec.clusters.matches(&other.value.metadata.labels)
            && pair_of(spec, &other.value) == pair_of(spec, &cluster.value);
        if !is_pair {
            let message = format!("`{name}` and `{replaced}` are no pair");
            found.push(
                Diagnostic::error("no-pair", message)
                    .label(span, "cannot be replaced by this cluster")
                    .label(
                        policy.node.span_at(&["spec", "pair"]),
                        "they differ in one of these labels",
                    ),
            );
        }
    }
}
