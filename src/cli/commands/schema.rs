//! `fitout schema`: what the documents of each kind may say, and what reports do, for editors and other
//! programs.

use crate::base::diagnostic::closest;
use crate::cli::context::Context;
use crate::cli::exit::{CommandError, Exit};
use crate::fleet::schema::Kind;
use crate::report;

/// What `fitout preview -o json` prints.
const PREVIEW: &str = "Preview";

/// Arguments of `fitout schema`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The kind, such as `Addon`, or `Preview` for what `fitout preview -o json` prints; without one, the kinds are listed
    #[arg(value_name = "KIND")]
    kind: Option<String>,
}

/// Runs it.
pub async fn run(args: Args, context: &mut Context) -> anyhow::Result<Exit> {
    match args.kind {
        Some(name) if name.eq_ignore_ascii_case(PREVIEW) => {
            writeln!(context.out, "{:#}", report::preview::json::schema())?;
        }
        Some(name) => {
            let schema = kind_of(&name)?.schema();
            writeln!(context.out, "{schema:#}")?;
        }
        None => {
            for kind in Kind::ALL {
                let what = kind.schema()["description"].as_str().unwrap_or_default();
                writeln!(context.out, "{kind:<16} {}", what.lines().next().unwrap_or_default())?;
            }
            let schema = report::preview::json::schema();
            let what = schema["description"].as_str().unwrap_or_default();
            writeln!(context.out, "{PREVIEW:<16} {what}")?;
        }
    }
    Ok(Exit::Done)
}

/// As `kind:` has it; on a command line the case of letters does not matter.
fn kind_of(name: &str) -> Result<Kind, CommandError> {
    let found = Kind::ALL.into_iter().find(|kind| kind.name().eq_ignore_ascii_case(name));
    found.ok_or_else(|| {
        let names: Vec<&str> = Kind::ALL.map(Kind::name).into_iter().chain([PREVIEW]).collect();
        let mut help: Vec<String> = Vec::new();
        help.extend(
            closest(name, names.iter().copied()).map(|best| format!("did you mean `{best}`?")),
        );
        help.push(format!("the kinds are {}", names.join(", ")));
        CommandError::Usage { message: format!("there is no kind `{name}`"), help }
    })
}
