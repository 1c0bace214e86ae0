//! Requests to one cluster: bounded in number and time, retried where that is harmless.

use std::collections::BTreeMap;
use std::num::NonZeroU32;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use http::{Method, Request, StatusCode, header};
use http_body_util::BodyExt as _;
use kube::client::Body;
use serde_json::{Value as Json, json};
use tokio::sync::{OnceCell, Semaphore};

use super::connection::Connection;
use super::discovery::{Resource, Resources};
use super::error::RequestError;
use super::lost;
use super::pace::Pace;
use crate::base::ids::ClusterName;
use crate::base::planted::{Planted, is_planted};
use crate::object::noise::FIELD_MANAGER;
use crate::object::{access, secret};
use crate::sim::{SimCluster, SimFleet};

/// Requests under way at once, per cluster: API priority and fairness gives a user about as many.
const REQUESTS_IN_PARALLEL: usize = 16;
/// Tries of one request, the first included, where the server does not say when to come back.
const ATTEMPTS_MAX: u32 = 5;
/// How long is waited between the tries of one request at most.
const PATIENCE: Duration = Duration::from_secs(30);
/// Objects of one page of a list, as client-go has it.
const PAGE_SIZE: usize = 500;

/// Asks for the metadata of objects only.
const METADATA: &str = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1,\
                        application/json";

/// What was listed in one pass: by path, labels and form.
#[derive(Default)]
struct Pass(Mutex<BTreeMap<PassKey, Listed>>);

type PassKey = (String, String, &'static str);
type Listed = Arc<OnceCell<Arc<Vec<Json>>>>;

impl Pass {
    fn cell(&self, key: PassKey) -> Listed {
        let mut cells = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(cells.entry(key).or_default())
    }
}

/// A connection to one cluster. Cheap to clone.
#[derive(Clone)]
pub struct ClusterClient {
    /// The cluster's name in the fleet.
    pub name: ClusterName,
    /// What requests go through.
    pub(super) connection: Arc<Connection>,
    pub(super) resources: Arc<Resources>,
    pass: Option<Arc<Pass>>,
    permits: Arc<Semaphore>,
    /// As fast as the server answers when not given.
    pace: Option<Arc<Pace>>,
    pub(super) timeout: Duration,
    /// Of a simulated cluster in this process: the cluster, and where it is kept.
    simulated: Option<(SimCluster, SimFleet)>,
}

impl std::fmt::Debug for ClusterClient {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "ClusterClient({})", self.name)
    }
}

/// How an object is applied.
#[derive(Clone, Copy, Debug, Default)]
pub struct Apply {
    /// Nothing is kept; the answer is what would be.
    pub is_dry_run: bool,
    /// Fields of other managers are taken over.
    pub is_forced: bool,
}

/// How an object is deleted.
#[derive(Clone, Debug, Default)]
pub struct Delete {
    /// Only the object with this uid; any when empty.
    pub uid: String,
    /// Only once everything it owns is gone.
    pub is_foreground: bool,
}

impl ClusterClient {
    /// A client of `name` that asks `client`, with `timeout` for each request.
    pub fn new(name: ClusterName, client: kube::Client, timeout: Duration) -> Self {
        Self::over(name, Connection::fixed(client), timeout)
    }

    /// A client of `name` over this connection, with `timeout` for each request.
    pub(super) fn over(name: ClusterName, connection: Connection, timeout: Duration) -> Self {
        Self {
            name,
            connection: Arc::new(connection),
            resources: Arc::default(),
            pass: None,
            permits: Arc::new(Semaphore::new(REQUESTS_IN_PARALLEL)),
            pace: None,
            timeout,
            simulated: None,
        }
    }

    /// A client of a simulated cluster in this process.
    pub fn of_simulated(
        name: ClusterName,
        cluster: SimCluster,
        fleet: SimFleet,
        timeout: Duration,
    ) -> Self {
        let client = cluster.client();
        Self { simulated: Some((cluster, fleet)), ..Self::new(name, client, timeout) }
    }

