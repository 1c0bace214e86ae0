//! A history as data: the fleet that it begins with, and what happens when. Drawn from a seed.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::time::Duration;

use rand::rngs::Xoshiro256PlusPlus;
use rand::seq::IndexedRandom as _;
use rand::{RngExt as _, SeedableRng as _};
use serde_json::json;

use super::fleet::{AddonModel, FleetModel};
use super::weather::Trouble;
use crate::rollout::{Approving, Command};

/// Where a seed's numbers come from: the same ones on every machine, in every version.
pub(super) type Dice = Xoshiro256PlusPlus;

/// How long the safety phase goes on at most.
const LASTS_MINUTES: u64 = 60;
const RINGS: [&str; 3] = ["staging", "canary", "prod"];
const ADDONS: [&str; 4] = ["net", "log", "mon", "web"];

/// Everything that happens in one history.
#[derive(Clone, Debug, PartialEq)]
pub struct Scenario {
    /// What it was drawn from, and what smaller choices are.
    pub seed: u64,
    /// The first commit.
    pub fleet: FleetModel,
    /// What happens, in the order of time.
    pub acts: Vec<Act>,
}

/// Something happens.
#[derive(Clone, Debug, PartialEq)]
pub struct Act {
    /// When, from the beginning.
    pub at: Duration,
    /// What.
    pub what: Deed,
}

/// What happens.
#[derive(Clone, Debug, PartialEq)]
pub enum Deed {
    /// Somebody commits.
    Commit(Edit),
    /// The branch is what it was so many commits ago; the commits since are gone for good, or not.
    ForcePush {
        /// How many.
        back: usize,
        /// Whether nobody has them any more.
        forgets: bool,
    },
    /// Git does not answer.
    GitDown {
        /// For so long.
        lasts: Duration,
    },
    /// Somebody says something to an addon's newest rollout.
    Say {
        /// The addon.
        addon: String,
        /// What.
        what: Command,
        /// Who.
        by: &'static str,
    },
    /// A controller is killed.
    Kill {
        /// With so many writes from now.
        after: u32,
        /// Whether that write takes effect.
        takes_effect: bool,
        /// How long until another one begins.
        away: Duration,
    },
    /// A second controller believes that it is the only one.
    Twin {
        /// For so long.
        lasts: Duration,
    },
    /// Something is wrong between the controllers and a cluster.
    Trouble {
        /// Which cluster.
        cluster: String,
        /// What.
        what: Trouble,
        /// For so long.
        lasts: Duration,
    },
    /// Pods are gone, and come again.
    KillPods {
        /// Where.
        cluster: String,
        /// Of which addon.
        addon: String,
    },
    /// Somebody changes an object by hand.
    Tamper {
        /// Where.
        cluster: String,
        /// Of which addon.
        addon: String,
    },
    /// The controller's clock jumps.
    Jump {
        /// By so much.
        seconds: i64,
    },
    /// The service behind a gate changes its mind.
    Gate {
        /// What it says from now on: pass, fail or nothing.
        says: Option<bool>,
    },
    /// Somebody looks at the fleet, as `fitout status` does.
    Look,
}

/// What a commit changes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Edit {
    /// Another version of an addon.
    Version {
        /// Which addon.
        addon: String,
        /// The tag of its image.
        tag: String,
        /// How many ConfigMaps it has.
        objects: u32,
    },
    /// Another version of every addon.
    Versions {
        /// The tag of their images.
        tag: String,
        /// How many ConfigMaps each has.
        objects: u32,
    },
    /// A cluster comes, or gets another label.
    Cluster {
        /// Its name.
        name: String,
        /// Its ring.
        ring: String,
    },
    /// A cluster leaves the fleet.
    Leave {
        /// Its name.
        name: String,
    },
    /// An addon is turned off on a cluster, or on again.
    Switch {
        /// Which addon.
        addon: String,
        /// On which cluster.
        cluster: String,
    },
    /// An addon goes from the whole fleet, and whatever depends on it.
    Drop {
        /// Which.
        addon: String,
    },
    /// Nothing may begin, or may again.
    Freeze {
        /// Whether it holds.
        is_on: bool,
    },
    /// A document that cannot be read; none heals it.
    Mistake {
        /// Of which addon.
        addon: Option<String>,
    },
}

impl Scenario {
    /// The history of a seed.
    pub fn draw(seed: u64) -> Self {
        let mut dice = Dice::seed_from_u64(seed);
        let mut fleet = draw_fleet(&mut dice);
        // Drawn apart, so that what else a seed gives does not depend on it.
        let mut apart = Dice::seed_from_u64(!seed);
        refine(&mut fleet.policy, &mut apart);
        let mut drawer = Drawer { dice, fleet: &fleet, version: 1 };
        let mut acts = drawer.acts();
        widen(&mut acts, &mut apart);
        Self { seed, fleet, acts }
    }
}

