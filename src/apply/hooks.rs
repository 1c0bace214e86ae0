//! Helm's hooks: run by weight, waited for, deleted by their policies.

use std::time::Duration;

use serde::Serialize;
use serde_json::Value as Json;

use super::error::{ApplyError, Doing};
use super::gone::wait_gone;
use super::history::Tenure;
use super::objects::{Applying, at, body};
use super::wait::Patience;
use crate::chart::model::{Hook, Manifest};
use crate::graph::order;
use crate::health::{self, Condition, Health};
use crate::k8s::{Delete, RequestError, Resource};
use crate::live::PodLog;
use crate::live::cause;
use crate::live::read::pods_of;
use crate::object::manifest::settled;
use crate::object::{access, key::ObjectKey, secret};

/// How often a hook is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(500);
/// Looks between two signs of life.
const LOOKS_PER_RENEWAL: u32 = 20;

/// How a hook went.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct HookResult {
    /// The object, under the name that the server gave it.
    pub hook: ObjectKey,
    /// From its creation to its end.
    pub seconds: f64,
    /// Why it failed, if it did.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub failure: Option<String>,
    /// What its containers said, where its `helm.sh/hook-output-log-policy` or whoever runs it asks
    /// for that; else the last words of what ended with an error.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub logs: Vec<PodLog>,
}

/// Runs the hooks of an event, one after the other. Gives the logs that their policies ask for.
pub(super) async fn run(
    applying: &Applying<'_>,
    tenure: &mut Tenure<'_>,
    hooks: &[Hook],
    event: &'static str,
) -> Result<Vec<PodLog>, ApplyError> {
    let due = order::hooks(hooks, &[event]);
    let (results, failure) = run_all(applying, tenure, &due, (event, false)).await;
    match failure {
        Some(error) => Err(error),
        None => Ok(results.into_iter().flat_map(|result| result.logs).collect()),
    }
}

