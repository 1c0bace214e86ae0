//! Approvals over HTTP: `GET /approvals` lists what waits for some, `POST /approvals` takes one.
//!
//! Who says so is shown by a signature with one of the policy's `signers`, of a text that names rollout, stage and
//! plan: it needs no session, no secret of the controller's, and says nothing when it is sent again.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use axum::extract::{DefaultBodyLimit, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::base::clock::now;
use crate::base::ids::Digest;
use crate::git::signature::Signature;
use crate::report::errors::chain;
use crate::rollout::{Approving, Command, Event, Refused, Rollout, RolloutId, command};
use crate::store::{Rollouts, SqliteStore, StoreError};

/// What OpenSSH signs for us with (`ssh-keygen -Y sign -n fitout`).
const NAMESPACE: &str = "fitout";
/// A signature of the longest key is some 2 kB.
const BODY_BYTES_MAX: usize = 64 << 10;

/// The route, over the event log in a file.
pub(in crate::controller) fn routes(log: PathBuf) -> Router {
    Router::new()
        .route("/approvals", get(list).post(take))
        .layer(DefaultBodyLimit::max(BODY_BYTES_MAX))
        .with_state(Arc::from(log))
}

/// Somebody's approval.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Said {
    /// `ROLLOUT STAGE PLAN`, and behind it a reason, if any.
    approval: String,
    /// Of that text, by an OpenSSH key, armored.
    signature: String,
}

/// Why an approval is not taken.
#[derive(Debug)]
struct No(StatusCode, String);

impl IntoResponse for No {
    fn into_response(self) -> Response {
        (self.0, Json(json!({"error": self.1}))).into_response()
    }
}

impl From<StoreError> for No {
    fn from(error: StoreError) -> Self {
        Self(StatusCode::SERVICE_UNAVAILABLE, chain(&error))
    }
}

impl From<Refused> for No {
    fn from(refused: Refused) -> Self {
        let status = match refused {
            Refused::NotApprover { .. } | Refused::Unsigned { .. } => StatusCode::FORBIDDEN,
            _ => StatusCode::CONFLICT,
        };
        Self(status, refused.to_string())
    }
}

async fn list(State(log): State<Arc<Path>>) -> Result<Json<Value>, No> {
    off(move || {
        let rollouts = Rollouts::read(&SqliteStore::open(&log)?)?;
        let waiting = rollouts.iter().filter(|one| !one.phase.is_ended() && one.lacks_approval());
        Ok(Json(waiting.map(told).collect()))
    })
    .await
}

fn told(rollout: &Rollout) -> Value {
    let stage = rollout.stage_name(rollout.stage);
    let (have, need) = rollout.approvals();
    json!({
        "rollout": rollout.id,
        "stage": stage,
        "plan": rollout.plan(),
        "have": have,
        "need": need,
        "approval": format!("{} {stage} {}", rollout.id, rollout.plan()),
    })
}

async fn take(State(log): State<Arc<Path>>, Json(said): Json<Said>) -> Result<Json<Event>, No> {
    off(move || record(&log, &said).map(Json)).await
}

/// Does what waits for the disk on a thread that may.
async fn off<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, No> + Send + 'static,
) -> Result<T, No> {
    let done = tokio::task::spawn_blocking(work).await;
    done.unwrap_or_else(|error| Err(No(StatusCode::INTERNAL_SERVER_ERROR, error.to_string())))
}

/// Puts an approval on record; the controller reads it with its next tick.
fn record(log: &Path, said: &Said) -> Result<Event, No> {
    let mut store = SqliteStore::open(log)?;
    let mut rollouts = Rollouts::read(&store)?;
    loop {
        let event = judge(&rollouts, said)?;
        match rollouts.append(&mut store, std::slice::from_ref(&event)) {
            Ok(()) => return Ok(event),
            // Somebody was faster: what they wrote may change the answer.
            Err(StoreError::Moved) => rollouts.read_on(&store)?,
            Err(error) => return Err(error.into()),
        };
    }
}

/// What follows from an approval.
fn judge(rollouts: &Rollouts, said: &Said) -> Result<Event, No> {
    let mut words = said.approval.split_whitespace();
    let [Some(id), Some(stage), Some(plan)] = [(); 3].map(|()| words.next()) else {
        let message = "`approval` is `ROLLOUT STAGE PLAN`, as `GET /approvals` has it";
        return Err(No(StatusCode::BAD_REQUEST, message.to_owned()));
    };
    let of = RolloutId::parse(id).and_then(|id| rollouts.get(&id));
    let Some(rollout) = of else {
        return Err(No(StatusCode::NOT_FOUND, format!("there is no rollout `{id}`")));
    };
    let signed = said.approval.clone().into_bytes();
    let signature = Signature { armored: said.signature.clone(), signed };
    let keys = rollout.policy.signing_keys();
    let keys = keys.iter().map(|(name, key)| (*name, key));
    let (by, key) = signature
        .signer(NAMESPACE, keys)
        .map_err(|unproven| No(StatusCode::FORBIDDEN, unproven.to_string()))?;
    if stage != rollout.stage_name(rollout.stage) {
        let present = rollout.stage_name(rollout.stage);
        let message = format!("rollout {id} is in stage {present}, not in {stage}");
        return Err(No(StatusCode::CONFLICT, message));
    }
    let reason = words.collect::<Vec<_>>().join(" ");
    let how = Approving {
        plan: Some(Digest::new(plan.to_owned())),
        key: Some(key.fingerprint()),
        ..Approving::default()
    };
    let reason = (!reason.is_empty()).then_some(reason);
    Ok(command(rollout, Command::Approve(how), by, reason, now())?)
}
