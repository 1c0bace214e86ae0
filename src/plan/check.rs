//! Whether a plan that was saved still is what would be done.

use std::collections::BTreeMap;
use std::fmt;

use super::{Plan, Step};

/// Something that is no longer as a plan has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Moved {
    /// The step's id.
    pub step: String,
    /// What moved.
    pub what: MovedWhat,
}

/// What is no longer as a plan has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MovedWhat {
    /// The step is no longer needed, or no longer possible.
    Gone,
    /// Another action would be taken.
    Action,
    /// What is rendered differs.
    Rendered,
    /// The release has another revision or status.
    Release,
    /// An object has changed.
    Object(String),
    /// Other objects would change.
    Changes,
}

impl fmt::Display for Moved {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let step = &self.step;
        match &self.what {
            MovedWhat::Gone => {
                write!(f, "{step}: there is nothing to do any more, or it cannot be")
            }
            MovedWhat::Action => write!(f, "{step}: something else would have to be done now"),
            MovedWhat::Rendered => write!(f, "{step}: what is rendered has changed"),
            MovedWhat::Release => write!(f, "{step}: the release has another revision now"),
            MovedWhat::Object(object) => write!(f, "{step}: {object} has changed"),
            MovedWhat::Changes => write!(f, "{step}: other objects would change now"),
        }
    }
}

/// What moved since `saved` was made, by `now`, the plan of the present. Steps that `saved` does
/// not have do not count: they are not done.
pub fn moved(saved: &Plan, now: &Plan) -> Vec<Moved> {
    let steps: BTreeMap<&str, &Step> =
        now.steps.iter().map(|step| (step.id.as_str(), step)).collect();
    let mut moved = Vec::new();
    for step in &saved.steps {
        let mut push = |what| moved.push(Moved { step: step.id.clone(), what });
        let Some(now) = steps.get(step.id.as_str()) else {
            push(MovedWhat::Gone);
            continue;
        };
        let (before, after) = (&step.preconditions, &now.preconditions);
        if before.desired_digest != after.desired_digest {
            push(MovedWhat::Rendered);
        } else if before.release_revision != after.release_revision
            || before.release_status != after.release_status
        {
            push(MovedWhat::Release);
        } else if let Some(object) = first_difference(&before.objects, &after.objects) {
            push(MovedWhat::Object(object.clone()));
        } else if step.action != now.action {
            push(MovedWhat::Action);
        } else if step.changes != now.changes {
            push(MovedWhat::Changes);
        }
    }
    moved
}

fn first_difference<'a>(
    before: &'a BTreeMap<String, String>,
    after: &'a BTreeMap<String, String>,
) -> Option<&'a String> {
    let changed = before.iter().find(|(object, state)| after.get(*object) != Some(state));
    let added = after.iter().find(|(object, _)| !before.contains_key(*object));
    changed.or(added).map(|(object, _)| object)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::ids::InstanceKey;
    use crate::plan::{PlanReport, Preconditions, Reason, StepAction};

    fn plan(change: impl FnOnce(&mut Step)) -> Plan {
        let mut step = Step {
            id: "c/a".to_owned(),
            key: InstanceKey { cluster: "c".into(), addon: "a".into() },
            namespace: "n".to_owned(),
            release: "a".to_owned(),
            action: StepAction::Upgrade,
            reason: Reason::Changed,
            from_version: None,
            to_version: None,
            changes: Vec::new(),
            preconditions: Preconditions {
                desired_digest: Some("d".into()),
                release_revision: Some(1),
                release_status: None,
                objects: [("Service/n/a".to_owned(), "s".to_owned())].into(),
            },
        };
        change(&mut step);
        Plan::sealed("r".into(), vec![step], Vec::new(), PlanReport::default())
    }

    fn told(change: impl FnOnce(&mut Step)) -> Vec<String> {
        moved(&plan(|_| {}), &plan(change)).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn a_plan_that_still_holds_has_not_moved() {
        assert!(told(|_| {}).is_empty());
    }

    #[test]
    fn every_precondition_is_told_when_it_moved() {
        assert_eq!(
            told(|step| step.preconditions.desired_digest = Some("e".into())),
            ["c/a: what is rendered has changed"]
        );
        assert_eq!(
            told(|step| step.preconditions.release_revision = Some(2)),
            ["c/a: the release has another revision now"]
        );
        assert_eq!(
            told(|step| {
                step.preconditions.objects.insert("Service/n/a".to_owned(), "t".to_owned());
            }),
            ["c/a: Service/n/a has changed"]
        );
        assert_eq!(
            told(|step| "c/b".clone_into(&mut step.id)),
            ["c/a: there is nothing to do any more, or it cannot be"]
        );
    }
}
