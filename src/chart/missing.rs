//! Which of the user's values a failed template is about, and which one it misses.

use serde_json::Value as Json;

use super::defaults::{Defaults, defaults};
use super::expression::{Step, values_of};
use super::scope::Scope;
use crate::base::diagnostic::{Diagnostic, closest};
use crate::base::span::{SourceFile, Span};
use crate::fleet::origin::{at, key_span, path_text};
use crate::template::error::Frame;

/// The values that a failed expression is about, as paths from the top. `stack` has the innermost
/// place first.
pub(super) fn values_about(scope: &Scope, values: &Json, stack: &[Frame]) -> Vec<Vec<String>> {
    let text_of = |name: &str| {
        let (owner, _, rest) = owner(scope, name)?;
        let file = owner.chart.templates.iter().find(|file| file.name == rest)?;
        Some(String::from_utf8_lossy(&file.data).into_owned())
    };
    // What is executed is a file of one chart, whatever templates of other charts it includes.
    let outermost = stack.last().and_then(|frame| owner(scope, &frame.template));
    let Some((_, names, _)) = outermost else { return Vec::new() };
    let found = values_of(stack, &text_of).into_iter().map(|path| {
        // Subcharts get a copy of the globals.
        let is_global = path.first() == Some(&Step::Key("global".to_owned()));
        let above = if is_global { &[] } else { names.as_slice() };
        let above = above.iter().map(|name| Step::Key((*name).to_owned()));
        concrete(&above.chain(path).collect::<Vec<_>>(), values)
    });
    let mut paths: Vec<Vec<String>> = Vec::new();
    for path in found {
        if !paths.contains(&path) {
            paths.push(path);
        }
    }
    paths
}

/// The chart a template belongs to, its path of names below the root, and the rest of the
/// template's name.
pub(super) fn owner<'a>(
    scope: &'a Scope,
    template: &'a str,
) -> Option<(&'a Scope, Vec<&'a str>, &'a str)> {
    let rest = template.strip_prefix(scope.path.as_str()).and_then(|rest| rest.strip_prefix('/'));
    if let Some(rest) = rest
        && scope.chart.templates.iter().any(|file| file.name == rest)
    {
        return Some((scope, Vec::new(), rest));
    }
    scope.dependencies.iter().find_map(|subchart| {
        let (found, mut names, rest) = owner(subchart, template)?;
        names.insert(0, &subchart.name);
        Some((found, names, rest))
    })
}

/// A path with the elements that a `range` goes through: the first one in which the rest of the
/// path leads nowhere, which is where it must have failed.
fn concrete(steps: &[Step], values: &Json) -> Vec<String> {
    let mut path = Vec::new();
    let mut here = values;
    for (depth, step) in steps.iter().enumerate() {
        let key = match step {
            Step::Key(key) => key.clone(),
            Step::Each => failing_element(here, &steps[depth + 1..]),
        };
        here = at(here, &[key.as_str()]).unwrap_or(&Json::Null);
        path.push(key);
    }
    path
}

fn failing_element(values: &Json, rest: &[Step]) -> String {
    let leads_nowhere = |element: &&(String, &Json)| {
        let mut here = element.1;
        rest.iter().any(|step| {
            let Step::Key(key) = step else { return false };
            here = at(here, &[key.as_str()]).unwrap_or(&Json::Null);
            here.is_null()
        })
    };
    let elements: Vec<(String, &Json)> = match values {
        Json::Array(items) => {
            items.iter().enumerate().map(|(at, item)| (at.to_string(), item)).collect()
        }
        Json::Object(entries) => entries.iter().map(|(key, item)| (key.clone(), item)).collect(),
        _ => Vec::new(),
    };
    let found = elements.iter().find(leads_nowhere).or(elements.first());
    found.map_or_else(|| "0".to_owned(), |(key, _)| key.clone())
}

/// What is wrong with the values that a failed expression is about.
pub(super) struct Missing {
    /// The longest part of the path that leads somewhere.
    found: Vec<String>,
    /// The next step of the path.
    key: String,
    /// What stands at `found`, where that is no table: a text, a list, a number or boolean.
    instead: Option<&'static str>,
}

