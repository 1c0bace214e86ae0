//! A wire between `fitout` and a real API server, on which things go wrong as a test says.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use futures::StreamExt as _;
use http::header::{AUTHORIZATION, CONTENT_LENGTH, CONTENT_TYPE, RETRY_AFTER};
use http::{HeaderMap, Method, Request, Response};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt as _, Full, StreamBody};
use hyper::body::{Frame, Incoming};
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use kube::config::{KubeConfigOptions, Kubeconfig};
use serde_json::json;
use tokio::net::{TcpListener, TcpStream};

use super::clusters::Cluster;

/// How long a test waits for a request that it expects.
const EXPECTED_WITHIN: Duration = Duration::from_mins(1);

/// A request on the wire.
#[derive(Clone, Debug)]
pub(super) struct Seen {
    pub(super) method: Method,
    pub(super) path: String,
    /// The `Authorization` header.
    pub(super) login: String,
    /// How many requests of its method and path there have been, this one included.
    pub(super) attempt: usize,
    /// How many writing requests there have been, this one included.
    pub(super) writes: usize,
    /// Whether it writes. Dry runs do not, and neither do reviews.
    pub(super) is_write: bool,
}

/// What happens to a request.
#[derive(Clone, Debug)]
pub(super) enum Deed {
    /// It gets through.
    Pass,
    /// This is the answer; the cluster never hears of it.
    Answer(u16, &'static str),
    /// As the priority and fairness of API servers answers: 429, and when to come back.
    ComeBack(u64),
    /// It gets through, late.
    Late(Duration),
    /// The connection is closed.
    Cut,
    /// It is done, and the connection is closed.
    CutAfter,
    /// It is done, and in the middle of the answer the connection is closed.
    CutWithin,
    /// It is done, and in the middle of the answer nothing comes any more.
    StallWithin,
    /// Nobody ever answers.
    Hang,
    /// It is done, and nobody ever answers.
    HangAfter,
}

type Rule = Box<dyn FnMut(&Seen) -> Deed + Send>;

struct Shared {
    state: Mutex<State>,
    news: Condvar,
    upstream: kube::Client,
}

struct State {
    rule: Rule,
    seen: VecDeque<Seen>,
    /// Of requests that hang after they are done, how many are.
    hanging: usize,
}

/// The wire. It ends with the value.
pub(super) struct Wire {
    shared: Arc<Shared>,
    kubeconfig: PathBuf,
    runtime: tokio::runtime::Runtime,
}

impl Wire {
    /// A wire to a cluster, on which all is well. Who asks is the cluster's administrator, whatever
    /// they say. Its kubeconfig is written to `folder`.
    pub(super) fn to(cluster: &Cluster, folder: &Path) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()
            .expect("there are threads");
        let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).expect("a port is free");
        let port = listener.local_addr().expect("it is bound").port();
        let upstream = runtime.block_on(upstream(cluster.kubeconfig()));
        let state = State { rule: Box::new(|_| Deed::Pass), seen: VecDeque::new(), hanging: 0 };
        let shared = Shared { state: Mutex::new(state), news: Condvar::new(), upstream };
        let shared = Arc::new(shared);
        runtime.spawn(serve(listener, Arc::clone(&shared)));
        let kubeconfig = folder.join(format!("{}.wire", cluster.name));
        std::fs::write(&kubeconfig, config(port, "{token: t}")).expect("the folder is writable");
        Self { shared, kubeconfig, runtime }
    }

    /// A kubeconfig by which requests go over the wire.
    pub(super) fn kubeconfig(&self) -> &Path {
        &self.kubeconfig
    }

    /// The same with another user.
    pub(super) fn write_user(&self, user: &str) {
        let text = std::fs::read_to_string(&self.kubeconfig).expect("it is ours");
        let port = text.split("127.0.0.1:").nth(1).and_then(|rest| rest.split('"').next());
        let port = port.and_then(|port| port.parse().ok()).expect("it has a port");
        std::fs::write(&self.kubeconfig, config(port, user)).expect("it is ours");
    }

    /// What happens from now on. Counts begin anew.
    pub(super) fn rule(&self, rule: impl FnMut(&Seen) -> Deed + Send + 'static) {
        let mut state = self.shared.state();
        *state = State { rule: Box::new(rule), seen: VecDeque::new(), hanging: 0 };
    }

    /// All is well from now on.
    pub(super) fn clear_up(&self) {
        self.rule(|_| Deed::Pass);
    }

    /// What was asked for since the rule was made.
    pub(super) fn seen(&self) -> Vec<Seen> {
        self.shared.state().seen.iter().cloned().collect()
    }

    /// Waits for a request that hangs after it was done, or until `is_over`. Tells whether there
    /// is one.
    pub(super) fn hangs_unless(&self, mut is_over: impl FnMut() -> bool) -> bool {
        let began = Instant::now();
        let mut state = self.shared.state();
        while state.hanging == 0 {
            if is_over() {
                return false;
            }
            assert!(began.elapsed() < EXPECTED_WITHIN, "nothing hangs");
            let pause = Duration::from_millis(20);
            let waited = self.shared.news.wait_timeout(state, pause);
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
        true
    }
}

