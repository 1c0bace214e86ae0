//! The object that traffic goes through: how much of it each release has, and the patch that
//! changes that. Pure.
//!
//! Nothing but the weights of the two releases' backends, or one label of a selector, is ever
//! written, and only to the version of the object that was read.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value as Json, json};

use super::machine::{Shares, Split};
use crate::fleet::blue_green::TrafficKind;
use crate::live::blue_green::Side;
use crate::object::access;

/// The Services of each release, by namespace and name.
pub(super) type Backends = BTreeMap<Side, BTreeSet<(String, String)>>;

/// What the object is read with.
#[derive(Clone, Copy, Debug)]
pub(super) struct Reading<'a> {
    pub(super) kind: TrafficKind<'a>,
    /// The name that the releases are called after.
    pub(super) base: &'a str,
    pub(super) backends: &'a Backends,
    /// The releases that traffic moves between.
    pub(super) between: &'a BTreeSet<Side>,
}

/// Why traffic cannot be moved with an object as it is.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Unfit {
    #[error("its selector has no label `{label}`, by which it would tell the releases apart")]
    NoLabel { label: String },
    #[error("it belongs to the release {0} itself, and would go with it")]
    OfRelease(String),
    #[error("it has no backend of release {0}")]
    NoBackend(String),
    #[error("{rule} has a backend of one release and none of {lacks}")]
    OneSided { rule: String, lacks: String },
    #[error("{rule} has several backends of release {of}")]
    Several { rule: String, of: String },
    #[error("{rule} has a backend of neither release, whose part of the traffic would change")]
    Stranger { rule: String },
}

/// A backend of a rule.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Backend {
    /// The release that it is of.
    side: Option<Side>,
    /// The JSON pointer to its weight.
    pointer: String,
    weight: u64,
}

/// The backends of one rule.
struct Rule {
    /// In words.
    name: String,
    backends: Vec<Backend>,
}

impl Rule {
    fn of(&self, side: Side) -> impl Iterator<Item = &Backend> {
        self.backends.iter().filter(move |backend| backend.side == Some(side))
    }
}

/// A Service by namespace and name, and its weight. None for another kind of backend.
type Weighted = (Option<(String, String)>, u64);

