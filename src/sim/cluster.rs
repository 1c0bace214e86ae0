//! One simulated cluster: its state, its clock, and HTTP requests to it.

use std::convert::Infallible;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use futures::future::BoxFuture;
use futures::{FutureExt as _, Stream, StreamExt as _};
use http::{Response, header};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt as _, Full, StreamBody};
use hyper::body::Frame;

use super::api::{self, Answer};
use super::discovery;
use super::faults::{Fault, Faults};
use super::request::{Request, Target};
use super::respond::{Body, Reply};
use super::status::StatusError;
use super::store::Store;
use super::watch::Watch;
use crate::base::clock::{Clock, Timestamp};

/// A body of an answer.
pub type SimBody = UnsyncBoxBody<Bytes, Infallible>;

/// A simulated cluster, by one way that leads to it. Cheap to clone; clones are the same way to the
/// same cluster.
///
/// # Guarantees
/// The same requests at the same times give the same answers. Its controllers run as far as the
/// clock has got with every request, and not in between; time never runs backwards.
#[derive(Clone)]
pub struct SimCluster {
    server: Arc<Server>,
    network: Arc<Mutex<Box<dyn Network>>>,
}

struct Server {
    store: Mutex<Store>,
    clock: Arc<dyn Clock>,
    /// The version of the last change, for those who wait for one.
    changed: tokio::sync::watch::Sender<u64>,
}

/// What lies between a client and a cluster.
pub trait Network: Send {
    /// What happens to a request on its way.
    fn meet(&mut self, request: &Request) -> Option<Fault>;

    /// The cluster has dealt with a request. `before` was its version until then.
    fn reached(&mut self, _request: &Request, _before: u64, _cluster: &Store) {}
}

impl Network for Faults {
    fn meet(&mut self, request: &Request) -> Option<Fault> {
        Faults::meet(self, request)
    }
}

/// A request that got no answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoAnswer {
    /// The connection was refused.
    #[error("connection refused by the simulated cluster")]
    Refused,
    /// The connection broke after the request had been sent.
    #[error("connection to the simulated cluster was lost before the answer")]
    Lost,
}

impl std::fmt::Debug for SimCluster {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "SimCluster({})", self.name())
    }
}

impl SimCluster {
    /// A new cluster with nothing but what every cluster begins with.
    pub fn new(name: &str, nodes: u32, clock: Arc<dyn Clock>) -> Self {
        let mut store = Store::new(name, nodes, clock.now());
        store.begin();
        Self::of(store, clock)
    }

    /// A cluster in a state.
    pub fn of(store: Store, clock: Arc<dyn Clock>) -> Self {
        let (changed, _) = tokio::sync::watch::channel(store.version());
        let server = Server { store: Mutex::new(store), clock, changed };
        Self::over(Arc::new(server), Box::new(Faults::none()))
    }

    fn over(server: Arc<Server>, network: Box<dyn Network>) -> Self {
        Self { server, network: Arc::new(Mutex::new(network)) }
    }

    /// Another way to the same cluster.
    #[must_use]
    pub fn by(&self, network: Box<dyn Network>) -> Self {
        Self::over(Arc::clone(&self.server), network)
    }

    /// Its name.
    pub fn name(&self) -> String {
        self.lock().name.clone()
    }

    /// From now on it shows these faults.
    pub fn set_faults(&self, faults: Faults) {
        *self.network() = Box::new(faults);
    }

    /// Its state now, with all that its controllers have done by now.
    pub fn snapshot(&self) -> Store {
        self.advanced().clone()
    }

    /// The version of its last change.
    pub fn version(&self) -> u64 {
        self.lock().version()
    }

    /// A client that asks it directly.
    pub fn client(&self) -> kube::Client {
        kube::Client::new(SimService(self.clone()), "default")
    }

    /// Looks at its state now, or changes it as somebody else would, without a request.
    pub fn with<T>(&self, look: impl FnOnce(&mut Store) -> T) -> T {
        let mut store = self.advanced();
        let seen = look(&mut store);
        self.tell(&store);
        seen
    }