fn draw_fleet(dice: &mut Dice) -> FleetModel {
    let size = match dice.random_range(0..10) {
        0..4 => dice.random_range(2..=3),
        4..8 => dice.random_range(4..=6),
        _ => dice.random_range(7..=12),
    };
    let clusters = (0..size).map(|at| {
        let ring = if at < 3 { RINGS[at] } else { *RINGS.choose(dice).expect("there are some") };
        (cluster_name(at), ring.to_owned())
    });
    let clusters = clusters.collect();
    let many = dice.random_range(1..=ADDONS.len());
    let addons = ADDONS[..many].iter().enumerate().map(|(at, name)| {
        let depends_on = (at > 0 && dice.random_bool(0.5)).then(|| {
            let on = dice.random_range(0..at);
            ADDONS[on].to_owned()
        });
        let addon = AddonModel {
            tag: "v1".to_owned(),
            objects: dice.random_range(0..3),
            depends_on,
            off: BTreeSet::new(),
        };
        ((*name).to_owned(), addon)
    });
    let addons: BTreeMap<_, _> = addons.collect();
    FleetModel {
        clusters,
        addons,
        approvals: BTreeMap::new(),
        policy: draw_policy(dice),
        is_frozen: false,
        mistake: None,
    }
}

/// The name of a cluster by its number, from 0.
pub(super) fn cluster_name(at: usize) -> String {
    format!("c{:02}", at + 1)
}

fn draw_policy(dice: &mut Dice) -> serde_json::Value {
    let soak = |dice: &mut Dice| format!("{}s", [0, 30, 120, 240].choose(dice).expect("some"));
    let ring = |name: &str| json!({"matchLabels": {"ring": name}});
    let mut staging = json!({"name": "staging", "clusters": ring("staging"), "soak": soak(dice)});
    let mut canary = if dice.random_bool(0.5) {
        let pick = json!({"percent": 30, "atLeast": 1});
        json!({"name": "canary", "clusters": {}, "pick": pick, "soak": soak(dice)})
    } else {
        json!({"name": "canary", "clusters": ring("canary"), "soak": soak(dice)})
    };
    let mut prod = json!({"name": "prod", "clusters": {}, "soak": soak(dice)});
    for stage in [&mut staging, &mut canary, &mut prod] {
        if dice.random_bool(0.6) {
            stage["batch"] = json!({"atMost": dice.random_range(1..=2)});
        }
    }
    match dice.random_range(0..4) {
        0 => canary["gates"] = json!([{"approval": {"count": dice.random_range(1..=2)}}]),
        1 => {
            let gate = json!({"url": "https://example.org", "query": "errors", "max": 0.1});
            canary["gates"] = json!([{"prometheus": gate}]);
        }
        _ => {}
    }
    json!({
        "stages": [staging, canary, prod],
        "maxFailures": dice.random_range(1..=2),
        "progressDeadline": format!("{}m", dice.random_range(3..=6)),
        "onFailure": if dice.random_bool(0.7) { "rollback" } else { "pause" },
        "limits": {"deletedObjects": dice.random_range(0..=4)},
    })
}

/// What some policies have besides: that addons move together, an order in a stage, and its own say in
/// what fails.
fn refine(policy: &mut serde_json::Value, dice: &mut Dice) {
    if dice.random_bool(0.35) {
        policy["train"] = json!(true);
    }
    let has_jobs = policy["train"].is_null() && dice.random_bool(0.4);
    let stages = policy["stages"].as_array_mut().into_iter().flatten();
    for stage in stages {
        if has_jobs && dice.random_bool(0.5) {
            add_gate(stage, job_gate());
        }
        if dice.random_bool(0.2) {
            let ring = RINGS.choose(dice).expect("there are some");
            stage["order"] = json!([{"matchLabels": {"ring": ring}}]);
        }
        if dice.random_bool(0.2) {
            stage["maxFailures"] = json!(dice.random_range(1..=3));
        }
        if dice.random_bool(0.2) {
            let ways = ["rollback", "pause", "continue"];
            stage["onFailure"] = json!(ways.choose(dice).expect("there are some"));
        }
        if dice.random_bool(0.2) {
            stage["progressDeadline"] = json!(format!("{}m", dice.random_range(2..=8)));
        }
        if dice.random_bool(0.2) {
            let ways = ["skip", "wait", "fail"];
            stage["onUnreachable"] = json!(ways.choose(dice).expect("there are some"));
        }
    }
}

/// A Job that succeeds where it is run.
fn job_gate() -> serde_json::Value {
    let containers = json!([{"name": "smoke", "image": "registry.example.org/smoke:v1"}]);
    let pod = json!({"restartPolicy": "Never", "containers": containers});
    let manifest =
        json!({"apiVersion": "batch/v1", "kind": "Job", "spec": {"template": {"spec": pod}}});
    json!({"job": {"name": "smoke", "manifest": manifest}})
}

fn add_gate(stage: &mut serde_json::Value, gate: serde_json::Value) {
    match stage["gates"].as_array_mut() {
        Some(gates) => gates.push(gate),
        None => stage["gates"] = json!([gate]),
    }
}

/// Some commits change every addon.
fn widen(acts: &mut [Act], dice: &mut Dice) {
    for act in acts {
        if let Deed::Commit(Edit::Version { tag, objects, .. }) = &act.what
            && dice.random_bool(0.4)
        {
            let (tag, objects) = (tag.clone(), *objects);
            act.what = Deed::Commit(Edit::Versions { tag, objects });
        }
    }
}

