//! Writing one object: create, update, patch, apply. Each is a function of the store and the
//! request; a dry run is the same without the last step.

use serde_json::Value as Json;

use super::kinds::Kind;
use super::metadata;
use super::patch::Patch;
use super::ssa::{self, Managers, Reach, Writer};
use super::status::{Cause, StatusError};
use super::store::{Store, version_of};
use super::{
    admission, body, immutable, kinds, last_applied, namespace, network, prepare, validate,
};
use crate::object::access;
use crate::object::key::ObjectKey;

/// The manager that gets what was there before the first apply, when nobody is known to own it.
const BEFORE_FIRST_APPLY: &str = "before-first-apply";
/// Tries to find a free generated name.
const NAMES_TRIED_MAX: usize = 8;

/// What is written to, by whom.
#[derive(Clone, Copy, Debug)]
pub struct Write<'a> {
    /// The kind.
    pub kind: &'a Kind,
    /// The namespace in the path.
    pub namespace: &'a str,
    /// The name in the path; empty for a create.
    pub name: &'a str,
    /// Which part of the object.
    pub reach: Reach,
    /// The field manager.
    pub manager: &'a str,
    /// Whether nothing is kept.
    pub is_dry_run: bool,
    /// What is done about fields that the kind does not have.
    pub validation: Validation,
}

/// What is done about fields that a kind does not have. They are never kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Validation {
    /// Nothing.
    Ignore,
    /// The writer is warned.
    Warn,
    /// The request is refused.
    Strict,
}

/// What was written.
#[derive(Clone, Debug)]
pub struct Written {
    /// As it is now, or would be.
    pub object: Json,
    /// Whether it was not there before.
    pub is_new: bool,
    /// What the writer is told besides.
    pub warnings: Vec<String>,
}

/// Old and new state of an object on its way into the store.
struct Change {
    key: ObjectKey,
    old: Option<Json>,
    new: Json,
    managers: Managers,
    warnings: Vec<String>,
}

impl Write<'_> {
    fn key(&self) -> ObjectKey {
        self.kind.key(self.namespace, self.name)
    }
}

impl Store {
    /// Creates an object.
    ///
    /// # Errors
    /// In the API server's order: 400 for a body that does not fit the path, 404 or 403 for its
    /// namespace, 422 for its content, 409 when it is there already.
    pub fn create(&mut self, write: &Write<'_>, mut object: Json) -> Result<Written, StatusError> {
        check_body(write, &object)?;
        if !access::resource_version(&object).is_empty() {
            let message = "resourceVersion should not be set on objects to be created";
            // A real server takes it for a fault of its own, too.
            return Err(StatusError::new(500, "", message));
        }
        let generation = access::at(&object, &["metadata", "generation"]).cloned();
        if object.get("metadata").is_some() {
            metadata::restore(&mut object, None);
        }
        let name = self.name_of(write, &mut object);
        let write = Write { name: &name, ..*write };
        namespace::check(self, write.kind, write.namespace, &name)?;
        let given = object.clone();
        let warnings = decode(&write, &mut object)?;
        admission::count_template(write.kind, None, &mut object);
        let owned = if write.kind.is("", "Service") {
            network::without_given_out(&given, &object)
        } else {
            object.clone()
        };
        let managers =
            Managers::default().update(None, &owned, write.kind.shape(), &self.writer(&write));
        if let Some(generation) = generation.filter(|_| !write.kind.has_generation) {
            metadata::of(&mut object).insert("generation".to_owned(), generation);
        }
        let change = Change { key: write.key(), old: None, new: object, managers, warnings };
        self.keep(&write, change)
    }

    /// Replaces an object, or its status.
    ///
    /// # Errors
    /// 404 when it is not there, 409 when it has moved on, 422 for its content.
    pub fn update(&mut self, write: &Write<'_>, object: Json) -> Result<Written, StatusError> {
        check_body(write, &object)?;
        let name = access::name(&object);
        if name.is_empty() {
            let message = format!(
                "the name of the object ({} based on URL) was undeterminable: name must be provided",
                write.name
            );
            return Err(StatusError::bad_request(message));
        }
        check_name(write, name)?;
        let old = self.old(write)?;
        if access::resource_version(&object).is_empty() && !allows_unconditional(write.kind) {
            return Err(StatusError::unversioned(write.kind, write.name));
        }
        check_uid_of_update(write, &old, &object)?;
        self.replace(write, &old, object)
    }

