//! Tables as text, the way `kubectl get` and `kubectl get -o wide` print them.

use std::collections::BTreeMap;

use insta::assert_snapshot;
use serde_json::json;

use super::*;

fn now() -> Timestamp {
    "2026-01-01T01:00:00Z".parse().unwrap()
}

/// A printed table; columns behind the bar are those of `-o wide`.
fn printed(kind: &str, group: &str, objects: &[Json], columns: &[Json]) -> String {
    let objects: Vec<_> = objects.iter().collect();
    let table = table(kind, group, &objects, columns, now(), IncludeObject::None);
    let definitions = table["columnDefinitions"].as_array().unwrap();
    let header: Vec<String> = definitions
        .iter()
        .map(|column| {
            let wide = if column["priority"] == 0 { "" } else { "|" };
            format!("{wide}{}", column["name"].as_str().unwrap().to_uppercase())
        })
        .collect();
    let mut lines = vec![header];
    for row in table["rows"].as_array().unwrap() {
        let cells = row["cells"].as_array().unwrap();
        assert_eq!(cells.len(), definitions.len(), "a cell for each column of {kind}");
        lines.push(cells.iter().map(cells::plain).collect());
    }
    let mut widths = BTreeMap::new();
    for line in &lines {
        for (at, cell) in line.iter().enumerate() {
            let width = widths.entry(at).or_insert(0);
            *width = cell.len().max(*width);
        }
    }
    let mut text = String::new();
    for line in &lines {
        let cells: Vec<_> =
            line.iter().enumerate().map(|(at, cell)| format!("{cell:0$}", widths[&at])).collect();
        text += cells.join("  ").trim_end();
        text.push('\n');
    }
    text
}

/// An object that is as old as it can be by the clock of these tests: an hour.
fn object(text: &str) -> Json {
    let mut object: Json = serde_yaml::from_str(text).unwrap();
    object["metadata"]["creationTimestamp"] = json!("2026-01-01T00:00:00Z");
    if object["metadata"].get("name").is_none() {
        object["metadata"]["name"] = json!("web");
    }
    object
}

fn builtin(kind: &str, group: &str, texts: &[&str]) -> String {
    let objects: Vec<_> = texts.iter().map(|text| object(text)).collect();
    printed(kind, group, &objects, &[])
}

#[test]
fn workloads() {
    let spec = "{replicas: 3, selector: {matchLabels: {app: web}, matchExpressions: [{key: a, \
        operator: In, values: [y, x]}, {key: b, operator: Exists}]}, template: {spec: {containers: \
        [{name: a, image: 'a:1'}, {name: b, image: 'b:2'}]}}}";
    let of =
        |status: &str| format!("{{kind: Any, metadata: {{}}, spec: {spec}, status: {status}}}");
    let replicas = of("{replicas: 4, updatedReplicas: 1, readyReplicas: 3, availableReplicas: 2}");
    let daemons = of("{desiredNumberScheduled: 5, currentNumberScheduled: 4, numberReady: 3, \
        updatedNumberScheduled: 2, numberAvailable: 1}");
    let tables = [
        builtin("Deployment", "apps", &[&replicas]),
        builtin("ReplicaSet", "apps", &[&replicas]),
        builtin("StatefulSet", "apps", &[&replicas]),
        builtin("DaemonSet", "apps", &[&daemons]),
        builtin(
            "ControllerRevision",
            "apps",
            &[
                "{metadata: {ownerReferences: [{apiVersion: apps/v1, kind: DaemonSet, name: web}]}, revision: 3}",
            ],
        ),
        builtin(
            "Job",
            "batch",
            &[
                "{metadata: {}, spec: {completions: 3}, status: {succeeded: 1, startTime: '2026-01-01T00:00:00Z'}}",
                "{metadata: {}, spec: {parallelism: 2}, status: {succeeded: 1, startTime: '2026-01-01T00:00:00Z', \
                completionTime: '2026-01-01T00:00:07Z', conditions: [{type: Complete, status: 'True'}]}}",
            ],
        ),
        builtin(
            "CronJob",
            "batch",
            &[
                "{metadata: {}, spec: {schedule: '@daily', jobTemplate: {spec: {template: {spec: {containers: \
                [{name: a, image: b}]}}}}}}",
            ],
        ),
    ];
    assert_snapshot!(tables.join("\n"));
}

