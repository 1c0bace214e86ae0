//! Rollout policies: stages, samples, batches and budgets that make sense, and clusters that no
//! stage takes.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::selectors;
use crate::base::diagnostic::{Diagnostic, closest, few};
use crate::base::ids::{AddonName, ClusterName, PolicyName};
use crate::base::span::Span;
use crate::fleet::calendar::{Freeze, Window};
use crate::fleet::model::{
    Amount, ApprovalGate, Batch, Cluster, Document, Fleet, Gate, JobGate, OnFailure, Pick,
    PrometheusGate, RolloutPolicy, Selector, Stage, WebhookGate,
};
use crate::fleet::resolve::is_placed;
use crate::fleet::schema::Kind;
use crate::git::signature::SigningKey;
use crate::net::http::Url;

pub(super) fn check(fleet: &Fleet, found: &mut Vec<Diagnostic>) {
    for (name, policy) in &fleet.policies {
        let mut checking = Checking { fleet, name, policy, found };
        let spec = &policy.value.spec;
        checking.budget(spec.max_failures.as_ref(), &["spec"]);
        checking.calendar(&spec.windows, &spec.freezes, &["spec"]);
        checking.signers();
        checking.stages();
        checking.coverage();
    }
}

struct Checking<'a> {
    fleet: &'a Fleet,
    name: &'a PolicyName,
    policy: &'a Document<RolloutPolicy>,
    found: &'a mut Vec<Diagnostic>,
}

impl<'a> Checking<'a> {
    fn error(&mut self, code: &'static str, message: String, path: &[&str], label: &str) {
        let span = self.policy.node.span_at(path);
        self.found.push(Diagnostic::error(code, message).label(span, label));
    }

    fn budget(&mut self, max_failures: Option<&Amount>, path: &[&str]) {
        let path = [path, &["maxFailures"]].concat();
        match max_failures {
            Some(Amount::Number(0)) => self.error(
                "bad-number",
                "`maxFailures` is at least 1".to_owned(),
                &path,
                "the rollout would stop before it begins",
            ),
            Some(Amount::Percent(text)) => {
                let percent = text.strip_suffix('%').and_then(|text| text.trim().parse().ok());
                if !percent.is_some_and(|percent: u32| (1..=100).contains(&percent)) {
                    let message = format!("`maxFailures` cannot be `{text}`");
                    self.error("bad-percentage", message, &path, "a percentage is like `10%`");
                }
            }
            _ => {}
        }
    }

    fn stages(&mut self) {
        let stages = &self.policy.value.spec.stages;
        if stages.is_empty() {
            let message = format!("policy `{}` has no stages", self.name);
            self.error("no-stages", message, &["spec", "stages"], "nothing would ever change");
        }
        let mut names: BTreeMap<&str, Span> = BTreeMap::new();
        let mut taken: BTreeSet<&ClusterName> = BTreeSet::new();
        for (at, stage) in stages.iter().enumerate() {
            let is_last = at + 1 == stages.len();
            let index = at.to_string();
            let at = ["spec", "stages", index.as_str()];
            let span = self.policy.node.span_at(&[at.as_slice(), &["name"]].concat()).clone();
            if let Some(first) = names.insert(&stage.name, span.clone()) {
                let message = format!("there are two stages named `{}`", stage.name);
                self.found.push(
                    Diagnostic::error("duplicate-name", message)
                        .label(&span, "again here")
                        .label(&first, "first here"),
                );
            }
            if let Some(pick) = &stage.pick {
                self.pick(pick, &[at.as_slice(), &["pick"]].concat());
            }
            if let Some(batch) = &stage.batch {
                self.batch(batch, &[at.as_slice(), &["batch"]].concat());
            }
            self.order(stage, &at);
            self.overrides(stage, &at);
            let windows = stage.windows.as_deref().unwrap_or_default();
            self.calendar(windows, stage.freezes.as_deref().unwrap_or_default(), &at);
            self.gates(&stage.gates, &at, is_last);
            let matching = self.members(stage, &[at.as_slice(), &["clusters"]].concat(), &taken);
            if stage.pick.is_none() {
                taken.extend(matching);
            }
        }
    }

