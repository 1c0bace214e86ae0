//! Pods, and the reasons why their containers do not run.

use serde_json::Value as Json;

use super::{Health, access, condition};

/// Reasons to wait that do not pass without help.
const STUCK: [&str; 9] = [
    "ImagePullBackOff",
    "ErrImagePull",
    "InvalidImageName",
    "ErrImageNeverPull",
    "ImageInspectError",
    "CreateContainerConfigError",
    "CreateContainerError",
    "CrashLoopBackOff",
    "RunContainerError",
];

pub(super) fn health(object: &Json) -> Health {
    match access::text(object, &["status", "phase"]).unwrap_or_default() {
        "Succeeded" => return Health::ready("has completed"),
        "Failed" => return Health::failed(failure(object)),
        _ => {}
    }
    if let Some(stuck) = stuck_container(object) {
        return Health::stalled(stuck);
    }
    if let Some(scheduled) = condition(object, "PodScheduled")
        && scheduled.is_false()
    {
        let words = scheduled.words();
        return match scheduled.reason {
            "Unschedulable" => Health::stalled(format!("cannot be scheduled: {words}")),
            _ => Health::progressing(format!("is not scheduled yet: {words}")),
        };
    }
    match condition(object, "Ready") {
        Some(ready) if ready.is_true() => Health::ready("is ready"),
        Some(ready) => Health::progressing(format!("is not ready: {}", ready.words())),
        None => Health::progressing("is starting"),
    }
}

fn failure(object: &Json) -> String {
    let text = |field| access::text(object, &["status", field]).unwrap_or_default();
    if !text("message").is_empty() {
        return format!("failed: {}", text("message"));
    }
    if !text("reason").is_empty() {
        return format!("failed: {}", text("reason"));
    }
    let ended = statuses(object).find_map(|(name, status)| {
        let code = access::number(status, &["state", "terminated", "exitCode"])?;
        (code != 0).then(|| format!("container `{name}` ended with exit code {code}"))
    });
    ended.unwrap_or_else(|| "failed".to_owned())
}

fn stuck_container(object: &Json) -> Option<String> {
    statuses(object).find_map(|(name, status)| {
        let reason = access::text(status, &["state", "waiting", "reason"])?;
        if !STUCK.contains(&reason) {
            return None;
        }
        let message = access::text(status, &["state", "waiting", "message"]).unwrap_or_default();
        let exit_code = access::number(status, &["lastState", "terminated", "exitCode"]);
        let more = match (message, exit_code) {
            (_, Some(code)) if reason == "CrashLoopBackOff" => format!(" (exit code {code})"),
            ("", _) => String::new(),
            (message, _) => format!(" ({})", first_cause(message)),
        };
        Some(format!("container `{name}` waits: {reason}{more}"))
    })
}

/// A kubelet tells every cause behind a colon; the first says what, the others say it again in the
/// words of lower layers.
fn first_cause(message: &str) -> &str {
    let end = message.find(": ErrImagePull:").or_else(|| message.find(": rpc error:"));
    message[..end.unwrap_or(message.len())].trim()
}

fn statuses(object: &Json) -> impl Iterator<Item = (&str, &Json)> {
    ["initContainerStatuses", "containerStatuses"]
        .into_iter()
        .flat_map(|field| access::list(object, &["status", field]))
        .map(|status| (access::text(status, &["name"]).unwrap_or_default(), status))
}
