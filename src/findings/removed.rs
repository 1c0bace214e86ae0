//! APIs that Kubernetes no longer serves, by its deprecation guide.

use super::Object;
use crate::base::diagnostic::Diagnostic;
use crate::object::apis::{lifetime, minor};

/// An API that a cluster of this version does not serve, or serves no longer soon.
pub(super) fn check(object: &Object<'_>, kubernetes_version: &str) -> Option<Diagnostic> {
    let (api_version, kind) = (&object.manifest.api_version, &object.key.kind);
    let minor = minor(kubernetes_version)?;
    let api = lifetime(api_version, kind)?;
    let key = &object.key;
    if minor < api.since {
        let message = format!(
            "`{key}` is of `{api_version}`, which Kubernetes {kubernetes_version} does not serve"
        );
        let found = Diagnostic::error("removed-api", message);
        return Some(found.note(format!("it comes with Kubernetes 1.{}", api.since)));
    }
    let (deprecated, removed) = (api.deprecated?, api.removed?);
    let found = if minor >= removed {
        let message = format!(
            "`{key}` is of `{api_version}`, which Kubernetes {kubernetes_version} does not serve"
        );
        Diagnostic::error("removed-api", message).note(format!("removed in Kubernetes 1.{removed}"))
    } else if minor >= deprecated {
        let message =
            format!("`{key}` is of `{api_version}`, which Kubernetes 1.{removed} removes");
        Diagnostic::warning("deprecated-api", message)
    } else {
        return None;
    };
    Some(match api.instead {
        "" => found.help("nothing replaces it: leave it out"),
        instead => found.help(format!("use `{instead}`")),
    })
}
