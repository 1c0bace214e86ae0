//! Renders by two seeds and by chance to one render: what is random in it is kept or fresh.

use std::collections::BTreeMap;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value as Json;

use crate::base::ids::Digest;
use crate::chart::model::{Manifest, Printed, Rendered};
use crate::object::{access, manifest, secret};
use crate::yaml::helm;
use crate::yaml::write::json_to_yaml;

/// A random text that is shorter may well be part of another one by chance.
const TOKEN_BYTES_MIN: usize = 6;

/// What the records of a release have.
#[derive(Default)]
pub(super) struct Before {
    /// By the name of the part: the text of an object's key, or [`hook_name`].
    pub(super) objects: BTreeMap<String, Arc<Json>>,
    /// See [`crate::live::record::RecordHead::random`]; nothing where Helm made the record.
    pub(super) random: BTreeMap<String, String>,
}

impl Before {
    /// What is kept of a leaf: what the record has in its place, unless the leaf itself has
    /// changed since.
    fn kept(&self, leaf: &Leaf<'_>) -> Option<&Json> {
        let recorded = at(self.objects.get(&leaf.part)?, &leaf.path)?;
        let fixed = self.random.get(&leaf.name());
        let is_same = fixed.is_none_or(|fixed| *fixed == digest(leaf.fixed));
        is_same.then_some(recorded)
    }
}

/// What a hook is called among the parts of a release.
pub(super) fn hook_name(hook: &Manifest) -> String {
    format!("hook {}", hook.key)
}

/// A random value of a part.
struct Leaf<'a> {
    part: String,
    path: Vec<String>,
    fixed: &'a Json,
    other: &'a Json,
    fresh: &'a Json,
    is_encoded: bool,
}

impl Leaf<'_> {
    fn name(&self) -> String {
        format!("{}#{}", self.part, self.path.join("/"))
    }

    /// The text that a value of this leaf stands for.
    fn text(&self, value: &Json) -> Option<String> {
        let text = value.as_str()?;
        if !self.is_encoded {
            return Some(text.to_owned());
        }
        String::from_utf8(STANDARD.decode(text).ok()?).ok()
    }

    fn value(&self, text: String) -> Json {
        Json::from(if self.is_encoded { STANDARD.encode(text) } else { text })
    }
}

fn digest(value: &Json) -> String {
    Digest::of(value.to_string().as_bytes()).short().to_owned()
}

/// The render of the fixed seed with its random values replaced, and a digest of each of them by
/// its name.
///
/// Values that are kept may be part of others that have changed, such as the password in a
/// connection string: there they are put in. What has changed otherwise is fresh.
pub(super) fn settle(
    fixed: &Rendered,
    other: &Rendered,
    fresh: &Rendered,
    before: &Before,
) -> (Rendered, BTreeMap<String, String>) {
    let Some(leaves) = leaves([parts(fixed), parts(other), parts(fresh)]) else {
        // How many objects there are is random itself: nothing can be told apart.
        return (fresh.clone(), BTreeMap::new());
    };
    let tokens = tokens(&leaves, before);
    let values = leaves.iter().map(|leaf| (leaf, value(leaf, before, &tokens)));
    let values: Vec<(&Leaf<'_>, Json)> = values.collect();
    let random = leaves.iter().map(|leaf| (leaf.name(), digest(leaf.fixed))).collect();
    (replaced(fixed, &values), random)
}

type Parts<'a> = Vec<(String, &'a Json)>;

/// Objects and hooks, each with a name.
fn parts(rendered: &Rendered) -> Parts<'_> {
    let objects = rendered.manifests.iter().map(|part| (part.key.to_string(), &*part.object));
    let hooks = rendered.hooks.iter();
    let hooks = hooks.map(|hook| (hook_name(&hook.manifest), &*hook.manifest.object));
    objects.chain(hooks).collect()
}

/// Where the first two renders differ. `None` when they do not have the same number of parts.
fn leaves([fixed, other, fresh]: [Parts<'_>; 3]) -> Option<Vec<Leaf<'_>>> {
    if fixed.len() != other.len() || fixed.len() != fresh.len() {
        return None;
    }
    let mut leaves = Vec::new();
    for (((part, fixed), (_, other)), (_, fresh)) in fixed.into_iter().zip(other).zip(fresh) {
        let mut paths = Vec::new();
        differences(fixed, other, &mut Vec::new(), &mut paths);
        for path in paths {
            let is_data = path.first().is_some_and(|field| field == "data");
            leaves.push(Leaf {
                part: part.clone(),
                is_encoded: is_data && secret::is_secret(fixed),
                fixed: at(fixed, &path)?,
                other: at(other, &path)?,
                fresh: at(fresh, &path)?,
                path,
            });
        }
    }
    Some(leaves)
}

/// The paths at which two values differ, as far down as they have the same shape.
fn differences(a: &Json, b: &Json, path: &mut Vec<String>, found: &mut Vec<Vec<String>>) {
    if a == b {
        return;
    }
    match (a, b) {
        (Json::Object(a), Json::Object(b)) if a.keys().eq(b.keys()) => {
            for (name, value) in a {
                path.push(name.clone());
                differences(value, &b[name], path, found);
                path.pop();
            }
        }
        (Json::Array(a), Json::Array(b)) if a.len() == b.len() => {
            for (index, (a, b)) in a.iter().zip(b).enumerate() {
                path.push(index.to_string());
                differences(a, b, path, found);
                path.pop();
            }
        }
        _ => found.push(path.clone()),
    }
}

fn at<'a>(value: &'a Json, path: &[String]) -> Option<&'a Json> {
    path.iter().try_fold(value, |value, step| match value {
        Json::Array(items) => items.get(step.parse::<usize>().ok()?),
        value => value.get(step),
    })
}