    /// Changes an object by a patch.
    ///
    /// # Errors
    /// As [`Self::update`], and 400 or 422 for a patch that makes no sense here.
    pub fn patch(&mut self, write: &Write<'_>, patch: &Patch) -> Result<Written, StatusError> {
        let old = self.old(write)?;
        let mut whole = self.whole(&write.key()).unwrap_or_else(|| old.clone());
        set_version(&mut whole, write.kind);
        let new = patch.apply(&whole, write.kind)?;
        let mut typed = new.clone();
        check_namespace(write, &new)?;
        check_body(write, &new)
            .and_then(|()| decode(write, &mut typed))
            .map_err(|error| refuse_patch(&new, &error))?;
        check_name(write, access::name(&new))?;
        self.replace(write, &old, new)
    }

    /// Server-side apply; creates what is not there.
    ///
    /// # Errors
    /// 409 for fields that others own, unless `is_forced`; else as [`Self::update`].
    pub fn apply(
        &mut self,
        write: &Write<'_>,
        config: &Json,
        is_forced: bool,
    ) -> Result<Written, StatusError> {
        check_kind_of_config(write, config)?;
        check_body(write, config)?;
        let has_managers = access::at(config, &["metadata", "managedFields"]);
        if has_managers.is_some_and(|entries| !entries.is_null()) {
            return Err(StatusError::bad_request("metadata.managedFields must be nil"));
        }
        if !matches!(access::name(config), "" | "null") {
            check_name(write, access::name(config))?;
        }
        let key = write.key();
        let old = self.get(&key).cloned();
        let given = config;
        let config = prepare::config(write.kind, config, write.namespace, write.name)
            .map_err(|error| bad_apply(write, config, &error))?;
        match &old {
            None if write.reach == Reach::Status => {
                return Err(StatusError::not_found(write.kind, write.name));
            }
            None => {
                namespace::check(self, write.kind, write.namespace, write.name)?;
                check_fixed_metadata(write, None, &config)?;
            }
            Some(old) => check_preconditions(write, old, &config)?,
        }
        let old = old.map(|mut old| {
            set_version(&mut old, write.kind);
            old
        });
        let mut managers = self.managers(&key);
        let (writer, shape) = (self.writer(write), write.kind.shape());
        if let Some(old) = old.as_ref().filter(|_| managers.0.is_empty()) {
            let before = Writer { name: BEFORE_FIRST_APPLY, ..writer.clone() };
            managers = managers.update(None, old, shape, &before);
        }
        let apply = |is_forced| managers.apply(old.as_ref(), &config, shape, (&writer, is_forced));
        let applied = apply(is_forced).or_else(|conflicts| {
            let left = last_applied::without_own(conflicts, old.as_ref(), writer.name, shape);
            if left.is_empty() { apply(true) } else { Err(left) }
        });
        let (mut new, managers) = applied.map_err(|conflicts| ssa::refuse(&conflicts))?;
        last_applied::follow(&mut new, given, writer.name);
        let warnings = decode(write, &mut new)?;
        admission::count_template(write.kind, old.as_ref(), &mut new);
        self.keep(write, Change { key, old, new, managers, warnings })
    }

    /// The name that a new object gets.
    fn name_of(&self, write: &Write<'_>, object: &mut Json) -> String {
        let given = access::name(object);
        if !given.is_empty() {
            return given.to_owned();
        }
        let base = access::text(object, &["metadata", "generateName"]).unwrap_or_default();
        if base.is_empty() {
            return String::new();
        }
        let seeds = (0..NAMES_TRIED_MAX).map(|count| format!("{}{count}", self.next_uid()));
        let names: Vec<_> = seeds.map(|seed| metadata::generated_name(base, &seed)).collect();
        let is_free = |name: &&String| self.get(&write.kind.key(write.namespace, name)).is_none();
        let name = names.iter().find(is_free).or(names.first()).cloned().unwrap_or_default();
        metadata::of(object).insert("name".to_owned(), Json::from(name.as_str()));
        name
    }

