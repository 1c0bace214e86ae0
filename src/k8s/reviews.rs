//! What an API server says of itself and of whoever asks: version, time, name, permissions.
//! Changes nothing: a review is created, answered and forgotten.

use std::time::Duration;

use http::{Method, Request, header};
use http_body_util::BodyExt as _;
use jiff::Timestamp;
use jiff::fmt::rfc2822::DateTimeParser;
use kube::client::Body;
use serde_json::{Value as Json, json};

use super::client::{Call, ClusterClient, unreachable};
use super::error::RequestError;
use crate::object::access;

/// How long a cluster may take to give a sign of life.
const PROBE_TIMEOUT: Duration = Duration::from_secs(10);

/// A sign of life.
#[derive(Debug)]
pub struct Probe {
    /// Such as `v1.35.4`; an error where the server does not tell it to whoever asks.
    pub version: Result<String, RequestError>,
    /// The server's time, to the second, where it tells it.
    pub date: Option<Timestamp>,
}

impl ClusterClient {
    /// Asks for the version, once: no retries, so that the time it takes means something.
    ///
    /// # Errors
    /// Only where there was no answer: a refusal is one.
    pub async fn probe(&self) -> Result<Probe, RequestError> {
        let limit = self.timeout.min(PROBE_TIMEOUT);
        let answer = tokio::time::timeout(limit, self.ask_version()).await;
        answer.unwrap_or(Err(RequestError::Timeout { seconds: limit.as_secs() }))
    }

    async fn ask_version(&self) -> Result<Probe, RequestError> {
        let request = Request::builder()
            .method(Method::GET)
            .uri("/version")
            .header(header::ACCEPT, "application/json")
            .body(Body::empty())
            .map_err(|error| RequestError::Protocol { message: error.to_string() })?;
        let (client, _) = self.connection.client().await;
        let response = client.send(request).await.map_err(unreachable)?;
        let (head, body) = response.into_parts();
        let body = body.collect().await.map_err(unreachable)?.to_bytes();
        let date = head.headers.get(header::DATE).and_then(|date| date.to_str().ok());
        let date = date.and_then(|date| DateTimeParser::new().parse_timestamp(date).ok());
        let version = if head.status.is_success() {
            let said: Json = serde_json::from_slice(&body).unwrap_or(Json::Null);
            Ok(access::text(&said, &["gitVersion"]).unwrap_or_default().to_owned())
        } else {
            Err(RequestError::of(head.status, &body, false))
        };
        Ok(Probe { version, date })
    }

    /// The name that the server knows whoever asks by.
    pub async fn user(&self) -> Result<String, RequestError> {
        let review = json!({
            "apiVersion": "authentication.k8s.io/v1", "kind": "SelfSubjectReview",
        });
        let path = "/apis/authentication.k8s.io/v1/selfsubjectreviews";
        let answer = self.review(path, &review).await?;
        let user = access::text(&answer, &["status", "userInfo", "username"]);
        Ok(user.unwrap_or_default().to_owned())
    }

    /// Whether whoever asks may do this: `attributes` is the `spec` of a SelfSubjectAccessReview.
    pub async fn may(&self, attributes: &Json) -> Result<bool, RequestError> {
        let review = json!({
            "apiVersion": "authorization.k8s.io/v1", "kind": "SelfSubjectAccessReview",
            "spec": attributes,
        });
        let path = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews";
        let answer = self.review(path, &review).await?;
        let allowed = access::at(&answer, &["status", "allowed"]).and_then(Json::as_bool);
        allowed
            .ok_or_else(|| RequestError::Protocol { message: "a review has no answer".to_owned() })
    }

    /// The `status` of a SelfSubjectRulesReview: what whoever asks may do in a namespace, also where
    /// it is not there.
    pub async fn rules(&self, namespace: &str) -> Result<Json, RequestError> {
        let review = json!({
            "apiVersion": "authorization.k8s.io/v1", "kind": "SelfSubjectRulesReview",
            "spec": {"namespace": namespace},
        });
        let path = "/apis/authorization.k8s.io/v1/selfsubjectrulesreviews";
        let mut answer = self.review(path, &review).await?;
        Ok(answer.get_mut("status").map(Json::take).unwrap_or_default())
    }

    async fn review(&self, path: &str, review: &Json) -> Result<Json, RequestError> {
        let call = Call { method: Method::POST, body: Some(review), ..Call::get(path) };
        self.call(&call).await
    }
}
