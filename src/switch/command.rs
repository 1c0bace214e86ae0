//! What people say to a switch: approve, go back, try again.

use super::event::{Proof, SwitchEvent, SwitchEventKind as Kind};
use super::model::{Phase, Switch};
use crate::base::clock::Timestamp;

/// What somebody says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Command {
    /// Traffic may be switched, as far as they are concerned.
    Approve,
    /// Traffic goes back to the cluster that served before.
    Back,
    /// A switch that was stopped, has gone back or has failed is tried again.
    Retry,
}

/// Why a command has no effect.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// It is not where that could be said.
    #[error("switch {switch} is {phase}: {help}")]
    Phase {
        /// Which.
        switch: String,
        /// Where it stands.
        phase: &'static str,
        /// What it would have to be.
        help: &'static str,
    },
    /// No approval is asked for.
    #[error("switch {switch} asks for no approval")]
    NoApproval {
        /// Which.
        switch: String,
    },
    /// It is not for them to say.
    #[error("{by} may not approve switch {switch}: its policy says who may (`from`)")]
    NotApprover {
        /// Which.
        switch: String,
        /// Who.
        by: String,
    },
    /// The same person has approved it.
    #[error("{by} has approved switch {switch} already")]
    Twice {
        /// Which.
        switch: String,
        /// Who.
        by: String,
    },
}

/// What follows from a command, to be recorded.
///
/// # Errors
/// Why nothing does.
pub fn command(
    switch: &Switch,
    what: Command,
    by: &str,
    reason: Option<&str>,
    now: Timestamp,
) -> Result<SwitchEvent, Refused> {
    let event = |kind: Kind| {
        let event = SwitchEvent::of(switch, kind, now);
        SwitchEvent { reason: reason.map(str::to_owned), ..event }
    };
    let refused = |help: &'static str| Refused::Phase {
        switch: switch.id.to_string(),
        phase: switch.phase.word(),
        help,
    };
    let by_text = || by.to_owned();
    let go_back = || {
        let (number, to) = (switch.decisions + 1, switch.blue.clone());
        event(Kind::Decided { number, to, by: Some(by_text()), proof: Proof::default() })
    };
    match (what, &switch.phase) {
        (Command::Approve, phase) => {
            let Some(approval) = switch.policy.approval() else {
                return Err(Refused::NoApproval { switch: switch.id.to_string() });
            };
            if !matches!(phase, Phase::Gates { .. }) {
                return Err(refused("it can be approved once it is at parity, until it switches"));
            }
            let may = approval.from.is_empty() || approval.from.iter().any(|one| one == by);
            if !may {
                return Err(Refused::NotApprover { switch: switch.id.to_string(), by: by_text() });
            }
            if switch.approvals.contains(by) {
                return Err(Refused::Twice { switch: switch.id.to_string(), by: by_text() });
            }
            Ok(event(Kind::Approved { by: by_text() }))
        }
        (Command::Back, Phase::Switching { decision }) if decision.to == switch.blue => {
            Err(refused("its traffic is on its way back"))
        }
        (
            Command::Back,
            Phase::Switching { .. }
            | Phase::Failed { .. }
            | Phase::Draining { .. }
            | Phase::Kept { .. },
        ) => Ok(go_back()),
        (Command::Back, phase) if phase.is_before() || *phase == Phase::Abandoned => {
            Err(refused("its traffic never went anywhere"))
        }
        (Command::Back, Phase::Back) => Err(refused("its traffic has gone back")),
        (Command::Back, _) => {
            Err(refused("the old cluster was kept long enough; put it back as a new one"))
        }
        (Command::Retry, Phase::Failed { decision }) if decision.to == switch.blue => Ok(go_back()),
        // Where traffic went half way, it goes the whole way once all holds again.
        (Command::Retry, Phase::Stopped | Phase::Back | Phase::Failed { .. }) => {
            Ok(event(Kind::Retried { by: by_text() }))
        }
        (Command::Retry, _) => {
            Err(refused("only what was stopped, failed or went back is tried again"))
        }
    }
}