impl Reading<'_> {
    fn release(&self, side: Side) -> String {
        side.release_name(self.base)
    }

    /// How much of the traffic each release has.
    ///
    /// # Errors
    /// [`Unfit`] where it cannot be moved between the releases that are there.
    pub(super) fn shares(&self, object: &Json) -> Result<Shares, Unfit> {
        self.ensure_apart(object)?;
        if let TrafficKind::Service(label) = self.kind {
            let value = selected(object, label)?;
            let of = Side::ALL.map(|side| if value == self.release(side) { 100 } else { 0 });
            return Ok(Shares { of, is_mixed: false });
        }
        let mut shares: Option<Shares> = None;
        for rule in self.rules(object)? {
            let one = share_of(&rule);
            shares = Some(match shares {
                None => one,
                Some(before) => Shares {
                    of: [0, 1, 2].map(|at| before.of[at].max(one.of[at])),
                    is_mixed: before.is_mixed || before != one,
                },
            });
        }
        Ok(shares.unwrap_or_default())
    }

    /// The JSON patch that shares traffic like this. It holds only for this version of the object.
    ///
    /// # Errors
    /// As [`Self::shares`].
    pub(super) fn shift(&self, object: &Json, split: Split) -> Result<Json, Unfit> {
        let version = access::resource_version(object);
        let mut patch =
            vec![json!({"op": "replace", "path": "/metadata/resourceVersion", "value": version})];
        if let TrafficKind::Service(label) = self.kind {
            selected(object, label)?;
            let path = format!("/spec/selector/{}", escaped(label));
            let has_all = |side: &Side| split.weight_of(*side) == 100;
            let to = Side::ALL.into_iter().find(has_all).unwrap_or(split.to);
            patch.push(json!({"op": "add", "path": path, "value": self.release(to)}));
            return Ok(Json::Array(patch));
        }
        for rule in self.rules(object)? {
            for (side, backend) in rule.backends.iter().filter_map(|one| Some((one.side?, one))) {
                let weight = split.weight_of(side);
                patch.push(json!({"op": "add", "path": backend.pointer, "value": weight}));
            }
        }
        Ok(Json::Array(patch))
    }

    /// An object of one of the releases goes with it.
    fn ensure_apart(&self, object: &Json) -> Result<(), Unfit> {
        let owner = access::annotation(object, "meta.helm.sh/release-name");
        let own = Side::ALL.map(|side| self.release(side));
        match owner.filter(|owner| own.iter().any(|release| release == owner)) {
            Some(owner) => Err(Unfit::OfRelease(owner.to_owned())),
            None => Ok(()),
        }
    }

    /// The rules that the releases are in, each with one backend of every release that traffic moves
    /// between, and none of anybody else.
    fn rules(&self, object: &Json) -> Result<Vec<Rule>, Unfit> {
        let mut rules = self.all_rules(object);
        rules.retain(|rule| rule.backends.iter().any(|backend| backend.side.is_some()));
        for side in self.between {
            if !rules.iter().any(|rule| rule.of(*side).next().is_some()) {
                return Err(Unfit::NoBackend(self.release(*side)));
            }
        }
        for rule in &rules {
            let name = || rule.name.clone();
            if rule.backends.iter().any(|backend| backend.side.is_none() && backend.weight > 0) {
                return Err(Unfit::Stranger { rule: name() });
            }
            for side in Side::ALL {
                let count = rule.of(side).count();
                if count > 1 {
                    return Err(Unfit::Several { rule: name(), of: self.release(side) });
                }
                if count == 0 && self.between.contains(&side) {
                    return Err(Unfit::OneSided { rule: name(), lacks: self.release(side) });
                }
            }
        }
        Ok(rules)
    }

    fn all_rules(&self, object: &Json) -> Vec<Rule> {
        let own = access::namespace(object);
        match self.kind {
            TrafficKind::Service(_) => Vec::new(),
            TrafficKind::HttpRoute => self.rules_at(object, &["spec", "rules"], |rule| {
                let backends =
                    items(rule, "backendRefs").map(|one| (service(one, own), weight(one, 1)));
                ("backendRefs", backends.collect())
            }),
            TrafficKind::VirtualService => ["http", "tls", "tcp"]
                .into_iter()
                .flat_map(|protocol| {
                    self.rules_at(object, &["spec", protocol], |rule| {
                        // Where there is but one, it has everything.
                        let absent = if items(rule, "route").count() == 1 { 100 } else { 0 };
                        let backends = items(rule, "route").map(|one| {
                            let host = access::text(one, &["destination", "host"]);
                            (host.map(|host| of_host(host, own)), weight(one, absent))
                        });
                        ("route", backends.collect())
                    })
                })
                .collect(),
            TrafficKind::TraefikService => {
                let weighted = object.pointer("/spec/weighted").unwrap_or(&Json::Null);
                let backends =
                    items(weighted, "services").map(|one| (service(one, own), weight(one, 1)));
                let backends = self.backends("/spec/weighted/services", backends.collect());
                vec![Rule { name: "`spec.weighted`".to_owned(), backends }]
            }
        }
    }

    fn rules_at<'o>(
        &self,
        object: &'o Json,
        path: &[&str; 2],
        of_rule: impl Fn(&'o Json) -> (&'static str, Vec<Weighted>),
    ) -> Vec<Rule> {
        let section = object.get(path[0]).unwrap_or(&Json::Null);
        let rules = items(section, path[1]).enumerate().map(|(at, rule)| {
            let (field, backends) = of_rule(rule);
            let pointer = format!("/{}/{}/{at}/{field}", path[0], path[1]);
            let name = format!("`{}.{}[{at}]`", path[0], path[1]);
            Rule { name, backends: self.backends(&pointer, backends) }
        });
        rules.collect()
    }

    fn backends(&self, pointer: &str, all: Vec<Weighted>) -> Vec<Backend> {
        let backends = all.into_iter().enumerate().map(|(at, (service, weight))| {
            let is_of = |side: &Side| {
                let own = self.backends.get(side);
                service.as_ref().is_some_and(|one| own.is_some_and(|own| own.contains(one)))
            };
            let side = Side::ALL.into_iter().find(is_of);
            Backend { side, pointer: format!("{pointer}/{at}/weight"), weight }
        });
        backends.collect()
    }
}

/// The release that a Service's selector has: the value of the label that tells releases apart.
fn selected<'o>(object: &'o Json, label: &str) -> Result<&'o str, Unfit> {
    let selector = object.pointer("/spec/selector").and_then(Json::as_object);
    let value = selector.and_then(|selector| selector.get(label)).and_then(Json::as_str);
    value.ok_or_else(|| Unfit::NoLabel { label: label.to_owned() })
}

fn share_of(rule: &Rule) -> Shares {
    let weights = Side::ALL.map(|side| rule.of(side).map(|one| one.weight).sum::<u64>());
    let total = weights.iter().fold(0, |sum: u64, weight| sum.saturating_add(*weight));
    // What has any has at least one percent, so that it never counts as nothing.
    let share = |part: u64| part.saturating_mul(100).checked_div(total).unwrap_or(0);
    let percent = |part: u64| u32::try_from(share(part).max(u64::from(part > 0))).unwrap_or(100);
    let is_whole = |part: &u64| part.saturating_mul(100).is_multiple_of(total);
    Shares { of: weights.map(percent), is_mixed: !weights.iter().all(is_whole) }
}

