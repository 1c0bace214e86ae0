//! Values of decrypted files, hidden wherever a report would show them.

use std::collections::BTreeSet;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE};
use serde_json::Value as Json;

use super::{Folded, Group, Preview};
use crate::base::diagnostic::Diagnostic;
use crate::diff::{Change, FieldChange, Ignored, Step};
use crate::object::secret::{self, sounds_secret};

/// What is shown instead.
const HIDDEN: &str = "(hidden)";
/// And of a value that is hidden on both sides and differs.
const CHANGED: &str = "(hidden, changed)";
/// Shorter ones are only hidden where they are a whole value: they are part of too many words.
const PART_BYTES_MIN: usize = 4;
/// Shorter ones of a Secret's values are everyday words.
const WORD_BYTES_MIN: usize = 6;

/// What must not be shown.
#[derive(Clone, Default)]
pub struct Mask {
    /// Longest first, so that none is left half hidden.
    parts: Vec<String>,
    whole: BTreeSet<String>,
}

impl std::fmt::Debug for Mask {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Mask of {} values", self.whole.len())
    }
}

impl Mask {
    /// For these values, plain and in the forms that templates give them.
    pub fn new(secrets: &BTreeSet<String>) -> Self {
        let mut parts = BTreeSet::new();
        let forms = |secret: &str| {
            let lines = secret.lines().map(str::to_owned);
            let trimmed = secret.trim().to_owned();
            let quoted = Json::from(secret).to_string();
            let encoded = [secret, &trimmed].map(|text| STANDARD.encode(text));
            let url_safe = URL_SAFE.encode(secret);
            lines
                .chain([secret.to_owned(), trimmed.clone(), url_safe])
                .chain(encoded)
                .chain([quoted.trim_matches('"').to_owned()])
                .collect::<Vec<String>>()
        };
        for secret in secrets.iter().filter(|secret| !secret.trim().is_empty()) {
            parts.extend(forms(secret).into_iter().filter(|form| form.len() >= PART_BYTES_MIN));
        }
        let mut parts: Vec<String> = parts.into_iter().collect();
        parts.sort_by_key(|part| std::cmp::Reverse(part.len()));
        Self { parts, whole: secrets.clone() }
    }

    /// For the values of Secrets among objects, of keys that sound like a secret: whatever a chart
    /// writes into a Secret it may write elsewhere too. Other keys hold names and addresses, which
    /// are no secret, and to hide which would leave nothing to read.
    pub fn of_secrets<'a>(objects: impl IntoIterator<Item = &'a Json>) -> Self {
        let mut secrets = BTreeSet::new();
        for object in objects {
            for (key, value) in secret::values(object) {
                let is_word = value.len() >= WORD_BYTES_MIN && !value.contains(char::is_whitespace);
                if is_word && (sounds_secret(&key) || key.contains("secret")) {
                    secrets.insert(value);
                }
            }
        }
        Self::new(&secrets)
    }

    /// A text with them hidden.
    pub fn hide(&self, text: &str) -> String {
        let mut text = text.to_owned();
        self.text(&mut text);
        text
    }

    /// Hides them in a change.
    pub fn change(&self, change: &mut Change) {
        change.note.iter_mut().for_each(|note| self.text(note));
        change.warnings.iter_mut().for_each(|warning| self.text(warning));
        change.fields.iter_mut().for_each(|field| self.field(field));
    }

    /// Hides them in a field that stays as it is.
    pub fn ignored(&self, ignored: &mut Ignored) {
        self.field(&mut ignored.field);
    }

    /// Hides them in a value.
    pub fn value(&self, value: &mut Json) {
        self.json(value);
    }

    fn text(&self, text: &mut String) {
        if self.whole.contains(text.as_str()) && !text.is_empty() {
            HIDDEN.clone_into(text);
            return;
        }
        for part in self.parts.iter().filter(|part| !part.is_empty()) {
            if text.contains(part.as_str()) {
                *text = text.replace(part.as_str(), HIDDEN);
            }
        }
    }

    fn json(&self, value: &mut Json) {
        match value {
            Json::String(text) => self.text(text),
            Json::Number(_) | Json::Bool(_) if self.whole.contains(&value.to_string()) => {
                *value = Json::from(HIDDEN);
            }
            Json::Array(items) => items.iter_mut().for_each(|item| self.json(item)),
            Json::Object(fields) => {
                for (mut name, mut value) in std::mem::take(fields) {
                    self.text(&mut name);
                    self.json(&mut value);
                    fields.insert(name, value);
                }
            }
            _ => {}
        }
    }

    fn field(&self, field: &mut FieldChange) {
        for step in &mut field.path.0 {
            match step {
                Step::Field(name) => self.text(name),
                Step::Item(keys) => keys.iter_mut().for_each(|(_, value)| self.json(value)),
                Step::Index(_) => {}
            }
        }
        let differed = field.before != field.after;
        field.before.iter_mut().chain(&mut field.after).for_each(|value| self.json(value));
        if differed && field.before == field.after {
            (field.before, field.after) = (Some(Json::from(HIDDEN)), Some(Json::from(CHANGED)));
        }
    }

    fn group(&self, group: &mut Group) {
        for one in &mut group.changes {
            self.text(&mut one.change.key.name);
            self.change(&mut one.change);
        }
    }

    fn folded(&self, folded: &mut Folded) {
        if let Some((before, after)) = &mut folded.values {
            self.text(before);
            self.text(after);
        }
    }

    fn diagnostic(&self, found: &mut Diagnostic) {
        let texts =
            std::iter::once(&mut found.message).chain(&mut found.notes).chain(&mut found.help);
        texts.for_each(|text| self.text(text));
        found.labels.iter_mut().for_each(|label| self.text(&mut label.text));
    }

    /// Hides them in all that a report tells.
    pub fn apply(&self, preview: &mut Preview) {
        if self.whole.is_empty() {
            return;
        }
        preview.groups.iter_mut().for_each(|group| self.group(group));
        preview.folded.iter_mut().for_each(|folded| self.folded(folded));
        preview.findings.iter_mut().for_each(|found| self.diagnostic(&mut found.diagnostic));
        for version in &mut preview.versions {
            let images = std::mem::take(&mut version.images).into_iter();
            version.images = images
                .map(|(mut before, mut after)| {
                    self.text(&mut before);
                    self.text(&mut after);
                    (before, after)
                })
                .collect();
            version.changelog.iter_mut().for_each(|entry| self.text(entry));
        }
        if let Some(live) = &mut preview.live {
            live.groups.iter_mut().for_each(|group| self.group(group));
            live.folded.iter_mut().for_each(|folded| self.folded(folded));
            live.problems.iter_mut().for_each(|(_, problem)| self.text(problem));
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_secret_is_hidden_in_every_form_that_templates_give_it() {
        let secrets = ["hunter2", "on", "two\nlines here", "5432"].map(str::to_owned);
        let mask = Mask::new(&BTreeSet::from(secrets));
        let mut value = json!({
            "url": "postgres://eos:hunter2@db", "encoded": "aHVudGVyMg==", "short": "on",
            "words": "once upon", "block": "a: two\nb: lines here", "port": 5432, "hunter2": 1,
        });
        mask.json(&mut value);
        assert_eq!(
            value,
            json!({
                "url": "postgres://eos:(hidden)@db", "encoded": "(hidden)", "short": "(hidden)",
                "words": "once upon", "block": "a: two\nb: (hidden)", "port": "(hidden)", "(hidden)": 1,
            })
        );
    }
}