impl Drop for Wire {
    fn drop(&mut self) {
        let other = tokio::runtime::Builder::new_current_thread().build().expect("it needs none");
        std::mem::replace(&mut self.runtime, other).shutdown_background();
    }
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn decide<T>(&self, request: &Request<T>) -> Deed {
        let path = request.uri().path_and_query().map_or("/", |path| path.as_str()).to_owned();
        let method = request.method().clone();
        let is_write =
            method != Method::GET && !path.contains("dryRun=All") && !path.contains("reviews");
        let mut state = self.state();
        let before = state.seen.iter();
        let alike = before.clone().filter(|seen| seen.method == method && seen.path == path);
        let login = request.headers().get(AUTHORIZATION).and_then(|value| value.to_str().ok());
        let seen = Seen {
            attempt: alike.count() + 1,
            writes: before.filter(|seen| seen.is_write).count() + usize::from(is_write),
            login: login.unwrap_or_default().to_owned(),
            method,
            path,
            is_write,
        };
        let deed = (state.rule)(&seen);
        state.seen.push_back(seen);
        deed
    }

    fn hangs(&self) {
        self.state().hanging += 1;
        self.news.notify_all();
    }

    async fn pass(&self, request: Request<Incoming>) -> Result<Response<Bytes>, Cut> {
        let (mut head, body) = request.into_parts();
        let body = body.collect().await.map_err(|_| Cut)?.to_bytes();
        head.headers = of(&head.headers, &[http::header::ACCEPT, CONTENT_TYPE]);
        let path = head.uri.path_and_query().ok_or(Cut)?.as_str().to_owned();
        head.uri = path.parse().map_err(|_| Cut)?;
        let request = Request::from_parts(head, kube::client::Body::from(body.to_vec()));
        // A server that is down closes connections.
        let answer = self.upstream.send(request).await.map_err(|_| Cut)?;
        let (mut head, body) = answer.into_parts();
        let body = body.collect().await.map_err(|_| Cut)?.to_bytes();
        head.headers = of(&head.headers, &[CONTENT_TYPE, RETRY_AFTER, http::header::DATE]);
        Ok(Response::from_parts(head, body))
    }
}

fn of(headers: &HeaderMap, kept: &[http::HeaderName]) -> HeaderMap {
    kept.iter().filter_map(|name| Some((name.clone(), headers.get(name)?.clone()))).collect()
}

fn config(port: u16, user: &str) -> String {
    format!(
        "apiVersion: v1\nkind: Config\ncurrent-context: c\n\
         contexts: [{{name: c, context: {{cluster: c, user: u}}}}]\n\
         clusters: [{{name: c, cluster: {{server: \"http://127.0.0.1:{port}\"}}}}]\n\
         users: [{{name: u, user: {user}}}]\n"
    )
}

