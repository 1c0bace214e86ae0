//! Pods, and the reasons why their containers do not run.

use std::fmt;

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
    let ended = containers(object).find_map(|container| {
        let code = container.exit_code("state").filter(|code| *code != 0)?;
        Some(format!("{container} ended with exit code {code}"))
    });
    ended.unwrap_or_else(|| "failed".to_owned())
}

/// A container whose last words say why its pod does not run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Culprit {
    /// Its name.
    pub container: String,
    /// Whether those words are of the run before this one.
    pub is_of_previous_run: bool,
}

/// The container of a pod that has ended with an error: for good, or about to be started again.
pub fn culprit(object: &Json) -> Option<Culprit> {
    let culprit = |container: &Container<'_>, is_of_previous_run| Culprit {
        container: container.name.to_owned(),
        is_of_previous_run,
    };
    containers(object).find_map(|container| {
        let is_wrong = |state| container.exit_code(state).is_some_and(|code| code != 0);
        if is_wrong("state") {
            Some(culprit(&container, false))
        } else if is_wrong("lastState") && !container.is_ready() {
            Some(culprit(&container, !container.is_waiting()))
        } else {
            None
        }
    })
}

/// The names of a pod's containers, those that run first ahead.
pub fn container_names(object: &Json) -> Vec<&str> {
    ["initContainers", "containers"]
        .into_iter()
        .flat_map(|field| access::list(object, &["spec", field]))
        .filter_map(|container| access::text(container, &["name"]))
        .collect()
}

fn stuck_container(object: &Json) -> Option<String> {
    containers(object).find_map(|container| {
        let status = container.status;
        let reason = access::text(status, &["state", "waiting", "reason"])?;
        if !STUCK.contains(&reason) {
            return None;
        }
        let message = access::text(status, &["state", "waiting", "message"]).unwrap_or_default();
        let exit_code = container.exit_code("lastState");
        let more = match (message, exit_code) {
            (_, Some(code)) if reason == "CrashLoopBackOff" => format!(" (exit code {code})"),
            ("", _) => String::new(),
            (message, _) => format!(" ({})", first_cause(message)),
        };
        Some(format!("{container} waits: {reason}{more}"))
    })
}

/// A kubelet tells every cause behind a colon; the first says what, the others say it again in the
/// words of lower layers.
fn first_cause(message: &str) -> &str {
    let end = message.find(": ErrImagePull:").or_else(|| message.find(": rpc error:"));
    message[..end.unwrap_or(message.len())].trim()
}

/// A container, as the pod's status has it.
struct Container<'a> {
    name: &'a str,
    is_init: bool,
    status: &'a Json,
}

impl Container<'_> {
    /// Of `state` or of `lastState`, where the container has ended.
    fn exit_code(&self, state: &str) -> Option<i64> {
        access::number(self.status, &[state, "terminated", "exitCode"])
    }

    fn is_ready(&self) -> bool {
        self.status.get("ready") == Some(&Json::Bool(true))
    }

    fn is_waiting(&self) -> bool {
        access::at(self.status, &["state", "waiting"]).is_some()
    }
}

impl fmt::Display for Container<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let init = if self.is_init { "init " } else { "" };
        write!(f, "{init}container `{}`", self.name)
    }
}

fn containers(object: &Json) -> impl Iterator<Item = Container<'_>> {
    [("initContainerStatuses", true), ("containerStatuses", false)].into_iter().flat_map(
        |(field, is_init)| {
            access::list(object, &["status", field]).iter().map(move |status| Container {
                name: access::text(status, &["name"]).unwrap_or_default(),
                is_init,
                status,
            })
        },
    )
}
