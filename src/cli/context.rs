//! What every command gets: global arguments, output streams, colour.

use std::io::{IsTerminal as _, Write};
use std::path::PathBuf;
use std::time::Duration;

use anyhow::Context as _;
use clap::Args;

use super::exit::{CommandError, Exit};
use crate::report::diagnostics;

/// Arguments of every command.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Global options")]
pub struct GlobalArgs {
    /// The fleet's repository: a folder or a URL; by default the one around the working folder
    #[arg(long, global = true, value_name = "DIR|URL")]
    pub repo: Option<String>,
    /// A revision instead of the files of the working folder
    #[arg(long, global = true, value_name = "REV")]
    pub rev: Option<String>,
    /// The kubeconfig that contexts are looked up in
    #[arg(long, global = true, value_name = "FILE", env = "KUBECONFIG")]
    pub kubeconfig: Option<PathBuf>,
    /// How long one request to an API server may take
    #[arg(long, global = true, value_name = "DURATION", default_value = "30s",
          value_parser = humantime::parse_duration)]
    pub request_timeout: Duration,
    /// Run credential plugins that kubeconfigs name which come from Secrets of the hub or from
    /// the fleet's repository
    #[arg(long, global = true)]
    pub insecure_kubeconfig_exec: bool,
    /// When to colour
    #[arg(long, global = true, value_enum, default_value = "auto")]
    pub color: clap::ColorChoice,
    /// More talk on stderr; repeat for more
    #[arg(short, long, global = true, action = clap::ArgAction::Count)]
    pub verbose: u8,
}

/// What a command works with.
pub struct Context {
    /// The global arguments.
    pub global: GlobalArgs,
    /// Data.
    pub out: Box<dyn Write + Send>,
    /// Talk.
    pub err: Box<dyn Write + Send>,
    /// Whether stdout may be coloured.
    pub is_coloured: bool,
}

impl Context {
    /// The process's own streams.
    pub fn new(global: GlobalArgs) -> Self {
        let choice = match global.color {
            clap::ColorChoice::Auto => anstream::AutoStream::choice(&std::io::stdout()),
            clap::ColorChoice::Always => anstream::ColorChoice::Always,
            clap::ColorChoice::Never => anstream::ColorChoice::Never,
        };
        Self {
            global,
            // Raw: data may hold escape sequences of its own, which are not ours to strip.
            out: Box::new(std::io::stdout()),
            err: Box::new(anstream::stderr()),
            is_coloured: choice != anstream::ColorChoice::Never,
        }
    }

    /// Asks somebody at a terminal; whoever is not at one has agreed by starting the command.
    ///
    /// # Errors
    /// When the terminal is gone.
    pub fn agrees(&mut self, question: &str) -> anyhow::Result<bool> {
        if !std::io::stdin().is_terminal() {
            return Ok(true);
        }
        write!(self.err, "{question} [y/N] ")?;
        self.err.flush()?;
        let mut answer = String::new();
        std::io::stdin().read_line(&mut answer).context("reading the answer")?;
        Ok(matches!(answer.trim(), "y" | "Y" | "yes"))
    }

    /// Tells an error with its causes and returns the exit code that fits it.
    pub(crate) fn fail(&mut self, error: &anyhow::Error) -> Exit {
        if is_closed_pipe(error) {
            return Exit::Done;
        }
        let (text, exit) = match error.downcast_ref::<CommandError>() {
            Some(CommandError::Input(found)) => {
                (diagnostics::text(found, self.is_coloured), Exit::of_findings(found))
            }
            Some(wrong @ CommandError::Usage { help, .. }) => (with_help(wrong, help), Exit::Usage),
            Some(failed @ CommandError::World { help, .. }) => {
                (with_help(failed, help), Exit::World)
            }
            Some(refused @ CommandError::Refused(_)) => {
                (format!("error: {refused}\n"), Exit::Refused)
            }
            None => (format!("error: {}\n", chain(error)), Exit::World),
        };
        // Nothing is left to tell the user where the terminal itself is gone.
        let _ = self.err.write_all(text.as_bytes());
        exit
    }
}

fn with_help(error: &CommandError, help: &[String]) -> String {
    let help: Vec<String> = help.iter().map(|help| format!("  help: {help}\n")).collect();
    format!("error: {error}\n{}", help.concat())
}

/// Whether whoever reads our output has had enough, as `head` does. A connection to a cluster that
/// breaks off is told with what it was for, and is not meant here.
fn is_closed_pipe(error: &anyhow::Error) -> bool {
    let error = error.downcast_ref::<std::io::Error>();
    error.is_some_and(|error| error.kind() == std::io::ErrorKind::BrokenPipe)
}

/// An error and its causes. Some errors repeat their cause in their own text: those are told once.
fn chain(error: &anyhow::Error) -> String {
    let mut text = String::new();
    for cause in error.chain() {
        let cause = cause.to_string();
        if text.is_empty() {
            text = cause;
        } else if !text.contains(&cause) {
            text.push_str(": ");
            text.push_str(&cause);
        }
    }
    text
}