    /// An order of clusters that all begin at once, and selectors that put nobody in it.
    fn order(&mut self, stage: &Stage, path: &[&str]) {
        let path = [path, &["order"]].concat();
        let mut before: BTreeSet<&ClusterName> = BTreeSet::new();
        for (at, selector) in stage.order.iter().enumerate() {
            let at = at.to_string();
            let Some(node) = self.policy.node.at(&[path.as_slice(), &[&at]].concat()) else {
                continue;
            };
            let known = self.found.len();
            selectors::check(self.fleet, selector, node, self.found);
            let of_stage = matching(self.fleet, &stage.clusters);
            let is_taken = |name: &&ClusterName| {
                selector.matches(&self.fleet.clusters[*name].value.metadata.labels)
            };
            let taken: Vec<&ClusterName> = of_stage.filter(is_taken).collect();
            let is_told = self.found.len() > known || self.fleet.clusters.is_empty();
            if !is_told && taken.iter().all(|name| before.contains(name)) {
                let label = if taken.is_empty() {
                    "matches no cluster of the stage"
                } else {
                    "earlier ones match all of these"
                };
                let message =
                    format!("`order` of stage `{}` has one that says nothing", stage.name);
                let warning =
                    Diagnostic::warning("matches-nothing", message).label(&node.span, label);
                self.found.push(warning);
            }
            before.extend(taken);
        }
        if !stage.order.is_empty() && stage.batch.is_none() {
            let message = format!("all clusters of stage `{}` begin at once", stage.name);
            let span = self.policy.node.span_at(&path);
            let warning = Diagnostic::warning("order-without-batch", message);
            let help = "bound how many begin at a time: `batch: {atMost: 1}`, or leave `order` out";
            self.found.push(warning.label(span, "an order without a `batch`").help(help));
        }
    }

    /// What a stage says in place of the policy.
    fn overrides(&mut self, stage: &Stage, path: &[&str]) {
        self.budget(stage.max_failures.as_ref(), path);
        let on_failure = self.policy.value.spec.on_failure(Some(stage));
        if stage.max_failures.is_some() && on_failure == OnFailure::Continue {
            let message = format!("stage `{}` goes on whatever fails", stage.name);
            let span = self.policy.node.span_at(&[path, &["maxFailures"]].concat());
            let warning = Diagnostic::warning("unused-budget", message);
            let help =
                "set `onFailure: rollback` or `pause` for the stage, or leave `maxFailures` out";
            self.found
                .push(warning.label(span, "never counts with `onFailure: continue`").help(help));
        }
    }

    fn calendar(&mut self, windows: &[Window], freezes: &[Freeze], path: &[&str]) {
        for (index, window) in windows.iter().enumerate().filter(|(_, one)| one.is_empty()) {
            let message = format!("the window {window} closes as it opens");
            let index = index.to_string();
            let path = [path, &["windows", &index, "to"]].concat();
            self.error("bad-time", message, &path, "write the whole day as `00:00` to `24:00`");
        }
        for (index, freeze) in freezes.iter().enumerate() {
            let (from, to) = freeze.bounds();
            if from >= to {
                let message = format!("the freeze {freeze} ends before it begins");
                let index = index.to_string();
                let path = [path, &["freezes", &index, "to"]].concat();
                self.error("bad-time", message, &path, "not after `from`");
            }
        }
    }

    fn percent(&mut self, percent: Option<u32>, path: &[&str]) {
        if let Some(percent) = percent.filter(|percent| !(1..=100).contains(percent)) {
            let path = [path, &["percent"]].concat();
            let message = format!("{percent} % is not a share of clusters");
            self.error("bad-percentage", message, &path, "between 1 and 100");
        }
    }

    fn pick(&mut self, pick: &Pick, path: &[&str]) {
        self.percent(pick.percent, path);
        if pick.percent.is_none() && pick.at_least.unwrap_or(0) == 0 {
            let message = "a sample needs `percent` or `atLeast`".to_owned();
            self.error("bad-number", message, path, "no cluster would be picked");
        }
        let known = selectors::labels(self.fleet);
        for (at, label) in pick.spread_by.iter().enumerate() {
            if !known.contains(label.as_str()) && !self.fleet.clusters.is_empty() {
                let at = at.to_string();
                let path = [path, &["spreadBy", &at]].concat();
                let warning = selectors::unknown_label(label, known.iter().copied());
                let span = self.policy.node.span_at(&path);
                self.found.push(warning.label(span, "nothing to spread over"));
            }
        }
    }

    fn batch(&mut self, batch: &Batch, path: &[&str]) {
        self.percent(batch.percent, path);
        if batch.at_most == Some(0) {
            let message = "a batch has at least one cluster".to_owned();
            let path = [path, &["atMost"]].concat();
            self.error("bad-number", message, &path, "the rollout would never go on");
        } else if batch.percent.is_none() && batch.at_most.is_none() {
            let message = "a batch needs `percent` or `atMost`".to_owned();
            self.error("bad-number", message, path, "says nothing");
        }
    }

