//! Scripts: the requests of one topic, in their order.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Value as Json;

use super::folder;

/// One file of `tests/cases/parity/`.
#[derive(Debug)]
pub(crate) struct Script {
    /// Its file name, without the end.
    pub(crate) name: String,
    /// The requests.
    pub(crate) steps: Vec<Step>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    /// For the reader of the file.
    #[serde(rename = "about")]
    _about: String,
    /// Values that several steps use, by YAML aliases.
    #[serde(default, rename = "shared")]
    _shared: Json,
    steps: Vec<Step>,
}

/// One request. `${NAME}` in its path and body is a value that an earlier step has saved.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Step {
    /// What it shows.
    pub(crate) title: String,
    /// `METHOD PATH`, with the query.
    pub(crate) request: String,
    /// The type of the body: one of `json`, `yaml`, `merge`, `strategic`, `patch`, `apply`, or a
    /// media type. `json` where it is not given.
    #[serde(default, rename = "type")]
    pub(crate) media_type: Option<String>,
    /// `Accept`; JSON where it is not given.
    #[serde(default)]
    pub(crate) accept: Option<String>,
    /// The body, as JSON.
    #[serde(default)]
    pub(crate) body: Option<Json>,
    /// The body, as it is.
    #[serde(default)]
    pub(crate) text: Option<String>,
    /// What later steps use of the answer: name, and JSON pointer.
    #[serde(default)]
    pub(crate) save: BTreeMap<String, String>,
    /// What the answer must have, by JSON pointer, before it counts. Until then the request, which
    /// reads one object, is repeated with each change of the object.
    #[serde(default)]
    pub(crate) until: BTreeMap<String, Json>,
}

impl Step {
    /// The media type of its body.
    pub(crate) fn content_type(&self) -> Option<&str> {
        if self.body.is_none() && self.text.is_none() {
            return self.media_type.as_deref();
        }
        Some(match self.media_type.as_deref() {
            None | Some("json") => "application/json",
            Some("yaml") => "application/yaml",
            Some("merge") => "application/merge-patch+json",
            Some("strategic") => "application/strategic-merge-patch+json",
            Some("patch") => "application/json-patch+json",
            Some("apply") => "application/apply-patch+yaml",
            Some(other) => other,
        })
    }
}

/// All scripts, in the order of their names.
pub(crate) fn all() -> Vec<Script> {
    let mut names: Vec<String> = std::fs::read_dir(folder())
        .expect("the folder is there")
        .filter_map(|entry| {
            let name = entry.expect("the folder can be read").file_name();
            name.to_str()?.strip_suffix(".yaml").map(str::to_owned)
        })
        .filter(|name| name != "differences")
        .collect();
    names.sort();
    names.into_iter().map(read).collect()
}

fn read(name: String) -> Script {
    let text = std::fs::read_to_string(folder().join(format!("{name}.yaml"))).unwrap();
    let file: File = serde_yaml::from_str(&text).unwrap_or_else(|e| panic!("{name}.yaml: {e}"));
    let mut titles: Vec<_> = file.steps.iter().map(|step| &step.title).collect();
    titles.sort();
    let twice = titles.windows(2).find(|pair| pair[0] == pair[1]);
    assert!(twice.is_none(), "{name}.yaml has two steps with the title {twice:?}");
    Script { name, steps: file.steps }
}
