//! What a service of somebody else says about a stage. Pure: what it is asked, how that is signed, and
//! the verdict on its answer.

use hmac::{Hmac, KeyInit as _, Mac as _};
use serde_json::{Value as Json, json};
use sha2::Sha256;

use super::model::Rollout;
use super::observation::Verdict;
use crate::base::clock::Timestamp;
use crate::base::ids::hex;

/// The header with the signature: `t=SECONDS,v1=HEX`.
pub const SIGNATURE: &str = "Fitout-Signature";

/// A reason is cut here: it goes into the log.
const REASON_CHARS_MAX: usize = 500;

/// The question, as JSON. An answer has to repeat its `nonce`, which is never the same twice.
pub fn question(rollout: &Rollout, gate: &str, nonce: &str, now: Timestamp) -> String {
    let changed = rollout.changing(rollout.stage).filter(|(_, member)| member.state.is_touched());
    let clusters: Vec<Json> =
        changed.map(|(name, member)| json!({"name": name, "digest": member.goal.digest})).collect();
    json!({
        "askedAt": now,
        "nonce": nonce,
        "gate": gate,
        "rollout": rollout.id,
        "addon": rollout.addon(),
        "revision": rollout.rev,
        "policy": rollout.policy_name,
        "stage": rollout.stage_name(rollout.stage),
        "clusters": clusters,
    })
    .to_string()
}

/// The value of [`SIGNATURE`]: HMAC-SHA256 over the seconds, a dot, and the body. The receiver
/// refuses what is not of these minutes.
pub fn signature(secret: &[u8], body: &str, now: Timestamp) -> String {
    let seconds = now.as_second();
    let mut mac = Hmac::<Sha256>::new_from_slice(secret).expect("HMAC takes keys of any length");
    mac.update(format!("{seconds}.{body}").as_bytes());
    format!("t={seconds},v1={}", hex(&mac.finalize().into_bytes()))
}

/// The verdict on an answer: `{"nonce": …, "verdict": "pass" | "fail" | "wait", "reason": …}`.
pub fn verdict(answer: &Json, nonce: &str) -> Verdict {
    if answer["nonce"] != nonce {
        return Verdict::Unknown("the answer does not repeat the question's nonce".to_owned());
    }
    let reason = answer["reason"].as_str().unwrap_or_default();
    let clean = reason.chars().map(|c| if c.is_control() { ' ' } else { c });
    let reason: String = clean.take(REASON_CHARS_MAX).collect();
    let told = |otherwise: &str| {
        if reason.trim().is_empty() { otherwise.to_owned() } else { reason.trim().to_owned() }
    };
    match answer["verdict"].as_str() {
        Some("pass") => Verdict::Holds(told("it says pass")),
        Some("fail") => Verdict::Broken(told("it says fail")),
        Some("wait") => Verdict::Unknown(told("it says wait")),
        _ => Verdict::Unknown("the answer has no verdict: pass, fail or wait".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signature_is_one_that_openssl_makes() {
        // printf '1800000000.{"a":1}' | openssl dgst -sha256 -hmac secret
        let now = Timestamp::from_second(1_800_000_000).expect("in range");
        assert_eq!(
            signature(b"secret", "{\"a\":1}", now),
            "t=1800000000,v1=440dfbb83aabca24d9e5027629cfd81cb45254690f8d410bb28f1cc17c990dbc"
        );
    }

    #[test]
    fn an_answer_counts_only_with_the_nonce_and_a_verdict() {
        let answer = |nonce: &str, verdict: &str, reason: &str| {
            super::verdict(&json!({"nonce": nonce, "verdict": verdict, "reason": reason}), "n1")
        };
        let unknown = |text: &str| Verdict::Unknown(text.to_owned());
        assert_eq!(answer("n1", "pass", " CHG-7\n "), Verdict::Holds("CHG-7".to_owned()));
        assert_eq!(answer("n1", "fail", ""), Verdict::Broken("it says fail".to_owned()));
        assert_eq!(answer("n1", "wait", "nobody is on call"), unknown("nobody is on call"));
        assert_eq!(
            answer("n0", "pass", ""),
            unknown("the answer does not repeat the question's nonce")
        );
        let none = unknown("the answer has no verdict: pass, fail or wait");
        assert_eq!(answer("n1", "passed", ""), none);
        assert_eq!(
            super::verdict(&json!([]), "n1"),
            unknown("the answer does not repeat the question's nonce")
        );
    }
}
