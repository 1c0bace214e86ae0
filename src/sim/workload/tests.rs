//! Clusters over time, as text: what each object is at each moment that something happens.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::time::Duration;

use insta::assert_snapshot;
use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::health;
use crate::object::access;

/// Rounds after which a cluster must have settled.
const ROUNDS_MAX: usize = 100;

/// A cluster with the least of a store: identities, generations, and the end of orphans.
struct Cluster {
    objects: BTreeMap<ObjectKey, Json>,
    nodes: u32,
    start: Timestamp,
    now: Timestamp,
    uids: u32,
    /// What is looked at after each round.
    watch: fn(&Cluster),
}

impl Cluster {
    fn new(nodes: u32) -> Self {
        let start = "2026-01-01T00:00:00Z".parse().unwrap();
        let mut cluster =
            Self { objects: BTreeMap::new(), nodes, start, now: start, uids: 0, watch: |_| {} };
        cluster.settle();
        cluster
    }

    fn view(&self) -> View<'_> {
        View { objects: &self.objects, nodes: self.nodes, now: self.now }
    }

    /// Creates or replaces an object, as a user would.
    fn put(&mut self, object: Json) {
        let key = access::key_of(&object);
        if self.objects.contains_key(&key) {
            self.carry_out(Effect::Update(object));
        } else {
            self.carry_out(Effect::Create(object));
        }
        self.settle();
    }

    fn delete(&mut self, key: &ObjectKey) {
        self.carry_out(Effect::Delete(key.clone()));
        self.settle();
    }

    fn carry_out(&mut self, effect: Effect) {
        match effect {
            Effect::Create(mut object) => {
                let key = access::key_of(&object);
                assert!(!self.objects.contains_key(&key), "{key} is made twice");
                assert!(object.get("status").is_none(), "{key} is made with a status");
                self.uids += 1;
                object["metadata"]["uid"] = json!(format!("uid-{}", self.uids));
                object["metadata"]["creationTimestamp"] = json!(time::seconds(self.now));
                object["metadata"]["generation"] = json!(1);
                self.objects.insert(key, object);
            }
            Effect::Update(mut object) => {
                let key = access::key_of(&object);
                let before = &self.objects[&key];
                object["metadata"]["uid"] = before["metadata"]["uid"].clone();
                object["metadata"]["creationTimestamp"] =
                    before["metadata"]["creationTimestamp"].clone();
                let generation = access::number(before, &["metadata", "generation"]).unwrap();
                let is_same = object.get("spec") == before.get("spec");
                object["metadata"]["generation"] = json!(generation + i64::from(!is_same));
                if let Some(status) = before.get("status") {
                    object["status"] = status.clone();
                }
                self.objects.insert(key, object);
            }
            Effect::UpdateStatus(object) => {
                let key = access::key_of(&object);
                let before = self.objects.get_mut(&key).expect("its object is there");
                assert_ne!(before.get("status"), object.get("status"), "{key}: nothing is new");
                before["status"] = object["status"].clone();
            }
            Effect::Delete(key) => {
                assert!(self.objects.remove(&key).is_some(), "{key} is deleted twice");
                self.collect_garbage();
            }
        }
    }

    fn collect_garbage(&mut self) {
        loop {
            let uids: BTreeSet<_> = self.objects.values().map(access::uid).collect();
            let is_orphan = |object: &Json| {
                let owners = access::list(object, &["metadata", "ownerReferences"]);
                let is_gone = |owner: &Json| {
                    !uids.contains(access::text(owner, &["uid"]).unwrap_or_default())
                };
                !owners.is_empty() && owners.iter().all(is_gone)
            };
            let orphans: Vec<_> = self
                .objects
                .iter()
                .filter(|(_, object)| is_orphan(object))
                .map(|(key, _)| key.clone())
                .collect();
            if orphans.is_empty() {
                return;
            }
            for orphan in orphans {
                self.objects.remove(&orphan);
            }
        }
    }

    /// Lets the controllers work until there is nothing left to do at this time.
    fn settle(&mut self) {
        for _ in 0..ROUNDS_MAX {
            let effects = step(&self.view());
            if effects.is_empty() {
                return;
            }
            for effect in effects {
                // A pod may have gone with its owner in the same round.
                let is_void = match &effect {
                    Effect::Create(_) => false,
                    Effect::Update(object) | Effect::UpdateStatus(object) => {
                        !self.objects.contains_key(&access::key_of(object))
                    }
                    Effect::Delete(key) => !self.objects.contains_key(key),
                };
                if !is_void {
                    self.carry_out(effect);
                }
            }
            (self.watch)(self);
        }
        panic!("the cluster does not settle");
    }

    /// Goes to the next moment at which something happens; whether there is one before `until`.
    fn tick(&mut self, until: Timestamp) -> bool {
        match next_wake(&self.view()).filter(|next| *next <= until) {
            Some(next) => {
                assert!(next > self.now, "a settled cluster has nothing to do now");
                self.now = next;
                assert!(!step(&self.view()).is_empty(), "it wakes for nothing at {next}");
                self.settle();
                true
            }
            None => {
                self.now = until;
                false
            }
        }
    }

    fn run(&mut self, seconds: u64) {
        let until = time::after(self.now, Duration::from_secs(seconds));
        while self.tick(until) {}
    }

    /// What the objects of some kinds are, from now on, whenever it changes.
    fn picture(&mut self, kinds: &[&str], seconds: u64) -> String {
        let mut text = String::new();
        let mut before = BTreeMap::new();
        let until = time::after(self.now, Duration::from_secs(seconds));
        loop {
            let lines: BTreeMap<_, _> = self
                .objects
                .iter()
                .filter(|(key, _)| kinds.contains(&key.kind.as_str()))
                .map(|(key, object)| (format!("{}/{}", key.kind, key.name), line(object)))
                .collect();
            let at = self.now.duration_since(self.start).as_secs_f64();
            for (name, line) in &lines {
                if before.get(name) != Some(line) {
                    writeln!(text, "{at:7.3}  {name}  {line}").unwrap();
                }
            }
            for name in before.keys().filter(|name| !lines.contains_key(*name)) {
                writeln!(text, "{at:7.3}  {name}  is gone").unwrap();
            }
            before = lines;
            if !self.tick(until) {
                return text;
            }
        }
    }

    fn one(&self, kind: &str, name: &str) -> &Json {
        let found = self.objects.iter().find(|(key, _)| key.kind == kind && key.name == name);
        found.expect("it is there").1
    }

    fn count(&self, kind: &str) -> usize {
        self.objects.keys().filter(|key| key.kind == kind).count()
    }
}

