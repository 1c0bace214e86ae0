//! The Go structs that templates see: `.Chart`, `.Capabilities`, `.Files`.

use std::any::Any;
use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::Arc;

use base64::Engine as _;
use serde_json::Value as Json;

use super::capabilities::{Capabilities, HELM_VERSION, KubeVersion};
use super::model::Chart;
use super::values::to_value;
use crate::template::binary::from_bytes;
use crate::template::function::{Param, Signature};
use crate::template::print;
use crate::template::value::{Element, Map, Object, Value};
use crate::yaml::write::to_yaml;

/// A struct of fields in Go's order.
#[derive(Debug)]
struct Struct {
    type_name: &'static str,
    kind: &'static str,
    fields: Vec<(&'static str, Value)>,
    /// Fields that Go reaches through an embedded struct or does not print.
    hidden: Vec<(&'static str, Value)>,
    /// What JSON and YAML see.
    plain: Value,
    /// Replaces the fields in print.
    print: Option<String>,
}

impl Struct {
    fn new(type_name: &'static str, fields: Vec<(&'static str, Value)>, plain: Value) -> Self {
        Self { type_name, kind: "struct", fields, hidden: Vec::new(), plain, print: None }
    }

    fn value(self) -> Value {
        Value::Object(Rc::new(self))
    }
}

impl Object for Struct {
    fn type_name(&self) -> &'static str {
        self.type_name
    }

    fn kind(&self) -> &'static str {
        self.kind
    }

    fn field(&self, name: &str) -> Option<Value> {
        let mut fields = self.fields.iter().chain(&self.hidden);
        fields.find(|(field, _)| *field == name).map(|(_, value)| value.clone())
    }

    fn print(&self) -> String {
        if let Some(text) = &self.print {
            return text.clone();
        }
        let fields: Vec<String> = self
            .fields
            .iter()
            .map(|(_, value)| print::sprint(std::slice::from_ref(value)))
            .collect();
        format!("{{{}}}", fields.join(" "))
    }

    fn plain(&self) -> Value {
        self.plain.clone()
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}

/// `.Chart` of a chart with this metadata.
pub(super) fn chart(metadata: &Json, is_root: bool) -> Value {
    let text = |name: &str| Value::str(metadata[name].as_str().unwrap_or_default());
    let texts = |value: &Json| {
        let items = value.as_array().into_iter().flatten().filter_map(Json::as_str);
        Value::strings(items)
    };
    let annotations = metadata["annotations"].as_object().into_iter().flatten();
    let annotations = annotations
        .map(|(key, value)| (key.as_str().into(), Value::str(value.as_str().unwrap_or_default())));
    let annotations = Value::Map(Map::from_entries(Element::Str, annotations));
    let items = |name: &str, item: fn(&Json) -> Value| {
        let items = metadata[name].as_array().into_iter().flatten();
        Value::list(items.map(item).collect())
    };
    let fields = vec![
        ("Name", text("name")),
        ("Home", text("home")),
        ("Sources", texts(&metadata["sources"])),
        ("Version", text("version")),
        ("Description", text("description")),
        ("Keywords", texts(&metadata["keywords"])),
        ("Maintainers", items("maintainers", maintainer)),
        ("Icon", text("icon")),
        ("APIVersion", text("apiVersion")),
        ("Condition", text("condition")),
        ("Tags", text("tags")),
        ("AppVersion", text("appVersion")),
        ("Deprecated", Value::Bool(metadata["deprecated"].as_bool().unwrap_or_default())),
        ("Annotations", annotations),
        ("KubeVersion", text("kubeVersion")),
        ("Dependencies", items("dependencies", dependency)),
        ("Type", text("type")),
    ];
    let mut plain = metadata.clone();
    plain["IsRoot"] = Json::Bool(is_root);
    let inner = Struct::new("chart.Metadata", fields, to_value(metadata));
    let hidden = inner.fields.clone();
    let fields = vec![("Metadata", inner.value()), ("IsRoot", Value::Bool(is_root))];
    let outer = Struct::new("struct { chart.Metadata; IsRoot bool }", fields, to_value(&plain));
    Struct { hidden, ..outer }.value()
}

fn maintainer(item: &Json) -> Value {
    let text = |name: &str| Value::str(item[name].as_str().unwrap_or_default());
    let fields = vec![("Name", text("name")), ("Email", text("email")), ("URL", text("url"))];
    Struct { kind: "ptr", ..Struct::new("*chart.Maintainer", fields, to_value(item)) }.value()
}

