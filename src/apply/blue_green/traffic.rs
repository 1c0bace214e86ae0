//! The object that traffic goes through: how much of it each release has, and the patch that
//! changes that. Pure.
//!
//! Nothing but the weights of the two releases' backends, or one label of a selector, is ever
//! written, and only to the version of the object that was read.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value as Json, json};

use super::machine::Shares;
use crate::fleet::blue_green::{Slot, TrafficKind};
use crate::object::access;

/// The Services of each release, by namespace and name.
pub(super) type Backends = BTreeMap<Slot, BTreeSet<(String, String)>>;

/// What the object is read with.
#[derive(Clone, Copy, Debug)]
pub(super) struct Reading<'a> {
    pub(super) kind: TrafficKind<'a>,
    /// The name that both releases are called after.
    pub(super) base: &'a str,
    pub(super) backends: &'a Backends,
    /// The releases that are there, or about to be.
    pub(super) slots: &'a BTreeSet<Slot>,
}

/// Why traffic cannot be moved with an object as it is.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Unfit {
    #[error("it has no selector")]
    NoSelector,
    #[error("it belongs to the release {0} itself, and would go with it")]
    OfRelease(String),
    #[error("it has no backend of release {0}")]
    NoBackend(String),
    #[error("{rule} has a backend of release {has} and none of {lacks}")]
    OneSided { rule: String, has: String, lacks: String },
    #[error("{rule} has several backends of release {of}")]
    Several { rule: String, of: String },
}

/// A backend of one of the releases.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Backend {
    slot: Slot,
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
    fn of(&self, slot: Slot) -> impl Iterator<Item = &Backend> {
        self.backends.iter().filter(move |backend| backend.slot == slot)
    }
}

