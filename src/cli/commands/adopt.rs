//! `fitout adopt`: takes over, in place, what Helm, Flux or `kubectl` has installed.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use serde_json::json;

use crate::apply::{self, Adoption, ApplyError, ApplyOptions, Former, health_timeout, holder};
use crate::base::clock::SystemClock;
use crate::base::diagnostic::counted;
use crate::cli::clusters;
use crate::cli::context::Context;
use crate::cli::execute::{status_of, told};
use crate::cli::exit::Exit;
use crate::cli::format::Format;
use crate::cli::load;
use crate::cli::selection::{one_instance, unknown};
use crate::fleet::Desired;
use crate::fleet::instance::Instance;
use crate::k8s::ClusterClient;
use crate::render::{Release, RenderOptions};
use crate::report::diagnostics;
use crate::report::diff;
use crate::report::errors::chain;

/// Arguments of `fitout adopt`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The cluster
    #[arg(value_name = "CLUSTER")]
    cluster: String,
    /// The addons; all that git wants on the cluster when none is named
    #[arg(value_name = "ADDON")]
    addons: Vec<String>,
    /// How it is printed
    #[arg(short, long, value_enum, default_value = "text")]
    output: Format,
    /// Only show what would be taken over, and what would change
    #[arg(long)]
    dry_run: bool,
    /// Do not ask
    #[arg(short, long)]
    yes: bool,
    /// Also where pods would restart, or objects would be deleted or made anew
    #[arg(long)]
    allow_disruption: bool,
    /// Take over fields that others have set, also from a HelmRelease that is not suspended
    #[arg(long)]
    force_conflicts: bool,
    /// Whoever began a change of the release that has not ended is gone
    #[arg(long)]
    unlock: bool,
}

/// One addon, with what was seen of it.
struct Subject {
    release: Release,
    seen: Result<Adoption, ApplyError>,
}

/// Whether a subject is to be taken over, and if not why.
enum Verdict {
    Ready,
    NothingToDo(String),
    Refused(Vec<String>),
}

/// Runs it.
pub async fn run(args: Args, context: &mut Context) -> anyhow::Result<Exit> {
    let repository = load::repository(context)?;
    let desired = load::desired(context)?;
    let instances = selected(&args, &desired)?;
    let rendered = load::render(&desired, &instances, &RenderOptions::install());
    let text = diagnostics::text(&rendered.diagnostics, context.is_coloured);
    write!(context.err, "{text}")?;
    let has_findings = rendered.has_errors();
    let connect = clusters::options(context, &repository);
    let name = args.cluster.as_str().into();
    let client = clusters::connect_one(&desired.fleet, &name, &connect).await?;
    let options = ApplyOptions {
        is_forced: args.force_conflicts,
        is_unlocked: args.unlock,
        ..ApplyOptions::new(holder::current())
    };
    let mut subjects = Vec::new();
    for release in rendered.value {
        let seen = apply::compare_adoption(&client, &release, &options, &SystemClock).await;
        subjects.push(Subject { release, seen });
    }
    let mut exit = if has_findings { Exit::Input } else { Exit::Done };
    let mut ready = Vec::new();
    for subject in &subjects {
        let verdict = subject.verdict(&args);
        tell(subject, &verdict, &args, context)?;
        match verdict {
            Verdict::Ready => ready.push(&subject.release),
            Verdict::NothingToDo(_) => {}
            Verdict::Refused(_) => exit = worse(exit, subject.exit()),
        }
    }
    if args.output == Format::Json {
        let reports: Vec<_> = subjects.iter().map(|subject| subject.report(&args)).collect();
        writeln!(context.out, "{:#}", json!(reports))?;
    }
    if args.dry_run || ready.is_empty() {
        return Ok(exit);
    }
    if !args.yes && !context.agrees(&format!("Take {} over?", counted(ready.len(), "addon")))? {
        return Ok(Exit::Refused);
    }
    for release in ready {
        exit = worse(exit, take_over(&client, release, (&options, args.output), context).await?);
    }
    clusters::save([&client])?;
    Ok(exit)
}

