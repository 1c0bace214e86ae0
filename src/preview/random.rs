//! What a chart draws at random, which is no change.

use std::collections::BTreeMap;

use super::compare::objects;
use crate::diff::between;
use crate::object::key::ObjectKey;
use crate::render::{Release, redrawn};

/// The fields of a release that are drawn at random, as pointers: a render with other dice has other
/// values there. An apply keeps what is live, so that they are no change.
#[derive(Debug, Default)]
pub(super) struct Random(BTreeMap<ObjectKey, Vec<String>>);

impl Random {
    /// Of a release. Renders it once more where it has anything random.
    pub(super) fn of(release: Option<&Release>) -> Self {
        const OTHER_DICE: [u8; 32] = [7; 32];
        let Some(release) = release.filter(|release| release.rendered.impure) else {
            return Self::default();
        };
        let Ok(other) = redrawn(release, OTHER_DICE) else { return Self::default() };
        let one = objects(Some(&release.rendered));
        let mut fields = BTreeMap::new();
        for (key, manifest) in objects(Some(&other)) {
            let first = one.get(&key).filter(|first| first.object != manifest.object);
            let Some(first) = first else { continue };
            let paths: Vec<String> = between(&first.object, &manifest.object)
                .iter()
                .filter_map(|field| field.path.pointer())
                .collect();
            if !paths.is_empty() {
                fields.insert(key, paths);
            }
        }
        Self(fields)
    }

    /// Those of an object.
    pub(super) fn of_object(&self, key: &ObjectKey) -> &[String] {
        self.0.get(key).map(Vec::as_slice).unwrap_or_default()
    }
}
