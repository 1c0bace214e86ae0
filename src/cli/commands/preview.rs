//! `fitout preview`: what a change in git does to every cluster, without asking any.

mod live;
pub mod sides;

use std::collections::BTreeSet;
use std::path::PathBuf;

use anyhow::Context as _;
use clap::ValueEnum;

use self::sides::SideArgs;
use crate::base::clock::{Clock as _, SystemClock, today};
use crate::base::diagnostic::{Checked, Diagnostic};
use crate::cli::context::Context;
use crate::cli::exit::{CommandError, Exit};
use crate::cli::load;
use crate::fleet::Desired;
use crate::forge;
use crate::preview::mask::Mask;
use crate::preview::{Preview, preview};
use crate::report::errors::chain;
use crate::report::preview as report;
use crate::report::{diagnostics, findings as report_findings};
use crate::sops::Keys;

/// Arguments of `fitout preview`.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    sides: SideArgs,
    /// How it is printed
    #[arg(short, long, value_enum, default_value = "text")]
    output: Format,
    /// Write it to a file instead of printing it
    #[arg(long, value_name = "FILE")]
    output_file: Option<PathBuf>,
    /// Write the findings to a file as SARIF 2.1.0
    #[arg(long, value_name = "FILE")]
    sarif: Option<PathBuf>,
    /// Write the findings to a file as a code quality report of GitLab
    #[arg(long, value_name = "FILE")]
    code_quality: Option<PathBuf>,
    /// The most characters of markdown; 65536 fit a comment of GitHub, 1000000 one of GitLab
    #[arg(long, value_name = "CHARS", default_value_t = report::markdown::GITLAB_MAX)]
    max_chars: usize,
    /// Keep a comment on the merge request up to date, as the variables of the job say which one; the
    /// token comes from `GITLAB_TOKEN` or `GITHUB_TOKEN`
    #[arg(long, value_enum, value_name = "WHERE")]
    post: Option<forge::Kind>,
    /// End with exit code 3 when anything changes
    #[arg(long)]
    exit_code: bool,
    /// Decrypt what sops has encrypted, with the age keys in `SOPS_AGE_KEY` or `SOPS_AGE_KEY_FILE`; no
    /// value of it is shown. Only for changes that you trust: a template can give a value any form
    #[arg(long)]
    decrypt: bool,
    #[command(flatten)]
    live: live::LiveArgs,
}

impl Args {
    /// Whether clusters are to be asked as well.
    pub fn asks_clusters(&self) -> bool {
        self.live.is_wanted()
    }
}

/// How it is printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Format {
    /// For people at a terminal
    Text,
    /// For a comment on a merge request
    Markdown,
    /// For programs
    Json,
    /// A page to keep, with filters and both sides beside each other
    Html,
}

/// Runs it. What is wrong with the change is told, and the rest is compared all the same.
pub async fn run(args: Args, context: &mut Context) -> anyhow::Result<Exit> {
    let repository = load::repository(context)?;
    let (base, head) = args.sides.sources(context, &repository)?;
    let (mut base, mut head) = (Desired::read(base, today()), Desired::read(head, today()));
    let mask = if args.decrypt { decrypt(&mut base, &mut head)? } else { Mask::default() };
    args.live.check(&base.value.fleet, &head.value.fleet)?;
    let (base, head) = args.sides.rendered(base, head);
    let (base, head) = (base.side(), head.side());
    let mut made = preview(&base, &head, SystemClock.now());
    made.live = args.live.ask((&base, &head), &made, &repository, context).await?;
    mask.apply(&mut made);
    let text = match args.output {
        Format::Text => {
            report::text::text(&made, context.is_coloured && args.output_file.is_none())
        }
        Format::Markdown => report::markdown::markdown(&made, args.max_chars),
        Format::Html => report::html::html(&made),
        Format::Json => format!("{:#}\n", report::json::json(&made)),
    };
    match &args.output_file {
        Some(path) => {
            std::fs::write(path, text).with_context(|| format!("writing {}", path.display()))?;
        }
        None => write!(context.out, "{text}")?,
    }
    if let Some(kind) = args.post {
        let told = posted(kind, &made, args.max_chars)?;
        writeln!(context.err, "{told}")?;
    }
    let found: Vec<Diagnostic> =
        made.findings.iter().map(|finding| finding.diagnostic.clone()).collect();
    let files = [
        (&args.sarif, report_findings::sarif as fn(&[Diagnostic]) -> serde_json::Value),
        (&args.code_quality, report_findings::code_quality),
    ];
    for (path, write) in files {
        let Some(path) = path else { continue };
        std::fs::write(path, format!("{:#}\n", write(&found)))
            .with_context(|| format!("writing {}", path.display()))?;
    }
    write!(context.err, "{}", diagnostics::text(&found, context.is_coloured))?;
    Ok(match Exit::of_findings(&found) {
        Exit::Done if live::is_incomplete(made.live.as_ref()) => Exit::World,
        Exit::Done if args.exit_code && !made.is_empty() => Exit::Changes,
        exit => exit,
    })
}

/// Posts the report; what was done, in words.
fn posted(kind: forge::Kind, made: &Preview, max_chars: usize) -> anyhow::Result<String> {
    let target = forge::Target::from_job(kind, |name| std::env::var(name).ok());
    let target = target.map_err(|error| CommandError::Usage {
        message: format!("the comment cannot be posted: {error}"),
        help: Vec::new(),
    })?;
    let text = report::markdown::markdown(made, max_chars.min(forge::max_chars(kind)));
    let posted = forge::post(&target, &text)
        .map_err(|error| CommandError::World { message: chain(&error), help: error.help(kind) })?;
    let done = match posted {
        forge::Posted::Created => "posted as a new comment",
        forge::Posted::Updated => "our comment was updated",
        forge::Posted::Unchanged => "our comment says so already",
    };
    Ok(format!("{kind}: {done} on merge request {}", target.request))
}

/// Decrypts both sides; what must not be shown of them.
fn decrypt(base: &mut Checked<Desired>, head: &mut Checked<Desired>) -> anyhow::Result<Mask> {
    let usage = |message: String| CommandError::Usage {
        message,
        help: vec![
            "give age keys in `SOPS_AGE_KEY`, or their file in `SOPS_AGE_KEY_FILE`".to_owned(),
        ],
    };
    let file = |path| std::fs::read_to_string(path).context("reading `SOPS_AGE_KEY_FILE`");
    let text = match (std::env::var("SOPS_AGE_KEY"), std::env::var_os("SOPS_AGE_KEY_FILE")) {
        (Ok(keys), _) => keys,
        (Err(_), Some(path)) => file(path)?,
        (Err(_), None) => return Err(usage("`--decrypt` needs a key".to_owned()).into()),
    };
    let keys = Keys::parse(&text).map_err(|error| usage(error.to_string()))?;
    let mut secrets = BTreeSet::new();
    for side in [base, head] {
        let done = side.value.decrypt(&keys);
        secrets.extend(done.secrets);
        side.diagnostics.extend(done.diagnostics);
    }
    Ok(Mask::new(&secrets))
}