fn items<'a>(of: &'a Json, field: &str) -> impl Iterator<Item = &'a Json> + use<'a> {
    of.get(field).and_then(Json::as_array).into_iter().flatten()
}

fn weight(backend: &Json, absent: u64) -> u64 {
    backend.get("weight").and_then(Json::as_u64).unwrap_or(absent)
}

/// The Service that a backend means, where it is one.
fn service(backend: &Json, own: &str) -> Option<(String, String)> {
    let name = access::text(backend, &["name"])?;
    let namespace = access::text(backend, &["namespace"]).unwrap_or(own);
    let is_service = access::text(backend, &["kind"]).is_none_or(|kind| kind == "Service");
    is_service.then(|| (namespace.to_owned(), name.to_owned()))
}

/// The Service that a host of Istio means: `web`, `web.apps`, `web.apps.svc.cluster.local`.
fn of_host(host: &str, own: &str) -> (String, String) {
    let mut parts = host.split('.');
    let name = parts.next().unwrap_or_default().to_owned();
    (parts.next().unwrap_or(own).to_owned(), name)
}

/// A step of a JSON pointer.
fn escaped(step: &str) -> String {
    step.replace('~', "~0").replace('/', "~1")
}

#[cfg(test)]
mod tests {
    use super::*;

    use crate::fleet::blue_green::Slot;

    const BLUE: Side = Side::Of(Slot::Blue);
    const GREEN: Side = Side::Of(Slot::Green);

