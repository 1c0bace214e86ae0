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
mod preview;
mod releases;
mod rollout;
mod tools;

use std::path::Path;

/// The parts, in order.
const PARTS: [(&str, fn()); 6] = [
    ("charts", charts::run),
    ("fleet", fleet::run),
    ("preview", preview::run),
    ("releases", releases::run),
    ("rollout-steps", rollout::steps),
    ("rollout-controller", rollout::controller),
];

fn main() {
    let args: Vec<String> = std::env::args().skip(1).collect();
    if let [name, folder] = args.as_slice() {
        match name.as_str() {
            fleet::CHILD => return fleet::child(Path::new(folder)),
            preview::CHILD => return preview::child(Path::new(folder)),
            _ => {}
        }
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
