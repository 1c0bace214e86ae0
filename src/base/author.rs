//! Who has written a commit.

use serde::{Deserialize, Serialize};

/// Who has written a commit.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Author {
    /// The name.
    pub name: String,
    /// The address.
    pub email: String,
}

impl Author {
    /// Whether that is what somebody is called: their name, their address, or what is before its `@`.
    pub fn is_called(&self, name: &str) -> bool {
        let user = self.email.split('@').next().unwrap_or_default();
        [self.name.as_str(), self.email.as_str(), user]
            .iter()
            .any(|known| !known.is_empty() && known.eq_ignore_ascii_case(name))
    }
}
