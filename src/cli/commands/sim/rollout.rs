//! `fitout sim rollout`: what a change would do to the fleet, in virtual time.

use std::collections::BTreeSet;
use std::time::Duration;

use serde_json::Value as Json;

use crate::base::clock::{Clock as _, SystemClock, Timestamp, today};
use crate::base::ids::{AddonName, ClusterName};
use crate::cli::commands::preview::sides::SideArgs;
use crate::cli::context::Context;
use crate::cli::exit::{CommandError, Exit};
use crate::cli::format::Format;
use crate::cli::load;
use crate::cli::selection::{AddonArgs, ClusterArgs, unknown};
use crate::fleet::Desired;
use crate::fleet::model::Fleet;
use crate::preview::{preview, rollouts};
use crate::report::{diagnostics, rehearsal as report};
use crate::rollout::WaitingOn;
use crate::rollout::rehearsal::{Behaviour, Rehearsed, rehearse};

/// Arguments of `fitout sim rollout`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    sides: SideArgs,
    #[command(flatten)]
    addons: AddonArgs,
    /// Where the new version is bad: `all`, or clusters by label, such as `region=meyrin`
    #[arg(long, value_name = "SELECTOR")]
    bad: Option<String>,
    /// It gets healthy there first, and turns bad so long after
    #[arg(long, value_name = "DURATION", requires = "bad", value_parser = humantime::parse_duration)]
    turns_bad_after: Option<Duration>,
    /// Clusters that do not answer: `all`, or by label
    #[arg(long, value_name = "SELECTOR")]
    unreachable: Option<String>,
    /// How long a version takes to get healthy
    #[arg(long, value_name = "DURATION", default_value = "1m", value_parser = humantime::parse_duration)]
    ready_after: Duration,
    /// How long people take to approve; without it nobody does
    #[arg(long, value_name = "DURATION", value_parser = humantime::parse_duration)]
    approve_after: Option<Duration>,
    /// When it begins, such as `2026-12-01T09:00:00Z`; now by default
    #[arg(long, value_name = "TIME")]
    start: Option<Timestamp>,
    /// How it is printed
    #[arg(short, long, value_enum, default_value = "text")]
    output: Format,
}

/// Runs it. Ends with [`Exit::Refused`] where a rollout does not end by itself.
pub(super) fn run(args: &Args, context: &mut Context) -> anyhow::Result<Exit> {
    let repository = load::repository(context)?;
    let (base, head) = args.sides.sources(context, &repository)?;
    let (base, head) = (Desired::read(base, today()), Desired::read(head, today()));
    let fleet = &head.value.fleet;
    let addons = args.wanted([fleet, &base.value.fleet])?;
    let behaviour = args.behaviour(fleet)?;
    let (base, head) = args.sides.rendered(base, head);
    let (base, head) = (base.side(), head.side());
    let made = preview(&base, &head, behaviour.start);
    let mut parts = rollouts::parts(&base, &head, &made.changed);
    parts.retain(|part| addons.contains(&part.wish.addon));
    let rehearsed = rehearse(&parts, &behaviour);
    match args.output {
        Format::Text => {
            write!(context.out, "{}", report::text(&rehearsed, &behaviour, context.is_coloured))?;
        }
        Format::Json => {
            let all: Vec<Json> = rehearsed.iter().map(report::json).collect();
            writeln!(context.out, "{:#}", Json::from(all))?;
        }
    }
    let found: Vec<_> = made.findings.iter().map(|found| found.diagnostic.clone()).collect();
    let is_wrong = Exit::of_findings(&found);
    if is_wrong != Exit::Done {
        write!(context.err, "{}", diagnostics::text(&found, context.is_coloured))?;
        return Ok(is_wrong);
    }
    let asks = |one: &Rehearsed| {
        one.waiting.values().any(|waits| matches!(waits, WaitingOn::Approval { .. }))
    };
    if rehearsed.iter().any(asks) {
        writeln!(context.err, "help: with `--approve-after 1h` somebody approves")?;
    }
    let never_ends = |one: &Rehearsed| !one.rollout.phase.is_ended();
    Ok(if rehearsed.iter().any(never_ends) { Exit::Refused } else { Exit::Done })
}

impl Args {
    /// The addons that are meant, of either side: one that goes has a rollout as well.
    fn wanted(&self, sides: [&Fleet; 2]) -> Result<BTreeSet<AddonName>, CommandError> {
        let known: BTreeSet<&AddonName> =
            sides.into_iter().flat_map(|fleet| fleet.addons.keys()).collect();
        if self.addons.addons.is_empty() {
            return Ok(known.into_iter().cloned().collect());
        }
        let names = self.addons.addons.iter().map(|name| {
            let found = known.get(&AddonName::from(name.as_str()));
            let names = known.iter().map(|known| known.as_str());
            found.map(|found| (*found).clone()).ok_or_else(|| unknown("addon", name, names))
        });
        names.collect()
    }

    fn behaviour(&self, fleet: &Fleet) -> Result<Behaviour, CommandError> {
        Ok(Behaviour {
            start: self.start.unwrap_or_else(|| SystemClock.now()),
            ready_after: self.ready_after,
            bad: clusters(self.bad.as_deref(), fleet)?,
            turns_bad_after: self.turns_bad_after,
            unreachable: clusters(self.unreachable.as_deref(), fleet)?,
            approve_after: self.approve_after,
        })
    }
}

fn clusters(text: Option<&str>, fleet: &Fleet) -> Result<BTreeSet<ClusterName>, CommandError> {
    let selector = match text {
        None => return Ok(BTreeSet::new()),
        Some("all") => None,
        Some(text) => Some(text.to_owned()),
    };
    ClusterArgs { all: selector.is_none(), selector, clusters: Vec::new() }.select(fleet)
}
