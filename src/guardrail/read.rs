//! Files to guardrails: policies with their bindings and what they take as parameters.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::Value as Json;

use super::expression::{Expression, Unfit};
use super::matching::Matches;
use crate::base::diagnostic::{Checked, Diagnostic, Severity};
use crate::base::span::{SourceFile, Span};
use crate::git::Source;
use crate::object::access;
use crate::yaml::node::{Node, NodeKind};
use crate::yaml::{parse, strict};

/// Where documents of any kind may stand: they are parameters.
pub const FOLDER: &str = "policies/guardrails/";
const GROUP: &str = "admissionregistration.k8s.io/";
/// Policies, bindings and parameters of one revision.
const DOCUMENTS_MAX: usize = 1_000;
/// Expressions of one policy; the API server allows fewer.
const EXPRESSIONS_MAX: usize = 100;

/// All guardrails of a revision.
#[derive(Debug, Default)]
pub struct Guardrails {
    /// Those that can be judged, in order of their names.
    pub policies: Vec<Policy>,
    /// Other documents of the folder.
    pub params: Vec<Json>,
}

impl Guardrails {
    /// Whether any of them is about deletions.
    pub fn judge_deletions(&self) -> bool {
        self.policies.iter().any(|policy| policy.constraints.may_be_of_deletions())
    }
}

/// A `ValidatingAdmissionPolicy`.
#[derive(Debug)]
pub struct Policy {
    /// `metadata.name`.
    pub name: String,
    /// Where its name stands.
    pub span: Span,
    /// `failurePolicy: Ignore`.
    pub ignores_failures: bool,
    /// `apiVersion` and `kind` of its parameters.
    pub param_kind: Option<(String, String)>,
    /// What it is about.
    pub constraints: Matches,
    /// By name.
    pub conditions: Vec<(String, Arc<Expression>)>,
    /// By name, in order.
    pub variables: Vec<(String, Arc<Expression>)>,
    /// What must hold.
    pub validations: Vec<Validation>,
    /// Where it applies.
    pub bindings: Vec<Binding>,
}

/// One of `spec.validations`.
#[derive(Debug)]
pub struct Validation {
    /// What must be true.
    pub expression: Arc<Expression>,
    /// Where it stands.
    pub span: Span,
    /// What is told where it is not.
    pub message: Option<String>,
    /// What is told where it is not, made for the object.
    pub message_expression: Option<Arc<Expression>>,
}

/// What happens to an object that a policy refuses.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Action {
    /// It is refused.
    Deny,
    /// Its user is warned.
    Warn,
    /// The audit log has it.
    Audit,
}

/// A `ValidatingAdmissionPolicyBinding`.
#[derive(Debug)]
pub struct Binding {
    /// `metadata.name`.
    pub name: String,
    /// `spec.paramRef`.
    pub params: Option<ParamRef>,
    /// What it narrows its policy to.
    pub matches: Matches,
    /// `spec.validationActions`.
    pub actions: Vec<Action>,
}

/// Which parameters.
#[derive(Debug)]
pub struct ParamRef {
    /// By name.
    pub name: Option<String>,
    /// By labels.
    pub selector: Option<Json>,
    /// Where they are; otherwise where the object is.
    pub namespace: Option<String>,
    /// `parameterNotFoundAction: Allow`.
    pub may_be_missing: bool,
}

/// Reads every guardrail of a revision. A policy that cannot be judged is told and left out.
pub fn read(source: &Source) -> Checked<Guardrails> {
    let mut reading = Reading::default();
    for (path, bytes) in source.below("policies") {
        let Ok(text) = std::str::from_utf8(bytes) else { continue };
        if !path.ends_with(".yaml") {
            continue;
        }
        // What is no YAML is told where documents are read.
        let Ok(documents) = parse::parse(&SourceFile::new(path, text)) else { continue };
        for document in documents {
            reading.take(path, &document);
        }
    }
    reading.finish()
}

