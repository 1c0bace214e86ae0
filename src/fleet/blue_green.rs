//! The strategy `blueGreen` of an Addon: two releases beside one another, and traffic that moves
//! from one to the other.

use std::fmt;
use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::model::{HealthCheck, HumanDuration};

/// How long the release before is kept when the strategy does not say.
const KEEP_FOR: Duration = Duration::from_hours(1);
/// The label that tells releases apart when the strategy does not say, as charts usually set it.
const LABEL: &str = "app.kubernetes.io/instance";

/// One of the two releases of an instance. Its Helm release is called after it: `web-blue`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Slot {
    /// The first to be installed.
    Blue,
    /// The other one.
    Green,
}

impl Slot {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Blue, Self::Green];

    /// The other one.
    #[must_use]
    pub fn other(self) -> Self {
        match self {
            Self::Blue => Self::Green,
            Self::Green => Self::Blue,
        }
    }

    /// `blue` or `green`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Blue => "blue",
            Self::Green => "green",
        }
    }

    /// The slot of that name.
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|slot| slot.as_str() == word)
    }

    /// What its release is called.
    pub fn release_name(self, base: &str) -> String {
        format!("{base}-{self}")
    }

    /// The name that both releases are called after, of the name of this one's.
    pub fn base_of(self, release_name: &str) -> Option<&str> {
        release_name.strip_suffix(self.as_str())?.strip_suffix('-')
    }
}

impl fmt::Display for Slot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The name that an object of a release has in the release of another name: charts call their
/// objects after the release.
pub fn renamed(object: &str, from: &str, to: &str) -> String {
    match object.strip_prefix(from) {
        Some(rest) if rest.is_empty() || rest.starts_with(['-', '.']) => format!("{to}{rest}"),
        _ => object.to_owned(),
    }
}

/// How one cluster changes.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum Strategy {
    /// The release is upgraded where it is.
    #[default]
    InPlace,
    /// The new release is installed beside the old one, and gets the traffic in steps.
    BlueGreen(BlueGreen),
}

impl Strategy {
    /// The settings of `blueGreen`, where it is that.
    pub fn blue_green(&self) -> Option<&BlueGreen> {
        match self {
            Self::InPlace => None,
            Self::BlueGreen(spec) => Some(spec),
        }
    }
}

/// The new release is installed beside the old one, as `RELEASE-blue` or `RELEASE-green`, and gets
/// the traffic in steps.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct BlueGreen {
    /// What traffic goes through.
    pub traffic: Traffic,
    /// What must hold of the new release before it gets any traffic, besides its health.
    #[serde(default)]
    pub checks: Vec<HealthCheck>,
    /// How much of the traffic the new release gets, one step after the other; at the end it gets
    /// all. All at once by default.
    #[serde(default)]
    pub steps: Vec<TrafficStep>,
    /// How long the old release stays when it has no traffic any more; 1 hour by default. A newer
    /// release that needs its place ends it earlier.
    pub keep_for: Option<HumanDuration>,
}

/// What traffic goes through: an object that belongs to neither release, of which only the weights
/// (or the selector's one label) are written.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Traffic {
    /// A Service whose selector is moved: all traffic at once.
    pub service: Option<ServiceTraffic>,
    /// An HTTPRoute of the Gateway API with a backend of each release.
    pub http_route: Option<RouteTraffic>,
    /// A VirtualService of Istio with a destination of each release.
    pub virtual_service: Option<RouteTraffic>,
    /// A TraefikService of Traefik with a weighted service of each release.
    pub traefik_service: Option<RouteTraffic>,
}

/// A Service whose selector is moved.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct ServiceTraffic {
    /// Its name.
    pub name: String,
    /// Its namespace; the release's by default.
    pub namespace: Option<String>,
    /// The label of the pods whose value is the release's name; `app.kubernetes.io/instance` by
    /// default.
    pub label: Option<String>,
}

/// An object with weights.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct RouteTraffic {
    /// Its name.
    pub name: String,
    /// Its namespace; the release's by default.
    pub namespace: Option<String>,
}

