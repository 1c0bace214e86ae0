//! What a SelfSubjectRulesReview says is allowed.

use serde_json::Value as Json;

use super::{Permission, Target};
use crate::object::access;

/// Rules that hold for whoever asked, in one namespace.
#[derive(Clone, Debug, Default)]
pub struct Allowed {
    resources: Vec<Json>,
    urls: Vec<Json>,
    is_complete: bool,
}

impl Allowed {
    /// Of the `status` of a review; nothing where it makes no sense.
    pub fn of(status: &Json) -> Self {
        let list = |field| access::list(status, &[field]).to_vec();
        let is_incomplete = access::at(status, &["incomplete"]).and_then(Json::as_bool);
        Self {
            resources: list("resourceRules"),
            urls: list("nonResourceRules"),
            is_complete: is_incomplete == Some(false),
        }
    }

    /// Whether the rules allow something there. `None` where they do not, and some are not told:
    /// not every authorizer can tell its rules.
    pub fn allow(&self, permission: &Permission) -> Option<bool> {
        let is_allowed = match &permission.target {
            Target::Url(path) => self.urls.iter().any(|rule| {
                has(rule, "verbs", |verb| verb == "*" || *verb == permission.verb)
                    && has(rule, "nonResourceURLs", |of| match of.strip_suffix('*') {
                        Some(start) => path.starts_with(start),
                        None => of == path,
                    })
            }),
            Target::Resource { group, resource, name } => self.resources.iter().any(|rule| {
                has(rule, "verbs", |verb| verb == "*" || *verb == permission.verb)
                    && has(rule, "apiGroups", |of| of == "*" || of == group)
                    && has(rule, "resources", |of| is_resource(of, resource))
                    && (access::list(rule, &["resourceNames"]).is_empty()
                        || has(rule, "resourceNames", |of| of == name))
            }),
        };
        (is_allowed || self.is_complete).then_some(is_allowed)
    }
}

/// `*` stands for everything with its subresources, `*/scale` for one subresource of everything.
fn is_resource(of: &str, resource: &str) -> bool {
    let subresource = resource.split_once('/').map(|(_, subresource)| subresource);
    of == "*"
        || of == resource
        || of.strip_prefix("*/").is_some_and(|wanted| subresource == Some(wanted))
}

fn has(rule: &Json, field: &str, is_so: impl Fn(&str) -> bool) -> bool {
    access::list(rule, &[field]).iter().filter_map(Json::as_str).any(is_so)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::Scope;
    use super::*;

    fn asked(group: &str, resource: &str, name: &str, verb: &str) -> Permission {
        let target = Target::resource(group, resource, name);
        Permission { scope: Scope::Cluster, target, verb: verb.to_owned() }
    }

    #[test]
    fn rules_allow_what_they_name() {
        let allowed = Allowed::of(&json!({"incomplete": false, "resourceRules": [
            {"verbs": ["get"], "apiGroups": [""], "resources": ["secrets"], "resourceNames": ["s"]},
            {"verbs": ["*"], "apiGroups": ["apps"], "resources": ["*/scale", "deployments"]},
            {"verbs": ["list"], "apiGroups": ["*"], "resources": ["*"]},
        ], "nonResourceRules": [{"verbs": ["get"], "nonResourceURLs": ["/metrics", "/api/*"]}]}));
        for (permission, wanted) in [
            (asked("", "secrets", "s", "get"), true),
            (asked("", "secrets", "t", "get"), false),
            (asked("", "secrets", "", "get"), false),
            (asked("apps", "deployments", "d", "delete"), true),
            (asked("apps", "deployments/status", "d", "patch"), false),
            (asked("apps", "statefulsets/scale", "d", "patch"), true),
            (asked("batch", "jobs/status", "", "list"), true),
        ] {
            assert_eq!(allowed.allow(&permission), Some(wanted), "{permission:?}");
        }
        for (path, wanted) in [("/metrics", true), ("/metrics/a", false), ("/api/v1", true)] {
            let target = Target::Url(path.to_owned());
            let url = Permission { scope: Scope::Cluster, target, verb: "get".to_owned() };
            assert_eq!(allowed.allow(&url), Some(wanted), "{path}");
        }
    }

    #[test]
    fn what_is_not_among_rules_that_are_not_all_is_not_known() {
        let secrets = json!([{"verbs": ["get"], "apiGroups": [""], "resources": ["secrets"]}]);
        let allowed = Allowed::of(&json!({"incomplete": true, "resourceRules": secrets}));
        assert_eq!(allowed.allow(&asked("", "secrets", "", "get")), Some(true));
        assert_eq!(allowed.allow(&asked("", "secrets", "", "list")), None);
        assert_eq!(Allowed::of(&json!({})).allow(&asked("", "secrets", "", "get")), None);
    }
}
