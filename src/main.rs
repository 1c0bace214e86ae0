//! Process entry: arguments in, exit code out.

use std::process::ExitCode;

fn main() -> ExitCode {
    let runtime = match tokio::runtime::Runtime::new() {
        Ok(runtime) => runtime,
        Err(_) => return ExitCode::from(fitout::cli::exit::Exit::World.code()),
    };
    let exit = runtime.block_on(fitout::cli::run(std::env::args_os()));
    ExitCode::from(exit.code())
}
