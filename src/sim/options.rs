//! What a query says about how to write, delete, list and watch: checked before anything is done.

use serde_json::{Value as Json, json};

use super::request::Request;
use super::status::{Cause, StatusError};
use crate::object::access;

/// Longest name of a field manager, in bytes.
const MANAGER_MAX: usize = 128;
const APPLY: &str = "application/apply-patch+yaml";

/// Checks the options of a create or an update.
///
/// # Errors
/// 422 for what makes no sense.
pub(super) fn check_write(request: &Request, kind: &str) -> Result<(), StatusError> {
    let mut causes = Vec::new();
    check_manager(request, &mut causes);
    check_dry_run(&given_stages(request), &mut causes);
    check_validation(request, &mut causes);
    refuse(kind, &causes)
}

/// Checks the options of a patch.
///
/// # Errors
/// 422 for what makes no sense.
pub(super) fn check_patch(request: &Request) -> Result<(), StatusError> {
    let mut causes = Vec::new();
    if request.content_type == APPLY {
        if request.query.get("fieldManager").is_empty() {
            causes.push(Cause::required("fieldManager", "is required for apply patch"));
        }
    } else if request.query.has("force") {
        causes.push(Cause::forbidden("force", "may not be specified for non-apply patch"));
    }
    check_manager(request, &mut causes);
    check_dry_run(&given_stages(request), &mut causes);
    check_validation(request, &mut causes);
    refuse("PatchOptions", &causes)
}

/// Checks the options of a deletion: those of the body, with those of the query in it.
///
/// # Errors
/// 422 for what makes no sense.
pub(super) fn check_deletion(options: &Json) -> Result<(), StatusError> {
    let mut causes = Vec::new();
    let propagation = access::text(options, &["propagationPolicy"]);
    let orphans = options.get("orphanDependents").is_some_and(|value| !value.is_null());
    match propagation {
        Some(policy) if orphans => causes.push(Cause::invalid(
            "propagationPolicy",
            &Json::from(policy),
            "orphanDependents and deletionPropagation cannot be both set",
        )),
        Some("Foreground" | "Background" | "Orphan") | None => {}
        Some(other) => {
            let known = ["Foreground", "Background", "Orphan", "nil"];
            causes.push(Cause::unsupported("propagationPolicy", &Json::from(other), &known));
        }
    }
    let stages: Vec<&str> =
        access::list(options, &["dryRun"]).iter().filter_map(Json::as_str).collect();
    check_dry_run(&stages, &mut causes);
    refuse("DeleteOptions", &causes)
}

/// Checks the options of a list or a watch.
///
/// # Errors
/// 422 for what makes no sense.
pub(super) fn check_list(request: &Request) -> Result<(), StatusError> {
    const MATCH: &str = "resourceVersionMatch";
    let query = &request.query;
    let (version, how) = (query.get("resourceVersion"), query.get(MATCH));
    let mut causes = Vec::new();
    if query.has("sendInitialEvents") {
        if how != "NotOlderThan" {
            let why = "sendInitialEvents requires setting resourceVersionMatch to NotOlderThan";
            causes.push(Cause::forbidden(MATCH, why));
        }
        if !query.is_true("watch") {
            let why = "sendInitialEvents is forbidden for list";
            causes.push(Cause::forbidden("sendInitialEvents", why));
        }
        return refuse("ListOptions", &causes);
    }
    if !how.is_empty() {
        if query.is_true("watch") {
            let why = "resourceVersionMatch is forbidden for watch unless sendInitialEvents is \
                       provided";
            causes.push(Cause::forbidden(MATCH, why));
        }
        if version.is_empty() {
            let why = "resourceVersionMatch is forbidden unless resourceVersion is provided";
            causes.push(Cause::forbidden(MATCH, why));
        }
        match how {
            "Exact" if version == "0" => {
                let why = "resourceVersionMatch \"exact\" is forbidden for resourceVersion \"0\"";
                causes.push(Cause::forbidden(MATCH, why));
            }
            "Exact" | "NotOlderThan" => {}
            other => causes.push(Cause::unsupported(
                MATCH,
                &Json::from(other),
                &["Exact", "NotOlderThan", ""],
            )),
        }
    }
    refuse("ListOptions", &causes)
}

fn refuse(kind: &str, causes: &[Cause]) -> Result<(), StatusError> {
    if causes.is_empty() { Ok(()) } else { Err(StatusError::bad_options(kind, causes)) }
}

fn check_manager(request: &Request, causes: &mut Vec<Cause>) {
    if request.query.get("fieldManager").len() > MANAGER_MAX {
        causes.push(Cause::too_long("fieldManager", MANAGER_MAX));
    }
}

fn given_stages(request: &Request) -> Vec<&str> {
    Some(request.query.get("dryRun")).filter(|stage| !stage.is_empty()).into_iter().collect()
}

fn check_dry_run(stages: &[&str], causes: &mut Vec<Cause>) {
    if stages.iter().any(|stage| *stage != "All") {
        causes.push(Cause::unsupported("dryRun", &json!(stages), &["All"]));
    }
}

fn check_validation(request: &Request, causes: &mut Vec<Cause>) {
    let given = request.query.get("fieldValidation");
    let known = ["", "Ignore", "Strict", "Warn"];
    if !known.contains(&given) {
        causes.push(Cause::unsupported("fieldValidation", &Json::from(given), &known));
    }
}
