//! `fitout template`: one chart, with the arguments and the output of `helm template`.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::Context as _;

mod explain;
mod flags;

use crate::base::diagnostic::Diagnostic;
use crate::base::span::{SourceFile, Span};
use crate::chart::capabilities::{DEFAULT_KUBE_VERSION, KubeVersion, Served};
use crate::chart::model::{Chart, ChartFile, RenderInput, Rendered};
use crate::chart::print::{self, PrintOptions};
use crate::chart::source::SourceError;
use crate::chart::world::OsWorld;
use crate::chart::{self, directory, load, release_name};
use crate::cli::context::Context;
use crate::cli::exit::{CommandError, Exit};
use crate::cli::load as load_cli;
use crate::cli::user_values::ValuesArgs;
use crate::fleet::instance::ChartLocation;
use crate::fleet::model::Verify;
use crate::git::Source;
use crate::sprig::semver::Constraint;
use crate::template::binary::to_bytes;

/// Arguments of `fitout template`.
#[derive(Debug, clap::Args)]
#[command(override_usage = "fitout template [OPTIONS] [NAME] CHART")]
pub struct Args {
    /// The release's name, `release-name` when left out, and the chart: a folder or a .tgz
    #[arg(required = true, num_args = 1..=2, value_names = ["NAME", "CHART"])]
    name_and_chart: Vec<String>,
    #[command(flatten)]
    values: ValuesArgs,
    /// `.Release.Namespace`
    #[arg(short, long, env = "HELM_NAMESPACE", default_value = "default")]
    namespace: String,
    /// `.Capabilities.KubeVersion`
    #[arg(long, value_name = "VERSION", default_value = DEFAULT_KUBE_VERSION)]
    kube_version: String,
    /// More of `.Capabilities.APIVersions`
    #[arg(short, long, value_name = "VERSIONS", value_delimiter = ',')]
    api_versions: Vec<String>,
    /// Print the files of `crds/` folders too
    #[arg(long)]
    include_crds: bool,
    /// Only what these templates give, as paths or patterns relative to the chart
    #[arg(short, long, value_name = "TEMPLATE")]
    show_only: Vec<String>,
    /// Leave hooks out
    #[arg(long)]
    no_hooks: bool,
    /// Leave hooks of tests out
    #[arg(long)]
    skip_tests: bool,
    /// Write files below this folder instead of printing
    #[arg(long, value_name = "DIR")]
    output_dir: Option<PathBuf>,
    /// With --output-dir: below a folder with the release's name
    #[arg(long)]
    release_name: bool,
    /// A template that gives the release's name
    #[arg(long, value_name = "TEMPLATE", conflicts_with = "generate_name")]
    name_template: Option<String>,
    /// Take a name from the chart where none is given
    #[arg(short, long)]
    generate_name: bool,
    /// `.Release.IsUpgrade` instead of `.Release.IsInstall`
    #[arg(long)]
    is_upgrade: bool,
    /// Do not check values against schemas
    #[arg(long)]
    skip_schema_validation: bool,
    /// Tell which file or argument sets the value at this path, such as `image.tag`, instead of
    /// rendering
    #[arg(long, value_name = "PATH")]
    explain: Option<String>,
    /// A version or a range of versions, where CHART is one of the chart repository that --repo
    /// names; the newest one without
    #[arg(long, value_name = "RANGE")]
    version: Option<String>,
    /// The newest version may be a pre-release
    #[arg(long)]
    devel: bool,
    #[command(flatten)]
    ignored: flags::Ignored,
    #[command(flatten)]
    refused: flags::Refused,
}

/// Runs it.
pub async fn run(args: Args, context: &mut Context) -> anyhow::Result<Exit> {
    args.refused.check()?;
    let name = release_name_of(&args)?;
    KubeVersion::parse(&args.kube_version).map_err(|problem| {
        usage(format!("invalid kube version '{}': {problem}", args.kube_version))
    })?;
    let chart = chart_at(&args, context.global.repo.as_deref())?;
    if chart.metadata["deprecated"] == true {
        writeln!(context.err, "WARNING: This chart is deprecated")?;
    }
    if let Some(path) = &args.explain {
        return explain::value(path, &args, &chart, context);
    }
    let input = RenderInput {
        release_name: name,
        namespace: args.namespace.clone(),
        revision: 1,
        is_upgrade: args.is_upgrade,
        values: args.values.merged()?,
        kube_version: args.kube_version.clone(),
        served: Served::AsHelm,
        api_versions: args.api_versions.clone(),
        with_crds: args.include_crds,
    };
    let rendered = chart::render(&chart, &input, &OsWorld)
        .map_err(|error| CommandError::Input(vec![explain::failure(&error, &args, &chart)]))?;
    for warning in &rendered.warnings {
        writeln!(context.err, "{warning}")?;
    }
    let options = PrintOptions {
        include_crds: args.include_crds,
        no_hooks: args.no_hooks,
        skip_tests: args.skip_tests,
        show_only: args.show_only.clone(),
    };
    match &args.output_dir {
        None => {
            let text = print::text(&rendered, &options).map_err(usage)?;
            context.out.write_all(&to_bytes(&text))?;
        }
        Some(folder) => {
            let folder =
                if args.release_name { folder.join(&input.release_name) } else { folder.clone() };
            write_files(&folder, &rendered, &options, context)?;
        }
    }
    // The process ends here: taking the trees apart would only take time.
    std::mem::forget((chart, rendered));
    Ok(Exit::Done)
}

