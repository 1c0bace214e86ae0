//! One attempt on one instance: to its goal, back, or healed where it is. Runs by itself, beside
//! the ticks, and can be repeated at any time.

use std::sync::Arc;

use super::head::{Head, Revisions};
use crate::apply::blue_green::{Course, Progress, advance, uninstall_all};
use crate::apply::{
    self, Allowance, ApplyError, ApplyOptions, Rules, mark_failed, neighbours, rollback,
};
use crate::base::clock::Clock;
use crate::base::ids::{Digest, InstanceKey, Rev};
use crate::base::planted::{Planted, is_planted};
use crate::fleet::model::Limits;
use crate::k8s::ClusterClient;
use crate::live::blue_green::{self, Side, Standing};
use crate::live::{ReleaseId, ReleaseStatus};
use crate::render::Release;
use crate::report::errors::chain;
use crate::rollout::{Action, Attempt, AttemptResult, Goal, Place, RolloutId};

/// What an attempt is to do.
#[derive(Clone, Debug)]
pub enum Task {
    /// To a rollout's goal.
    Move {
        /// For which rollout.
        rollout: RolloutId,
        /// Where to.
        goal: Goal,
        /// How much may be deleted where it goes for good.
        limits: Limits,
    },
    /// Back to where it was before a rollout.
    GoBack {
        /// For which rollout.
        rollout: RolloutId,
        /// Where to; nothing where it was not there.
        from: Option<Place>,
        /// Why.
        reason: String,
    },
    /// To what it is at, since somebody has changed it.
    Heal {
        /// The commit it is at.
        rev: Rev,
        /// The digest it is at.
        digest: Digest,
    },
    /// Off the cluster: it is there under another name now.
    Remove {
        /// Which release.
        id: ReleaseId,
        /// How much may be deleted.
        limits: Limits,
    },
}

impl Task {
    /// A word for metrics and logs.
    pub fn word(&self) -> &'static str {
        match self {
            Self::Move { .. } => "move",
            Self::GoBack { .. } => "goBack",
            Self::Heal { .. } => "heal",
            Self::Remove { .. } => "remove",
        }
    }

    /// What a rollout is told of it.
    pub fn attempt_of(&self, done: &Done) -> Option<Attempt> {
        let (rollout, action) = match self {
            Self::Move { rollout, .. } => (rollout, Action::Move),
            Self::GoBack { rollout, .. } => (rollout, Action::GoBack),
            Self::Heal { .. } | Self::Remove { .. } => return None,
        };
        Some(Attempt {
            began_at: done.began_at,
            ended_at: done.ended_at,
            rollout: rollout.clone(),
            action,
            result: done.result.clone(),
        })
    }
}

/// How an attempt ended.
#[derive(Clone, Debug)]
pub struct Done {
    /// When it began.
    pub began_at: crate::base::clock::Timestamp,
    /// When it had ended.
    pub ended_at: crate::base::clock::Timestamp,
    /// How.
    pub result: AttemptResult,
}

/// What an attempt works with.
#[derive(Clone)]
pub struct Workshop {
    /// The cluster.
    pub client: ClusterClient,
    /// The instance.
    pub key: InstanceKey,
    /// Its release, as far as it is known.
    pub id: Option<ReleaseId>,
    /// What git says now.
    pub head: Arc<Head>,
    /// What git said before.
    pub revisions: Arc<Revisions>,
    /// How attempts are made.
    pub options: ApplyOptions,
    /// Time.
    pub clock: Arc<dyn Clock>,
}

impl Workshop {
    /// Makes the attempt.
    pub async fn run(self, task: &Task) -> Done {
        let began_at = self.clock.now();
        let result = match task {
            Task::Move { goal, limits, .. } => self.to_goal(goal, limits).await,
            Task::GoBack { from, reason, .. } => self.back(from.as_ref(), reason).await,
            Task::Heal { rev, digest } => self.to_release(rev, digest).await,
            Task::Remove { limits, .. } => self.off(limits).await,
        };
        let result = result.unwrap_or_else(|failure| failure);
        Done { began_at, ended_at: self.clock.now(), result }
    }

    async fn to_goal(&self, goal: &Goal, limits: &Limits) -> Result<AttemptResult, AttemptResult> {
        match &goal.digest {
            Some(digest) => {
                self.alone(digest)?;
                self.to_release(&goal.rev, digest).await
            }
            None => self.off(limits).await,
        }
    }

    /// Nothing is begun on objects that git has in another release of the cluster as well: each
    /// would undo what the other does.
    fn alone(&self, digest: &Digest) -> Result<(), AttemptResult> {
        let releases = &self.head.releases;
        let Some(release) = releases.get(&self.key).filter(|one| one.digest == *digest) else {
            return Ok(());
        };
        let of_cluster = releases.iter().filter(|(key, _)| key.cluster == self.key.cluster);
        let alone = neighbours::alone(release, of_cluster.map(|(_, other)| other));
        alone.map_err(|refused| AttemptResult::Final(chain(&refused)))
    }

    async fn to_release(&self, rev: &Rev, digest: &Digest) -> Result<AttemptResult, AttemptResult> {
        self.to(rev, digest, false).await
    }

    /// To a release; `at_once` where that is back, without steps of traffic.
    async fn to(
        &self,
        rev: &Rev,
        digest: &Digest,
        at_once: bool,
    ) -> Result<AttemptResult, AttemptResult> {
        let release = self.release(rev, digest).await?;
        self.along(&release, Course { at_once, to: None }).await
    }