/// Draws the acts.
struct Drawer<'a> {
    dice: Dice,
    fleet: &'a FleetModel,
    version: u32,
}

impl Drawer<'_> {
    fn acts(&mut self) -> Vec<Act> {
        // A swarm: every seed has some kinds of trouble, and none has all.
        let kinds: Vec<u32> = (0..12).filter(|_| self.dice.random_bool(0.4)).collect();
        let lasts = self.dice.random_range(15..=LASTS_MINUTES) * 60;
        let commits = self.dice.random_range(1..=5);
        let troubles = if kinds.is_empty() { 0 } else { self.dice.random_range(1..=10) };
        let mut acts = Vec::new();
        for _ in 0..commits {
            let what = self.commit();
            acts.push(Act { at: self.moment(lasts), what });
        }
        for _ in 0..troubles {
            let kind = *kinds.choose(&mut self.dice).expect("there are some");
            let what = self.trouble(kind);
            acts.push(Act { at: self.moment(lasts), what });
        }
        acts.sort_by_key(|act| act.at);
        acts
    }

    /// Milliseconds, so that nothing falls together with the ticks.
    fn moment(&mut self, lasts: u64) -> Duration {
        Duration::from_millis(self.dice.random_range(0..lasts * 1_000))
    }

    fn cluster(&mut self) -> String {
        let at = self.dice.random_range(0..self.fleet.clusters.len());
        cluster_name(at)
    }

    fn addon(&mut self) -> String {
        let at = self.dice.random_range(0..self.fleet.addons.len());
        ADDONS[at].to_owned()
    }

    fn a_while(&mut self) -> Duration {
        Duration::from_secs(self.dice.random_range(5..=900))
    }

    fn commit(&mut self) -> Deed {
        let edit = match self.dice.random_range(0..20) {
            0 => Edit::Cluster { name: cluster_name(self.fleet.clusters.len()), ring: self.ring() },
            1 => Edit::Leave { name: self.cluster() },
            2 => Edit::Cluster { name: self.cluster(), ring: self.ring() },
            3 => Edit::Switch { addon: self.addon(), cluster: self.cluster() },
            4 => Edit::Drop { addon: self.addon() },
            5 => Edit::Freeze { is_on: true },
            6 => Edit::Freeze { is_on: false },
            7 => Edit::Mistake { addon: Some(self.addon()) },
            8 => Edit::Mistake { addon: None },
            9 => {
                let back = self.dice.random_range(1..=2);
                return Deed::ForcePush { back, forgets: self.dice.random_bool(0.3) };
            }
            _ => self.new_version(),
        };
        Deed::Commit(edit)
    }

    fn new_version(&mut self) -> Edit {
        self.version += 1;
        let fate = match self.dice.random_range(0..10) {
            0 => "-broken",
            1 => "-crash",
            2 => "-fades",
            3 => "-slow",
            _ => "",
        };
        let tag = format!("v{}{fate}", self.version);
        Edit::Version { addon: self.addon(), tag, objects: self.dice.random_range(0..6) }
    }

    fn ring(&mut self) -> String {
        (*RINGS.choose(&mut self.dice).expect("there are some")).to_owned()
    }

    fn trouble(&mut self, kind: u32) -> Deed {
        match kind {
            0 => self.say(),
            1 => Deed::Kill {
                after: self.dice.random_range(0..40),
                takes_effect: self.dice.random_bool(0.5),
                away: Duration::from_secs(self.dice.random_range(1..=300)),
            },
            2 => Deed::Twin { lasts: self.a_while() },
            3 => Deed::KillPods { cluster: self.cluster(), addon: self.addon() },
            4 => Deed::Tamper { cluster: self.cluster(), addon: self.addon() },
            5 => Deed::Jump { seconds: self.dice.random_range(-120..=600) },
            6 => Deed::Gate {
                says: [None, Some(true), Some(false)].choose(&mut self.dice).copied().flatten(),
            },
            7 => Deed::Look,
            8 => Deed::GitDown { lasts: self.a_while() },
            _ => {
                let what = Trouble::draw(&mut self.dice);
                Deed::Trouble { cluster: self.cluster(), what, lasts: self.a_while() }
            }
        }
    }

    fn say(&mut self) -> Deed {
        let what = match self.dice.random_range(0..9) {
            0 => Command::Pause,
            1 => Command::Resume,
            2 => Command::Abort { goes_back: self.dice.random_bool(0.5) },
            3 => Command::Retry,
            4 => Command::RetryCluster { cluster: self.cluster().as_str().into() },
            5 => Command::SkipCluster { cluster: self.cluster().as_str().into() },
            6 => Command::Promote,
            _ => Command::Approve(Approving::default()),
        };
        let by = if self.dice.random_bool(0.5) { "ada" } else { "ben" };
        Deed::Say { addon: self.addon(), what, by }
    }
}

impl fmt::Display for Act {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = self.at.as_secs_f64();
        write!(f, "{seconds:>9.3} s  {:?}", self.what)
    }
}
