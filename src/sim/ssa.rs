//! Server-side apply: who owns which field, what an apply changes, and whom it conflicts with.
//!
//! Pure: objects and managers in, objects and managers out. Objects have no `managedFields` here;
//! they are kept beside them as [`Managers`].

use serde_json::{Map, Value as Json, json};

use super::fields::FieldSet;
use super::schema::Shape;
use super::status::StatusError;
use super::typed;
use crate::base::clock::Timestamp;

/// Entries of plain updates that are kept; older ones are merged.
const UPDATE_ENTRIES_MAX: usize = 10;
/// The name that merged entries get.
const ANCIENT: &str = "ancient-changes";

/// How a manager writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Operation {
    /// Server-side apply: owns what it applies.
    Apply,
    /// Anything else: owns what it changes.
    Update,
}

/// One entry of `metadata.managedFields`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Manager {
    /// Its name.
    pub name: String,
    /// How it wrote.
    pub operation: Operation,
    /// The version that its fields are of.
    pub api_version: String,
    /// Empty for the object itself.
    pub subresource: String,
    /// When it last gained or lost a field by its own doing; nothing when its first apply changed
    /// nothing.
    pub time: Option<Timestamp>,
    /// What it owns.
    pub fields: FieldSet,
}

impl Manager {
    /// Whether both stand for one entry: appliers whatever their version, others by version.
    fn is(&self, other: &Self) -> bool {
        self.name == other.name
            && self.operation == other.operation
            && self.subresource == other.subresource
            && (self.operation == Operation::Apply || self.api_version == other.api_version)
    }

    /// As conflicts name it.
    fn told(&self) -> String {
        let mut text = format!("{:?}", self.name);
        if !self.subresource.is_empty() {
            text.push_str(&format!(" with subresource {:?}", self.subresource));
        }
        if self.operation == Operation::Update {
            text.push_str(&format!(" using {}", self.api_version));
        }
        text
    }
}

/// Who owns which fields of one object.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Managers(pub Vec<Manager>);

/// Who writes, and to which part of an object.
#[derive(Clone, Debug)]
pub struct Writer<'a> {
    /// The field manager's name.
    pub name: &'a str,
    /// The version that is written.
    pub api_version: String,
    /// Which fields the request can change at all.
    pub reach: Reach,
    /// The time now.
    pub now: Timestamp,
}

/// Which part of an object a request can change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reach {
    /// Everything.
    Whole,
    /// Everything but `status`, which has a subresource.
    NotStatus,
    /// Only `status`, and of built-in kinds the metadata.
    Status,
    /// Only `spec.replicas`, through the `scale` subresource.
    Scale,
}

impl Reach {
    fn filter(self, set: &FieldSet, shape: Shape<'_>) -> FieldSet {
        match self {
            Self::Whole | Self::Scale => set.clone(),
            Self::NotStatus => set.without_field("status"),
            Self::Status if matches!(shape, Shape::CustomRoot(_)) => set.only_field("status"),
            Self::Status => set.without_field("spec"),
        }
    }

    fn subresource(self) -> &'static str {
        match self {
            Self::Whole | Self::NotStatus => "",
            Self::Status => "status",
            Self::Scale => "scale",
        }
    }
}

impl Writer<'_> {
    fn entry(&self, operation: Operation, fields: FieldSet) -> Manager {
        Manager {
            name: self.name.to_owned(),
            operation,
            api_version: self.api_version.clone(),
            subresource: self.reach.subresource().to_owned(),
            // A real server loses it on the way through the subresource.
            time: (self.reach != Reach::Scale).then_some(self.now),
            fields,
        }
    }
}

/// A field that another manager owns and an apply would change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Conflict {
    /// The other manager, as it is told.
    pub manager: String,
    /// `.spec.replicas`.
    pub path: String,
}

impl Managers {
    /// After an update from `old` (nothing for a create) to `new`.
    pub fn update(
        &self,
        old: Option<&Json>,
        new: &Json,
        shape: Shape<'_>,
        by: &Writer<'_>,
    ) -> Self {
        let skeleton;
        let old = match old {
            Some(old) => old,
            None => {
                skeleton = bare(new, shape);
                &skeleton
            }
        };
        let found = typed::compare(Some(old), Some(new), shape);
        let found = found.map(|set| by.reach.filter(set, shape));
        let changed = found.changed();
        let mut left = self.without(None, &changed.union(&found.removed));
        let gained = strip(&changed);
        if !gained.is_empty() {
            let entry = by.entry(Operation::Update, gained);
            match left.0.iter_mut().find(|other| other.is(&entry)) {
                Some(own) => {
                    own.fields = own.fields.union(&entry.fields);
                    own.time = entry.time;
                }
                None => left.0.push(entry),
            }
        }
        left.capped().sorted()
    }

