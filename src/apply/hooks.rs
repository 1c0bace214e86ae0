//! Helm's hooks: run by weight, waited for, deleted by their policies.

use std::time::Duration;

use serde_json::Value as Json;

use super::error::{ApplyError, Doing};
use super::history::Tenure;
use super::objects::{Applying, at, body, wait_gone};
use super::wait::Patience;
use crate::chart::model::{Hook, Manifest};
use crate::graph::order;
use crate::health::{self, Condition, Health};
use crate::k8s::{Delete, RequestError, Resource};
use crate::live::read::pods_of;
use crate::object::manifest::settled;
use crate::object::{access, key::ObjectKey};

/// How often a hook is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(500);
/// Looks between two signs of life.
const LOOKS_PER_RENEWAL: u32 = 20;

/// Runs the hooks of an event, one after the other.
pub(super) async fn run(
    applying: &Applying<'_>,
    tenure: &mut Tenure<'_>,
    hooks: &[Hook],
    event: &'static str,
) -> Result<(), ApplyError> {
    let due = order::hooks(hooks, &[event]);
    for (index, hook) in due.iter().enumerate() {
        note(applying, tenure, hook, "Running");
        let result = run_one(applying, tenure, hook, event).await;
        note(applying, tenure, hook, if result.is_ok() { "Succeeded" } else { "Failed" });
        if let Err(error) = result {
            // The hook's own error matters more than one of clearing up after it.
            let _ = delete_by_policy(applying, hook, "hook-failed").await;
            for done in &due[..index] {
                let _ = delete_by_policy(applying, done, "hook-succeeded").await;
            }
            return Err(error);
        }
    }
    for hook in due.iter().rev() {
        delete_by_policy(applying, hook, "hook-succeeded").await?;
    }
    Ok(())
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
    hook: &Hook,
    event: &'static str,
) -> Result<(), ApplyError> {
    delete_by_policy(applying, hook, "before-hook-creation").await?;
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
    if !matches!(&*manifest.key.kind, "Job" | "Pod") {
        return Ok(());
    }
    let key = ObjectKey { name: access::name(&created).to_owned(), ..manifest.key.clone() };
    let failed = |reason: String| ApplyError::Hook {
        event,
        hook: key.clone(),
        template: manifest.source.to_string(),
        reason,
    };
    let started = applying.clock.now();
    let mut patience = Patience::default();
    for look in 1_u32.. {
        let health = look_at(applying, &resource, &key)
            .await
            .map_err(|error| one(at(Doing::Reading, &manifest, error)))?;
        match health.condition {
            Condition::Ready => return Ok(()),
            Condition::Failed => return Err(failed(health.message)),
            condition if patience.is_over(condition, applying.clock.now()) => {
                return Err(failed(health.message));
            }
            _ => {}
        }
        let timeout = applying.timeout;
        if applying.clock.now().duration_since(started).unsigned_abs() >= timeout {
            let after = humantime::format_duration(timeout);
            return Err(failed(format!("is not done after {after}: {}", health.message)));
        }
        if look % LOOKS_PER_RENEWAL == 0 {
            tenure.renew().await?;
        }
        applying.clock.sleep(LOOK_EVERY).await;
    }
    Ok(())
}

/// A Job is done when it is complete; a Pod when it has ended, not when it is ready.
async fn look_at(
    applying: &Applying<'_>,
    resource: &Resource,
    key: &ObjectKey,
) -> Result<Health, RequestError> {
    let found = applying.client.get(resource, &key.namespace, &key.name).await?;
    let Some(object) = found else { return Ok(Health::failed("is gone")) };
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

/// Deletes a hook that has the policy; one without policies has `before-hook-creation`. CRDs
/// are never deleted: all their objects would go as well.
async fn delete_by_policy(
    applying: &Applying<'_>,
    hook: &Hook,
    policy: &str,
) -> Result<(), ApplyError> {
    let has_policy = match hook.delete_policies.as_slice() {
        [] => policy == "before-hook-creation",
        policies => policies.iter().any(|of| of == policy),
    };
    let manifest = &hook.manifest;
    if !has_policy || super::crds::is_crd(&manifest.key) || manifest.key.name.is_empty() {
        return Ok(());
    }
    let (manifest, resource) = place(applying, manifest).await?;
    let key = &manifest.key;
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
