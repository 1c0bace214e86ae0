//! Simulated clusters, asked as any client asks an API server, and shared by processes.

use std::io::{BufRead as _, BufReader};
use std::process::Stdio;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use fitout::base::clock::{Clock, Timestamp};
use fitout::sim::SimCluster;
use fitout::sim::request::{Query, Request};
use futures::FutureExt as _;
use futures::future::BoxFuture;
use http::Method;
use http_body_util::BodyExt as _;
use insta::assert_snapshot;
use serde_json::{Value as Json, json};

use crate::env::Env;

/// A clock that only runs when it is told to.
struct Still(Mutex<Timestamp>);

impl Clock for Still {
    fn now(&self) -> Timestamp {
        *self.0.lock().unwrap()
    }

    fn sleep(&self, _: Duration) -> BoxFuture<'static, ()> {
        // Who waits for this clock looks again when asked to.
        tokio::task::yield_now().boxed()
    }
}

/// A cluster of two nodes on the fifth of January, and who asks it.
struct Sim {
    cluster: SimCluster,
    clock: Arc<Still>,
}

struct Answer {
    code: u16,
    body: Json,
    warning: String,
}

impl Answer {
    /// `409 Conflict: …`, with the causes below.
    fn told(&self) -> String {
        let text = |field: &str| self.body[field].as_str().unwrap_or_default();
        let mut told = format!("{} {}: {}\n", self.code, text("reason"), text("message"));
        for cause in self.body["details"]["causes"].as_array().into_iter().flatten() {
            told.push_str(&format!("  {} {}\n", cause["reason"], cause["field"]));
        }
        told
    }

    #[track_caller]
    fn is(self, code: u16) -> Json {
        assert_eq!(self.code, code, "{}", self.body);
        self.body
    }
}

const JSON: &str = "application/json";
const MERGE: &str = "application/merge-patch+json";
const APPLY: &str = "application/apply-patch+yaml";

impl Sim {
    fn new() -> Self {
        let start = "2026-01-05T10:00:00Z".parse().unwrap();
        let clock = Arc::new(Still(Mutex::new(start)));
        Self { cluster: SimCluster::new("test", 2, Arc::<Still>::clone(&clock)), clock }
    }

    fn wait(&self, seconds: i64) {
        let mut now = self.clock.0.lock().unwrap();
        *now = now.saturating_add(jiff::SignedDuration::from_secs(seconds)).unwrap();
    }

    fn request(method: Method, target: &str, content_type: &str, body: &Json) -> Request {
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        let body = if body.is_null() { String::new() } else { body.to_string() };
        Request {
            method,
            path: path.to_owned(),
            query: Query::parse(query),
            accept: JSON.to_owned(),
            content_type: content_type.to_owned(),
            agent: "test".to_owned(),
            body: body.into(),
        }
    }

    fn ask(&self, method: Method, target: &str, content_type: &str, body: &Json) -> Answer {
        let request = Self::request(method, target, content_type, body);
        let answered = self.cluster.answer(request).now_or_never().expect("it waits for nothing");
        let (head, body) = answered.expect("there are no faults").into_parts();
        let bytes = body.collect().now_or_never().expect("it is there").unwrap().to_bytes();
        let warning = head.headers.get("warning").map(|value| value.to_str().unwrap().to_owned());
        Answer {
            code: head.status.as_u16(),
            body: serde_json::from_slice(&bytes).unwrap_or_default(),
            warning: warning.unwrap_or_default(),
        }
    }

    fn get(&self, target: &str) -> Answer {
        self.ask(Method::GET, target, "", &Json::Null)
    }

    fn post(&self, target: &str, body: &Json) -> Answer {
        self.ask(Method::POST, target, JSON, body)
    }

    fn put(&self, target: &str, body: &Json) -> Answer {
        self.ask(Method::PUT, target, JSON, body)
    }

    fn merge(&self, target: &str, body: &Json) -> Answer {
        self.ask(Method::PATCH, target, MERGE, body)
    }

    fn apply(&self, target: &str, body: &Json) -> Answer {
        self.ask(Method::PATCH, target, APPLY, body)
    }

