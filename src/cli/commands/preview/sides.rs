//! The two revisions that a change is between, read and rendered as far as it can reach.

use crate::base::diagnostic::{Checked, Diagnostic};
use crate::chart::source::ChartStore;
use crate::cli::context::Context;
use crate::cli::load;
use crate::findings::{self, Extent};
use crate::fleet::Desired;
use crate::fleet::instance::Instance;
use crate::git::{Repository, Source};
use crate::preview::sources::Sources;
use crate::preview::{Side, beside, reach};
use crate::render::{Release, RenderOptions, render_fleet};

/// Which two revisions.
#[derive(Debug, clap::Args)]
pub struct SideArgs {
    /// What the change is compared with; by default the commit where it left the default branch
    #[arg(long, value_name = "REV")]
    base: Option<String>,
    /// The change; by default the files of the working folder
    #[arg(long, value_name = "REV")]
    head: Option<String>,
    /// Fetch charts from where the base revision fetches none: only for changes that you trust
    #[arg(long)]
    allow_new_sources: bool,
}

impl SideArgs {
    /// The files of both.
    pub fn sources(
        &self,
        context: &Context,
        repository: &Repository,
    ) -> anyhow::Result<(Source, Source)> {
        let rev = self.head.as_deref().or(context.global.rev.as_deref());
        let head = load::source(repository, rev)?;
        let base = match &self.base {
            Some(rev) => repository.resolve(rev).map_err(load::usage)?,
            None => {
                let of_head = repository.resolve(rev.unwrap_or("HEAD")).map_err(load::usage)?;
                let branch = repository.default_branch().map_err(load::usage)?;
                let branch = repository.resolve(&branch).map_err(load::usage)?;
                repository.merge_base(&branch, &of_head).map_err(load::usage)?
            }
        };
        Ok((repository.source(&base).map_err(load::usage)?, head))
    }

    /// Renders what the change can reach on both.
    pub fn rendered(
        &self,
        base: Checked<Desired>,
        mut head: Checked<Desired>,
    ) -> (Revision, Revision) {
        let mut reached = reach::reached(&base.value, &head.value);
        if guardrails_differ(&base.value.source, &head.value.source) {
            // What did not change may break what did.
            reached.base.clone_from(&base.value.instances);
            reached.head.clone_from(&head.value.instances);
        }
        if !self.allow_new_sources {
            let (admitted, refused) = Sources::of(&base.value).admit(reached.head);
            reached.head = admitted;
            head.diagnostics.extend(refused);
        }
        let store = load::chart_store();
        let mut base = Revision::new(base, &reached.base, &store);
        let mut head = Revision::new(head, &reached.head, &store);
        // What of these cannot be rendered is nothing that the change has done.
        let others = beside::beside(&base.side(), &head.side());
        let options = RenderOptions::to_look_at();
        head.beside = render_fleet(&others, &head.desired.source, &store, &options).value;
        let found = load::findings(head.to_judge(), Some(base.to_judge()), Extent::All);
        // Whether a finding is a new one is all that the base is asked for.
        let of_base = load::findings(base.to_judge(), None, Extent::Objects(&found.objects));
        (head.judged, base.judged) = (found.diagnostics, of_base.diagnostics);
        (base, head)
    }
}

/// A revision, with what the change can reach rendered.
#[derive(Debug)]
pub struct Revision {
    desired: Desired,
    releases: Vec<Release>,
    findings: Vec<Diagnostic>,
    judged: Vec<Diagnostic>,
    /// Others that the change does not reach: see [`beside`].
    beside: Vec<Release>,
}

impl Revision {
    fn new(checked: Checked<Desired>, reached: &[Instance], store: &ChartStore) -> Self {
        let Checked { value: desired, diagnostics: mut findings } = checked;
        let rendered = render_fleet(reached, &desired.source, store, &RenderOptions::to_look_at());
        findings.extend(rendered.diagnostics);
        let releases = rendered.value;
        Self { desired, releases, findings, judged: Vec::new(), beside: Vec::new() }
    }

    fn to_judge(&self) -> findings::Side<'_> {
        let side = findings::Side::new(&self.desired, &self.releases);
        findings::Side { beside: &self.beside, ..side }
    }

    /// The same, to be compared.
    pub fn side(&self) -> Side<'_> {
        Side::new(&self.desired, &self.releases, &self.findings).judged(&self.judged)
    }
}

/// Whether policies or their parameters changed.
fn guardrails_differ(base: &Source, head: &Source) -> bool {
    !base.below("policies/guardrails").eq(head.below("policies/guardrails"))
}