/// Health, and for workloads the numbers that `kubectl get` shows.
fn line(object: &Json) -> String {
    let health = health::of(object);
    let number = |field| access::number(object, &["status", field]).unwrap_or(0);
    let numbers = match access::kind(object) {
        "Deployment" => format!(
            "{} present, {} new, {} available; ",
            number("replicas"),
            number("updatedReplicas"),
            number("availableReplicas")
        ),
        "ReplicaSet" => format!("{} present; ", number("replicas")),
        "StatefulSet" => format!(
            "{} present, {} new, {} ready; ",
            number("replicas"),
            number("updatedReplicas"),
            number("readyReplicas")
        ),
        "DaemonSet" => format!(
            "{} wanted, {} new, {} available; ",
            number("desiredNumberScheduled"),
            number("updatedNumberScheduled"),
            number("numberAvailable")
        ),
        "Pod" => format!("{}; ", access::text(object, &["status", "phase"]).unwrap_or("Unknown")),
        _ => String::new(),
    };
    format!("{numbers}{:?}: {}", health.condition, health.message)
}

fn template(image: &str) -> Json {
    json!({
        "metadata": {"labels": {"app": "web"}},
        "spec": {"containers": [{"name": "server", "image": image}]},
    })
}

fn workload(kind: &str, replicas: i64, image: &str) -> Json {
    let mut object = json!({
        "apiVersion": "apps/v1", "kind": kind,
        "metadata": {"name": "web", "namespace": "default"},
        "spec": {"selector": {"matchLabels": {"app": "web"}}, "template": template(image)},
    });
    if kind != "DaemonSet" {
        object["spec"]["replicas"] = json!(replicas);
    }
    object
}

