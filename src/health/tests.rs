//! One table of objects and what they are.

use serde_json::{Value as Json, json};

use super::*;

fn check(object: Json, condition: Condition, message: &str) {
    let health = of(&object);
    assert_eq!(health, Health { condition, message: message.to_owned() }, "{object}");
}

fn workload(kind: &str, spec: Json, status: Json) -> Json {
    json!({
        "apiVersion": "apps/v1", "kind": kind,
        "metadata": {"name": "w", "generation": 2},
        "spec": spec, "status": status,
    })
}

#[test]
fn a_deployment_is_ready_once_all_its_replicas_are_new_and_available() {
    let object = |status| workload("Deployment", json!({"replicas": 3}), status);
    check(
        object(json!({"observedGeneration": 1})),
        Condition::Progressing,
        "the newest generation is not observed yet",
    );
    check(
        object(json!({"observedGeneration": 2, "replicas": 3, "updatedReplicas": 1})),
        Condition::Progressing,
        "1 of 3 replicas are updated",
    );
    check(
        object(json!({"observedGeneration": 2, "replicas": 4, "updatedReplicas": 3})),
        Condition::Progressing,
        "3 of 4 replicas are new",
    );
    check(
        object(json!({
            "observedGeneration": 2, "replicas": 3, "updatedReplicas": 3, "availableReplicas": 2,
        })),
        Condition::Progressing,
        "2 of 3 replicas are available",
    );
    check(
        object(json!({
            "observedGeneration": 2, "replicas": 3, "updatedReplicas": 3, "availableReplicas": 3,
        })),
        Condition::Ready,
        "3 of 3 replicas are available",
    );
}

#[test]
fn a_deployment_that_exceeded_its_deadline_has_failed() {
    check(
        workload(
            "Deployment",
            json!({}),
            json!({"observedGeneration": 2, "conditions": [{
                "type": "Progressing", "status": "False", "reason": "ProgressDeadlineExceeded",
                "message": "ReplicaSet \"w-1\" has timed out progressing.",
            }]}),
        ),
        Condition::Failed,
        "made no progress in time: ReplicaSet \"w-1\" has timed out progressing.",
    );
}

#[test]
fn a_stateful_set_waits_for_the_new_revision_above_its_partition() {
    let object = |partition| {
        workload(
            "StatefulSet",
            json!({"replicas": 3, "updateStrategy": {"rollingUpdate": {"partition": partition}}}),
            json!({
                "observedGeneration": 2, "replicas": 3, "readyReplicas": 3, "updatedReplicas": 1,
                "currentRevision": "a", "updateRevision": "b",
            }),
        )
    };
    check(object(0), Condition::Progressing, "1 of 3 replicas are updated");
    check(object(2), Condition::Ready, "3 of 3 replicas are ready");
}

#[test]
fn a_daemon_set_without_nodes_is_ready() {
    check(
        workload("DaemonSet", json!({}), json!({"observedGeneration": 2})),
        Condition::Ready,
        "0 of 0 pods are available",
    );
    check(
        workload(
            "DaemonSet",
            json!({}),
            json!({"observedGeneration": 2, "desiredNumberScheduled": 2,
                   "updatedNumberScheduled": 2, "numberAvailable": 1}),
        ),
        Condition::Progressing,
        "1 of 2 pods are available",
    );
}

#[test]
fn a_job_is_ready_once_it_is_complete() {
    let job = |conditions| json!({"apiVersion": "batch/v1", "kind": "Job", "status": {"conditions": conditions}});
    check(job(json!([])), Condition::Progressing, "0 of 1 pod is done");
    check(job(json!([{"type": "Complete", "status": "True"}])), Condition::Ready, "is complete");
    check(
        job(json!([{"type": "Failed", "status": "True", "reason": "BackoffLimitExceeded"}])),
        Condition::Failed,
        "failed: BackoffLimitExceeded",
    );
}

