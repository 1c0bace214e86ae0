//! Runs the hook of a decision: asks the webhook, makes the Job, or patches the object.

use super::cluster;
use crate::base::ids::ClusterName;
use crate::controller::gates::{TIMEOUT, webhook, within};
use crate::controller::head::Head;
use crate::controller::tick::Reconciler;
use crate::fleet::switch::{Ends, Hook, JobHook, PatchHook};
use crate::k8s::{ClusterClient, Delete, RequestError, connect_hub};
use crate::object::access;
use crate::report::errors::chain;
use crate::switch::hook::{self, Order, Patch};
use crate::switch::{Decision, HookOutcome, Switch};

/// What the hub is called in messages.
const HUB: &str = "hub";

impl Reconciler {
    /// Carries out a decision, or finds out how it went. Whatever does not get through is tried again.
    pub(super) async fn run_hook(
        &mut self,
        head: &Head,
        switch: &Switch,
        decision: &Decision,
    ) -> HookOutcome {
        let to = cluster(head, switch, &decision.to);
        let from = cluster(head, switch, switch.other(&decision.to));
        let order = Order { switch, decision, ends: Ends { to: &to, from: &from } };
        let ran = match &switch.policy.switch {
            Hook { webhook: Some(of), .. } => {
                let (now, of) = (self.options.clock.now(), of.clone());
                let (switch, decision) = (switch.clone(), decision.clone());
                let (to, from) = (to.clone(), from.clone());
                let asked = within(TIMEOUT, move || {
                    let ends = Ends { to: &to, from: &from };
                    let order = Order { switch: &switch, decision: &decision, ends };
                    webhook::post(&of.url, &of.secret, now, |nonce| {
                        hook::question(&order, nonce, now)
                    })
                });
                asked.await.map(hook::outcome_of_verdict)
            }
            Hook { job: Some(of), .. } => self.run_job(of, &order).await,
            Hook { patch: Some(of), .. } => self.run_patch(of, &order).await,
            Hook { .. } => Err("the policy has no hook".to_owned()),
        };
        ran.unwrap_or_else(HookOutcome::Open)
    }

    /// The hub, or a cluster of the fleet.
    async fn hook_client(&mut self, named: Option<&ClusterName>) -> Result<ClusterClient, String> {
        if let Some(name) = named {
            let client = self.clients.get(name).map(|(_, client)| client.clone());
            return client.ok_or_else(|| format!("there is no connection to {name}"));
        }
        if let Some(hub) = &self.switches.hub {
            return Ok(hub.clone());
        }
        let hub = connect_hub(&HUB.into(), &self.options.connect).await;
        let hub = hub.map_err(|error| chain(&error))?;
        self.switches.hub = Some(hub.clone());
        Ok(hub)
    }

    /// One Job for each decision. One of an earlier decision that still runs has to go first: it would move
    /// traffic once more.
    async fn run_job(&mut self, of: &JobHook, order: &Order<'_>) -> Result<HookOutcome, String> {
        let client = self.hook_client(of.cluster.as_ref()).await?;
        let jobs = client.resource("batch/v1", "Job").await.map_err(|error| chain(&error))?;
        let (pair, number) = (&order.switch.pair, order.decision.number);
        let namespace = hook::job_namespace(of);
        for earlier in (1..number).rev().take(2) {
            let name = hook::job_name(pair, earlier);
            let found = client.get(&jobs, namespace, &name).await.map_err(|error| chain(&error))?;
            let Some(found) = found else { continue };
            if matches!(hook::outcome_of_job(&found), HookOutcome::Open(_)) {
                let options = Delete { uid: access::uid(&found).to_owned(), is_foreground: true };
                let deleted = client.delete(&jobs, namespace, &name, &options).await;
                deleted.map_err(|error| chain(&error))?;
                let message =
                    format!("Job {namespace}/{name} of decision {earlier} has to end first");
                return Ok(HookOutcome::Open(message));
            }
        }
        let name = hook::job_name(pair, number);
        let found = client.get(&jobs, namespace, &name).await.map_err(|error| chain(&error))?;
        if let Some(found) = found {
            return Ok(hook::outcome_of_job(&found));
        }
        let object = match hook::job(of, order) {
            Ok(object) => object,
            Err(reason) => return Ok(HookOutcome::Failed(reason)),
        };
        match client.create(&jobs, namespace, &object).await {
            Ok(_) | Err(RequestError::AlreadyExists { .. }) => {
                Ok(HookOutcome::Open(format!("Job {namespace}/{name} begins")))
            }
            Err(error @ RequestError::Invalid { .. }) => {
                Ok(HookOutcome::Failed(format!("Job {namespace}/{name}: {}", chain(&error))))
            }
            Err(error) => Err(chain(&error)),
        }
    }

    /// Patches the object for the version that was read: what somebody else does meanwhile, and a request
    /// that arrives late, conflicts.
    async fn run_patch(
        &mut self,
        of: &PatchHook,
        order: &Order<'_>,
    ) -> Result<HookOutcome, String> {
        let client = self.hook_client(of.cluster.as_ref()).await?;
        let what = format!("{}/{}", of.kind, of.name);
        let resource = client.resource(&of.api_version, &of.kind).await;
        let resource = resource.map_err(|error| chain(&error))?;
        let found = client.get(&resource, &of.namespace, &of.name).await;
        let found = found.map_err(|error| chain(&error))?;
        let object = found.ok_or_else(|| format!("there is no {what} to patch"))?;
        let patch = match hook::patch(of, order, &object) {
            Ok(None) => return Ok(HookOutcome::Done(format!("{what} was patched"))),
            Ok(Some(patch)) => patch,
            Err(reason) => return Ok(HookOutcome::Failed(format!("{what}: {reason}"))),
        };
        let sent = match &patch {
            Patch::Merge(patch) => {
                client.merge_patch(&resource, &of.namespace, &of.name, patch).await
            }
            Patch::Json(patch) => {
                client.json_patch(&resource, &of.namespace, &of.name, patch).await
            }
        };
        match sent {
            Ok(_) => Ok(HookOutcome::Done(format!("{what} is patched"))),
            Err(error @ RequestError::Invalid { .. }) => {
                // A JSON patch whose test fails is refused like one that makes no sense: the object may just
                // have changed.
                let now = client.get(&resource, &of.namespace, &of.name).await;
                let now = now.map_err(|error| chain(&error))?.unwrap_or_default();
                let version = |object: &serde_json::Value| {
                    object["metadata"]["resourceVersion"].as_str().map(str::to_owned)
                };
                if version(&now) == version(&object) {
                    return Ok(HookOutcome::Failed(format!("{what}: {}", chain(&error))));
                }
                Err(chain(&error))
            }
            Err(error) => Err(chain(&error)),
        }
    }
}
