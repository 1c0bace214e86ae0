//! The same function over many inputs, on all cores.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Templates may nest deeply: [`super::limits::TEMPLATE_DEPTH_MAX`] calls need this much.
const STACK_BYTES: usize = 256 << 20;

/// The results, in the order of the inputs.
pub fn in_parallel<I: Sync, O: Send + Sync>(inputs: &[I], work: impl Fn(&I) -> O + Sync) -> Vec<O> {
    let results: Vec<OnceLock<O>> = inputs.iter().map(|_| OnceLock::new()).collect();
    let next = AtomicUsize::new(0);
    let run = || {
        loop {
            let at = next.fetch_add(1, Ordering::Relaxed);
            let Some(input) = inputs.get(at) else { break };
            // Each index is handed out once, so that nothing was set before.
            let _ = results[at].set(work(input));
        }
    };
    let threads = std::thread::available_parallelism().map_or(1, usize::from).min(inputs.len());
    std::thread::scope(|scope| {
        for _ in 0..threads {
            let started =
                std::thread::Builder::new().stack_size(STACK_BYTES).spawn_scoped(scope, run);
            if started.is_err() {
                // With too few threads the work takes longer, with none it is done here below.
                break;
            }
        }
    });
    run();
    results
        .into_iter()
        .map(|result| result.into_inner().expect("every index was handed out and worked on"))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_keep_the_order_of_the_inputs() {
        let inputs: Vec<usize> = (0..1_000).collect();
        let doubled: Vec<usize> = inputs.iter().map(|n| n * 2).collect();
        assert_eq!(in_parallel(&inputs, |n| n * 2), doubled);
        assert!(in_parallel::<u8, u8>(&[], |n| *n).is_empty());
    }
}
