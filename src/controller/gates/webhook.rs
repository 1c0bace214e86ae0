//! Asks a service of the user's own.

use rand::Rng as _;

use super::{read, variable};
use crate::base::clock::Timestamp;
use crate::base::ids::hex;
use crate::fleet::model::{Secret, WebhookGate};
use crate::net::http::{Client, Method, Upload, Url};
use crate::rollout::webhook::{SIGNATURE, question, signature, verdict};
use crate::rollout::{Rollout, Verdict};

/// The verdict on a stage. Blocks.
///
/// # Errors
/// Says why there is none.
pub(super) fn ask(
    gate: &WebhookGate,
    rollout: &Rollout,
    now: Timestamp,
) -> Result<Verdict, String> {
    post(&gate.url, &gate.secret, now, |nonce| question(rollout, &gate.name, nonce, now))
}

/// The verdict on a question, which is made for a nonce and signed. Blocks.
///
/// # Errors
/// Says why there is none.
pub(in crate::controller) fn post(
    url: &str,
    secret: &Secret,
    now: Timestamp,
    question: impl FnOnce(&str) -> String,
) -> Result<Verdict, String> {
    let secret = variable(&secret.env)?;
    let url = Url::parse(url).map_err(|error| error.to_string())?;
    if !url.may_carry_credentials() {
        return Err("a webhook is asked by https, or on this machine".to_owned());
    }
    let mut nonce = [0; 16];
    rand::rng().fill_bytes(&mut nonce);
    let nonce = hex(&nonce);
    let body = question(&nonce);
    let signature = signature(secret.trim().as_bytes(), &body, now);
    let upload = Upload {
        method: Method::Post,
        content_type: "application/json",
        body: body.as_bytes(),
        headers: &[(SIGNATURE, &signature)],
    };
    let answer = read(Client::shared().send_to(&url, "application/json", None, upload))?;
    Ok(verdict(&answer, &nonce))
}
