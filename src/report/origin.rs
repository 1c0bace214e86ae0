//! Where values come from: each with the layers that set it, the one that counts first.

use serde_json::{Value as Json, json};

use crate::base::diagnostic::closest;
use crate::base::span::Span;
use crate::chart::defaults::Defaults;
use crate::fleet::instance::Layer;
use crate::fleet::layers;
use crate::fleet::origin::{Setting, at, effective, leaves, path_text, settings};
use crate::object::secret::sounds_secret;
use crate::yaml::helm;
use crate::yaml::number::whole_numbers;

/// The key of the values that a chart hands down to its subcharts.
const GLOBAL: &str = "global";

/// Layers of values, the weakest first, and what each of them is.
#[derive(Debug, Default)]
pub struct Origins {
    layers: Vec<Layer>,
    words: Vec<String>,
    /// Where the values of subcharts are, those that are switched on.
    subcharts: Vec<Vec<String>>,
    /// And those that are not.
    switched_off: Vec<Vec<String>>,
}

/// Nothing sets a value.
#[derive(Debug, PartialEq, Eq)]
pub struct NotSet {
    /// The path of a value that is set and written almost like that.
    pub similar: Option<String>,
    /// It would be a value of this subchart, which is switched off.
    pub switched_off: Option<String>,
}

impl Origins {
    /// A chart's defaults.
    pub fn new(defaults: Defaults) -> Self {
        let Defaults { layers, subcharts, switched_off } = defaults;
        let (layers, words) = layers.into_iter().map(|one| (one.layer, one.words)).unzip();
        Self { layers, words, subcharts, switched_off }
    }

    /// Adds a layer that goes over all others; `words` say what it is.
    pub fn push(&mut self, layer: Layer, words: impl Into<String>) {
        self.layers.push(layer);
        self.words.push(words.into());
    }

    /// The value at a path, or everything in the table at it.
    ///
    /// # Errors
    /// No layer says anything about it.
    pub fn explain<'a>(&'a self, path: &[String]) -> Result<Explained<'a>, NotSet> {
        let steps: Vec<&str> = path.iter().map(String::as_str).collect();
        let merged = layers::merge(&self.layers);
        let found = at(&merged, &steps).filter(|value| !value.is_null());
        let paths = match found {
            Some(value) => leaves(value, &steps),
            None => vec![path.to_vec()],
        };
        let leaves: Vec<Leaf<'a>> = paths.into_iter().map(|path| self.leaf(path)).collect();
        let is_known = |leaf: &Leaf<'_>| leaf.settings.iter().any(|setting| setting.steps > 0);
        if leaves.iter().any(is_known) {
            return Ok(Explained { origins: self, leaves });
        }
        let switched_off = self.switched_off_around(path);
        let similar = similar(&merged, &steps).filter(|_| switched_off.is_none());
        Err(NotSet { similar, switched_off })
    }

    /// The subchart without an effect that a value belongs to.
    fn switched_off_around(&self, path: &[String]) -> Option<String> {
        let around = self.switched_off.iter().find(|subchart| path.starts_with(subchart));
        around.map(|subchart| subchart.join("."))
    }

    /// Where the charts around a subchart have the global that stands at a path below it, the
    /// nearest chart first.
    fn handed_down<'p>(&self, steps: &[&'p str]) -> Vec<Vec<&'p str>> {
        let is_subchart = |path: &[&str]| self.subcharts.iter().any(|known| known == path);
        let Some(at) =
            (1..steps.len()).find(|at| steps[*at] == GLOBAL && is_subchart(&steps[..*at]))
        else {
            return Vec::new();
        };
        (0..at).rev().map(|above| [&steps[..above], &steps[at..]].concat()).collect()
    }

    fn leaf(&self, path: Vec<String>) -> Leaf<'_> {
        let steps: Vec<&str> = path.iter().map(String::as_str).collect();
        let mut found = settings(&self.layers, &steps);
        let mut counts = effective(&found, &steps).cloned();
        // A subchart's own globals are below those that the charts around it hand down.
        for above in self.handed_down(&steps) {
            let handed_down = settings(&self.layers, &above);
            if handed_down.iter().any(|setting| setting.steps > 0) {
                counts = effective(&handed_down, &above).cloned();
                found.extend(handed_down);
            }
        }
        // An argument that sets another item of a list leaves this one as it was.
        found.dedup_by(|later, earlier| later.span == earlier.span);
        Leaf { path, settings: found, effective: counts.filter(|one| !one.value.is_null()) }
    }
}

/// What was found about a path.
#[derive(Debug)]
pub struct Explained<'a> {
    origins: &'a Origins,
    leaves: Vec<Leaf<'a>>,
}