/// The instances that are meant.
fn selected(args: &Args, desired: &Desired) -> anyhow::Result<Vec<Instance>> {
    let names: BTreeSet<&str> = args.addons.iter().map(String::as_str).collect();
    if !names.is_empty() {
        let one = |addon: &&str| one_instance(desired, &args.cluster, addon);
        let found: Vec<&Instance> = names.iter().map(one).collect::<Result<_, _>>()?;
        return Ok(found.into_iter().cloned().collect());
    }
    let fleet = &desired.fleet;
    if !fleet.clusters.contains_key(args.cluster.as_str()) {
        let known = fleet.clusters.keys().map(crate::base::ids::ClusterName::as_str);
        return Err(unknown("cluster", &args.cluster, known).into());
    }
    let is_there = |instance: &&Instance| instance.key.cluster.as_str() == args.cluster;
    Ok(desired.instances.iter().filter(is_there).cloned().collect())
}

impl Subject {
    fn verdict(&self, args: &Args) -> Verdict {
        let seen = match &self.seen {
            Ok(seen) => seen,
            Err(error) => {
                let mut reasons = vec![chain(error)];
                reasons.extend(error.help().into_iter().map(|help| format!("help: {help}")));
                return Verdict::Refused(reasons);
            }
        };
        match seen.former {
            Former::Fitout { revision } => {
                return Verdict::NothingToDo(format!(
                    "is fitout's already, at revision {revision}"
                ));
            }
            Former::Nobody => {
                let what = "is not on the cluster; `fitout apply` installs it".to_owned();
                return Verdict::NothingToDo(what);
            }
            Former::Helm { .. } | Former::Files => {}
        }
        let mut reasons: Vec<String> = Vec::new();
        let foreign = seen.foreign.iter();
        reasons
            .extend(foreign.map(|(object, owner)| format!("{object} belongs to release {owner}")));
        if let Some(refused) = seen.comparison.refused.as_ref().filter(|_| seen.foreign.is_empty())
        {
            reasons.push(refused.to_string());
            let error = ApplyError::from(refused.clone());
            reasons.extend(error.help().into_iter().map(|help| format!("help: {help}")));
        }
        reasons.extend(seen.comparison.problems.iter().map(|error| chain(error)));
        reasons.extend(seen.comparison.gaps.iter().map(ToString::to_string));
        if !args.allow_disruption && !seen.disruptions.is_empty() {
            reasons.extend(seen.disruptions.iter().map(ToString::to_string));
            reasons.push(
                "help: adopt it with the version and values that it has and change it afterwards, \
                 or agree with `--allow-disruption`"
                    .to_owned(),
            );
        }
        if reasons.is_empty() { Verdict::Ready } else { Verdict::Refused(reasons) }
    }

    /// The exit code of a refusal.
    fn exit(&self) -> Exit {
        match &self.seen {
            Err(error) => status_of(error).exit(),
            Ok(seen) if !seen.comparison.gaps.is_empty() => Exit::World,
            Ok(_) => Exit::Refused,
        }
    }

    fn report(&self, args: &Args) -> serde_json::Value {
        let instance = &self.release.instance.key;
        let (state, reasons) = match self.verdict(args) {
            Verdict::Ready => ("ready", Vec::new()),
            Verdict::NothingToDo(what) => ("nothingToDo", vec![what]),
            Verdict::Refused(reasons) => ("refused", reasons),
        };
        let seen = self.seen.as_ref().ok();
        let changes = seen.map(|seen| &seen.comparison.changes);
        json!({
            "cluster": instance.cluster, "addon": instance.addon, "state": state,
            "reasons": reasons, "adoption": seen, "changes": changes,
        })
    }
}

