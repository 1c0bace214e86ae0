//! `fitout preview --post`: our comment on a merge request, on servers that speak as GitLab and GitHub do.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, Method, StatusCode, Uri};
use axum::response::{IntoResponse as _, Response};
use serde_json::{Value as Json, json};

use crate::env::Env;

const TOKEN: &str = "glpat-secret-of-the-job";

/// What a server has and was asked.
#[derive(Default)]
struct Place {
    /// Comments, oldest first.
    comments: Vec<Json>,
    /// Method and path of each request.
    asked: Vec<String>,
    /// Statuses for the next requests, with which nothing is done.
    refusals: Vec<u16>,
    /// Whether `/user` may not be asked, as with the token of a GitHub job.
    hides_user: bool,
}

/// A server of one of the two APIs, on loopback.
struct Forge {
    place: Arc<Mutex<Place>>,
    url: String,
    is_gitlab: bool,
    runtime: tokio::runtime::Runtime,
}

#[derive(Clone)]
struct Shared {
    place: Arc<Mutex<Place>>,
    is_gitlab: bool,
}

impl Forge {
    fn start(is_gitlab: bool) -> Self {
        let place = Arc::new(Mutex::new(Place::default()));
        let shared = Shared { place: Arc::clone(&place), is_gitlab };
        let runtime = tokio::runtime::Runtime::new().unwrap();
        let listener = runtime.block_on(tokio::net::TcpListener::bind("127.0.0.1:0")).unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let router = Router::new().fallback(answer).with_state(shared);
        runtime.spawn(async move { axum::serve(listener, router).await });
        Self { place, url, is_gitlab, runtime }
    }

    fn with<T>(&self, look: impl FnOnce(&mut Place) -> T) -> T {
        look(&mut self.place.lock().unwrap())
    }

    /// Adds a comment.
    fn comment(&self, author: &str, body: &str) {
        self.with(|place| {
            let id = place.comments.len() as u64 + 1;
            place.comments.push(comment(self.is_gitlab, id, author, body));
        });
    }

    /// `fitout preview --post` in a job of this server; all that it told.
    fn post(&self, env: &Env, set: &[(&str, &str)]) -> String {
        let kind = if self.is_gitlab { "gitlab" } else { "github" };
        let args = ["preview", "--post", kind, "-vv"];
        let mut command = env.fitout(&args);
        if self.is_gitlab {
            command
                .env("CI_API_V4_URL", format!("{}/api/v4", self.url))
                .env("CI_PROJECT_ID", "group/fleet")
                .env("CI_MERGE_REQUEST_IID", "12")
                .env("GITLAB_TOKEN", TOKEN);
        } else {
            command
                .env("GITHUB_API_URL", &self.url)
                .env("GITHUB_REPOSITORY", "group/fleet")
                .env("GITHUB_REF", "refs/pull/12/merge")
                .env("GITHUB_TOKEN", TOKEN);
        }
        command.envs(set.iter().copied());
        let told = env.tell(&args, &command.output().unwrap());
        assert!(!told.contains(TOKEN), "{told}");
        told.replace(&self.url, "[FORGE]")
    }

    fn bodies(&self) -> Vec<String> {
        let text = |comment: &Json| comment["body"].as_str().unwrap_or_default().to_owned();
        self.with(|place| place.comments.iter().map(text).collect())
    }
}

fn comment(is_gitlab: bool, id: u64, author: &str, body: &str) -> Json {
    if is_gitlab {
        json!({"id": id, "body": body, "author": {"username": author}, "system": false})
    } else {
        json!({"id": id, "body": body, "user": {"login": author}})
    }
}

