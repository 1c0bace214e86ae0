//! Rollouts as text: a list, and one of them with its stages, members and timeline.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use super::paint::Paint;
use crate::base::clock::moment;
use crate::base::diagnostic::{counted, few};
use crate::base::ids::{AddonName, ClusterName};
use crate::fleet::schema::API_VERSION;
use crate::rollout::approval::TRAILER;
use crate::rollout::replay::Replay;
use crate::rollout::stages::{allowed, failures_max};
use crate::rollout::{Event, EventKind, Member, MemberState, Phase, Rollout, RolloutId, WaitingOn};

/// A list, newest last: a line each.
pub fn list<'a>(rollouts: impl IntoIterator<Item = &'a Rollout>) -> String {
    let rows: Vec<[String; 6]> = rollouts
        .into_iter()
        .map(|rollout| {
            [
                rollout.id.to_string(),
                rollout.rev.short().to_owned(),
                rollout.phase.word().to_owned(),
                stage_word(rollout),
                progress(rollout),
                moment(rollout.started_at),
            ]
        })
        .collect();
    table(["ROLLOUT", "COMMIT", "PHASE", "STAGE", "CLUSTERS", "STARTED"], &rows)
}

/// What came of making a rollout's decisions again: a line, and where they differ both sides.
pub fn replayed(id: &RolloutId, again: &Replay) -> String {
    let Replay { given, decided, difference } = again;
    let told = format!(
        "{id}: {} given, {} made again from them",
        counted(*given, "event"),
        counted(*decided, "decision")
    );
    let Some(difference) = difference else { return format!("{told}, all as recorded\n") };
    let side = |event: &Option<Event>| match event {
        None => "nothing".to_owned(),
        Some(event) => {
            let at = [event.stage.as_deref(), event.cluster.as_ref().map(ClusterName::as_str)];
            let at: Vec<&str> = at.into_iter().flatten().collect();
            let why = event.reason.as_deref().map_or(String::new(), |why| format!(": {why}"));
            format!("{} {} {}{why}", moment(event.at), at.join(" "), self::told(event))
        }
    };
    format!(
        "{told}, up to event {}\n  recorded: {}\n  decided:  {}\n",
        difference.index + 1,
        side(&difference.recorded),
        side(&difference.decided)
    )
}

/// The present stage, where there is one.
fn stage_word(rollout: &Rollout) -> String {
    if rollout.phase.is_ended() && rollout.phase != Phase::Completed {
        return format!("ended in {}", rollout.stage_name(rollout.stage));
    }
    rollout.stage_name(rollout.stage).to_owned()
}

/// `5/8`: members done, of those that it changes.
fn progress(rollout: &Rollout) -> String {
    let is_done = |member: &&Member| matches!(member.state, MemberState::Soaked { .. });
    let done = rollout.members.values().filter(is_done).count();
    format!("{done}/{}", rollout.changing_count())
}

/// Columns as wide as their widest cell.
pub fn table<const N: usize>(head: [&str; N], rows: &[[String; N]]) -> String {
    let width = |column: usize| {
        let cells = rows.iter().map(|row| row[column].chars().count());
        cells.chain([head[column].len()]).max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..N).map(width).collect();
    let mut text = String::new();
    let head = head.map(str::to_owned);
    for row in std::iter::once(&head).chain(rows) {
        let cells: Vec<String> =
            row.iter().zip(&widths).map(|(cell, width)| format!("{cell:<width$}")).collect();
        let _ = writeln!(text, "{}", cells.join("  ").trim_end());
    }
    text
}

/// One rollout: how it stands, what each member waits for, and its timeline.
pub fn show(
    rollout: &Rollout,
    log: &[Event],
    waiting: &BTreeMap<ClusterName, WaitingOn>,
    is_coloured: bool,
) -> String {
    let paint = Paint { is_coloured };
    let mut text = String::new();
    let policy = rollout.policy_name.as_ref().map_or_else(
        || "no policy: all clusters at once".to_owned(),
        |name| format!("policy {name}"),
    );
    let title = format!("{}: {}", rollout.id, phase(&rollout.phase));
    let _ = writeln!(text, "{}", paint.strong(&title));
    let _ = writeln!(text, "commit {}, {policy}{}", rollout.rev, train(rollout));
    if rollout.lacks_approval() {
        let _ = writeln!(text, "plan {}", rollout.plan());
    }
    text.push('\n');
    for (index, stage) in rollout.policy.stages.iter().enumerate() {
        let mark = stage_mark(rollout, index);
        let told = paint.faint(&stage_told(rollout, index));
        let _ = writeln!(text, "{mark} {}{told}", paint.strong(&stage.name));
        let mut members: Vec<_> = rollout.changing(index).collect();
        members.sort_by_key(|(_, member)| member.order);
        for (name, member) in members {
            let _ = writeln!(text, "    {}", member_line(name, member, waiting, paint));
        }
    }
    let outside: Vec<_> = rollout
        .members
        .iter()
        .filter(|(_, member)| member.stage.is_none() && member.state != MemberState::Unchanged)
        .collect();
    if !outside.is_empty() {
        let _ = writeln!(text, "  {}", paint.strong("in no stage"));
        for (name, member) in outside {
            let _ = writeln!(text, "    {}", member_line(name, member, waiting, paint));
        }
    }
    let _ = writeln!(text, "\n{}", paint.strong("timeline"));
    for event in log {
        let _ = writeln!(text, "  {}", timeline(event));
    }
    text
}

