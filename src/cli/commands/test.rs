//! `fitout test`: runs the test hooks of a release, as `helm test` does.

use std::io::Write;
use std::time::Duration;

use serde_json::json;

use super::diff::Output;
use super::history::instance;
use crate::apply::{self, HookResult, Tested, Tests};
use crate::base::clock::SystemClock;
use crate::base::clock::today;
use crate::base::diagnostic::counted;
use crate::base::ids::InstanceKey;
use crate::cli::clusters;
use crate::cli::context::Context;
use crate::cli::execute::{status_of, tell_error, write_logs};
use crate::cli::exit::Exit;
use crate::cli::load;
use crate::fleet::Desired;
use crate::live::ReleaseId;
use crate::report::errors::chain;

/// Arguments of `fitout test`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The cluster
    #[arg(value_name = "CLUSTER")]
    cluster: String,
    /// The addon
    #[arg(value_name = "ADDON")]
    addon: String,
    /// Only this test, by the name of its object; repeat for more
    #[arg(long = "only", value_name = "NAME")]
    only: Vec<String>,
    /// How long each test may take
    #[arg(long, value_name = "DURATION", default_value = "5m", value_parser = humantime::parse_duration)]
    timeout: Duration,
    /// Show what the tests say, of those that succeed too
    #[arg(long)]
    logs: bool,
    /// How results are printed
    #[arg(short, long, value_enum, default_value = "text")]
    output: Output,
}

/// Runs it.
pub async fn run(args: Args, context: &mut Context) -> anyhow::Result<Exit> {
    let repository = load::repository(context)?;
    let rev = context.global.rev.clone();
    let source = load::source(&repository, rev.as_deref())?;
    let desired = load::accept(context, Desired::read(source, today()))?;
    let instance = instance(&desired, &args.cluster, &args.addon)?;
    let connect = clusters::options(context, &repository);
    let client = clusters::connect_one(&desired.fleet, &instance.key.cluster, &connect).await?;
    let id = apply::blue_green::present(&client, &ReleaseId::of(instance)).await?;
    let tests = Tests { names: args.only, timeout: args.timeout, wants_logs: args.logs };
    let exit = match apply::test(&client, &id, &tests, &SystemClock).await {
        Err(error) => tell_error(&instance.key, &error, &mut context.err)?,
        Ok(tested) => told(&instance.key, &tested, args.output, context)?,
    };
    clusters::save([&client])?;
    Ok(exit)
}

fn told(
    key: &InstanceKey,
    tested: &Tested,
    output: Output,
    context: &mut Context,
) -> anyhow::Result<Exit> {
    let exit = match &tested.failure {
        None => Exit::Done,
        Some(error) => status_of(error).exit(),
    };
    if output == Output::Json {
        let report = json!({
            "instance": key, "releaseRevision": tested.release_revision,
            "tests": tested.results, "notRun": tested.not_run,
        });
        writeln!(context.out, "{report:#}")?;
        return Ok(exit);
    }
    for result in &tested.results {
        writeln!(context.out, "{}", line(key, result, output))?;
        write_logs(&result.logs, &mut context.out)?;
    }
    for name in &tested.not_run {
        writeln!(context.out, "{key}: {name}: not run")?;
    }
    if let Some(error) = tested.failure.as_ref().filter(|_| is_of_clearing(tested)) {
        writeln!(context.err, "error: {key}: {}", chain(error))?;
    }
    writeln!(context.err, "{}", summary(key, tested))?;
    Ok(exit)
}

/// Whether all tests went well, and clearing them away did not.
fn is_of_clearing(tested: &Tested) -> bool {
    tested.results.iter().all(|result| result.failure.is_none())
}

fn line(key: &InstanceKey, result: &HookResult, output: Output) -> String {
    let HookResult { hook, seconds, failure, .. } = result;
    let (bullet, name) = match output {
        Output::Markdown => ("- ", format!("`{hook}`")),
        _ => ("", hook.to_string()),
    };
    match failure {
        None => format!("{bullet}{key}: {name}: succeeded in {seconds:.1} s"),
        Some(reason) => {
            let reason = reason.strip_prefix("failed: ").unwrap_or(reason);
            format!("{bullet}{key}: {name}: failed: {reason}")
        }
    }
}

fn summary(key: &InstanceKey, tested: &Tested) -> String {
    let revision = tested.release_revision;
    if tested.results.is_empty() && tested.not_run.is_empty() {
        return format!(
            "{key}: revision {revision} has no tests (hooks with `helm.sh/hook: test`)"
        );
    }
    let failed = tested.results.iter().filter(|result| result.failure.is_some()).count();
    let succeeded = counted(tested.results.len() - failed, "test");
    let rest = match (failed, tested.not_run.len()) {
        (0, _) => String::new(),
        (_, 0) => format!(", {failed} failed"),
        (_, not_run) => format!(", {failed} failed, {not_run} not run"),
    };
    format!("{key}: revision {revision}: {succeeded} succeeded{rest}")
}