fn job(image: &str, spec: Json) -> Json {
    let mut object = json!({
        "apiVersion": "batch/v1", "kind": "Job",
        "metadata": {"name": "setup", "namespace": "default"},
        "spec": spec,
    });
    object["spec"]["template"] = template(image);
    object["spec"]["template"]["spec"]["restartPolicy"] = json!("Never");
    object
}

#[test]
fn a_deployment_comes_up_and_goes_to_a_new_image_pod_by_pod() {
    let mut cluster = Cluster::new(2);
    cluster.put(workload("Deployment", 3, "web:1"));
    let mut text = cluster.picture(&["Deployment", "ReplicaSet"], 5);
    text += "--- web:2\n";
    cluster.put(workload("Deployment", 3, "web:2"));
    text += &cluster.picture(&["Deployment", "ReplicaSet"], 20);
    assert_snapshot!(text);
}

#[test]
fn an_image_that_cannot_be_pulled_stops_an_update_and_going_back_heals_it() {
    let mut cluster = Cluster::new(2);
    cluster.put(workload("Deployment", 2, "web:1"));
    cluster.run(5);
    let mut broken = workload("Deployment", 2, "web:2-broken");
    broken["spec"]["progressDeadlineSeconds"] = json!(30);
    cluster.put(broken);
    let mut text = cluster.picture(&["Deployment", "Pod"], 60);
    text += "--- web:1\n";
    cluster.put(workload("Deployment", 2, "web:1"));
    text += &cluster.picture(&["Deployment", "Pod"], 20);
    assert_snapshot!(text);
    let revision = |kind, name: &str| {
        access::annotation(cluster.one(kind, name), "deployment.kubernetes.io/revision")
            .map(str::to_owned)
    };
    assert_eq!(revision("Deployment", "web").as_deref(), Some("3"));
}

#[test]
fn a_crashing_container_waits_longer_each_time() {
    let mut cluster = Cluster::new(1);
    cluster.put(workload("Deployment", 1, "web:crash"));
    let mut text = String::new();
    for _ in 0..7 {
        cluster.run(20);
        let pod = cluster.objects.values().find(|object| access::kind(object) == "Pod").unwrap();
        let status = &pod["status"]["containerStatuses"][0];
        writeln!(text, "{} {}", status["restartCount"], status["state"]).unwrap();
    }
    assert_snapshot!(text);
}

#[test]
fn a_slow_image_takes_a_minute() {
    let mut cluster = Cluster::new(1);
    cluster.put(workload("Deployment", 1, "web:slow"));
    assert_snapshot!(cluster.picture(&["Deployment"], 100));
}

#[test]
fn deployments_that_recreate_end_all_old_pods_first() {
    let mut cluster = Cluster::new(1);
    let of = |image| {
        let mut object = workload("Deployment", 2, image);
        object["spec"]["strategy"] = json!({"type": "Recreate"});
        object
    };
    cluster.put(of("web:1"));
    cluster.run(5);
    cluster.put(of("web:2"));
    assert_snapshot!(cluster.picture(&["Deployment", "ReplicaSet"], 20));
}

#[test]
fn a_paused_deployment_only_scales() {
    let mut cluster = Cluster::new(1);
    cluster.put(workload("Deployment", 1, "web:1"));
    cluster.run(5);
    let mut paused = workload("Deployment", 3, "web:2");
    paused["spec"]["paused"] = json!(true);
    cluster.put(paused);
    assert_snapshot!(cluster.picture(&["Deployment", "ReplicaSet"], 20));
}