fn dependency(item: &Json) -> Value {
    let text = |name: &str| Value::str(item[name].as_str().unwrap_or_default());
    let tags = item["tags"].as_array().into_iter().flatten().filter_map(Json::as_str);
    let fields = vec![
        ("Name", text("name")),
        ("Version", text("version")),
        ("Repository", text("repository")),
        ("Condition", text("condition")),
        ("Tags", Value::strings(tags)),
        // What is left of the requirements of a chart is switched on.
        ("Enabled", Value::Bool(true)),
        ("ImportValues", to_value(item.get("import-values").unwrap_or(&Json::Array(Vec::new())))),
        ("Alias", text("alias")),
    ];
    Struct { kind: "ptr", ..Struct::new("*chart.Dependency", fields, to_value(item)) }.value()
}

/// `.Capabilities`.
pub(super) fn capabilities(capabilities: &Capabilities) -> Value {
    let version = Value::Object(Rc::new(Version(capabilities.kube_version.clone())));
    let set: Rc<[Rc<str>]> =
        capabilities.api_versions.iter().map(|version| version.as_str().into()).collect();
    let set = Value::Object(Rc::new(VersionSet(set)));
    let helm = [
        ("Version", Value::str(HELM_VERSION)),
        ("GitCommit", Value::str("")),
        ("GitTreeState", Value::str("clean")),
        ("GoVersion", Value::str("go1.26")),
    ];
    let plain = Value::map([
        ("version".into(), Value::str(HELM_VERSION)),
        ("git_tree_state".into(), Value::str("clean")),
        ("go_version".into(), Value::str("go1.26")),
    ]);
    let helm = Struct::new("version.BuildInfo", helm.to_vec(), plain).value();
    let plain = Value::map([
        ("KubeVersion".into(), plain_of(&version)),
        ("APIVersions".into(), plain_of(&set)),
        ("HelmVersion".into(), plain_of(&helm)),
    ]);
    let fields = vec![("KubeVersion", version), ("APIVersions", set), ("HelmVersion", helm)];
    Struct { kind: "ptr", ..Struct::new("*chartutil.Capabilities", fields, plain) }.value()
}

fn plain_of(value: &Value) -> Value {
    match value {
        Value::Object(object) => object.plain(),
        other => other.clone(),
    }
}

const NO_PARAMS: Signature = Signature { params: &[], variadic: None };
const ONE_TEXT: Signature = Signature { params: &[Param::Str], variadic: None };

/// `.Capabilities.KubeVersion`.
#[derive(Debug)]
struct Version(KubeVersion);

impl Object for Version {
    fn type_name(&self) -> &'static str {
        "chartutil.KubeVersion"
    }

    fn field(&self, name: &str) -> Option<Value> {
        Some(Value::str(match name {
            "Version" => self.0.version.as_str(),
            "Major" => self.0.major.as_str(),
            "Minor" => self.0.minor.as_str(),
            _ => return None,
        }))
    }

    fn method(&self, name: &str) -> Option<Signature> {
        matches!(name, "String" | "GitVersion").then_some(NO_PARAMS)
    }

    fn call(&self, _method: &str, _args: &[Value]) -> Result<Value, String> {
        Ok(Value::str(self.0.version.as_str()))
    }

    fn print(&self) -> String {
        format!("{{{} {} {}}}", self.0.version, self.0.major, self.0.minor)
    }

    fn show(&self) -> String {
        self.0.version.clone()
    }

    fn plain(&self) -> Value {
        Value::map([
            ("Version".into(), Value::str(self.0.version.as_str())),
            ("Major".into(), Value::str(self.0.major.as_str())),
            ("Minor".into(), Value::str(self.0.minor.as_str())),
        ])
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}

/// `.Capabilities.APIVersions`.
#[derive(Debug)]
struct VersionSet(Rc<[Rc<str>]>);

impl Object for VersionSet {
    fn type_name(&self) -> &'static str {
        "chartutil.VersionSet"
    }

    fn kind(&self) -> &'static str {
        "slice"
    }

    fn field(&self, _name: &str) -> Option<Value> {
        None
    }

    fn method(&self, name: &str) -> Option<Signature> {
        (name == "Has").then_some(ONE_TEXT)
    }

    fn call(&self, _method: &str, args: &[Value]) -> Result<Value, String> {
        let wanted = first_text(args);
        Ok(Value::Bool(self.0.iter().any(|version| **version == *wanted)))
    }

    fn print(&self) -> String {
        format!("[{}]", self.0.join(" "))
    }

    fn truth(&self) -> bool {
        !self.0.is_empty()
    }

    fn plain(&self) -> Value {
        Value::strings(self.0.iter().cloned())
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}

