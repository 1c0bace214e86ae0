//! Taking times, and telling them beside what is asked for.

use std::time::{Duration, Instant};

/// How long a call took, and what it gave.
pub(crate) fn timed<T>(work: impl FnOnce() -> T) -> (Duration, T) {
    let started = Instant::now();
    let value = work();
    (started.elapsed(), value)
}

/// The value below which a share of all lies; 0.5 is the median. Panics on nothing.
pub(crate) fn quantile<T: Copy + PartialOrd>(values: &[T], share: f64) -> T {
    let mut sorted = values.to_vec();
    sorted.sort_by(|a, b| a.partial_cmp(b).expect("nothing measured is NaN"));
    sorted[((sorted.len() - 1) as f64 * share).round() as usize]
}

/// One figure.
pub(crate) fn tell(what: &str, measured: &str, target: &str) {
    let target = if target.is_empty() { String::new() } else { format!("  (asked for: {target})") };
    println!("  {what:<58} {measured:>12}{target}");
}

/// `1.23 s`, `45.6 ms` or `7.8 µs`.
pub(crate) fn shown(time: Duration) -> String {
    match time.as_secs_f64() {
        seconds if seconds >= 1.0 => format!("{seconds:.2} s"),
        seconds if seconds >= 1e-3 => format!("{:.1} ms", seconds * 1e3),
        seconds => format!("{:.1} µs", seconds * 1e6),
    }
}

/// The most memory that this process has had, in MB; none where the system does not tell.
pub(crate) fn peak_memory_mb() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    let kib: u64 = line.trim().trim_end_matches("kB").trim().parse().ok()?;
    Some(kib * 1024 / 1_000_000)
}

/// The most memory that any child that has ended had, in MB.
pub(crate) fn children_peak_mb() -> Option<u64> {
    let usage =
        nix::sys::resource::getrusage(nix::sys::resource::UsageWho::RUSAGE_CHILDREN).ok()?;
    u64::try_from(usage.max_rss()).ok().map(|kib| kib * 1024 / 1_000_000)
}

/// The processor's name, where the system tells it.
pub(crate) fn processor() -> String {
    let text = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let named = text.lines().find_map(|line| line.strip_prefix("model name"));
    named.map_or("unknown processor", |name| name.trim_start_matches([':', '\t', ' '])).to_owned()
}