    /// The same client, that begins at most so many requests in a second where that is given, the
    /// tries of one request counted each. A short burst may go faster.
    #[must_use]
    pub(super) fn at_most(self, per_second: Option<NonZeroU32>) -> Self {
        Self { pace: per_second.map(|rate| Arc::new(Pace::new(rate))), ..self }
    }

    /// The same client for one pass over the cluster: what [`Self::listed`] gave once is not asked
    /// for again, however many releases want it. It shows the cluster as it was in that moment, so
    /// that a pass must be short and must not wait for anything.
    #[must_use]
    pub fn for_one_pass(&self) -> Self {
        Self { pass: Some(Arc::default()), ..self.clone() }
    }

    /// Whether it is the client of one pass.
    pub fn is_of_one_pass(&self) -> bool {
        self.pass.is_some()
    }

    /// Keeps what a simulated cluster has become; nothing to do for a real one.
    pub fn save(&self) -> Result<(), super::ConnectError> {
        match &self.simulated {
            None => Ok(()),
            Some((cluster, fleet)) => {
                fleet.save(cluster).map_err(|error| super::ConnectError::Simulated {
                    cluster: self.name.clone(),
                    source: Box::new(error),
                })
            }
        }
    }

    /// One object; `None` when there is none.
    pub async fn get(
        &self,
        resource: &Resource,
        namespace: &str,
        name: &str,
    ) -> Result<Option<Json>, RequestError> {
        self.get_path(&resource.path(namespace, name)).await
    }

    /// As [`Self::list`] over the whole cluster, at most once in a pass.
    pub async fn listed(
        &self,
        resource: &Resource,
        labels: &str,
    ) -> Result<Arc<Vec<Json>>, RequestError> {
        self.pages_once(resource, labels, "application/json").await
    }

    /// Whether there is a namespace of this name, asked at most once in a pass.
    pub async fn has_namespace(&self, name: &str) -> Result<bool, RequestError> {
        let path = Resource::core("Namespace", "namespaces", false).path("", name);
        let get = async || {
            let found: Option<Json> = self.get_path(&path).await?;
            Ok(Arc::new(Vec::from_iter(found)))
        };
        let Some(pass) = &self.pass else { return get().await.map(|found| !found.is_empty()) };
        let cell = pass.cell((path.clone(), String::new(), "application/json"));
        Ok(!cell.get_or_try_init(get).await?.is_empty())
    }

    /// As [`Self::list_metadata`] over the whole cluster, at most once in a pass.
    pub async fn listed_metadata(
        &self,
        resource: &Resource,
        labels: &str,
    ) -> Result<Arc<Vec<Json>>, RequestError> {
        self.pages_once(resource, labels, METADATA).await
    }

    async fn pages_once(
        &self,
        resource: &Resource,
        labels: &str,
        accept: &'static str,
    ) -> Result<Arc<Vec<Json>>, RequestError> {
        let list = async || Ok(Arc::new(self.pages(resource, "", labels, accept).await?));
        let Some(pass) = &self.pass else { return list().await };
        let key = (resource.path("", ""), labels.to_owned(), accept);
        let cell = pass.cell(key);
        Ok(Arc::clone(cell.get_or_try_init(list).await?))
    }

    /// All objects of a kind with `labels`, in one namespace or, when empty, in all.
    pub async fn list(
        &self,
        resource: &Resource,
        namespace: &str,
        labels: &str,
    ) -> Result<Vec<Json>, RequestError> {
        self.pages(resource, namespace, labels, "application/json").await
    }

    /// As [`Self::list`], but only `metadata` of each object.
    pub async fn list_metadata(
        &self,
        resource: &Resource,
        namespace: &str,
        labels: &str,
    ) -> Result<Vec<Json>, RequestError> {
        self.pages(resource, namespace, labels, METADATA).await
    }