    fn gates(&mut self, gates: &[Gate], stage: &[&str], is_last: bool) {
        let mut names: BTreeSet<&str> = BTreeSet::new();
        for (at, gate) in gates.iter().enumerate() {
            let at = at.to_string();
            let path = [stage, &["gates", &at]].concat();
            self.gate(gate, &path);
            let Some(asked) = gate.asked() else { continue };
            let kind = match gate {
                Gate { webhook: Some(_), .. } => "webhook",
                Gate { rollout: Some(_), .. } => "rollout",
                Gate { job: Some(_), .. } => "job",
                _ => "prometheus",
            };
            let path = [path.as_slice(), &[kind]].concat();
            if let Some(prometheus) = &gate.prometheus {
                self.prometheus(prometheus, &path, is_last);
            }
            if let Some(webhook) = &gate.webhook {
                self.webhook(webhook, &path);
            }
            if let Some(other) = &gate.rollout {
                self.other_rollout(&other.addon, &path);
            }
            if let Some(job) = &gate.job {
                self.job(job, &path);
            }
            self.interval(asked.interval, &path);
            if !names.insert(asked.name) || ["health", "soak", "approval"].contains(&asked.name) {
                let message = format!("the stage has another gate named `{}`", asked.name);
                self.error("duplicate-name", message, &path, "give it a `name` of its own");
            }
        }
    }

    /// A Job that no cluster would take, or on a cluster that is not there.
    fn job(&mut self, job: &JobGate, path: &[&str]) {
        if self.policy.value.spec.train {
            // A Job is of one addon's change, and the evidence of a train is of all of them.
            let message = "a policy with `train: true` has no Jobs as gates".to_owned();
            self.error("bad-gate", message, path, "use a `webhook` or a `prometheus` gate here");
        }
        let field = if job.file.is_some() { "file" } else { "manifest" };
        if let Some(flaw) = job.manifest.as_ref().and_then(JobGate::flaw) {
            let path = [path, &[field]].concat();
            self.error("bad-gate", "no cluster would run this".to_owned(), &path, flaw);
        }
        if job.file.is_none() && job.manifest.is_none() && !job.helm_test {
            let path = [path, &["helmTest"]].concat();
            self.error("bad-gate", "nothing would be run".to_owned(), &path, "has to be `true`");
        }
        let Some(cluster) = &job.cluster else { return };
        let is_known = self.fleet.clusters.contains_key(cluster)
            || self.fleet.is_broken(Kind::Cluster, cluster.as_str());
        if !is_known {
            let known = self.fleet.clusters.keys().map(ClusterName::as_str);
            let label = closest(cluster.as_str(), known)
                .map_or("not in the fleet".to_owned(), |best| format!("did you mean `{best}`?"));
            let path = [path, &["cluster"]].concat();
            self.error("bad-gate", format!("there is no cluster `{cluster}`"), &path, &label);
        }
    }

    /// A gate on an addon that is not there, or that goes by this policy itself.
    fn other_rollout(&mut self, addon: &AddonName, path: &[&str]) {
        let path = [path, &["addon"]].concat();
        match self.fleet.addons.get(addon) {
            None if self.fleet.is_broken(Kind::Addon, addon.as_str()) => {}
            None => {
                let message = format!("there is no addon `{addon}`");
                let known = self.fleet.addons.keys().map(AddonName::as_str);
                let label = closest(addon.as_str(), known)
                    .map_or("not in the fleet".to_owned(), |best| {
                        format!("did you mean `{best}`?")
                    });
                self.error("unknown-addon", message, &path, &label);
            }
            Some(other) if other.value.spec.rollout.policy.as_ref() == Some(self.name) => {
                let message = format!("addon `{addon}` goes by this policy itself");
                self.error("bad-gate", message, &path, "its own rollout would wait for itself");
            }
            Some(_) => {}
        }
    }

    fn interval(&mut self, interval: Duration, path: &[&str]) {
        if !(1..=86_400).contains(&interval.as_secs()) {
            let message = "the interval is between one second and one day".to_owned();
            let path = [path, &["interval"]].concat();
            self.error("bad-duration", message, &path, "out of range");
        }
    }

    fn webhook(&mut self, gate: &WebhookGate, path: &[&str]) {
        let path = [path, &["url"]].concat();
        match Url::parse(&gate.url) {
            Err(error) => self.error("bad-url", error.to_string(), &path, "not a URL"),
            Ok(url) if !url.may_carry_credentials() => {
                let message = "a webhook is asked by https, or on this machine".to_owned();
                self.error("bad-url", message, &path, "anybody on the way could answer");
            }
            Ok(_) => {}
        }
    }

