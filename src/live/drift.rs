//! Drift: which fields of a release are no longer as fitout applied them, who has set them and when,
//! and whether somebody sets them again and again.
//!
//! Pure. What is known comes from the managed fields of the objects: the API server moves a field to
//! whoever changes it. Names fields and never values.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use jiff::SignedDuration;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value as Json};

use super::record::RecordHead;
use super::{Live, ReleaseId, observe};
use crate::base::clock::{Timestamp, after, moment};
use crate::chart::model::Manifest;
use crate::health;
use crate::object::noise::FIELD_MANAGER;
use crate::object::{access, noise, secret};

/// Heals that are remembered of one revision.
const HEALS_MAX: usize = 10;
/// Fields that are remembered of one heal, and told of one object.
const FIELDS_MAX: usize = 20;
/// A field that was healed so often within [`MEMORY`] is fought over.
const FIGHT_FROM: usize = 3;
/// How long a heal counts.
const MEMORY: Duration = Duration::from_hours(24);
/// The longest pause between two heals of one field.
const PAUSE_MAX: Duration = Duration::from_hours(1);

/// Who has set a field, as the API server has it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Setter {
    /// The field manager, such as `kubectl-edit`.
    pub manager: String,
    /// `Apply` where it declares the object, `Update` where it has set fields.
    pub operation: String,
    /// When it wrote last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at: Option<Timestamp>,
}

