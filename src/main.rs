//! Process entry: arguments in, exit code out.

use std::process::ExitCode;

fn main() -> ExitCode {
    let Ok(runtime) = tokio::runtime::Runtime::new() else {
        return ExitCode::from(fitout::cli::exit::Exit::World.code());
    };
    let exit = runtime.block_on(fitout::cli::run(std::env::args_os()));
    ExitCode::from(exit.code())
}
