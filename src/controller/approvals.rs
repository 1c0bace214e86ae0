//! Approvals in git: a document in `approvals/`, or a trailer of a commit's message, whose commit was made since
//! the rollout began.
//!
//! Whose an approval is, its commit says: whoever's key it is signed with, else its author. What was there
//! before the rollout began approves nothing, so that an approval cannot be used again.

pub(super) mod api;

use std::collections::BTreeMap;
use std::sync::Arc;

use super::head::{Head, Revisions};
use super::tick::Reconciler;
use crate::base::clock::Timestamp;
use crate::base::ids::{Digest, Rev};
use crate::fleet::model::Fleet;
use crate::git::Commit;
use crate::git::signature::{NAMESPACE, Unproven};
use crate::report::errors::chain;
use crate::rollout::approval::TRAILER;
use crate::rollout::{Approving, Command, Event, Refused, Rollout, RolloutId, command};
use crate::store::StoreError;

/// The folder with approvals.
const FOLDER: &str = "approvals";

/// The commits that were made since those that rollouts are pinned to, with the newest commit that they were read for.
pub(super) type CommitsSince = BTreeMap<Rev, (Rev, Arc<[Commit]>)>;

/// Approvals in git that do not count, and why, by rollout.
pub(super) type RefusedApprovals = BTreeMap<RolloutId, Vec<String>>;

/// Somebody's word in git that a stage may pass.
#[derive(Clone, Debug)]
struct Claim<'a> {
    /// Which rollout, stage and plan.
    of: [&'a str; 3],
    reason: Option<&'a str>,
    commit: &'a Commit,
    /// Where in git, for messages.
    place: String,
}

impl Reconciler {
    /// Records the approvals that git has for stages that lack them; an onlooker only sees what is refused.
    pub(super) async fn take_approvals(&mut self, head: &Arc<Head>) -> Result<(), StoreError> {
        let lacking: Vec<Rollout> =
            self.active().filter(|rollout| rollout.lacks_approval()).cloned().collect();
        let is_pinned = |rev: &Rev| lacking.iter().any(|rollout| rollout.rev == *rev);
        self.commits.retain(|rev, _| is_pinned(rev));
        let mut refused = RefusedApprovals::new();
        for mut rollout in lacking {
            let commits = match self.commits_since(&rollout.rev, head.rev()).await {
                Ok(commits) => commits,
                Err(why) => {
                    refused.insert(rollout.id.clone(), vec![why]);
                    continue;
                }
            };
            let mut events = Vec::new();
            for claim in claims(&head.desired.fleet, &commits) {
                match judge(&rollout, &claim, self.options.clock.now()) {
                    None => {}
                    Some(Ok(event)) => {
                        rollout.take(&event);
                        events.push(event);
                    }
                    Some(Err(why)) => {
                        let short = claim.commit.rev.short();
                        let told =
                            format!("{} of commit {short} does not count: {why}", claim.place);
                        refused.entry(rollout.id.clone()).or_default().push(told);
                    }
                }
            }
            if !self.is_onlooker {
                self.record(&events)?;
            }
        }
        for (rollout, told) in &refused {
            if self.refused_approvals.get(rollout) != Some(told) {
                tracing::warn!(%rollout, refused = told.join("; "), "approvals in git");
            }
        }
        self.refused_approvals = refused;
        Ok(())
    }

    /// The commits since a rollout began, oldest first.
    async fn commits_since(&mut self, since: &Rev, until: &Rev) -> Result<Arc<[Commit]>, String> {
        if let Some((known, commits)) = self.commits.get(since)
            && known == until
        {
            return Ok(Arc::clone(commits));
        }
        let range = (since.clone(), until.clone());
        let read = move |git: &Revisions| git.commits(&range.0, &range.1, FOLDER);
        let read = self.revisions.off(read).await;
        let read = read.and_then(|read| read.map_err(|error| chain(&error)));
        let commits: Arc<[Commit]> =
            read.map_err(|why| format!("approvals in git cannot be read: {why}"))?.into();
        self.commits.insert(since.clone(), (until.clone(), Arc::clone(&commits)));
        Ok(commits)
    }
}

/// Everything in git that approves something, in the order of commits.
fn claims<'a>(fleet: &'a Fleet, commits: &'a [Commit]) -> Vec<Claim<'a>> {
    let mut claims = Vec::new();
    for commit in commits {
        for value in commit.trailers(TRAILER) {
            let mut words = value.split_whitespace();
            let of = [(); 3].map(|()| words.next().unwrap_or_default());
            let place = format!("`{TRAILER}: {value}`");
            claims.push(Claim { of, reason: None, commit, place });
        }
    }
    for document in fleet.approvals.values() {
        let path = &document.node.span.file.path;
        // The newest commit that brought the file as it is.
        let Some(commit) = commits.iter().rev().find(|commit| commit.brings.contains(&**path))
        else {
            continue;
        };
        let spec = &document.value.spec;
        let of = [spec.rollout.as_str(), spec.stage.as_str(), spec.plan.as_str()];
        let place = format!("`{path}`");
        claims.push(Claim { of, reason: spec.reason.as_deref(), commit, place });
    }
    claims
}

/// What follows from one of them for a rollout; none where it is not about its present stage, or has been taken.
fn judge(rollout: &Rollout, claim: &Claim<'_>, now: Timestamp) -> Option<Result<Event, String>> {
    let [id, stage, plan] = claim.of;
    if id != rollout.id.to_string() || stage != rollout.stage_name(rollout.stage) {
        return None;
    }
    let commit = claim.commit;
    let progress = rollout.stages.get(rollout.stage);
    let mut taken = progress.into_iter().flat_map(|stage| stage.approvals.values());
    if taken.any(|how| how.commit.as_ref() == Some(&commit.rev)) {
        return None;
    }
    let signer = match signer(rollout, commit) {
        Ok(signer) => signer,
        // Where nobody asks for signatures, one that nobody knows is as good as none.
        Err(_) if !rollout.approval_gates().all(|gate| gate.signed) => None,
        Err(why) => return Some(Err(why.to_string())),
    };
    let (by, key) = match signer {
        Some((by, key)) => (by, Some(key)),
        None => (called(rollout, commit), None),
    };
    let how = Approving {
        plan: Some(Digest::new(plan.to_owned())),
        commit: Some(commit.rev.clone()),
        author: Some(commit.author.clone()),
        key,
    };
    let reason = claim.reason.map(str::to_owned);
    match command(rollout, Command::Approve(how), &by, reason, now) {
        Ok(event) => Some(Ok(event)),
        // By another commit, or by command: it counts already.
        Err(Refused::Twice { .. }) => None,
        Err(refused) => Some(Err(refused.to_string())),
    }
}

/// Who has signed a commit, and with which key; none where it is not signed.
fn signer(rollout: &Rollout, commit: &Commit) -> Result<Option<(String, String)>, Unproven> {
    let Some(signature) = &commit.signature else { return Ok(None) };
    let keys = rollout.policy.signing_keys();
    let keys = keys.iter().map(|(name, key)| (*name, key));
    let (by, key) = signature.signer(NAMESPACE, keys)?;
    Ok(Some((by.to_owned(), key.fingerprint())))
}

/// What the policy calls the author of a commit; their address where it does not.
fn called(rollout: &Rollout, commit: &Commit) -> String {
    let people = rollout.approval_gates().filter_map(|gate| gate.people(&rollout.policy)).flatten();
    let mut known = people.filter(|name| commit.author.is_called(name));
    known.next().map_or_else(|| commit.author.email.clone(), str::to_owned)
}
