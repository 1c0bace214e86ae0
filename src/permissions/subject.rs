//! Who gets permissions.

use std::fmt;
use std::str::FromStr;

use serde::Serialize;

/// How a service account is named as a user.
const SERVICE_ACCOUNT: &str = "system:serviceaccount:";

/// Who gets permissions.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "kind")]
pub enum Subject {
    /// A user, by the name that the API server knows them by.
    User {
        /// The name.
        name: String,
    },
    /// Everybody of a group.
    Group {
        /// Its name.
        name: String,
    },
    /// A service account.
    ServiceAccount {
        /// Its namespace.
        namespace: String,
        /// Its name.
        name: String,
    },
}

impl Subject {
    /// The subject that a review of oneself tells by its user name.
    pub fn of_user(name: &str) -> Self {
        let account = name.strip_prefix(SERVICE_ACCOUNT).and_then(|rest| rest.split_once(':'));
        match account {
            Some((namespace, name)) => {
                Self::ServiceAccount { namespace: namespace.to_owned(), name: name.to_owned() }
            }
            None => Self::User { name: name.to_owned() },
        }
    }
}

impl FromStr for Subject {
    type Err = String;

    /// Reads `User:NAME`, `Group:NAME` or `ServiceAccount:NAMESPACE/NAME`. Names may have colons.
    fn from_str(text: &str) -> Result<Self, String> {
        let forms = "it is `User:NAME`, `Group:NAME` or `ServiceAccount:NAMESPACE/NAME`";
        let (kind, name) = text.split_once(':').ok_or(forms)?;
        if name.is_empty() {
            return Err(forms.to_owned());
        }
        match kind {
            "User" => Ok(Self::User { name: name.to_owned() }),
            "Group" => Ok(Self::Group { name: name.to_owned() }),
            "ServiceAccount" => match name.split_once('/') {
                Some((namespace, name)) if !namespace.is_empty() && !name.is_empty() => {
                    Ok(Self::ServiceAccount {
                        namespace: namespace.to_owned(),
                        name: name.to_owned(),
                    })
                }
                _ => Err("a service account is `ServiceAccount:NAMESPACE/NAME`".to_owned()),
            },
            _ => Err(forms.to_owned()),
        }
    }
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::User { name } => write!(f, "User:{name}"),
            Self::Group { name } => write!(f, "Group:{name}"),
            Self::ServiceAccount { namespace, name } => {
                write!(f, "ServiceAccount:{namespace}/{name}")
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_subject_is_read_as_it_is_written() {
        for text in ["User:ada", "Group:system:masters", "ServiceAccount:fitout/controller"] {
            assert_eq!(text.parse::<Subject>().map(|subject| subject.to_string()), Ok(text.into()));
        }
        for text in ["ada", "User:", "ServiceAccount:fitout", "ServiceAccount:/x", "Robot:x"] {
            assert!(text.parse::<Subject>().is_err(), "{text}");
        }
    }

    #[test]
    fn a_service_account_is_told_by_its_user_name() {
        let account = Subject::of_user("system:serviceaccount:fitout:controller");
        assert_eq!(account.to_string(), "ServiceAccount:fitout/controller");
        assert_eq!(Subject::of_user("ada").to_string(), "User:ada");
    }
}
