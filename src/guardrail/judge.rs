//! What policies say about one object, as an API server does when it is created.

use std::sync::Arc;

use cel::Value;
use serde_json::{Value as Json, json};

use super::expression::{Expression, Failure, Size, scope};
use super::matching;
use super::read::{Action, Binding, Guardrails, ParamRef, Policy, Validation};
use crate::health::check::value;
use crate::object::{access, secret};

/// Values of the variables of one policy, all together.
const VALUES_MAX: usize = 500_000;
/// Bytes of a message; the API server's own limit.
const MESSAGE_BYTES_MAX: usize = 5_000;

/// What an API server would be asked to do with an object.
#[derive(Clone, Copy, Debug)]
pub enum Operation<'a> {
    /// It is new.
    Create,
    /// It takes the place of this one.
    Update(&'a Json),
    /// It goes.
    Delete,
}

impl Operation<'_> {
    /// As rules name it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Create => "CREATE",
            Self::Update(_) => "UPDATE",
            Self::Delete => "DELETE",
        }
    }
}

/// An object that is judged.
#[derive(Clone, Debug)]
pub struct Subject<'a> {
    /// With the API server's defaults filled in; of one that goes, as it was.
    pub object: &'a Json,
    /// What is done with it.
    pub operation: Operation<'a>,
    /// Where it is; empty where its kind has no namespaces.
    pub namespace: &'a str,
    /// Such as `deployments`.
    pub resource: String,
    /// The object's Namespace.
    pub namespace_of: Option<&'a Json>,
}

impl Subject<'_> {
    pub(super) fn name(&self) -> &str {
        access::name(self.object)
    }

    pub(super) fn group_version(&self) -> (&str, &str) {
        let version = access::api_version(self.object);
        version.split_once('/').unwrap_or(("", version))
    }

    /// What `objectSelector` looks at: one of them has to fit.
    pub(super) fn versions(&self) -> impl Iterator<Item = &Json> {
        let old = match self.operation {
            Operation::Update(old) => Some(old),
            Operation::Create | Operation::Delete => None,
        };
        std::iter::once(self.object).chain(old)
    }

    /// What `namespaceSelector` looks at.
    pub(super) fn namespace_object(&self) -> Option<&Json> {
        let is_namespace = self.resource == "namespaces" && self.group_version().0.is_empty();
        if is_namespace { Some(self.object) } else { self.namespace_of }
    }

    fn request(&self) -> Json {
        let (group, version) = self.group_version();
        let kind = json!({"group": group, "version": version, "kind": access::kind(self.object)});
        let resource = json!({"group": group, "version": version, "resource": self.resource});
        json!({
            "kind": kind, "requestKind": kind, "resource": resource, "requestResource": resource,
            "name": self.name(), "namespace": self.namespace, "operation": self.operation.name(),
            "subResource": "", "requestSubResource": "", "dryRun": false,
        })
    }
}

/// What is the matter with an object.
#[derive(Debug)]
pub struct Outcome<'g> {
    /// The policy.
    pub policy: &'g Policy,
    /// How it was bound.
    pub binding: &'g Binding,
    /// Which of its validations; none where it could not come that far.
    pub validation: Option<&'g Validation>,
    /// In the policy's own words, or why it could not be judged.
    pub message: String,
    /// Whether nothing can be said of it without a cluster.
    pub is_unjudged: bool,
}

impl Outcome<'_> {
    /// The hardest of what the binding does.
    pub fn action(&self) -> Action {
        self.binding.actions.iter().copied().min().unwrap_or(Action::Deny)
    }

    /// In the API server's words.
    pub fn as_told_by_server(&self) -> String {
        format!(
            "ValidatingAdmissionPolicy '{}' with binding '{}' denied request: {}",
            self.policy.name, self.binding.name, self.message
        )
    }
}