/// What approves the present stages of rollouts in git: a commit's trailers, or a document for each.
pub fn approval_in_git(rollouts: &[&Rollout], is_signed: bool) -> String {
    let mut text = String::from("# The trailer of a commit's message, which needs no file:\n");
    let sign = if is_signed { "-S " } else { "" };
    let _ = write!(text, "git commit {sign}--allow-empty -m 'Approve {}'", rollouts[0].id);
    for one in rollouts {
        let stage = one.stage_name(one.stage);
        let value = format!("{} {stage} {}", one.id, one.plan());
        let _ = write!(text, " \\\n  --trailer '{TRAILER}: {value}'");
    }
    text.push('\n');
    for one in rollouts {
        let (id, stage) = (&one.id, one.stage_name(one.stage));
        let _ = writeln!(text, "---\n# Or a file, such as approvals/{id}-{stage}.yaml:");
        let _ = writeln!(text, "apiVersion: {API_VERSION}\nkind: Approval");
        let _ = writeln!(text, "metadata: {{name: {id}-{stage}}}");
        let _ = writeln!(text, "spec:\n  rollout: {id}\n  stage: {stage}\n  plan: {}", one.plan());
    }
    text
}

/// What it moves with: `, in one train with base and mon`.
pub fn train(rollout: &Rollout) -> String {
    let addons = rollout.train.iter().flat_map(|train| &train.addons);
    let others: Vec<&str> =
        addons.filter(|addon| *addon != rollout.addon()).map(AddonName::as_str).collect();
    if others.is_empty() { String::new() } else { format!(", in one train with {}", few(&others)) }
}

fn phase(phase: &Phase) -> String {
    match phase {
        Phase::Paused { by, since } => format!("paused by {by} since {}", moment(*since)),
        Phase::Stopped { reason, .. } => format!("stopped: {reason}"),
        Phase::GoingBack { reason, .. } => format!("going back: {reason}"),
        Phase::RolledBack { reason } => format!("rolled back: {reason}"),
        Phase::Aborted { by } => format!("aborted by {by}"),
        Phase::Superseded { by: Some(by) } => format!("superseded by {by}"),
        phase => phase.word().to_owned(),
    }
}

/// What is special about a stage: a sample, a pace, failures of its own.
fn stage_told(rollout: &Rollout, index: usize) -> String {
    let Some(stage) = rollout.policy.stages.get(index) else { return String::new() };
    let mut told = Vec::new();
    let of = rollout.changing(index).find_map(|(_, member)| Some(member.picked.as_ref()?.of));
    if let Some((pick, of)) = stage.pick.as_ref().zip(of) {
        let percent = pick.percent.map(|percent| format!("{percent} %"));
        let least = pick.at_least.map(|least| format!("at least {least}"));
        let spread = (!pick.spread_by.is_empty())
            .then(|| format!("spread over {}", pick.spread_by.join(" and ")));
        let how: Vec<String> = [percent, least, spread].into_iter().flatten().collect();
        let (size, of) = (rollout.changing(index).count(), counted(of, "cluster"));
        told.push(format!("{size} of {of} picked: {}", how.join(", ")));
    }
    let total = rollout.changing(index).count();
    let allowed = allowed(stage.batch.as_ref(), total);
    if allowed < total {
        told.push(format!("{allowed} at a time"));
    }
    if let Some(max) = &stage.max_failures {
        let max = counted(failures_max(Some(max), total), "failure");
        told.push(format!("stops at {max} of its own"));
    }
    if told.is_empty() { String::new() } else { format!("  ({})", told.join("; ")) }
}

fn stage_mark(rollout: &Rollout, index: usize) -> &'static str {
    let stage = &rollout.stages[index];
    match (stage.passed_at, stage.started_at) {
        (Some(_), None) => "-",
        (Some(_), Some(_)) => "✓",
        (None, Some(_)) if matches!(rollout.phase, Phase::RolledBack { .. }) => "✗",
        (None, Some(_)) => ">",
        (None, None) => " ",
    }
}

