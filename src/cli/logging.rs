//! Logs on stderr: for people or as JSON.

use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt;
use tracing_subscriber::util::SubscriberInitExt as _;

/// Begins to log. `$FITOUT_LOG` filters (as `RUST_LOG` does); without it, more `-v` say more. A
/// second call changes nothing.
pub fn start(is_json: bool, verbose: u8, is_coloured: bool) {
    let level = match verbose {
        0 => "fitout=info,warn",
        1 => "fitout=debug,info",
        _ => "fitout=trace,debug",
    };
    let filter = EnvFilter::try_from_env("FITOUT_LOG").unwrap_or_else(|_| EnvFilter::new(level));
    let format = fmt().with_env_filter(filter).with_writer(std::io::stderr);
    // What logs already goes on.
    let _ = if is_json {
        format.json().flatten_event(true).finish().try_init()
    } else {
        format.with_ansi(is_coloured).with_target(false).finish().try_init()
    };
}