    async fn pages(
        &self,
        resource: &Resource,
        namespace: &str,
        labels: &str,
        accept: &str,
    ) -> Result<Vec<Json>, RequestError> {
        let mut objects = Vec::new();
        let mut next = String::new();
        loop {
            let path = format!(
                "{}?limit={PAGE_SIZE}&labelSelector={}&continue={}",
                resource.path(namespace, ""),
                encoded(labels),
                encoded(&next),
            );
            let call = Call { accept, ..Call::get(&path) };
            let mut page = self.call(&call).await?;
            match page.get_mut("items").map(Json::take) {
                Some(Json::Array(items)) => {
                    objects.extend(items.into_iter().map(|item| typed(item, resource)));
                }
                // Go writes an empty list as `null` at times.
                Some(Json::Null) => {}
                _ => {
                    let message = "a list has no items".to_owned();
                    return Err(RequestError::Protocol { message });
                }
            }
            match access::text(&page, &["metadata", "continue"]) {
                Some(token) if !token.is_empty() => token.clone_into(&mut next),
                _ => return Ok(objects),
            }
        }
    }

    /// Server-side apply under fitout's field manager. Gives the object as it is then.
    pub async fn apply(
        &self,
        resource: &Resource,
        namespace: &str,
        object: &Json,
        options: Apply,
    ) -> Result<Json, RequestError> {
        let mut path = format!(
            "{}?fieldManager={FIELD_MANAGER}&force={}",
            resource.path(namespace, access::name(object)),
            options.is_forced,
        );
        if options.is_dry_run {
            path.push_str("&dryRun=All");
        }
        let call = Call {
            method: Method::PATCH,
            body: Some(object),
            content_type: "application/apply-patch+yaml",
            withhold: is_secret(resource),
            ..Call::get(&path)
        };
        self.call(&call).await
    }

    /// Creates an object; with `generateName` the server gives it a name.
    pub async fn create(
        &self,
        resource: &Resource,
        namespace: &str,
        object: &Json,
    ) -> Result<Json, RequestError> {
        let path = format!("{}?fieldManager={FIELD_MANAGER}", resource.path(namespace, ""));
        let call = Call {
            method: Method::POST,
            body: Some(object),
            withhold: is_secret(resource),
            ..Call::get(&path)
        };
        self.call(&call).await
    }

    /// Replaces an object; a `resourceVersion` in it must still be the present one.
    pub async fn replace(
        &self,
        resource: &Resource,
        namespace: &str,
        object: &Json,
    ) -> Result<Json, RequestError> {
        let path = format!(
            "{}?fieldManager={FIELD_MANAGER}",
            resource.path(namespace, access::name(object))
        );
        let call = Call {
            method: Method::PUT,
            body: Some(object),
            withhold: is_secret(resource),
            ..Call::get(&path)
        };
        self.call(&call).await
    }

    /// Changes the fields of a JSON merge patch.
    pub async fn merge_patch(
        &self,
        resource: &Resource,
        namespace: &str,
        name: &str,
        patch: &Json,
    ) -> Result<Json, RequestError> {
        let path = format!("{}?fieldManager={FIELD_MANAGER}", resource.path(namespace, name));
        let call = Call {
            method: Method::PATCH,
            body: Some(patch),
            content_type: "application/merge-patch+json",
            withhold: is_secret(resource),
            ..Call::get(&path)
        };
        self.call(&call).await
    }

    /// Changes an object by a JSON patch (RFC 6902).
    pub async fn json_patch(
        &self,
        resource: &Resource,
        namespace: &str,
        name: &str,
        patch: &Json,
    ) -> Result<Json, RequestError> {
        self.json_patch_as(FIELD_MANAGER, resource, namespace, name, patch).await
    }

    /// As [`Self::json_patch`], under a field manager of its own.
    pub async fn json_patch_as(
        &self,
        manager: &str,
        resource: &Resource,
        namespace: &str,
        name: &str,
        patch: &Json,
    ) -> Result<Json, RequestError> {
        let path = format!("{}?fieldManager={manager}", resource.path(namespace, name));
        let call = Call {
            method: Method::PATCH,
            body: Some(patch),
            content_type: "application/json-patch+json",
            withhold: is_secret(resource),
            ..Call::get(&path)
        };
        self.call(&call).await
    }

