//! What the demo says: a story for people, or every event as JSON.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use super::{Told, shown};
use crate::base::clock::Timestamp;
use crate::base::ids::{AddonName, ClusterName};
use crate::cli::context::Context;
use crate::controller::Reconciler;
use crate::fleet::Desired;
use crate::report::rollout::told;
use crate::rollout::{Event, EventKind, MemberState};

/// How it is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Voice {
    /// For people.
    Story,
    /// For programs.
    Json,
}

/// Tells the demo.
pub(super) struct Teller {
    voice: Voice,
    is_coloured: bool,
    chapter: u32,
    began_at: Option<Timestamp>,
}

impl Teller {
    pub(super) fn new(voice: Voice, is_coloured: bool) -> Self {
        Self { voice, is_coloured, chapter: 0, began_at: None }
    }

    fn paint(&self, code: &str, text: &str) -> String {
        if self.is_coloured { format!("\u{1b}[{code}m{text}\u{1b}[0m") } else { text.to_owned() }
    }

    fn chapter(&mut self, title: &str, context: &mut Context) -> anyhow::Result<()> {
        self.chapter += 1;
        let title = self.paint("1", &format!("{}. {title}", self.chapter));
        writeln!(context.out, "\n{title}")?;
        Ok(())
    }

    /// The fleet that begins.
    pub(super) fn fleet(
        &mut self,
        desired: &Desired,
        speed: u32,
        context: &mut Context,
    ) -> anyhow::Result<()> {
        if self.voice == Voice::Json {
            return Ok(());
        }
        let mut environments: BTreeMap<&str, usize> = BTreeMap::new();
        for cluster in desired.fleet.clusters.values() {
            let environment = cluster.value.metadata.labels.get("environment");
            *environments.entry(environment.map_or("other", String::as_str)).or_default() += 1;
        }
        let counts: Vec<_> =
            environments.iter().map(|(name, count)| format!("{count} {name}")).collect();
        let addons: Vec<&str> = desired.fleet.addons.keys().map(AddonName::as_str).collect();
        let clusters = desired.fleet.clusters.len();
        self.chapter(&format!("A fleet of {clusters} simulated clusters"), context)?;
        writeln!(
            context.out,
            "   {}; {} on each; a minute takes {:.1} s",
            counts.join(" and "),
            addons.join(", "),
            60.0 / f64::from(speed)
        )?;
        context.out.flush()?;
        Ok(())
    }

    /// The fleet is up.
    pub(super) fn brought_up(
        &mut self,
        instances: usize,
        took: Duration,
        context: &mut Context,
    ) -> anyhow::Result<()> {
        if self.voice == Voice::Story {
            let seconds = took.as_secs_f64();
            writeln!(
                context.out,
                "   `fitout apply --all`: {instances} releases installed and healthy in \
                 {seconds:.1} s"
            )?;
        }
        Ok(())
    }

    /// A change is committed.
    pub(super) fn change(
        &mut self,
        title: &str,
        commit: &str,
        about: &[&str],
        context: &mut Context,
    ) -> anyhow::Result<()> {
        self.began_at = None;
        if self.voice == Voice::Json {
            return Ok(());
        }
        let commit = commit.get(..9).unwrap_or(commit);
        self.chapter(&format!("{title}, commit {commit}"), context)?;
        for line in about {
            writeln!(context.out, "   {line}")?;
        }
        Ok(())
    }

    /// Something happened.
    pub(super) fn event(
        &mut self,
        event: &Event,
        reconciler: &Reconciler,
        context: &mut Context,
    ) -> anyhow::Result<()> {
        if self.voice == Voice::Json {
            writeln!(context.out, "{}", serde_json::to_string(event)?)?;
            context.out.flush()?;
            return Ok(());
        }
        let began_at = *self.began_at.get_or_insert(event.at);
        let minutes = event.at.duration_since(began_at).as_mins();
        let Some(line) = self.line(event, reconciler) else { return Ok(()) };
        writeln!(context.out, "   {minutes:>3}m  {line}")?;
        context.out.flush()?;
        Ok(())
    }

    /// What is worth a line of the story.
    fn line(&self, event: &Event, reconciler: &Reconciler) -> Option<String> {
        let stage = event.stage.as_deref().unwrap_or_default();
        let cluster = event.cluster.as_ref().map(ClusterName::as_str).unwrap_or_default();
        let place = format!("{stage:<9}{cluster:<24}");
        let what = told(event);
        Some(match &event.kind {
            EventKind::StageStarted => {
                let names = of_stage(event, reconciler);
                self.paint("1", &format!("{stage:<9}begins: {names}"))
            }
            EventKind::InstanceHealthy { .. } => format!("{place}{}", self.paint("32", &what)),
            EventKind::InstanceFailed => {
                let reason = event.reason.as_deref().unwrap_or_default();
                format!("{place}{}: {reason}", self.paint("31", &what))
            }
            EventKind::InstanceApplied { .. } | EventKind::InstanceUnhealthy => {
                format!("{place}{what}")
            }
            EventKind::InstanceRolledBack => format!("{place}{}", self.paint("33", &what)),
            EventKind::GatePassed { .. } => format!("{stage:<9}{what}"),
            EventKind::StagePassed => self.paint("32", &format!("{stage:<9}{what}")),
            EventKind::RolloutStopped { .. } => {
                self.paint("31", &format!("{stage:<9}the rollout is {what}"))
            }
            EventKind::RolloutCompleted => self.paint("32;1", "the rollout is completed"),
            EventKind::RolloutRolledBack => self.paint("33;1", "the stage is rolled back"),
            _ => return None,
        })
    }

    /// How it ended.
    pub(super) fn verdict(&self, bad: &Told, context: &mut Context) -> anyhow::Result<()> {
        if self.voice == Voice::Json {
            return Ok(());
        }
        let is_untouched = |state: &MemberState| *state == MemberState::Waiting;
        let untouched =
            bad.rollout.members.values().filter(|member| is_untouched(&member.state)).count();
        writeln!(
            context.out,
            "\n   {untouched} production clusters never saw it, and it is not tried again until \
             git changes."
        )?;
        Ok(())
    }

    /// What to try next.
    pub(super) fn farewell(&self, fleet: &Path, context: &mut Context) -> anyhow::Result<()> {
        if self.voice == Voice::Json {
            return Ok(());
        }
        let program = std::env::current_exe().map_or("fitout".to_owned(), |path| shown(&path));
        let fleet = shown(fleet);
        let canary = "prod-meyrin-cpu-01 prometheus";
        writeln!(context.out, "\n{}", self.paint("1", "Now ask it yourself:"))?;
        for command in
            [format!("why {canary}"), "status".to_owned(), "rollout show prometheus".to_owned()]
        {
            writeln!(context.out, "   {program} --repo {fleet} {command}")?;
        }
        Ok(())
    }
}

/// The clusters that a stage changes.
fn of_stage(event: &Event, reconciler: &Reconciler) -> String {
    let Some(rollout) = reconciler.rollouts().get(&event.rollout) else { return String::new() };
    let stages = &rollout.policy.stages;
    let index = stages.iter().position(|stage| Some(&stage.name) == event.stage.as_ref());
    let names: Vec<&str> = index
        .map(|index| rollout.changing(index).map(|(name, _)| name.as_str()).collect())
        .unwrap_or_default();
    names.join(", ")
}
