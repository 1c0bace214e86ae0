//! What a change does to every cluster: text, markdown and JSON.

mod fit;
pub mod html;
pub mod json;
pub mod markdown;
pub mod text;

use super::diff::{Line, Sign, lines_of, write_field};
use crate::base::diagnostic::counted;
use crate::base::ids::ClusterName;
use crate::diff::Op;
use crate::fleet::model::OnFailure;
use crate::preview::{
    DocumentChange, Folded, Group, LiveReport, PlannedCalendar, PlannedRollout, PlannedStage,
    Preview, Risk,
};

/// Names that come from charts may hold anything: nothing in a report may steer a terminal or
/// break its line.
fn clean(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect()
}

/// A few names, and how many more there are.
fn some<T: ToString>(names: impl IntoIterator<Item = T>) -> String {
    let names: Vec<String> = names.into_iter().map(|name| clean(&name.to_string())).collect();
    crate::base::diagnostic::few(&names.iter().map(String::as_str).collect::<Vec<&str>>())
}

/// The whole of it in one line.
fn summary(preview: &Preview) -> String {
    if preview.is_empty() {
        return "nothing changes on any cluster".to_owned();
    }
    let objects = preview.objects();
    let on = counted(preview.clusters().len(), "cluster");
    match objects {
        0 if !preview.unknown.is_empty() => "what changes cannot be told".to_owned(),
        0 if preview.clusters().is_empty() => "no object changes".to_owned(),
        _ => {
            let verb = if objects == 1 { "changes" } else { "change" };
            format!("{} {verb} on {on}", counted(objects, "object"))
        }
    }
}

/// What clusters that were asked say, in one line.
fn live_summary(live: &LiveReport) -> String {
    let (objects, clusters) = (live.objects(), live.clusters.len());
    let verb = if objects == 1 { "differs" } else { "differ" };
    let silent = match live.silent.len() {
        0 => String::new(),
        count => format!("; {} said nothing", counted(count, "cluster")),
    };
    let objects = counted(objects, "object");
    format!("{objects} {verb} from the head on {} asked{silent}", counted(clusters, "cluster"))
}

/// What is in the way on clusters that were asked, and who said nothing.
fn live_problems(live: &LiveReport) -> impl Iterator<Item = String> {
    let silent = live.silent.iter().map(|(cluster, why)| clean(&format!("{cluster}: {why}")));
    let problem = |(key, problem): &(_, String)| clean(&format!("{key}: {problem}"));
    silent.chain(live.problems.iter().map(problem))
}

/// Instances that are as the head wants them.
fn live_unchanged(live: &LiveReport) -> Option<String> {
    let told = some(&live.unchanged);
    let verb = if live.unchanged.len() == 1 { "is" } else { "are" };
    (!live.unchanged.is_empty()).then(|| format!("{told} {verb} as the head says already"))
}

/// How much of the fleet was looked at.
fn reach(preview: &Preview) -> String {
    let reached = preview.reached;
    format!("the change can reach {reached} of {}", counted(preview.instances, "instance"))
}

/// What a group is about, without its risk.
fn title(group: &Group) -> String {
    let goes = if group.is_whole && group.risk != Risk::Arrival { " goes" } else { "" };
    clean(&format!("{}{goes}: {}", group.addon, group.who))
}

/// The lines of a group's changes.
fn group_lines(group: &Group) -> Vec<Line> {
    let mut lines = Vec::new();
    for change in &group.changes {
        let mut of_change = lines_of(&change.change);
        if group.is_whole {
            of_change.truncate(1);
        }
        if let Some(first) = of_change.first_mut() {
            first.content = clean(&first.content);
            first.origin = clean(&first.origin);
            if change.variants > 1 {
                first.origin.push_str(&format!("  (one of {} variants)", change.variants));
            }
        }
        lines.extend(of_change);
    }
    lines
}

