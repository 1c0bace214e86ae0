//! The strategy `blueGreen`: its steps, its checks, and the names of its releases.

use super::addons::{RELEASE_NAME_BYTES_MAX, bad_check};
use crate::base::diagnostic::Diagnostic;
use crate::fleet::blue_green::{BlueGreen, Slot};
use crate::fleet::model::{Addon, Document, HealthCheck};
use crate::health::check::Check;

/// Where the strategy stands in an Addon.
const AT: [&str; 4] = ["spec", "rollout", "strategy", "blueGreen"];

pub(super) fn check(addon: &Document<Addon>, found: &mut Vec<Diagnostic>) {
    let Some(spec) = addon.value.spec.rollout.strategy.blue_green() else { return };
    let mut checking = Checking { addon, spec, found };
    checking.release_names();
    checking.steps();
    checking.checks(&spec.checks, &[]);
    for (at, step) in spec.steps.iter().enumerate() {
        checking.checks(&step.checks, &["steps", &at.to_string()]);
    }
}

struct Checking<'a> {
    addon: &'a Document<Addon>,
    spec: &'a BlueGreen,
    found: &'a mut Vec<Diagnostic>,
}

impl Checking<'_> {
    fn release_names(&mut self) {
        let spec = &self.addon.value.spec;
        let name = self.addon.value.metadata.name.as_str();
        let base = spec.release_name.as_deref().unwrap_or(name);
        let longest = Slot::ALL.map(|slot| slot.release_name(base));
        let Some(longest) = longest.iter().find(|name| name.len() > RELEASE_NAME_BYTES_MAX) else {
            return;
        };
        let at: &[&str] = match spec.release_name {
            Some(_) => &["spec", "releaseName"],
            None => &["metadata", "name"],
        };
        let message = format!("a release name has at most {RELEASE_NAME_BYTES_MAX} characters");
        self.found.push(
            Diagnostic::error("bad-name", message)
                .label(self.addon.node.span_at(at), format!("`{longest}` would be too long"))
                .help("give it a shorter `releaseName`"),
        );
    }

    fn steps(&mut self) {
        let has_weights = self.spec.traffic.object().is_none_or(|object| object.kind.has_weights());
        let mut before = 0;
        for (at, step) in self.spec.steps.iter().enumerate() {
            let weight = step.weight;
            let wrong = if weight == 0 || weight > 100 {
                Some(("a step's weight is from 1 to 100 percent".to_owned(), "not a share"))
            } else if weight <= before {
                Some((format!("after {before} % a step has more than that"), "does not go on"))
            } else if weight < 100 && !has_weights {
                let message = "a Service's selector moves all traffic at once".to_owned();
                Some((message, "cannot be a part of it"))
            } else {
                None
            };
            before = before.max(weight);
            let Some((message, label)) = wrong else { continue };
            let at = at.to_string();
            let path = [&AT[..], &["steps", &at, "weight"]].concat();
            let mut diagnostic = Diagnostic::error("bad-number", message)
                .label(self.addon.node.span_at(&path), label);
            if !has_weights {
                diagnostic = diagnostic.help(
                    "weights need an `httpRoute`, `virtualService` or `traefikService`; a Service \
                     can have one step, of `weight: 100`",
                );
            }
            self.found.push(diagnostic);
        }
    }

    fn checks(&mut self, checks: &[HealthCheck], path: &[&str]) {
        for (at, check) in checks.iter().enumerate() {
            if let Err(error) = Check::compile(&check.cel) {
                let at = at.to_string();
                let path = [&AT[..], path, &["checks", &at, "cel"]].concat();
                self.found.push(bad_check(&error, self.addon.node.span_at(&path)));
            }
        }
    }
}