#[test]
fn old_replica_sets_are_forgotten_beyond_the_limit() {
    let mut cluster = Cluster::new(1);
    for version in 1..6 {
        let mut object = workload("Deployment", 1, &format!("web:{version}"));
        object["spec"]["revisionHistoryLimit"] = json!(2);
        cluster.put(object);
        cluster.run(10);
    }
    assert_eq!(cluster.count("ReplicaSet"), 3);
    assert_eq!(cluster.count("Pod"), 1);
}

#[test]
fn an_api_service_is_available_once_a_pod_of_its_service_is_ready() {
    let mut cluster = Cluster::new(1);
    let reason = |cluster: &Cluster, name: &str| {
        cluster.one("APIService", name)["status"]["conditions"][0]["reason"].clone()
    };
    let of = |name: &str, spec: Json| {
        json!({"apiVersion": "apiregistration.k8s.io/v1", "kind": "APIService",
               "metadata": {"name": name}, "spec": spec})
    };
    cluster.put(of("v1.", json!({"version": "v1"})));
    let service = json!({"name": "web", "namespace": "default"});
    cluster.put(of("v1.metrics.example.org", json!({"service": service})));
    cluster.run(10);
    assert_eq!(reason(&cluster, "v1."), "Local");
    assert_eq!(reason(&cluster, "v1.metrics.example.org"), "ServiceNotFound");
    cluster.put(json!({"apiVersion": "v1", "kind": "Service",
        "metadata": {"name": "web", "namespace": "default"}, "spec": {"selector": {"app": "web"}}}));
    cluster.run(10);
    assert_eq!(reason(&cluster, "v1.metrics.example.org"), "MissingEndpoints");
    cluster.put(workload("Deployment", 1, "web:1"));
    cluster.run(30);
    assert_eq!(reason(&cluster, "v1.metrics.example.org"), "Passed");
}

#[test]
fn a_stateful_set_goes_one_by_one_and_a_broken_one_stands_still() {
    let mut cluster = Cluster::new(2);
    let of = |image| {
        let mut object = workload("StatefulSet", 2, image);
        object["spec"]["volumeClaimTemplates"] = json!([{
            "metadata": {"name": "data"},
            "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}},
        }]);
        object
    };
    let kinds = ["StatefulSet", "Pod", "PersistentVolumeClaim"];
    cluster.put(of("web:1"));
    let mut text = cluster.picture(&kinds, 10);
    text += "--- web:2\n";
    cluster.put(of("web:2"));
    text += &cluster.picture(&kinds, 10);
    text += "--- web:3-broken\n";
    cluster.put(of("web:3-broken"));
    text += &cluster.picture(&kinds, 60);
    assert_snapshot!(text);
}

#[test]
fn a_stateful_set_keeps_what_is_below_its_partition() {
    let mut cluster = Cluster::new(2);
    let of = |image, partition| {
        let mut object = workload("StatefulSet", 3, image);
        object["spec"]["updateStrategy"] =
            json!({"type": "RollingUpdate", "rollingUpdate": {"partition": partition}});
        object
    };
    cluster.put(of("web:1", 0));
    cluster.run(20);
    cluster.put(of("web:2", 2));
    cluster.run(20);
    let images = |cluster: &Cluster| {
        let pod =
            |place| &cluster.one("Pod", &format!("web-{place}"))["spec"]["containers"][0]["image"];
        [0, 1, 2].map(|place| pod(place).as_str().unwrap().to_owned())
    };
    assert_eq!(images(&cluster), ["web:1", "web:1", "web:2"]);
    let lost = replicas::pod_key("default", "web-0");
    cluster.delete(&lost);
    cluster.run(20);
    assert_eq!(images(&cluster), ["web:1", "web:1", "web:2"]);
}

