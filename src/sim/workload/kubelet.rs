//! What a node reports of a pod: a function of the pod and of the time since it came there.

use std::time::Duration;

use serde_json::{Value as Json, json};

use super::condition::Condition;
use super::image::{self, Fate};
use super::round::controller_kind;
use super::{names, node, time};
use crate::base::clock::Timestamp;
use crate::object::access;

/// How much longer a slow image takes.
const SLOW: Duration = Duration::from_mins(1);
/// How long a container that is to end runs.
const WORK: Duration = Duration::from_millis(700);
/// How long a crashing container lives.
const CRASH: Duration = Duration::from_secs(1);
/// How long a fading container runs well.
const FADES: Duration = Duration::from_mins(3);
/// The longest wait before a crashing container is started again.
const BACKOFF_MAX: Duration = Duration::from_mins(5);

/// A container at one instant.
struct Container<'a> {
    name: &'a str,
    image: &'a str,
    state: State,
    restarts: u32,
    /// When it became so, and when it changes next, since the pod's start.
    since: Duration,
    until: Option<Duration>,
}

enum State {
    Waiting { reason: &'static str, message: String },
    Running,
    Ended { exit_code: i64, started: Duration },
    CrashLoop { backoff: Duration },
}

/// A pod's course.
struct Course<'a> {
    pod: &'a Json,
    start: Timestamp,
    elapsed: Duration,
    /// From the moment that nothing is in the way until a container runs.
    startup: Duration,
    /// Whether containers end by themselves.
    is_finite: bool,
    /// Whether a failed container stays so.
    is_once: bool,
}

/// The status of a pod that its node has seen at `start`, and when it will next be another.
pub(super) fn observe(pod: &Json, start: Timestamp, now: Timestamp) -> (Json, Option<Timestamp>) {
    let policy = access::text(pod, &["spec", "restartPolicy"]).unwrap_or("Always");
    let is_finite = policy != "Always" || controller_kind(pod) == Some("Job");
    let hash = names::hash(&["start", access::name(pod)]);
    let millis = if is_finite { 300 + hash % 200 } else { 500 + hash % 1500 };
    let course = Course {
        pod,
        start,
        elapsed: time::since(start, now),
        startup: Duration::from_millis(millis),
        is_finite,
        is_once: policy == "Never",
    };
    let (begin, init) = course.init_containers();
    let containers: Vec<_> = access::list(pod, &["spec", "containers"])
        .iter()
        .map(|container| course.container(container, begin))
        .collect();
    // The sandbox is there before what runs in it.
    let sandbox = (course.elapsed < course.startup).then_some(course.startup);
    let untils = init.iter().chain(&containers).filter_map(|container| container.until);
    let until = untils.chain(sandbox).min();
    let status = course.status(begin, &init, &containers);
    (status, until.map(|until| time::after(start, until)))
}

