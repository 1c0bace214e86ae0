//! The way of one controller to one cluster: the weather, the fuse, and the court that looks on.

use http::Method;

use super::clock::SimClock;
use super::court::Court;
use super::journal::{Fate, Fuse};
use super::scenario::Dice;
use super::weather::Weather;
use crate::sim::request::Request;
use crate::sim::store::Store;
use crate::sim::{Fault, Network};

/// The way.
pub(super) struct Wire {
    pub(super) cluster: String,
    pub(super) court: Court,
    pub(super) clock: SimClock,
    pub(super) weather: Weather,
    pub(super) fuse: Fuse,
    pub(super) dice: Dice,
    /// Whether whoever uses it must change nothing.
    pub(super) only_looks: bool,
}

impl Network for Wire {
    fn meet(&mut self, request: &Request) -> Option<Fault> {
        if is_write(request) {
            if self.only_looks {
                let what = format!("{} {} by somebody who looks", request.method, request.path);
                self.court.accuse(6, what);
            }
            match self.fuse.burn() {
                Fate::Lives => {}
                Fate::DiesBefore => return Some(Fault::Hangs),
                Fate::DiesAfter => return Some(Fault::HangsAfter),
            }
        } else if self.fuse.is_blown() {
            return Some(Fault::Hangs);
        }
        let now = self.clock.elapsed();
        let fault = self.weather.meet(&self.cluster, request, now, &mut self.dice);
        if fault.is_some() {
            self.court.count(|counts| counts.faults += 1);
        }
        fault
    }

    fn reached(&mut self, _: &Request, before: u64, cluster: &Store) {
        self.court.reached(&self.cluster, before, cluster);
    }
}

/// Whether a request may change something. A review is asked by POST, and changes nothing.
fn is_write(request: &Request) -> bool {
    let is_review = request.path.ends_with("reviews");
    request.method != Method::GET && !is_review && !request.is_dry_run()
}