    fn prometheus(&mut self, gate: &PrometheusGate, path: &[&str], is_last: bool) {
        let at = |field: &'static str| [path, &[field]].concat();
        if gate.min.is_none() && gate.max.is_none() && gate.compare_to.is_none() {
            let message = "a gate of Prometheus needs `min`, `max` or `compareTo`".to_owned();
            self.error("bad-gate", message, path, "any value would pass");
        }
        if gate.min.zip(gate.max).is_some_and(|(min, max)| min > max) {
            let message = "`min` is more than `max`".to_owned();
            self.error("bad-gate", message, &at("min"), "no value would pass");
        }
        if gate.query.trim().is_empty() {
            self.error("bad-gate", "the query is empty".to_owned(), &at("query"), "says nothing");
        }
        if is_last && gate.query.contains(PrometheusGate::CONTROL) {
            let message = "in the last stage no cluster is left to compare with".to_owned();
            self.error("bad-gate", message, &at("query"), "`$control` would be empty");
        }
        if let Err(error) = Url::parse(&gate.url) {
            self.error("bad-url", error.to_string(), &at("url"), "not a URL");
        }
        if gate.compare_to.is_some() {
            self.comparison(gate, path, is_last);
        } else {
            self.no_comparison(gate, path);
        }
    }

    /// A comparison whose decisions would not be as sure as it says, or that could not be made.
    fn comparison(&mut self, gate: &PrometheusGate, path: &[&str], is_last: bool) {
        let at = |field: &'static str| [path, &[field]].concat();
        if is_last {
            let message = "in the last stage no cluster is left to compare with".to_owned();
            self.error("bad-gate", message, &at("compareTo"), "let an earlier stage compare");
        }
        if gate.error_rate.is_some_and(|rate| !(0.000_001..=0.5).contains(&rate)) {
            let message = "the error rate is more than 0 and at most 0.5".to_owned();
            self.error("bad-number", message, &at("errorRate"), "such as `0.05`");
        }
        let is_tolerance =
            gate.tolerance().of(1.0).is_some_and(|much| (0.0..1e300).contains(&much));
        if !is_tolerance {
            let message = "a tolerance is a number or a percentage, and not negative".to_owned();
            self.error("bad-percentage", message, &at("tolerance"), "such as `0.01` or `10%`");
        }
        let (window, interval) = (gate.window(), gate.interval());
        if window > interval {
            let [window, interval] = [window, interval].map(humantime::format_duration);
            let message = format!(
                "the query looks at {window} and is sampled every {interval}: the same time would count \
                 several times"
            );
            let label = format!("an `interval` of {window} or more keeps the samples apart");
            self.error("bad-gate", message, &at("query"), &label);
        }
    }

    /// What only a comparison goes by.
    fn no_comparison(&mut self, gate: &PrometheusGate, path: &[&str]) {
        let given = [
            ("clusterLabel", gate.cluster_label.is_some()),
            ("tolerance", gate.tolerance.is_some()),
            ("worse", gate.worse.is_some()),
            ("errorRate", gate.error_rate.is_some()),
            ("atLeast", gate.at_least.is_some()),
        ];
        for (field, _) in given.into_iter().filter(|(_, is_given)| *is_given) {
            let message = format!("`{field}` is of a comparison");
            let path = [path, &[field]].concat();
            self.error("bad-gate", message, &path, "says nothing without `compareTo: control`");
        }
    }

    fn gate(&mut self, gate: &Gate, path: &[&str]) {
        let Some(approval) = &gate.approval else { return };
        let path = [path, &["approval"]].concat();
        if approval.count == 0 {
            let path = [path.as_slice(), &["count"]].concat();
            let message = "an approval gate needs at least one approval".to_owned();
            self.error("bad-number", message, &path, "leave the gate out instead");
        }
        let people = approval.people(&self.policy.value.spec).map(|people| people.len());
        if let Some(people) = people.filter(|people| *people < approval.count as usize) {
            let message = format!("{} approvals are asked for, of {people} people", approval.count);
            let path = [path.as_slice(), &["from"]].concat();
            self.error("bad-gate", message, &path, "it would never pass");
        } else if approval.signed {
            self.signed(approval, &path);
        }
    }

    /// People who are asked for signatures, and have no keys to sign with.
    fn signed(&mut self, approval: &ApprovalGate, path: &[&str]) {
        let policy = &self.policy.value.spec;
        let mut signers: BTreeSet<&str> = policy.signers.keys().map(String::as_str).collect();
        if let Some(people) = approval.people(policy) {
            signers.retain(|signer| people.contains(signer));
        }
        if signers.len() < approval.count as usize {
            let message = format!(
                "{} signed approvals are asked for, and {} of those who may approve have a key",
                approval.count,
                signers.len()
            );
            let path = [path, &["signed"]].concat();
            let label = "it would never pass: give `signers` of the policy their public keys";
            self.error("bad-gate", message, &path, label);
        }
    }

