//! A real API server and a simulated one are asked the same, and must answer the same.

use std::fmt::Write as _;
use std::sync::Arc;

use fitout::base::clock::SystemClock;
use fitout::sim::SimCluster;
use http::Request;
use kube::config::{KubeConfigOptions, Kubeconfig};
use serde_json::{Value as Json, json};

use super::clusters::clusters;

/// Method, path, type of the body, body.
type Asked = (&'static str, String, &'static str, Json);

const JSON: &str = "application/json";
const MERGE: &str = "application/merge-patch+json";
const STRATEGIC: &str = "application/strategic-merge-patch+json";
const PATCH: &str = "application/json-patch+json";
const APPLY: &str = "application/apply-patch+yaml";

fn config_map(name: &str, data: Json) -> Json {
    json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": data})
}

fn deployment() -> Json {
    json!({
        "apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "d"},
        "spec": {"replicas": 0, "selector": {"matchLabels": {"app": "d"}}, "template": {
            "metadata": {"labels": {"app": "d"}},
            "spec": {"containers": [{"name": "c", "image": "c:1", "ports": [{"containerPort": 80}]}],
                     "volumes": [{"name": "v", "emptyDir": {}}]},
        }},
    })
}

/// What is asked, in this order, in a namespace of its own.
fn requests() -> Vec<Asked> {
    let all = "/api/v1/namespaces/same/configmaps";
    let one = |query: &str| format!("{all}/a{query}");
    let deployments = "/apis/apps/v1/namespaces/same/deployments";
    let services = "/api/v1/namespaces/same/services";
    let service = json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": "s"},
                         "spec": {"ports": [{"port": 80}], "selector": {"app": "d"}}});
    let env = json!({"spec": {"template": {"spec": {"containers": [
        {"name": "c", "env": [{"name": "X", "value": "1"}]}]}}}});
    let selector = json!({"spec": {"selector": {"matchLabels": {"app": "e"}}}});
    let labels = json!({"spec": {"template": {"metadata": {"labels": {"app": "e"}}}}});
    let secret = json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "p"},
                        "stringData": {"a": "b"}});
    let mut versioned = config_map("v", json!({}));
    versioned["metadata"]["resourceVersion"] = json!("1");
    let get = |path: String| ("GET", path, "", Json::Null);
    vec![
        (
            "POST",
            "/api/v1/namespaces".to_owned(),
            JSON,
            json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "same"}}),
        ),
        ("POST", all.to_owned(), JSON, config_map("a", json!({"x": "1"}))),
        ("POST", all.to_owned(), JSON, config_map("a", json!({"x": "1"}))),
        ("POST", all.to_owned(), JSON, versioned),
        ("POST", all.to_owned(), JSON, deployment()),
        ("POST", all.to_owned(), JSON, config_map("No_Name", json!({}))),
        ("POST", format!("{all}?dryRun=All"), JSON, config_map("b", json!({}))),
        (
            "POST",
            "/api/v1/namespaces/missing/configmaps".to_owned(),
            JSON,
            config_map("a", json!({})),
        ),
        get(one("")),
        get(format!("{all}/missing")),
        get("/apis/example.org/v1/things".to_owned()),
        ("PATCH", one("?fieldManager=one"), APPLY, config_map("a", json!({"y": "1"}))),
        ("PATCH", one("?fieldManager=two"), APPLY, config_map("a", json!({"x": "2", "y": "2"}))),
        ("PATCH", one("?fieldManager=two&force=true"), APPLY, config_map("a", json!({"y": "2"}))),
        ("PATCH", one("?fieldManager=two"), APPLY, config_map("a", json!({}))),
        ("PATCH", one(""), APPLY, config_map("a", json!({}))),
        ("PATCH", one(""), MERGE, json!({"data": {"x": null, "z": "3"}})),
        ("PATCH", one(""), PATCH, json!([{"op": "replace", "path": "/data/z", "value": "4"}])),
        ("PATCH", one(""), PATCH, json!([{"op": "test", "path": "/data/z", "value": "5"}])),
        ("PATCH", one(""), "text/plain", json!({})),
        ("PUT", format!("{all}/b"), JSON, config_map("a", json!({}))),
        ("PUT", format!("{all}/c"), JSON, config_map("c", json!({}))),
        ("PUT", all.to_owned(), JSON, json!({})),
        ("POST", "/api/v1/namespaces/same/secrets".to_owned(), JSON, secret),
        ("POST", deployments.to_owned(), JSON, deployment()),
        get(format!("{deployments}/d/scale")),
        ("PATCH", format!("{deployments}/d"), STRATEGIC, env),
        ("PATCH", format!("{deployments}/d"), MERGE, selector),
        ("PATCH", format!("{deployments}/d"), MERGE, labels),
        ("PATCH", format!("{deployments}/d?fieldManager=m"), APPLY, deployment()),
        ("POST", services.to_owned(), JSON, service),
        ("PATCH", format!("{services}/s"), MERGE, json!({"spec": {"clusterIP": "10.96.0.77"}})),
        ("PATCH", format!("{services}/s"), MERGE, json!({"spec": {"ports": []}})),
        ("DELETE", one("?dryRun=All"), "", Json::Null),
        ("DELETE", one(""), "", Json::Null),
        ("DELETE", one(""), "", Json::Null),
        ("DELETE", format!("{deployments}/d"), "", Json::Null),
    ]
}

