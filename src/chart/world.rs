//! The worlds that charts are rendered in: one that repeats itself, and the computer's own.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use rand::Rng as _;
use sha2::Digest as _;

use crate::base::clock::{Clock as _, SystemClock};
use crate::template::value::Value;
use crate::template::world::World;

/// A world without clusters whose time stands still and whose random bytes follow from a seed:
/// two renders in it are equal, in every version of fitout.
#[derive(Debug)]
pub struct SeededWorld {
    seed: Vec<u8>,
    now: i128,
    blocks: AtomicU64,
}

impl SeededWorld {
    /// A world of a seed at a time in nanoseconds since the Unix epoch.
    pub fn new(seed: u64, now: i128) -> Self {
        Self { seed: seed.to_le_bytes().into(), now, blocks: AtomicU64::new(0) }
    }

    /// A world whose random bytes nobody can tell who does not know the key.
    pub fn keyed(key: [u8; 32], now: i128) -> Self {
        Self { seed: key.into(), now, blocks: AtomicU64::new(0) }
    }
}

impl World for SeededWorld {
    fn now(&self) -> i128 {
        self.now
    }

    fn random(&self, bytes: &mut [u8]) {
        for chunk in bytes.chunks_mut(32) {
            let block = self.blocks.fetch_add(1, Ordering::Relaxed);
            let input = [self.seed.as_slice(), &block.to_le_bytes()].concat();
            chunk.copy_from_slice(&sha2::Sha256::digest(input)[..chunk.len()]);
        }
    }

    fn lookup(&self, _: &str, _: &str, _: &str, _: &str) -> Result<Value, String> {
        Ok(Value::map([]))
    }
}

/// The computer's clock and its source of randomness; no cluster.
#[derive(Clone, Copy, Debug, Default)]
pub struct OsWorld;

impl World for OsWorld {
    fn now(&self) -> i128 {
        SystemClock.now().as_nanosecond()
    }

    fn random(&self, bytes: &mut [u8]) {
        rand::rng().fill_bytes(bytes);
    }

    fn lookup(&self, _: &str, _: &str, _: &str, _: &str) -> Result<Value, String> {
        Ok(Value::map([]))
    }
}

/// Another world that remembers whether it was asked for something that is not in a render's
/// inputs.
#[derive(Debug)]
pub(super) struct Watched<'a> {
    world: &'a dyn World,
    is_asked: AtomicBool,
}

impl<'a> Watched<'a> {
    pub(super) fn new(world: &'a dyn World) -> Self {
        Self { world, is_asked: AtomicBool::new(false) }
    }

    pub(super) fn is_asked(&self) -> bool {
        self.is_asked.load(Ordering::Relaxed)
    }
}

impl World for Watched<'_> {
    fn now(&self) -> i128 {
        self.is_asked.store(true, Ordering::Relaxed);
        self.world.now()
    }

    fn random(&self, bytes: &mut [u8]) {
        self.is_asked.store(true, Ordering::Relaxed);
        self.world.random(bytes);
    }

    fn lookup(
        &self,
        api_version: &str,
        kind: &str,
        namespace: &str,
        name: &str,
    ) -> Result<Value, String> {
        self.world.lookup(api_version, kind, namespace, name)
    }
}
