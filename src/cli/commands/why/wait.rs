//! `fitout why CLUSTER ADDON`: what an instance waits for, or why it is as it is, in one line.

use serde_json::json;

use crate::base::ids::{ClusterName, InstanceKey};
use crate::cli::context::Context;
use crate::cli::control::{RESYNC, onlooker};
use crate::cli::exit::Exit;
use crate::cli::selection::{AddonArgs, ClusterArgs};
use crate::controller::Survey;
use crate::report;
use crate::rollout::{Member, MemberState, Phase, Rollout, WaitingOn};

/// An answer.
struct Answer {
    /// The whole of it in one line.
    line: String,
    /// Commands that move it on.
    ways_out: Vec<String>,
    rollout: Option<String>,
    waiting: Option<WaitingOn>,
}

/// Runs it.
pub(super) async fn run(
    cluster: &str,
    addon: &str,
    is_json: bool,
    context: &mut Context,
) -> anyhow::Result<Exit> {
    let mut onlooker = onlooker(context)?;
    onlooker.poll().await.map_err(anyhow::Error::msg)?;
    let head = onlooker.head().ok_or_else(|| anyhow::anyhow!("git could not be read"))?;
    let fleet = &head.desired.fleet;
    let clusters = ClusterArgs { clusters: vec![cluster.to_owned()], ..ClusterArgs::default() };
    clusters.select(fleet)?;
    let known = onlooker.rollouts().newest(&addon.into()).is_some();
    if !known {
        AddonArgs { addons: vec![addon.to_owned()] }.select(fleet)?;
    }
    let key = InstanceKey { cluster: cluster.into(), addon: addon.into() };
    let survey = onlooker.survey(|other| *other == key).await.map_err(anyhow::Error::msg)?;
    let rollout = onlooker.rollouts().newest(&key.addon);
    let answer = answer(&key, &survey, rollout);
    if is_json {
        let report = json!({
            "cluster": key.cluster, "addon": key.addon, "because": answer.line,
            "rollout": answer.rollout, "waiting": answer.waiting, "waysOut": answer.ways_out,
        });
        writeln!(context.out, "{report:#}")?;
    } else {
        writeln!(context.out, "{}", answer.line)?;
        for way_out in &answer.ways_out {
            writeln!(context.err, "help: {way_out}")?;
        }
    }
    Ok(Exit::Done)
}

fn answer(key: &InstanceKey, survey: &Survey, rollout: Option<&Rollout>) -> Answer {
    let of_rollout = rollout.and_then(|rollout| {
        let member = rollout.members.get(&key.cluster)?;
        of_member(key, survey, rollout, member)
    });
    if let Some(answer) = of_rollout {
        return answer;
    }
    let plain = |line: String| Answer { line, ways_out: Vec::new(), rollout: None, waiting: None };
    if let Some(reason) = survey.held.get(&key.addon).filter(|_| !is_settled(key, survey)) {
        return plain(format!("{key} is held: {reason}"));
    }
    if survey.pending.contains(&key.addon) && !is_settled(key, survey) {
        let line = format!(
            "{key} waits for the controller, which has not begun the rollout of commit {} yet",
            survey.head.rev().short()
        );
        let ways_out = vec!["`fitout controller` runs it; `fitout apply` goes without".to_owned()];
        return Answer { ways_out, ..plain(line) };
    }
    plain(at_rest(key, survey))
}