    fn writer<'a>(&self, write: &Write<'a>) -> Writer<'a> {
        Writer {
            name: write.manager,
            api_version: write.kind.api_version(),
            reach: write.reach,
            now: self.now,
        }
    }

    fn old(&self, write: &Write<'_>) -> Result<Json, StatusError> {
        let old = self.get(&write.key()).cloned();
        let mut old = old.ok_or_else(|| StatusError::not_found(write.kind, write.name))?;
        set_version(&mut old, write.kind);
        Ok(old)
    }

    fn replace(
        &mut self,
        write: &Write<'_>,
        old: &Json,
        mut new: Json,
    ) -> Result<Written, StatusError> {
        check_preconditions(write, old, &new)?;
        let key = write.key();
        let managers = self.managers_of_request(&key, &mut new, write.reach);
        let given = new.clone();
        if write.kind.is("", "Service") {
            network::keep(old, &mut new);
        }
        let warnings = decode(write, &mut new)?;
        admission::count_template(write.kind, Some(old), &mut new);
        metadata::restore(&mut new, Some(old));
        prepare::limit_reach(old, &mut new, write.reach);
        let owned = if write.kind.is("", "Service") {
            network::without_new_ports(&given, old, &new)
        } else {
            new.clone()
        };
        let managers = if managers.0.is_empty() {
            // Nobody is known to own anything: that begins with the first apply.
            managers
        } else {
            managers.update(Some(old), &owned, write.kind.shape(), &self.writer(write))
        };
        self.keep(write, Change { key, old: Some(old.clone()), new, managers, warnings })
    }

    /// The managers that an update begins with: those that the request has, if they make sense,
    /// else those that are known.
    fn managers_of_request(&self, key: &ObjectKey, new: &mut Json, reach: Reach) -> Managers {
        let known = self.managers(key);
        let given = metadata::of(new).remove("managedFields");
        let (Some(given), Reach::Whole | Reach::NotStatus) = (given, reach) else { return known };
        let is_reset = matches!(&given, Json::Array(entries) if entries.is_empty()
            || entries.len() == 1 && entries[0].as_object().is_some_and(serde_json::Map::is_empty));
        if is_reset {
            return Managers::default();
        }
        Managers::from_json(&given).filter(|managers| !managers.0.is_empty()).unwrap_or(known)
    }

    /// The last steps of every write: what the server itself decides, the checks, and the store.
    fn keep(&mut self, write: &Write<'_>, change: Change) -> Result<Written, StatusError> {
        let Change { key, old, mut new, managers, warnings } = change;
        let kind = write.kind;
        prepare::finish(self, kind, old.as_ref(), &mut new, write);
        let mut causes = validate::check(kind, &new);
        if let Some(old) = &old {
            // Names were checked when they came.
            causes.retain(|cause| cause.field != "metadata.name");
            causes.extend(immutable::finalizers(old, &new));
            causes.extend(immutable::check(kind, old, &new));
        }
        if !causes.is_empty() {
            return Err(StatusError::invalid(kind, write.name, &causes));
        }
        let Some(old) = old else {
            if self.get(&key).is_some() {
                return Err(StatusError::already_exists(kind, write.name));
            }
            if !write.is_dry_run {
                // The one that it was given already.
                self.new_uid();
            }
            let object = self.put_unless(write.is_dry_run, &key, new, managers);
            return Ok(Written { object, is_new: true, warnings });
        };
        let is_same = same(&old, &new) && managers.is_same(&self.managers(&key));
        if is_same {
            let object = self.whole(&key).map_or(new, |mut whole| {
                set_version(&mut whole, kind);
                whole
            });
            return Ok(Written { object, is_new: false, warnings });
        }
        if kind.has_generation && metadata::is_other_content(&old, &new) {
            let generation = access::number(&old, &["metadata", "generation"]).unwrap_or(0) + 1;
            metadata::of(&mut new).insert("generation".to_owned(), Json::from(generation));
        }
        // What has nothing left to wait for goes without being written once more.
        let is_over = prepare::is_over(&new);
        let object = self.put_unless(write.is_dry_run || is_over, &key, new, managers);
        if is_over && !write.is_dry_run {
            self.remove(&key);
        }
        Ok(Written { object, is_new: false, warnings })
    }

    pub(super) fn put_unless(
        &mut self,
        is_not_kept: bool,
        key: &ObjectKey,
        mut object: Json,
        managers: Managers,
    ) -> Json {
        if !is_not_kept {
            return self.put(key, object, managers);
        }
        if !managers.0.is_empty() {
            metadata::of(&mut object).insert("managedFields".to_owned(), managers.to_json());
        }
        object
    }
}

