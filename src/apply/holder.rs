//! Who works on a release, and whether they still do.
//!
//! A holder is `HOST/PID/START`, or any other text that names a worker for good, such as a
//! controller's identity.

use std::time::Duration;

use crate::base::clock::Timestamp;

/// A holder that has not said it is alive for so long is gone. It says so at least as often as
/// one request or one look at a hook takes.
pub const GONE_AFTER: Duration = Duration::from_mins(2);

/// This process.
pub fn current() -> String {
    let host = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    let host = match host.trim() {
        "" => "localhost",
        host => host,
    };
    let pid = std::process::id();
    format!("{host}/{pid}/{}", started(pid).unwrap_or_default())
}

/// Whether somebody else may go on with what `holder` began.
pub fn is_gone(holder: &str, renewed_at: Option<Timestamp>, ours: &str, now: Timestamp) -> bool {
    if holder == ours {
        return true;
    }
    let is_silent = renewed_at
        .is_none_or(|at| now.duration_since(at).unsigned_abs() >= GONE_AFTER && now >= at);
    is_silent || has_ended_here(holder, ours)
}

/// Whether `holder` was a process of this machine that has ended.
fn has_ended_here(holder: &str, ours: &str) -> bool {
    let parts = |holder: &str| {
        let mut parts = holder.splitn(3, '/').map(str::to_owned);
        Some((parts.next()?, parts.next()?.parse::<u32>().ok()?, parts.next()?))
    };
    let (Some((host, pid, start)), Some((our_host, _, our_start))) = (parts(holder), parts(ours))
    else {
        return false;
    };
    // Without start times a process id that was given out again would look alive, and without
    // /proc every process would look gone.
    host == our_host && !our_start.is_empty() && started(pid).as_deref() != Some(&*start)
}

/// When a process began, in the kernel's ticks.
fn started(pid: u32) -> Option<String> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let after_name = stat.rsplit_once(')')?.1;
    after_name.split_whitespace().nth(19).map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_holder_is_gone_when_it_is_silent_or_has_ended_here() {
        let now = Timestamp::from_second(1_000).unwrap();
        let recently = Some(Timestamp::from_second(990).unwrap());
        let long_ago = Some(Timestamp::from_second(100).unwrap());
        let ours = "here/1/50";
        assert!(is_gone(ours, recently, ours, now));
        assert!(!is_gone("there/1/50", recently, ours, now));
        assert!(is_gone("there/1/50", long_ago, ours, now));
        assert!(is_gone("here/4294967295/7", recently, ours, now));
        assert!(!is_gone("controller-a", recently, ours, now));
    }

    #[test]
    fn this_process_is_not_gone_for_another_one() {
        let now = Timestamp::from_second(1_000).unwrap();
        let other = current().replacen(&std::process::id().to_string(), "4294967295", 1);
        if current().ends_with('/') {
            println!("skipped: no /proc here");
            return;
        }
        assert!(!is_gone(&current(), Some(now), &other, now));
    }
}