    fn delete(&self, target: &str) -> Answer {
        self.ask(Method::DELETE, target, "", &Json::Null)
    }

    /// What a watch tells at once, as `TYPE name` lines.
    fn watch(&self, target: &str) -> String {
        let request = Self::request(Method::GET, target, "", &Json::Null);
        let answered = self.cluster.answer(request).now_or_never().expect("it waits for nothing");
        let mut body = answered.expect("there are no faults").into_body();
        let mut told = String::new();
        while let Some(Some(Ok(frame))) = body.frame().now_or_never() {
            let bytes = frame.into_data().unwrap();
            for line in std::str::from_utf8(&bytes).unwrap().lines() {
                let event: Json = serde_json::from_str(line).unwrap();
                let object = &event["object"];
                let what = object["metadata"]["name"].as_str().or(object["message"].as_str());
                told.push_str(event["type"].as_str().unwrap());
                told.push_str(&format!(" {}\n", what.unwrap_or_default()));
            }
        }
        told
    }

    /// All objects of a kind in the namespace `default`, as names.
    fn names(&self, target: &str) -> Vec<String> {
        let list = self.get(target).is(200);
        let items = list["items"].as_array().unwrap().iter();
        items.map(|item| item["metadata"]["name"].as_str().unwrap().to_owned()).collect()
    }
}

const CONFIG_MAPS: &str = "/api/v1/namespaces/default/configmaps";
const DEPLOYMENTS: &str = "/apis/apps/v1/namespaces/default/deployments";
const PODS: &str = "/api/v1/namespaces/default/pods";

fn config_map(name: &str, data: Json) -> Json {
    json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": data})
}

fn deployment(name: &str, image: &str) -> Json {
    json!({
        "apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": name},
        "spec": {"replicas": 2, "selector": {"matchLabels": {"app": name}}, "template": {
            "metadata": {"labels": {"app": name}},
            "spec": {"containers": [{"name": "c", "image": image}]},
        }},
    })
}

#[test]
fn server_side_apply_refuses_what_another_manager_owns_and_names_it() {
    let sim = Sim::new();
    let one = |target: &str, manager: &str, value: &str| {
        let body = config_map("a", json!({"x": value, "y": value}));
        sim.apply(&format!("{CONFIG_MAPS}/a?fieldManager={manager}{target}"), &body)
    };
    one("", "one", "1").is(201);
    one("", "two", "1").is(200);
    let refused = one("", "two", "2");
    assert_snapshot!(refused.told());
    let shared = one("&force=true", "two", "2").is(200);
    assert_eq!(shared["metadata"]["managedFields"].as_array().unwrap().len(), 1, "{shared}");
    assert_eq!(sim.apply(&format!("{CONFIG_MAPS}/a"), &config_map("a", json!({}))).code, 422);
    // Who applies without a field that was only theirs takes it out.
    let body = config_map("a", json!({"x": "2"}));
    let left = sim.apply(&format!("{CONFIG_MAPS}/a?fieldManager=two"), &body).is(200);
    assert_eq!(left["data"], json!({"x": "2"}));
}

#[test]
fn a_dry_run_answers_as_if_and_keeps_nothing() {
    let sim = Sim::new();
    sim.post(CONFIG_MAPS, &config_map("a", json!({"x": "1"}))).is(201);
    let before = sim.get("/api/v1/configmaps").is(200);
    let all = "?dryRun=All&fieldManager=other&force=true";
    let changed = config_map("a", json!({"x": "2"}));
    sim.post(&format!("{CONFIG_MAPS}{all}"), &config_map("b", json!({}))).is(201);
    let answer = sim.apply(&format!("{CONFIG_MAPS}/a{all}"), &changed).is(200);
    assert_eq!(answer["data"]["x"], "2");
    sim.put(&format!("{CONFIG_MAPS}/a{all}"), &changed).is(200);
    sim.merge(&format!("{CONFIG_MAPS}/a?dryRun=All"), &changed).is(200);
    sim.delete(&format!("{CONFIG_MAPS}/a{all}")).is(200);
    sim.delete(&format!("{CONFIG_MAPS}{all}")).is(200);
    assert_eq!(sim.get("/api/v1/configmaps").is(200), before);
    assert_eq!(sim.post(&format!("{CONFIG_MAPS}?dryRun=Some"), &changed).code, 422);
}