#[test]
fn a_daemon_set_has_a_pod_on_each_node_and_updates_one_at_a_time() {
    let mut cluster = Cluster::new(3);
    cluster.put(workload("DaemonSet", 0, "web:1"));
    let mut text = cluster.picture(&["DaemonSet"], 5);
    text += "--- web:2\n";
    cluster.put(workload("DaemonSet", 0, "web:2"));
    text += &cluster.picture(&["DaemonSet"], 20);
    text += "--- web:3-broken\n";
    cluster.put(workload("DaemonSet", 0, "web:3-broken"));
    text += &cluster.picture(&["DaemonSet"], 20);
    assert_snapshot!(text);
}

#[test]
fn a_daemon_set_for_nodes_that_are_not_there_is_content() {
    let mut cluster = Cluster::new(3);
    let mut object = workload("DaemonSet", 0, "web:1");
    object["spec"]["template"]["spec"]["nodeSelector"] = json!({"gpu": "yes"});
    cluster.put(object);
    assert_snapshot!(cluster.picture(&["DaemonSet", "Pod"], 5));
}

#[test]
fn a_pod_that_fits_no_node_says_so() {
    let mut cluster = Cluster::new(3);
    let mut object = workload("Deployment", 1, "web:1");
    object["spec"]["template"]["spec"]["nodeSelector"] = json!({"gpu": "yes"});
    cluster.put(object);
    assert_snapshot!(cluster.picture(&["Deployment", "Pod"], 5));
}

#[test]
fn init_containers_come_first() {
    let mut cluster = Cluster::new(1);
    let mut slow = workload("Deployment", 1, "web:1");
    slow["spec"]["template"]["spec"]["initContainers"] =
        json!([{"name": "migrate", "image": "migrate:slow"}]);
    cluster.put(slow);
    let mut text = cluster.picture(&["Deployment", "Pod"], 100);
    text += "--- migrate:broken\n";
    let mut broken = workload("Deployment", 1, "web:1");
    broken["spec"]["template"]["spec"]["initContainers"] =
        json!([{"name": "migrate", "image": "migrate:broken"}]);
    cluster.put(broken);
    text += &cluster.picture(&["Deployment", "Pod"], 10);
    assert_snapshot!(text);
}

#[test]
fn a_job_comes_to_its_end() {
    let mut cluster = Cluster::new(1);
    cluster.put(job("setup:1", json!({"completions": 3, "parallelism": 2})));
    assert_snapshot!(cluster.picture(&["Job", "Pod"], 30));
}

#[test]
fn a_job_that_keeps_crashing_gives_up() {
    let mut cluster = Cluster::new(1);
    cluster.put(job("setup:crash", json!({"backoffLimit": 2})));
    assert_snapshot!(cluster.picture(&["Job", "Pod"], 300));
}

#[test]
fn a_job_has_a_deadline_and_a_time_to_live() {
    let mut cluster = Cluster::new(1);
    cluster.put(job(
        "setup:broken",
        json!({"activeDeadlineSeconds": 20, "ttlSecondsAfterFinished": 5}),
    ));
    assert_snapshot!(cluster.picture(&["Job", "Pod"], 300));
}

