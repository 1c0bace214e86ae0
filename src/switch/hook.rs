//! What is sent to move traffic. Pure: the patch, the Job, or the question for a webhook.
//!
//! # Guarantees
//! A decision that is carried out twice has the effect of one: a Job's name is drawn from the decision; a
//! patch marks the object with the decision's number, for the `resourceVersion` that was read; a question has
//! the number in it.

use serde_json::{Value as Json, json};
use sha2::{Digest as _, Sha256};

use super::model::{Decision, PairId, Switch};
use super::observation::HookOutcome;
use crate::base::clock::Timestamp;
use crate::base::ids::{OWN_NAMESPACE, hex};
use crate::fleet::model::Cluster;
use crate::fleet::switch::{Ends, JobHook, PatchHook};
use crate::rollout::Verdict;
use crate::rollout::job::{self, RunState};

/// On a Job: the switch that it was made for.
pub const SWITCH: &str = "fitout.dev/switch";
/// How long a Job may take, and how long it stays once it is over, where its manifest does not say.
const JOB_SECONDS: (u32, u32) = (600, 86_400);

/// A decision that is to be carried out.
#[derive(Clone, Copy, Debug)]
pub struct Order<'a> {
    /// Of which switch.
    pub switch: &'a Switch,
    /// The decision.
    pub decision: &'a Decision,
    /// The clusters as git has them.
    pub ends: Ends<'a>,
}

/// A pair in a few letters that can be part of a name.
fn short(pair: &PairId) -> String {
    let text = format!("{}\n{pair}", pair.policy);
    hex(&Sha256::digest(text))[..10].to_owned()
}

/// The annotation by which a patched object tells the newest decision about a pair.
pub fn mark(pair: &PairId) -> String {
    format!("fitout.dev/switch-{}", short(pair))
}

/// The question for a webhook, as JSON. An answer has to repeat its `nonce`, which is never the same twice;
/// `decision` is the same until it is answered, and counts up with each one about the pair.
pub fn question(order: &Order<'_>, nonce: &str, now: Timestamp) -> String {
    let end = |cluster: &Cluster| {
        let metadata = &cluster.metadata;
        json!({"name": metadata.name, "labels": metadata.labels})
    };
    json!({
        "askedAt": now,
        "nonce": nonce,
        "switch": order.switch.id,
        "pair": order.switch.pair,
        "decision": order.decision.number,
        "decidedAt": order.decision.at,
        "to": end(order.ends.to),
        "from": end(order.ends.from),
    })
    .to_string()
}

/// What a webhook's verdict makes of the decision.
pub fn outcome_of_verdict(verdict: Verdict) -> HookOutcome {
    match verdict {
        Verdict::Holds(told) => HookOutcome::Done(told),
        Verdict::Broken(reason) => HookOutcome::Failed(reason),
        Verdict::Unknown(reason) => HookOutcome::Open(reason),
    }
}

/// The name of the Job of a decision.
pub fn job_name(pair: &PairId, number: u32) -> String {
    let word: String = pair.policy.as_str().chars().take(30).collect();
    format!("{}-{}-{number}", word.trim_end_matches('-'), short(pair))
}

/// The namespace of a hook's Job.
pub fn job_namespace(hook: &JobHook) -> &str {
    let metadata = hook.manifest.get("metadata");
    metadata.and_then(|metadata| metadata["namespace"].as_str()).unwrap_or(OWN_NAMESPACE)
}

/// The Job of a decision.
///
/// # Errors
/// In words, where its texts name what is not there.
pub fn job(hook: &JobHook, order: &Order<'_>) -> Result<Json, String> {
    let mut object = order.ends.fill(&Json::Object(hook.manifest.clone()))?;
    let metadata = &mut object["metadata"];
    if let Some(fields) = metadata.as_object_mut() {
        fields.remove("generateName");
    }
    metadata["name"] = json!(job_name(&order.switch.pair, order.decision.number));
    metadata["namespace"] = json!(job_namespace(hook));
    metadata["labels"]["app.kubernetes.io/managed-by"] = json!("fitout");
    metadata["annotations"][SWITCH] = json!(order.switch.id);
    metadata["annotations"][job::CHANGED_AT] = json!(order.decision.at);
    let spec = &mut object["spec"];
    let (lasts, stays) = JOB_SECONDS;
    for (field, seconds) in [("activeDeadlineSeconds", lasts), ("ttlSecondsAfterFinished", stays)] {
        if spec[field].is_null() {
            spec[field] = json!(seconds);
        }
    }
    Ok(object)
}

/// What a Job that is there says.
pub fn outcome_of_job(object: &Json) -> HookOutcome {
    let run = job::read(object);
    match run.state {
        RunState::Succeeded => HookOutcome::Done(format!("{} succeeded", run.what)),
        RunState::Failed(reason) => HookOutcome::Failed(format!("{} {reason}", run.what)),
        RunState::Open(reason) => HookOutcome::Open(format!("{}: {reason}", run.what)),
    }
}

/// A patch that is to be sent.
#[derive(Clone, Debug, PartialEq)]
pub enum Patch {
    /// A JSON merge patch.
    Merge(Json),
    /// A JSON patch.
    Json(Json),
}

/// What is to be sent for a decision to an object that was read; `None` where it bears the mark of this decision
/// already.
///
/// # Errors
/// In words, where its texts name what is not there, or it bears the mark of a later decision.
pub fn patch(hook: &PatchHook, order: &Order<'_>, object: &Json) -> Result<Option<Patch>, String> {
    let key = mark(&order.switch.pair);
    let number = order.decision.number;
    let annotations = &object["metadata"]["annotations"];
    let marked: u32 = annotations[&key].as_str().and_then(|text| text.parse().ok()).unwrap_or(0);
    if marked == number {
        return Ok(None);
    }
    if marked > number {
        return Err(format!("it bears the mark of decision {marked}, and this one is {number}"));
    }
    let version = &object["metadata"]["resourceVersion"];
    if let Some(merge) = &hook.merge {
        let mut patch = order.ends.fill(&Json::Object(merge.clone()))?;
        patch["metadata"]["resourceVersion"] = version.clone();
        patch["metadata"]["annotations"][&key] = json!(number.to_string());
        return Ok(Some(Patch::Merge(patch)));
    }
    let own = order.ends.fill(&Json::Array(hook.json.clone().unwrap_or_default()))?;
    let mut operations = vec![json!({
        "op": "test", "path": "/metadata/resourceVersion", "value": version,
    })];
    if !annotations.is_object() {
        operations.push(json!({"op": "add", "path": "/metadata/annotations", "value": {}}));
    }
    let path = format!("/metadata/annotations/{}", crate::object::pointer::escaped(&key));
    operations.push(json!({"op": "add", "path": path, "value": number.to_string()}));
    operations.extend(own.as_array().cloned().unwrap_or_default());
    Ok(Some(Patch::Json(Json::Array(operations))))
}

/// The question of a gate, as JSON, for a green that is at parity.
pub fn gate_question(switch: &Switch, gate: &str, nonce: &str, now: Timestamp) -> String {
    json!({
        "askedAt": now,
        "nonce": nonce,
        "gate": gate,
        "switch": switch.id,
        "pair": switch.pair,
        "revision": switch.rev,
        "from": {"name": switch.blue},
        "to": {"name": switch.green},
    })
    .to_string()
}