/// Everything that guardrails have against an object. Of several things that may be done with it,
/// each guardrail judges the first that it is about.
pub fn judge<'g>(guardrails: &'g Guardrails, subjects: &[Subject<'_>]) -> Vec<Outcome<'g>> {
    FUNCTIONS.with(|functions| judge_with(functions, guardrails, subjects))
}

thread_local! {
    /// To add them takes longer than to evaluate an expression.
    static FUNCTIONS: cel::Context<'static, 'static> = scope();
}

fn judge_with<'g>(
    functions: &cel::Context<'static, 'static>,
    guardrails: &'g Guardrails,
    subjects: &[Subject<'_>],
) -> Vec<Outcome<'g>> {
    let mut outcomes = Vec::new();
    let mut bound: Vec<Option<Bound<'_>>> = subjects.iter().map(|_| None).collect();
    for policy in &guardrails.policies {
        for binding in &policy.bindings {
            let fits = |subject: &Subject<'_>| {
                policy.constraints.fit(subject) && binding.matches.fit(subject)
            };
            let Some(at) = subjects.iter().position(fits) else { continue };
            let subject = &subjects[at];
            if let Some(version) = policy.constraints.converts_to(subject) {
                let message = format!("the API server converts it to `{version}` first");
                let (validation, is_unjudged) = (None, true);
                outcomes.push(Outcome { policy, binding, validation, message, is_unjudged });
                continue;
            }
            let bound = bound[at].get_or_insert_with(|| Bound::new(functions, subject));
            let told = |(validation, message, is_unjudged)| Outcome {
                policy,
                binding,
                validation,
                message,
                is_unjudged,
            };
            match params(guardrails, policy, binding, subject) {
                Ok(params) => {
                    for param in params {
                        let found = Judging::new(policy, bound, subject, param).run();
                        outcomes.extend(found.into_iter().map(told));
                    }
                }
                Err(_) if policy.ignores_failures => {}
                Err((message, is_unjudged)) => outcomes.push(told((None, message, is_unjudged))),
            }
        }
    }
    outcomes
}

/// The parameters to judge with, one after the other; none at all where they may be missing.
fn params<'g>(
    guardrails: &'g Guardrails,
    policy: &Policy,
    binding: &Binding,
    subject: &Subject<'_>,
) -> Result<Vec<Option<&'g Json>>, (String, bool)> {
    let (Some((version, kind)), Some(reference)) = (&policy.param_kind, &binding.params) else {
        return Ok(vec![None]);
    };
    let of_kind = guardrails
        .params
        .iter()
        .filter(|param| access::api_version(param) == version && access::kind(param) == kind);
    let mut found = Vec::new();
    for param in of_kind {
        let chosen = is_chosen(param, reference, subject).map_err(|message| (message, true))?;
        if chosen {
            found.push(Some(param));
        }
    }
    if found.is_empty() && !reference.may_be_missing {
        let message = "failed to configure binding: no params found for policy binding with `Deny` \
                       parameterNotFoundAction";
        return Err((message.to_owned(), false));
    }
    Ok(found)
}

fn is_chosen(param: &Json, reference: &ParamRef, subject: &Subject<'_>) -> Result<bool, String> {
    let namespace = access::namespace(param);
    let wanted = reference.namespace.as_deref().unwrap_or(subject.namespace);
    let is_there = namespace.is_empty() || namespace == wanted;
    let is_named = reference.name.as_deref().is_none_or(|name| name == access::name(param));
    let is_selected = match &reference.selector {
        Some(selector) => matching::selects(selector, &access::labels(param))?,
        None => true,
    };
    Ok(is_there && is_named && is_selected)
}

type Told<'g> = (Option<&'g Validation>, String, bool);

/// An object with its variables bound, for all policies.
struct Bound<'f> {
    scope: cel::Context<'f, 'static>,
    size: Size,
}

impl<'f> Bound<'f> {
    fn new(functions: &'f cel::Context<'f, 'static>, subject: &Subject<'_>) -> Self {
        let mut bound = Self { scope: functions.new_inner_scope(), size: Size::default() };
        let null = Json::Null;
        let (object, old) = match subject.operation {
            Operation::Create => (subject.object, &null),
            Operation::Update(old) => (subject.object, old),
            Operation::Delete => (&null, subject.object),
        };
        bound.bind("object", object);
        bound.bind("oldObject", old);
        bound.bind("request", &subject.request());
        bound.bind("namespaceObject", subject.namespace_of.unwrap_or(&null));
        bound
    }

    fn bind(&mut self, name: &str, json: &Json) {
        let value = value(json);
        self.size.add(&value);
        self.scope.add_variable_from_value(name, value);
    }
}

/// One policy, one object, one parameter.
struct Judging<'g, 'a> {
    policy: &'g Policy,
    is_secret: bool,
    scope: cel::Context<'a, 'static>,
    size: Size,
    /// Variables that failed, with the reason.
    failed: Vec<(String, Failure)>,
}

impl<'g, 'a> Judging<'g, 'a> {
    fn new(
        policy: &'g Policy,
        bound: &'a Bound<'a>,
        subject: &Subject<'_>,
        param: Option<&Json>,
    ) -> Self {
        let is_secret =
            subject.versions().any(secret::is_secret) || param.is_some_and(secret::is_secret);
        let (mut scope, mut size) = (bound.scope.new_inner_scope(), bound.size);
        let params = value(param.unwrap_or(&Json::Null));
        size.add(&params);
        scope.add_variable_from_value("params", params);
        Self { policy, is_secret, scope, size, failed: Vec::new() }
    }

