//! Which objects a policy or a binding is about: `matchConstraints` and `matchResources`.

use std::collections::BTreeMap;

use serde_json::Value as Json;

use super::judge::Subject;
use crate::object::access;

/// `matchConstraints` of a policy, `matchResources` of a binding.
#[derive(Debug, Default)]
pub struct Matches {
    /// At least one has to fit; of a binding, none is everything.
    pub rules: Vec<Rule>,
    excluded: Vec<Rule>,
    namespaces: Terms,
    objects: Terms,
    is_exact: bool,
}

/// One of `resourceRules`.
#[derive(Debug)]
pub struct Rule {
    groups: Vec<String>,
    versions: Vec<String>,
    resources: Vec<String>,
    operations: Vec<String>,
    names: Vec<String>,
    scope: String,
}

/// A label selector as a list of terms.
#[derive(Debug, Default)]
struct Terms(Vec<Term>);

#[derive(Debug)]
struct Term {
    key: String,
    operator: Operator,
    values: Vec<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Operator {
    In,
    NotIn,
    Exists,
    DoesNotExist,
}

impl Matches {
    /// Reads them.
    ///
    /// # Errors
    /// Says what makes no sense.
    pub fn of(json: &Json) -> Result<Self, String> {
        let rules = |field: &str| access::list(json, &[field]).iter().map(Rule::of).collect();
        Ok(Self {
            rules: rules("resourceRules"),
            excluded: rules("excludeResourceRules"),
            namespaces: Terms::of(&json["namespaceSelector"])?,
            objects: Terms::of(&json["objectSelector"])?,
            is_exact: json["matchPolicy"] == "Exact",
        })
    }

    /// Whether they are about this object and what is done with it.
    pub fn fit(&self, subject: &Subject<'_>) -> bool {
        let fits = |rule: &Rule| rule.fits(subject, self.is_exact);
        (self.rules.is_empty() || self.rules.iter().any(fits))
            && !self.excluded.iter().any(fits)
            && subject.versions().any(|object| self.objects.fit(&access::labels(object)))
            && self.fits_namespace(subject)
    }

    /// The API version that the API server converts an object to before it is judged: no rule asks for
    /// its own. Versions of custom kinds are taken to have the same fields.
    pub(super) fn converts_to(&self, subject: &Subject<'_>) -> Option<String> {
        let (group, version) = subject.group_version();
        let mut fitting = self.rules.iter().filter(|rule| rule.fits(subject, self.is_exact));
        let first = fitting.clone().next().filter(|_| access::is_built_in_group(group))?;
        if fitting.any(|rule| rule.has_version(version)) {
            return None;
        }
        let other = first.versions.first()?;
        Some(if group.is_empty() { other.clone() } else { format!("{group}/{other}") })
    }

    pub(super) fn may_be_of_deletions(&self) -> bool {
        let is_of = |rule: &Rule| rule.operations.iter().any(|one| one == "*" || one == "DELETE");
        self.rules.iter().any(is_of)
    }

    /// Cluster-scoped objects are in no namespace, and fit; a Namespace is in itself.
    fn fits_namespace(&self, subject: &Subject<'_>) -> bool {
        match subject.namespace_object() {
            Some(namespace) => self.namespaces.fit(&access::labels(namespace)),
            None => true,
        }
    }
}

impl Rule {
    fn of(json: &Json) -> Self {
        let texts = |field: &str| -> Vec<String> {
            let items = access::list(json, &[field]).iter();
            items.filter_map(Json::as_str).map(str::to_owned).collect()
        };
        Self {
            groups: texts("apiGroups"),
            versions: texts("apiVersions"),
            resources: texts("resources"),
            operations: texts("operations"),
            names: texts("resourceNames"),
            scope: json["scope"].as_str().unwrap_or("*").to_owned(),
        }
    }

    fn has_version(&self, version: &str) -> bool {
        self.versions.iter().any(|one| one == "*" || one == version)
    }

    fn fits(&self, subject: &Subject<'_>, is_exact: bool) -> bool {
        let has = |list: &[String], one: &str| list.iter().any(|item| item == "*" || item == one);
        let (group, version) = subject.group_version();
        let is_in_scope = match self.scope.as_str() {
            "Namespaced" => !subject.namespace.is_empty(),
            "Cluster" => subject.namespace.is_empty(),
            _ => true,
        };
        let resource = subject.resource.as_str();
        let is_resource =
            self.resources.iter().any(|one| matches!(one.as_str(), "*" | "*/*") || one == resource);
        // Other versions of a kind are equivalent: the API server converts to one that is asked.
        has(&self.groups, group)
            && (!is_exact || self.has_version(version))
            && is_resource
            && has(&self.operations, subject.operation.name())
            && is_in_scope
            && (self.names.is_empty() || self.names.iter().any(|name| name == subject.name()))
    }
}

/// Whether labels fit a selector in the API's form.
///
/// # Errors
/// Says what makes no sense in the selector.
pub fn selects(selector: &Json, labels: &BTreeMap<&str, &str>) -> Result<bool, String> {
    Ok(Terms::of(selector)?.fit(labels))
}

impl Terms {
    fn of(json: &Json) -> Result<Self, String> {
        let mut terms = Vec::new();
        for (key, value) in access::string_map(json.get("matchLabels")) {
            let values = vec![value.to_owned()];
            terms.push(Term { key: key.to_owned(), operator: Operator::In, values });
        }
        for item in access::list(json, &["matchExpressions"]) {
            let operator = match item["operator"].as_str() {
                Some("In") => Operator::In,
                Some("NotIn") => Operator::NotIn,
                Some("Exists") => Operator::Exists,
                Some("DoesNotExist") => Operator::DoesNotExist,
                _ => return Err("a selector's `operator` is none".to_owned()),
            };
            let values = access::list(item, &["values"]).iter();
            terms.push(Term {
                key: item["key"].as_str().unwrap_or_default().to_owned(),
                operator,
                values: values.filter_map(Json::as_str).map(str::to_owned).collect(),
            });
        }
        Ok(Self(terms))
    }

    fn fit(&self, labels: &BTreeMap<&str, &str>) -> bool {
        self.0.iter().all(|term| {
            let value = labels.get(term.key.as_str());
            let is_listed = value.is_some_and(|value| term.values.iter().any(|one| one == value));
            match term.operator {
                Operator::In => is_listed,
                Operator::NotIn => !is_listed,
                Operator::Exists => value.is_some(),
                Operator::DoesNotExist => value.is_none(),
            }
        })
    }
}

/// A kind's resource as Kubernetes guesses it, which is right for its own kinds.
pub fn resource_of(kind: &str) -> String {
    let lower = kind.to_lowercase();
    if lower == "endpoints" {
        return lower;
    }
    match lower.chars().last() {
        Some('s') => format!("{lower}es"),
        Some('y') if !lower.ends_with("ey") && !lower.ends_with("ay") => {
            format!("{}ies", lower.trim_end_matches('y'))
        }
        Some('x' | 'h') => format!("{lower}es"),
        _ => format!("{lower}s"),
    }
}
