//! Values as a user gives them on the command line: files and the `--set` family, merged in
//! Helm's order.

use std::io::Read as _;
use std::sync::Arc;

use serde_json::{Map, Value as Json};

use super::exit::CommandError;
use crate::base::diagnostic::Diagnostic;
use crate::base::span::{SourceFile, Span};
use crate::chart::set::{SetKind, set};
use crate::chart::values::merge_layers;
use crate::fleet::instance::Layer;
use crate::fleet::origin::at;
use crate::fleet::resolve;
use crate::yaml::node::{Node, NodeKind, ScalarStyle};
use crate::yaml::{helm, parse};

/// Arguments that give values.
#[derive(Clone, Debug, Default, clap::Args)]
pub struct ValuesArgs {
    /// Values in a YAML file, `-` for stdin; repeat or separate with commas, later ones win
    #[arg(short = 'f', long, value_name = "FILE", value_delimiter = ',')]
    values: Vec<String>,
    /// Values such as `a.b=1,c[0]=x`
    #[arg(long, value_name = "PAIRS")]
    set: Vec<String>,
    /// As --set, every value a string
    #[arg(long, value_name = "PAIRS")]
    set_string: Vec<String>,
    /// As --set, every value the content of the file it names
    #[arg(long, value_name = "PAIRS")]
    set_file: Vec<String>,
    /// As --set, every value JSON
    #[arg(long, value_name = "PAIRS")]
    set_json: Vec<String>,
    /// One name and value, nothing escaped
    #[arg(long, value_name = "PAIR")]
    set_literal: Vec<String>,
}

impl ValuesArgs {
    /// The merged values.
    ///
    /// # Errors
    /// A file that is no table of values, or a line that is no list of pairs.
    pub fn merged(&self) -> anyhow::Result<Json> {
        let mut values = Map::new();
        for file in &self.values {
            merge_files(&mut values, read_values(&read_file(file)?, file)?);
        }
        for line in self.lines() {
            line.set(&mut values)?;
        }
        Ok(Json::Object(values))
    }

    /// The same in layers, each with the file or the argument that it comes from; what explains
    /// the merged values.
    ///
    /// # Errors
    /// As [`Self::merged`].
    pub fn layers(&self) -> anyhow::Result<Vec<Layer>> {
        let mut values = Map::new();
        let mut layers = Vec::new();
        for path in &self.values {
            let text = read_file(path)?;
            merge_files(&mut values, read_values(&text, path)?);
            let file = SourceFile::new(path.as_str(), text);
            let layer = resolve::read_values(&file);
            layers.push(layer.map_err(|found| CommandError::Input(vec![found]))?);
        }
        for line in self.lines() {
            let mut alone = Map::new();
            line.set(&mut alone)?;
            let before = Json::Object(values.clone());
            line.set(&mut values)?;
            let change = Change { set: Json::Object(alone), after: Json::Object(values.clone()) };
            for layer in &mut layers {
                remove_gone(Arc::make_mut(&mut layer.values), &change.after, &before);
            }
            let layer = line.layer(&change, &layers);
            layers.push(layer);
        }
        Ok(layers)
    }

    /// Whether a values file is read from stdin, which can be read once only.
    pub fn reads_stdin(&self) -> bool {
        self.values.iter().any(|path| path.trim() == STDIN)
    }

    /// The arguments of the `--set` family, in the order in which Helm goes through them.
    fn lines(&self) -> impl Iterator<Item = SetLine<'_>> {
        let kinds = [
            (&self.set_json, SetKind::Json, "--set-json"),
            (&self.set, SetKind::Typed, "--set"),
            (&self.set_string, SetKind::Text, "--set-string"),
            (&self.set_file, SetKind::File, "--set-file"),
            (&self.set_literal, SetKind::Literal, "--set-literal"),
        ];
        kinds.into_iter().flat_map(|(lines, kind, flag)| {
            lines.iter().map(move |line| SetLine { line, kind, flag })
        })
    }
}

/// The name of stdin as a file.
const STDIN: &str = "-";

/// One argument of the `--set` family.
struct SetLine<'a> {
    line: &'a str,
    kind: SetKind,
    flag: &'static str,
}

impl SetLine<'_> {
    fn set(&self, values: &mut Map<String, Json>) -> Result<(), CommandError> {
        let Self { line, kind, flag } = self;
        let read = |path: &str| read_file(path).map_err(|error| error.to_string());
        set(values, line, *kind, &read).map_err(|problem| CommandError::Usage {
            message: match kind {
                SetKind::Json => format!("failed parsing {flag} data {line}"),
                _ => format!("failed parsing {flag} data: {problem}"),
            },
            help: Vec::new(),
        })
    }

    /// The layer that it is over those before it.
    fn layer(&self, change: &Change, before: &[Layer]) -> Layer {
        let Change { set, after } = change;
        let file = SourceFile::new(self.flag, self.line);
        let here = Span::new(&file, 0..self.line.len());
        let node = Written { here, before }.node(set, after, &mut Vec::new());
        let values = Arc::new(visible(set, after));
        Layer { values, node: Arc::new(node), is_encrypted: false }
    }
}