#[test]
fn pods_say_what_is_wrong() {
    let pod = |name: &str, status: &str| {
        format!(
            "{{metadata: {{name: {name}}}, spec: {{nodeName: node-01, containers: [{{name: a}}, {{name: b}}], \
             initContainers: [{{name: i}}]}}, status: {status}}}"
        )
    };
    let pods = [
        pod(
            "running",
            "{phase: Running, podIPs: [{ip: 10.0.0.1}], conditions: [{type: Ready, status: 'True'}, \
            {type: Initialized, status: 'True'}], initContainerStatuses: [{name: i, state: {terminated: \
            {exitCode: 0}}}], containerStatuses: [{name: a, ready: true, restartCount: 2, state: {running: {}}, \
            lastState: {terminated: {finishedAt: '2026-01-01T00:30:00Z'}}}, {name: b, ready: true, state: {running: {}}}]}",
        ),
        pod(
            "pulling",
            "{phase: Pending, containerStatuses: [{name: a, state: {waiting: {reason: \
            ImagePullBackOff}}}, {name: b, ready: true, state: {running: {}}}]}",
        ),
        pod("init", "{phase: Pending, initContainerStatuses: [{name: i, state: {running: {}}}]}"),
        pod(
            "init-broken",
            "{phase: Pending, initContainerStatuses: [{name: i, restartCount: 1, state: {waiting: \
            {reason: CrashLoopBackOff}}}]}",
        ),
        pod(
            "done",
            "{phase: Succeeded, containerStatuses: [{name: a, state: {terminated: {exitCode: 0, reason: \
            Completed}}}]}",
        ),
        pod(
            "failed",
            "{phase: Failed, containerStatuses: [{name: a, state: {terminated: {exitCode: 3}}}]}",
        ),
        pod("waiting", "{phase: Pending}"),
    ];
    let texts: Vec<_> = pods.iter().map(String::as_str).collect();
    let mut objects: Vec<_> = texts.iter().map(|text| object(text)).collect();
    objects.push(object("{metadata: {name: ending, deletionTimestamp: '2026-01-01T00:59:00Z'}, status: {phase: Running}}"));
    assert_snapshot!(printed("Pod", "", &objects, &[]));
}

