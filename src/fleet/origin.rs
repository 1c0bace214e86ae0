//! Where a value comes from: the layers that set it, and the one that counts.

use serde_json::Value as Json;

use super::instance::Layer;
use crate::base::span::Span;
use crate::yaml::node::{Node, NodeKind};

/// What one layer does to the value at a path.
#[derive(Clone, Debug, PartialEq)]
pub struct Setting<'a> {
    /// Which of the layers.
    pub layer: usize,
    /// Where.
    pub span: &'a Span,
    /// What it sets there; null deletes what earlier layers and the chart have.
    pub value: &'a Json,
    /// How many steps of the path it sets: fewer than all where it replaces a table around the
    /// value by something else.
    pub steps: usize,
}

/// What each layer does to the value at a path, in the order of the layers.
pub fn settings<'a>(layers: &'a [Layer], path: &[&str]) -> Vec<Setting<'a>> {
    let found = layers.iter().enumerate().filter_map(|(at, layer)| setting(at, layer, path));
    found.collect()
}

fn setting<'a>(at: usize, layer: &'a Layer, path: &[&str]) -> Option<Setting<'a>> {
    let mut node: &Node = &layer.node;
    let mut value: &Json = &layer.values;
    for (steps, step) in path.iter().enumerate() {
        let next = match (&node.kind, value) {
            (NodeKind::Mapping(_), Json::Object(_)) => Some((node.get(step)?, value.get(step)?)),
            // A list is replaced as a whole.
            (NodeKind::Sequence(items), Json::Array(values)) => {
                let index: Option<usize> = step.parse().ok();
                index.and_then(|index| Some((items.get(index)?, values.get(index)?)))
            }
            _ => None,
        };
        match next {
            Some((inner, inner_value)) => (node, value) = (inner, inner_value),
            // A file without content sets nothing.
            None if steps == 0 => return None,
            None => return Some(Setting { layer: at, span: &node.span, value, steps }),
        }
    }
    Some(Setting { layer: at, span: &node.span, value, steps: path.len() })
}

/// The setting that counts: the last one, where that sets the value itself.
pub fn effective<'s, 'a>(settings: &'s [Setting<'a>], path: &[&str]) -> Option<&'s Setting<'a>> {
    settings.last().filter(|setting| setting.steps == path.len())
}

/// The place where the last layer sets the value at a path, or a table around it, and a few words
/// about it for a diagnostic; nothing where no layer does.
pub fn label<'a>(layers: &'a [Layer], path: &[&str]) -> Option<(&'a Span, String)> {
    let last = settings(layers, path).pop().filter(|last| last.steps > 0)?;
    let name = path_text(&path[..last.steps]);
    let is_whole = last.steps == path.len();
    let what = match last.value {
        Json::Object(_) => "",
        _ if is_whole => "",
        Json::Null => ", to nothing",
        Json::Array(_) => ", to a list and no table",
        Json::String(_) => ", to a text and no table",
        _ => ", to a number or boolean and no table",
    };
    // A table can be long: its key is enough.
    let key = key_span(&layers[last.layer], &path[..last.steps]);
    let span = key.filter(|_| last.value.is_object()).unwrap_or(last.span);
    Some((span, format!("`{name}` is set here{what}")))
}

/// Where a layer writes the key at a path.
pub fn key_span<'a>(layer: &'a Layer, path: &[&str]) -> Option<&'a Span> {
    let (last, parents) = path.split_last()?;
    layer.node.at(parents)?.entry(last).map(|(key, _)| &key.span)
}

/// The paths of everything that is no table below a value, itself included; a table without
/// entries counts as a whole.
pub fn leaves(value: &Json, path: &[&str]) -> Vec<Vec<String>> {
    let owned = || path.iter().map(|step| (*step).to_owned()).collect();
    match value {
        Json::Object(entries) if !entries.is_empty() => entries
            .iter()
            .flat_map(|(key, value)| leaves(value, &[path, &[key.as_str()]].concat()))
            .collect(),
        _ => vec![owned()],
    }
}

/// The value at a path of keys and indexes.
pub fn at<'a>(values: &'a Json, path: &[&str]) -> Option<&'a Json> {
    path.iter().try_fold(values, |value, step| match value {
        Json::Array(items) => items.get(step.parse::<usize>().ok()?),
        other => other.get(step),
    })
}