#[test]
fn lists_come_in_pages_and_watches_go_on_from_them() {
    let sim = Sim::new();
    for name in ["a", "b", "c"] {
        sim.post(CONFIG_MAPS, &config_map(name, json!({}))).is(201);
    }
    let page = sim.get(&format!("{CONFIG_MAPS}?limit=2")).is(200);
    let token = page["metadata"]["continue"].as_str().unwrap();
    assert_eq!(page["items"].as_array().unwrap().len(), 2);
    let rest = sim.names(&format!("{CONFIG_MAPS}?limit=2&continue={token}"));
    assert_eq!(rest, ["c", "kube-root-ca.crt"]);
    assert_eq!(sim.get(&format!("{CONFIG_MAPS}?continue=nonsense")).code, 400);

    let version = sim.get(CONFIG_MAPS).is(200)["metadata"]["resourceVersion"].clone();
    let watch = format!("{CONFIG_MAPS}?watch=1&resourceVersion={}", version.as_str().unwrap());
    assert_eq!(sim.watch(&watch), "");
    sim.merge(&format!("{CONFIG_MAPS}/a"), &json!({"data": {"x": "1"}})).is(200);
    sim.merge(&format!("{CONFIG_MAPS}/a"), &json!({"data": {"x": "1"}})).is(200);
    sim.post(CONFIG_MAPS, &config_map("d", json!({}))).is(201);
    sim.delete(&format!("{CONFIG_MAPS}/b")).is(200);
    assert_eq!(sim.watch(&watch), "MODIFIED a\nADDED d\nDELETED b\n");
    let labelled = format!("{watch}&labelSelector=a%3Db");
    assert_eq!(sim.watch(&labelled), "");
    sim.merge(&format!("{CONFIG_MAPS}/a"), &json!({"metadata": {"labels": {"a": "b"}}})).is(200);
    assert_eq!(sim.watch(&labelled), "ADDED a\n");

    // What is long ago is not known any more.
    sim.wait(3_600);
    assert_snapshot!(sim.watch(&watch));
}

fn crd() -> Json {
    json!({
        "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
        "metadata": {"name": "things.example.org"},
        "spec": {
            "group": "example.org", "scope": "Namespaced",
            "names": {"plural": "things", "singular": "thing", "kind": "Thing"},
            "versions": [{"name": "v1", "served": true, "storage": true, "schema": {
                "openAPIV3Schema": {"type": "object", "properties": {"spec": {
                    "type": "object", "required": ["size"],
                    "properties": {"size": {"type": "integer", "minimum": 1},
                                   "colour": {"type": "string", "default": "grey"}},
                }}},
            }}],
        },
    })
}