    fn lock(&self) -> MutexGuard<'_, Store> {
        self.server.store.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn network(&self) -> MutexGuard<'_, Box<dyn Network>> {
        self.network.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The state, once its controllers have run up to now.
    fn advanced(&self) -> MutexGuard<'_, Store> {
        let mut store = self.lock();
        store.advance(self.server.clock.now());
        self.tell(&store);
        store
    }

    fn tell(&self, store: &Store) {
        let version = store.version();
        self.server.changed.send_if_modified(|seen| std::mem::replace(seen, version) != version);
    }

    /// Answers a request.
    ///
    /// # Errors
    /// [`NoAnswer`], by a fault only.
    pub async fn answer(&self, request: Request) -> Result<Response<SimBody>, NoAnswer> {
        let fault = self.network().meet(&request);
        let refused = match &fault {
            Some(Fault::Unreachable) => return Err(NoAnswer::Refused),
            Some(Fault::Slow(time)) => {
                self.server.clock.sleep(*time).await;
                None
            }
            Some(Fault::TooManyRequests(seconds)) => {
                let message = "the server has received too many requests and has asked us to try \
                               again later";
                let mut error = StatusError::new(429, "TooManyRequests", message);
                error.retry_after = Some(*seconds);
                Some(error)
            }
            Some(Fault::ServerError) => {
                Some(StatusError::new(500, "InternalError", "an error that was asked for"))
            }
            Some(fault @ (Fault::Forbidden | Fault::Conflict)) => self.refusal(&request, fault),
            Some(Fault::Hangs) => return std::future::pending().await,
            Some(Fault::LostAnswer | Fault::HangsAfter) | None => None,
        };
        let answer = match refused {
            Some(error) => Answer::Reply(error.into()),
            None => self.ask(&request),
        };
        match fault {
            Some(Fault::LostAnswer) => return Err(NoAnswer::Lost),
            Some(Fault::HangsAfter) => return std::future::pending().await,
            _ => {}
        }
        Ok(match answer {
            Answer::Reply(reply) => response(reply),
            Answer::Watch(watch) => self.stream(watch),
        })
    }

    fn ask(&self, request: &Request) -> Answer {
        let mut store = self.advanced();
        let before = store.version();
        let answer = api::answer(&mut store, request);
        self.network().reached(request, before, &store);
        // What follows from a write at once belongs to it.
        store.advance(self.server.clock.now());
        self.tell(&store);
        answer.unwrap_or_else(|error| Answer::Reply(error.into()))
    }

    /// A refusal in the words for the object that is asked for.
    fn refusal(&self, request: &Request, fault: &Fault) -> Option<StatusError> {
        let Target::Objects(path) = request.target() else { return None };
        let kind = discovery::find(&self.lock(), &path.group, &path.version, &path.plural)?;
        if *fault == Fault::Conflict {
            return Some(StatusError::modified(&kind, &path.name));
        }
        let group = &kind.group;
        let why = format!(
            "User \"kubernetes-admin\" cannot use resource {:?} in API group {group:?} in the \
             namespace {:?}",
            kind.plural, path.namespace
        );
        Some(StatusError::forbidden(&kind, &path.name, &why))
    }

    fn stream(&self, watch: Watch) -> Response<SimBody> {
        let lines = self.clone().lines(watch);
        let frames = lines.map(|bytes| Ok::<_, Infallible>(Frame::data(bytes)));
        let body = StreamBody::new(frames).boxed_unsync();
        let mut response = Response::new(body);
        response
            .headers_mut()
            .insert(header::CONTENT_TYPE, header::HeaderValue::from_static("application/json"));
        response
    }

    /// The events of a watch, as lines of JSON, as they come.
    fn lines(self, watch: Watch) -> impl Stream<Item = Bytes> + Send {
        let changed = self.server.changed.subscribe();
        futures::stream::unfold((self, watch, changed), |(cluster, mut watch, mut changed)| async {
            loop {
                changed.mark_unchanged();
                let (events, wake) = cluster.poll(&mut watch);
                let events = events?;
                if !events.is_empty() {
                    let lines: Vec<_> = events.iter().map(|event| format!("{event}\n")).collect();
                    return Some((Bytes::from(lines.concat()), (cluster, watch, changed)));
                }
                let pause = wake.duration_since(cluster.server.clock.now());
                let pause = Duration::try_from(pause).unwrap_or_default();
                // A clock may wake a little early: never spin.
                let pause = pause.max(Duration::from_millis(1));
                let sleep = cluster.server.clock.sleep(pause);
                tokio::select! {
                    () = sleep => {}
                    _ = changed.changed() => {}
                }
            }
        })
    }

    /// What a watch tells now, and when there may be more without a write.
    fn poll(&self, watch: &mut Watch) -> (Option<Vec<serde_json::Value>>, Timestamp) {
        let store = self.advanced();
        let events = watch.poll(&store);
        let wake = store.next_wake().map_or(watch.wake(), |wake| wake.min(watch.wake()));
        (events, wake)
    }
}

fn response(reply: Reply) -> Response<SimBody> {
    let (content_type, bytes) = match reply.body {
        Body::Json(json) => ("application/json", json.to_string()),
        Body::Typed(content_type, json) => (content_type, json.to_string()),
        Body::Text(text) => ("text/plain; charset=utf-8", text),
        Body::Empty(content_type) => (content_type, String::new()),
    };
    let mut response = Response::new(Full::new(Bytes::from(bytes)).boxed_unsync());
    *response.status_mut() =
        http::StatusCode::from_u16(reply.code).unwrap_or(http::StatusCode::INTERNAL_SERVER_ERROR);
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, header::HeaderValue::from_static(content_type));
    if let Some(seconds) = reply.retry_after {
        headers.insert(header::RETRY_AFTER, header::HeaderValue::from(seconds));
    }
    for warning in reply.warnings {
        if let Ok(value) = header::HeaderValue::from_str(&format!("299 - {warning:?}")) {
            headers.append(header::WARNING, value);
        }
    }
    response
}

/// The way in for [`kube::Client`].
#[derive(Clone, Debug)]
struct SimService(SimCluster);

type Failed = Box<dyn std::error::Error + Send + Sync>;

impl tower::Service<http::Request<kube::client::Body>> for SimService {
    type Response = Response<SimBody>;
    type Error = Failed;
    type Future = BoxFuture<'static, Result<Self::Response, Failed>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Failed>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<kube::client::Body>) -> Self::Future {
        let cluster = self.0.clone();
        async move {
            let (head, body) = request.into_parts();
            let body = body.collect().await?.to_bytes();
            Ok(cluster.answer(Request::new(&head, body)).await?)
        }
        .boxed()
    }
}