    fn run(mut self) -> Vec<Told<'g>> {
        match self.conditions() {
            Ok(true) => {}
            Ok(false) => return Vec::new(),
            Err(told) => return told.into_iter().collect(),
        }
        if let Err(told) = self.variables() {
            return vec![told];
        }
        let validations = self.policy.validations.iter();
        validations.filter_map(|validation| self.validation(validation)).collect()
    }

    /// Whether all match conditions hold. One that does not decides, whatever fails beside it.
    fn conditions(&self) -> Result<bool, Option<Told<'g>>> {
        let mut failed = None;
        for (_, condition) in &self.policy.conditions {
            match self.boolean(condition) {
                Ok(true) => {}
                Ok(false) => return Ok(false),
                Err(failure) => {
                    failed.get_or_insert((condition, failure));
                }
            }
        }
        match failed {
            None => Ok(true),
            Some((condition, failure)) => Err(self.failure(None, condition, &failure)),
        }
    }

    /// Every variable over those before it. The API server evaluates those that are asked for; one
    /// that fails is told by what asks for it.
    fn variables(&mut self) -> Result<(), Told<'g>> {
        let mut known = std::collections::HashMap::new();
        self.bind_variables(&known);
        for (name, expression) in &self.policy.variables {
            match expression.evaluate(&self.scope, self.size) {
                Ok(value) => {
                    self.size.add(&value);
                    if self.size.values > VALUES_MAX {
                        let message = format!("the variable `{name}` grows too large");
                        return Err((None, message, true));
                    }
                    known.insert(name.clone().into(), value);
                    self.bind_variables(&known);
                }
                Err(failure) => self.failed.push((name.clone(), self.cause(failure))),
            }
        }
        Ok(())
    }

    fn bind_variables(&mut self, known: &std::collections::HashMap<cel::objects::Key, Value>) {
        let map = Value::Map(cel::objects::Map { map: Arc::new(known.clone()) });
        self.scope.add_variable_from_value("variables", map);
    }

    fn validation(&self, validation: &'g Validation) -> Option<Told<'g>> {
        match self.boolean(&validation.expression) {
            Ok(true) => None,
            Ok(false) => Some((Some(validation), self.message(validation), false)),
            Err(failure) => self.failure(Some(validation), &validation.expression, &failure),
        }
    }

    fn boolean(&self, expression: &Expression) -> Result<bool, Failure> {
        match expression.evaluate(&self.scope, self.size) {
            Ok(Value::Bool(holds)) => Ok(holds),
            Ok(_) => Err(Failure::Error("it is neither true nor false".to_owned())),
            Err(failure) => Err(self.cause(failure)),
        }
    }

    /// A missing variable failed for a reason of its own.
    fn cause(&self, failure: Failure) -> Failure {
        let Failure::NoSuchKey(key) = &failure else { return failure };
        let failed = self.failed.iter().find(|(name, _)| name == key);
        match failed {
            None => failure,
            Some((_, Failure::Unable(why))) => Failure::Unable(why.clone()),
            Some((name, cause)) => Failure::Error(format!(
                "composited variable \"{name}\" fails to evaluate: {}",
                told(cause)
            )),
        }
    }

    fn failure(
        &self,
        validation: Option<&'g Validation>,
        expression: &Expression,
        failure: &Failure,
    ) -> Option<Told<'g>> {
        if let Failure::Unable(why) = failure {
            let message = format!("`{}` cannot be judged: {why}", short(&expression.source));
            return Some((validation, message, true));
        }
        if self.policy.ignores_failures {
            return None;
        }
        let cause =
            if self.is_secret { "an error about a Secret".to_owned() } else { told(failure) };
        let message = format!("expression '{}' resulted in error: {cause}", expression.source);
        Some((validation, message, false))
    }

    fn message(&self, validation: &Validation) -> String {
        let made = validation.message_expression.as_ref().filter(|_| !self.is_secret);
        let made = made.and_then(|made| made.evaluate(&self.scope, self.size).ok());
        if let Some(Value::String(text)) = made {
            let text = text.trim();
            if !text.is_empty() && !text.contains('\n') && text.len() <= MESSAGE_BYTES_MAX {
                return text.to_owned();
            }
        }
        match &validation.message {
            Some(message) if !message.trim().is_empty() => message.trim().to_owned(),
            _ => format!("failed expression: {}", validation.expression.source),
        }
    }
}

/// In the API server's words.
fn told(failure: &Failure) -> String {
    match failure {
        Failure::NoSuchKey(key) => format!("no such key: {key}"),
        Failure::Error(text) | Failure::Unable(text) => text.clone(),
    }
}

fn short(source: &str) -> String {
    const SHOWN: usize = 60;
    let line = source.lines().next().unwrap_or_default();
    if line.chars().count() <= SHOWN {
        return line.to_owned();
    }
    let start: String = line.chars().take(SHOWN).collect();
    format!("{start}…")
}