impl Reading<'_> {
    fn release(&self, slot: Slot) -> String {
        slot.release_name(self.base)
    }

    /// How much of the traffic each release has.
    ///
    /// # Errors
    /// [`Unfit`] where it cannot be moved between the releases that are there.
    pub(super) fn shares(&self, object: &Json) -> Result<Shares, Unfit> {
        self.ensure_apart(object)?;
        if let TrafficKind::Service(label) = self.kind {
            let selector = selector(object)?;
            let value = selector.get(label).and_then(Json::as_str).unwrap_or_default();
            let share = |slot| if value == self.release(slot) { 100 } else { 0 };
            let (blue, green) = (share(Slot::Blue), share(Slot::Green));
            return Ok(Shares { blue, green, is_mixed: false });
        }
        let mut shares: Option<Shares> = None;
        for rule in self.rules(object)? {
            let one = share_of(&rule);
            shares = Some(match shares {
                None => one,
                Some(before) => Shares {
                    blue: before.blue.max(one.blue),
                    green: before.green.max(one.green),
                    is_mixed: before.is_mixed || before != one,
                },
            });
        }
        Ok(shares.unwrap_or_default())
    }

    /// The JSON patch that gives a release so much of the traffic, and the other one the rest. It
    /// holds only for this version of the object.
    ///
    /// # Errors
    /// As [`Self::shares`].
    pub(super) fn shift(&self, object: &Json, to: Slot, weight: u32) -> Result<Json, Unfit> {
        let version = access::resource_version(object);
        let mut patch =
            vec![json!({"op": "replace", "path": "/metadata/resourceVersion", "value": version})];
        if let TrafficKind::Service(label) = self.kind {
            selector(object)?;
            let path = format!("/spec/selector/{}", escaped(label));
            patch.push(json!({"op": "add", "path": path, "value": self.release(to)}));
            return Ok(Json::Array(patch));
        }
        for rule in self.rules(object)? {
            for backend in &rule.backends {
                let weight = if backend.slot == to { weight } else { 100 - weight };
                patch.push(json!({"op": "add", "path": backend.pointer, "value": weight}));
            }
        }
        Ok(Json::Array(patch))
    }

    /// An object of one of the releases goes with it.
    fn ensure_apart(&self, object: &Json) -> Result<(), Unfit> {
        let owner = access::annotation(object, "meta.helm.sh/release-name");
        let own = Slot::ALL.map(|slot| self.release(slot));
        match owner.filter(|owner| own.iter().any(|release| release == owner)) {
            Some(owner) => Err(Unfit::OfRelease(owner.to_owned())),
            None => Ok(()),
        }
    }

    /// The rules that the releases are in, each with one backend of every release that is there.
    fn rules(&self, object: &Json) -> Result<Vec<Rule>, Unfit> {
        let mut rules = self.all_rules(object);
        rules.retain(|rule| !rule.backends.is_empty());
        for slot in self.slots {
            if !rules.iter().any(|rule| rule.of(*slot).next().is_some()) {
                return Err(Unfit::NoBackend(self.release(*slot)));
            }
        }
        for rule in &rules {
            for slot in Slot::ALL {
                let count = rule.of(slot).count();
                if count > 1 {
                    let of = self.release(slot);
                    return Err(Unfit::Several { rule: rule.name.clone(), of });
                }
                if count == 0 && self.slots.contains(&slot) {
                    let (has, lacks) = (self.release(slot.other()), self.release(slot));
                    return Err(Unfit::OneSided { rule: rule.name.clone(), has, lacks });
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
                let backends = items(rule, "backendRefs").map(|one| {
                    let name = access::text(one, &["name"]).unwrap_or_default();
                    let of = access::text(one, &["namespace"]).unwrap_or(own);
                    let is_service =
                        access::text(one, &["kind"]).is_none_or(|kind| kind == "Service");
                    let service = is_service.then(|| (of.to_owned(), name.to_owned()));
                    (service, weight(one, 1))
                });
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
                let backends = items(weighted, "services").map(|one| {
                    let name = access::text(one, &["name"]).unwrap_or_default();
                    let of = access::text(one, &["namespace"]).unwrap_or(own);
                    (Some((of.to_owned(), name.to_owned())), weight(one, 1))
                });
                let backends = self.backends("/spec/weighted/services", backends.collect());
                vec![Rule { name: "`spec.weighted`".to_owned(), backends }]
            }
        }
    }

    fn rules_at<'o>(
        &self,
        object: &'o Json,
        path: &[&str; 2],
        of_rule: impl Fn(&'o Json) -> (&'static str, Vec<(Option<(String, String)>, u64)>),
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

    /// Those of a list that are of one of the releases.
    fn backends(&self, pointer: &str, all: Vec<(Option<(String, String)>, u64)>) -> Vec<Backend> {
        let known = all.into_iter().enumerate().filter_map(|(at, (service, weight))| {
            let service = service?;
            let slot = Slot::ALL
                .into_iter()
                .find(|slot| self.backends.get(slot).is_some_and(|own| own.contains(&service)))?;
            Some(Backend { slot, pointer: format!("{pointer}/{at}/weight"), weight })
        });
        known.collect()
    }
}

fn selector(object: &Json) -> Result<&serde_json::Map<String, Json>, Unfit> {
    object.pointer("/spec/selector").and_then(Json::as_object).ok_or(Unfit::NoSelector)
}

fn share_of(rule: &Rule) -> Shares {
    let weight = |slot| rule.of(slot).map(|backend| backend.weight).sum::<u64>();
    let (blue, green) = (weight(Slot::Blue), weight(Slot::Green));
    let total = blue.saturating_add(green);
    // What has any has at least one percent, so that it never counts as nothing.
    let share = |part: u64| part.saturating_mul(100).checked_div(total).unwrap_or(0);
    let percent = |part: u64| u32::try_from(share(part).max(u64::from(part > 0))).unwrap_or(100);
    let is_mixed = total > 0 && blue.saturating_mul(100) % total != 0;
    Shares { blue: percent(blue), green: percent(green), is_mixed }
}