impl Course<'_> {
    /// The init containers, and when the others may start: never, while one of them cannot end.
    fn init_containers(&self) -> (Option<Duration>, Vec<Container<'_>>) {
        let mut begin = Some(Duration::ZERO);
        let mut all = Vec::new();
        for container in access::list(self.pod, &["spec", "initContainers"]) {
            let image = access::text(container, &["image"]).unwrap_or_default();
            let name = access::text(container, &["name"]).unwrap_or_default();
            let is_sidecar = access::text(container, &["restartPolicy"]) == Some("Always");
            let mut state = self.container(container, begin);
            match (begin, image::fate(image)) {
                (None, _) => {}
                (Some(_), Fate::Unpullable | Fate::Crashing) => begin = None,
                (Some(from), fate) => {
                    let slow = if fate == Fate::Slow { SLOW } else { Duration::ZERO };
                    begin = Some(from + slow);
                    let done = from + slow + self.startup;
                    state = if self.elapsed < done {
                        waiting(name, image, "PodInitializing", from, Some(done))
                    } else {
                        let ended = State::Ended { exit_code: 0, started: from + slow };
                        let running = if is_sidecar { State::Running } else { ended };
                        Container {
                            name,
                            image,
                            state: running,
                            restarts: 0,
                            since: done,
                            until: None,
                        }
                    };
                }
            }
            all.push(state);
        }
        (begin, all)
    }

    /// A container that may start at `begin`.
    fn container<'a>(&self, container: &'a Json, begin: Option<Duration>) -> Container<'a> {
        let image = access::text(container, &["image"]).unwrap_or_default();
        let name = access::text(container, &["name"]).unwrap_or_default();
        let fate = image::fate(image);
        let Some(begin) = begin else {
            return waiting(name, image, "PodInitializing", Duration::ZERO, None);
        };
        let slow = if fate == Fate::Slow { SLOW } else { Duration::ZERO };
        let up = begin + slow + self.startup;
        if self.elapsed < up {
            let has_init = !access::list(self.pod, &["spec", "initContainers"]).is_empty();
            let reason = if has_init { "PodInitializing" } else { "ContainerCreating" };
            return waiting(name, image, reason, Duration::ZERO, Some(up));
        }
        let with =
            |state, since, until| Container { name, image, state, restarts: 0, since, until };
        match fate {
            Fate::Unpullable => with(
                State::Waiting {
                    reason: "ImagePullBackOff",
                    message: format!(
                        "Back-off pulling image \"{image}\": ErrImagePull: rpc error: code = \
                         NotFound desc = failed to pull and unpack image \"{image}\": not found"
                    ),
                },
                up,
                None,
            ),
            Fate::Crashing if self.is_once => match up + CRASH {
                end if self.elapsed < end => with(State::Running, up, Some(end)),
                end => with(State::Ended { exit_code: 1, started: up }, end, None),
            },
            Fate::Crashing => self.crash_loop(name, image, up + CRASH),
            Fate::Fading if !self.is_finite => match up + FADES {
                end if self.elapsed < end => with(State::Running, up, Some(end)),
                end => self.crash_loop(name, image, end),
            },
            Fate::Fine | Fate::Slow | Fate::Fading if self.is_finite => match up + WORK {
                end if self.elapsed < end => with(State::Running, up, Some(end)),
                end => with(State::Ended { exit_code: 0, started: up }, end, None),
            },
            Fate::Fine | Fate::Slow | Fate::Fading => with(State::Running, up, None),
        }
    }

    /// A container whose first end is at `first`: the waits double up to five minutes.
    fn crash_loop<'a>(&self, name: &'a str, image: &'a str, first: Duration) -> Container<'a> {
        if self.elapsed < first {
            return waiting(name, image, "ContainerCreating", Duration::ZERO, Some(first));
        }
        let mut backoff = Duration::from_secs(10);
        let mut since = first;
        let mut restarts = 1;
        while self.elapsed >= since + backoff + CRASH {
            since += backoff + CRASH;
            backoff = (backoff * 2).min(BACKOFF_MAX);
            restarts += 1;
        }
        let until = Some(since + backoff + CRASH);
        Container { name, image, state: State::CrashLoop { backoff }, restarts, since, until }
    }

    fn status(
        &self,
        begin: Option<Duration>,
        init: &[Container<'_>],
        containers: &[Container<'_>],
    ) -> Json {
        let phase = phase(init, containers);
        let mut status = json!({
            "phase": phase,
            "startTime": time::micros(self.start),
            "qosClass": qos_class(self.pod),
            "conditions": self.conditions(begin, init, containers, phase),
            "containerStatuses": self.container_statuses(containers, true),
        });
        if !init.is_empty() {
            status["initContainerStatuses"] = self.container_statuses(init, false);
        }
        if let Some(generation) = access::number(self.pod, &["metadata", "generation"]) {
            status["observedGeneration"] = Json::from(generation);
        }
        let node = access::text(self.pod, &["spec", "nodeName"]).unwrap_or_default();
        let host = node::address(node);
        status["hostIP"] = Json::from(host.as_str());
        status["hostIPs"] = json!([{"ip": host}]);
        if self.elapsed >= self.startup {
            let is_on_host =
                access::at(self.pod, &["spec", "hostNetwork"]) == Some(&Json::Bool(true));
            let ip = if is_on_host { host } else { address(self.pod, node) };
            status["podIP"] = Json::from(ip.as_str());
            status["podIPs"] = json!([{"ip": ip}]);
        }
        status
    }

    fn conditions(
        &self,
        begin: Option<Duration>,
        init: &[Container<'_>],
        containers: &[Container<'_>],
        phase: &str,
    ) -> Json {
        let before = access::list(self.pod, &["status", "conditions"]);
        let changed = containers.iter().chain(init).map(|container| container.since).max();
        let changed = time::after(self.start, changed.unwrap_or_default());
        let unready: Vec<_> =
            containers.iter().filter(|container| !container.is_ready()).map(|c| c.name).collect();
        let message = format!("containers with unready status: [{}]", unready.join(" "));
        let ready = |kind| match (phase, unready.is_empty()) {
            ("Succeeded", _) => Condition::new(kind, false, "PodCompleted", ""),
            (_, true) => Condition::new(kind, true, "", ""),
            (_, false) => Condition::new(kind, false, "ContainersNotReady", &message),
        };
        let waiting: Vec<_> = init.iter().filter(|c| !c.is_done()).map(|c| c.name).collect();
        let initialized = if begin.is_some_and(|begin| self.elapsed >= begin) && waiting.is_empty()
        {
            let reason = if phase == "Succeeded" { "PodCompleted" } else { "" };
            Condition::new("Initialized", true, reason, "")
        } else {
            let message = format!("containers with incomplete status: [{}]", waiting.join(" "));
            Condition::new("Initialized", false, "ContainersNotInitialized", &message)
        };
        let has_sandbox = self.elapsed >= self.startup && phase != "Succeeded" && phase != "Failed";
        json!([
            Condition::new("PodReadyToStartContainers", has_sandbox, "", "").entry(before, changed),
            initialized.entry(before, changed),
            ready("Ready").entry(before, changed),
            ready("ContainersReady").entry(before, changed),
            Condition::new("PodScheduled", true, "", "").entry(before, self.start),
        ])
    }

    fn container_statuses(&self, containers: &[Container<'_>], with_started: bool) -> Json {
        let at = |since: Duration| time::seconds(time::after(self.start, since));
        let one = |container: &Container<'_>| {
            let id = names::hash(&["container", access::uid(self.pod), container.name]);
            let id = format!("containerd://{id:016x}{:016x}", id.rotate_left(32));
            let crash = |end: Duration| {
                json!({"terminated": {
                    "exitCode": 1, "reason": "Error", "containerID": id,
                    "startedAt": at(end.saturating_sub(CRASH)), "finishedAt": at(end),
                }})
            };
            let (state, last_state) = match &container.state {
                State::Waiting { reason, message } if message.is_empty() => {
                    (json!({"waiting": {"reason": reason}}), json!({}))
                }
                State::Waiting { reason, message } => {
                    (json!({"waiting": {"reason": reason, "message": message}}), json!({}))
                }
                State::Running => {
                    (json!({"running": {"startedAt": at(container.since)}}), json!({}))
                }
                State::Ended { exit_code, started } => {
                    let reason = if *exit_code == 0 { "Completed" } else { "Error" };
                    let ended = json!({"terminated": {
                        "exitCode": exit_code, "reason": reason, "containerID": id,
                        "startedAt": at(*started), "finishedAt": at(container.since),
                    }});
                    (ended, json!({}))
                }
                State::CrashLoop { backoff } => {
                    (self.crash_loop_state(container.name, *backoff), crash(container.since))
                }
            };
            let has_run = !matches!(container.state, State::Waiting { .. });
            let is_up = matches!(container.state, State::Running);
            let mut status = json!({
                "name": container.name, "image": container.image, "ready": container.is_ready(),
                "imageID": "", "restartCount": container.restarts, "state": state,
                "lastState": last_state,
            });
            if has_run {
                status["containerID"] = Json::from(id.as_str());
                status["imageID"] = Json::from(container.image);
            }
            if with_started || is_up {
                status["started"] = Json::from(is_up);
            }
            status
        };
        containers.iter().map(one).collect()
    }

    fn crash_loop_state(&self, container: &str, backoff: Duration) -> Json {
        let seconds = backoff.as_secs();
        let backoff = match (seconds / 60, seconds % 60) {
            (0, seconds) => format!("{seconds}s"),
            (minutes, seconds) => format!("{minutes}m{seconds}s"),
        };
        let (name, namespace) = (access::name(self.pod), access::namespace(self.pod));
        let message = format!(
            "back-off {backoff} restarting failed container={container} pod={name}_{namespace}({})",
            access::uid(self.pod)
        );
        json!({"waiting": {"reason": "CrashLoopBackOff", "message": message}})
    }
}

impl Container<'_> {
    fn is_ready(&self) -> bool {
        let is_crashing = image::fate(self.image) == Fate::Crashing;
        matches!(self.state, State::Running) && !is_crashing
    }

    /// Whether an init container stands in nobody's way any more.
    fn is_done(&self) -> bool {
        matches!(self.state, State::Running | State::Ended { exit_code: 0, .. })
    }
}

fn waiting<'a>(
    name: &'a str,
    image: &'a str,
    reason: &'static str,
    since: Duration,
    until: Option<Duration>,
) -> Container<'a> {
    let state = State::Waiting { reason, message: String::new() };
    Container { name, image, state, restarts: 0, since, until }
}