/// One step of the traffic's way to the new release.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TrafficStep {
    /// How much of the traffic it gets, in percent.
    pub weight: u32,
    /// How long it must stay healthy with that; no time by default.
    pub soak: Option<HumanDuration>,
    /// What must hold before the next step, besides its health.
    #[serde(default)]
    pub checks: Vec<HealthCheck>,
}

/// Which kind of object traffic goes through.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TrafficKind<'a> {
    /// A Service, by this label.
    Service(&'a str),
    /// An HTTPRoute.
    HttpRoute,
    /// A VirtualService.
    VirtualService,
    /// A TraefikService.
    TraefikService,
}

impl TrafficKind<'_> {
    /// A version and the kind of the object.
    pub fn api(self) -> (&'static str, &'static str) {
        match self {
            Self::Service(_) => ("v1", "Service"),
            Self::HttpRoute => ("gateway.networking.k8s.io/v1", "HTTPRoute"),
            Self::VirtualService => ("networking.istio.io/v1", "VirtualService"),
            Self::TraefikService => ("traefik.io/v1alpha1", "TraefikService"),
        }
    }

    /// Whether a part of the traffic can be moved.
    pub fn has_weights(self) -> bool {
        !matches!(self, Self::Service(_))
    }
}

/// The object that traffic goes through.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TrafficObject<'a> {
    /// Its kind.
    pub kind: TrafficKind<'a>,
    /// Its name.
    pub name: &'a str,
    /// Its namespace, where that is not the release's.
    pub namespace: Option<&'a str>,
}

impl Traffic {
    /// The object; a document that was checked has exactly one.
    pub fn object(&self) -> Option<TrafficObject<'_>> {
        if let Some(service) = &self.service {
            return Some(TrafficObject {
                kind: TrafficKind::Service(service.label.as_deref().unwrap_or(LABEL)),
                name: &service.name,
                namespace: service.namespace.as_deref(),
            });
        }
        let routes = [
            (&self.http_route, TrafficKind::HttpRoute),
            (&self.virtual_service, TrafficKind::VirtualService),
            (&self.traefik_service, TrafficKind::TraefikService),
        ];
        let (route, kind) =
            routes.into_iter().find_map(|(route, kind)| Some((route.as_ref()?, kind)))?;
        Some(TrafficObject { kind, name: &route.name, namespace: route.namespace.as_deref() })
    }
}

impl BlueGreen {
    /// How long the old release stays.
    pub fn keep_for(&self) -> Duration {
        self.keep_for.map_or(KEEP_FOR, |keep_for| keep_for.0)
    }

    /// The steps that traffic takes, from none of it (the first one) to all of it (the last one).
    pub fn way(&self) -> Vec<TrafficStep> {
        let first = TrafficStep { checks: self.checks.clone(), ..TrafficStep::default() };
        let mut way = vec![first];
        way.extend(self.steps.iter().cloned());
        if way.last().is_none_or(|last| last.weight < 100) {
            way.push(TrafficStep { weight: 100, ..TrafficStep::default() });
        }
        way
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_object_is_called_after_its_release() {
        assert_eq!(renamed("web", "web", "web-blue"), "web-blue");
        assert_eq!(renamed("web-server", "web", "web-blue"), "web-blue-server");
        assert_eq!(renamed("website", "web", "web-blue"), "website");
        assert_eq!(renamed("other", "web", "web-blue"), "other");
        assert_eq!(Slot::Blue.base_of("web-blue"), Some("web"));
        assert_eq!(Slot::Green.base_of("web-blue"), None);
    }

    #[test]
    fn traffic_goes_from_nothing_to_all() {
        let traffic = Traffic::default();
        let step = |weight| TrafficStep { weight, ..TrafficStep::default() };
        let weights = |steps: Vec<TrafficStep>| {
            let spec =
                BlueGreen { traffic: traffic.clone(), checks: vec![], steps, keep_for: None };
            spec.way().iter().map(|step| step.weight).collect::<Vec<_>>()
        };
        assert_eq!(weights(vec![]), [0, 100]);
        assert_eq!(weights(vec![step(10), step(50)]), [0, 10, 50, 100]);
        assert_eq!(weights(vec![step(10), step(100)]), [0, 10, 100]);
    }
}