#[test]
fn a_definition_is_established_before_its_objects_are_served() {
    const CRDS: &str = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions";
    const THINGS: &str = "/apis/example.org/v1/namespaces/default/things";
    let sim = Sim::new();
    let thing = |size: Json| {
        json!({"apiVersion": "example.org/v1", "kind": "Thing",
                                    "metadata": {"name": "a"}, "spec": {"size": size, "siz": 1}})
    };
    assert_eq!(sim.post(THINGS, &thing(json!(1))).code, 404);
    sim.post(CRDS, &crd()).is(201);
    let established = || {
        let found = sim.get(&format!("{CRDS}/things.example.org")).is(200);
        let conditions = found["status"]["conditions"].as_array().cloned().unwrap_or_default();
        conditions.iter().any(|one| one["type"] == "Established" && one["status"] == "True")
    };
    sim.wait(5);
    assert!(established());
    let made = sim.post(THINGS, &thing(json!(1)));
    assert_eq!(made.warning, r#"299 - "unknown field \"spec.siz\"""#);
    assert_eq!(made.is(201)["spec"], json!({"size": 1, "colour": "grey"}));
    let refusals = [
        sim.post(&format!("{THINGS}?fieldValidation=Strict"), &thing(json!(1))).told(),
        sim.merge(&format!("{THINGS}/a"), &json!({"spec": {"size": 0}})).told(),
        sim.merge(&format!("{THINGS}/a"), &json!({"spec": {"size": "x"}})).told(),
        sim.merge(&format!("{THINGS}/a"), &json!({"spec": {"size": null}})).told(),
        sim.apply(&format!("{THINGS}/a?fieldManager=m"), &thing(json!(1))).told(),
    ];
    assert_snapshot!(refusals.concat());
    sim.delete(&format!("{CRDS}/things.example.org")).is(200);
    sim.wait(5);
    assert_eq!(sim.get(THINGS).code, 404);
    assert_eq!(sim.get(&format!("{CRDS}/things.example.org")).code, 404);
}

#[test]
fn what_an_object_owns_goes_with_it() {
    let sim = Sim::new();
    sim.post(DEPLOYMENTS, &deployment("a", "a:1")).is(201);
    sim.wait(30);
    assert_eq!(sim.names(PODS).len(), 2);
    let owner = sim.post(CONFIG_MAPS, &config_map("owner", json!({}))).is(201);
    let mut owned = config_map("owned", json!({}));
    owned["metadata"]["ownerReferences"] = json!([{"apiVersion": "v1", "kind": "ConfigMap",
        "name": "owner", "uid": owner["metadata"]["uid"]}]);
    sim.post(CONFIG_MAPS, &owned).is(201);
    sim.delete(&format!("{CONFIG_MAPS}/owner")).is(200);
    sim.delete(&format!("{DEPLOYMENTS}/a")).is(200);
    sim.wait(60);
    assert_eq!(sim.get(&format!("{CONFIG_MAPS}/owned")).code, 404);
    assert_eq!(sim.names(PODS), [""; 0]);
    // In the foreground, the owner goes last; orphans stay.
    sim.post(DEPLOYMENTS, &deployment("b", "b:1")).is(201);
    sim.wait(30);
    let ending = sim.delete(&format!("{DEPLOYMENTS}/b?propagationPolicy=Foreground")).is(200);
    assert_eq!(ending["metadata"]["finalizers"], json!(["foregroundDeletion"]));
    sim.wait(60);
    assert_eq!(sim.get(&format!("{DEPLOYMENTS}/b")).code, 404);
    sim.post(DEPLOYMENTS, &deployment("c", "c:1")).is(201);
    sim.wait(30);
    sim.delete(&format!("{DEPLOYMENTS}/c?propagationPolicy=Orphan")).is(200);
    sim.wait(60);
    assert_eq!(sim.get(&format!("{DEPLOYMENTS}/c")).code, 404);
    assert_eq!(sim.names(PODS).len(), 2);
}

#[test]
fn a_finalizer_and_a_namespace_hold_back_a_deletion() {
    let sim = Sim::new();
    let space = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "n"}});
    sim.post("/api/v1/namespaces", &space).is(201);
    let mut held = config_map("held", json!({}));
    held["metadata"]["finalizers"] = json!(["example.org/hold"]);
    sim.post("/api/v1/namespaces/n/configmaps", &held).is(201);
    sim.delete("/api/v1/namespaces/n").is(200);
    sim.wait(60);
    let waiting = sim.get("/api/v1/namespaces/n").is(200);
    assert_eq!(waiting["status"]["phase"], "Terminating");
    let late = sim.post("/api/v1/namespaces/n/configmaps", &config_map("late", json!({})));
    assert_snapshot!(late.told());
    let free = json!({"metadata": {"finalizers": null}});
    sim.merge("/api/v1/namespaces/n/configmaps/held", &free).is(200);
    sim.wait(60);
    assert_eq!(sim.get("/api/v1/namespaces/n").code, 404);
    assert_eq!(sim.get("/api/v1/namespaces/n/configmaps/held").code, 404);
    assert_eq!(sim.post("/api/v1/namespaces/n/configmaps", &held).code, 404);
}

