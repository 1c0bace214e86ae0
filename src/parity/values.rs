//! Values of an addon that differ between two clusters, and where each was set.

use serde::Serialize;
use serde_json::Value as Json;

use super::Sides;
use crate::diff::{FieldPath, Step, between as fields_between};
use crate::fleet::origin::settings;
use crate::object::secret::sounds_secret;
use crate::preview::mask::Mask;
use crate::render::Release;

/// What is shown of a value that is not to be shown.
const HIDDEN: &str = "(hidden)";

/// A value that differs.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ValueDifference {
    /// Which.
    pub path: FieldPath,
    /// What each cluster has; none where no layer sets it.
    pub value: Sides<SetAt>,
}

/// A value and where it was set.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct SetAt {
    /// The value.
    pub value: Json,
    /// File, line and column of the layer that counts.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub place: Option<String>,
}

/// What differs between the merged values of two releases of one addon.
pub(super) fn between(blue: &Release, green: &Release) -> Vec<ValueDifference> {
    let fields = fields_between(&blue.values, &green.values).into_iter();
    let difference = |field: crate::diff::FieldChange| {
        let set = |value: Option<Json>, release: &Release| {
            let hidden = is_secret(&field.path);
            value.map(|value| SetAt {
                value: if hidden { Json::from(HIDDEN) } else { value },
                place: place(release, &field.path),
            })
        };
        ValueDifference {
            value: Sides { blue: set(field.before, blue), green: set(field.after, green) },
            path: field.path,
        }
    };
    fields.map(difference).collect()
}

fn is_secret(path: &FieldPath) -> bool {
    path.0.iter().any(|step| matches!(step, Step::Field(name) if sounds_secret(name)))
}

/// Where the layer that counts sets a value: of what is in a list, the list.
fn place(release: &Release, path: &FieldPath) -> Option<String> {
    let steps = path.0.iter().map_while(|step| match step {
        Step::Field(name) => Some(name.as_str()),
        Step::Item(_) | Step::Index(_) => None,
    });
    let steps: Vec<&str> = steps.collect();
    settings(&release.instance.values, &steps).last().map(|setting| setting.span.to_string())
}

impl ValueDifference {
    pub(super) fn hide(&mut self, mask: &Mask) {
        for set in [&mut self.value.blue, &mut self.value.green].into_iter().flatten() {
            mask.value(&mut set.value);
        }
    }
}