/// What would be taken over, from whom, what would change, and why not.
fn tell(
    subject: &Subject,
    verdict: &Verdict,
    args: &Args,
    context: &mut Context,
) -> anyhow::Result<()> {
    if args.output == Format::Json {
        return Ok(());
    }
    let key = &subject.release.instance.key;
    if let Verdict::NothingToDo(what) = verdict {
        writeln!(context.out, "{key}: {what}")?;
        return Ok(());
    }
    let mut text = String::new();
    if let Ok(seen) = &subject.seen {
        text = whose(&subject.release, seen)?;
        let changes = &seen.comparison.changes;
        if changes.is_empty() {
            writeln!(text, "  nothing changes but who manages them")?;
        } else {
            writeln!(text, "  what changes:")?;
            text.push_str(&diff::objects(changes, context.is_coloured));
        }
        if !subject.release.rendered.hooks.is_empty() {
            let hooks = counted(subject.release.rendered.hooks.len(), "hook");
            writeln!(text, "  note: its {hooks} do not run, since nothing is installed")?;
        }
    }
    write!(context.out, "{text}")?;
    if let Verdict::Refused(reasons) = verdict {
        writeln!(context.out, "{key}: refused:")?;
        for reason in reasons {
            writeln!(context.out, "  {reason}")?;
        }
    }
    Ok(())
}

/// Who has made what is there, and each object that comes from them.
fn whose(release: &Release, seen: &Adoption) -> Result<String, std::fmt::Error> {
    let (key, id) = (&release.instance.key, crate::live::ReleaseId::of(&release.instance));
    let mut text = String::new();
    match &seen.former {
        Former::Helm { revision, chart_version, status } => {
            let version = match chart_version.as_str() {
                "" => String::new(),
                version => format!(", chart version {version}"),
            };
            writeln!(text, "{key}: release {id} of Helm, revision {revision} ({status}){version}")?;
        }
        _ => writeln!(text, "{key}: objects that belong to no release; {id} is made of them")?,
    }
    for helm_release in &seen.helm_releases {
        let state = if helm_release.is_suspended { "suspended" } else { "not suspended" };
        writeln!(text, "  made by HelmRelease {helm_release} of Flux, which is {state}")?;
    }
    if let Some(namespace) = &seen.records_from {
        writeln!(text, "  its records move from namespace {namespace} to {}", id.namespace)?;
    }
    writeln!(text, "  {} taken over:", counted(seen.taken.len(), "object"))?;
    for taken in &seen.taken {
        let from = match &taken.from[..] {
            [] => "nobody manages its fields".to_owned(),
            from => format!("from {}", from.join(", ")),
        };
        writeln!(text, "    {}  {from}", taken.object)?;
    }
    Ok(text)
}

async fn take_over(
    client: &ClusterClient,
    release: &Release,
    (options, output): (&ApplyOptions, Format),
    context: &mut Context,
) -> anyhow::Result<Exit> {
    let key = &release.instance.key;
    let (message, help, exit) = match apply::adopt(client, release, options, &SystemClock).await {
        Err(error) => {
            let message = format!("failed: {}", chain(&error));
            (message, error.help(), status_of(&error).exit())
        }
        // What is not healthy was so before: there is no way back to go.
        Ok(outcome) => {
            let timeout = health_timeout(release);
            match apply::wait(client, release, timeout, &SystemClock).await {
                Ok(_) => (told(&outcome), Vec::new(), Exit::Done),
                Err(error) => {
                    let revision = outcome.release_revision;
                    let message = format!("adopted as revision {revision}, not healthy: {error}");
                    (message, Vec::new(), Exit::Refused)
                }
            }
        }
    };
    match output {
        Format::Text => writeln!(context.out, "{key}: {message}")?,
        Format::Json => writeln!(context.err, "{key}: {message}")?,
    }
    for help in help {
        writeln!(context.err, "  help: {help}")?;
    }
    Ok(exit)
}

/// A failure of the world before a refusal, and either before success.
fn worse(a: Exit, b: Exit) -> Exit {
    let rank = |exit| match exit {
        Exit::Done => 0,
        Exit::Refused => 1,
        Exit::World => 2,
        _ => 3,
    };
    if rank(b) > rank(a) { b } else { a }
}