    /// Keys that are none, and keys that two people have.
    fn signers(&mut self) {
        let mut known: BTreeMap<String, &str> = BTreeMap::new();
        for (name, keys) in &self.policy.value.spec.signers {
            for (at, key) in keys.iter().enumerate() {
                let at = at.to_string();
                let path = ["spec", "signers", name.as_str(), at.as_str()];
                let fingerprint = match SigningKey::parse(key) {
                    Ok(key) => key.fingerprint(),
                    Err(flaw) => {
                        let message = format!("a key of `{name}` cannot be used");
                        self.error("bad-key", message, &path, &flaw);
                        continue;
                    }
                };
                if let Some(other) = known.insert(fingerprint, name).filter(|other| other != name) {
                    let message = format!("`{other}` and `{name}` have the same key");
                    self.error(
                        "bad-key",
                        message,
                        &path,
                        "nobody could tell whose signature it is",
                    );
                }
            }
        }
    }

    /// The clusters that a stage's selector matches, after a warning where none is left for it.
    fn members(
        &mut self,
        stage: &Stage,
        path: &[&str],
        taken: &BTreeSet<&ClusterName>,
    ) -> Vec<&'a ClusterName> {
        let Some(node) = self.policy.node.at(path) else { return Vec::new() };
        let before = self.found.len();
        selectors::check(self.fleet, &stage.clusters, node, self.found);
        let matching: Vec<&'a ClusterName> = matching(self.fleet, &stage.clusters).collect();
        let is_told = self.found.len() > before || self.fleet.clusters.is_empty();
        let label = if matching.is_empty() {
            "matches no cluster"
        } else {
            "earlier stages take all of these"
        };
        if !is_told && matching.iter().all(|cluster| taken.contains(cluster)) {
            let (stage, policy) = (&stage.name, self.name);
            let message = format!("stage `{stage}` of policy `{policy}` has no clusters");
            let warning = Diagnostic::warning("matches-nothing", message).label(&node.span, label);
            self.found.push(warning);
        }
        matching
    }

    /// A cluster with an addon of this policy that is in no stage never gets a change.
    fn coverage(&mut self) {
        let stages = &self.policy.value.spec.stages;
        if stages.is_empty() {
            return;
        }
        let is_taken =
            |cluster: &Cluster, stage: &Stage| stage.clusters.matches(&cluster.metadata.labels);
        for (name, addon) in &self.fleet.addons {
            if addon.value.spec.rollout.policy.as_ref() != Some(self.name) {
                continue;
            }
            let mut left_out: Vec<&str> = Vec::new();
            let mut sampled: Vec<&str> = Vec::new();
            let clusters = self.fleet.clusters.values().map(|cluster| &cluster.value);
            for cluster in clusters.filter(|cluster| is_placed(&addon.value, cluster).is_some()) {
                let mut of = stages.iter().filter(|stage| is_taken(cluster, stage)).peekable();
                if of.peek().is_none() {
                    left_out.push(cluster.metadata.name.as_str());
                } else if of.all(|stage| stage.pick.is_some()) {
                    sampled.push(cluster.metadata.name.as_str());
                }
            }
            let span = addon.node.span_at(&["spec", "rollout", "policy"]);
            let warn = |message: String, clusters: &[&str]| {
                Diagnostic::warning("no-stage", message)
                    .label(span, "moved by this policy")
                    .label(self.policy.node.span_at(&["metadata", "name"]), "its stages")
                    .note(format!("on {}", few(clusters)))
            };
            if !left_out.is_empty() {
                let message = format!("changes of `{name}` would never get to some clusters");
                let help = "add a stage whose `clusters` matches them";
                self.found.push(warn(message, &left_out).help(help));
            }
            if !sampled.is_empty() {
                let message = format!("changes of `{name}` would only get to a sample of clusters");
                let help = "add a stage without `pick` for the rest";
                self.found.push(warn(message, &sampled).help(help));
            }
        }
    }
}

fn matching<'a>(
    fleet: &'a Fleet,
    selector: &Selector,
) -> impl Iterator<Item = &'a ClusterName> + use<'a> {
    let selector = selector.clone();
    let clusters = fleet.clusters.iter();
    clusters
        .filter(move |(_, cluster)| selector.matches(&cluster.value.metadata.labels))
        .map(|(name, _)| name)
}