fn document_lines(document: &DocumentChange) -> Vec<Line> {
    let sign = match document.op {
        Op::Create => Sign::Added,
        Op::Delete => Sign::Removed,
        Op::Update | Op::Replace | Op::Keep => Sign::Changed,
    };
    let mut lines = vec![Line {
        indent: 2,
        sign,
        content: format!("{} {}", document.kind, clean(&document.name)),
        origin: String::new(),
    }];
    for field in &document.fields {
        write_field(&mut lines, Op::Update, field);
    }
    lines
}

/// `48 objects: label helm.sh/chart 1.2.0 → 1.3.0`.
fn folded_line(folded: &Folded) -> String {
    let values = match &folded.values {
        Some((before, after)) => format!(" {before} → {after}"),
        None => " changes".to_owned(),
    };
    let restarts = match folded.restarts {
        0 => String::new(),
        1 => ", for which 1 workload restarts".to_owned(),
        count => format!(", for which {count} workloads restart"),
    };
    let objects = counted(folded.objects, "object");
    clean(&format!(
        "{}: {objects}: {}{values}{restarts} ({})",
        folded.addon, folded.what, folded.who
    ))
}

fn rollout_title(rollout: &PlannedRollout) -> String {
    let policy = match &rollout.policy {
        Some(policy) => format!("by policy {policy}"),
        None => "without a policy".to_owned(),
    };
    let clusters = counted(rollout.clusters, "cluster");
    let train = if rollout.train.is_empty() {
        String::new()
    } else {
        format!(", in one train with {}", some(&rollout.train))
    };
    let then = on_failures(rollout.on_failure, rollout.failures_max);
    clean(&format!("{} {policy}{train}: {clusters}; {then}", rollout.addon))
}

/// What becomes of it when so many have failed.
fn on_failures(on_failure: OnFailure, max: usize) -> String {
    let failures = counted(max, "failure");
    match on_failure {
        OnFailure::Continue => "goes on without what fails".to_owned(),
        OnFailure::Rollback => format!("goes back at {failures}"),
        OnFailure::Pause => format!("pauses at {failures}"),
    }
}

/// A stage: who is first, how many at a time, what has to hold before the next one.
fn stage_line(stage: &PlannedStage) -> String {
    const SHOWN: usize = 4;
    let total = stage.clusters.len();
    let names: Vec<&str> = stage.clusters.iter().map(ClusterName::as_str).take(SHOWN).collect();
    let first = &names[..names.len().min(stage.at_a_time)];
    let more = stage.at_a_time.min(total).saturating_sub(first.len());
    let more = if more == 0 { String::new() } else { format!(" and {more} more") };
    let pace = if stage.at_a_time >= total {
        format!("{}{more}", first.join(", "))
    } else {
        format!("{} at a time, first {}{more}", stage.at_a_time, first.join(", "))
    };
    let gates = stage.gates.join(", ");
    let when = calendar(&stage.calendar);
    let own = stage.own_failures.map(|(max, then)| format!("; {}", on_failures(then, max)));
    let own = own.unwrap_or_default();
    let clusters = counted(total, "cluster");
    clean(&format!("{}: {clusters} ({pace}){when}; then {gates}{own}", stage.name))
}

/// When a stage may begin clusters: `, Mon–Thu 08:00–16:00 Europe/Zurich, not before …`.
fn calendar(calendar: &PlannedCalendar) -> String {
    let mut told = String::new();
    let listed = |all: Vec<String>, word: &str| format!(", {word}{}", all.join(" and "));
    if !calendar.windows.is_empty() {
        told += &listed(calendar.windows.iter().map(ToString::to_string).collect(), "");
    }
    if !calendar.freezes.is_empty() {
        told += &listed(calendar.freezes.iter().map(ToString::to_string).collect(), "not ");
    }
    match calendar.closed.as_ref().map(|closed| closed.until) {
        Some(Some(until)) => {
            told + &format!(", closed until {}", until.strftime("%Y-%m-%d %H:%MZ"))
        }
        Some(None) => told + ", closed for good",
        None => told,
    }
}

fn left_out(rollout: &PlannedRollout) -> Option<String> {
    let told = some(&rollout.left_out);
    (!rollout.left_out.is_empty())
        .then(|| clean(&format!("no stage takes {told}: they stay as they are")))
}
