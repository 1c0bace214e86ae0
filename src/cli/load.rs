//! From the global arguments to the fleet: repository, revision, files, documents, instances. Every
//! command that works on the fleet begins here.

use anyhow::Context as _;

use super::context::Context;
use super::exit::CommandError;
use crate::base::clock::today;
use crate::base::diagnostic::{Checked, Diagnostic};
use crate::chart::source::ChartStore;
use crate::findings::{self, Extent, Findings, Side};
use crate::fleet::Desired;
use crate::fleet::instance::Instance;
use crate::git::{GitError, Repository, Source};
use crate::net::http::HttpError;
use crate::render::{Release, RenderOptions, render_fleet};
use crate::report::diagnostics;
use crate::report::errors::chain;

/// Opens the repository that the arguments name; a remote is fetched.
pub fn repository(context: &Context) -> anyhow::Result<Repository> {
    let location = context.global.repo.as_deref().unwrap_or(".");
    let repository = Repository::open(location).map_err(usage)?;
    if repository.is_remote() {
        repository.fetch().map_err(usage)?;
    }
    Ok(repository)
}

/// The files of a revision; of the work tree when none is named, or of a remote's `HEAD`.
pub fn source(repository: &Repository, rev: Option<&str>) -> anyhow::Result<Source> {
    let rev = match rev {
        Some(rev) => rev,
        None if repository.folder().is_none() => "HEAD",
        None => return repository.worktree().map_err(usage),
    };
    let rev = repository.resolve(rev).map_err(usage)?;
    repository.source(&rev).map_err(usage)
}

/// Reads the fleet at the revision that the arguments name, with all diagnostics; nothing is
/// printed.
pub fn check(context: &Context) -> anyhow::Result<Checked<Desired>> {
    let repository = repository(context)?;
    let source = source(&repository, context.global.rev.as_deref())?;
    Ok(Desired::read(source, today()))
}

/// Reads the fleet at the revision that the arguments name. Warnings are told on stderr.
///
/// # Errors
/// [`CommandError::Input`] with all diagnostics when the files are wrong; [`CommandError::Usage`]
/// when there is no such repository or revision.
pub fn desired(context: &mut Context) -> anyhow::Result<Desired> {
    let checked = check(context)?;
    accept(context, checked)
}

/// The value, after telling warnings on stderr.
///
/// # Errors
/// [`CommandError::Input`] with all diagnostics when any of them is an error.
pub fn accept<T>(context: &mut Context, checked: Checked<T>) -> anyhow::Result<T> {
    if checked.has_errors() {
        return Err(CommandError::Input(checked.diagnostics).into());
    }
    if !checked.diagnostics.is_empty() {
        let text = diagnostics::text(&checked.diagnostics, context.is_coloured);
        writeln!(context.err, "{text}").context("stderr is closed")?;
    }
    Ok(checked.value)
}

/// Where fetched charts are kept, as the environment says.
pub fn chart_store() -> ChartStore {
    ChartStore::from_environment()
}

/// Renders instances of the fleet; charts that are not at hand are fetched.
pub fn render(
    desired: &Desired,
    instances: &[Instance],
    options: &RenderOptions,
) -> Checked<Vec<Release>> {
    // Fetching and rendering block; the runtime's other work goes on meanwhile.
    tokio::task::block_in_place(|| {
        render_fleet(instances, &desired.source, &chart_store(), options)
    })
}

/// What guardrails and the other checks of rendered objects find, waivers of today left out.
pub fn findings(head: Side<'_>, base: Option<Side<'_>>, extent: Extent<'_>) -> Findings {
    findings::check(head, base, extent, today())
}

/// A wrong name on the command line, or a file that is too large, is not a failure of the world.
pub fn usage(error: GitError) -> anyhow::Error {
    let is_wrong_argument = error.is_unknown_revision()
        || matches!(
            error,
            GitError::NoFolder(_)
                | GitError::NotGit(_)
                | GitError::NoDefaultBranch(_)
                | GitError::NoMergeBase { .. }
                | GitError::Location { .. }
                | GitError::Http { source: HttpError::UserInfo { .. } | HttpError::Url(_), .. }
        );
    if is_wrong_argument {
        return CommandError::Usage { message: chain(&error), help: error.help() }.into();
    }
    if matches!(error, GitError::FileTooLarge { .. } | GitError::TooLarge { .. }) {
        let found = Diagnostic::error("file-too-large", error.to_string())
            .help("data does not belong into a fleet's repository: let a chart refer to it");
        return CommandError::Input(vec![found]).into();
    }
    CommandError::World { message: chain(&error), help: error.help() }.into()
}