impl Missing {
    /// The first of the paths that leads nowhere.
    pub(super) fn of(about: &[Vec<String>], values: &Json) -> Option<Self> {
        about.iter().find_map(|path| {
            let steps: Vec<&str> = path.iter().map(String::as_str).collect();
            let is_missing = |depth: &usize| at(values, &steps[..*depth]).is_none_or(Json::is_null);
            let depth = (1..=path.len()).find(is_missing)?;
            let found = path[..depth - 1].to_vec();
            let instead = at(values, &steps[..depth - 1]).and_then(no_table);
            Some(Self { found, key: path[depth - 1].clone(), instead })
        })
    }

    /// One sentence.
    pub(super) fn text(&self) -> String {
        match self.instead {
            Some(what) => format!("the value `{}` is {what} and no table", path_text(&self.found)),
            None => format!("the value `{}` is not set", self.name()),
        }
    }

    fn name(&self) -> String {
        path_text(&[self.found.as_slice(), std::slice::from_ref(&self.key)].concat())
    }

    /// Tells what is nearest to it, and whether another value was probably meant to be it. Gives
    /// the paths of the values that are there instead, where the user may have set them.
    pub(super) fn explain(
        &self,
        diagnostic: Diagnostic,
        scope: &Scope,
        values: &Json,
    ) -> (Diagnostic, Vec<Vec<String>>) {
        let found: Vec<&str> = self.found.iter().map(String::as_str).collect();
        let mut instead = vec![self.found.clone()];
        instead.retain(|path| !path.is_empty());
        let defaults = defaults(&scope.chart, &Json::Null, &str::to_owned);
        let mut diagnostic = diagnostic;
        if let Some((span, text)) = self.nearest(scope, &defaults) {
            diagnostic = diagnostic.label(&span, text);
        }
        if self.instead.is_some() {
            return (diagnostic, Vec::new());
        }
        let name = self.name();
        let keys = at(values, &found).and_then(Json::as_object);
        let keys = keys.into_iter().flat_map(serde_json::Map::keys).map(String::as_str);
        let Some(similar) = closest(&self.key, keys.filter(|key| *key != self.key)) else {
            return (diagnostic.help(format!("set `{name}` in the values")), instead);
        };
        let path = [found.as_slice(), &[similar]].concat();
        let similar = path_text(&path);
        let is_default = defaults.layers.iter().any(|one| at(&one.layer.values, &path).is_some());
        if is_default {
            return (diagnostic.help(format!("did you mean `{similar}`?")), instead);
        }
        let help = format!("`{similar}` is set: did you mean `{name}`?");
        (diagnostic.help(help), vec![path.into_iter().map(str::to_owned).collect()])
    }

    /// Where the charts' own defaults have what is nearest to it.
    fn nearest(&self, scope: &Scope, defaults: &Defaults) -> Option<(Span, String)> {
        let found: Vec<&str> = self.found.iter().map(String::as_str).collect();
        let tables = (1..=found.len()).rev().map(|depth| &found[..depth]);
        for table in tables {
            let span = defaults.layers.iter().rev().find_map(|one| key_span(&one.layer, table));
            if let Some(span) = span {
                let text = format!("`{}` has its defaults here", path_text(table));
                return Some((span.clone(), text));
            }
        }
        let text = scope.chart.values_text.as_str();
        let first = text.lines().next().filter(|line| !line.is_empty() && found.is_empty())?;
        let file = SourceFile::new(format!("{}/values.yaml", scope.name), text);
        let told = format!("no `{}` among the chart's defaults", self.key);
        Some((Span::new(&file, 0..first.len()), told))
    }
}

/// What a value is that is no table.
fn no_table(value: &Json) -> Option<&'static str> {
    match value {
        Json::Object(_) | Json::Null => None,
        Json::Array(_) => Some("a list"),
        Json::String(_) => Some("a text"),
        Json::Number(_) | Json::Bool(_) => Some("a number or boolean"),
    }
}