#[test]
fn refusals_are_those_of_a_real_server() {
    let sim = Sim::new();
    sim.post(DEPLOYMENTS, &deployment("a", "a:1")).is(201);
    let made = sim.post(CONFIG_MAPS, &config_map("c", json!({}))).is(201);
    let mut stale = made.clone();
    stale["data"] = json!({"x": "1"});
    sim.put(&format!("{CONFIG_MAPS}/c"), &stale).is(200);
    let service = json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": "s"},
                         "spec": {"ports": [{"port": 80}]}});
    sim.post("/api/v1/namespaces/default/services", &service).is(201);
    let immutable = json!({"spec": {"selector": {"matchLabels": {"app": "b"}}}});
    let mismatched = json!({"spec": {"template": {"metadata": {"labels": {"app": "b"}}}}});
    let address = json!({"spec": {"clusterIP": "10.96.0.77"}});
    let told = [
        sim.post(CONFIG_MAPS, &made).told(),
        sim.post(CONFIG_MAPS, &config_map("c", json!({}))).told(),
        sim.post(CONFIG_MAPS, &config_map("No_Name", json!({}))).told(),
        sim.put(&format!("{CONFIG_MAPS}/c"), &made).told(),
        sim.put(&format!("{CONFIG_MAPS}/d"), &made).told(),
        sim.post(CONFIG_MAPS, &deployment("d", "d:1")).told(),
        sim.get(&format!("{CONFIG_MAPS}/missing")).told(),
        sim.delete(&format!("{CONFIG_MAPS}/missing")).told(),
        sim.merge(&format!("{DEPLOYMENTS}/a"), &immutable).told(),
        sim.merge(&format!("{DEPLOYMENTS}/a"), &mismatched).told(),
        sim.merge("/api/v1/namespaces/default/services/s", &address).told(),
        sim.ask(Method::PATCH, &format!("{CONFIG_MAPS}/c"), "text/plain", &json!({})).told(),
        sim.ask(Method::PUT, CONFIG_MAPS, JSON, &json!({})).told(),
    ];
    assert_snapshot!(told.concat());
}

