//! A resolved chart tree to rendered files: Helm's engine around the template language.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use super::capabilities::Capabilities;
use super::model::RenderInput;
use super::objects;
use super::scope::Scope;
use super::values::{as_values, table};
use crate::base::limits::{
    TEMPLATE_DEPTH_MAX, TEMPLATE_FUEL, TEMPLATE_MEMORY, TEMPLATE_OUTPUT_BYTES_MAX, TEMPLATE_TIME,
};
use crate::sprig::functions;
use crate::template::binary::lossy;
use crate::template::error::{Error, Reason};
use crate::template::exec::{Environment, Limits, MissingKey, Written, execute};
use crate::template::set::Set;
use crate::template::value::{Element, Map, Value};
use crate::template::world::World;

/// Statements and pipelines within one another: what fits the stack that renders have.
const NESTING_MAX: usize = super::STACK_BYTES / (4 << 10);

/// Parsed templates by the subcharts that are switched on; shared by the renders of a chart.
#[derive(Debug, Default)]
pub(super) struct Parsed(Mutex<BTreeMap<Vec<String>, Arc<Set>>>);

/// A template of the tree.
struct Template<'a> {
    text: &'a [u8],
    /// What it is executed over; the templates of one chart share it.
    data: Map,
    base_path: String,
}

/// Why the engine failed.
#[derive(Clone, Debug)]
pub(super) struct EngineError {
    /// Helm's text.
    pub(super) text: String,
    /// With the places.
    pub(super) error: Box<Error>,
}

/// What the templates of a tree are executed with.
#[derive(Clone, Copy)]
pub(super) struct Engine<'a> {
    pub(super) scope: &'a Scope,
    /// Coalesced: what the templates see, and may change.
    pub(super) values: &'a Map,
    pub(super) input: &'a RenderInput,
    pub(super) world: &'a dyn World,
    pub(super) capabilities: &'a Capabilities,
}

/// What Go writes for nothing, and Helm takes out again.
pub(super) const NO_VALUE: &str = "<no value>";

impl Engine<'_> {
    /// Renders every file of the tree but partials, by its path.
    pub(super) fn render(self) -> Result<BTreeMap<String, String>, EngineError> {
        let templates = self.templates();
        let order = order(&templates);
        let set = parsed(self.scope, &templates, &order)?;
        let environment = self.environment(None);
        let mut files = BTreeMap::new();
        for name in order {
            if name.rsplit('/').next().is_some_and(|base| base.starts_with('_')) {
                continue;
            }
            let Some(template) = templates.get(&name) else { continue };
            let data = template.data(&name);
            let mut output = execute(&set, &name, data, &environment).map_err(execution_error)?;
            if output.contains(NO_VALUE) {
                output = output.replace(NO_VALUE, "");
            }
            files.insert(name, output);
        }
        Ok(files)
    }

    /// Renders one file once more: its output, `<no value>` included, and which part of the
    /// template wrote what. Nothing if that fails.
    pub(super) fn trace(self, name: &str) -> Option<(String, Vec<Written>)> {
        let templates = self.templates();
        let set = parsed(self.scope, &templates, &order(&templates)).ok()?;
        let trace = RefCell::new(Vec::new());
        let environment = self.environment(Some(&trace));
        let output = execute(&set, name, templates.get(name)?.data(name), &environment).ok()?;
        Some((output, trace.take()))
    }

    fn environment<'t>(&'t self, trace: Option<&'t RefCell<Vec<Written>>>) -> Environment<'t> {
        Environment {
            functions: functions(),
            world: self.world,
            limits: Limits {
                depth: TEMPLATE_DEPTH_MAX,
                nesting: NESTING_MAX,
                output_bytes: TEMPLATE_OUTPUT_BYTES_MAX,
            },
            fuel: Cell::new(TEMPLATE_FUEL),
            memory: Cell::new(TEMPLATE_MEMORY),
            deadline: Some(Instant::now() + TEMPLATE_TIME),
            missing_key: MissingKey::Zero,
            trace,
        }
    }

    /// All templates of the tree by their names.
    fn templates(&self) -> BTreeMap<String, Template<'_>> {
        let capabilities = objects::capabilities(self.capabilities);
        let shared = Shared { release: release(self.input), capabilities };
        let mut templates = BTreeMap::new();
        shared.add(self.scope, true, &as_values(self.values), &mut templates);
        templates
    }
}

