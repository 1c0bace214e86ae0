//! `fitout render`: what git says, as YAML. Asks no cluster.

use std::path::{Path, PathBuf};

use anyhow::Context as _;

use crate::chart::print::{self, PrintOptions};
use crate::cli::context::Context;
use crate::cli::exit::Exit;
use crate::cli::load;
use crate::cli::selection::InstanceArgs;
use crate::render::{Release, RenderOptions};
use crate::report::diagnostics;
use crate::template::binary::to_bytes;

/// Arguments of `fitout render`.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    instances: InstanceArgs,
    /// Write `DIR/CLUSTER/ADDON.yaml` instead of printing
    #[arg(long, value_name = "DIR")]
    output_dir: Option<PathBuf>,
}

/// Runs it. An instance that cannot be rendered is told, and the others go on.
pub async fn run(args: Args, context: &mut Context) -> anyhow::Result<Exit> {
    let desired = load::desired(context)?;
    let selected = args.instances.select(&desired)?;
    let rendered = load::render(&desired, &selected, &RenderOptions::install());
    for release in &rendered.value {
        let text = document(release);
        match &args.output_dir {
            None => context.out.write_all(&to_bytes(&text))?,
            Some(folder) => write_file(folder, release, &text)?,
        }
    }
    if let Some(folder) = &args.output_dir {
        let count = rendered.value.len();
        let files = if count == 1 { "file" } else { "files" };
        writeln!(context.err, "wrote {count} {files} below {}", folder.display())?;
    } else if selected.is_empty() {
        writeln!(context.err, "none of these addons is on these clusters")?;
    }
    let text = diagnostics::text(&rendered.diagnostics, context.is_coloured);
    write!(context.err, "{text}")?;
    Ok(Exit::of_findings(&rendered.diagnostics))
}

/// CRDs, objects and hooks of an instance below a header that says what it is.
fn document(release: &Release) -> String {
    let instance = &release.instance;
    let mut text = format!(
        "# {}: chart {} {}, release {} in namespace {}, digest {}\n",
        instance.key,
        release.chart.name(),
        release.chart_version(),
        instance.release_name,
        instance.namespace,
        release.digest.short(),
    );
    if release.rendered.impure {
        text.push_str(
            "# Its random values and dates are placeholders: an apply draws its own, and keeps \
             what is live.\n",
        );
    }
    let options = PrintOptions { include_crds: true, ..PrintOptions::default() };
    for document in print::documents(&release.rendered, &options) {
        text.push_str(&format!("---\n# Source: {}\n{}\n", document.source, document.text));
    }
    text
}

fn write_file(folder: &Path, release: &Release, text: &str) -> anyhow::Result<()> {
    let key = &release.instance.key;
    let folder = folder.join(key.cluster.as_str());
    std::fs::create_dir_all(&folder).with_context(|| format!("making {}", folder.display()))?;
    let path = folder.join(format!("{}.yaml", key.addon));
    std::fs::write(&path, to_bytes(text)).with_context(|| format!("writing {}", path.display()))
}
