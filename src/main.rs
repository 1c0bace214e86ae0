//! Process entry: arguments in, exit code out.

use std::process::ExitCode;

fn main() -> ExitCode {
    ExitCode::from(fitout::cli::run(std::env::args_os()).code())
}
