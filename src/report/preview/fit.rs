//! Which parts of a report a comment has room for.

use std::collections::{BTreeMap, BTreeSet};

/// A part of a report: a line, or something to open.
#[derive(Clone, Debug)]
pub(super) struct Part {
    /// All of it.
    pub(super) full: String,
    /// The same in one line.
    pub(super) short: String,
    /// The list that it is an item of; none for what there is only one of.
    pub(super) list: Option<List>,
}

/// Many parts of one sort, the most important first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct List {
    /// Lists are served in turn.
    pub(super) name: &'static str,
    /// What its items are, for the line that tells how many were left out.
    pub(super) items: &'static str,
}

impl Part {
    /// What there is only one of.
    pub(super) fn single(full: String, short: String) -> Self {
        Self { full, short, list: None }
    }

    /// One of many.
    pub(super) fn item(name: &'static str, items: &'static str, parts: (String, String)) -> Self {
        let (full, short) = parts;
        Self { full, short, list: Some(List { name, items }) }
    }
}

/// How much of a part is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Told {
    Full,
    Short,
    Counted,
}

/// Puts parts behind the head, in their order: in full as long as there is room, then in one line, then
/// by number. What there is only one of comes before what there are many of; of each list, the
/// first items come first.
pub(super) fn fitted(head: String, parts: &[Part], max: usize) -> String {
    let mut text = head;
    let told = told(parts, max.saturating_sub(length(&text)));
    let mut forms = told.iter();
    for run in parts.chunk_by(|one, next| one.list.is_some() && one.list == next.list) {
        let mut counted = 0;
        for (part, told) in run.iter().zip(forms.by_ref()) {
            match told {
                Told::Full => append(&mut text, &part.full),
                Told::Short => append(&mut text, &part.short),
                Told::Counted => counted += 1,
            }
        }
        if let Some(list) = run[0].list.filter(|_| counted > 0) {
            append(&mut text, &rest(list, counted));
        }
    }
    if told.iter().any(|told| *told != Told::Full) {
        append(&mut text, NOTE);
    }
    text
}

const NOTE: &str = "_A comment has a limit: some parts are told in one line, or by their number. `-o html` has \
                    all of them._\n";
/// Blank lines that [`append`] may put between parts, for each of them.
const BLANK: usize = 1;

fn rest(list: List, number: usize) -> String {
    format!("- **{}**: {number} more\n", list.items)
}

fn told(parts: &[Part], room: usize) -> Vec<Told> {
    let lists: BTreeSet<List> = parts.iter().filter_map(|part| part.list).collect();
    let counts: usize = lists.iter().map(|list| length(&rest(*list, parts.len())) + BLANK).sum();
    let mut left = room.saturating_sub(counts + length(NOTE) + BLANK);
    let order = order(parts);
    let mut told = vec![Told::Counted; parts.len()];
    // Behind one that is left out, no lesser one of the list is told.
    let mut ended: BTreeSet<&str> = BTreeSet::new();
    for &at in &order {
        let part = &parts[at];
        let name = part.list.map(|list| list.name);
        let room = left.checked_sub(length(&part.short) + BLANK);
        match room.filter(|_| name.is_none_or(|name| !ended.contains(name))) {
            Some(rest) => {
                left = rest;
                told[at] = Told::Short;
            }
            None => ended.extend(name),
        }
    }
    for &at in &order {
        let part = &parts[at];
        let more = length(&part.full).saturating_sub(length(&part.short));
        if let Some(rest) = left.checked_sub(more).filter(|_| told[at] == Told::Short) {
            left = rest;
            told[at] = Told::Full;
        }
    }
    told
}

/// Who is served first: what there is only one of, then the first of each list, the second of each, …
fn order(parts: &[Part]) -> Vec<usize> {
    let mut before: BTreeMap<&str, usize> = BTreeMap::new();
    let mut rank = |part: &Part| {
        let number = before.entry(part.list?.name).or_default();
        *number += 1;
        Some(*number)
    };
    let ranks: Vec<Option<usize>> = parts.iter().map(&mut rank).collect();
    let mut order: Vec<usize> = (0..parts.len()).collect();
    order.sort_by_key(|at| ranks[*at]);
    order
}

/// Adds a part. What is no item of a list must not follow one without a blank line.
fn append(text: &mut String, part: &str) {
    let is_item = |line: &str| line.trim_start().starts_with(['-', '1']);
    let after_item = text.lines().next_back().is_some_and(is_item);
    if after_item && !is_item(part) && !part.starts_with('\n') {
        text.push('\n');
    }
    text.push_str(part);
}

/// In characters, as comments are measured.
fn length(text: &str) -> usize {
    text.chars().count()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn part(list: Option<(&'static str, &'static str)>, name: &str) -> Part {
        let full = format!("{name}: {}\n", "x".repeat(90));
        let list = list.map(|(name, items)| List { name, items });
        Part { full, short: format!("- {name}\n"), list }
    }

    fn parts() -> Vec<Part> {
        let mut parts: Vec<Part> =
            (0..5).map(|at| part(Some(("findings", "findings")), &format!("f{at}"))).collect();
        for (risk, count) in [("deleted", 3), ("other", 20)] {
            let of = |at| part(Some(("groups", risk)), &format!("{risk}{at}"));
            parts.extend((0..count).map(of));
        }
        parts.push(part(None, "rollouts"));
        parts
    }

    #[test]
    fn whatever_the_limit_it_is_kept_and_every_part_is_told_or_counted() {
        for max in (350..4_000).step_by(10) {
            let text = fitted("head\n".to_owned(), &parts(), max);
            assert!(text.chars().count() <= max, "{max}: {text}");
            let counted: usize = text
                .lines()
                .filter_map(|line| {
                    line.strip_suffix(" more")?.rsplit(' ').next()?.parse::<usize>().ok()
                })
                .sum();
            let is_told = |line: &&str| {
                line.contains(|c: char| c.is_ascii_digit()) && !line.ends_with("more")
            };
            assert_eq!(text.lines().filter(is_told).count() + counted, 28, "{text}");
            assert!(text.contains("rollouts"), "{text}");
        }
        assert_eq!(fitted(String::new(), &parts(), 10_000).matches("xx").count(), 45 * 29);
    }

    #[test]
    fn the_first_of_each_list_come_before_the_second_of_any() {
        let text = fitted("head\n".to_owned(), &parts(), 235);
        for told in ["- f0", "- deleted0", "- rollouts", "- **other**: 20 more"] {
            assert!(text.contains(told), "{text}");
        }
    }
}