fn phase(init: &[Container<'_>], containers: &[Container<'_>]) -> &'static str {
    let ends = |container: &Container<'_>| match container.state {
        State::Ended { exit_code, .. } => Some(exit_code),
        _ => None,
    };
    if init.iter().any(|container| ends(container).is_some_and(|code| code != 0)) {
        return "Failed";
    }
    if containers.iter().all(|container| ends(container).is_some()) && !containers.is_empty() {
        let is_failed = containers.iter().any(|container| ends(container) != Some(0));
        return if is_failed { "Failed" } else { "Succeeded" };
    }
    let is_waiting = |container: &Container<'_>| matches!(container.state, State::Waiting { .. });
    if init.iter().any(|container| !container.is_done()) || containers.iter().any(is_waiting) {
        return "Pending";
    }
    "Running"
}

/// The address of a pod on a node.
fn address(pod: &Json, node: &str) -> String {
    let hash = names::hash(&["pod", access::namespace(pod), access::name(pod)]);
    format!("10.244.{}.{}", names::hash(&["node", node]) % 254, 2 + hash % 252)
}

/// The quality of service that the resources of all containers give.
fn qos_class(pod: &Json) -> &'static str {
    let mut has_any = false;
    let mut is_guaranteed = true;
    for list in ["initContainers", "containers"] {
        for container in access::list(pod, &["spec", list]) {
            let amounts = |field| access::at(container, &["resources", field]);
            let (limits, requests) = (amounts("limits"), amounts("requests"));
            has_any |=
                [limits, requests].into_iter().flatten().any(|amounts| *amounts != json!({}));
            is_guaranteed &= ["cpu", "memory"].iter().all(|resource| {
                let limit = limits.and_then(|limits| limits.get(resource));
                let request = requests.and_then(|requests| requests.get(resource));
                limit.is_some() && (request.is_none() || request == limit)
            });
        }
    }
    match (has_any, is_guaranteed) {
        (false, _) => "BestEffort",
        (true, true) => "Guaranteed",
        (true, false) => "Burstable",
    }
}