/// What a line does to the values.
struct Change {
    /// What it sets by itself.
    set: Json,
    /// Everything that is set afterwards.
    after: Json,
}

/// Removes from an earlier layer what went with a table that was replaced. The chart's defaults
/// count again there, so that it is as if the layer had never said it.
fn remove_gone(layer: &mut Json, after: &Json, before: &Json) {
    let (Json::Object(layer), Json::Object(after), Json::Object(before)) = (layer, after, before)
    else {
        return;
    };
    for (key, old) in before {
        match (layer.get_mut(key), after.get(key)) {
            (Some(inner), Some(after)) => remove_gone(inner, after, old),
            (Some(_), None) => {
                layer.remove(key);
            }
            (None, _) => {}
        }
    }
}

/// What a line that sets `alone` changes of the values: lists are there as a whole.
fn visible(alone: &Json, after: &Json) -> Json {
    match (alone, after) {
        (Json::Object(set), Json::Object(_)) => {
            let entries = set.iter().map(|(key, value)| (key.clone(), visible(value, &after[key])));
            Json::Object(entries.collect())
        }
        _ => after.clone(),
    }
}

/// Builds the tree of a line's values: every place is the argument, but for those items of a list
/// that were there before.
struct Written<'a> {
    here: Span,
    before: &'a [Layer],
}

impl Written<'_> {
    fn node(&self, alone: &Json, after: &Json, path: &mut Vec<String>) -> Node {
        let kind = match (alone, after) {
            (Json::Object(set), Json::Object(_)) => {
                let entries = set.iter().map(|(key, value)| {
                    path.push(key.clone());
                    let inner = self.node(value, &after[key], path);
                    path.pop();
                    (self.scalar(key), inner)
                });
                NodeKind::Mapping(entries.collect())
            }
            (_, Json::Array(items)) => {
                let items = items.iter().enumerate().map(|(at, item)| {
                    path.push(at.to_string());
                    let known = self.known(item, path).unwrap_or_else(|| self.plain(item));
                    path.pop();
                    known
                });
                NodeKind::Sequence(items.collect())
            }
            _ => return self.plain(after),
        };
        Node { span: self.here.clone(), tag: None, kind }
    }

    /// The node of a value that an earlier layer has just like that.
    fn known(&self, value: &Json, path: &[String]) -> Option<Node> {
        let steps: Vec<&str> = path.iter().map(String::as_str).collect();
        let same = |layer: &&Layer| at(&layer.values, &steps) == Some(value);
        self.before.iter().rev().find(same).and_then(|layer| layer.node.at(&steps).cloned())
    }

    fn plain(&self, value: &Json) -> Node {
        let kind = match value {
            Json::Object(entries) => NodeKind::Mapping(
                entries.iter().map(|(key, value)| (self.scalar(key), self.plain(value))).collect(),
            ),
            Json::Array(items) => {
                NodeKind::Sequence(items.iter().map(|item| self.plain(item)).collect())
            }
            other => return self.scalar(&other.to_string()),
        };
        Node { span: self.here.clone(), tag: None, kind }
    }

    fn scalar(&self, text: &str) -> Node {
        let kind = NodeKind::Scalar { text: text.to_owned(), style: ScalarStyle::Plain };
        Node { span: self.here.clone(), tag: None, kind }
    }
}

fn merge_files(values: &mut Map<String, Json>, file: Json) {
    let mut merged = Json::Object(std::mem::take(values));
    merge_layers(&mut merged, file);
    if let Json::Object(merged) = merged {
        *values = merged;
    }
}

/// The values in the text of the file `path`.
fn read_values(text: &str, path: &str) -> anyhow::Result<Json> {
    helm::read_map(text).map_err(|problem| {
        let message = format!("failed to parse {path}: {problem}");
        let mut found = Diagnostic::error("values-invalid", message);
        let file = SourceFile::new(path, text);
        match parse::parse(&file) {
            Err(syntax) => {
                found.labels = syntax.labels;
                found.help = syntax.help;
            }
            Ok(_) => {
                let first_line = text.find('\n').unwrap_or(text.len());
                found = found.label(&Span::new(&file, 0..first_line), "values are a mapping");
            }
        }
        CommandError::Input(vec![found]).into()
    })
}

/// A file named on the command line; one that is not there is the user's mistake.
fn read_file(path: &str) -> Result<String, CommandError> {
    let unreadable = |error: std::io::Error| CommandError::Usage {
        message: format!("open {path}: {error}"),
        help: if path.contains("://") {
            vec!["download the file first: values are read from the disk or from stdin".to_owned()]
        } else {
            Vec::new()
        },
    };
    if path.trim() == STDIN {
        let mut text = String::new();
        std::io::stdin().read_to_string(&mut text).map_err(unreadable)?;
        return Ok(text);
    }
    let bytes = std::fs::read(path).map_err(unreadable)?;
    Ok(crate::template::binary::from_bytes(&bytes))
}
