//! The main job on simulated clusters, from an empty folder to a change that was rolled back.
//!
//! Real code from git to the API: only the clusters, and the pace of the clock, are not real.

mod scratch;
mod tell;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};

use super::context::Context;
use super::control;
use super::exit::{CommandError, Exit};
use super::survey::{self, Scope};
use super::{execute, load};
use crate::apply::{ApplyOptions, holder};
use crate::base::clock::today;
use crate::base::clock::{Clock, FastClock};
use crate::controller::{Branch, Options, Reconciler};
use crate::fleet::Desired;
use crate::git::Repository;
use crate::rollout::{Event, EventKind, Phase, Rollout};
use crate::sim::SimFleet;
use crate::store::{SqliteStore, StoreError};

use scratch::Scratch;
use tell::{Teller, Voice};

/// How often clusters are looked at, by the demo's clock.
const PACE: Duration = Duration::from_secs(20);
/// How often git is polled, by the demo's clock.
const INTERVAL: Duration = Duration::from_secs(40);
/// A rollout of the demo that takes longer, by the real clock, has gone wrong.
const PATIENCE: Duration = Duration::from_mins(10);

/// How the demo is run.
#[derive(Clone, Debug)]
pub struct Demo {
    /// Events as JSON, one a line, instead of a story.
    pub is_json: bool,
    /// Where the fleet is put.
    pub folder: PathBuf,
    /// How many times as fast as the real one its clock runs.
    pub speed: u32,
}

/// The default folder.
pub fn folder() -> PathBuf {
    crate::net::state::folder().join("demo")
}

/// Runs the demo.
///
/// # Errors
/// When anything did not go as it should have: the demo is a test, too.
pub async fn run(demo: &Demo, context: &mut Context) -> anyhow::Result<Exit> {
    let scratch = Scratch::begin(&demo.folder)?;
    let repository = Repository::open(&scratch.folder().display().to_string())?;
    let state = control::state_folder(&repository);
    if state.exists() {
        std::fs::remove_dir_all(&state)
            .with_context(|| format!("removing `{}`", state.display()))?;
    }
    let clock: Arc<dyn Clock> = Arc::new(FastClock::new(demo.speed));
    let simulated = control::simulated(&repository, Arc::clone(&clock));
    let mut options = control::options(context, &repository, Arc::clone(&clock));
    let location = scratch.folder().display().to_string();
    options.origin = Arc::new(Branch { location, reference: "HEAD".to_owned() });
    options.connect.simulated = simulated.clone();
    options.connect.base_dir = scratch.folder().to_owned();
    options.interval = INTERVAL;
    options.pace = PACE;
    let log = control::log_path(&repository);
    let mut stage = Stage { scratch, clock, options, simulated, log, speed: demo.speed };
    let voice = if demo.is_json { Voice::Json } else { Voice::Story };
    let mut teller = Teller::new(voice, context.is_coloured);
    stage.bring_up(&mut teller, context).await?;
    let exit = stage.play(&mut teller, context).await?;
    stage.simulated.save_all().await?;
    teller.farewell(stage.scratch.folder(), context)?;
    Ok(exit)
}

/// Everything that the demo plays with.
struct Stage {
    scratch: Scratch,
    clock: Arc<dyn Clock>,
    options: Options,
    simulated: SimFleet,
    log: PathBuf,
    speed: u32,
}

impl Stage {
    /// `fitout apply --all`.
    async fn bring_up(&self, teller: &mut Teller, context: &mut Context) -> anyhow::Result<()> {
        let repository = Repository::open(&self.scratch.folder().display().to_string())?;
        let source = repository.source(&repository.resolve("HEAD")?)?;
        let desired = load::accept(context, Desired::read(source, today()))?;
        teller.fleet(&desired, self.speed, context)?;
        let options = ApplyOptions::new(holder::current());
        let scope = Scope {
            clusters: desired.fleet.clusters.keys().cloned().collect(),
            addons: BTreeSet::new(),
        };
        let connect = &self.options.connect;
        let survey = survey::of_scope(desired, &scope, connect, &options, context).await?;
        let plan = survey.plan();
        let (sender, mut receiver) = unbounded_channel();
        let started = std::time::Instant::now();
        let work = async {
            let results = execute::execute(&plan, &survey, &options, &sender).await;
            drop(sender);
            results
        };
        let drain = async { while receiver.recv().await.is_some() {} };
        let (results, ()) = tokio::join!(work, drain);
        let bad = results.iter().find(|result| result.status != execute::StepStatus::Done);
        if let Some(bad) = bad {
            let told = format!("{}: {}", bad.step, bad.message);
            return Err(CommandError::Refused(told).into());
        }
        teller.brought_up(results.len(), started.elapsed(), context)
    }