    fn read<T>(kind: TrafficKind<'_>, read: impl FnOnce(Reading<'_>) -> T) -> T {
        let service = |side: Side| BTreeSet::from([("apps".to_owned(), side.release_name("web"))]);
        let backends = Side::ALL.map(|side| (side, service(side))).into();
        let between = [BLUE, GREEN].into();
        read(Reading { kind, base: "web", backends: &backends, between: &between })
    }

    fn shares(kind: TrafficKind<'_>, object: &Json) -> Result<Shares, Unfit> {
        read(kind, |reading| reading.shares(object))
    }

    fn to_green(weight: u32) -> Split {
        Split { to: GREEN, weight, rest: Some(BLUE) }
    }

    /// The object after a shift, and what was written of it.
    fn shifted(kind: TrafficKind<'_>, object: &Json, weight: u32) -> (Json, Vec<String>) {
        let patch = read(kind, |reading| reading.shift(object, to_green(weight))).unwrap();
        let paths = patch.as_array().unwrap()[1..].iter();
        let paths = paths.map(|op| op["path"].as_str().unwrap().to_owned()).collect();
        let mut after = object.clone();
        for op in &patch.as_array().unwrap()[1..] {
            let (parent, field) = op["path"].as_str().unwrap().rsplit_once('/').unwrap();
            let field = field.replace("~1", "/");
            after.pointer_mut(parent).unwrap()[&field] = op["value"].clone();
        }
        (after, paths)
    }

    fn object(spec: Json) -> Json {
        json!({"metadata": {"name": "web", "namespace": "apps", "resourceVersion": "7"}, "spec": spec})
    }

    fn even(blue: u32, green: u32) -> Shares {
        Shares { of: [0, blue, green], is_mixed: false }
    }

    #[test]
    fn a_services_selector_has_one_release_or_none() {
        let kind = TrafficKind::Service("app.kubernetes.io/instance");
        let label = "app.kubernetes.io/instance";
        let service = object(json!({"selector": {"app": "web", label: "none"}}));
        assert_eq!(shares(kind, &service), Ok(even(0, 0)));
        let (after, paths) = shifted(kind, &service, 100);
        assert_eq!(shares(kind, &after), Ok(even(0, 100)));
        assert_eq!(after["spec"]["selector"]["app"], "web", "the rest of it stays");
        assert_eq!(paths, ["/spec/selector/app.kubernetes.io~1instance"]);
        let blind = object(json!({"selector": {"app": "web"}}));
        assert_eq!(shares(kind, &blind), Err(Unfit::NoLabel { label: label.to_owned() }));
    }

    #[test]
    fn the_weights_of_a_route_are_moved_and_nothing_else() {
        let kind = TrafficKind::HttpRoute;
        let route = object(json!({"rules": [
            {"backendRefs": [{"name": "web-blue", "port": 80, "weight": 100},
                             {"name": "web-green", "port": 80, "weight": 0}]},
            {"backendRefs": [{"name": "other", "weight": 3}]},
            {"backendRefs": [{"name": "other", "weight": 0}, {"name": "web-green", "weight": 0},
                             {"name": "web-blue"}]},
        ]}));
        assert_eq!(shares(kind, &route), Ok(even(100, 0)));
        let (after, paths) = shifted(kind, &route, 10);
        assert_eq!(shares(kind, &after), Ok(even(90, 10)));
        assert_eq!(
            paths,
            [
                "/spec/rules/0/backendRefs/0/weight",
                "/spec/rules/0/backendRefs/1/weight",
                "/spec/rules/2/backendRefs/1/weight",
                "/spec/rules/2/backendRefs/2/weight",
            ]
        );
    }

    #[test]
    fn hosts_of_a_virtual_service_mean_services() {
        let kind = TrafficKind::VirtualService;
        let service = object(json!({"http": [{"route": [
            {"destination": {"host": "web-blue"}, "weight": 100},
            {"destination": {"host": "web-green.apps.svc.cluster.local"}},
        ]}]}));
        assert_eq!(shares(kind, &service), Ok(even(100, 0)));
        let (after, paths) = shifted(kind, &service, 25);
        assert_eq!(shares(kind, &after), Ok(even(75, 25)));
        assert_eq!(paths, ["/spec/http/0/route/0/weight", "/spec/http/0/route/1/weight"]);
    }

    #[test]
    fn the_services_of_a_traefik_service_have_weights() {
        let kind = TrafficKind::TraefikService;
        let service = object(json!({"weighted": {"services": [
            {"name": "web-blue", "port": 80, "weight": 1},
            {"name": "web-green", "port": 80, "weight": 3},
        ]}}));
        assert_eq!(shares(kind, &service), Ok(even(25, 75)));
        let (after, _) = shifted(kind, &service, 50);
        assert_eq!(shares(kind, &after), Ok(even(50, 50)));
    }

    #[test]
    fn the_release_from_before_loses_its_weight_to_those_that_traffic_moves_between() {
        let kind = TrafficKind::HttpRoute;
        let route = object(json!({"rules": [{"backendRefs": [
            {"name": "web", "weight": 100}, {"name": "web-blue", "weight": 0},
            {"name": "web-green", "weight": 0},
        ]}]}));
        assert_eq!(shares(kind, &route), Ok(Shares { of: [100, 0, 0], is_mixed: false }));
        let (after, _) = shifted(kind, &route, 10);
        assert_eq!(shares(kind, &after), Ok(even(90, 10)));
    }

    #[test]
    fn rules_that_differ_are_no_share_of_anything() {
        let route = object(json!({"rules": [
            {"backendRefs": [{"name": "web-blue", "weight": 1}, {"name": "web-green", "weight": 0}]},
            {"backendRefs": [{"name": "web-blue", "weight": 1}, {"name": "web-green", "weight": 1}]},
        ]}));
        let mixed = Shares { of: [0, 100, 50], is_mixed: true };
        assert_eq!(shares(TrafficKind::HttpRoute, &route), Ok(mixed));
        let thirds = object(json!({"rules": [
            {"backendRefs": [{"name": "web-blue", "weight": 2}, {"name": "web-green", "weight": 1}]},
        ]}));
        assert!(shares(TrafficKind::HttpRoute, &thirds).unwrap().is_mixed);
        let few = object(json!({"rules": [
            {"backendRefs": [{"name": "web-blue", "weight": 999}, {"name": "web-green", "weight": 1}]},
        ]}));
        assert_eq!(shares(TrafficKind::HttpRoute, &few).unwrap().of(GREEN), 1, "never nothing");
    }

    #[test]
    fn a_route_without_both_releases_is_unfit() {
        let route = |refs: Json| object(json!({"rules": [{"backendRefs": refs}]}));
        let unfit = |refs| shares(TrafficKind::HttpRoute, &route(refs)).unwrap_err().to_string();
        assert_eq!(unfit(json!([])), "it has no backend of release web-blue");
        assert_eq!(unfit(json!([{"name": "web-blue"}])), "it has no backend of release web-green");
        assert_eq!(
            unfit(json!([{"name": "web-blue"}, {"name": "web-green"}, {"name": "web-blue"}])),
            "`spec.rules[0]` has several backends of release web-blue"
        );
        assert_eq!(
            unfit(json!([{"name": "web-blue"}, {"name": "web-green"}, {"name": "other"}])),
            "`spec.rules[0]` has a backend of neither release, whose part of the traffic would change"
        );
        let mut own = route(json!([{"name": "web-blue"}, {"name": "web-green"}]));
        own["metadata"]["annotations"] = json!({"meta.helm.sh/release-name": "web-green"});
        let kind = TrafficKind::HttpRoute;
        assert_eq!(shares(kind, &own), Err(Unfit::OfRelease("web-green".to_owned())));
    }
}
