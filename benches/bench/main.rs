//! Figures of the engine, with the peer that they are measured against and the target that
//! `docs/benchmarks.md` has. Programs, not tests: nothing here fails for being slow.
//!
//! `cargo bench -- chart` runs the parts whose name contains `chart`.

#![allow(clippy::print_stdout, reason = "what a benchmark prints is what it is for")]

#[allow(dead_code, reason = "the test also compares, with fields that are of no use here")]
#[path = "../../tests/it/corpus/cases.rs"]
mod cases;
mod charts;
mod fleet;
mod measure;
mod rollout;

use std::path::PathBuf;

/// The parts, in order.
const PARTS: [(&str, fn()); 4] = [
    ("charts", charts::run),
    ("fleet", fleet::run),
    ("rollout-steps", rollout::steps),
    ("rollout-controller", rollout::controller),
];

fn main() {
    let args: Vec<String> = std::env::args().skip(1).collect();
    if let [name, folder] = args.as_slice()
        && name == fleet::CHILD
    {
        return fleet::child(&PathBuf::from(folder));
    }
    let wanted: Vec<&String> = args.iter().filter(|arg| !arg.starts_with('-')).collect();
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    println!("{cores} cores, {}", measure::processor());
    for (name, part) in PARTS {
        if wanted.is_empty() || wanted.iter().any(|wanted| name.contains(wanted.as_str())) {
            println!("\n{name}");
            part();
        }
    }
}