#[derive(Default)]
struct Reading {
    documents: usize,
    policies: BTreeMap<String, Policy>,
    /// Policies that are there and cannot be judged.
    unfit: Vec<String>,
    bindings: Vec<(String, Span, Binding)>,
    params: Vec<Json>,
    diagnostics: Vec<Diagnostic>,
}

impl Reading {
    fn take(&mut self, path: &str, document: &Node) {
        let version = text(document, &["apiVersion"]).unwrap_or_default();
        let is_ours = version.starts_with(GROUP);
        if !is_ours && (!path.starts_with(FOLDER) || version.starts_with("fitout.dev/")) {
            return;
        }
        self.documents += 1;
        if self.documents == DOCUMENTS_MAX + 1 {
            let message = format!("there are more than {DOCUMENTS_MAX} guardrails and parameters");
            self.wrong(document, &["kind"], message, "this one and later ones are not read");
        }
        if self.documents > DOCUMENTS_MAX || document.text() == Some("") {
            return;
        }
        let Checked { value: json, diagnostics } = strict::to_json(document);
        self.diagnostics.extend(diagnostics);
        match (is_ours, text(document, &["kind"]).unwrap_or_default()) {
            (true, "ValidatingAdmissionPolicy") => self.policy(document, &json),
            (true, "ValidatingAdmissionPolicyBinding") => self.binding(document, &json),
            (true, kind) => {
                let message = format!("a `{kind}` cannot be judged without a cluster");
                self.wrong(document, &["kind"], message, "no guardrail");
            }
            (false, _) => self.params.push(json),
        }
    }

    fn wrong(&mut self, document: &Node, path: &[&str], message: String, label: &str) {
        self.diagnostics
            .push(Diagnostic::error("bad-guardrail", message).label(document.span_at(path), label));
    }

    fn name(&mut self, document: &Node) -> Option<(String, Span)> {
        let path = ["metadata", "name"];
        let Some(name) = text(document, &path).filter(|name| !name.is_empty()) else {
            self.wrong(document, &["kind"], "a guardrail needs a name".to_owned(), "has none");
            return None;
        };
        Some((name.to_owned(), document.span_at(&path).clone()))
    }

    fn policy(&mut self, document: &Node, json: &Json) {
        let Some((name, span)) = self.name(document) else { return };
        let before = self.diagnostics.len();
        self.fields(document, "", &["apiVersion", "kind", "metadata", "spec", "status"]);
        let Some(spec) = document.get("spec") else {
            self.wrong(document, &["kind"], format!("`{name}` has no `spec`"), "of this policy");
            return;
        };
        self.fields(
            spec,
            "spec",
            &[
                "failurePolicy",
                "matchConditions",
                "matchConstraints",
                "paramKind",
                "validations",
                "variables",
                "auditAnnotations",
            ],
        );
        let mut left = EXPRESSIONS_MAX;
        let conditions = self.named(spec, "matchConditions", &mut left);
        let variables = self.named(spec, "variables", &mut left);
        let validations = self.validations(spec, &mut left);
        let constraints = self.matches(spec, "matchConstraints", &json["spec"]);
        if constraints.rules.is_empty() {
            let path = ["spec", "matchConstraints"];
            let message = format!("`{name}` is about no resource");
            self.wrong(document, &path, message, "`matchConstraints.resourceRules` is empty");
        }
        let param_kind = json["spec"]["paramKind"].as_object().map(|kind| {
            let field = |name: &str| kind.get(name).and_then(Json::as_str).unwrap_or_default();
            (field("apiVersion").to_owned(), field("kind").to_owned())
        });
        let ignores_failures = access::text(json, &["spec", "failurePolicy"]) == Some("Ignore");
        if self.diagnostics.len() > before {
            self.unfit.push(name);
            return;
        }
        let policy = Policy {
            name: name.clone(),
            span: span.clone(),
            ignores_failures,
            param_kind,
            constraints,
            conditions,
            variables,
            validations,
            bindings: Vec::new(),
        };
        if let Some(first) = self.policies.insert(name.clone(), policy) {
            self.diagnostics.push(
                Diagnostic::error("duplicate-name", format!("there are two policies `{name}`"))
                    .label(&span, "again here")
                    .label(&first.span, "first here"),
            );
        }
    }

