//! Documents that renders of a chart have in common: most of them say the same on every cluster, so
//! that they are read once and kept once.

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::sync::{Arc, Mutex, PoisonError, Weak};

use serde_json::Value as Json;

use crate::yaml::helm;

/// A document's text and what it says.
#[derive(Clone, Debug)]
pub(super) struct Read {
    pub(super) text: Arc<str>,
    pub(super) object: Arc<Json>,
}

/// The documents that some render still has.
#[derive(Debug, Default)]
pub(super) struct Documents(Mutex<Known>);

#[derive(Debug, Default)]
struct Known {
    /// By the hash of the text.
    by_hash: HashMap<u64, Vec<Kept>>,
    /// How many there may be before those that nobody has any more are taken out.
    sweep_at: usize,
}

#[derive(Debug)]
struct Kept {
    text: Weak<str>,
    object: Weak<Json>,
}

impl Kept {
    fn read(&self) -> Option<Read> {
        Some(Read { text: self.text.upgrade()?, object: self.object.upgrade()? })
    }
}

impl Documents {
    /// What a document says.
    ///
    /// # Errors
    /// Helm's text, where it is no YAML.
    pub(super) fn read(&self, text: &str) -> Result<Read, String> {
        let mut hasher = DefaultHasher::new();
        text.hash(&mut hasher);
        let hash = hasher.finish();
        if let Some(known) = self.lock().find(hash, text) {
            return Ok(known);
        }
        let object = helm::read_object(text)?;
        let read = Read { text: text.into(), object: Arc::new(object) };
        Ok(self.lock().keep(hash, read))
    }

    /// Nothing is left half done under the lock.
    fn lock(&self) -> std::sync::MutexGuard<'_, Known> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Known {
    fn find(&self, hash: u64, text: &str) -> Option<Read> {
        let same = self.by_hash.get(&hash)?.iter();
        same.filter_map(Kept::read).find(|read| *read.text == *text)
    }

    /// Keeps a document, unless another thread was faster.
    fn keep(&mut self, hash: u64, read: Read) -> Read {
        if let Some(known) = self.find(hash, &read.text) {
            return known;
        }
        if self.by_hash.len() >= self.sweep_at {
            self.sweep();
        }
        let kept = Kept { text: Arc::downgrade(&read.text), object: Arc::downgrade(&read.object) };
        self.by_hash.entry(hash).or_default().push(kept);
        read
    }

    fn sweep(&mut self) {
        const SWEEP_AT_LEAST: usize = 1024;
        self.by_hash.retain(|_, same| {
            same.retain(|kept| kept.object.strong_count() > 0 && kept.text.strong_count() > 0);
            !same.is_empty()
        });
        self.sweep_at = (self.by_hash.len() * 2).max(SWEEP_AT_LEAST);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_texts_are_one_document_for_as_long_as_somebody_has_it() {
        let documents = Documents::default();
        let first = documents.read("kind: A").unwrap();
        let second = documents.read("kind: A").unwrap();
        assert!(Arc::ptr_eq(&first.object, &second.object));
        assert!(!Arc::ptr_eq(&first.object, &documents.read("kind:  A").unwrap().object));
        drop((first, second));
        documents.lock().sweep();
        assert!(documents.lock().by_hash.is_empty());
    }

    #[test]
    fn what_is_no_yaml_is_told_each_time() {
        let documents = Documents::default();
        assert_eq!(documents.read("a: [").unwrap_err(), documents.read("a: [").unwrap_err());
    }
}