impl Template<'_> {
    /// What it is executed over.
    fn data(&self, name: &str) -> Value {
        let about = [
            ("Name".into(), Value::str(name)),
            ("BasePath".into(), Value::str(self.base_path.as_str())),
        ];
        self.data.insert("Template", Value::Map(Map::from_entries(Element::Values, about)));
        Value::Map(self.data.clone())
    }
}

fn release(input: &RenderInput) -> Value {
    Value::map([
        ("Name".into(), Value::str(input.release_name.as_str())),
        ("Namespace".into(), Value::str(input.namespace.as_str())),
        ("IsUpgrade".into(), Value::Bool(input.is_upgrade)),
        ("IsInstall".into(), Value::Bool(!input.is_upgrade)),
        ("Revision".into(), Value::Int(i64::from(input.revision))),
        ("Service".into(), Value::str("Helm")),
    ])
}

/// What all charts of a tree see.
struct Shared {
    release: Value,
    capabilities: Value,
}

impl Shared {
    /// Adds the templates of a chart and its subcharts; gives what they are executed over.
    fn add<'a>(
        &self,
        scope: &'a Scope,
        is_root: bool,
        values: &Map,
        templates: &mut BTreeMap<String, Template<'a>>,
    ) -> Map {
        let subcharts = Map::default();
        let entries = [
            ("Chart".into(), objects::chart(&scope.metadata(), is_root)),
            ("Files".into(), objects::files(&scope.chart)),
            ("Release".into(), self.release.clone()),
            ("Capabilities".into(), self.capabilities.clone()),
            ("Values".into(), Value::Map(values.clone())),
            ("Subcharts".into(), Value::Map(subcharts.clone())),
        ];
        let data = Map::from_entries(Element::Values, entries);
        for subchart in &scope.dependencies {
            let values = table(values, &subchart.name).unwrap_or_default();
            let inner = self.add(subchart, false, &as_values(&values), templates);
            subcharts.insert(subchart.name.as_str(), Value::Map(inner));
        }
        for file in &scope.chart.templates {
            let base = file.name.rsplit('/').next().unwrap_or(&file.name);
            if scope.is_library() && !base.starts_with('_') {
                continue;
            }
            let template = Template {
                text: &file.data,
                data: data.clone(),
                base_path: format!("{}/templates", scope.path),
            };
            templates.insert(format!("{}/{}", scope.path, file.name), template);
        }
        data
    }
}

/// Deepest first, so that what a chart defines replaces what its subcharts define.
fn order(templates: &BTreeMap<String, Template<'_>>) -> Vec<String> {
    let mut names: Vec<String> = templates.keys().cloned().collect();
    let depth = |name: &str| name.matches('/').count();
    names.sort_by(|a, b| depth(b).cmp(&depth(a)).then_with(|| b.cmp(a)));
    names
}

fn parsed(
    scope: &Scope,
    templates: &BTreeMap<String, Template<'_>>,
    order: &[String],
) -> Result<Arc<Set>, EngineError> {
    let cache = &scope.chart.parsed.0;
    let known = cache.lock().unwrap_or_else(PoisonError::into_inner).get(order).cloned();
    if let Some(set) = known {
        return Ok(set);
    }
    let mut set = Set::new();
    for name in order {
        let Some(template) = templates.get(name) else { continue };
        let text = lossy(template.text);
        set.parse(name, &text, functions()).map_err(parse_error)?;
    }
    let set = Arc::new(set);
    let mut cache = cache.lock().unwrap_or_else(PoisonError::into_inner);
    Ok(Arc::clone(cache.entry(order.to_vec()).or_insert(set)))
}

fn parse_error(error: Box<Error>) -> EngineError {
    let place = error.outermost().unwrap_or_default();
    // Helm shows the last part of the message only.
    let last = error.message.rsplit(": ").next().unwrap_or(&error.message);
    EngineError { text: format!("parse error at ({place}): {last}"), error }
}

fn execution_error(error: Box<Error>) -> EngineError {
    let text = match error.reason {
        Reason::Requested => {
            let place = error.outermost().unwrap_or_default();
            format!("execution error at ({place}): {}", error.message)
        }
        _ => error.to_string(),
    };
    EngineError { text, error }
}