fn set(value: &mut Json, path: &[String], new: &Json) {
    let Some((step, rest)) = path.split_first() else {
        value.clone_from(new);
        return;
    };
    let child = match value {
        Json::Array(items) => step.parse::<usize>().ok().and_then(|index| items.get_mut(index)),
        value => value.get_mut(step),
    };
    if let Some(child) = child {
        set(child, rest, new);
    }
}

/// A random text that is kept: as the two seeds have it, and what it really is.
struct Token {
    fixed: String,
    other: String,
    kept: String,
}

/// The texts that are kept, as they are written and as they are decoded; the longest first, since
/// one may be part of another.
fn tokens(leaves: &[Leaf<'_>], before: &Before) -> Vec<Token> {
    let mut tokens = Vec::new();
    for leaf in leaves {
        let Some(kept) = before.kept(leaf) else { continue };
        let written = |value: &Json| value.as_str().map(str::to_owned);
        let three = |text: &dyn Fn(&Json) -> Option<String>| {
            Some(Token { fixed: text(leaf.fixed)?, other: text(leaf.other)?, kept: text(kept)? })
        };
        tokens.extend(three(&written));
        if leaf.is_encoded {
            tokens.extend(three(&|value| leaf.text(value)));
        }
    }
    tokens.retain(|token| token.fixed.len() >= TOKEN_BYTES_MIN);
    tokens.sort_by_key(|token| std::cmp::Reverse(token.fixed.len()));
    tokens
}

fn value(leaf: &Leaf<'_>, before: &Before, tokens: &[Token]) -> Json {
    if let Some(kept) = before.kept(leaf) {
        return kept.clone();
    }
    let put_in = |text: String, of: fn(&Token) -> &str| {
        tokens.iter().fold(text, |text, token| text.replace(of(token), &token.kept))
    };
    let by_fixed = leaf.text(leaf.fixed).map(|text| put_in(text, |token| &token.fixed));
    let by_other = leaf.text(leaf.other).map(|text| put_in(text, |token| &token.other));
    match (by_fixed, by_other) {
        // Both seeds come to the same: nothing random is left in it.
        (Some(by_fixed), Some(by_other)) if by_fixed == by_other => leaf.value(by_fixed),
        _ => leaf.fresh.clone(),
    }
}

/// The render with these values in place of its own, in objects and in text.
fn replaced(fixed: &Rendered, values: &[(&Leaf<'_>, Json)]) -> Rendered {
    let mut rendered = fixed.clone();
    let objects = rendered.manifests.iter_mut().map(|part| (part.key.to_string(), part));
    let hooks = rendered.hooks.iter_mut().map(|hook| &mut hook.manifest);
    for (name, part) in objects.chain(hooks.map(|part| (hook_name(part), part))) {
        let mut of_part = values.iter().filter(|(leaf, _)| leaf.part == name).peekable();
        if of_part.peek().is_none() {
            continue;
        }
        of_part.for_each(|(leaf, value)| set(Arc::make_mut(&mut part.object), &leaf.path, value));
        access::name(&part.object).clone_into(&mut part.key.name);
        part.text = in_text(&part.text, values).into();
        if helm::read_object(&part.text).as_ref() != Ok(&*part.object) {
            part.text = json_to_yaml(&part.object).unwrap_or_default().into();
        }
    }
    rendered.notes = in_text(&rendered.notes, values);
    for document in &mut rendered.documents {
        document.text = in_text(&document.text, values).into();
    }
    if !says(&rendered.text(), &rendered.manifests) {
        let documents = rendered.manifests.iter().map(|part| Printed {
            source: Arc::clone(&part.source),
            text: part.text.trim_end_matches('\n').into(),
        });
        rendered.documents = documents.collect();
    }
    rendered
}

/// The text with every random value replaced that is in it word for word.
fn in_text(text: &str, values: &[(&Leaf<'_>, Json)]) -> String {
    values.iter().fold(text.to_owned(), |text, (leaf, value)| {
        match (leaf.fixed.as_str(), value.as_str()) {
            (Some(fixed), Some(value)) if fixed.len() >= TOKEN_BYTES_MIN => {
                text.replace(fixed, value)
            }
            _ => text,
        }
    })
}

/// Whether a manifest reads back as these objects.
fn says(text: &str, manifests: &[Manifest]) -> bool {
    let objects = |manifests: &[Manifest]| {
        let expanded = manifest::expanded(manifests, "");
        expanded.into_iter().map(|part| part.object).collect::<Vec<_>>()
    };
    manifest::parse(text, "").is_ok_and(|read| objects(&read) == objects(manifests))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::chart::model::{ChartFile, RenderInput};
    use crate::chart::world::SeededWorld;
    use crate::chart::{load, render};

    const TEMPLATE: &str = r#"
{{- $password := randAlphaNum 16 }}
apiVersion: v1
kind: Secret
metadata: {name: db}
data:
  password: {{ $password | b64enc }}
  url: {{ printf "db://%s@%s" $password .Values.host | b64enc }}
---
apiVersion: v1
kind: ConfigMap
metadata:
  name: web
  annotations: {checksum: {{ printf "%s %s" $password .Values.host | sha256sum }}}
data:
  plain: {{ .Values.host }}
{{- if .Values.more }}
---
apiVersion: v1
kind: ConfigMap
metadata: {name: more}
data:
  copy: |
    user admin
    password {{ $password }}
  other: {{ randAlphaNum 9 }}
{{- end }}
"#;

    fn rendered(seed: u64, values: &Json) -> Rendered {
        let file = |name: &str, text: &str| ChartFile { name: name.to_owned(), data: text.into() };
        let chart = load::from_files(vec![
            file("Chart.yaml", "apiVersion: v2\nname: web\nversion: 1.0.0\n"),
            file("templates/all.yaml", TEMPLATE),
        ]);
        let input = RenderInput {
            release_name: "web".to_owned(),
            namespace: "apps".to_owned(),
            revision: 1,
            is_upgrade: false,
            values: values.clone(),
            kube_version: "v1.35.0".to_owned(),
            served: crate::chart::capabilities::Served::AsHelm,
            api_versions: Vec::new(),
            with_crds: true,
        };
        let chart = std::sync::Arc::new(chart.unwrap());
        render(&chart, &input, &SeededWorld::new(seed, 0)).unwrap()
    }

    /// Settles what these values render to; chance is another seed here.
    fn settled(
        chance: u64,
        values: &Json,
        before: &Before,
    ) -> (Rendered, BTreeMap<String, String>) {
        let [fixed, other, fresh] = [0, 1, chance].map(|seed| rendered(seed, values));
        settle(&fixed, &other, &fresh, before)
    }

    /// What a record of a release keeps: its text, read back.
    fn kept((rendered, random): (Rendered, BTreeMap<String, String>)) -> Before {
        let parts = manifest::parse(&rendered.text(), "apps").unwrap();
        let objects = parts.into_iter().map(|part| (part.key.to_string(), part.object));
        Before { objects: objects.collect(), random }
    }

    fn secret_text(before: &Before, key: &str) -> String {
        let text = access::text(&before.objects["Secret/apps/db"], &["data", key]).unwrap();
        String::from_utf8(STANDARD.decode(text).unwrap()).unwrap()
    }

    #[test]
    fn nothing_that_the_fixed_seed_gives_is_in_a_first_install() {
        let values = json!({"host": "one"});
        let by_seed = kept((rendered(0, &values), BTreeMap::new()));
        let first = kept(settled(7, &values, &Before::default()));
        let second = kept(settled(8, &values, &Before::default()));
        let passwords = [&by_seed, &first, &second].map(|one| secret_text(one, "password"));
        assert!(passwords[0] != passwords[1] && passwords[1] != passwords[2], "{passwords:?}");
        assert_eq!(secret_text(&first, "url"), format!("db://{}@one", passwords[1]));
    }

    #[test]
    fn what_was_drawn_is_kept_and_another_draw_changes_nothing() {
        let values = json!({"host": "one"});
        let first = kept(settled(7, &values, &Before::default()));
        let again = kept(settled(8, &values, &first));
        assert_eq!(first.objects, again.objects);
    }

    #[test]
    fn what_changes_around_a_password_changes_and_the_password_stays() {
        let first = kept(settled(7, &json!({"host": "one"}), &Before::default()));
        let second = kept(settled(8, &json!({"host": "two", "more": true}), &first));
        let password = secret_text(&first, "password");
        assert_eq!(secret_text(&second, "password"), password);
        assert_eq!(secret_text(&second, "url"), format!("db://{password}@two"));
        let checksum = |before: &Before| {
            access::annotation(&before.objects["ConfigMap/apps/web"], "checksum")
                .unwrap()
                .to_owned()
        };
        assert_ne!(checksum(&first), checksum(&second), "pods see that something has changed");
        let more = &second.objects["ConfigMap/apps/more"]["data"];
        assert_eq!(more["copy"], format!("user admin\npassword {password}\n"));
        let by_seed = rendered(0, &json!({"host": "two", "more": true}));
        assert!(!by_seed.text().contains(more["other"].as_str().unwrap()));
    }

    #[test]
    fn what_helm_drew_is_kept_when_a_release_is_adopted() {
        let values = json!({"host": "one"});
        let by_helm = kept((rendered(99, &values), BTreeMap::new()));
        assert_eq!(kept(settled(7, &values, &by_helm)).objects, by_helm.objects);
    }
}
