//! The command line: arguments in, an exit code out. Decides nothing itself.

pub mod clusters;
#[allow(clippy::unused_async, reason = "every command has the same signature")]
pub mod commands;
pub mod context;
pub mod control;
pub mod demo;
pub mod execute;
pub mod exit;
pub mod format;
pub mod load;
pub mod logging;
pub mod selection;
pub mod survey;
pub mod user_values;

use clap::{Parser, Subcommand};

use self::context::{Context, GlobalArgs};
use self::exit::Exit;

/// Declarative lifecycle manager for the addons of Kubernetes cluster fleets.
#[derive(Debug, Parser)]
#[command(name = "fitout", version, max_term_width = 100)]
struct Cli {
    #[command(flatten)]
    global: GlobalArgs,
    #[command(subcommand)]
    command: Command,
}

macro_rules! commands {
    ($($(#[$doc:meta])* $variant:ident => $module:ident,)*) => {
        #[derive(Debug, Subcommand)]
        enum Command {
            $($(#[$doc])* $variant(commands::$module::Args),)*
        }

        async fn dispatch(command: Command, context: &mut Context) -> anyhow::Result<Exit> {
            match command {
                $(Command::$variant(args) => commands::$module::run(args, context).await,)*
            }
        }
    };
}

commands! {
    /// Check every document of the fleet and report everything that is wrong
    Validate => validate,
    /// Show what depends on what
    Graph => graph,
    /// Render instances to YAML
    Render => render,
    /// Render one chart, with the arguments of `helm template`
    Template => template,
    /// Show what apply would change
    Diff => diff,
    /// Show, and save, every step that apply would take
    Plan => plan,
    /// Show what a change in git does to every cluster, by default without asking any
    Preview => preview,
    /// Compare two clusters, to see whether one can take the other's place
    Parity => parity,
    /// Bring clusters to what git says
    Apply => apply,
    /// Take over what Helm, Flux or kubectl has installed, in place
    Adopt => adopt,
    /// Give an addon of a cluster back to Helm
    Release => release,
    /// Remove an addon's release from clusters
    /// Run the test hooks of a release
    Test => test,
    /// Remove releases of addons from clusters, dependents first
    Uninstall => uninstall,
    /// List, show and steer rollouts
    Rollout => rollout,
    /// List, show and steer switches of clusters: traffic that goes to the one that replaces another
    Switch => switch,
    /// Show the matrix of clusters and addons
    Status => status,
    /// Explain a value, a wait or a difference
    Why => why,
    /// List the revisions of a release
    History => history,
    /// Go back to an earlier revision of a release
    Rollback => rollback,
    /// Check that clusters can be reached, and have and allow what their addons need
    Doctor => doctor,
    /// Print the least permissions that fitout needs for addons
    Rbac => rbac,
    /// Run the fleet controller
    Controller => controller,
    /// Watch the main job on simulated clusters
    Demo => demo,
    /// Serve simulated clusters
    Sim => sim,
    /// Print the JSON Schema of a document kind
    Schema => schema,
    /// Print a shell's completion script
    Completions => completions,
}

/// The whole command line, for completion scripts and the reference.
pub fn command() -> clap::Command {
    <Cli as clap::CommandFactory>::command()
}

/// Parses the arguments, runs the command and returns the exit code.
pub fn run(args: impl IntoIterator<Item = std::ffi::OsString>) -> Exit {
    let cli = match parse(&args.into_iter().collect::<Vec<_>>()) {
        Ok(cli) => cli,
        Err(error) => return exit::usage(&error),
    };
    let mut context = Context::new(cli.global);
    let ended = if cli.command.is_offline() {
        // Starting a runtime takes longer than rendering a chart.
        futures::executor::block_on(dispatch(cli.command, &mut context))
    } else {
        match tokio::runtime::Runtime::new() {
            Ok(runtime) => runtime.block_on(dispatch(cli.command, &mut context)),
            Err(error) => Err(anyhow::Error::new(error).context("starting the runtime")),
        }
    };
    match ended {
        Ok(exit) => exit,
        Err(error) => context.fail(&error),
    }
}

/// The command line with `template` alone. Scripts run it thousands of times, and to describe all
/// other commands takes longer than to render a small chart.
#[derive(Debug, Parser)]
#[command(name = "fitout", version)]
struct TemplateCli {
    #[command(flatten)]
    global: GlobalArgs,
    #[command(subcommand)]
    command: TemplateCommand,
}

#[derive(Debug, Subcommand)]
enum TemplateCommand {
    Template(commands::template::Args),
}

fn parse(args: &[std::ffi::OsString]) -> Result<Cli, clap::Error> {
    if args.get(1).is_some_and(|name| name == "template")
        && let Ok(TemplateCli { global, command }) = TemplateCli::try_parse_from(args)
    {
        let TemplateCommand::Template(args) = command;
        return Ok(Cli { global, command: Command::Template(args) });
    }
    // Says what is wrong as well, with all commands in its help.
    Cli::try_parse_from(args)
}

impl Command {
    /// Whether it never waits for a cluster or another process.
    fn is_offline(&self) -> bool {
        match self {
            Self::Preview(args) => !args.asks_clusters(),
            Self::Parity(args) => !args.asks_clusters(),
            Self::Validate(_)
            | Self::Graph(_)
            | Self::Render(_)
            | Self::Rbac(_)
            | Self::Template(_)
            | Self::Schema(_)
            | Self::Completions(_) => true,
            _ => false,
        }
    }
}
