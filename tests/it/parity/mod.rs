//! The same requests, the same answers: the scripts of `tests/cases/parity/` are played on the
//! simulated cluster and compared, field by field, with what a real API server answered when they
//! were recorded. `e2e::parity` plays them on a real one and checks the recording.

pub(crate) mod answer;
pub(crate) mod compare;
pub(crate) mod normal;
pub(crate) mod play;
pub(crate) mod record;
pub(crate) mod script;

use std::fmt::Write as _;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use fitout::base::clock::{Clock, Timestamp};
use fitout::sim::SimCluster;
use futures::FutureExt as _;
use futures::future::BoxFuture;

use self::answer::Answer;
use self::compare::{Differences, Tally};
use self::script::Script;
use crate::env::repository;

/// The least number of requests that all scripts have together.
pub(crate) const REQUESTS_MIN: usize = 300;

/// Where scripts, recordings and the table of differences are.
pub(crate) fn folder() -> PathBuf {
    repository().join("tests/cases/parity")
}

/// A clock that stands still until somebody waits, and then is there at once.
struct Leaping(Mutex<Timestamp>);

impl Clock for Leaping {
    fn now(&self) -> Timestamp {
        *self.0.lock().unwrap()
    }

    fn sleep(&self, duration: Duration) -> BoxFuture<'static, ()> {
        let mut now = self.0.lock().unwrap();
        *now = now.saturating_add(duration).unwrap();
        tokio::task::yield_now().boxed()
    }
}

/// The answers of a new simulated cluster.
pub(crate) async fn simulated(script: &Script) -> Vec<Answer> {
    let clock = Arc::new(Leaping(Mutex::new("2026-01-05T10:00:00Z".parse().unwrap())));
    let cluster = SimCluster::new("parity", 3, clock);
    play::play(&cluster.client(), script).await
}

/// Plays every script through `expected` and on simulated clusters, and compares.
pub(crate) async fn compare_all<E>(mut expected: E) -> String
where
    E: AsyncFnMut(&Script) -> Vec<Answer>,
{
    let mut differences = Differences::read();
    let mut tally = Tally::default();
    for script in script::all() {
        let expected = expected(&script).await;
        let got = simulated(&script).await;
        tally.compare(&script, &expected, &got, &mut differences);
    }
    println!("{tally}");
    let mut told = std::mem::take(&mut tally.unexplained);
    if tally.requests < REQUESTS_MIN {
        writeln!(told, "{} requests are too few", tally.requests).unwrap();
    }
    for row in differences.unused() {
        writeln!(told, "a row of differences.yaml is not needed: {row}").unwrap();
    }
    told
}

pub(crate) fn block_on<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(future)
}

#[test]
fn a_simulated_cluster_answers_as_was_recorded_of_a_real_one() {
    let told = block_on(compare_all(async |script: &Script| record::read(script)));
    assert!(told.is_empty(), "{told}");
}

#[test]
fn every_difference_is_told_in_the_documentation() {
    let path = repository().join("docs/simulated-clusters.md");
    let page = std::fs::read_to_string(&path).unwrap();
    let (before, rest) = page.split_once(compare::TABLE_BEGINS).expect("the page has the table");
    let (_, after) = rest.split_once(compare::TABLE_ENDS).expect("the table ends");
    let table = Differences::read().table();
    let made = format!("{before}{}\n{table}{}{after}", compare::TABLE_BEGINS, compare::TABLE_ENDS);
    if std::env::var_os("FITOUT_BLESS").is_some() {
        std::fs::write(&path, &made).unwrap();
        return;
    }
    assert!(made == page, "docs/simulated-clusters.md is not up to date: run `make docs`");
}
