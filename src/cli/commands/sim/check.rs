//! `fitout sim check`: the laws, put to the test of random histories.

use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use serde_json::{Value as Json, json};

use crate::base::ids::ClusterName;
use crate::cli::context::Context;
use crate::cli::exit::Exit;
use crate::cli::format::Format;
use crate::rollout::Event;
use crate::simulator::shrink::shrink;
use crate::simulator::{Counts, Scenario, Verdict, check};

/// Seeds that break a law are told up to so many; more of them say nothing new.
const TOLD_MAX: usize = 5;

/// Arguments of `fitout sim check`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// How many seeds; 1 with `--seed`, else 1000
    #[arg(long, value_name = "N")]
    seeds: Option<u64>,
    /// The first seed; a random one by default
    #[arg(long, value_name = "S")]
    seed: Option<u64>,
    /// How many histories run at once; as many as there are cores by default
    #[arg(long, value_name = "N")]
    jobs: Option<usize>,
    /// Prints the event log of each history that breaks a law, and of a single one in any case
    #[arg(long)]
    log: bool,
    /// How it is printed
    #[arg(short, long, value_enum, default_value = "text")]
    output: Format,
}

/// What came of all seeds.
#[derive(Debug, Default)]
struct Checked {
    seeds: u64,
    counts: Counts,
    broken: Vec<(u64, Verdict)>,
    /// The event log of the last history that broke none.
    log: Vec<Event>,
}

/// Runs it. Ends with [`Exit::Bug`] when a law is broken.
pub(super) fn run(args: &Args, context: &mut Context) -> anyhow::Result<Exit> {
    let first = args.seed.unwrap_or_else(|| u64::from(rand::random::<u32>()));
    let seeds = args.seeds.unwrap_or(if args.seed.is_some() { 1 } else { 1_000 });
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let jobs = args.jobs.unwrap_or(cores).max(1);
    let began = Instant::now();
    let mut checked = check_all(first, seeds, jobs);
    let seconds = began.elapsed().as_secs_f64();
    checked.broken.sort_by_key(|(seed, _)| *seed);
    checked.broken.truncate(TOLD_MAX);
    // On a thread of its own: each history has a runtime, and this one is another's.
    let findings = std::thread::scope(|scope| {
        let all = scope.spawn(|| checked.broken.iter().map(Finding::of).collect::<Vec<_>>());
        all.join().expect("shrinking does not panic")
    });
    match args.output {
        Format::Text => {
            for finding in &findings {
                writeln!(context.out, "{finding}")?;
                if args.log {
                    write_log(&finding.of_small.log, context)?;
                }
            }
            if args.log && findings.is_empty() && seeds == 1 {
                write_log(&checked.log, context)?;
            }
            writeln!(context.out, "{}", summary(first, &checked, seconds))?;
        }
        Format::Json => writeln!(context.out, "{:#}", json(first, &checked, &findings, seconds))?,
    }
    Ok(if findings.is_empty() { Exit::Done } else { Exit::Bug })
}

fn check_all(first: u64, seeds: u64, jobs: usize) -> Checked {
    let next = AtomicU64::new(0);
    let checked = Mutex::new(Checked::default());
    let work = || {
        loop {
            let at = next.fetch_add(1, Ordering::Relaxed);
            if at >= seeds {
                break;
            }
            let seed = first.wrapping_add(at);
            let verdict = check(seed);
            let mut checked = checked.lock().expect("no thread panics with it");
            checked.seeds += 1;
            checked.counts += verdict.counts;
            if verdict.broken.is_some() {
                checked.broken.push((seed, verdict));
            } else {
                checked.log = verdict.log;
            }
            if checked.broken.len() >= TOLD_MAX {
                break;
            }
        }
    };
    std::thread::scope(|scope| {
        for _ in 0..jobs {
            scope.spawn(work);
        }
    });
    checked.into_inner().expect("no thread panics with it")
}

/// A seed that breaks a law, with the smallest history that still does.
struct Finding {
    seed: u64,
    verdict: Verdict,
    small: Scenario,
    of_small: Verdict,
}

impl Finding {
    fn of((seed, verdict): &(u64, Verdict)) -> Self {
        let (small, of_small) = shrink(&Scenario::draw(*seed), verdict);
        Self { seed: *seed, verdict: verdict.clone(), small, of_small }
    }

    fn json(&self) -> Json {
        let broken = self.verdict.broken.as_ref();
        let acts: Vec<String> =
            self.small.acts.iter().map(|act| act.to_string().trim().to_owned()).collect();
        json!({
            "seed": self.seed,
            "law": broken.map(|broken| broken.law),
            "at": broken.map(|broken| broken.at.to_string()),
            "what": broken.map(|broken| broken.what.clone()),
            "history": acts,
            "replay": replay(self.seed),
        })
    }
}

impl std::fmt::Display for Finding {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Some(broken) = &self.verdict.broken else { return Ok(()) };
        writeln!(f, "seed {} breaks law {} at {}", self.seed, broken.law, broken.at)?;
        writeln!(f, "  {}", broken.what)?;
        let small = &self.small.fleet;
        let clusters: Vec<String> =
            small.clusters.iter().map(|(name, ring)| format!("{name} ({ring})")).collect();
        let addons: Vec<&str> = small.addons.keys().map(String::as_str).collect();
        let acts = self.small.acts.len();
        writeln!(
            f,
            "  needed for it: {acts} acts on {}, with {}",
            clusters.join(", "),
            addons.join(", ")
        )?;
        writeln!(f, "  policy {}", small.policy)?;
        for act in &self.small.acts {
            writeln!(f, "  {act}")?;
        }
        if let Some(broken) = &self.of_small.broken {
            writeln!(f, "  then, at {}: {}", broken.at, broken.what)?;
        }
        writeln!(f, "  replay: {}", replay(self.seed))
    }
}

fn write_log(log: &[Event], context: &mut Context) -> std::io::Result<()> {
    for event in log {
        let cluster = event.cluster.as_ref().map(ClusterName::as_str).unwrap_or_default();
        let (stage, reason) = (event.stage.as_deref(), event.reason.as_deref());
        writeln!(
            context.out,
            "  {} {} {} {} {cluster} {}",
            event.at,
            event.rollout,
            event.kind.name(),
            stage.unwrap_or_default(),
            reason.unwrap_or_default()
        )?;
    }
    Ok(())
}

fn replay(seed: u64) -> String {
    format!("fitout sim check --seed {seed}")
}

fn summary(first: u64, checked: &Checked, seconds: f64) -> String {
    let Counts { ticks, requests, faults, events, kills } = checked.counts;
    let verdict = match checked.broken.len() {
        0 => "no law broken".to_owned(),
        many => format!("{many} break a law"),
    };
    let rate = checked.seeds as f64 / seconds.max(f64::EPSILON);
    format!(
        "{} seeds from {first}: {verdict}\n{ticks} ticks, {requests} requests, {faults} faults, {events} \
         events, {kills} kills in {seconds:.1} s: {rate:.0} seeds a second",
        checked.seeds
    )
}

fn json(first: u64, checked: &Checked, findings: &[Finding], seconds: f64) -> Json {
    let Counts { ticks, requests, faults, events, kills } = checked.counts;
    json!({
        "first": first,
        "seeds": checked.seeds,
        "seconds": seconds,
        "counts": {
            "ticks": ticks, "requests": requests, "faults": faults, "events": events, "kills": kills,
        },
        "findings": findings.iter().map(Finding::json).collect::<Vec<_>>(),
    })
}