async fn ask(client: &kube::Client, (method, path, content_type, body): &Asked) -> String {
    let body = if body.is_null() { Vec::new() } else { body.to_string().into_bytes() };
    let mut request = Request::builder().method(*method).uri(path);
    request = request.header("accept", JSON).header("user-agent", "test");
    if !content_type.is_empty() {
        request = request.header("content-type", *content_type);
    }
    let request = request.body(kube::client::Body::from(body)).unwrap();
    let answer = client.send(request).await.unwrap();
    let code = answer.status().as_u16();
    let bytes = answer.into_body().collect_bytes().await.unwrap();
    let mut body: Json = serde_json::from_slice(&bytes)
        .unwrap_or_else(|_| Json::from(String::from_utf8_lossy(&bytes).into_owned()));
    without_own(&mut body);
    format!("{code} {body:#}")
}

/// Takes out what no two servers have in common: times, uids, versions, addresses. What controllers
/// write is another matter.
fn without_own(value: &mut Json) {
    match value {
        Json::Object(fields) => {
            for name in ["uid", "resourceVersion", "creationTimestamp", "time"] {
                fields.remove(name);
            }
            if fields.get("status").is_some_and(Json::is_object) {
                fields.remove("status");
            }
            for name in ["clusterIP", "clusterIPs"] {
                if let Some(address) = fields.get_mut(name) {
                    *address = Json::from("ADDRESS");
                }
            }
            if let Some(Json::Array(managers)) = fields.get_mut("managedFields") {
                managers.retain(|manager| manager["manager"] != "kube-controller-manager");
            }
            if let Some(Json::Array(causes)) = fields.get_mut("causes") {
                // A real server has no order of them.
                causes.sort_by_key(Json::to_string);
            }
            if let Some(Json::String(message)) = fields.get_mut("message") {
                *message = without_addresses(message);
            }
            fields.values_mut().for_each(without_own);
        }
        Json::Array(items) => items.iter_mut().for_each(without_own),
        _ => {}
    }
}

fn without_addresses(message: &str) -> String {
    let address = regex::Regex::new(r"10\.\d+\.\d+\.\d+").unwrap();
    address.replace_all(message, "ADDRESS").into_owned()
}

#[test]
fn a_simulated_api_server_answers_as_a_real_one() {
    let Some(clusters) = clusters() else { return };
    let cluster = clusters.staging();
    cluster.kubectl("delete namespace same --ignore-not-found --timeout=60s");
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let different = runtime.block_on(async {
        let kubeconfig = Kubeconfig::read_from(cluster.kubeconfig()).unwrap();
        let options = KubeConfigOptions::default();
        let config = kube::Config::from_custom_kubeconfig(kubeconfig, &options).await.unwrap();
        let real = kube::Client::try_from(config).unwrap();
        let simulated = SimCluster::new("same", 1, Arc::new(SystemClock)).client();
        let mut different = String::new();
        for asked in requests() {
            let (expected, got) = (ask(&real, &asked).await, ask(&simulated, &asked).await);
            if expected != got {
                let (method, path, ..) = &asked;
                let diff = similar::TextDiff::from_lines(&expected, &got);
                let diff = diff.unified_diff().header("real", "simulated").to_string();
                writeln!(different, "{method} {path} {}\n{diff}", asked.3).unwrap();
            }
        }
        different
    });
    cluster.kubectl("delete namespace same --wait=false");
    assert!(different.is_empty(), "{different}");
}
