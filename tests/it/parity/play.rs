//! Plays a script on a cluster.

use std::collections::BTreeMap;
use std::time::Duration;

use http::Request;
use http_body_util::BodyExt as _;
use kube::Client;
use kube::client::Body;
use serde_json::Value as Json;

use super::answer::{Answer, HEADERS};
use super::normal::Names;
use super::script::{Script, Step};

/// Looks at an object until it is as a step wants it. Each waits for a change, or half a minute.
const LOOKS_MAX: usize = 40;

/// How long one answer may take.
const ANSWER_LIMIT: Duration = Duration::from_secs(30);

/// The answers to a script, with names in place of what no two clusters have in common.
pub(crate) async fn play(client: &Client, script: &Script) -> Vec<Answer> {
    let mut names = Names::default();
    let mut saved = BTreeMap::new();
    let mut answers = Vec::with_capacity(script.steps.len());
    for step in &script.steps {
        let mut answer = ask(client, step, &saved).await;
        for _ in 0..LOOKS_MAX {
            let has = |(path, value): (&String, &Json)| answer.body.pointer(path) == Some(value);
            if step.until.iter().all(has) {
                break;
            }
            wait_for_change(client, step, &saved, &answer.body).await;
            answer = ask(client, step, &saved).await;
        }
        for (name, pointer) in &step.save {
            let value = answer.body.pointer(pointer).and_then(Json::as_str).unwrap_or_default();
            if pointer.ends_with("/name") {
                names.generated(name, value);
            }
            saved.insert(name.clone(), value.to_owned());
        }
        let is_as_if = step.request.contains("dryRun=") && answer.code == 201;
        names.normalise(&mut answer, is_as_if);
        answers.push(answer);
    }
    answers
}

fn filled(text: &str, saved: &BTreeMap<String, String>) -> String {
    saved
        .iter()
        .fold(text.to_owned(), |text, (name, value)| text.replace(&format!("${{{name}}}"), value))
}

fn request(step: &Step, saved: &BTreeMap<String, String>) -> Request<Body> {
    let (method, path) = step.request.split_once(' ').expect("a request is METHOD PATH");
    let body = match (&step.body, &step.text) {
        (Some(body), _) => filled(&body.to_string(), saved),
        (None, Some(text)) => filled(text, saved),
        (None, None) => String::new(),
    };
    let mut request = Request::builder()
        .method(method)
        .uri(filled(path, saved))
        .header("accept", step.accept.as_deref().unwrap_or("application/json"))
        .header("user-agent", "parity/1");
    if let Some(content_type) = step.content_type() {
        request = request.header("content-type", content_type);
    }
    request.body(Body::from(body.into_bytes())).expect("scripts have valid requests")
}

async fn ask(client: &Client, step: &Step, saved: &BTreeMap<String, String>) -> Answer {
    let answered = answered(client, step, saved);
    let answer = tokio::time::timeout(ANSWER_LIMIT, answered).await;
    answer.unwrap_or_else(|_| panic!("no answer in {ANSWER_LIMIT:?} to `{}`", step.title))
}

async fn answered(client: &Client, step: &Step, saved: &BTreeMap<String, String>) -> Answer {
    let answer = client.send(request(step, saved)).await.expect("the cluster answers");
    let code = answer.status().as_u16();
    let mut headers = BTreeMap::new();
    for name in HEADERS {
        let lines: Vec<_> =
            answer.headers().get_all(name).iter().map(|v| v.to_str().unwrap_or("?")).collect();
        if !lines.is_empty() {
            headers.insert(name.to_owned(), lines.join("\n"));
        }
    }
    let bytes = answer.into_body().collect_bytes().await.expect("the answer can be read");
    let text = String::from_utf8_lossy(&bytes).into_owned();
    let is_watch = step.request.contains("watch=") && code == 200;
    let body = if is_watch {
        text.lines().map(|line| line.parse::<Json>().expect("an event is JSON")).collect()
    } else {
        let is_yaml = headers.get("content-type").is_some_and(|kind| kind.contains("yaml"));
        match serde_json::from_str(&text) {
            Ok(json) => json,
            Err(_) if is_yaml => serde_yaml::from_str(&text).expect("it says that it is YAML"),
            Err(_) => Json::from(text),
        }
    };
    Answer { code, headers, body }
}

/// Waits until the object of the request changes; where there is none, for as long as a watch of
/// something else takes.
async fn wait_for_change(
    client: &Client,
    step: &Step,
    saved: &BTreeMap<String, String>,
    seen: &Json,
) {
    let path = filled(step.request.trim_start_matches("GET "), saved);
    let (all, name) = path.rsplit_once('/').expect("a path has a slash");
    let uri = match seen["metadata"]["resourceVersion"].as_str() {
        Some(version) => format!(
            "{all}?watch=1&timeoutSeconds=2&fieldSelector=metadata.name%3D{name}\
             &resourceVersion={version}"
        ),
        None => "/api/v1/namespaces?watch=1&timeoutSeconds=1&fieldSelector=metadata.name%3Dnone"
            .to_owned(),
    };
    let request = Request::get(uri).header("user-agent", "parity/1").body(Body::empty());
    let answer = client.send(request.expect("it is a request")).await.expect("it answers");
    let _ = answer.into_body().frame().await;
}
