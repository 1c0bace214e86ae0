//! What a switch is told of the world, each piece with its time.

use std::collections::BTreeMap;

use crate::base::clock::Timestamp;
use crate::rollout::GateSeen;

/// What a switch is told.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Observation {
    /// Green against blue; none where it was not looked at, or could not be told.
    pub parity: Option<ParitySeen>,
    /// The cluster that is to be replaced.
    pub blue: Option<SideSeen>,
    /// The one that is to take its place.
    pub green: Option<SideSeen>,
    /// Gates that ask somebody else, by their names.
    pub gates: BTreeMap<String, GateSeen>,
    /// What the hook of the newest decision said.
    pub hook: Option<HookSeen>,
    /// Clusters of the two that are known not to be in the fleet, or of the pair, any more.
    pub left: Left,
}

/// Which of the two clusters have left the pair.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Left {
    /// The one that is to be replaced.
    pub blue: bool,
    /// The one that is to take its place.
    pub green: bool,
}

/// Green against blue, seen at one time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ParitySeen {
    /// When the reading began.
    pub observed_at: Timestamp,
    /// What it lacks; empty at parity.
    pub lacks: Vec<String>,
    /// Whether it lacks any of that by what git says, so that only a commit brings it there.
    pub is_by_git: bool,
}

/// A cluster, seen at one time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SideSeen {
    /// When the reading began.
    pub observed_at: Timestamp,
    /// What is wrong with it, that it does not answer included; none where it is well.
    pub problem: Option<String>,
}

/// What a hook said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HookSeen {
    /// Of which decision.
    pub number: u32,
    /// How it went.
    pub outcome: HookOutcome,
}

/// How a hook went.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HookOutcome {
    /// Traffic goes where it shall.
    Done(String),
    /// It will not, as things are.
    Failed(String),
    /// It is not over, or nobody knows: it is run again.
    Open(String),
}