#[test]
fn pods_say_why_they_do_not_run() {
    let pod = |status| json!({"apiVersion": "v1", "kind": "Pod", "status": status});
    check(
        pod(json!({"phase": "Pending", "containerStatuses": [{"name": "server",
            "state": {"waiting": {"reason": "ImagePullBackOff", "message": "no such tag"}}}]})),
        Condition::Stalled,
        "container `server` waits: ImagePullBackOff (no such tag)",
    );
    check(
        pod(json!({"phase": "Running", "containerStatuses": [{"name": "server",
            "state": {"waiting": {"reason": "CrashLoopBackOff"}},
            "lastState": {"terminated": {"exitCode": 137}}}]})),
        Condition::Stalled,
        "container `server` waits: CrashLoopBackOff (exit code 137)",
    );
    check(
        pod(json!({"phase": "Pending", "conditions": [{"type": "PodScheduled", "status": "False",
            "reason": "Unschedulable", "message": "0/3 nodes are available"}]})),
        Condition::Stalled,
        "cannot be scheduled: 0/3 nodes are available",
    );
    check(
        pod(json!({"phase": "Failed", "containerStatuses": [
            {"name": "a", "state": {"terminated": {"exitCode": 2}}}]})),
        Condition::Failed,
        "container `a` ended with exit code 2",
    );
    check(
        pod(json!({"phase": "Running", "conditions": [{"type": "Ready", "status": "True"}]})),
        Condition::Ready,
        "is ready",
    );
}

#[test]
fn other_kinds() {
    check(
        json!({"apiVersion": "v1", "kind": "PersistentVolumeClaim", "status": {"phase": "Lost"}}),
        Condition::Failed,
        "lost its volume",
    );
    check(
        json!({"apiVersion": "v1", "kind": "Service", "spec": {"type": "LoadBalancer"}}),
        Condition::Progressing,
        "has no address yet",
    );
    check(
        json!({"apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition"}),
        Condition::Progressing,
        "is not established yet",
    );
    check(
        json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"generation": 3}}),
        Condition::Ready,
        "is there",
    );
    check(
        json!({"apiVersion": "x.org/v1", "kind": "Thing", "status": {"conditions": [
            {"type": "Ready", "status": "False", "reason": "NoQuota"}]}}),
        Condition::Progressing,
        "is not ready: NoQuota",
    );
    check(
        json!({"apiVersion": "x.org/v1", "kind": "Thing", "status": {"conditions": [
            {"type": "Stalled", "status": "True", "message": "gave up"},
            {"type": "Ready", "status": "False"}]}}),
        Condition::Stalled,
        "is stalled: gave up",
    );
    check(
        json!({"apiVersion": "v1", "kind": "ConfigMap",
               "metadata": {"deletionTimestamp": "2026-01-01T00:00:00Z"}}),
        Condition::Progressing,
        "is being deleted since 2026-01-01T00:00:00Z",
    );
}

#[test]
fn kinds_that_nothing_waits_for_say_what_is_wrong_with_them() {
    check(
        json!({"apiVersion": "batch/v1", "kind": "CronJob", "spec": {"suspend": true}}),
        Condition::Ready,
        "is suspended",
    );
    check(
        json!({"apiVersion": "autoscaling/v2", "kind": "HorizontalPodAutoscaler",
               "status": {"conditions": [{"type": "AbleToScale", "status": "True"},
                   {"type": "ScalingActive", "status": "False", "message": "no metrics"}]}}),
        Condition::Ready,
        "is there, and does not scale: no metrics",
    );
    check(
        json!({"apiVersion": "policy/v1", "kind": "PodDisruptionBudget",
               "metadata": {"generation": 2}, "status": {"observedGeneration": 1}}),
        Condition::Progressing,
        "the newest generation is not observed yet",
    );
    check(
        json!({"apiVersion": "policy/v1", "kind": "PodDisruptionBudget",
               "status": {"conditions": [{"type": "DisruptionAllowed", "status": "False",
                   "reason": "SyncFailed", "message": "found no controller"}]}}),
        Condition::Ready,
        "is there, and protects nothing: found no controller",
    );
    check(
        json!({"apiVersion": "apiregistration.k8s.io/v1", "kind": "APIService",
               "status": {"conditions": [{"type": "Available", "status": "False",
                   "reason": "MissingEndpoints", "message": "no endpoints"}]}}),
        Condition::Progressing,
        "is not available: no endpoints",
    );
    check(
        json!({"apiVersion": "apiregistration.k8s.io/v1", "kind": "APIService",
               "spec": {"service": {"name": "metrics", "namespace": "kube-system"}}}),
        Condition::Progressing,
        "is not looked at yet by the API server",
    );
    check(
        json!({"apiVersion": "apiregistration.k8s.io/v1", "kind": "APIService"}),
        Condition::Ready,
        "is served by the API server",
    );
    check(
        json!({"apiVersion": "v1", "kind": "ReplicationController", "spec": {"replicas": 2},
               "status": {"availableReplicas": 1}}),
        Condition::Progressing,
        "1 of 2 replicas are available",
    );
}