    /// The two changes, under a controller.
    async fn play(&mut self, teller: &mut Teller, context: &mut Context) -> anyhow::Result<Exit> {
        let store = SqliteStore::open(&self.log).map_err(control::told)?;
        let (sender, mut events) = unbounded_channel();
        let options = self.options.clone();
        let mut reconciler =
            Reconciler::new(options, Box::new(store), Some(sender)).map_err(control::told)?;
        let commit = self.scratch.good_change()?;
        teller.change("A good change", &commit, &["traefik 3.6.2 becomes 3.6.3"], context)?;
        let good = self.roll_out("traefik", &mut reconciler, &mut events, teller, context).await?;
        let commit = self.scratch.bad_change()?;
        let about =
            ["prometheus 3.8.0 becomes 3.9.0;", "the image that production uses cannot be pulled"];
        teller.change("A bad change", &commit, &about, context)?;
        let bad =
            self.roll_out("prometheus", &mut reconciler, &mut events, teller, context).await?;
        let verdict = verdict(&good, &bad);
        teller.verdict(&bad, context)?;
        verdict.map_err(|told| CommandError::Refused(told).into())
    }

    /// Ticks until the newest rollout of an addon has ended.
    async fn roll_out(
        &self,
        addon: &str,
        reconciler: &mut Reconciler,
        events: &mut UnboundedReceiver<Event>,
        teller: &mut Teller,
        context: &mut Context,
    ) -> anyhow::Result<Told> {
        let started = std::time::Instant::now();
        let mut log = Vec::new();
        reconciler.poll_soon();
        loop {
            let tick = match reconciler.tick().await {
                Ok(tick) => tick,
                Err(StoreError::Moved) => continue,
                Err(error) => return Err(control::told(error)),
            };
            while let Ok(event) = events.try_recv() {
                teller.event(&event, reconciler, context)?;
                log.push(event);
            }
            let newest = reconciler.rollouts().newest(&addon.into());
            if let Some(rollout) = newest.filter(|rollout| rollout.phase.is_ended()) {
                return Ok(Told { rollout: rollout.clone(), log });
            }
            if started.elapsed() > PATIENCE {
                let told = format!("the rollout of {addon} does not end");
                return Err(CommandError::Refused(told).into());
            }
            tokio::select! {
                () = self.clock.sleep(tick.next_in) => {}
                () = reconciler.attempt_ended() => {}
            }
        }
    }
}

/// A rollout and its events.
struct Told {
    rollout: Rollout,
    log: Vec<Event>,
}

/// Whether both changes ended as they should.
fn verdict(good: &Told, bad: &Told) -> Result<Exit, String> {
    if good.rollout.phase != Phase::Completed {
        return Err(format!("the good change is {}", good.rollout.phase.word()));
    }
    if !matches!(bad.rollout.phase, Phase::RolledBack { .. }) {
        return Err(format!("the bad change is {}", bad.rollout.phase.word()));
    }
    let touched: BTreeMap<&str, usize> =
        bad.log.iter().fold(BTreeMap::new(), |mut touched, event| {
            if let (EventKind::InstanceStarted { .. }, Some(stage)) = (&event.kind, &event.stage) {
                *touched.entry(stage.as_str()).or_default() += 1;
            }
            touched
        });
    if touched.contains_key("prod") || !touched.contains_key("canary") {
        return Err(format!("the bad change reached {touched:?}"));
    }
    Ok(Exit::Done)
}

/// A path as somebody in the working folder would type it.
fn shown(path: &Path) -> String {
    let here = std::env::current_dir().unwrap_or_default();
    path.strip_prefix(&here).unwrap_or(path).display().to_string()
}
