//! Watches: the changes of a kind's objects, from a version on.

use std::collections::VecDeque;
use std::time::Duration;

use serde_json::{Value as Json, json};

use super::kinds::Kind;
use super::request::{ObjectPath, Request};
use super::respond::{self, Form};
use super::selector::Selector;
use super::status::StatusError;
use super::store::{Change, ChangeKind, Store, version_of};
use super::write::set_version;
use super::{crd, list, metadata, options};
use crate::base::clock::{Timestamp, after};
use crate::object::key::ObjectKey;

/// How long a watch lasts when the client does not say.
const LASTS: Duration = Duration::from_mins(30);
/// How often a client that asked for it is told how far it has seen.
const BOOKMARK_EVERY: Duration = Duration::from_mins(1);

/// A watch, and how far it has got.
#[derive(Debug)]
pub struct Watch {
    kind: Kind,
    namespace: String,
    selector: Selector,
    form: Form,
    has_bookmarks: bool,
    /// Everything up to this version was told.
    seen: u64,
    /// What is to be told before anything else.
    first: VecDeque<Json>,
    /// When it ends.
    until: Timestamp,
    next_bookmark: Timestamp,
    is_over: bool,
    /// Nothing is known of what was before this version.
    begins: u64,
}

/// Since when a server knows of changes of a kind: of a custom one, since its CRD is as it is.
fn began(store: &Store, kind: &Kind) -> u64 {
    if kind.custom.is_none() {
        return 0;
    }
    let key = ObjectKey {
        group: crd::GROUP.to_owned(),
        kind: crd::KIND.to_owned(),
        namespace: String::new(),
        name: kind.resource(),
    };
    store.get(&key).map_or(0, version_of)
}

impl Watch {
    /// Begins a watch.
    ///
    /// # Errors
    /// 400 for a query that cannot be read.
    pub fn new(
        store: &Store,
        request: &Request,
        path: &ObjectPath,
        kind: Kind,
    ) -> Result<Self, StatusError> {
        let query = &request.query;
        let mut selector =
            Selector::parse(query.get("labelSelector"), query.get("fieldSelector"), &kind)?;
        options::check_list(request)?;
        if !path.name.is_empty() {
            selector = selector.named(&path.name);
        }
        let from = list::number(query.get("resourceVersion"))?;
        let lasts = query.get("timeoutSeconds").parse().map_or(LASTS, Duration::from_secs);
        let mut watch = Self {
            selector,
            form: respond::form(&request.accept, query.get("includeObject")),
            namespace: path.namespace.clone(),
            has_bookmarks: query.is_true("allowWatchBookmarks"),
            seen: from,
            first: VecDeque::new(),
            until: after(store.now, lasts),
            next_bookmark: after(store.now, BOOKMARK_EVERY),
            is_over: false,
            begins: began(store, &kind),
            kind,
        };
        let sends_all = query.get("sendInitialEvents");
        if sends_all == "true" || (from == 0 && sends_all.is_empty()) {
            watch.begin_with_all(store);
            if sends_all == "true" && watch.has_bookmarks {
                let mut bookmark = watch.bookmark();
                bookmark["object"]["metadata"]["annotations"] =
                    json!({"k8s.io/initial-events-end": "true"});
                watch.first.push_back(bookmark);
            }
        } else if from == 0 {
            watch.seen = store.version();
        }
        Ok(watch)
    }

    fn begin_with_all(&mut self, store: &Store) {
        for key in store.keys(&self.kind.group, &self.kind.kind, &self.namespace) {
            if let Some(object) = store.whole(key).filter(|object| self.selector.matches(object)) {
                let event = self.event("ADDED", object, store.now);
                self.first.push_back(event);
            }
        }
        self.seen = store.version();
    }

    /// What is to be told now. Empty when there is nothing yet; `None` once the watch is over.
    pub fn poll(&mut self, store: &Store) -> Option<Vec<Json>> {
        if self.is_over {
            return None;
        }
        let mut events: Vec<Json> = self.first.drain(..).collect();
        let changes = match store.changes_since(self.seen) {
            Ok(_) if self.seen < self.begins => Err(self.begins),
            changes => changes,
        };
        match changes {
            Ok(changes) => {
                for change in &changes {
                    events.extend(self.told(change, store.now));
                }
                self.seen = store.version().max(self.seen);
            }
            Err(oldest) => {
                self.is_over = true;
                let status = StatusError::too_old(self.seen, oldest).to_json();
                events.push(json!({"type": "ERROR", "object": status}));
                return Some(events);
            }
        }
        if self.has_bookmarks && store.now >= self.next_bookmark {
            self.next_bookmark = after(store.now, BOOKMARK_EVERY);
            events.push(self.bookmark());
        }
        if store.now >= self.until {
            self.is_over = true;
        }
        Some(events)
    }

    /// When it wants to be polled although nothing has changed.
    pub fn wake(&self) -> Timestamp {
        if self.has_bookmarks { self.until.min(self.next_bookmark) } else { self.until }
    }

    fn told(&self, change: &Change, now: Timestamp) -> Option<Json> {
        let key = &change.key;
        let is_meant = self.kind.is(&key.group, &key.kind)
            && (self.namespace.is_empty() || self.namespace == key.namespace);
        if !is_meant {
            return None;
        }
        let was = change.before.as_ref().is_some_and(|before| self.selector.matches(before));
        let is = self.selector.matches(&change.object);
        let kind = match (change.kind, was, is) {
            (ChangeKind::Deleted, true, _) => "DELETED",
            (_, true, false) => {
                // As it was when it was last selected.
                let mut last = change.before.as_deref().cloned().unwrap_or(Json::Null);
                let version = Json::from(change.version.to_string());
                metadata::of(&mut last).insert("resourceVersion".to_owned(), version);
                return Some(self.event("DELETED", last, now));
            }
            (ChangeKind::Deleted, false, _) => return None,
            (_, false, true) => "ADDED",
            (_, true, true) => "MODIFIED",
            (_, false, false) => return None,
        };
        Some(self.event(kind, Json::clone(&change.object), now))
    }

    fn event(&self, kind: &str, mut object: Json, now: Timestamp) -> Json {
        set_version(&mut object, &self.kind);
        json!({"type": kind, "object": respond::object(self.form, object, &self.kind, now)})
    }

    fn bookmark(&self) -> Json {
        let mut object = json!({"metadata": {"resourceVersion": self.seen.to_string()}});
        set_version(&mut object, &self.kind);
        json!({"type": "BOOKMARK", "object": object})
    }
}