fn items<'a>(of: &'a Json, field: &str) -> impl Iterator<Item = &'a Json> + use<'a> {
    of.get(field).and_then(Json::as_array).into_iter().flatten()
}

fn weight(backend: &Json, absent: u64) -> u64 {
    backend.get("weight").and_then(Json::as_u64).unwrap_or(absent)
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

    fn backends() -> Backends {
        Slot::ALL
            .map(|slot| (slot, BTreeSet::from([("apps".to_owned(), format!("web-{slot}"))])))
            .into()
    }

    fn read<T>(kind: TrafficKind<'_>, read: impl FnOnce(Reading<'_>) -> T) -> T {
        let (backends, slots) = (backends(), Slot::ALL.into());
        read(Reading { kind, base: "web", backends: &backends, slots: &slots })
    }

    fn shares(kind: TrafficKind<'_>, object: &Json) -> Result<Shares, Unfit> {
        read(kind, |reading| reading.shares(object))
    }

    /// The object after a shift, and what was written of it.
    fn shifted(kind: TrafficKind<'_>, object: &Json, weight: u32) -> (Json, Vec<String>) {
        let patch = read(kind, |reading| reading.shift(object, Slot::Green, weight)).unwrap();
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
        Shares { blue, green, is_mixed: false }
    }

    #[test]
    fn a_services_selector_has_one_release_or_none() {
        let kind = TrafficKind::Service("app.kubernetes.io/instance");
        let service = object(json!({"selector": {"app": "web"}}));
        assert_eq!(shares(kind, &service), Ok(even(0, 0)));
        let (after, paths) = shifted(kind, &service, 100);
        assert_eq!(shares(kind, &after), Ok(even(0, 100)));
        assert_eq!(after["spec"]["selector"]["app"], "web", "the rest of it stays");
        assert_eq!(paths, ["/spec/selector/app.kubernetes.io~1instance"]);
        assert_eq!(shares(kind, &object(json!({}))), Err(Unfit::NoSelector));
    }

    #[test]
    fn the_weights_of_a_route_are_moved_and_nothing_else() {
        let kind = TrafficKind::HttpRoute;
        let route = object(json!({"rules": [
            {"backendRefs": [{"name": "web-blue", "port": 80, "weight": 100},
                             {"name": "web-green", "port": 80, "weight": 0}]},
            {"backendRefs": [{"name": "other", "weight": 3}]},
            {"backendRefs": [{"name": "other", "weight": 5}, {"name": "web-green", "weight": 0},
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
    fn rules_that_differ_are_no_share_of_anything() {
        let route = object(json!({"rules": [
            {"backendRefs": [{"name": "web-blue", "weight": 1}, {"name": "web-green", "weight": 0}]},
            {"backendRefs": [{"name": "web-blue", "weight": 1}, {"name": "web-green", "weight": 1}]},
        ]}));
        let mixed = Shares { blue: 100, green: 50, is_mixed: true };
        assert_eq!(shares(TrafficKind::HttpRoute, &route), Ok(mixed));
        let thirds = object(json!({"rules": [
            {"backendRefs": [{"name": "web-blue", "weight": 2}, {"name": "web-green", "weight": 1}]},
        ]}));
        assert!(shares(TrafficKind::HttpRoute, &thirds).unwrap().is_mixed);
        let few = object(json!({"rules": [
            {"backendRefs": [{"name": "web-blue", "weight": 999}, {"name": "web-green", "weight": 1}]},
        ]}));
        assert_eq!(shares(TrafficKind::HttpRoute, &few).unwrap().green, 1, "never nothing");
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
        let mut own = route(json!([{"name": "web-blue"}, {"name": "web-green"}]));
        own["metadata"]["annotations"] = json!({"meta.helm.sh/release-name": "web-green"});
        let kind = TrafficKind::HttpRoute;
        assert_eq!(shares(kind, &own), Err(Unfit::OfRelease("web-green".to_owned())));
    }
}