async fn answer(
    State(shared): State<Shared>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let mut place = shared.place.lock().unwrap();
    place.asked.push(format!("{method} {uri}"));
    if headers.get("authorization").is_none_or(|value| value != &format!("Bearer {TOKEN}")) {
        return StatusCode::UNAUTHORIZED.into_response();
    }
    if !place.refusals.is_empty() {
        let status = StatusCode::from_u16(place.refusals.remove(0)).unwrap();
        return (status, [("retry-after", "0")]).into_response();
    }
    let path = uri.path().trim_start_matches("/api/v4");
    let (list, one) = if shared.is_gitlab {
        let list = "/projects/group%2Ffleet/merge_requests/12/notes";
        (list, format!("{list}/"))
    } else {
        ("/repos/group/fleet/issues/12/comments", "/repos/group/fleet/issues/comments/".to_owned())
    };
    let author = if shared.is_gitlab { "fitout-bot" } else { "github-actions[bot]" };
    let said = || serde_json::from_slice::<Json>(&body).unwrap()["body"].clone();
    let update = if shared.is_gitlab { Method::PUT } else { Method::PATCH };
    if path == "/user" {
        if place.hides_user {
            return StatusCode::FORBIDDEN.into_response();
        }
        return axum::Json(json!({"username": author, "login": author})).into_response();
    }
    if path == list && method == Method::GET {
        let query: HashMap<&str, usize> = uri
            .query()
            .unwrap_or_default()
            .split('&')
            .filter_map(|pair| pair.split_once('='))
            .map(|(name, value)| (name, value.parse().unwrap()))
            .collect();
        let (size, page) = (query["per_page"], query["page"]);
        let shown = place.comments.iter().skip(size * (page - 1)).take(size).cloned();
        return axum::Json(shown.collect::<Vec<Json>>()).into_response();
    }
    if path == list && method == Method::POST {
        let id = place.comments.len() as u64 + 1;
        let made = comment(shared.is_gitlab, id, author, said().as_str().unwrap());
        place.comments.push(made.clone());
        return (StatusCode::CREATED, axum::Json(made)).into_response();
    }
    if let Some(id) = path.strip_prefix(&one)
        && method == update
    {
        let id: u64 = id.parse().unwrap();
        let found = place.comments.iter_mut().find(|comment| comment["id"] == id).unwrap();
        found["body"] = said();
        return axum::Json(found.clone()).into_response();
    }
    StatusCode::NOT_FOUND.into_response()
}

fn changed() -> Env {
    let env = Env::example();
    env.replace("addons/traefik/values/prod.yaml", "1Gi", "2Gi");
    env
}

#[test]
fn one_comment_is_made_and_kept_up_to_date() {
    for is_gitlab in [true, false] {
        let (env, forge) = (changed(), Forge::start(is_gitlab));
        forge.with(|place| place.hides_user = !is_gitlab);
        // Ours is found behind many others, and what only looks like ours is left alone.
        forge.comment("mallory", "<!-- fitout preview -->\nmine");
        for at in 0..150 {
            forge.comment("alice", &format!("comment {at}"));
        }
        let told = forge.post(&env, &[]);
        assert!(told.contains("posted as a new comment on merge request 12"), "{told}");
        assert!(told.contains("exit 0"), "{told}");
        let told = forge.post(&env, &[]);
        assert!(told.contains("says so already"), "{told}");
        env.replace("addons/traefik/values/prod.yaml", "2Gi", "4Gi");
        let told = forge.post(&env, &[]);
        assert!(told.contains("was updated"), "{told}");
        let bodies = forge.bodies();
        assert_eq!(bodies.len(), 152);
        assert_eq!(bodies[0], "<!-- fitout preview -->\nmine");
        assert!(bodies[151].contains("1Gi → 4Gi"), "{}", bodies[151]);
        let writes = |asked: &&String| !asked.starts_with("GET");
        forge.with(|place| assert_eq!(place.asked.iter().filter(writes).count(), 2));
        forge.runtime.shutdown_background();
    }
}

#[test]
fn a_busy_server_is_asked_again_and_no_comment_is_made_twice() {
    let (env, forge) = (changed(), Forge::start(true));
    forge.with(|place| place.refusals = vec![503, 429, 502]);
    let told = forge.post(&env, &[]);
    assert!(told.contains("posted as a new comment"), "{told}");
    assert_eq!(forge.bodies().len(), 1);
    forge.with(|place| place.refusals = vec![500; 9]);
    let told = forge.post(&env, &[]);
    assert!(told.contains("answered 500") && told.contains("exit 4"), "{told}");
}

#[test]
fn what_is_refused_says_what_lacks() {
    let (env, forge) = (changed(), Forge::start(true));
    let mut told = Vec::new();
    for status in [403, 404] {
        forge.with(|place| place.refusals = vec![status]);
        told.push(forge.post(&env, &[]));
    }
    told.push(forge.post(&env, &[("CI_MERGE_REQUEST_IID", "")]));
    let errors = told.join("\n");
    let errors: Vec<&str> =
        errors.lines().filter(|line| line.starts_with("error") || line.contains("help:")).collect();
    insta::assert_snapshot!(errors.join("\n"));
}