/// A path as people write it: `a.b[0].c`.
pub fn path_text<S: AsRef<str>>(path: &[S]) -> String {
    let mut text = String::new();
    for step in path {
        let step = step.as_ref();
        let is_index = !step.is_empty() && step.bytes().all(|byte| byte.is_ascii_digit());
        match (is_index, text.is_empty()) {
            (true, _) => text.push_str(&format!("[{step}]")),
            (false, true) => text.push_str(step),
            (false, false) => text.push_str(&format!(".{step}")),
        }
    }
    text
}

/// Reads a path as `--set` has it: `a.b[0].c`, a dot in a key as `\.`.
///
/// # Errors
/// Says what is wrong with it.
pub fn parse_path(text: &str) -> Result<Vec<String>, String> {
    let mut steps = vec![String::new()];
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        match c {
            '\\' => steps.last_mut().into_iter().for_each(|step| step.extend(chars.next())),
            '.' | '[' => steps.push(String::new()),
            ']' => {}
            c => steps.last_mut().into_iter().for_each(|step| step.push(c)),
        }
    }
    // `a.[0]` and a leading `.Values.` are both written by people who know what they mean.
    if steps.len() > 1 && steps[0].is_empty() && steps[1] == "Values" {
        steps.drain(..2);
    }
    if steps.iter().any(String::is_empty) {
        return Err(format!("`{text}` is no path of a value, such as `server.image.tag`"));
    }
    Ok(steps)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::span::SourceFile;
    use crate::fleet::resolve::read_values;

    fn layers(texts: &[&str]) -> Vec<Layer> {
        let read = |(at, text): (usize, &&str)| {
            read_values(&SourceFile::new(format!("{at}.yaml"), *text)).unwrap()
        };
        texts.iter().enumerate().map(read).collect()
    }

    fn told(texts: &[&str], path: &str) -> String {
        let layers = layers(texts);
        let steps = parse_path(path).unwrap();
        let steps: Vec<&str> = steps.iter().map(String::as_str).collect();
        let settings = settings(&layers, &steps);
        let lines = settings.iter().map(|setting| format!("{} {}", setting.span, setting.value));
        let lines: Vec<String> = lines.collect();
        let effective = effective(&settings, &steps).map(|setting| setting.value.to_string());
        format!("{} => {effective:?}", lines.join(", "))
    }

    #[test]
    fn the_last_layer_that_says_something_counts() {
        let texts = ["a: {b: 1}", "c: 2", "a:\n  b: 3"];
        assert_eq!(told(&texts, "a.b"), "0.yaml:1:8 1.0, 2.yaml:2:6 3.0 => Some(\"3.0\")");
        assert_eq!(told(&texts, "a.x"), " => None");
        assert_eq!(told(&["", "# nothing", "a: {b: 1}"], "a.b"), "2.yaml:1:8 1.0 => Some(\"1.0\")");
    }

    #[test]
    fn a_table_that_is_replaced_takes_its_values_with_it() {
        let texts = ["a: {b: 1}", "a: null"];
        assert_eq!(told(&texts, "a.b"), "0.yaml:1:8 1.0, 1.yaml:1:4 null => None");
    }

    #[test]
    fn lists_are_replaced_whole() {
        let texts = ["a: [1, 2]", "a: [3]"];
        assert_eq!(told(&texts, "a[1]"), "0.yaml:1:8 2.0, 1.yaml:1:4 [3.0] => None");
    }

    #[test]
    fn paths_are_read_as_set_has_them() {
        assert_eq!(parse_path("a.b\\.c[0].d").unwrap(), ["a", "b.c", "0", "d"]);
        assert_eq!(parse_path(".Values.a.b").unwrap(), ["a", "b"]);
        for text in ["", "a..b", "a.", ".a"] {
            assert!(parse_path(text).is_err(), "{text}");
        }
    }

    #[test]
    fn paths_are_written_as_they_are_read() {
        for text in ["a.b[0].c", "a", "a[1][2]"] {
            assert_eq!(path_text(&parse_path(text).unwrap()), text);
        }
    }

    #[test]
    fn leaves_are_everything_that_is_no_table() {
        let value = serde_json::json!({"a": {"b": 1, "c": [2]}, "d": {}});
        assert_eq!(
            leaves(&value, &["x"]),
            [vec!["x", "a", "b"], vec!["x", "a", "c"], vec!["x", "d"]]
        );
    }
}
