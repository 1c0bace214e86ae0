//! What people look at when something does not come up: the events of an object and the log of a
//! container. Asked for once and briefly; whoever asks can do without.

use std::time::Duration;

use http::{Method, Request, header};
use http_body_util::BodyExt as _;
use kube::client::Body;
use serde_json::Value as Json;

use super::client::{ClusterClient, unreachable};
use super::discovery::Resource;
use super::error::RequestError;
use crate::object::access;

/// How long a cluster may take to give a log: nobody waits longer for the reason of a failure.
const LOG_TIMEOUT: Duration = Duration::from_secs(10);
/// Events of one object that are looked at.
const EVENTS_MAX: usize = 100;

/// Which part of a container's log.
#[derive(Clone, Copy, Debug)]
pub struct LogPart {
    /// Of the run before this one: of a container that is about to be started again.
    pub is_previous: bool,
    /// The last so many lines.
    pub lines: usize,
    /// And of them at most so many bytes.
    pub bytes: usize,
}

impl ClusterClient {
    /// The events about the object with a uid, in the namespace of the object.
    pub async fn events_of(&self, namespace: &str, uid: &str) -> Result<Vec<Json>, RequestError> {
        // Those about objects without a namespace are in this one.
        let namespace = if namespace.is_empty() { "default" } else { namespace };
        let events = Resource::core("Event", "events", true).path(namespace, "");
        let path = format!("{events}?limit={EVENTS_MAX}&fieldSelector=involvedObject.uid%3D{uid}");
        let list = self.get_path(&path).await?.unwrap_or_default();
        Ok(access::list(&list, &["items"]).to_vec())
    }

    /// A part of the log of a pod's container.
    ///
    /// # Errors
    /// [`RequestError::Invalid`] among others, where the container has never run.
    pub async fn log(
        &self,
        namespace: &str,
        pod: &str,
        container: &str,
        part: LogPart,
    ) -> Result<String, RequestError> {
        let path = format!(
            "{}/log?container={container}&previous={}&tailLines={}&limitBytes={}",
            Resource::core("Pod", "pods", true).path(namespace, pod),
            part.is_previous,
            part.lines,
            part.bytes,
        );
        let answer = tokio::time::timeout(LOG_TIMEOUT, self.text(&path)).await;
        answer.unwrap_or(Err(RequestError::Timeout { seconds: LOG_TIMEOUT.as_secs() }))
    }

    async fn text(&self, path: &str) -> Result<String, RequestError> {
        let request = Request::builder()
            .method(Method::GET)
            .uri(path)
            .header(header::ACCEPT, "*/*")
            .body(Body::empty())
            .map_err(|error| RequestError::Protocol { message: error.to_string() })?;
        let (client, _) = self.connection.client().await;
        let response = client.send(request).await.map_err(unreachable)?;
        let code = response.status();
        let body = response.into_body().collect().await.map_err(unreachable)?.to_bytes();
        if !code.is_success() {
            return Err(RequestError::of(code, &body, false));
        }
        Ok(String::from_utf8_lossy(&body).into_owned())
    }
}