#[test]
fn other_kinds() {
    let tables = [
        builtin(
            "Service",
            "",
            &[
                "{metadata: {}, spec: {type: ClusterIP, clusterIPs: [10.96.0.1], ports: [{port: 443, protocol: TCP}], \
                selector: {b: c, a: b}}}",
                "{metadata: {}, spec: {type: LoadBalancer, clusterIPs: [10.96.0.2], ports: [{port: 80, nodePort: 30080, \
                protocol: TCP}]}, status: {loadBalancer: {ingress: [{ip: 203.0.113.7}]}}}",
                "{metadata: {}, spec: {type: LoadBalancer}}",
                "{metadata: {}, spec: {type: ExternalName, externalName: example.org}}",
            ],
        ),
        builtin(
            "Node",
            "",
            &[
                "{metadata: {labels: {node-role.kubernetes.io/worker: ''}}, spec: {unschedulable: true}, \
            status: {conditions: [{type: Ready, status: 'True'}], nodeInfo: {kubeletVersion: v1.35.4}}}",
            ],
        ),
        builtin("Namespace", "", &["{metadata: {}, status: {phase: Active}}"]),
        builtin("Secret", "", &["{metadata: {}, type: Opaque, data: {a: '', b: ''}}"]),
        builtin("ConfigMap", "", &["{metadata: {}, data: {a: ''}, binaryData: {b: ''}}"]),
        builtin("ServiceAccount", "", &["{metadata: {}}"]),
        builtin(
            "PersistentVolumeClaim",
            "",
            &["{metadata: {}, spec: {volumeName: pvc-1, storageClassName: ceph, \
            volumeMode: Filesystem}, status: {phase: Bound, capacity: {storage: 1Gi}, accessModes: [ReadWriteOnce]}}"],
        ),
        builtin(
            "PersistentVolume",
            "",
            &["{metadata: {}, spec: {capacity: {storage: 1Gi}, accessModes: [ReadWriteMany]}}"],
        ),
        builtin(
            "Event",
            "",
            &[
                "{metadata: {}, lastTimestamp: '2026-01-01T00:50:00Z', type: Normal, reason: Pulled, \
            involvedObject: {kind: Pod, name: web}, message: ' all well '}",
            ],
        ),
        builtin(
            "Endpoints",
            "",
            &["{metadata: {}, subsets: [{addresses: [{ip: 1.1.1.1}, {ip: 1.1.1.2}], ports: \
            [{port: 80}, {port: 443}]}]}"],
        ),
        builtin(
            "RoleBinding",
            "rbac.authorization.k8s.io",
            &["{metadata: {}, roleRef: {kind: Role, name: r}, subjects: \
            [{kind: User, name: u}, {kind: ServiceAccount, name: s, namespace: n}]}"],
        ),
        builtin("ClusterRole", "rbac.authorization.k8s.io", &["{metadata: {}}"]),
        builtin(
            "Ingress",
            "networking.k8s.io",
            &["{metadata: {}, spec: {rules: [{host: a.org}], tls: [{}]}}"],
        ),
        builtin(
            "IngressClass",
            "networking.k8s.io",
            &["{metadata: {}, spec: {controller: x.org/c}}"],
        ),
        builtin("NetworkPolicy", "networking.k8s.io", &["{metadata: {}, spec: {podSelector: {}}}"]),
        builtin(
            "StorageClass",
            "storage.k8s.io",
            &["{metadata: {annotations: \
            {storageclass.kubernetes.io/is-default-class: 'true'}}, provisioner: x.org/p}"],
        ),
        builtin(
            "CSIDriver",
            "storage.k8s.io",
            &["{metadata: {}, spec: {volumeLifecycleModes: [Persistent]}}"],
        ),
        builtin(
            "PriorityClass",
            "scheduling.k8s.io",
            &["{metadata: {}, value: 7, preemptionPolicy: Never}"],
        ),
        builtin("Lease", "coordination.k8s.io", &["{metadata: {}, spec: {holderIdentity: me}}"]),
        builtin(
            "EndpointSlice",
            "discovery.k8s.io",
            &["{metadata: {}, addressType: IPv4, ports: [{port: 80}], \
            endpoints: [{addresses: [1.1.1.1]}]}"],
        ),
        builtin(
            "PodDisruptionBudget",
            "policy",
            &["{metadata: {}, spec: {minAvailable: 50%}, status: {disruptionsAllowed: 1}}"],
        ),
        builtin(
            "HorizontalPodAutoscaler",
            "autoscaling",
            &["{metadata: {}, spec: {minReplicas: 1, maxReplicas: 5, \
            scaleTargetRef: {kind: Deployment, name: web}, metrics: [{type: Resource, resource: {name: cpu, target: \
            {averageUtilization: 80}}}, {type: Pods, pods: {target: {averageValue: 100}}}, {type: Pods}]}}"],
        ),
        builtin(
            "ValidatingWebhookConfiguration",
            "admissionregistration.k8s.io",
            &["{metadata: {}, webhooks: [{}, {}]}"],
        ),
        builtin(
            "ValidatingAdmissionPolicy",
            "admissionregistration.k8s.io",
            &["{metadata: {}, spec: {validations: [{}]}}"],
        ),
        builtin(
            "ValidatingAdmissionPolicyBinding",
            "admissionregistration.k8s.io",
            &["{metadata: {}, spec: {policyName: p}}"],
        ),
        builtin("CustomResourceDefinition", "apiextensions.k8s.io", &["{metadata: {}}"]),
    ];
    assert_snapshot!(tables.join("\n"));
}

#[test]
fn custom_kinds_have_their_own_columns() {
    let columns = [
        json!({"name": "Ready", "type": "string", "jsonPath": ".status.conditions[?(@.type==\"Ready\")].status"}),
        json!({"name": "Weight", "type": "integer", "jsonPath": ".spec.weight"}),
        json!({"name": "Spec", "type": "string", "jsonPath": ".spec", "priority": 1}),
        json!({"name": "Since", "type": "date", "jsonPath": ".metadata.creationTimestamp"}),
    ];
    let objects = [
        object(
            "{metadata: {}, spec: {weight: 3}, status: {conditions: [{type: Ready, status: 'True'}]}}",
        ),
        object("{metadata: {}}"),
    ];
    let with = printed("Thing", "x.org", &objects, &columns);
    assert_snapshot!(format!("{with}\n{}", printed("Thing", "x.org", &objects, &[])));
}

#[test]
fn a_row_carries_as_much_of_its_object_as_was_asked_for() {
    let object = object("{kind: Secret, metadata: {}, data: {a: b}}");
    let carried = |include| {
        let table = table("Secret", "", &[&object], &[], now(), include);
        table["rows"][0]["object"].clone()
    };
    assert_eq!(carried(IncludeObject::None), Json::Null);
    assert_eq!(carried(IncludeObject::Object), object);
    let metadata = carried(IncludeObject::Metadata);
    assert_eq!(metadata["kind"], "PartialObjectMetadata");
    assert_eq!(metadata.get("data"), None);
}
