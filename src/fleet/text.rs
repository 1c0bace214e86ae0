//! Templates in the fleet's own files: names and contents of values layers, over `.Cluster`.
//!
//! The language is that of charts, functions included. What is not there is an error, other than
//! in charts: a file name with a hole in it would name another file.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

use serde_json::{Value as Json, json};

use super::model::Cluster;
use crate::base::limits::{LAYER_FUEL, LAYER_MEMORY, LAYER_OUTPUT_BYTES_MAX, TEMPLATE_DEPTH_MAX};
use crate::chart::values::to_map;
use crate::chart::world::SeededWorld;
use crate::sprig::functions;
use crate::template::error::{Error, Reason};
use crate::template::exec::{Environment, Limits, MissingKey, execute};
use crate::template::set::Set;
use crate::template::value::Value;

/// What the template is called in the errors of the language; never shown.
const NAME: &str = "layer";
/// The stack is the caller's: nested lists and pipelines cost 2 KiB each.
const NESTING_MAX: usize = 100;

/// Whether a text has to be rendered at all.
pub(super) fn is_template(text: &str) -> bool {
    text.contains("{{")
}

/// What templates see of a cluster.
pub(super) fn view(cluster: &Cluster) -> Json {
    json!({
        "name": cluster.metadata.name,
        "labels": cluster.metadata.labels,
        "facts": cluster.spec.facts,
        "kubernetesVersion": cluster.spec.kubernetes_version,
    })
}

/// Why a text cannot be rendered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Problem {
    /// In words, without a full stop.
    pub(super) reason: String,
    /// Where in the text.
    pub(super) range: Range<usize>,
}

/// Renders texts; each is parsed once, however many clusters it is rendered for.
#[derive(Debug, Default)]
pub(super) struct Templates {
    parsed: BTreeMap<String, Result<Arc<Set>, Problem>>,
}

impl Templates {
    /// Renders a text over a cluster's view.
    ///
    /// # Errors
    /// Says what in the template is wrong, or what the cluster lacks.
    pub(super) fn render(&mut self, text: &str, cluster: &Json) -> Result<String, Problem> {
        if !self.parsed.contains_key(text) {
            self.parsed.insert(text.to_owned(), parse(text));
        }
        let set = self.parsed[text].clone()?;
        let world = SeededWorld::new(0, 0);
        let environment = Environment {
            functions: functions(),
            world: &world,
            limits: Limits {
                depth: TEMPLATE_DEPTH_MAX.min(NESTING_MAX),
                nesting: NESTING_MAX,
                output_bytes: LAYER_OUTPUT_BYTES_MAX,
            },
            fuel: Cell::new(LAYER_FUEL),
            memory: Cell::new(LAYER_MEMORY),
            deadline: None,
            missing_key: MissingKey::Error,
            trace: None,
        };
        let data = to_map(&json!({"Cluster": cluster}));
        execute(&set, NAME, Value::Map(data), &environment).map_err(|error| problem(&error, text))
    }
}

fn parse(text: &str) -> Result<Arc<Set>, Problem> {
    let mut set = Set::new();
    set.parse(NAME, text, functions()).map_err(|error| problem(&error, text))?;
    Ok(Arc::new(set))
}

fn problem(error: &Error, text: &str) -> Problem {
    let frame = error.stack.iter().find(|frame| frame.template == NAME);
    let expression = frame.map(|frame| frame.expression.as_str()).unwrap_or_default();
    let is_missing = ["map has no entry for key", "nil pointer evaluating", "nil data"]
        .iter()
        .any(|start| error.message.starts_with(start));
    let reason = match error.reason {
        Reason::Evaluation if is_missing && expression.starts_with(".Cluster.") => {
            format!("the cluster has no `{expression}`")
        }
        Reason::Evaluation if is_missing && expression.starts_with('.') => {
            format!("only `.Cluster` is known here, not `{expression}`")
        }
        Reason::Exhausted => "it does not come to an end".to_owned(),
        _ => error.message.replace(&format!(" started at {NAME}:1"), ""),
    };
    let range = frame.map_or(0..text.len(), |frame| frame.range_in(text));
    Problem { reason, range }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn render(text: &str) -> Result<String, String> {
        let cluster = json!({
            "name": "prod-01",
            "labels": {"environment": "prod"},
            "facts": {"zones": ["a", "b"], "storage": {"class": "ceph"}},
            "kubernetesVersion": "1.35",
        });
        let rendered = Templates::default().render(text, &cluster);
        rendered.map_err(|problem| format!("{} <{}>", problem.reason, &text[problem.range]))
    }

    #[test]
    fn the_language_is_that_of_charts() {
        let cases = [
            ("values/{{ .Cluster.labels.environment }}.yaml", "values/prod.yaml"),
            ("{{ .Cluster.facts.storage.class | upper }}", "CEPH"),
            ("{{ range .Cluster.facts.zones }}[{{ . }}]{{ end }}", "[a][b]"),
            ("{{ dig \"labels\" \"tier\" \"none\" .Cluster }}", "none"),
            ("{{ if hasPrefix \"prod\" .Cluster.name }}yes{{ end }}", "yes"),
            ("{{ if hasKey .Cluster.labels \"tier\" }}yes{{ else }}no{{ end }}", "no"),
            ("{{ semverCompare \">=1.30-0\" .Cluster.kubernetesVersion }}", "true"),
        ];
        for (text, expected) in cases {
            assert_eq!(render(text).as_deref(), Ok(expected), "{text}");
        }
    }

    #[test]
    fn what_is_wrong_is_said_with_its_place() {
        let cases = [
            ("a: {{ .Cluster.labels.tier }}", "the cluster has no `.Cluster.labels.tier`"),
            ("a: {{ .Cluster.facts.x.y }}", "the cluster has no `.Cluster.facts.x.y`"),
            ("a: {{ .Values.x }}", "only `.Cluster` is known here, not `.Values.x`"),
            ("a: {{ nosuch . }}", "function \"nosuch\" not defined"),
            ("a: {{ .Cluster.name", "unclosed action"),
            ("a: {{ fail \"no\" }}", "no"),
            ("{{ range until 100000 }}{{ range until 100000 }}{{ end }}{{ end }}", "an end"),
        ];
        for (text, expected) in cases {
            let problem = render(text).unwrap_err();
            assert!(problem.contains(expected), "{text}: {problem}");
        }
        assert!(render("a: 1\nb: {{ .Cluster.x }}").unwrap_err().ends_with("<.Cluster.x>"));
    }
}