    fn validations(&mut self, spec: &Node, left: &mut usize) -> Vec<Validation> {
        let items = spec.get("validations").map(Node::items).unwrap_or_default();
        let mut validations = Vec::new();
        for item in items {
            self.fields(
                item,
                "validation",
                &["expression", "message", "messageExpression", "reason"],
            );
            let Some(expression) = self.expression(item, "expression", left) else { continue };
            let message_expression = item
                .get("messageExpression")
                .and_then(|_| self.expression(item, "messageExpression", left));
            validations.push(Validation {
                expression,
                span: first_line(item.span_at(&["expression"])),
                message: text(item, &["message"]).map(str::to_owned),
                message_expression,
            });
        }
        if items.is_empty() {
            let message = "a policy without `validations` holds for everything".to_owned();
            self.wrong(spec, &["validations"], message, "nothing is asked");
        }
        validations
    }

    /// `[{name, expression}]`.
    fn named(
        &mut self,
        spec: &Node,
        field: &str,
        left: &mut usize,
    ) -> Vec<(String, Arc<Expression>)> {
        let items = spec.get(field).map(Node::items).unwrap_or_default();
        let mut named = Vec::new();
        for item in items {
            self.fields(item, field, &["name", "expression"]);
            let name = text(item, &["name"]).unwrap_or_default().to_owned();
            if let Some(expression) = self.expression(item, "expression", left) {
                named.push((name, expression));
            }
        }
        named
    }

    fn expression(
        &mut self,
        item: &Node,
        field: &str,
        left: &mut usize,
    ) -> Option<Arc<Expression>> {
        let Some(source) = text(item, &[field]) else {
            self.wrong(item, &[], format!("`{field}` is missing"), "here");
            return None;
        };
        let span = first_line(item.span_at(&[field]));
        if *left == 0 {
            let message = format!("a policy has at most {EXPRESSIONS_MAX} expressions");
            self.wrong(item, &[field], message, "one too many");
            return None;
        }
        *left -= 1;
        match Expression::compile(source) {
            Ok(expression) => Some(Arc::new(expression)),
            Err(unfit) => {
                self.diagnostics.push(explain(&unfit, &span));
                None
            }
        }
    }

    fn binding(&mut self, document: &Node, json: &Json) {
        let Some((name, _)) = self.name(document) else { return };
        let before = self.diagnostics.len();
        if let Some(spec) = document.get("spec") {
            let known = ["policyName", "paramRef", "matchResources", "validationActions"];
            self.fields(spec, "spec", &known);
        }
        let path = ["spec", "policyName"];
        let policy = text(document, &path).unwrap_or_default().to_owned();
        let mut actions = Vec::new();
        for action in access::list(json, &["spec", "validationActions"]) {
            match action.as_str() {
                Some("Deny") => actions.push(Action::Deny),
                Some("Warn") => actions.push(Action::Warn),
                Some("Audit") => actions.push(Action::Audit),
                _ => {
                    let message = format!("`{action}` is none of `Deny`, `Warn` and `Audit`");
                    self.wrong(document, &["spec", "validationActions"], message, "no action");
                }
            }
        }
        if actions.is_empty() && self.diagnostics.len() == before {
            let message = format!("the binding `{name}` has no `validationActions`");
            self.wrong(document, &["spec"], message, "`Deny`, `Warn` or `Audit` is needed");
        }
        let reference = &json["spec"]["paramRef"];
        let params = reference.is_object().then(|| ParamRef {
            name: reference["name"].as_str().map(str::to_owned),
            selector: reference.get("selector").cloned(),
            namespace: reference["namespace"].as_str().map(str::to_owned),
            may_be_missing: reference["parameterNotFoundAction"] == "Allow",
        });
        let spec = document.get("spec").unwrap_or(document);
        let matches = self.matches(spec, "matchResources", &json["spec"]);
        if self.diagnostics.len() == before {
            let span = document.span_at(&path).clone();
            self.bindings.push((policy, span, Binding { name, params, matches, actions }));
        }
    }