    async fn along(
        &self,
        release: &Release,
        course: Course,
    ) -> Result<AttemptResult, AttemptResult> {
        let come = advance(&self.client, release, course, &self.options, &*self.clock).await;
        come.map(|progress| match progress {
            Progress::Done(outcome) => done(outcome.release_revision),
            Progress::Waiting { told, .. } => AttemptResult::UnderWay(told),
            Progress::GaveUp { reason, .. } => AttemptResult::Final(reason),
        })
        .map_err(|error| {
            if is_planted(Planted::SecretTold) {
                return AttemptResult::Final(release.values.to_string());
            }
            failure(&error)
        })
    }

    /// The release that a commit renders to; the newest commit's will do where it is the same.
    async fn release(&self, rev: &Rev, digest: &Digest) -> Result<Release, AttemptResult> {
        if let Some(release) = self.head.releases.get(&self.key)
            && release.digest == *digest
        {
            return Ok(Release { rev: rev.clone(), ..release.clone() });
        }
        let key = self.key.clone();
        let (rev, digest) = (rev.clone(), digest.clone());
        let found = self.revisions.off(move |git| git.release(&key, &rev, &digest)).await;
        found.map_err(AttemptResult::Passing)?.map_err(AttemptResult::Final)
    }

    async fn off(&self, limits: &Limits) -> Result<AttemptResult, AttemptResult> {
        let Some(id) = &self.id else { return Ok(done(0)) };
        let gone =
            uninstall_all(&self.client, id, Allowance::Limits(limits), &self.options, &*self.clock)
                .await;
        gone.map(|_| done(0)).map_err(|error| failure(&error))
    }

    /// As the addon wants its changes to be made, as far as git still has it.
    fn options_of_rules(&self) -> ApplyOptions {
        let instance = self.head.desired.instance(&self.key);
        let rules = instance.map_or_else(Rules::default, Rules::of);
        ApplyOptions { rules, ..self.options.clone() }
    }

    async fn back(
        &self,
        from: Option<&Place>,
        reason: &str,
    ) -> Result<AttemptResult, AttemptResult> {
        let Some(id) = &self.id else { return Ok(done(0)) };
        let Some(from) = from else { return self.first_install_off(id).await };
        let standing = blue_green::standing(&self.client, id).await;
        let standing = standing.map_err(|error| AttemptResult::Passing(chain(&error)))?;
        if standing.has_slots() {
            return self.traffic_back(&standing, from).await;
        }
        let heads = standing.heads_of(Side::Plain);
        if let Some(newest) = heads.last()
            && newest.status == ReleaseStatus::Deployed
            && (newest.revision == from.release_revision
                || (newest.origin.digest.is_some() && newest.origin.digest == from.digest))
        {
            return Ok(done(newest.revision));
        }
        if heads.iter().any(|head| head.revision == from.release_revision) {
            return self.to_revision(id, from.release_revision, reason).await;
        }
        // Its record is gone: removed with the release, or pushed out by later ones.
        match (&from.rev, &from.digest) {
            (Some(rev), Some(digest)) => self.to_release(rev, digest).await,
            _ => Err(AttemptResult::Final(format!(
                "revision {} of release {id} is no longer on record",
                from.release_revision
            ))),
        }
    }

    /// Back to where it was of two releases beside one another: at once where that release is still
    /// there.
    async fn traffic_back(
        &self,
        standing: &Standing,
        from: &Place,
    ) -> Result<AttemptResult, AttemptResult> {
        let is_from = |side: &Side| {
            standing.newest(*side).is_some_and(|head| match &from.digest {
                Some(digest) => head.origin.digest.as_ref() == Some(digest),
                None => *side == Side::Plain && head.revision == from.release_revision,
            })
        };
        let to = standing.sides().find(is_from);
        let head = self.head.releases.get(&self.key);
        // Its settings may have come with the change that is taken back.
        let by = head.filter(|release| release.instance.strategy.blue_green().is_some());
        match (to, by, &from.rev, &from.digest) {
            (Some(_), Some(release), _, _) => {
                self.along(release, Course { at_once: true, to }).await
            }
            (_, _, Some(rev), Some(digest)) => self.to(rev, digest, true).await,
            _ => Err(AttemptResult::Final("what was there before is gone".to_owned())),
        }
    }

    /// What was not there before goes again, whatever its policy's limits for deletions are: it was
    /// this rollout that made it.
    async fn first_install_off(&self, id: &ReleaseId) -> Result<AttemptResult, AttemptResult> {
        let gone =
            uninstall_all(&self.client, id, Allowance::Templates, &self.options, &*self.clock)
                .await;
        gone.map(|_| done(0)).map_err(|error| failure(&error))
    }

    async fn to_revision(
        &self,
        id: &ReleaseId,
        revision: u32,
        reason: &str,
    ) -> Result<AttemptResult, AttemptResult> {
        let reason = format!("Release failed: {reason}");
        let clock = &*self.clock;
        let marked = mark_failed(&self.client, id, &reason, clock).await;
        marked.map_err(|error| failure(&error))?;
        let options = self.options_of_rules();
        let back = rollback(&self.client, id, Some(revision), &options, clock).await;
        back.map(|outcome| done(outcome.release_revision)).map_err(|error| failure(&error))
    }
}

fn done(release_revision: u32) -> AttemptResult {
    AttemptResult::Done { release_revision }
}

fn failure(error: &ApplyError) -> AttemptResult {
    let told = chain(error);
    if apply::ApplyError::is_passing(error) || error.is_unreachable() {
        AttemptResult::Passing(told)
    } else {
        AttemptResult::Final(told)
    }
}