    /// Deletes an object. Tells whether there was one.
    pub async fn delete(
        &self,
        resource: &Resource,
        namespace: &str,
        name: &str,
        options: &Delete,
    ) -> Result<bool, RequestError> {
        let policy = if options.is_foreground { "Foreground" } else { "Background" };
        let mut body = json!({
            "apiVersion": "v1", "kind": "DeleteOptions", "propagationPolicy": policy,
        });
        if !options.uid.is_empty() {
            body["preconditions"] = json!({"uid": options.uid});
        }
        let path = resource.path(namespace, name);
        let call = Call { method: Method::DELETE, body: Some(&body), ..Call::get(&path) };
        match self.call(&call).await {
            Ok(_) => Ok(true),
            Err(RequestError::NotFound { .. }) => Ok(false),
            Err(RequestError::Conflict { .. }) if is_planted(Planted::ConflictIsGone) => Ok(false),
            Err(error @ RequestError::Conflict { .. }) if !options.uid.is_empty() => {
                // Another object may have taken the name: then the one that was meant is gone.
                let present = self.get_path(&path).await?;
                let is_there = present.is_some_and(|present| access::uid(&present) == options.uid);
                if is_there { Err(error) } else { Ok(false) }
            }
            Err(error) => Err(error),
        }
    }

    /// The server's version, such as `v1.35.4`.
    pub async fn version(&self) -> Result<String, RequestError> {
        let version = self.call(&Call::get("/version")).await?;
        Ok(access::text(&version, &["gitVersion"]).unwrap_or_default().to_owned())
    }