    /// Applies `config` to `live` (nothing when it is to be created): the object that results, not
    /// yet with its defaults, and its managers.
    ///
    /// # Errors
    /// With the fields of others that would change, unless `is_forced`.
    pub fn apply(
        &self,
        live: Option<&Json>,
        config: &Json,
        shape: Shape<'_>,
        (by, is_forced): (&Writer<'_>, bool),
    ) -> Result<(Json, Self), Vec<Conflict>> {
        let nothing = json!({});
        let live = live.unwrap_or(&nothing);
        let entry =
            by.entry(Operation::Apply, by.reach.filter(&typed::set_of(config, shape), shape));
        let last = self.0.iter().find(|other| other.is(&entry)).cloned();
        let merged = typed::merge(live, config, shape);
        let mut managers = Self(self.0.iter().filter(|other| !other.is(&entry)).cloned().collect());
        managers.0.push(entry.clone());
        let object = match &last {
            Some(last) => prune(&merged, &last.fields, &managers, shape),
            None => merged,
        };
        let found = typed::compare(Some(live), Some(&object), shape);
        let found = found.map(|set| by.reach.filter(set, shape));
        let conflicts = managers.conflicts(&found.changed(), &entry);
        if !is_forced && !conflicts.is_empty() {
            return Err(conflicts);
        }
        let mut left = managers.without(Some(&entry), &found.changed().union(&found.removed));
        left.0.retain_mut(|manager| {
            if manager.is(&entry) {
                manager.fields = strip(&manager.fields);
                if *live == object {
                    manager.time = last.as_ref().and_then(|last| last.time);
                }
            }
            !manager.fields.is_empty()
        });
        Ok((object, left.sorted()))
    }

    fn conflicts(&self, changed: &FieldSet, own: &Manager) -> Vec<Conflict> {
        let others = self.0.iter().filter(|manager| !manager.is(own));
        others
            .flat_map(|manager| {
                let paths = manager.fields.intersection(changed).paths();
                let told = manager.told();
                paths.into_iter().map(move |path| Conflict { manager: told.clone(), path })
            })
            .collect()
    }

    /// Takes fields from every manager but `own`.
    fn without(&self, own: Option<&Manager>, gone: &FieldSet) -> Self {
        let left = self.0.iter().filter_map(|manager| {
            if own.is_some_and(|own| manager.is(own)) {
                return Some(manager.clone());
            }
            let fields = manager.fields.difference(gone);
            (!fields.is_empty()).then(|| Manager { fields, ..manager.clone() })
        });
        Self(left.collect())
    }

    /// With at most [`UPDATE_ENTRIES_MAX`] entries of updates: the oldest of one version are merged.
    fn capped(mut self) -> Self {
        let updates = |managers: &Self| {
            managers.0.iter().filter(|manager| manager.operation == Operation::Update).count()
        };
        while updates(&self) > UPDATE_ENTRIES_MAX {
            let mut oldest: Vec<usize> =
                (0..self.0.len()).filter(|at| self.0[*at].operation == Operation::Update).collect();
            oldest.sort_by_key(|at| (self.0[*at].time, self.0[*at].name.clone()));
            let (first, second) = (oldest[0], oldest[1]);
            let fields = self.0[first].fields.union(&self.0[second].fields);
            let merged = Manager { name: ANCIENT.to_owned(), fields, ..self.0[second].clone() };
            self.0[second] = merged;
            self.0.remove(first);
        }
        self
    }

    fn sorted(mut self) -> Self {
        self.0.sort_by(|a, b| {
            let key = |m: &Manager| (m.operation, m.time.map(Timestamp::as_second));
            key(a).cmp(&key(b)).then_with(|| {
                (&a.name, &a.api_version, &a.subresource).cmp(&(
                    &b.name,
                    &b.api_version,
                    &b.subresource,
                ))
            })
        });
        self
    }

    /// Whether both say the same but for times.
    pub fn is_same(&self, other: &Self) -> bool {
        let same = |a: &Manager, b: &Manager| {
            a.is(b) && a.fields == b.fields && a.api_version == b.api_version
        };
        self.0.len() == other.0.len() && self.0.iter().all(|a| other.0.iter().any(|b| same(a, b)))
    }

    /// `metadata.managedFields`.
    pub fn to_json(&self) -> Json {
        self.0.iter().map(entry_json).collect()
    }

    /// Reads `metadata.managedFields`; `None` for what no API server writes.
    pub fn from_json(entries: &Json) -> Option<Self> {
        let entries = entries.as_array()?;
        entries.iter().map(read_entry).collect::<Option<Vec<_>>>().map(Self)
    }
}

fn entry_json(manager: &Manager) -> Json {
    let mut entry = Map::new();
    let operation = match manager.operation {
        Operation::Apply => "Apply",
        Operation::Update => "Update",
    };
    entry.insert("apiVersion".to_owned(), Json::from(manager.api_version.as_str()));
    entry.insert("fieldsType".to_owned(), Json::from("FieldsV1"));
    entry.insert("fieldsV1".to_owned(), manager.fields.to_json());
    entry.insert("manager".to_owned(), Json::from(manager.name.as_str()));
    entry.insert("operation".to_owned(), Json::from(operation));
    if !manager.subresource.is_empty() {
        entry.insert("subresource".to_owned(), Json::from(manager.subresource.as_str()));
    }
    if let Some(time) = manager.time {
        entry.insert("time".to_owned(), Json::from(super::metadata::time(time)));
    }
    Json::Object(entry)
}

fn read_entry(entry: &Json) -> Option<Manager> {
    let text = |field: &str| entry.get(field).and_then(Json::as_str).unwrap_or_default();
    if text("fieldsType") != "FieldsV1" || text("apiVersion").is_empty() {
        return None;
    }
    Some(Manager {
        name: text("manager").to_owned(),
        operation: match text("operation") {
            "Apply" => Operation::Apply,
            "Update" => Operation::Update,
            _ => return None,
        },
        api_version: text("apiVersion").to_owned(),
        subresource: text("subresource").to_owned(),
        time: text("time").parse().ok(),
        fields: FieldSet::from_json(entry.get("fieldsV1").unwrap_or(&json!({})))?,
    })
}

/// The object without what its applier no longer applies and nobody else owns.
fn prune(merged: &Json, last: &FieldSet, managers: &Managers, shape: Shape<'_>) -> Json {
    let nothing = || json!({});
    let declared = |set: &FieldSet| typed::with_declared(set, shape);
    let owned = managers.0.iter().fold(FieldSet::default(), |all, one| all.union(&one.fields));
    let all = declared(&typed::set_of(merged, shape));
    let last = declared(last);
    let fields = |value: &Json| declared(&typed::set_of(value, shape));
    // What goes by itself; then what somebody owns comes back; then what was never applied.
    let bare = typed::remove(merged, &last, shape).unwrap_or_else(nothing);
    let doomed = all.difference(&fields(&bare).union(&declared(&owned)));
    let kept = typed::remove(merged, &doomed, shape).unwrap_or_else(nothing);
    let gone = all.difference(&fields(&kept)).intersection(&last);
    typed::remove(merged, &gone, shape).unwrap_or_else(nothing)
}

/// What nobody owns: the identity of an object and what only the server writes.
fn strip(set: &FieldSet) -> FieldSet {
    const NOBODYS: [&[&str]; 11] = [
        &["apiVersion"],
        &["kind"],
        &["metadata"],
        &["metadata", "name"],
        &["metadata", "namespace"],
        &["metadata", "creationTimestamp"],
        &["metadata", "selfLink"],
        &["metadata", "uid"],
        &["metadata", "generation"],
        &["metadata", "managedFields"],
        &["metadata", "resourceVersion"],
    ];
    NOBODYS.iter().fold(set.clone(), |set, path| set.difference(&FieldSet::of_path(path)))
}

/// The structs that an object has before anything is set: nobody owns them as such.
fn bare(new: &Json, shape: Shape<'_>) -> Json {
    let mut fields = Map::new();
    for (name, value) in new.as_object().into_iter().flatten() {
        let (below, _) = shape.field(name);
        if below.is_always_there() && value.is_object() {
            fields.insert(name.clone(), bare(value, below));
        } else if name == "containers" && value.is_array() {
            fields.insert(name.clone(), Json::Null);
        }
    }
    Json::Object(fields)
}

/// The answer to an apply with conflicts.
pub fn refuse(conflicts: &[Conflict]) -> StatusError {
    let mut managers: Vec<&str> = conflicts.iter().map(|c| c.manager.as_str()).collect();
    managers.sort_unstable();
    managers.dedup();
    let message = if let [only] = conflicts {
        format!("Apply failed with 1 conflict: conflict with {}: {}", only.manager, only.path)
    } else {
        let parts = managers.iter().map(|manager| {
            let paths = conflicts.iter().filter(|c| c.manager == *manager);
            let paths: Vec<_> = paths.map(|c| format!("\n- {}", c.path)).collect();
            format!("conflicts with {manager}:{}", paths.concat())
        });
        let parts: Vec<_> = parts.collect();
        format!("Apply failed with {} conflicts: {}", conflicts.len(), parts.join("\n"))
    };
    let causes = conflicts.iter().map(|conflict| {
        json!({
            "reason": "FieldManagerConflict",
            "message": format!("conflict with {}", conflict.manager),
            "field": conflict.path,
        })
    });
    StatusError::new(409, "Conflict", message).with_details(json!({
        "causes": causes.collect::<Vec<_>>(),
    }))
}