fn usage(message: String) -> CommandError {
    CommandError::Usage { message, help: Vec::new() }
}

/// The release's name, by Helm's rules.
fn release_name_of(args: &Args) -> anyhow::Result<String> {
    let name = match (args.name_and_chart.as_slice(), &args.name_template) {
        ([_, _], Some(_)) => {
            let message = "cannot set --name-template and also specify a name";
            return Err(usage(message.to_owned()).into());
        }
        ([_, _], None) if args.generate_name => {
            let message = "cannot set --generate-name and also specify a name";
            return Err(usage(message.to_owned()).into());
        }
        ([name, _], None) => name.clone(),
        (_, Some(template)) => release_name::from_template(template, &OsWorld).map_err(usage)?,
        (_, None) => "release-name".to_owned(),
    };
    release_name::check(&name).map_err(usage)?;
    Ok(name)
}

fn chart_at(args: &Args, repository: Option<&str>) -> anyhow::Result<Arc<Chart>> {
    let location = args.name_and_chart.last().map(|chart| chart.trim()).unwrap_or_default();
    if let Some(url) = repository {
        return packed(url, location, args);
    }
    let path = Path::new(location);
    let files = if path.is_dir() {
        directory::files(path)?
    } else if path.is_file() {
        let bytes = std::fs::read(path).with_context(|| format!("reading {location}"))?;
        load::archive_files(&bytes).map_err(|found| CommandError::Input(vec![found]))?
    } else {
        return Err(CommandError::Usage {
            message: format!("path {location:?} not found"),
            help: vec![
                "CHART is a folder or a .tgz on the disk; charts of repositories are rendered \
                 for an addon by `fitout render`"
                    .to_owned(),
            ],
        }
        .into());
    };
    let is_schema = |file: &ChartFile| file.name.rsplit('/').next() == Some("values.schema.json");
    let files = files
        .into_iter()
        .filter(|file| !(args.skip_schema_validation && is_schema(file)))
        .collect();
    let chart = load::from_files(files).map_err(|found: Diagnostic| {
        let note = format!("the chart is {location}");
        CommandError::Input(vec![found.note(note)])
    })?;
    Ok(Arc::new(chart))
}

/// A chart of an HTTP repository. An exact version that was fetched before needs no network.
fn packed(url: &str, name: &str, args: &Args) -> anyhow::Result<Arc<Chart>> {
    let store = load_cli::chart_store();
    let failed = |error: SourceError| {
        let mut found = error.diagnostic(&Span::new(&SourceFile::new(url, ""), 0..0));
        found.labels.retain(|label| !label.span.file.text.is_empty());
        CommandError::Input(vec![found])
    };
    let range = match (args.version.as_deref(), args.devel) {
        (Some(version), _) => version,
        (None, true) => ">0.0.0-0",
        (None, false) => "*",
    };
    Constraint::parse(range).map_err(|problem| usage(format!("--version {range}: {problem}")))?;
    let is_exact = semver::Version::parse(range.trim_start_matches('v')).is_ok();
    let version =
        if is_exact { range.to_owned() } else { store.newest(url, name, range).map_err(failed)? };
    let location = ChartLocation::Http {
        repository: "command-line".into(),
        url: url.to_owned(),
        name: name.to_owned(),
        version,
        credentials: None,
        verify: Verify::default(),
    };
    let nothing = Source { rev: "worktree:none".into(), files: BTreeMap::new(), author: None };
    Ok(store.load(&location, &nothing).map_err(failed)?)
}

/// Writes each document to the file of its template, as `helm template --output-dir` does.
fn write_files(
    folder: &Path,
    rendered: &Rendered,
    options: &PrintOptions,
    context: &mut Context,
) -> anyhow::Result<()> {
    let mut written = BTreeSet::new();
    for document in print::documents(rendered, options) {
        let path = folder.join(&*document.source);
        let text = format!("---\n# Source: {}\n{}\n", document.source, document.text);
        if let Some(parent) = path.parent() {
            std::fs::create_dir_all(parent)
                .with_context(|| format!("making {}", parent.display()))?;
        }
        let mut file = std::fs::OpenOptions::new();
        // What is left of an earlier run goes away.
        if written.insert(path.clone()) {
            file.write(true).create(true).truncate(true);
        } else {
            file.append(true);
        }
        let writing = || format!("writing {}", path.display());
        let mut file = file.open(&path).with_context(writing)?;
        std::io::Write::write_all(&mut file, &to_bytes(&text)).with_context(writing)?;
        writeln!(context.out, "wrote {}", path.display())?;
    }
    writeln!(context.out)?;
    Ok(())
}