impl Explained<'_> {
    /// For people: one value with all layers, or a line for each value of a table.
    pub fn text(&self) -> String {
        let mut text = match self.leaves.as_slice() {
            [only] => only.text(self.origins),
            several => overview(several, self.origins),
        };
        let first = self.leaves.first();
        if let Some(subchart) = first.and_then(|leaf| self.origins.switched_off_around(&leaf.path))
        {
            text.push_str(&format!(
                "the subchart `{subchart}` is switched off: nothing reads it\n"
            ));
        }
        text
    }

    /// For programs: a list of values, each with its path and its settings, newest first.
    pub fn json(&self) -> Json {
        self.leaves.iter().map(|leaf| leaf.json(self.origins)).collect()
    }
}

/// One value that is no table, and where it comes from.
#[derive(Debug)]
struct Leaf<'a> {
    path: Vec<String>,
    settings: Vec<Setting<'a>>,
    effective: Option<Setting<'a>>,
}

impl Leaf<'_> {
    fn text(&self, origins: &Origins) -> String {
        let path = path_text(&self.path);
        let mut text = match &self.effective {
            Some(setting) => format!("{path} is {}\n", self.show(setting)),
            None => format!("{path} is not set\n"),
        };
        let rows = self.settings.iter().rev().enumerate().map(|(at, setting)| {
            let words = &origins.words[setting.layer];
            let overridden = if at == 0 { "" } else { ", overridden" };
            [self.show(setting), place(setting.span), format!("{words}{overridden}")]
        });
        text.push_str(&columns(&rows.collect::<Vec<_>>(), "  "));
        text
    }

    fn json(&self, origins: &Origins) -> Json {
        let settings = self.settings.iter().rev().enumerate().map(|(at, setting)| {
            let (line, column) = setting.span.line_column();
            json!({
                "value": self.shown(setting),
                "file": setting.span.file.path,
                "line": line,
                "column": column,
                "layer": origins.words[setting.layer],
                "counts": at == 0,
            })
        });
        json!({
            "path": self.path,
            "value": self.effective.as_ref().map(|setting| self.shown(setting)),
            "settings": settings.collect::<Vec<Json>>(),
        })
    }

    /// Git is no place for secrets, but a log is an even worse one.
    fn shown(&self, setting: &Setting<'_>) -> Json {
        let is_hidden = self.path.iter().any(|step| sounds_secret(step));
        if is_hidden && !setting.value.is_null() {
            return Json::from("(hidden)");
        }
        whole_numbers(setting.value)
    }

    fn show(&self, setting: &Setting<'_>) -> String {
        const LENGTH_MAX: usize = 60;
        let text = match self.shown(setting) {
            // What would be read as something else is a text only in quotes.
            Json::String(text) if reads_otherwise(&text) => Json::from(text).to_string(),
            Json::String(text) => text.replace('\n', "\\n"),
            Json::Null => "null (deletes it)".to_owned(),
            other => other.to_string(),
        };
        if text.chars().count() <= LENGTH_MAX {
            return text;
        }
        let start: String = text.chars().take(LENGTH_MAX).collect();
        format!("{start}…")
    }
}

/// A table's values, each with the layer that counts.
fn overview(leaves: &[Leaf<'_>], origins: &Origins) -> String {
    let rows = leaves.iter().filter_map(|leaf| {
        let setting = leaf.effective.as_ref()?;
        let words = origins.words[setting.layer].clone();
        Some([path_text(&leaf.path), leaf.show(setting), place(setting.span), words])
    });
    columns(&rows.collect::<Vec<_>>(), "")
}

/// Rows whose columns stand below one another.
fn columns<const N: usize>(rows: &[[String; N]], indent: &str) -> String {
    let width =
        |at: usize| rows.iter().map(|row| row[at].chars().count()).max().unwrap_or_default();
    let widths: Vec<usize> = (0..N).map(width).collect();
    let mut text = String::new();
    for row in rows {
        let cells: Vec<String> =
            row.iter().zip(&widths).map(|(cell, width)| format!("{cell:width$}")).collect();
        text.push_str(&format!("{indent}{}\n", cells.join("  ").trim_end()));
    }
    text
}

/// Whether a text without quotes would be a number, a boolean or nothing.
fn reads_otherwise(text: &str) -> bool {
    let plain = helm::read_map(&format!("v: {text}"));
    !plain.is_ok_and(|read| read["v"].as_str() == Some(text.trim()))
}

/// The path with the first step that leads nowhere replaced by one that is written much like it.
fn similar(values: &Json, steps: &[&str]) -> Option<String> {
    let depth = (0..steps.len()).rev().find(|depth| at(values, &steps[..*depth]).is_some())?;
    let keys = at(values, &steps[..depth]).and_then(Json::as_object)?;
    let best = closest(steps[depth], keys.keys().map(String::as_str))?;
    Some([&steps[..depth], &[best], &steps[depth + 1..]].concat().join("."))
}

/// A place in a file, or the argument that says it.
fn place(span: &Span) -> String {
    let file = &span.file;
    if file.path.starts_with("--") {
        return format!("{} {}", file.path, file.text);
    }
    span.to_string()
}
