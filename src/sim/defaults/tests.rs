//! Objects before and after.

use std::fmt::Write as _;

use insta::assert_snapshot;
use proptest::prelude::*;

use super::*;

fn filled(text: &str) -> Json {
    let mut object: Json = serde_yaml::from_str(text).unwrap();
    apply(&mut object);
    let once = object.clone();
    apply(&mut object);
    assert_eq!(object, once, "twice is once");
    object
}

fn all(texts: &[&str]) -> String {
    let mut all = String::new();
    for text in texts {
        writeln!(all, "{}---", serde_yaml::to_string(&filled(text)).unwrap()).unwrap();
    }
    all
}

const POD: &str = "
      initContainers: [{name: init, image: \"busybox@sha256:00\"}]
      containers:
      - name: server
        image: registry:5000/server
        resources: {limits: {cpu: 0.5, memory: 1024Mi}}
        ports: [{containerPort: 80}]
        livenessProbe: {httpGet: {port: 80}, timeoutSeconds: 0}
        readinessProbe: {grpc: {port: 90}, periodSeconds: 3}
        lifecycle: {preStop: {httpGet: {port: 80, path: /stop}}}
        env:
        - {name: A, valueFrom: {fieldRef: {fieldPath: metadata.name}}}
        - {name: B, valueFrom: {resourceFieldRef: {resource: limits.cpu}}}
      serviceAccountName: web
      hostNetwork: true
      volumes:
      - {name: none}
      - {name: s, secret: {secretName: s}}
      - {name: h, hostPath: {path: /tmp}}
      - {name: p, projected: {sources: [{serviceAccountToken: {path: t}}]}}
";

#[test]
fn workloads_say_all_that_there_is_to_say() {
    let spec = format!("spec:\n  template:\n    spec:{POD}");
    let of = |kind: &str, more: &str| {
        format!("apiVersion: apps/v1\nkind: {kind}\nmetadata: {{name: web}}\n{spec}{more}")
    };
    assert_snapshot!(all(&[
        &of("Deployment", ""),
        &of("Deployment", "  strategy: {type: Recreate}"),
        &of("DaemonSet", "  updateStrategy: {rollingUpdate: {maxUnavailable: 50%}}"),
        &of(
            "StatefulSet",
            "  volumeClaimTemplates: [{metadata: {name: data}, spec: {resources: \
            {requests: {storage: 1024Mi}}}}]"
        ),
    ]));
}

#[test]
fn pods_and_jobs_say_all_that_there_is_to_say() {
    let spec = format!("spec:\n  template:\n    spec:{POD}");
    let spec_of_pod = format!("spec:{}", POD.replace("\n      ", "\n  "));
    assert_snapshot!(all(&[
        &format!("apiVersion: v1\nkind: Pod\nmetadata: {{name: web}}\n{spec_of_pod}"),
        "{apiVersion: batch/v1, kind: Job, metadata: {name: j, uid: u1}, spec: {template: \
            {metadata: {labels: {a: b}}, spec: {restartPolicy: Never, containers: []}}}}",
        "{apiVersion: batch/v1, kind: CronJob, metadata: {name: j}, spec: {schedule: '* * * * *', \
            jobTemplate: {spec: {template: {spec: {containers: []}}}}}}",
        &format!("apiVersion: v1\nkind: ReplicationController\nmetadata: {{name: web}}\n{spec}"),
    ]));
}

#[test]
fn services_get_addresses_and_ports() {
    let of = |spec: &str| {
        format!(
            "{{apiVersion: v1, kind: Service, metadata: {{name: web, namespace: d}}, spec: {spec}}}"
        )
    };
    assert_snapshot!(all(&[
        &of("{ports: [{port: 80}]}"),
        &of("{type: LoadBalancer, ports: [{port: 80, targetPort: http, protocol: UDP}]}"),
        &of("{type: NodePort, ports: [{port: 80, nodePort: 30080}], sessionAffinity: ClientIP}"),
        &of("{clusterIP: None, ports: [{port: 80}]}"),
        &of("{type: ExternalName, externalName: example.org}"),
    ]));
}

#[test]
fn other_kinds_get_theirs() {
    assert_snapshot!(all(&[
        "{apiVersion: v1, kind: Namespace, metadata: {name: tools}}",
        "{apiVersion: v1, kind: Secret, metadata: {name: s}, stringData: {a: b}, data: {a: eA==, c: eA==}}",
        "{apiVersion: v1, kind: LimitRange, metadata: {name: l}, spec: {limits: [{type: Container, max: {cpu: 1}, min: {memory: 1Mi}}]}}",
        "{apiVersion: networking.k8s.io/v1, kind: NetworkPolicy, metadata: {name: n}, spec: {podSelector: {}, egress: [{ports: [{port: 53}]}]}}",
        "{apiVersion: autoscaling/v2, kind: HorizontalPodAutoscaler, metadata: {name: h}, spec: {maxReplicas: 3, behavior: {scaleDown: {}}}}",
        "{apiVersion: rbac.authorization.k8s.io/v1, kind: RoleBinding, metadata: {name: r}, roleRef: {kind: Role, name: r}, subjects: [{kind: User, name: u}, {kind: ServiceAccount, name: s}]}",
        "{apiVersion: storage.k8s.io/v1, kind: StorageClass, metadata: {name: s}, provisioner: p}",
        "{apiVersion: storage.k8s.io/v1, kind: CSIDriver, metadata: {name: c}, spec: {}}",
        "{apiVersion: admissionregistration.k8s.io/v1, kind: MutatingWebhookConfiguration, metadata: {name: m}, webhooks: [{name: w, clientConfig: {service: {name: s}}, rules: [{operations: [CREATE]}]}]}",
        "{apiVersion: admissionregistration.k8s.io/v1, kind: ValidatingAdmissionPolicy, metadata: {name: v}, spec: {matchConstraints: {resourceRules: [{}]}}}",
        "{apiVersion: apiextensions.k8s.io/v1, kind: CustomResourceDefinition, metadata: {name: things.x.org}, spec: {names: {kind: Thing, plural: things}, versions: [{name: v1}]}}",
        "{apiVersion: x.org/v1, kind: Deployment, metadata: {name: other}, spec: {}}",
    ]));
}

fn any_json() -> impl Strategy<Value = Json> {
    let leaf = prop_oneof![
        Just(Json::Null),
        any::<bool>().prop_map(Json::from),
        any::<i32>().prop_map(Json::from),
        prop::sample::select(vec!["", "1Gi", "x", "RollingUpdate", "LoadBalancer"])
            .prop_map(Json::from),
    ];
    let key = prop::sample::select(vec![
        "spec",
        "template",
        "containers",
        "resources",
        "limits",
        "strategy",
        "ports",
        "volumes",
        "metadata",
        "labels",
        "type",
        "webhooks",
        "behavior",
        "names",
        "stringData",
        "data",
    ]);
    leaf.prop_recursive(6, 60, 6, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..3).prop_map(Json::from),
            prop::collection::btree_map(key.clone().prop_map(str::to_owned), inner, 0..5)
                .prop_map(|fields| Json::Object(fields.into_iter().collect())),
        ]
    })
}

proptest! {
    #[test]
    fn anything_at_all_is_filled_in_once(
        kind in prop::sample::select(vec![
            ("apps/v1", "Deployment"), ("apps/v1", "StatefulSet"), ("v1", "Service"), ("v1", "Pod"),
            ("batch/v1", "Job"), ("v1", "Secret"), ("v1", "LimitRange"),
            ("autoscaling/v2", "HorizontalPodAutoscaler"),
            ("apiextensions.k8s.io/v1", "CustomResourceDefinition"),
        ]),
        mut object in any_json(),
    ) {
        if object.is_object() {
            object["apiVersion"] = Json::from(kind.0);
            object["kind"] = Json::from(kind.1);
        }
        apply(&mut object);
        let once = object.clone();
        apply(&mut object);
        prop_assert_eq!(object, once);
    }
}