impl fmt::Display for Setter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}` ({})", self.manager, self.operation)?;
        self.at.map_or(Ok(()), |at| write!(f, " at {}", moment(at)))
    }
}

/// One thing that is not as it was applied.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Drift {
    /// The text of the object's key.
    pub object: String,
    /// `.spec.replicas`; nothing where it is the whole object.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub field: Option<String>,
    /// Who has set it; nothing where it is gone, since nobody owns what is not there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<Setter>,
}

impl fmt::Display for Drift {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let object = &self.object;
        match (&self.field, &self.by) {
            (Some(field), Some(by)) => write!(f, "`{field}` of {object} was set by {by}"),
            (Some(field), None) => write!(f, "`{field}` of {object} was removed"),
            (None, Some(by)) => write!(f, "{object} was made anew by {by}"),
            (None, None) => write!(f, "{object} was deleted"),
        }
    }
}

/// What of a release is no longer as it was applied, as far as the cluster tells.
pub fn drifts(head: &RecordHead, live: &Live, inventory: &[Manifest]) -> Vec<Drift> {
    let mut drifts = Vec::new();
    for manifest in inventory {
        let found = observe::find(live, &manifest.key);
        let key = found.map_or(&manifest.key, |(key, _)| key);
        let Some(recorded) = head.ownership.get(&key.to_string()) else { continue };
        match found {
            Some((_, object)) if noise::ownership(object).as_ref() == Some(recorded) => {}
            Some((key, object)) => {
                let wanted = as_applied(&manifest.object, &head.id);
                drifts.extend(of_object(&key.to_string(), &wanted, object));
            }
            None if live.gap_over(key).is_some() => {}
            None if health::takes_itself_away(&manifest.object) => {}
            None => drifts.push(Drift { object: key.to_string(), field: None, by: None }),
        }
    }
    drifts
}

/// A manifest with what every object of a release gets.
fn as_applied(manifest: &Json, id: &ReleaseId) -> Json {
    let mut object = manifest.clone();
    secret::settle_string_data(&mut object);
    access::set_metadata(&mut object, "labels", "app.kubernetes.io/managed-by", "Helm");
    access::set_metadata(&mut object, "annotations", "meta.helm.sh/release-name", &id.name);
    let namespace = "meta.helm.sh/release-namespace";
    access::set_metadata(&mut object, "annotations", namespace, &id.namespace);
    object
}

/// What of one object is no longer as it was applied.
fn of_object(object: &str, wanted: &Json, live: &Json) -> Vec<Drift> {
    let entries = access::list(live, &["metadata", "managedFields"]);
    let is_ours = |entry: &&Json| {
        access::text(entry, &["manager"]) == Some(FIELD_MANAGER)
            && access::text(entry, &["operation"]) == Some("Apply")
    };
    let drift = |field: Option<String>, by| Drift { object: object.to_owned(), field, by };
    let Some(ours) = entries.iter().find(is_ours) else {
        let by = entries.iter().find(|entry| is_writer(entry)).map(setter);
        return vec![drift(None, by)];
    };
    let ours = ours.get("fieldsV1").and_then(Json::as_object);
    let mut drifts = Vec::new();
    for entry in entries.iter().filter(|entry| !is_ours(entry) && is_writer(entry)) {
        let mut fields = Vec::new();
        if let Some(theirs) = entry.get("fieldsV1").and_then(Json::as_object) {
            taken(theirs, wanted, ours, "", &mut fields);
        }
        drifts.extend(fields.into_iter().map(|field| drift(Some(field), Some(setter(entry)))));
    }
    let mut gone = Vec::new();
    removed(wanted, live, "", &mut gone);
    drifts.extend(gone.into_iter().map(|field| drift(Some(field), None)));
    drifts.truncate(FIELDS_MAX);
    drifts
}

/// Whether an entry of managed fields is about what a chart may set.
fn is_writer(entry: &Json) -> bool {
    matches!(access::text(entry, &["subresource"]), None | Some("" | "scale"))
}

fn setter(entry: &Json) -> Setter {
    let text = |field| access::text(entry, &[field]).unwrap_or_default().to_owned();
    let at = access::text(entry, &["time"]).and_then(|time| time.parse().ok());
    Setter { manager: text("manager"), operation: text("operation"), at }
}

/// Fields that the chart has, that another manager owns, and that fitout does not own with it.
fn taken(
    theirs: &Map<String, Json>,
    wanted: &Json,
    ours: Option<&Map<String, Json>>,
    path: &str,
    found: &mut Vec<String>,
) {
    for (step, below) in theirs.iter().filter(|(step, _)| *step != ".") {
        let Some((step_text, wanted)) = follow(step, wanted) else { continue };
        let path = format!("{path}{step_text}");
        let ours = ours.and_then(|ours| ours.get(step)).and_then(Json::as_object);
        match below.as_object() {
            Some(below) if below.keys().any(|step| step != ".") => {
                taken(below, wanted, ours, &path, found);
            }
            _ if ours.is_none() => found.push(path),
            _ => {}
        }
    }
}

/// One step of managed fields into a manifest: how it is told, and what is there.
fn follow<'a>(step: &str, value: &'a Json) -> Option<(String, &'a Json)> {
    let (kind, rest) = step.split_once(':')?;
    match kind {
        "f" => Some((format!(".{rest}"), value.get(rest)?)),
        "k" => {
            let keys: Map<String, Json> = serde_json::from_str(rest).ok()?;
            // A key that the manifest leaves to its default is not in it.
            let is_meant = |item: &&Json| {
                keys.iter().all(|(key, value)| item.get(key).is_none_or(|v| v == value))
            };
            let item = value.as_array()?.iter().find(is_meant)?;
            let pairs: Vec<_> = keys.iter().map(|(key, value)| format!("{key}={value}")).collect();
            Some((format!("[{}]", pairs.join(",")), item))
        }
        "v" => {
            let wanted: Json = serde_json::from_str(rest).ok()?;
            let item = value.as_array()?.iter().find(|item| **item == wanted)?;
            Some((format!("[={rest}]"), item))
        }
        _ => None,
    }
}

/// Fields of maps that the chart has and the object lacks.
fn removed(wanted: &Json, live: &Json, path: &str, found: &mut Vec<String>) {
    let (Some(wanted), Some(live)) = (wanted.as_object(), live.as_object()) else { return };
    for (name, value) in wanted.iter().filter(|(_, value)| !is_nothing(value)) {
        let path = format!("{path}.{name}");
        match live.get(name) {
            Some(live) => removed(value, live, &path, found),
            None => found.push(path),
        }
    }
}

/// Whether a value is what a server leaves out.
fn is_nothing(value: &Json) -> bool {
    match value {
        Json::Null => true,
        Json::Object(fields) => fields.values().all(is_nothing),
        Json::Array(items) => items.is_empty(),
        Json::String(text) => text.is_empty(),
        Json::Bool(is_so) => !is_so,
        Json::Number(number) => number.as_f64() == Some(0.0),
    }
}

/// What was put back, and when.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Heal {
    /// When.
    pub at: Timestamp,
    /// What had drifted.
    pub drifts: Vec<Drift>,
}

/// The heals to remember: with one more, without the oldest beyond their number.
pub fn with_heal(heals: &[Heal], mut heal: Heal) -> Vec<Heal> {
    heal.drifts.truncate(FIELDS_MAX);
    let beyond = (heals.len() + 1).saturating_sub(HEALS_MAX);
    heals.iter().skip(beyond).cloned().chain([heal]).collect()
}

/// A field that somebody sets again and again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Fight {
    /// The text of the object's key.
    pub object: String,
    /// The field; nothing where it is the whole object.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub field: Option<String>,
    /// Who, as far as known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<Setter>,
    /// How often it was put back.
    pub times: usize,
    /// The first time.
    pub since: Timestamp,
    /// The last time.
    pub last: Timestamp,
}

impl fmt::Display for Fight {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let what = match &self.field {
            Some(field) => format!("`{field}` of {}", self.object),
            None => self.object.clone(),
        };
        let who = match &self.by {
            Some(by) => format!("`{}` ({})", by.manager, by.operation),
            None => "somebody".to_owned(),
        };
        let (times, since, last) = (self.times, moment(self.since), moment(self.last));
        write!(f, "{who} fights over {what}: put back {times} times since {since}, last at {last}")
    }
}

type Place<'a> = (&'a str, Option<&'a str>);

/// Heals that still count, by object and field.
fn by_place(heals: &[Heal], now: Timestamp) -> BTreeMap<Place<'_>, Vec<(Timestamp, &Drift)>> {
    let mut places: BTreeMap<Place<'_>, Vec<_>> = BTreeMap::new();
    let counts = |heal: &&Heal| now.duration_since(heal.at) <= signed(MEMORY);
    for heal in heals.iter().filter(counts) {
        for drift in &heal.drifts {
            let place = (drift.object.as_str(), drift.field.as_deref());
            let seen = places.entry(place).or_default();
            // One heal counts once for each field, however many managers have it.
            if seen.last().is_none_or(|(at, _)| *at != heal.at) {
                seen.push((heal.at, drift));
            }
        }
    }
    places
}

/// What is fought over, by the heals of a release.
pub fn fights(heals: &[Heal], now: Timestamp) -> Vec<Fight> {
    let places = by_place(heals, now);
    let fought = places.into_iter().filter(|(_, seen)| seen.len() >= FIGHT_FROM);
    let fight = |((object, field), seen): (Place<'_>, Vec<(Timestamp, &Drift)>)| {
        let (since, _) = *seen.first()?;
        let (last, drift) = *seen.last()?;
        Some(Fight {
            object: object.to_owned(),
            field: field.map(str::to_owned),
            by: drift.by.clone(),
            times: seen.len(),
            since,
            last,
        })
    };
    fought.filter_map(fight).collect()
}

/// When a release that has drifted is healed: at once the first two times, then after pauses that
/// double. `resync` is how often it is looked at.
pub fn heal_at(heals: &[Heal], resync: Duration, now: Timestamp) -> Timestamp {
    let times = by_place(heals, now).into_values().map(|seen| seen.len()).max().unwrap_or(0);
    // One of the future: the clock was set back since.
    let Some(last) = heals.last().filter(|last| times >= 2 && last.at <= now) else { return now };
    let doublings = u32::try_from(times - 1).unwrap_or(u32::MAX).min(16);
    let pause = resync.saturating_mul(1 << doublings).min(PAUSE_MAX.max(resync));
    after(last.at, pause).max(now)
}

fn signed(duration: Duration) -> SignedDuration {
    SignedDuration::try_from(duration).unwrap_or(SignedDuration::MAX)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn live(entries: &Json) -> Json {
        json!({
            "metadata": {"managedFields": entries, "labels": {"a": "b"}},
            "spec": {"replicas": 5, "ports": [{"port": 80, "protocol": "TCP", "name": "http"}],
                     "template": {"containers": [{"name": "web", "image": "web:2"}]}},
        })
    }

    fn wanted() -> Json {
        json!({
            "metadata": {"labels": {"a": "b", "gone": "x"}},
            "spec": {"replicas": 2, "paused": false, "ports": [{"port": 80, "name": "http"}],
                     "template": {"containers": [{"name": "web", "image": "web:1"}]}},
        })
    }

    #[test]
    fn who_has_set_a_field_of_the_chart_is_told_and_what_is_beside_the_chart_is_not() {
        let found = of_object(
            "Deployment/web/web",
            &wanted(),
            &live(&json!([
                {"manager": "fitout", "operation": "Apply", "fieldsV1": {
                    "f:metadata": {"f:labels": {"f:a": {}}},
                    "f:spec": {"f:ports": {"k:{\"port\":80,\"protocol\":\"TCP\"}": {".": {}, "f:port": {}}}}}},
                {"manager": "kubectl", "operation": "Update", "subresource": "scale",
                 "time": "2026-01-02T03:04:05Z", "fieldsV1": {"f:spec": {"f:replicas": {}}}},
                {"manager": "kubectl-edit", "operation": "Update", "time": "2026-01-02T03:04:06Z",
                 "fieldsV1": {"f:metadata": {"f:annotations": {"f:note": {}}}, "f:spec": {
                    "f:ports": {"k:{\"port\":80,\"protocol\":\"TCP\"}": {"f:name": {}}},
                    "f:template": {"f:containers": {"k:{\"name\":\"web\"}": {"f:image": {}}}}}}},
                {"manager": "kube-controller-manager", "operation": "Update",
                 "subresource": "status", "fieldsV1": {"f:status": {"f:replicas": {}}}},
            ])),
        );
        let told: Vec<_> = found.iter().map(ToString::to_string).collect();
        assert_eq!(
            told,
            [
                "`.spec.replicas` of Deployment/web/web was set by `kubectl` (Update) at \
                 2026-01-02 03:04:05Z",
                "`.spec.ports[port=80,protocol=\"TCP\"].name` of Deployment/web/web was set by \
                 `kubectl-edit` (Update) at 2026-01-02 03:04:06Z",
                "`.spec.template.containers[name=\"web\"].image` of Deployment/web/web was set by \
                 `kubectl-edit` (Update) at 2026-01-02 03:04:06Z",
                "`.metadata.labels.gone` of Deployment/web/web was removed",
            ]
        );
    }

    #[test]
    fn an_object_that_fitout_has_no_field_of_was_made_anew() {
        let entries = json!([{"manager": "kubectl-create", "operation": "Update", "fieldsV1": {}}]);
        let found = of_object("ConfigMap/a/b", &wanted(), &live(&entries));
        let told: Vec<_> = found.iter().map(ToString::to_string).collect();
        assert_eq!(told, ["ConfigMap/a/b was made anew by `kubectl-create` (Update)"]);
    }

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn heal(second: i64, fields: &[&str]) -> Heal {
        let drift = |field: &&str| Drift {
            object: "ConfigMap/web/web".to_owned(),
            field: Some((*field).to_owned()),
            by: Some(Setter {
                manager: "operator".to_owned(),
                operation: "Update".to_owned(),
                at: None,
            }),
        };
        Heal { at: at(second), drifts: fields.iter().map(drift).collect() }
    }

    #[test]
    fn the_third_time_is_a_fight_and_told_with_who_what_and_how_often() {
        let mut heals = Vec::new();
        for (second, fields) in
            [(0, &[".data.a", ".data.b"][..]), (60, &[".data.a"]), (120, &[".data.a"])]
        {
            assert!(fights(&heals, at(200)).is_empty());
            heals = with_heal(&heals, heal(second, fields));
        }
        let told: Vec<_> = fights(&heals, at(200)).iter().map(ToString::to_string).collect();
        assert_eq!(
            told,
            [
                "`operator` (Update) fights over `.data.a` of ConfigMap/web/web: put back 3 times since \
              1970-01-01 00:00:00Z, last at 1970-01-01 00:02:00Z"
            ]
        );
        assert!(fights(&heals, at(2 * 86_400)).is_empty(), "a day later it is forgotten");
    }

    #[test]
    fn pauses_double_up_to_an_hour_while_the_same_field_is_healed() {
        let resync = Duration::from_mins(5);
        let mut heals = Vec::new();
        let mut pauses = Vec::new();
        let mut now = at(0);
        for _ in 0..8 {
            heals = with_heal(&heals, Heal { at: now, ..heal(0, &[".data.a"]) });
            let next = heal_at(&heals, resync, now);
            pauses.push(next.duration_since(now).as_secs() / 60);
            now = after(next, Duration::from_secs(1));
        }
        assert_eq!(pauses, [0, 10, 20, 40, 60, 60, 60, 60]);
        let others = [heal(0, &[".data.a"]), heal(0, &[".data.b"])];
        assert_eq!(heal_at(&others, resync, at(0)), at(0), "each field by itself");
    }

    #[test]
    fn heals_are_kept_to_a_number() {
        let mut heals = Vec::new();
        for second in 0..30 {
            heals = with_heal(&heals, heal(second, &[".a"]));
        }
        assert_eq!((heals.len(), heals[0].at), (10, at(20)));
    }
}
