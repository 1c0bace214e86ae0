//! The controller's parts for commands: its options, its event log, its state's place.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use super::clusters;
use super::context::Context;
use super::exit::CommandError;
use super::load;
use crate::apply::holder;
use crate::base::clock::{Clock, SystemClock};
use crate::base::ids::{ClusterName, Digest};
use crate::controller::{Branch, HttpGates, Options, Reconciler};
use crate::fleet::Desired;
use crate::git::Repository;
use crate::rollout::{Rollout, RolloutId};
use crate::sim::SimFleet;
use crate::store::{Rollouts, SqliteStore, StoreError, SwitchLog};

/// How often git is polled when nobody says.
pub const INTERVAL: Duration = Duration::from_mins(1);
/// How often clusters are looked at while a rollout is under way.
pub const PACE: Duration = Duration::from_secs(2);
/// How often instances at rest are compared with what they are at.
pub const RESYNC: Duration = Duration::from_mins(5);

/// Where what fitout keeps of a fleet is: `$FITOUT_STATE`, else `$XDG_STATE_HOME/fitout`, else
/// `~/.local/state/fitout`; below it a folder for each repository.
pub fn state_folder(repository: &Repository) -> PathBuf {
    let location = match repository.folder() {
        Some(folder) => folder.display().to_string(),
        None => repository.location().to_owned(),
    };
    crate::net::state::folder().join(Digest::of(location.as_bytes()).short())
}

/// The simulated clusters of a fleet, kept between runs.
pub fn simulated(repository: &Repository, clock: Arc<dyn Clock>) -> SimFleet {
    SimFleet::in_folder(state_folder(repository).join("simulated"), clock)
}

/// The simulated clusters that a fleet names, and how many nodes each has.
pub fn simulated_clusters(desired: &Desired) -> Vec<(ClusterName, u32)> {
    let clusters = desired.fleet.clusters.iter();
    clusters
        .filter_map(|(name, document)| {
            let simulated = document.value.spec.connection.simulated.as_ref()?;
            Some((name.clone(), simulated.nodes))
        })
        .collect()
}

/// The event log of a fleet.
pub fn log_path(repository: &Repository) -> PathBuf {
    state_folder(repository).join("events.db")
}

/// What a controller of the repository that the arguments name goes by.
pub fn options(context: &Context, repository: &Repository, clock: Arc<dyn Clock>) -> Options {
    Options {
        origin: Arc::new(branch(context, repository)),
        gates: Arc::new(HttpGates),
        interval: INTERVAL,
        pace: PACE,
        resync: RESYNC,
        charts: Arc::new(load::chart_store()),
        connect: clusters::options(context, repository),
        clock,
        holder: holder::current(),
    }
}

/// The branch that the arguments name.
fn branch(context: &Context, repository: &Repository) -> Branch {
    let location = match repository.folder() {
        Some(folder) => folder.display().to_string(),
        None => context.global.repo.clone().unwrap_or_else(|| ".".to_owned()),
    };
    let reference = context.global.rev.clone().unwrap_or_else(|| "HEAD".to_owned());
    Branch { location, reference }
}

/// Makes sure that the branch is there: that it is not is a wrong argument, and better told at once.
pub fn ensure_branch(context: &Context, repository: &Repository) -> anyhow::Result<()> {
    repository.resolve(&branch(context, repository).reference).map_err(load::usage)?;
    Ok(())
}

/// The event log and all rollouts in it.
pub fn open_log(context: &Context) -> anyhow::Result<(SqliteStore, Rollouts)> {
    let repository = load::repository(context)?;
    let store = SqliteStore::open_to_read(&log_path(&repository)).map_err(told)?;
    let rollouts = Rollouts::read(&store).map_err(told)?;
    Ok((store, rollouts))
}

/// The log of switches, and all of them.
pub fn open_switches(context: &Context) -> anyhow::Result<(SqliteStore, SwitchLog)> {
    let repository = load::repository(context)?;
    let store = SqliteStore::open_to_read(&log_path(&repository)).map_err(told)?;
    let log = SwitchLog::read(&store).map_err(told)?;
    Ok((store, log))
}

/// A reconciler that only looks.
pub fn onlooker(context: &Context) -> anyhow::Result<Reconciler> {
    let repository = load::repository(context)?;
    let options = options(context, &repository, Arc::new(SystemClock));
    ensure_branch(context, &repository)?;
    let store = SqliteStore::open_to_read(&log_path(&repository)).map_err(told)?;
    Reconciler::new(options, Box::new(store), None).map_err(told)
}

/// An error of the log with its way out.
pub fn told(error: StoreError) -> anyhow::Error {
    let help = error.help();
    let error = anyhow::Error::new(error);
    match help.first() {
        Some(help) => error.context(help.clone()),
        None => error,
    }
}

/// A rollout by its name, or the newest of an addon.
///
/// # Errors
/// [`CommandError::Usage`] with what there is.
pub fn find<'a>(rollouts: &'a Rollouts, text: &str) -> Result<&'a Rollout, CommandError> {
    let by_id = RolloutId::parse(text).and_then(|id| rollouts.get(&id));
    let found = by_id.or_else(|| rollouts.newest(&text.into()));
    found.ok_or_else(|| {
        let known: Vec<String> = rollouts.iter().map(|rollout| rollout.id.to_string()).collect();
        let names = known.iter().map(String::as_str);
        let addons = rollouts.addons().map(crate::base::ids::AddonName::as_str);
        let help = match crate::base::diagnostic::closest(text, names.chain(addons)) {
            Some(best) => format!("did you mean `{best}`?"),
            None if known.is_empty() => {
                "there was none yet: `fitout controller` begins them".to_owned()
            }
            None => "see them with `fitout rollout list`".to_owned(),
        };
        CommandError::Usage { message: format!("there is no rollout `{text}`"), help: vec![help] }
    })
}
