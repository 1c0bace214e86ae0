//! Switches of clusters as text: a list of pairs, and one switch with its timeline.

use std::collections::BTreeMap;

use super::diff::push;
use super::paint::Paint;
use super::rollout::table;
use crate::base::clock::moment;
use crate::base::ids::ClusterName;
use crate::switch::{
    Pair, PairId, Phase, Switch, SwitchEvent, SwitchEventKind, SwitchId, Switches, Waiting,
};

/// Every pair, a line each.
pub fn list(switches: &Switches) -> String {
    let row = |(id, pair): (&PairId, &Pair)| {
        let newest = pair.switches.last();
        let serving = pair.serving.as_ref().map_or("unknown", ClusterName::as_str);
        let from_to = newest.map(|one| format!("{} → {}", one.blue, one.green));
        [
            id.policy.to_string(),
            id.to_string(),
            serving.to_owned(),
            newest.map(|one| one.id.to_string()).unwrap_or_default(),
            from_to.unwrap_or_default(),
            newest.map(|one| one.phase.word().to_owned()).unwrap_or_default(),
        ]
    };
    let rows: Vec<[String; 6]> = switches.pairs.iter().map(row).collect();
    table(["POLICY", "PAIR", "SERVES", "SWITCH", "CLUSTERS", "PHASE"], &rows)
}

/// Where a switch stands, and what it waits for, in one line.
pub fn line(switch: &Switch, waiting: Option<&Waiting>) -> String {
    let Switch { id, blue, green, .. } = switch;
    let reason = switch.reason.as_ref().map(|reason| format!(": {reason}")).unwrap_or_default();
    let waits = waiting.map(|waits| format!(" waits for {waits}")).unwrap_or_default();
    match &switch.phase {
        Phase::BringingUp | Phase::Gates { .. } => {
            format!("{green}, to take the place of {blue},{waits} ({id})")
        }
        Phase::Stopped => format!("{green} does not take the place of {blue}{reason} ({id})"),
        Phase::Switching { decision } => format!(
            "the traffic of {} goes to {} and{waits} ({id})",
            switch.other(&decision.to),
            decision.to
        ),
        Phase::Failed { decision } => format!(
            "the traffic of {} may have gone to {} or not{reason};{waits} ({id})",
            switch.other(&decision.to),
            decision.to
        ),
        Phase::Draining { .. } => format!("{green} serves in place of {blue} and{waits} ({id})"),
        Phase::Kept { .. } => {
            format!("{green} serves in place of {blue}, which is kept and{waits} ({id})")
        }
        Phase::Done => format!("{green} serves in place of {blue}{reason} ({id})"),
        Phase::Back => {
            format!("{blue} serves, to which traffic went back from {green}{reason} ({id})")
        }
        Phase::Abandoned => format!("{green} did not take the place of {blue}{reason} ({id})"),
    }
}

/// One switch: how it stands, what it waits for, and its timeline.
pub fn show(
    switch: &Switch,
    pair: Option<&Pair>,
    log: &[SwitchEvent],
    waiting: &BTreeMap<SwitchId, Waiting>,
    is_coloured: bool,
) -> String {
    let paint = Paint { is_coloured };
    let mut text = String::new();
    let title = format!("{}: {}", switch.id, switch.phase.word());
    push(&mut text, &paint.strong(&title));
    let serving = pair.and_then(|pair| pair.serving.as_ref());
    let serving = serving.map_or("unknown", ClusterName::as_str);
    push(&mut text, &format!("{} → {}, pair {}", switch.blue, switch.green, switch.pair));
    push(&mut text, &format!("serves: {serving}"));
    let waits = waiting.get(&switch.id);
    push(&mut text, &line(switch, waits));
    if let Some(Waiting::Parity { lacks, .. }) = waits {
        for lack in lacks {
            push(&mut text, &paint.removed(&format!("  ! {lack}")));
        }
    }
    text.push('\n');
    for event in log.iter().filter(|event| event.switch.as_ref() == Some(&switch.id)) {
        push(&mut text, &format!("{}  {}", paint.faint(&moment(event.at)), told(event)));
    }
    text
}

/// An event in words.
pub fn told(event: &SwitchEvent) -> String {
    use SwitchEventKind as Kind;
    let reason = event.reason.as_ref().map(|reason| format!(": {reason}")).unwrap_or_default();
    let what = match &event.kind {
        Kind::Serving { cluster, by: None } => format!("{cluster} serves"),
        Kind::Serving { cluster, by: Some(by) } => format!("{by} says that {cluster} serves"),
        Kind::Started { blue, green, .. } => format!("{green} is to take the place of {blue}"),
        Kind::Repinned { revision, .. } => {
            format!("begins again with the policy of {}", revision.short())
        }
        Kind::ParityReached { .. } => "at parity".to_owned(),
        Kind::ParityLost { .. } => "not at parity any more".to_owned(),
        Kind::GateFailed { .. } => "stopped".to_owned(),
        Kind::Approved { by } => format!("{by} approves"),
        Kind::Decided { number, to, by: None, .. } => {
            format!("decision {number}: traffic goes to {to}")
        }
        Kind::Decided { number, to, by: Some(by), .. } => {
            format!("decision {number} by {by}: traffic goes to {to}")
        }
        Kind::HookDone { number } => format!("decision {number} is carried out"),
        Kind::HookFailed { number } => format!("the hook of decision {number} has failed"),
        Kind::Unwell { .. } => "the new cluster is not well".to_owned(),
        Kind::Well { .. } => "the new cluster is well again".to_owned(),
        Kind::Drained { .. } => "the old cluster is drained, and kept from now on".to_owned(),
        Kind::Done { .. } => "done".to_owned(),
        Kind::Retried { by } => format!("{by} wants it tried again"),
        Kind::Abandoned => "comes to nothing".to_owned(),
    };
    format!("{what}{reason}")
}