/// The answer of the addon's newest rollout, where it has one for this member.
fn of_member(
    key: &InstanceKey,
    survey: &Survey,
    rollout: &Rollout,
    member: &Member,
) -> Option<Answer> {
    let stage = member.stage.map_or("no stage", |stage| rollout.stage_name(stage));
    let place = format!("rollout {} of commit {}, stage {stage}", rollout.id, rollout.rev.short());
    let answer = |line: String, ways_out: Vec<String>| Answer {
        line,
        ways_out,
        rollout: Some(rollout.id.to_string()),
        waiting: None,
    };
    let retry = || vec![format!("commit a change, or say `fitout rollout retry {}`", rollout.id)];
    let waits = survey.waiting.get(&rollout.id).and_then(|waiting| waiting.get(&key.cluster));
    if let Some(waits) = waits {
        let cause = cause(survey, rollout, waits);
        let root = cause.map_or(waits, |(_, root)| root);
        let cause = cause.map(|(name, root)| format!("; there, {name} waits for {root}"));
        let cause = cause.unwrap_or_default();
        let state = match member.state {
            MemberState::Waiting => "has not begun".to_owned(),
            ref state => format!("is {}", state.word()),
        };
        let is_changing =
            matches!(member.state, MemberState::Moving { .. } | MemberState::GoingBack { .. });
        let beside = survey.observed.get(key).and_then(|seen| seen.beside.as_ref());
        let beside = beside.filter(|_| is_changing).map(|beside| format!("; {beside}"));
        let beside = beside.unwrap_or_default();
        let line = format!("{key} {state} and waits for {waits}{cause}{beside} ({place})");
        let ways_out = root.way_out(&rollout.id).into_iter().collect();
        return Some(Answer { waiting: Some(waits.clone()), ..answer(line, ways_out) });
    }
    match (&member.state, &rollout.phase) {
        (MemberState::Unchanged, _) | (_, Phase::Superseded { .. }) => None,
        (MemberState::Failed { reason }, _) => {
            Some(answer(format!("{key} failed: {reason} ({place})"), Vec::new()))
        }
        (MemberState::Stuck { reason }, _) => {
            Some(answer(format!("{key} could not be taken back: {reason} ({place})"), retry()))
        }
        (MemberState::Skipped { reason, by }, _) => {
            let by = by.as_ref().map_or(String::new(), |by| format!(" by {by}"));
            let again = if by.is_empty() { Vec::new() } else { retry() };
            Some(answer(format!("{key} was left out{by}: {reason} ({place})"), again))
        }
        (MemberState::Back, Phase::RolledBack { reason }) => {
            let line = format!("{key} was rolled back, since {reason} ({place})");
            Some(answer(line, retry()))
        }
        (MemberState::Waiting, Phase::RolledBack { reason }) => {
            let at = rollout.stage_name(rollout.stage);
            let line =
                format!("{key} was not touched: stage {at} stopped, since {reason} ({place})");
            Some(answer(line, retry()))
        }
        (MemberState::Waiting, Phase::Aborted { by }) => {
            Some(answer(format!("{key} was not touched: {by} ended {place}"), retry()))
        }
        (MemberState::Soaked { .. }, phase) if !phase.is_ended() => {
            Some(answer(format!("{key} is done ({place})"), Vec::new()))
        }
        _ => None,
    }
}

/// What a stage waits for that must pass first: what somebody has to do comes before what takes
/// its time.
fn cause<'a>(
    survey: &'a Survey,
    rollout: &Rollout,
    waits: &WaitingOn,
) -> Option<(&'a ClusterName, &'a WaitingOn)> {
    if !matches!(waits, WaitingOn::EarlierStage { .. }) {
        return None;
    }
    let is_present = |name: &ClusterName| {
        rollout.members.get(name).is_some_and(|member| member.stage == Some(rollout.stage))
    };
    let waiting = survey.waiting.get(&rollout.id)?;
    let mut present = waiting.iter().filter(|(name, _)| is_present(name));
    let asks = |waits: &WaitingOn| waits.way_out(&rollout.id).is_some();
    present.clone().find(|(_, waits)| asks(waits)).or_else(|| present.next())
}

/// An instance that no rollout has anything to say of.
fn at_rest(key: &InstanceKey, survey: &Survey) -> String {
    if let Some(Err(reason)) = survey.looks.get(&key.cluster).map(|look| &look.releases) {
        return format!("{key} is not known: the cluster does not answer: {reason}");
    }
    let is_desired = survey.head.desired.instance(key).is_some();
    let Some(seen) = survey.observed.get(key) else {
        let line = if is_desired { "cannot be rendered" } else { "is not wanted there by git" };
        return format!("{key} {line}");
    };
    let Some(adopted) = &seen.adopted else { return format!("{key} is not installed") };
    let commit = adopted.rev.as_ref().map_or("no commit", |rev| rev.short());
    let version = &adopted.chart_version;
    let health = &seen.health.message;
    if adopted.is_handed_over {
        return format!(
            "{key} was handed over to Helm, at revision {}; `fitout adopt` takes it back",
            adopted.release_revision
        );
    }
    let standing = if is_at_goal(key, survey) { "as git says" } else { "not as git says" };
    let mut line = format!("{key} is {standing}: version {version} of commit {commit}; {health}");
    if let Some(beside) = &seen.beside {
        line.push_str(&format!("; beside it, {beside}"));
    }
    let drift = report::drift::lines(seen, RESYNC, seen.observed_at);
    if !drift.is_empty() {
        line.push_str("; drifted: ");
        line.push_str(&drift.join("; "));
    }
    line
}

/// Whether no rollout that is to come has anything to do for an instance.
fn is_settled(key: &InstanceKey, survey: &Survey) -> bool {
    let adopted = survey.observed.get(key).and_then(|seen| seen.adopted.as_ref());
    adopted.is_some_and(|adopted| adopted.is_handed_over) || is_at_goal(key, survey)
}

/// Whether an instance is at what git says now.
fn is_at_goal(key: &InstanceKey, survey: &Survey) -> bool {
    let adopted = survey.observed.get(key).and_then(|seen| seen.adopted.as_ref());
    let digest = adopted.and_then(|adopted| adopted.digest.as_ref());
    digest.is_some() && digest == survey.head.releases.get(key).map(|release| &release.digest)
}