    fn matches(&mut self, spec: &Node, field: &str, json: &Json) -> Matches {
        let Some(node) = spec.get(field) else { return Matches::default() };
        self.fields(
            node,
            field,
            &[
                "resourceRules",
                "excludeResourceRules",
                "namespaceSelector",
                "objectSelector",
                "matchPolicy",
            ],
        );
        match Matches::of(&json[field]) {
            Ok(matches) => matches,
            Err(message) => {
                self.wrong(spec, &[field], message, "cannot be read");
                Matches::default()
            }
        }
    }

    /// Refuses fields that there are not: a policy that is misspelt would pass everything.
    fn fields(&mut self, node: &Node, place: &str, known: &[&str]) {
        let NodeKind::Mapping(entries) = &node.kind else {
            return self.wrong(node, &[], format!("`{place}` is no mapping"), "here");
        };
        for (key, _) in entries {
            let name = key.text().unwrap_or_default();
            if !known.contains(&name) {
                let message = match place {
                    "" => format!("a guardrail has no field `{name}`"),
                    place => format!("`{place}` has no field `{name}`"),
                };
                self.diagnostics.push(
                    Diagnostic::error("unknown-field", message)
                        .label(&key.span, "no such field")
                        .did_you_mean(name, known.iter().copied()),
                );
            }
        }
    }

    fn finish(mut self) -> Checked<Guardrails> {
        for (name, span, binding) in std::mem::take(&mut self.bindings) {
            if let Some(policy) = self.policies.get_mut(&name) {
                policy.bindings.push(binding);
            } else if !self.unfit.contains(&name) {
                let message = format!("`{}` binds `{name}`, which is no policy", binding.name);
                self.diagnostics.push(
                    Diagnostic::error("bad-guardrail", message)
                        .label(&span, "no such policy")
                        .did_you_mean(&name, self.policies.keys().map(String::as_str)),
                );
            }
        }
        for policy in self.policies.values().filter(|policy| policy.bindings.is_empty()) {
            let message = format!("the guardrail `{}` is bound nowhere", policy.name);
            self.diagnostics.push(
                Diagnostic::warning("unbound-guardrail", message)
                    .label(&policy.span, "has no effect")
                    .help("add a ValidatingAdmissionPolicyBinding with its name"),
            );
        }
        let policies = self.policies.into_values().collect();
        let value = Guardrails { policies, params: self.params };
        Checked { value, diagnostics: self.diagnostics }
    }
}

fn explain(unfit: &Unfit, span: &Span) -> Diagnostic {
    let found = Diagnostic::error("bad-guardrail", format!("the expression {unfit}"));
    if unfit.is_wrong() {
        return found.label(span, "no API server takes this");
    }
    Diagnostic { code: "guardrail-not-judged", severity: Severity::Warning, ..found }
        .label(span, "not evaluated without a cluster")
        .note("objects are not checked against this policy")
}

fn text<'a>(node: &'a Node, path: &[&str]) -> Option<&'a str> {
    node.at(path).and_then(Node::text)
}

/// The part of a span before its first line ends, leading space left out.
fn first_line(span: &Span) -> Span {
    let part = &span.file.text[span.range.clone()];
    // A block scalar begins with its header.
    let part_start = match part.strip_prefix(['|', '>']).and_then(|rest| rest.find('\n')) {
        Some(end) => span.range.start + end + 2,
        None => span.range.start,
    };
    let rest = span.file.text.get(part_start..span.range.end).unwrap_or_default();
    let start = part_start + (rest.len() - rest.trim_start().len());
    let line = span.file.text.get(start..span.range.end).unwrap_or_default();
    let end = start + line.find('\n').unwrap_or(line.trim_end().len());
    Span::new(&span.file, start..end)
}
