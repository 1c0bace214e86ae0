//! Names and identities. No bare `String` stands for one of these outside this module.

use std::fmt;
use std::sync::Arc;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The namespace that is fitout's own on a cluster. It need not be there.
pub const OWN_NAMESPACE: &str = "fitout";

macro_rules! name_type {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
        #[serde(transparent)]
        pub struct $name(Arc<str>);

        impl $name {
            /// Wraps a name as it is; whether it is well-formed is checked where it is read.
            pub fn new(name: impl Into<Arc<str>>) -> Self {
                Self(name.into())
            }

            /// The name as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{:?}", &*self.0)
            }
        }

        impl std::borrow::Borrow<str> for $name {
            fn borrow(&self) -> &str {
                &self.0
            }
        }

        impl From<&str> for $name {
            fn from(name: &str) -> Self {
                Self::new(name)
            }
        }

        impl From<String> for $name {
            fn from(name: String) -> Self {
                Self::new(name)
            }
        }
    };
}

name_type! {
    /// The `metadata.name` of a Cluster document.
    ClusterName
}
name_type! {
    /// The `metadata.name` of an Addon document.
    AddonName
}
name_type! {
    /// The `metadata.name` of a RolloutPolicy document.
    PolicyName
}
name_type! {
    /// The `metadata.name` of a ChartRepository document.
    RepositoryName
}
name_type! {
    /// A commit of the fleet's git repository as 40 hexadecimal digits, or `worktree:` and a
    /// content digest for files that are not committed.
    Rev
}
name_type! {
    /// A SHA-256 as 64 lower-case hexadecimal digits.
    Digest
}

impl Digest {
    /// The digest of `bytes`.
    pub fn of(bytes: &[u8]) -> Self {
        use sha2::Digest as _;
        Self::from(hex(&sha2::Sha256::digest(bytes)))
    }

    /// The first twelve digits, for people.
    pub fn short(&self) -> &str {
        self.0.get(..12).unwrap_or(&self.0)
    }
}

impl Rev {
    /// The first nine digits of a commit, for people; a work tree is `worktree`.
    pub fn short(&self) -> &str {
        match self.0.split_once(':') {
            Some((kind, _)) => kind,
            None => self.0.get(..9).unwrap_or(&self.0),
        }
    }
}

/// One addon on one cluster: what a rollout moves, a diff compares and a status shows.
#[derive(
    Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
pub struct InstanceKey {
    /// The cluster it is on.
    pub cluster: ClusterName,
    /// The addon it is of.
    pub addon: AddonName,
}

impl fmt::Display for InstanceKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.cluster, self.addon)
    }
}

/// Lower-case hexadecimal digits of `bytes`.
pub fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        write!(text, "{byte:02x}").expect("writing to a String cannot fail");
        text
    })
}