#[test]
fn other_kinds_come_to_life() {
    let mut cluster = Cluster::new(1);
    cluster.put(json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "tools"}}));
    cluster.put(json!({
        "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
        "metadata": {"name": "things.example.org"},
        "spec": {"names": {"kind": "Thing", "plural": "things"}, "versions": [
            {"name": "v1", "served": true, "storage": true},
        ]},
    }));
    cluster.put(json!({
        "apiVersion": "v1", "kind": "Service", "metadata": {"name": "web", "namespace": "default"},
        "spec": {"type": "LoadBalancer"},
    }));
    cluster.put(json!({
        "apiVersion": "policy/v1", "kind": "PodDisruptionBudget",
        "metadata": {"name": "web", "namespace": "default"},
        "spec": {"minAvailable": 1, "selector": {"matchLabels": {"app": "web"}}},
    }));
    cluster.put(workload("Deployment", 2, "web:1"));
    cluster.run(10);
    let kinds = [
        "Node",
        "Namespace",
        "ServiceAccount",
        "CustomResourceDefinition",
        "Service",
        "PodDisruptionBudget",
        "Pod",
    ];
    let mut text = String::new();
    for (key, object) in &cluster.objects {
        if kinds.contains(&key.kind.as_str()) {
            writeln!(text, "# {key}\n{}", serde_yaml::to_string(object).unwrap()).unwrap();
        }
    }
    assert_snapshot!(text);
}

#[test]
fn what_is_being_deleted_is_left_alone() {
    let mut cluster = Cluster::new(1);
    cluster.put(workload("Deployment", 2, "web:1"));
    cluster.run(10);
    let key = access::key_of(cluster.one("Deployment", "web"));
    let ending = cluster.objects.get_mut(&key).unwrap();
    ending["metadata"]["deletionTimestamp"] = json!("2026-01-01T00:01:00Z");
    ending["spec"]["replicas"] = json!(5);
    assert_eq!(step(&cluster.view()), []);
}

/// Pods in all, and pods that are up.
fn pods(cluster: &Cluster) -> (usize, usize) {
    let pods = cluster.objects.values().filter(|object| access::kind(object) == "Pod");
    let pods: Vec<_> = pods.collect();
    (pods.len(), pods.iter().filter(|pod| replicas::is_ready(pod)).count())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn an_update_never_leaves_its_bounds_and_ends(
        replicas in 1_i64..7,
        surge in 0_i64..4,
        unavailable in 0_i64..4,
        minutes in prop::collection::vec(0_u64..4, 3),
    ) {
        let unavailable = if surge == 0 { unavailable.max(1) } else { unavailable }.min(replicas);
        let of = |version: usize| {
            let mut object = workload("Deployment", replicas, &format!("web:{version}"));
            object["spec"]["strategy"] = json!({"rollingUpdate":
                {"maxSurge": surge, "maxUnavailable": unavailable}});
            object
        };
        let mut cluster = Cluster::new(3);
        cluster.put(of(0));
        cluster.run(30);
        cluster.watch = |cluster| {
            let deployment = cluster.one("Deployment", "web");
            let bound = |field| access::number(
                deployment, &["spec", "strategy", "rollingUpdate", field]).unwrap() as usize;
            let wanted = deployment["spec"]["replicas"].as_u64().unwrap() as usize;
            let (all, up) = pods(cluster);
            assert!(all <= wanted + bound("maxSurge"), "{all} pods");
            assert!(up + bound("maxUnavailable") >= wanted, "{up} pods are up");
        };
        // A change may come while the one before is under way.
        for (version, seconds) in minutes.into_iter().enumerate() {
            cluster.put(of(version + 1));
            cluster.run(seconds);
        }
        cluster.run(120);
        let deployment = cluster.one("Deployment", "web");
        prop_assert!(health::of(deployment).is_ready(), "{deployment}");
        prop_assert_eq!(pods(&cluster).0 as i64, replicas);
        prop_assert_eq!(next_wake(&cluster.view()), None);
    }

    #[test]
    fn any_mix_of_workloads_settles(
        kinds in prop::collection::vec(
            (prop::sample::select(vec!["Deployment", "StatefulSet", "DaemonSet"]),
             prop::sample::select(vec!["1", "2", "broken", "crash", "slow"]), 0_i64..4), 1..6),
        nodes in 0_u32..4,
    ) {
        let mut cluster = Cluster::new(nodes);
        for (kind, tag, replicas) in kinds {
            cluster.put(workload(kind, replicas, &format!("web:{tag}")));
            cluster.run(7);
        }
        cluster.run(200);
    }
}
