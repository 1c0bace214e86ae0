//! Faults that a simulated cluster shows when told to: always the same ones for the same requests.

use std::time::Duration;

use http::Method;
use sha2::Digest as _;

use super::request::{Request, Target};

/// What goes wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fault {
    /// No answer: the connection is refused.
    Unreachable,
    /// 429, with the seconds to wait.
    TooManyRequests(u32),
    /// 500.
    ServerError,
    /// The answer takes this long.
    Slow(Duration),
    /// 403.
    Forbidden,
    /// 409: the object has moved on.
    Conflict,
    /// The request takes effect, and the answer is lost.
    LostAnswer,
    /// It gets nowhere, and nobody says so.
    Hangs,
    /// The request takes effect, and no answer ever comes.
    HangsAfter,
}

/// Which requests a rule is about; an empty field means any.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Requests {
    /// `get`, `list`, `watch`, `create`, `update`, `patch`, `delete`.
    pub verb: String,
    /// `deployments`.
    pub plural: String,
    /// The object's name, where the path has one.
    pub name: String,
}

/// Which of these requests.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum When {
    /// All of them.
    Always,
    /// So many, after so many that go well.
    Times {
        /// That go well first.
        after: u32,
        /// That fail then.
        times: u32,
    },
    /// So many of a thousand, chosen by a seed.
    Seeded {
        /// Decides which.
        seed: u64,
        /// Of a thousand.
        per_mille: u16,
    },
}

/// One rule.
#[derive(Clone, Debug)]
pub struct Rule {
    /// About these requests.
    pub requests: Requests,
    /// Of which these.
    pub when: When,
    /// Show this.
    pub fault: Fault,
    seen: u64,
}

/// The rules of one cluster. The first that fits decides.
#[derive(Clone, Debug, Default)]
pub struct Faults {
    rules: Vec<Rule>,
}

impl Faults {
    /// No faults.
    pub fn none() -> Self {
        Self::default()
    }

    /// One more rule.
    pub fn with(mut self, fault: Fault, requests: Requests, when: When) -> Self {
        self.rules.push(Rule { requests, when, fault, seen: 0 });
        self
    }

    /// A cluster that cannot be reached.
    pub fn unreachable() -> Self {
        Self::none().with(Fault::Unreachable, Requests::default(), When::Always)
    }

    /// The fault that a request meets. Counts the request.
    pub fn meet(&mut self, request: &Request) -> Option<Fault> {
        let facts = facts(request);
        let mut met = None;
        for rule in self.rules.iter_mut().filter(|rule| rule.requests.fit(&facts)) {
            let at = rule.seen;
            rule.seen += 1;
            if met.is_none() && rule.when.holds(at) {
                met = Some(rule.fault.clone());
            }
        }
        met
    }
}

impl When {
    fn holds(&self, at: u64) -> bool {
        match self {
            Self::Always => true,
            Self::Times { after, times } => {
                let after = u64::from(*after);
                at >= after && at < after + u64::from(*times)
            }
            Self::Seeded { seed, per_mille } => {
                let digest = sha2::Sha256::digest(format!("{seed}:{at}").as_bytes());
                let number = u16::from_be_bytes([digest[0], digest[1]]) % 1_000;
                number < *per_mille
            }
        }
    }
}

impl Requests {
    /// Every request of a verb for a plural.
    pub fn of(verb: &str, plural: &str) -> Self {
        Self { verb: verb.to_owned(), plural: plural.to_owned(), name: String::new() }
    }

    fn fit(&self, facts: &Self) -> bool {
        let fits = |wanted: &str, given: &str| wanted.is_empty() || wanted == given;
        fits(&self.verb, &facts.verb)
            && fits(&self.plural, &facts.plural)
            && fits(&self.name, &facts.name)
    }
}

fn facts(request: &Request) -> Requests {
    let Target::Objects(path) = request.target() else { return Requests::default() };
    let is_one = !path.name.is_empty();
    let verb = match (&request.method, is_one) {
        (&Method::GET, true) => "get",
        (&Method::GET, false) if request.query.is_true("watch") => "watch",
        (&Method::GET, false) => "list",
        (&Method::POST, _) => "create",
        (&Method::PUT, _) => "update",
        (&Method::PATCH, _) => "patch",
        (&Method::DELETE, true) => "delete",
        (&Method::DELETE, false) => "deletecollection",
        _ => "other",
    };
    Requests { verb: verb.to_owned(), plural: path.plural, name: path.name }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rule_counts_its_requests() {
        let when = When::Times { after: 1, times: 2 };
        let held: Vec<_> = (0..5).map(|at| when.holds(at)).collect();
        assert_eq!(held, [false, true, true, false, false]);
    }

    #[test]
    fn a_seed_always_chooses_the_same() {
        let held = |seed| {
            let when = When::Seeded { seed, per_mille: 200 };
            (0..1_000).filter(|at| when.holds(*at)).collect::<Vec<_>>()
        };
        assert_eq!(held(1), held(1));
        assert_ne!(held(1), held(2));
        assert!((100..300).contains(&held(1).len()), "{}", held(1).len());
    }
}