#[test]
fn what_is_being_deleted_names_what_holds_it() {
    let widget = json!({
        "apiVersion": "example.org/v1", "kind": "Widget",
        "metadata": {
            "name": "w", "namespace": "n", "deletionTimestamp": "2026-01-01T00:00:00Z",
            "finalizers": ["example.org/guard", "foregroundDeletion"],
            "managedFields": [{"manager": "guardian", "fieldsV1":
                {"f:metadata": {"f:finalizers": {"v:\"example.org/guard\"": {}}}}}],
        },
    });
    assert_eq!(
        deletion::words(&widget),
        "is being deleted since 2026-01-01T00:00:00Z: finalizer `example.org/guard` holds it until \
         `guardian` takes it off; finalizer `foregroundDeletion` holds it until all that it owns \
         is gone"
    );
    let help = deletion::help(&widget).unwrap();
    assert!(help.starts_with("see whether `guardian` runs"), "{help}");
    assert!(help.contains("kubectl patch widget.example.org w -n n --type=merge"), "{help}");
    let namespace = json!({
        "apiVersion": "v1", "kind": "Namespace", "spec": {"finalizers": ["kubernetes"]},
        "metadata": {"name": "n", "deletionTimestamp": "2026-01-01T00:00:00Z"},
        "status": {"conditions": [{"type": "NamespaceContentRemaining", "status": "True",
            "message": "widgets.example.org has 1 resource instances"}]},
    });
    assert_eq!(
        deletion::words(&namespace),
        "is being deleted since 2026-01-01T00:00:00Z: finalizer `kubernetes` holds it until \
         everything in it is gone: widgets.example.org has 1 resource instances"
    );
    assert_eq!(deletion::help(&namespace), None, "time is all it takes");
}

#[test]
fn the_container_whose_log_tells_is_the_one_that_ended_with_an_error() {
    let pod = |state: Json| {
        json!({"kind": "Pod", "status": {"containerStatuses": [
            {"name": "fine", "ready": true, "state": {"running": {}}},
            state,
        ]}})
    };
    let culprit = |container: &str, is_of_previous_run| {
        Some(pod::Culprit { container: container.to_owned(), is_of_previous_run })
    };
    let ended = json!({"terminated": {"exitCode": 1}});
    let waits = pod(json!({"name": "c", "state": {"waiting": {}}, "lastState": ended}));
    assert_eq!(pod::culprit(&waits), culprit("c", false));
    let again = pod(json!({"name": "c", "state": {"running": {}}, "lastState": ended}));
    assert_eq!(pod::culprit(&again), culprit("c", true));
    let once = pod(json!({"name": "c", "state": ended}));
    assert_eq!(pod::culprit(&once), culprit("c", false));
    let pulls = pod(json!({"name": "c", "state": {"waiting": {"reason": "ErrImagePull"}}}));
    assert_eq!(pod::culprit(&pulls), None);
}

#[test]
fn a_workload_that_is_not_ready_is_stalled_when_a_pod_is_stuck() {
    let deployment = workload(
        "Deployment",
        json!({"replicas": 1}),
        json!({"observedGeneration": 2, "replicas": 2, "updatedReplicas": 1}),
    );
    let stuck = json!({"kind": "Pod", "metadata": {"name": "w-1"}, "status": {
        "containerStatuses": [{"name": "c", "state": {"waiting": {"reason": "ErrImagePull"}}}]}});
    let health = of_workload(&deployment, &[stuck]);
    assert_eq!(health.condition, Condition::Stalled);
    assert_eq!(
        health.message,
        "1 of 2 replicas are new; pod `w-1`: container `c` waits: ErrImagePull"
    );
}

#[test]
fn of_many_the_most_urgent_decides() {
    let ready = Health::ready("is there");
    let progressing = Health::progressing("is starting");
    let failed = Health::failed("gave up");
    let all = |parts: &[(&str, &Health)]| {
        of_all(parts.iter().map(|(name, health)| ((*name).to_owned(), *health)))
    };
    assert_eq!(all(&[("a", &ready), ("b", &ready)]), Health::ready("2 of 2 objects are ready"));
    assert_eq!(
        all(&[("a", &progressing), ("b", &failed), ("c", &ready)]),
        Health::failed("b: gave up")
    );
    assert!(all(&[]).is_ready());
}