    /// What a path gives; `None` for 404.
    pub(super) async fn get_path(&self, path: &str) -> Result<Option<Json>, RequestError> {
        match self.call(&Call::get(path)).await {
            Ok(object) => Ok(Some(object)),
            Err(RequestError::NotFound { .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// One request with its retries. Every request of fitout can be repeated: applies and deletes
    /// by their nature, and of what is made or replaced it is looked whether it had been done the
    /// first time.
    pub(super) async fn call(&self, call: &Call<'_>) -> Result<Json, RequestError> {
        let mut patience = Patience { attempts: 0, left: PATIENCE, has_renewed: false };
        let error = match self.attempts(call, &mut patience).await {
            Ok(answer) => return Ok(answer),
            Err(error) => error,
        };
        let doubtful = lost::path_of_doubt(call, &error).filter(|_| patience.attempts > 0);
        let (Some(path), Some(sent)) = (doubtful, call.body) else { return Err(error) };
        let mut patience = Patience { attempts: 0, left: PATIENCE, has_renewed: true };
        match self.attempts(&Call::get(&path), &mut patience).await {
            Ok(present) if lost::is_done(sent, &present) => Ok(present),
            _ => Err(error),
        }
    }

    async fn attempts(
        &self,
        call: &Call<'_>,
        patience: &mut Patience,
    ) -> Result<Json, RequestError> {
        let _permit = self.permits.acquire().await.expect("the semaphore is never closed");
        loop {
            let failed = match self.attempt(call).await {
                Ok(answer) => return Ok(answer),
                Err(failed) => failed,
            };
            if matches!(failed.error, RequestError::Unauthorized) {
                self.renewed(failed.generation, patience).await?;
                continue;
            }
            match patience.pause(&failed.error, failed.retry_after) {
                Some(pause) => tokio::time::sleep(pause).await,
                None => return Err(failed.told()),
            }
        }
    }

    /// Gets other credentials, once for each request.
    async fn renewed(&self, generation: u64, patience: &mut Patience) -> Result<(), RequestError> {
        if std::mem::replace(&mut patience.has_renewed, true) {
            return Err(RequestError::Unauthorized);
        }
        match self.connection.renew(generation).await {
            Ok(true) => Ok(()),
            Ok(false) => Err(RequestError::Unauthorized),
            Err(error) => Err(RequestError::Login { source: Box::new(error) }),
        }
    }

    async fn attempt(&self, call: &Call<'_>) -> Result<Json, Failed> {
        if let Some(pace) = &self.pace {
            pace.turn().await;
        }
        let (client, generation) = self.connection.client().await;
        let answer = tokio::time::timeout(self.timeout, self.send(&client, call)).await;
        let answer = answer.unwrap_or_else(|_| {
            Err(RequestError::Timeout { seconds: self.timeout.as_secs() }.into())
        });
        answer.map_err(|failed| Failed { generation, ..failed })
    }

    /// Does not go through [`kube::Client::request`], which logs what a server answers: an answer
    /// about a Secret may quote its values.
    async fn send(&self, client: &kube::Client, call: &Call<'_>) -> Result<Json, Failed> {
        let body = call.body.map(Json::to_string).unwrap_or_default().into_bytes();
        let request = Request::builder()
            .method(call.method.clone())
            .uri(call.path)
            .header(header::ACCEPT, call.accept)
            .header(header::CONTENT_TYPE, call.content_type)
            .body(Body::from(body))
            .map_err(|error| RequestError::Protocol { message: error.to_string() })?;
        let response = client.send(request).await.map_err(unreachable)?;
        let code = response.status();
        let retry_after = response
            .headers()
            .get(header::RETRY_AFTER)
            .and_then(|value| value.to_str().ok()?.parse().ok())
            .map(Duration::from_secs);
        let body = response.into_body().collect().await.map_err(unreachable)?.to_bytes();
        if code.is_client_error() || code.is_server_error() {
            let error = RequestError::of(code, &body, call.withhold);
            return Err(Failed { error, retry_after, generation: 0 });
        }
        if code == StatusCode::NO_CONTENT || body.is_empty() {
            return Ok(Json::Null);
        }
        serde_json::from_slice(&body).map_err(|error| {
            // The error says line and column, never the text.
            RequestError::Protocol { message: error.to_string() }.into()
        })
    }
}

/// An attempt that failed.
struct Failed {
    error: RequestError,
    /// When the server wants the next one.
    retry_after: Option<Duration>,
    /// Of the client that it was made with.
    generation: u64,
}

impl Failed {
    /// The error, with when the server wants to be asked again.
    fn told(self) -> RequestError {
        match (self.error, self.retry_after) {
            (RequestError::Server { code, message }, Some(after)) => {
                let seconds = after.as_secs();
                let message = format!("{message}; it asks to be left alone for {seconds} s");
                RequestError::Server { code, message }
            }
            (error, _) => error,
        }
    }
}

impl From<RequestError> for Failed {
    fn from(error: RequestError) -> Self {
        Self { error, retry_after: None, generation: 0 }
    }
}

/// What is left of one request's patience.
struct Patience {
    /// Attempts after which another one was made.
    attempts: u32,
    /// How much longer may be waited between attempts.
    left: Duration,
    /// Whether other credentials have been asked for.
    has_renewed: bool,
}

impl Patience {
    /// How long to wait before the next attempt, where another one is worth it. A server that says
    /// when to come back is heeded as often as that fits the patience; one that wants more is not
    /// asked before its time.
    fn pause(&mut self, error: &RequestError, retry_after: Option<Duration>) -> Option<Duration> {
        let attempt = self.attempts + 1;
        let backoff = Duration::from_millis(50 << attempt.min(5));
        let pause = match error {
            RequestError::Server { code: 429 | 503, .. } if retry_after.is_some() => {
                retry_after.unwrap_or_default().max(backoff)
            }
            RequestError::Server { code: 429 | 500 | 502 | 503 | 504, .. }
                if attempt < ATTEMPTS_MAX =>
            {
                backoff
            }
            RequestError::Unreachable { .. } if attempt < 3 => backoff,
            _ => return None,
        };
        self.left = self.left.checked_sub(pause)?;
        self.attempts = attempt;
        Some(pause)
    }
}

/// One request.
pub(super) struct Call<'a> {
    pub(super) method: Method,
    pub(super) path: &'a str,
    pub(super) body: Option<&'a Json>,
    pub(super) accept: &'a str,
    pub(super) content_type: &'a str,
    pub(super) withhold: bool,
}

impl<'a> Call<'a> {
    pub(super) fn get(path: &'a str) -> Self {
        Self {
            method: Method::GET,
            path,
            body: None,
            accept: "application/json",
            content_type: "application/json",
            withhold: false,
        }
    }
}

pub(super) fn unreachable(error: kube::Error) -> RequestError {
    RequestError::Unreachable { source: Box::new(error) }
}

fn is_secret(resource: &Resource) -> bool {
    secret::is_secret_kind(&resource.group, &resource.kind)
}

/// An item of a list with the `apiVersion` and `kind` that lists leave out.
fn typed(mut item: Json, resource: &Resource) -> Json {
    if let Some(fields) = item.as_object_mut() {
        fields.insert("apiVersion".to_owned(), Json::from(resource.api_version()));
        fields.insert("kind".to_owned(), Json::from(resource.kind.as_str()));
    }
    item
}

/// A value of a URL's query.
fn encoded(value: &str) -> String {
    use std::fmt::Write as _;
    value.bytes().fold(String::with_capacity(value.len()), |mut text, byte| {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            text.push(char::from(byte));
        } else {
            write!(text, "%{byte:02X}").expect("writing to a String cannot fail");
        }
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A client of a server that has one object of each kind, and the paths that it is asked for.
    fn asked() -> (ClusterClient, Arc<Mutex<Vec<String>>>) {
        let asked: Arc<Mutex<Vec<String>>> = Arc::default();
        let log = Arc::clone(&asked);
        let service = tower::service_fn(move |request: Request<Body>| {
            let path = request.uri().path().to_owned();
            let answer = if path == "/apis/apps/v1" {
                json!({"resources": [
                    {"name": "deployments", "kind": "Deployment", "namespaced": true},
                ]})
            } else {
                json!({"items": [{"metadata": {"name": "a", "namespace": "n"}}]})
            };
            log.lock().unwrap().push(path);
            async move {
                let body = Body::from(answer.to_string().into_bytes());
                Ok::<_, std::convert::Infallible>(http::Response::new(body))
            }
        });
        let client = kube::Client::new(service, "default");
        (ClusterClient::new("c".into(), client, Duration::from_secs(5)), asked)
    }

    async fn list_twice(client: &ClusterClient) {
        let resource = async || client.resource("apps/v1", "Deployment").await.unwrap();
        let both = futures::future::join(resource(), resource()).await;
        let lists = [&both.0, &both.1].map(|resource| client.listed(resource, "a=b"));
        for listed in futures::future::join_all(lists).await {
            assert_eq!(access::name(&listed.unwrap()[0]), "a");
        }
    }

    #[test]
    fn a_server_that_says_when_to_come_back_is_heeded_within_bounds() {
        let server = |code| RequestError::Server { code, message: String::new() };
        let pauses = |error: &RequestError, after: Option<u64>| {
            let mut patience = Patience { attempts: 0, left: PATIENCE, has_renewed: false };
            let after = after.map(Duration::from_secs);
            let pauses = std::iter::from_fn(|| patience.pause(error, after));
            pauses.map(|pause| pause.as_millis()).collect::<Vec<_>>()
        };
        assert_eq!(pauses(&server(429), Some(10)), [10_000; 3]);
        assert_eq!(pauses(&server(429), Some(31)), [0; 0]);
        // Never sooner than without its word.
        assert_eq!(pauses(&server(503), Some(1)).len(), 20);
        assert_eq!(pauses(&server(429), None), [100, 200, 400, 800]);
        assert_eq!(pauses(&server(500), Some(1)), [100, 200, 400, 800]);
        assert_eq!(pauses(&RequestError::Unreachable { source: "".into() }, None), [100, 200]);
        assert_eq!(pauses(&server(507), None), [0; 0]);
    }

    #[tokio::test]
    async fn a_pass_asks_for_each_kind_once() {
        let (client, asked) = asked();
        list_twice(&client.for_one_pass()).await;
        assert_eq!(*asked.lock().unwrap(), ["/apis/apps/v1", "/apis/apps/v1/deployments"]);
    }

    #[tokio::test]
    async fn the_next_pass_asks_again() {
        let (client, asked) = asked();
        list_twice(&client.for_one_pass()).await;
        list_twice(&client.for_one_pass()).await;
        list_twice(&client).await;
        let lists = asked.lock().unwrap().iter().filter(|path| path.contains("deploy")).count();
        assert_eq!(lists, 4);
    }
}
