//! For people at a terminal.

use super::{
    clean, document_lines, folded_line, group_lines, left_out, live_problems, live_summary,
    live_unchanged, reach, rollout_title, some, stage_line, summary, title,
};
use crate::base::ids::AddonName;
use crate::diff::Op;
use crate::preview::{Group, LeavingCluster, Preview, Risk, VersionChange};
use crate::report::diff::push;
use crate::report::paint::Paint;

/// The whole report but its findings, which go to stderr as everywhere.
pub fn text(preview: &Preview, is_coloured: bool) -> String {
    let paint = Paint { is_coloured };
    let mut text = String::new();
    let title = format!(
        "Preview of {} against {}: {}",
        preview.head.short(),
        preview.base.short(),
        summary(preview)
    );
    push(&mut text, &paint.strong(&title));
    push(&mut text, &paint.faint(&format!("  {}", reach(preview))));
    versions(&mut text, preview, paint);
    if !preview.documents.is_empty() {
        heading(&mut text, "Fleet", paint);
        for line in preview.documents.iter().flat_map(document_lines) {
            push(&mut text, &line.painted(paint));
        }
    }
    if !preview.leaving.is_empty() {
        heading(&mut text, LEAVING, paint);
        preview.leaving.iter().for_each(|one| push(&mut text, &format!("  {}", leaving_line(one))));
    }
    groups(&mut text, preview, paint);
    if !preview.folded.is_empty() {
        heading(&mut text, "Folded", paint);
        preview.folded.iter().for_each(|one| push(&mut text, &format!("  {}", folded_line(one))));
    }
    if !preview.unknown.is_empty() {
        heading(&mut text, "Unknown", paint);
        let told = some(&preview.unknown);
        push(&mut text, &format!("  {told}: one of the two revisions cannot be read or rendered"));
    }
    rollouts(&mut text, preview, paint);
    switches(&mut text, preview, paint);
    live(&mut text, preview, paint);
    text
}

fn live(text: &mut String, preview: &Preview, paint: Paint) {
    let Some(live) = &preview.live else { return };
    heading(text, &format!("On the clusters now: {}", live_summary(live)), paint);
    live_problems(live).for_each(|one| push(text, &paint.removed(&format!("  ! {one}"))));
    for one in &live.groups {
        group(text, &format!("{} ({})", title(one), one.risk.title()), one, paint);
    }
    live.folded.iter().for_each(|one| push(text, &format!("  {}", folded_line(one))));
    if let Some(words) = live_unchanged(live) {
        push(text, &paint.faint(&format!("  {words}")));
    }
}

/// The heading of clusters that leave.
pub(super) const LEAVING: &str = "Clusters that leave the fleet";

/// `prod-01: fluentd, traefik stay installed, and nobody looks after them`.
pub(super) fn leaving_line(leaving: &LeavingCluster) -> String {
    let addons: Vec<&str> = leaving.addons.iter().map(AddonName::as_str).collect();
    let what = match addons.as_slice() {
        [] => "nothing is installed".to_owned(),
        [one] => format!("{one} stays installed, and nobody looks after it"),
        all => format!("{} stay installed, and nobody looks after them", all.join(", ")),
    };
    clean(&format!("{}: {what}", leaving.cluster))
}

fn heading(text: &mut String, words: &str, paint: Paint) {
    text.push('\n');
    push(text, &paint.strong(words));
}

fn versions(text: &mut String, preview: &Preview, paint: Paint) {
    if preview.versions.is_empty() {
        return;
    }
    heading(text, "Charts", paint);
    for change in &preview.versions {
        push(text, &format!("  {}", version_line(change)));
        for (before, after) in &change.images {
            push(text, &clean(&format!("      image {before} → {after}")));
        }
        for entry in &change.changelog {
            push(text, &paint.faint(&clean(&format!("      changelog: {entry}"))));
        }
    }
}

pub(super) fn version_line(change: &VersionChange) -> String {
    let versions = match (&change.from, &change.to) {
        (None, Some(to)) => format!("comes at {to}"),
        (Some(from), None) => format!("goes (was {from})"),
        (Some(from), Some(to)) if from != to => format!("{from} → {to}"),
        (Some(same), _) => format!("stays at {same}"),
        (None, None) => String::new(),
    };
    clean(&format!("{} {versions}: {}", change.addon, change.who))
}

fn groups(text: &mut String, preview: &Preview, paint: Paint) {
    let mut present: Option<Risk> = None;
    for group in &preview.groups {
        if present != Some(group.risk) {
            heading(text, &capitalised(group.risk.title()), paint);
            present = Some(group.risk);
        }
        self::group(text, &title(group), group, paint);
    }
}

fn group(text: &mut String, title: &str, group: &Group, paint: Paint) {
    push(text, &format!("  {}", paint.strong(title)));
    for mut line in group_lines(group) {
        line.indent += 2;
        push(text, &line.painted(paint));
    }
}

fn capitalised(words: &str) -> String {
    let mut chars = words.chars();
    chars.next().map_or_else(String::new, |first| first.to_uppercase().chain(chars).collect())
}

fn rollouts(text: &mut String, preview: &Preview, paint: Paint) {
    if preview.rollouts.is_empty() {
        return;
    }
    heading(text, "Rollouts that would start", paint);
    for rollout in &preview.rollouts {
        push(text, &format!("  {}", rollout_title(rollout)));
        for stage in &rollout.stages {
            push(text, &format!("      {}", stage_line(stage)));
        }
        if let Some(words) = left_out(rollout) {
            push(text, &paint.changed(&format!("      {words}")));
        }
    }
}

fn switches(text: &mut String, preview: &Preview, paint: Paint) {
    if preview.switches.is_empty() {
        return;
    }
    heading(text, "Switches of clusters that would begin", paint);
    preview.switches.iter().for_each(|one| push(text, &format!("  {one}")));
}

/// The sign of what is done with an object.
pub(super) fn sign(op: Op) -> char {
    match op {
        Op::Create => '+',
        Op::Update | Op::Replace => '~',
        Op::Delete => '-',
        Op::Keep => ' ',
    }
}