fn same(old: &Json, new: &Json) -> bool {
    let bare = |object: &Json| {
        let mut object = object.clone();
        metadata::of(&mut object).remove("resourceVersion");
        object
    };
    bare(old) == bare(new)
}

/// The object at the version that is asked for: versions of one kind differ in name only here.
pub(super) fn set_version(object: &mut Json, kind: &Kind) {
    if let Some(fields) = object.as_object_mut() {
        fields.insert("apiVersion".to_owned(), Json::from(kind.api_version()));
        fields.insert("kind".to_owned(), Json::from(kind.kind.as_str()));
    }
}

/// Kinds that may be replaced without saying which version of them.
fn allows_unconditional(kind: &Kind) -> bool {
    kind.custom.is_none() && !matches!(kind.kind.as_str(), "CustomResourceDefinition" | "Lease")
}

/// Reads an object as the server's types do; gives what the writer is warned of.
fn decode(write: &Write<'_>, object: &mut Json) -> Result<Vec<String>, StatusError> {
    let unknown = prepare::decode(write.kind, object).map_err(|error| bad_body(write, &error))?;
    let told: Vec<_> = unknown.iter().map(|path| format!("unknown field {path:?}")).collect();
    match write.validation {
        Validation::Ignore => Ok(Vec::new()),
        Validation::Strict if !told.is_empty() => {
            Err(bad_body(write, &format!("strict decoding error: {}", told.join(", "))))
        }
        Validation::Warn | Validation::Strict => Ok(told),
    }
}

/// An applied configuration that does not fit its type. A real server says so with a 500, too.
fn bad_apply(write: &Write<'_>, config: &Json, error: &str) -> StatusError {
    let kind = told_kind(&write.kind.kind, &write.kind.api_version());
    let message = format!(
        "failed to create typed patch object ({}/{}; {kind}): {error}",
        access::namespace(config),
        write.name
    );
    StatusError::new(500, "", message)
}

/// A kind as messages have it: `apps/v1, Kind=Deployment`.
fn told_kind(kind: &str, api_version: &str) -> String {
    let slash = if api_version.contains('/') { "" } else { "/" };
    format!("{slash}{api_version}, Kind={kind}")
}

pub(super) fn bad_body(write: &Write<'_>, error: &str) -> StatusError {
    let kind = &write.kind.kind;
    StatusError::bad_request(format!(
        "{kind} in version {:?} cannot be handled as a {kind}: {error}",
        write.kind.version
    ))
}

/// A patch that makes of an object what its type cannot be.
fn refuse_patch(patched: &Json, error: &StatusError) -> StatusError {
    let why = error.message.split_once(": ").map_or(error.message.as_str(), |(_, why)| why);
    let cause = Cause::invalid("patch", &Json::from(patched.to_string()), why);
    StatusError::invalid_as("", "", "", &[cause])
}

/// Whether a name is that of the path.
fn check_name(write: &Write<'_>, name: &str) -> Result<(), StatusError> {
    if name == write.name {
        return Ok(());
    }
    Err(StatusError::bad_request(format!(
        "the name of the object ({name}) does not match the name on the URL ({})",
        write.name
    )))
}

/// Whether what is applied says that it is of the kind that the path names.
fn check_kind_of_config(write: &Write<'_>, config: &Json) -> Result<(), StatusError> {
    let (kind, api_version) = (access::kind(config), access::api_version(config));
    if kind == write.kind.kind && api_version == write.kind.api_version() {
        return Ok(());
    }
    let told = told_kind(kind, api_version);
    Err(StatusError::bad_request(format!("invalid object type: {told}")))
}