async fn upstream(kubeconfig: &str) -> kube::Client {
    let read = Kubeconfig::read_from(kubeconfig).expect("the control plane wrote it");
    let config = kube::Config::from_custom_kubeconfig(read, &KubeConfigOptions::default()).await;
    let mut config = config.expect("the control plane wrote it");
    config.default_retry = false;
    kube::Client::try_from(config).expect("the control plane wrote it")
}

/// The connection is closed.
#[derive(Debug)]
struct Cut;

impl std::fmt::Display for Cut {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("cut")
    }
}

impl std::error::Error for Cut {}

type Answer = Response<UnsyncBoxBody<Bytes, Cut>>;

async fn serve(listener: TcpListener, shared: Arc<Shared>) {
    loop {
        let Ok((stream, _)) = listener.accept().await else { return };
        tokio::spawn(connection(stream, Arc::clone(&shared)));
    }
}

async fn connection(stream: TcpStream, shared: Arc<Shared>) {
    let service = service_fn(move |request| {
        let shared = Arc::clone(&shared);
        async move { answer(&shared, request).await }
    });
    // That a connection is cut is what it is for.
    let _ = hyper::server::conn::http1::Builder::new()
        .serve_connection(TokioIo::new(stream), service)
        .await;
}

async fn answer(shared: &Shared, request: Request<Incoming>) -> Result<Answer, Cut> {
    match shared.decide(&request) {
        Deed::Pass => Ok(whole(shared.pass(request).await?)),
        Deed::Answer(code, message) => Ok(whole(status(code, message, None))),
        Deed::ComeBack(seconds) => {
            let message = "too many requests, please try again later";
            Ok(whole(status(429, message, Some(seconds))))
        }
        Deed::Late(pause) => {
            tokio::time::sleep(pause).await;
            Ok(whole(shared.pass(request).await?))
        }
        Deed::Cut => Err(Cut),
        Deed::CutAfter => {
            shared.pass(request).await?;
            Err(Cut)
        }
        Deed::CutWithin => Ok(half(shared.pass(request).await?, Some(Cut))),
        Deed::StallWithin => Ok(half(shared.pass(request).await?, None)),
        Deed::Hang => std::future::pending().await,
        Deed::HangAfter => {
            shared.pass(request).await?;
            shared.hangs();
            std::future::pending().await
        }
    }
}

fn status(code: u16, message: &str, retry_after: Option<u64>) -> Response<Bytes> {
    let body = json!({
        "apiVersion": "v1", "kind": "Status", "status": "Failure", "message": message,
        "code": code,
    });
    let mut response = Response::new(Bytes::from(body.to_string()));
    *response.status_mut() = http::StatusCode::from_u16(code).expect("a test says a real one");
    if let Some(seconds) = retry_after {
        response.headers_mut().insert(RETRY_AFTER, seconds.into());
    }
    response
}

fn whole(answer: Response<Bytes>) -> Answer {
    answer.map(|body| Full::new(body).map_err(|never: Infallible| match never {}).boxed_unsync())
}

/// The first half of an answer that says how long it is, and then its end.
fn half(answer: Response<Bytes>, end: Option<Cut>) -> Answer {
    let length = answer.body().len();
    let mut answer = answer.map(|body| {
        let first = Ok(Frame::data(body.slice(..length / 2)));
        let first = futures::stream::iter([first]);
        match end {
            Some(cut) => {
                StreamBody::new(first.chain(futures::stream::iter([Err(cut)]))).boxed_unsync()
            }
            None => StreamBody::new(first.chain(futures::stream::pending())).boxed_unsync(),
        }
    });
    answer.headers_mut().insert(CONTENT_LENGTH, length.into());
    answer
}
