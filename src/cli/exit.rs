//! Exit codes and the errors that lead to them.

use crate::base::diagnostic::{Diagnostic, Severity, counted};
use crate::chart;

/// How a command ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// Done, or nothing to do.
    Done,
    /// The user's files are wrong.
    Input,
    /// The command line is wrong.
    Usage,
    /// With `--exit-code`: changes are pending.
    Changes,
    /// A cluster, the network or the disk failed.
    World,
    /// Refused, or stalled.
    Refused,
    /// A bug in fitout.
    Bug,
}

impl Exit {
    /// The end of a command that found these: done where none is an error, the world's fault where
    /// all errors are charts that cannot be fetched, else the user's.
    pub fn of_findings(found: &[Diagnostic]) -> Self {
        let mut errors = found.iter().filter(|one| one.severity == Severity::Error).peekable();
        if errors.peek().is_none() {
            Self::Done
        } else if errors.all(|error| error.code == chart::source::UNREACHABLE) {
            Self::World
        } else {
            Self::Input
        }
    }

    /// The process's exit code.
    pub fn code(self) -> u8 {
        match self {
            Self::Done => 0,
            Self::Input => 1,
            Self::Usage => 2,
            Self::Changes => 3,
            Self::World => 4,
            Self::Refused => 5,
            Self::Bug => 70,
        }
    }
}

/// An error whose kind decides the exit code. Any other error that reaches the top is
/// [`Exit::World`].
#[derive(Debug, thiserror::Error)]
pub enum CommandError {
    /// The user's files are wrong.
    #[error("{} in the fleet's files", counted(.0.len(), "finding"))]
    Input(Vec<Diagnostic>),
    /// The arguments do not fit the fleet: an unknown cluster, an unreadable option.
    #[error("{message}")]
    Usage {
        /// What is wrong, without a full stop.
        message: String,
        /// Ways out.
        help: Vec<String>,
    },
    /// A cluster, the network or the disk failed.
    #[error("{message}")]
    World {
        /// What failed, with its causes.
        message: String,
        /// Ways out.
        help: Vec<String>,
    },
    /// Refused for safety, or stalled.
    #[error("{0}")]
    Refused(String),
}

/// Prints clap's message; help and version go to stdout and are no error.
pub(crate) fn usage(error: &clap::Error) -> Exit {
    // Nothing is left to tell the user where the terminal itself is gone.
    let _ = error.print();
    if error.use_stderr() { Exit::Usage } else { Exit::Done }
}