#[test]
fn a_generated_name_is_free_and_always_the_same() {
    let names = |count: usize| {
        let sim = Sim::new();
        let body = json!({"apiVersion": "v1", "kind": "ConfigMap",
                          "metadata": {"generateName": "a-"}});
        let made = (0..count).map(|_| sim.post(CONFIG_MAPS, &body).is(201));
        made.map(|one| one["metadata"]["name"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    let made = names(20);
    assert_eq!(made, names(20));
    let distinct: std::collections::BTreeSet<_> = made.iter().collect();
    assert_eq!(distinct.len(), 20);
    assert!(made.iter().all(|name| name.starts_with("a-") && name.len() == 7), "{made:?}");
}

#[test]
fn a_broken_image_never_becomes_ready_and_the_old_pods_stay() {
    let sim = Sim::new();
    sim.post(DEPLOYMENTS, &deployment("a", "a:1")).is(201);
    let status = || sim.get(&format!("{DEPLOYMENTS}/a")).is(200)["status"].clone();
    assert_eq!(status()["readyReplicas"], Json::Null, "pods take their time");
    sim.wait(30);
    assert_eq!(status()["readyReplicas"], 2);
    let target = format!("{DEPLOYMENTS}/a");
    let image = |name: &str| {
        let mut body = deployment("a", name);
        body["spec"]["progressDeadlineSeconds"] = json!(120);
        sim.apply(&format!("{target}?fieldManager=m&force=true"), &body).is(200);
    };
    image("a:broken");
    sim.wait(24 * 3_600);
    assert_eq!((&status()["readyReplicas"], &status()["updatedReplicas"]), (&json!(2), &json!(1)));
    let conditions = status()["conditions"].as_array().cloned().unwrap();
    let progressing = conditions.iter().find(|one| one["type"] == "Progressing").unwrap();
    assert_eq!(progressing["reason"], "ProgressDeadlineExceeded");
    image("a:2");
    sim.wait(60);
    assert_eq!((&status()["readyReplicas"], &status()["updatedReplicas"]), (&json!(2), &json!(2)));
}

/// `fitout sim serve` for the fleet, until it is dropped.
struct Serving(std::process::Child);

impl Serving {
    fn of(env: &Env) -> Self {
        let mut command = env.fitout(&["sim", "serve", "--kubeconfig", "kubeconfig"]);
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        assert!(line.starts_with("http://127.0.0.1:"), "{line}");
        Self(child)
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        // As a process that is killed.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn processes_share_the_clusters_that_one_serves_and_a_killed_server_loses_nothing() {
    let env = Env::small();
    env.commit("Begin");
    let serving = Serving::of(&env);
    let told = env.run("apply --all --yes");
    assert!(told.contains("--- exit 0"), "{told}");
    let settled = env.run("diff --all --exit-code");
    assert!(settled.contains("--- exit 0"), "{settled}");
    let kept = || {
        let folder = std::fs::read_dir(env.root().join("state")).unwrap().next().unwrap();
        let folder = folder.unwrap().path().join("simulated");
        let text = |name: &str| std::fs::read_to_string(folder.join(name)).unwrap_or_default();
        ["dev.json", "prod.json"].iter().all(|name| {
            let text = text(name);
            text.contains("sh.helm.release.v1.web")
                && !text.contains("\"status\":\"pending-install\"")
        })
    };
    let began = std::time::Instant::now();
    while !kept() {
        assert!(began.elapsed() < Duration::from_secs(30), "the states are not kept");
        std::thread::sleep(Duration::from_millis(50));
    }
    drop(serving);
    let settled = env.run("diff --all --exit-code");
    assert!(settled.contains("--- exit 0"), "{settled}");
    assert_snapshot!(env.run("sim reset"));
    let pending = env.run("diff --all --exit-code");
    assert!(pending.contains("--- exit 3"), "{pending}");
}

#[test]
fn a_damaged_state_is_told_with_a_way_out() {
    let env = Env::small();
    env.commit("Begin");
    env.run("apply --all --yes");
    let folder = std::fs::read_dir(env.root().join("state")).unwrap().next().unwrap().unwrap();
    let state = folder.path().join("simulated/dev.json");
    std::fs::write(&state, "{\"format\": 1, \"name\"").unwrap();
    let told = env.run("diff --all --exit-code");
    let folder = folder.file_name().into_string().unwrap();
    assert_snapshot!(told.replace(&folder, "[FLEET]"));
    assert_eq!(std::fs::read_to_string(&state).unwrap(), "{\"format\": 1, \"name\"");
    env.run("sim reset");
    let told = env.run("apply --all --yes");
    assert!(told.contains("--- exit 0"), "{told}");
}

#[test]
fn a_change_is_rehearsed() {
    let env = Env::example();
    env.replace("addons/traefik/values/prod.yaml", "1Gi", "2Gi");
    env.replace("addons/eosxd/values.yaml", "cacheSizeMiB: 2048", "cacheSizeMiB: 4096");
    let start = "--start 2026-12-01T09:00:00Z";
    let told = [
        format!("sim rollout {start}"),
        format!("sim rollout {start} --addon eosxd --approve-after 2h"),
        format!("sim rollout {start} --addon traefik --bad environment=prod,region=meyrin"),
        format!(
            "sim rollout {start} --addon eosxd --bad all --turns-bad-after 3h --approve-after 1h"
        ),
        format!("sim rollout {start} --addon traefik --unreachable region=prevessin"),
        "sim rollout --bad colour=red".to_owned(),
        "sim rollout --addon traefic".to_owned(),
        "sim rollout --base HEAD --head HEAD".to_owned(),
    ];
    assert_snapshot!(told.map(|args| env.run(&args)).join("\n"));
    let cluster = "clusters/staging/stg-prevessin-01.yaml";
    env.replace(cluster, "{name: fluentd, enabled: false}", "{name: traefik}");
    std::fs::remove_dir_all(env.fleet().join("addons/fluentd")).unwrap();
    let told = env.run(&format!("sim rollout {start} --addon fluentd"));
    assert!(told.contains("completed after") && told.ends_with("exit 0\n"), "{told}");
    let json = env.run(&format!("sim rollout {start} --addon traefik -o json"));
    let json = json.split_once('\n').unwrap().1.rsplit_once("--- exit").unwrap().0;
    let json: Json = serde_json::from_str(json).unwrap();
    assert_eq!((&json[0]["phase"], &json[0]["clusters"]), (&json!("completed"), &json!(8)));
}
