//! Permissions as RBAC: few rules, in an order that does not depend on anything else.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use serde::Serialize;

use super::{Permission, RBAC_GROUP, Scope, Subject, Target};

/// One rule of a role.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Rule {
    /// API groups; empty for URLs.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub api_groups: Vec<String>,
    /// Plurals.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub resources: Vec<String>,
    /// The only objects that it is about; all when empty.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub resource_names: Vec<String>,
    /// Paths that are no object's.
    #[serde(rename = "nonResourceURLs", skip_serializing_if = "Vec::is_empty")]
    pub urls: Vec<String>,
    /// What is allowed.
    pub verbs: Vec<String>,
}

/// Rules by where they hold.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Policy {
    /// Never empty.
    pub scopes: BTreeMap<Scope, Vec<Rule>>,
}

impl Policy {
    /// The fewest rules that grant these permissions and nothing else.
    pub fn of<'a>(permissions: impl IntoIterator<Item = &'a Permission>) -> Self {
        let all: BTreeSet<&Permission> = permissions.into_iter().collect();
        let is_covered = |one: &Permission| all.iter().any(|by| *by != one && by.covers(one));
        let mut scopes: BTreeMap<Scope, Vec<&Permission>> = BTreeMap::new();
        for one in all.iter().filter(|one| !is_covered(one)) {
            scopes.entry(one.scope.clone()).or_default().push(one);
        }
        let scopes = scopes.into_iter().map(|(scope, of)| (scope, rules(&of))).collect();
        Self { scopes }
    }

    /// Whether it grants nothing.
    pub fn is_empty(&self) -> bool {
        self.scopes.is_empty()
    }

    /// As YAML that can be applied: the namespaces first, for roles cannot be without them, then a
    /// ClusterRole and a Role for each namespace, all of this name, each with its binding where
    /// the subject is known.
    pub fn yaml(
        &self,
        name: &str,
        subject: Option<&Subject>,
        namespaces: &BTreeSet<String>,
    ) -> String {
        let mut text = String::new();
        for namespace in namespaces {
            let namespace = scalar(namespace);
            let _ = write!(
                text,
                "---\napiVersion: v1\nkind: Namespace\nmetadata:\n  name: {namespace}\n  \
                 labels: {{name: {namespace}}}\n"
            );
        }
        for (scope, rules) in &self.scopes {
            let role = if *scope == Scope::Cluster { "ClusterRole" } else { "Role" };
            head(&mut text, role, name, scope);
            text.push_str("rules:\n");
            for rule in rules {
                push_rule(&mut text, rule);
            }
            if let Some(subject) = subject {
                head(&mut text, &format!("{role}Binding"), name, scope);
                let _ = write!(
                    text,
                    "roleRef:\n  apiGroup: {RBAC_GROUP}\n  kind: {role}\n  name: {}\nsubjects:\n",
                    scalar(name)
                );
                push_subject(&mut text, subject);
            }
        }
        text
    }
}

fn rules(permissions: &[&Permission]) -> Vec<Rule> {
    // Verbs of each object, objects of equal verbs, resources of equal names and verbs.
    let mut verbs: BTreeMap<&Target, BTreeSet<&str>> = BTreeMap::new();
    for permission in permissions {
        verbs.entry(&permission.target).or_default().insert(&permission.verb);
    }
    type Names<'a> = BTreeMap<(&'a str, &'a str, Vec<String>), BTreeSet<&'a str>>;
    let mut names: Names<'_> = BTreeMap::new();
    let mut urls: BTreeMap<Vec<String>, Vec<String>> = BTreeMap::new();
    for (target, verbs) in verbs {
        let verbs = in_verb_order(verbs);
        match target {
            Target::Url(url) => urls.entry(verbs).or_default().push(url.clone()),
            Target::Resource { group, resource, name } => {
                names.entry((group, resource, verbs)).or_default().insert(name);
            }
        }
    }
    // Names never stand beside the empty one, which covers them.
    type Resources<'a> = BTreeMap<(&'a str, Vec<String>, Vec<String>), Vec<String>>;
    let mut resources: Resources<'_> = BTreeMap::new();
    for ((group, resource, verbs), names) in names {
        let names = names.into_iter().filter(|name| !name.is_empty()).map(str::to_owned).collect();
        resources.entry((group, names, verbs)).or_default().push(resource.to_owned());
    }
    let mut rules: Vec<Rule> = resources
        .into_iter()
        .map(|((group, resource_names, verbs), resources)| Rule {
            api_groups: vec![group.to_owned()],
            resources,
            resource_names,
            verbs,
            ..Rule::default()
        })
        .collect();
    rules.sort();
    let urls = urls.into_iter().map(|(verbs, urls)| Rule { urls, verbs, ..Rule::default() });
    rules.extend(urls);
    rules
}

/// Verbs in the order that people write them in.
pub fn in_verb_order<'a>(verbs: impl IntoIterator<Item = &'a str>) -> Vec<String> {
    const ORDER: [&str; 7] = ["get", "list", "watch", "create", "update", "patch", "delete"];
    let rank = |verb: &str| ORDER.iter().position(|known| *known == verb).unwrap_or(ORDER.len());
    let mut verbs: Vec<&str> = verbs.into_iter().collect();
    verbs.sort_by_key(|verb| (rank(verb), *verb));
    verbs.into_iter().map(str::to_owned).collect()
}

fn head(text: &mut String, kind: &str, name: &str, scope: &Scope) {
    let name = scalar(name);
    let _ =
        write!(text, "---\napiVersion: {RBAC_GROUP}/v1\nkind: {kind}\nmetadata:\n  name: {name}\n");
    if let Scope::Namespace(namespace) = scope {
        let _ = writeln!(text, "  namespace: {}", scalar(namespace));
    }
}

fn push_rule(text: &mut String, rule: &Rule) {
    let fields = [
        ("apiGroups", &rule.api_groups),
        ("resources", &rule.resources),
        ("resourceNames", &rule.resource_names),
        ("nonResourceURLs", &rule.urls),
        ("verbs", &rule.verbs),
    ];
    let mut begin = "- ";
    for (field, values) in fields.iter().filter(|(_, values)| !values.is_empty()) {
        let values: Vec<String> = values.iter().map(|value| scalar(value)).collect();
        let _ = writeln!(text, "{begin}{field}: [{}]", values.join(", "));
        begin = "  ";
    }
}

fn push_subject(text: &mut String, subject: &Subject) {
    let (kind, name) = match subject {
        Subject::User { name } => ("User", name),
        Subject::Group { name } => ("Group", name),
        Subject::ServiceAccount { namespace, name } => {
            let (namespace, name) = (scalar(namespace), scalar(name));
            let _ =
                write!(text, "- kind: ServiceAccount\n  namespace: {namespace}\n  name: {name}\n");
            return;
        }
    };
    let name = scalar(name);
    let _ = write!(text, "- apiGroup: {RBAC_GROUP}\n  kind: {kind}\n  name: {name}\n");
}

/// A text in YAML's flow style: as it is where that cannot be anything else.
fn scalar(text: &str) -> String {
    let is_word = |text: &str| {
        let text = text.to_ascii_lowercase();
        matches!(text.as_str(), "y" | "n" | "yes" | "no" | "on" | "off" | "true" | "false" | "null")
    };
    let is_plain = text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '/')
        && text.chars().all(|c| c.is_ascii_alphanumeric() || "-./_".contains(c))
        && !is_word(text);
    // A JSON text is one in YAML.
    if is_plain { text.to_owned() } else { serde_json::Value::from(text).to_string() }
}