/// Runs hooks one after the other, up to the first that fails.
pub(super) async fn run_all(
    applying: &Applying<'_>,
    tenure: &mut Tenure<'_>,
    due: &[&Hook],
    (event, wants_logs): (&'static str, bool),
) -> (Vec<HookResult>, Option<ApplyError>) {
    let mut results: Vec<HookResult> = Vec::new();
    for (index, hook) in due.iter().enumerate() {
        note(applying, tenure, hook, "Running");
        let began = applying.clock.now();
        let mut made = Made { key: hook.manifest.key.clone(), object: None };
        let ended = run_one(applying, tenure, (hook, event), &mut made).await;
        let took = applying.clock.now().duration_since(began).unsigned_abs();
        note(applying, tenure, hook, if ended.is_ok() { "Succeeded" } else { "Failed" });
        let policy = if ended.is_ok() { "hook-succeeded" } else { "hook-failed" };
        let is_asked_for = hook.output_log_policies.iter().any(|of| of == policy);
        let logs = match &made.object {
            Some(object) if wants_logs || is_asked_for => {
                let hidden = hidden(applying, due);
                cause::logs(applying.client, object, &hidden).await
            }
            _ => ended.as_ref().err().map(|error| error.logs().to_vec()).unwrap_or_default(),
        };
        let failure = ended.as_ref().err().map(told);
        let seconds = took.as_secs_f64();
        results.push(HookResult { hook: made.key, seconds, failure, logs: logs.clone() });
        if let Err(error) = ended {
            // The hook's own error matters more than one of clearing up after it.
            let names = results.iter().map(|result| result.hook.name.as_str());
            let names: Vec<&str> = names.collect();
            let _ = delete_by_policy(applying, hook, "hook-failed", names[index]).await;
            for (done, name) in due[..index].iter().zip(names) {
                let _ = delete_by_policy(applying, done, "hook-succeeded", name).await;
            }
            return (results, Some(error.with_logs(logs)));
        }
    }
    for (hook, result) in due.iter().zip(&results).rev() {
        let name = &result.hook.name;
        if let Err(error) = delete_by_policy(applying, hook, "hook-succeeded", name).await {
            return (results, Some(error));
        }
    }
    (results, None)
}

/// What a hook became on the cluster.
struct Made {
    key: ObjectKey,
    object: Option<Json>,
}

/// The values that logs of these hooks may not show: those of the release's Secrets, and of the
/// hooks' own.
fn hidden(applying: &Applying<'_>, due: &[&Hook]) -> secret::Values {
    let of_release = applying.objects.iter().map(|manifest| &*manifest.object);
    secret::Values::of(of_release.chain(due.iter().map(|hook| &*hook.manifest.object)))
}

/// Why a hook failed, without its name, which whoever tells it has told.
fn told(error: &ApplyError) -> String {
    match error {
        ApplyError::Hook { reason, .. } => reason.clone(),
        error => error.to_string(),
    }
}

/// Keeps in the record how a hook went, as Helm does.
fn note(applying: &Applying<'_>, tenure: &mut Tenure<'_>, hook: &Hook, phase: &str) {
    let now = applying.clock.now().to_string();
    let recorded = tenure.record.hooks.iter_mut().find(|recorded| {
        recorded.kind == hook.manifest.key.kind && recorded.name == hook.manifest.key.name
    });
    let Some(recorded) = recorded else { return };
    if recorded.delete_policies.is_empty() {
        recorded.delete_policies = vec!["before-hook-creation".to_owned()];
    }
    if phase == "Running" {
        recorded.last_run.started_at = now;
        recorded.last_run.completed_at = String::new();
    } else {
        recorded.last_run.completed_at = now;
    }
    phase.clone_into(&mut recorded.last_run.phase);
}

async fn run_one(
    applying: &Applying<'_>,
    tenure: &mut Tenure<'_>,
    (hook, event): (&Hook, &'static str),
    made: &mut Made,
) -> Result<(), ApplyError> {
    let name = hook.manifest.key.name.as_str();
    delete_by_policy(applying, hook, "before-hook-creation", name).await?;
    let (manifest, resource) = place(applying, &hook.manifest).await?;
    let object = body(&manifest, resource.is_namespaced, None, None, &[]);
    let created = applying.client.create(&resource, &manifest.key.namespace, &object).await;
    let created = match created {
        Ok(created) => created,
        // An attempt that was killed may have left it, and its policy may be to stay.
        Err(RequestError::AlreadyExists { .. }) => {
            let applied = applying.apply(&manifest, &resource, None).await;
            applied.map_err(one)?
        }
        Err(error) => return Err(one(at(Doing::Applying, &manifest, error))),
    };
    made.key = ObjectKey { name: access::name(&created).to_owned(), ..manifest.key.clone() };
    made.object = Some(created);
    if !matches!(&*manifest.key.kind, "Job" | "Pod") {
        return Ok(());
    }
    let ended = done(applying, tenure, (&manifest, &resource), &made.key).await?;
    let Some(reason) = ended else { return Ok(()) };
    // As it is now: a pod has its words in its status.
    let now = applying.client.get(&resource, &made.key.namespace, &made.key.name).await;
    let cause = match now.ok().flatten() {
        Some(object) => cause::cause(applying.client, &object, &hidden(applying, &[hook])).await,
        None => None,
    };
    let reason = match &cause {
        // Of a pod that is the hook itself, it says the same.
        Some(cause) if !cause.is_said_in(&reason) && !cause.reason.contains(&reason) => {
            format!("{reason}; {}", cause.reason)
        }
        _ => reason,
    };
    Err(ApplyError::Hook {
        event,
        hook: made.key.clone(),
        template: manifest.source.to_string(),
        reason,
        logs: cause.and_then(|cause| cause.log).into_iter().collect(),
    })
}

/// Waits until a hook is done. Gives why it is not, if it failed or took too long.
async fn done(
    applying: &Applying<'_>,
    tenure: &mut Tenure<'_>,
    (manifest, resource): (&Manifest, &Resource),
    key: &ObjectKey,
) -> Result<Option<String>, ApplyError> {
    let started = applying.clock.now();
    let mut patience = Patience::default();
    for look in 1_u32.. {
        let health = look_at(applying, resource, key, &manifest.object)
            .await
            .map_err(|error| one(at(Doing::Reading, manifest, error)))?;
        match health.condition {
            Condition::Ready => return Ok(None),
            Condition::Failed => return Ok(Some(health.message)),
            condition if patience.is_over(condition, applying.clock.now()) => {
                return Ok(Some(health.message));
            }
            _ => {}
        }
        let timeout = applying.timeout;
        if applying.clock.now().duration_since(started).unsigned_abs() >= timeout {
            let after = humantime::format_duration(timeout);
            return Ok(Some(format!("is not done after {after}: {}", health.message)));
        }
        if look % LOOKS_PER_RENEWAL == 0 {
            tenure.renew().await?;
        }
        applying.clock.sleep(LOOK_EVERY).await;
    }
    Ok(None)
}

/// A Job is done when it is complete; a Pod when it has ended, not when it is ready. A Job that
/// takes itself away once it has ended may be gone before it is looked at.
async fn look_at(
    applying: &Applying<'_>,
    resource: &Resource,
    key: &ObjectKey,
    sent: &Json,
) -> Result<Health, RequestError> {
    let found = applying.client.get(resource, &key.namespace, &key.name).await?;
    let Some(object) = found else {
        let is_spent = health::takes_itself_away(sent);
        return Ok(if is_spent {
            Health::ready("is done and gone")
        } else {
            Health::failed("is gone")
        });
    };
    if key.kind == "Pod" {
        let health = health::of(&object);
        let has_ended = access::text(&object, &["status", "phase"]) == Some("Succeeded");
        return Ok(match health.condition {
            Condition::Ready if !has_ended => Health::progressing("is running"),
            _ => health,
        });
    }
    let health = health::of(&object);
    if health.condition != Condition::Progressing {
        return Ok(health);
    }
    // Pods only make the message better; without them it still is one.
    let pods: Vec<Json> = pods_of(applying.client, &object).await.unwrap_or_default();
    Ok(health::of_workload(&object, &pods))
}

/// Deletes a hook that has the policy, under the name that it got; one without policies has
/// `before-hook-creation`. CRDs are never deleted: all their objects would go as well.
async fn delete_by_policy(
    applying: &Applying<'_>,
    hook: &Hook,
    policy: &str,
    name: &str,
) -> Result<(), ApplyError> {
    let has_policy = match hook.delete_policies.as_slice() {
        [] => policy == "before-hook-creation",
        policies => policies.iter().any(|of| of == policy),
    };
    let manifest = &hook.manifest;
    if !has_policy || super::crds::is_crd(&manifest.key) || name.is_empty() {
        return Ok(());
    }
    let (manifest, resource) = place(applying, manifest).await?;
    let key = &ObjectKey { name: name.to_owned(), ..manifest.key.clone() };
    let failed = |error| one(at(Doing::Deleting, &manifest, error));
    let deleted = applying
        .client
        .delete(&resource, &key.namespace, &key.name, &Delete::default())
        .await
        .map_err(failed)?;
    if deleted {
        let patience = (applying.timeout, applying.clock);
        wait_gone(applying.client, &resource, key, "", patience).await.map_err(failed)?;
    }
    Ok(())
}

async fn place(
    applying: &Applying<'_>,
    manifest: &Manifest,
) -> Result<(Manifest, Resource), ApplyError> {
    let found = applying.client.resource(&manifest.api_version, &manifest.key.kind).await;
    let resource = found.map_err(|error| one(at(Doing::Reading, manifest, error)))?;
    let key = settled(&manifest.key, resource.is_namespaced);
    Ok((Manifest { key, ..manifest.clone() }, resource))
}

fn one(error: super::ObjectError) -> ApplyError {
    ApplyError::Objects { errors: vec![error] }
}
