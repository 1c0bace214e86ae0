//! All impurity of a render behind one trait.

use std::fmt;

use super::value::Value;

/// What a template may learn that is not in its inputs. Shared with the thread that renders.
pub trait World: fmt::Debug + Sync {
    /// Nanoseconds since the Unix epoch.
    fn now(&self) -> i128;
    /// Fills `bytes` with random ones. A fixed seed makes a render repeatable.
    fn random(&self, bytes: &mut [u8]);
    /// Helm's `lookup`: one object, or with an empty name a list; an empty map when there is none
    /// or when rendering offline.
    fn lookup(
        &self,
        api_version: &str,
        kind: &str,
        namespace: &str,
        name: &str,
    ) -> Result<Value, String>;
}