/// Whether a replacement is of the object that it names; a real server only sees it when it stores.
fn check_uid_of_update(write: &Write<'_>, old: &Json, new: &Json) -> Result<(), StatusError> {
    let (given, has) = (access::uid(new), access::uid(old));
    if given.is_empty() || given == has {
        return Ok(());
    }
    let place = if write.kind.is_namespaced {
        format!("{}/{}", write.namespace, write.name)
    } else {
        write.name.to_owned()
    };
    let why = format!(
        "StorageError: invalid object, Code: 4, Key: /registry/{}/{place}, ResourceVersion: 0, \
         AdditionalErrorMsg: Precondition failed: UID in precondition: {given}, UID in object \
         meta: {has}",
        write.kind.plural
    );
    Err(StatusError::conflict(write.kind, write.name, &why))
}

/// Whether the body is an object of the kind and the namespace that the path names.
fn check_body(write: &Write<'_>, object: &Json) -> Result<(), StatusError> {
    if !object.is_object() {
        return Err(bad_body(write, "json: cannot unmarshal a value that is no object"));
    }
    let (kind, api_version) = (access::kind(object), access::api_version(object));
    let is_it = (kind.is_empty() || kind == write.kind.kind)
        && (api_version.is_empty() || api_version == write.kind.api_version());
    if !is_it {
        return Err(other_kind(write, kind, api_version));
    }
    if object.get("metadata").is_some_and(|m| !m.is_object() && !m.is_null()) {
        let metadata = object.get("metadata").map_or("null", access::type_name);
        let error = format!(
            "json: cannot unmarshal {metadata} into Go struct field {}.metadata of type \
             v1.ObjectMeta",
            write.kind.kind
        );
        return Err(bad_body(write, &error));
    }
    check_namespace(write, object)
}

fn check_namespace(write: &Write<'_>, object: &Json) -> Result<(), StatusError> {
    let namespace = access::namespace(object);
    if write.kind.is_namespaced && !matches!(namespace, "") && namespace != write.namespace {
        let message = "the namespace of the provided object does not match the namespace sent on \
                       the request";
        return Err(StatusError::bad_request(message));
    }
    Ok(())
}

/// An object of another kind, or at another version, than the path names.
fn other_kind(write: &Write<'_>, kind: &str, api_version: &str) -> StatusError {
    let version = api_version.rsplit('/').next().unwrap_or_default();
    let wanted = &write.kind.kind;
    if write.kind.custom.is_some() && kind == wanted {
        return StatusError::bad_request(format!(
            "the API version in the data ({api_version}) does not match the expected API version \
             ({})",
            write.kind.api_version()
        ));
    }
    let known = kinds::built_in().iter().any(|one| {
        one.kind == kind && (api_version.is_empty() || one.api_version() == api_version)
    });
    let why = if known {
        let group = write.kind.group.split('.').next().filter(|group| !group.is_empty());
        let group = group.unwrap_or("core");
        format!("converting ({version}.{kind}) to ({group}.{wanted}): unknown conversion")
    } else {
        body::no_kind(kind, api_version)
    };
    StatusError::bad_request(format!(
        "{kind} in version {version:?} cannot be handled as a {wanted}: {why}"
    ))
}

/// Whether the object still is the one that is meant.
fn check_preconditions(write: &Write<'_>, old: &Json, new: &Json) -> Result<(), StatusError> {
    let given = access::resource_version(new);
    if !given.is_empty() && given != "0" {
        let version: u64 = given.parse().map_err(|_| {
            let message = format!("strconv.ParseUint: parsing {given:?}: invalid syntax");
            StatusError::new(500, "", message)
        })?;
        if version != version_of(old) {
            return Err(StatusError::modified(write.kind, write.name));
        }
    }
    check_fixed_metadata(write, Some(old), new)
}

/// Whether what only a server sets is as it was, where a request names it at all.
fn check_fixed_metadata(
    write: &Write<'_>,
    old: Option<&Json>,
    new: &Json,
) -> Result<(), StatusError> {
    let mut causes = Vec::new();
    for field in ["uid", "deletionTimestamp"] {
        let path = ["metadata", field];
        let given = access::text(new, &path).unwrap_or_default();
        let has = old.and_then(|old| access::text(old, &path)).unwrap_or_default();
        if !given.is_empty() && given != has {
            let field = format!("metadata.{field}");
            causes.push(Cause::invalid(field, &Json::from(given), "field is immutable"));
        }
    }
    if causes.is_empty() {
        return Ok(());
    }
    Err(StatusError::invalid(write.kind, write.name, &causes))
}