fn first_text(args: &[Value]) -> Rc<str> {
    match args.first() {
        Some(Value::Str(text)) => Rc::clone(text),
        _ => "".into(),
    }
}

/// `.Files`, or a part of them.
#[derive(Debug)]
struct Files {
    chart: Arc<Chart>,
    /// Names to places in the chart's list.
    places: BTreeMap<Rc<str>, usize>,
}

/// `.Files` of a chart.
pub(super) fn files(chart: &Arc<Chart>) -> Value {
    let places =
        chart.files.iter().enumerate().map(|(at, file)| (file.name.as_str().into(), at)).collect();
    Value::Object(Rc::new(Files { chart: Arc::clone(chart), places }))
}

impl Files {
    fn data(&self, at: usize) -> &[u8] {
        self.chart.files.get(at).map(|file| file.data.as_slice()).unwrap_or_default()
    }

    fn text(&self, at: usize) -> String {
        from_bytes(self.data(at))
    }

    fn get(&self, name: &str) -> Option<usize> {
        self.places.get(name).copied()
    }

    fn lines(&self, name: &str) -> Value {
        let text = self.get(name).map(|at| self.text(at)).unwrap_or_default();
        if text.is_empty() {
            return Value::strings(Vec::<&str>::new());
        }
        Value::strings(text.strip_suffix('\n').unwrap_or(&text).split('\n'))
    }

    fn glob(&self, pattern: &str) -> Value {
        let glob = super::glob::Glob::new(pattern);
        let places = self.places.iter().filter(|(name, _)| glob.matches(name));
        let places = places.map(|(name, at)| (Rc::clone(name), *at)).collect();
        Value::Object(Rc::new(Self { chart: Arc::clone(&self.chart), places }))
    }

    /// Base names to `content` of each file, as YAML.
    fn config(&self, content: impl Fn(usize) -> String) -> Value {
        let entries = self.places.iter().map(|(name, at)| {
            let base = name.rsplit('/').next().unwrap_or(name);
            (base.into(), Value::str(content(*at)))
        });
        Value::str(to_yaml(&Value::map(entries)).unwrap_or_default())
    }
}

impl Object for Files {
    fn type_name(&self) -> &'static str {
        "engine.files"
    }

    fn kind(&self) -> &'static str {
        "map"
    }

    fn field(&self, name: &str) -> Option<Value> {
        self.get(name).map(|at| Value::Bytes(self.data(at).into()))
    }

    fn method(&self, name: &str) -> Option<Signature> {
        match name {
            "Get" | "GetBytes" | "Glob" | "Lines" => Some(ONE_TEXT),
            "AsConfig" | "AsSecrets" => Some(NO_PARAMS),
            _ => None,
        }
    }

    fn call(&self, method: &str, args: &[Value]) -> Result<Value, String> {
        let name = first_text(args);
        Ok(match method {
            "Get" => Value::str(self.get(&name).map(|at| self.text(at)).unwrap_or_default()),
            "GetBytes" => {
                Value::Bytes(self.get(&name).map(|at| self.data(at)).unwrap_or_default().into())
            }
            "Lines" => self.lines(&name),
            "Glob" => self.glob(&name),
            "AsConfig" => self.config(|at| self.text(at)),
            "AsSecrets" => {
                self.config(|at| base64::engine::general_purpose::STANDARD.encode(self.data(at)))
            }
            other => return Err(format!("no method {other}")),
        })
    }

    fn print(&self) -> String {
        let entries: Vec<String> = self
            .places
            .iter()
            .map(|(name, at)| {
                let bytes: Vec<String> = self.data(*at).iter().map(u8::to_string).collect();
                format!("{name}:[{}]", bytes.join(" "))
            })
            .collect();
        format!("map[{}]", entries.join(" "))
    }

    fn truth(&self) -> bool {
        !self.places.is_empty()
    }

    fn plain(&self) -> Value {
        let entries = self.places.iter();
        Value::map(entries.map(|(name, at)| (Rc::clone(name), Value::Bytes(self.data(*at).into()))))
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}