fn member_line(
    name: &ClusterName,
    member: &Member,
    waiting: &BTreeMap<ClusterName, WaitingOn>,
    paint: Paint,
) -> String {
    let state = member.state.word();
    let state = match &member.state {
        MemberState::Soaked { .. } => paint.added(state),
        MemberState::Failed { reason }
        | MemberState::Stuck { reason }
        | MemberState::Skipped { reason, by: None } => {
            format!("{}: {reason}", paint.removed(state))
        }
        MemberState::Skipped { reason, by: Some(by) } => {
            format!("{} by {by}: {reason}", paint.removed(state))
        }
        _ => state.to_owned(),
    };
    let waits = waiting.get(name).map(|waits| format!("({waits})"));
    let picked = member.picked.as_ref().filter(|one| !one.covers.is_empty());
    let picked = picked.map(|one| format!("[for {}]", one.covers.join(", ")));
    let notes: Vec<String> = waits.into_iter().chain(picked).collect();
    if notes.is_empty() {
        return format!("{name}  {state}");
    }
    format!("{name}  {state} {}", paint.faint(&notes.join(" ")))
}

/// An event as a line of a timeline.
pub fn timeline(event: &Event) -> String {
    let mut words = vec![moment(event.at)];
    words.extend(event.stage.clone());
    words.extend(event.cluster.as_ref().map(ToString::to_string));
    words.push(told(event));
    let line = words.join("  ");
    match &event.reason {
        Some(reason) => format!("{line}: {reason}"),
        None => line,
    }
}

/// What happened, in words.
pub fn told(event: &Event) -> String {
    match &event.kind {
        EventKind::RolloutStarted { members, .. } => {
            format!("began, {} clusters", members.len())
        }
        EventKind::StageStarted => "stage begins".to_owned(),
        EventKind::InstanceStarted { .. } => "begins".to_owned(),
        EventKind::InstanceApplied { release_revision: 0, .. } => "removed".to_owned(),
        EventKind::InstanceApplied { release_revision, .. } => {
            format!("applied, as release revision {release_revision}")
        }
        EventKind::InstanceHealthy { .. } => "healthy".to_owned(),
        EventKind::InstanceSoaked { .. } => "soaked".to_owned(),
        EventKind::InstanceUnhealthy => "lost its health".to_owned(),
        EventKind::InstanceFailed => "failed".to_owned(),
        EventKind::InstanceSkipped { by: None } => "left out".to_owned(),
        EventKind::InstanceSkipped { by: Some(by) } => format!("left out by {by}"),
        EventKind::InstanceRetried { by } => format!("tried again, says {by}"),
        EventKind::GateFailed { gate, .. } => format!("{gate} gate broken"),
        EventKind::GatePassed { gate, .. } => format!("{gate} gate passed"),
        EventKind::GateApproved { by, how } => {
            let signed = if how.is_signed() { "signed " } else { "" };
            let by_key = how.key.as_ref().filter(|_| how.commit.is_none());
            let commit =
                how.commit.as_ref().map(|commit| format!(", in {signed}commit {}", commit.short()));
            let key = by_key.map(|key| format!(", signed with {key}"));
            format!("approved by {by}{}", commit.or(key).unwrap_or_default())
        }
        EventKind::StagePromoted { by } => format!("soak and gates waived by {by}"),
        EventKind::StagePassed => "stage passed".to_owned(),
        EventKind::StageSkipped => "stage skipped".to_owned(),
        EventKind::RolloutStopped { goes_back: true } => "stopped, goes back".to_owned(),
        EventKind::RolloutStopped { goes_back: false } => "stopped".to_owned(),
        EventKind::InstanceRolledBack => "rolled back".to_owned(),
        EventKind::InstanceReverted { .. } => "taken back".to_owned(),
        EventKind::InstanceStuck => "could not be taken back".to_owned(),
        EventKind::RolloutRolledBack => "rolled back".to_owned(),
        EventKind::RolloutCompleted => "completed".to_owned(),
        EventKind::RolloutPaused { by } => format!("paused by {by}"),
        EventKind::RolloutResumed { by } => format!("resumed by {by}"),
        EventKind::RolloutAborted { by, goes_back: true } => {
            format!("aborted by {by}, goes back")
        }
        EventKind::RolloutAborted { by, .. } => format!("aborted by {by}"),
        EventKind::RolloutSuperseded { by: Some(by) } => format!("superseded by {by}"),
        EventKind::RolloutSuperseded { by: None } => "superseded".to_owned(),
        EventKind::InstanceJoined { .. } => "joined the fleet".to_owned(),
        EventKind::InstanceLeft => "left the fleet".to_owned(),
        EventKind::RolloutRescheduled { calendar_of, .. } => {
            format!("has the windows and freezes of {}", calendar_of.short())
        }
        EventKind::RolloutRetried { by } => format!("may be tried again, says {by}"),
    }
}
