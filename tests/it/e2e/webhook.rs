//! An admission webhook that a real API server asks, over TLS on loopback.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use base64::Engine as _;
use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use serde_json::{Value as Json, json};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};

/// What a webhook does with what it is asked.
#[derive(Clone, Copy, Debug)]
pub(super) enum Verdict {
    Allow,
    /// With these words.
    Deny(&'static str),
    /// It answers a minute late.
    Sleep,
}

/// Tells a webhook what to do.
#[derive(Clone)]
pub(super) struct Handle(Arc<Mutex<Verdict>>);

impl Handle {
    /// What it does from now on.
    pub(super) fn says(&self, verdict: Verdict) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = verdict;
    }
}

/// The webhook. It ends with the value.
pub(super) struct Webhook {
    verdict: Arc<Mutex<Verdict>>,
    port: u16,
    authority: String,
    runtime: Option<tokio::runtime::Runtime>,
}

impl Webhook {
    /// A webhook that allows everything.
    pub(super) fn new() -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .expect("there are threads");
        let names = vec!["127.0.0.1".to_owned()];
        let own = rcgen::generate_simple_self_signed(names).expect("it is an address");
        let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(own.signing_key.serialize_der()));
        let provider = Arc::new(tokio_rustls::rustls::crypto::ring::default_provider());
        let config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .expect("ring has them")
            .with_no_client_auth()
            .with_single_cert(vec![own.cert.der().clone()], key)
            .expect("they belong together");
        let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).expect("a port is free");
        let port = listener.local_addr().expect("it is bound").port();
        let verdict = Arc::new(Mutex::new(Verdict::Allow));
        let acceptor = TlsAcceptor::from(Arc::new(config));
        runtime.spawn(serve(listener, acceptor, Arc::clone(&verdict)));
        let authority = base64::engine::general_purpose::STANDARD.encode(own.cert.pem());
        Self { verdict, port, authority, runtime: Some(runtime) }
    }

    /// What it does from now on.
    pub(super) fn says(&self, verdict: Verdict) {
        self.handle().says(verdict);
    }

    /// The same for another thread.
    pub(super) fn handle(&self) -> Handle {
        Handle(Arc::clone(&self.verdict))
    }

    /// The configuration that lets an API server ask it about ConfigMaps and Deployments of the
    /// namespace `web`, and wait for a second.
    pub(super) fn configuration(&self) -> String {
        let Self { port, authority, .. } = self;
        format!(
            "apiVersion: admissionregistration.k8s.io/v1\n\
             kind: ValidatingWebhookConfiguration\n\
             metadata: {{name: weather}}\n\
             webhooks:\n\
             - name: weather.example.org\n\
             \x20 admissionReviewVersions: [v1]\n\
             \x20 sideEffects: None\n\
             \x20 timeoutSeconds: 1\n\
             \x20 failurePolicy: Fail\n\
             \x20 clientConfig: {{url: \"https://127.0.0.1:{port}/\", caBundle: {authority}}}\n\
             \x20 namespaceSelector: {{matchLabels: {{kubernetes.io/metadata.name: web}}}}\n\
             \x20 rules:\n\
             \x20 - operations: [CREATE, UPDATE]\n\
             \x20   apiGroups: [\"\", apps]\n\
             \x20   apiVersions: [v1]\n\
             \x20   resources: [configmaps, deployments]\n"
        )
    }
}

impl Drop for Webhook {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

async fn serve(listener: TcpListener, acceptor: TlsAcceptor, verdict: Arc<Mutex<Verdict>>) {
    loop {
        let Ok((stream, _)) = listener.accept().await else { return };
        tokio::spawn(connection(stream, acceptor.clone(), Arc::clone(&verdict)));
    }
}

async fn connection(stream: TcpStream, acceptor: TlsAcceptor, verdict: Arc<Mutex<Verdict>>) {
    let Ok(stream) = acceptor.accept(stream).await else { return };
    let service = service_fn(move |request: Request<Incoming>| {
        let verdict = *verdict.lock().unwrap_or_else(PoisonError::into_inner);
        async move {
            let body = request.into_body().collect().await?.to_bytes();
            let review: Json = serde_json::from_slice(&body).unwrap_or(Json::Null);
            let answer = judged(&review, verdict).await;
            Ok::<_, hyper::Error>(Response::new(Full::new(Bytes::from(answer.to_string()))))
        }
    });
    // An API server that does not wait closes the connection.
    let _ = hyper::server::conn::http1::Builder::new()
        .serve_connection(TokioIo::new(stream), service)
        .await;
}

async fn judged(review: &Json, verdict: Verdict) -> Json {
    let uid = &review["request"]["uid"];
    let response = match verdict {
        Verdict::Allow => json!({"uid": uid, "allowed": true}),
        Verdict::Deny(message) => {
            json!({"uid": uid, "allowed": false, "status": {"message": message}})
        }
        Verdict::Sleep => {
            tokio::time::sleep(Duration::from_mins(1)).await;
            json!({"uid": uid, "allowed": true})
        }
    };
    json!({"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "response": response})
}
