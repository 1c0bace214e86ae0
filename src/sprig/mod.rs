//! Helm's template functions: sprig 3.3 as Helm 3.22 enables it, and Helm's own.
//!
//! One file for each chapter of sprig's manual. Every function is pure in its arguments except for
//! what it asks of [`Runtime`](crate::template::function::Runtime): time, randomness, lookups and
//! other templates. Knows values, not charts. Where Go's map order would be random, keys are
//! sorted.

#![allow(
    clippy::unnecessary_wraps,
    reason = "all functions of the table have one signature, also those that cannot fail"
)]

mod args;
mod certificates;
mod crypto;
mod dates;
mod decimal;
mod der;
mod dicts;
mod encoding;
mod flow;
mod helm;
mod json;
mod json_read;
mod keys;
mod lists;
mod math;
mod merge;
mod network;
mod paths;
mod pem;
mod random;
mod reflection;
mod regex;
pub mod semver;
mod strings;
mod text;
mod time;
mod toml;
pub mod url;
mod words;

use std::collections::{BTreeSet, HashMap};
use std::sync::LazyLock;

use crate::template::function::{Function, Functions};

/// All functions that Helm adds to the built-in ones of the language.
pub struct Table {
    by_name: HashMap<&'static str, &'static Function>,
}

static TABLE: LazyLock<Table> = LazyLock::new(|| {
    let chapters = [
        certificates::FUNCTIONS,
        crypto::FUNCTIONS,
        dates::FUNCTIONS,
        dicts::FUNCTIONS,
        encoding::FUNCTIONS,
        flow::FUNCTIONS,
        helm::FUNCTIONS,
        lists::FUNCTIONS,
        math::FUNCTIONS,
        network::FUNCTIONS,
        paths::FUNCTIONS,
        random::FUNCTIONS,
        reflection::FUNCTIONS,
        regex::FUNCTIONS,
        semver::FUNCTIONS,
        strings::FUNCTIONS,
        url::FUNCTIONS,
    ];
    let all = chapters.into_iter().flatten();
    Table { by_name: all.map(|function| (function.name, function)).collect() }
});

/// The function table of Helm 3.22.
pub fn functions() -> &'static Table {
    &TABLE
}

impl Table {
    /// The names of all functions, sorted.
    pub fn names(&self) -> impl Iterator<Item = &'static str> {
        let names: BTreeSet<&'static str> = self.by_name.keys().copied().collect();
        names.into_iter()
    }
}

impl Functions for Table {
    fn find(&self, name: &str) -> Option<&'static Function> {
        self.by_name.get(name).copied()
    }
}

#[cfg(test)]
mod tests;
