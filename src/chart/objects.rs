//! The Go structs that templates see: `.Chart`, `.Capabilities`, `.Files`.

use std::any::Any;
use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::Arc;

use base64::Engine as _;
use serde_json::Value as Json;

use super::capabilities::{Capabilities, HELM_VERSION, KubeVersion};
use super::model::Chart;
use super::values::{to_map, to_value};
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
    /// The names of JSON in Go's order.
    order: &'static [&'static str],
    /// Replaces the fields in print.
    print: Option<String>,
}

impl Struct {
    fn new(type_name: &'static str, fields: Vec<(&'static str, Value)>, plain: Value) -> Self {
        let (hidden, order) = (Vec::new(), &[] as &[&str]);
        Self { type_name, kind: "struct", fields, hidden, plain, order, print: None }
    }

    fn pointer(type_name: &'static str, fields: Vec<(&'static str, Value)>, plain: Value) -> Self {
        Self { kind: "ptr", ..Self::new(type_name, fields, plain) }
    }

    fn ordered(self, order: &'static [&'static str]) -> Self {
        Self { order, ..self }
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
        let pointer = if self.kind == "ptr" { "&" } else { "" };
        format!("{pointer}{}", self.show())
    }

    fn show(&self) -> String {
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

    fn json_order(&self) -> Option<&[&'static str]> {
        Some(self.order).filter(|order| !order.is_empty())
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}

/// A slice or map that nobody made: empty for templates, null in JSON.
#[derive(Debug)]
struct Absent {
    type_name: &'static str,
    kind: &'static str,
}

impl Object for Absent {
    fn type_name(&self) -> &'static str {
        self.type_name
    }

    fn kind(&self) -> &'static str {
        self.kind
    }

    fn field(&self, _name: &str) -> Option<Value> {
        None
    }

    fn print(&self) -> String {
        if self.kind == "map" { "map[]" } else { "[]" }.to_owned()
    }

    fn truth(&self) -> bool {
        false
    }

    fn plain(&self) -> Value {
        Value::nil_list()
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}

fn absent(type_name: &'static str, kind: &'static str) -> Value {
    Value::Object(Rc::new(Absent { type_name, kind }))
}

/// A `[]string` of the metadata.
fn texts(value: &Json) -> Value {
    match value.as_array() {
        Some(items) => Value::strings(items.iter().filter_map(Json::as_str)),
        None => absent("[]string", "slice"),
    }
}

/// A slice of pointers to structs.
fn items(value: &Json, type_name: &'static str, item: fn(&Json) -> Value) -> Value {
    match value.as_array() {
        Some(items) => Value::list(items.iter().map(item).collect()),
        None => absent(type_name, "slice"),
    }
}

/// `.Chart` of a chart with this metadata.
pub(super) fn chart(metadata: &Json, is_root: bool) -> Value {
    const ORDER: &[&str] = &[
        "name",
        "home",
        "sources",
        "version",
        "description",
        "keywords",
        "maintainers",
        "icon",
        "apiVersion",
        "condition",
        "tags",
        "appVersion",
        "deprecated",
        "annotations",
        "kubeVersion",
        "dependencies",
        "type",
        "IsRoot",
    ];
    let text = |name: &str| Value::str(metadata[name].as_str().unwrap_or_default());
    let annotations = match metadata["annotations"].as_object() {
        Some(entries) => {
            let entries = entries.iter().map(|(key, value)| {
                (key.as_str().into(), Value::str(value.as_str().unwrap_or_default()))
            });
            Value::Map(Map::from_entries(Element::Str, entries))
        }
        None => absent("map[string]string", "map"),
    };
    let maintainers = items(&metadata["maintainers"], "[]*chart.Maintainer", maintainer);
    let dependencies = items(&metadata["dependencies"], "[]*chart.Dependency", dependency);
    let plain = to_map(metadata);
    for (name, value) in [("maintainers", &maintainers), ("dependencies", &dependencies)] {
        if plain.get(name).is_some() {
            plain.insert(name, value.clone());
        }
    }
    let fields = vec![
        ("Name", text("name")),
        ("Home", text("home")),
        ("Sources", texts(&metadata["sources"])),
        ("Version", text("version")),
        ("Description", text("description")),
        ("Keywords", texts(&metadata["keywords"])),
        ("Maintainers", maintainers),
        ("Icon", text("icon")),
        ("APIVersion", text("apiVersion")),
        ("Condition", text("condition")),
        ("Tags", text("tags")),
        ("AppVersion", text("appVersion")),
        ("Deprecated", Value::Bool(metadata["deprecated"].as_bool().unwrap_or_default())),
        ("Annotations", annotations),
        ("KubeVersion", text("kubeVersion")),
        ("Dependencies", dependencies),
        ("Type", text("type")),
    ];
    let inner = Struct::new("chart.Metadata", fields, Value::Map(plain.clone())).ordered(ORDER);
    let hidden = inner.fields.clone();
    let plain = Map::from_entries(plain.element, plain.entries.borrow().clone());
    plain.insert("IsRoot", Value::Bool(is_root));
    let fields = vec![("Metadata", inner.value()), ("IsRoot", Value::Bool(is_root))];
    let name = "struct { chart.Metadata; IsRoot bool }";
    let outer = Struct::new(name, fields, Value::Map(plain)).ordered(ORDER);
    Struct { hidden, ..outer }.value()
}

fn maintainer(item: &Json) -> Value {
    let text = |name: &str| Value::str(item[name].as_str().unwrap_or_default());
    let fields = vec![("Name", text("name")), ("Email", text("email")), ("URL", text("url"))];
    let pointer = Struct::pointer("*chart.Maintainer", fields, to_value(item));
    pointer.ordered(&["name", "email", "url"]).value()
}

fn dependency(item: &Json) -> Value {
    const ORDER: &[&str] = &[
        "name",
        "version",
        "repository",
        "condition",
        "tags",
        "enabled",
        "import-values",
        "alias",
    ];
    let text = |name: &str| Value::str(item[name].as_str().unwrap_or_default());
    let imports = match &item["import-values"] {
        Json::Null => absent("[]interface {}", "slice"),
        imports => to_value(imports),
    };
    let fields = vec![
        ("Name", text("name")),
        ("Version", text("version")),
        ("Repository", text("repository")),
        ("Condition", text("condition")),
        ("Tags", texts(&item["tags"])),
        ("Enabled", Value::Bool(item["enabled"].as_bool().unwrap_or_default())),
        ("ImportValues", imports),
        ("Alias", text("alias")),
    ];
    Struct::pointer("*chart.Dependency", fields, to_value(item)).ordered(ORDER).value()
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
    let helm = Struct::new("version.BuildInfo", helm.to_vec(), plain);
    let helm = helm.ordered(&["version", "git_commit", "git_tree_state", "go_version"]).value();
    let fields = vec![("KubeVersion", version), ("APIVersions", set), ("HelmVersion", helm)];
    let plain = Value::map(fields.iter().map(|(name, value)| ((*name).into(), value.clone())));
    let pointer = Struct::pointer("*chartutil.Capabilities", fields, plain);
    pointer.ordered(&["KubeVersion", "APIVersions", "HelmVersion"]).value()
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

    fn json_order(&self) -> Option<&[&'static str]> {
        Some(&["Version", "Major", "Minor"])
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
        // A map of bytes: a file that is not there is one without content.
        let bytes = self.get(name).map(|at| self.data(at).into());
        Some(Value::Bytes(bytes.unwrap_or_else(|| [].into())))
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
