//! How two answers differ, and which differences are known.

use std::fmt::{self, Write as _};

use regex::Regex;
use serde::Deserialize;
use serde_json::Value as Json;

use super::answer::{Answer, HEADERS};
use super::folder;
use super::script::Script;

/// Where the table begins in the documentation.
pub(crate) const TABLE_BEGINS: &str = "<!-- The table is made by `make docs`. -->";
/// Where it ends.
pub(crate) const TABLE_ENDS: &str = "<!-- End of the table. -->";

/// `differences.yaml`: what is known to differ, and why.
#[derive(Debug)]
pub(crate) struct Differences(Vec<Row>);

/// One difference with a name.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Row {
    /// What differs.
    what: String,
    /// Why that is no defect.
    why: String,
    /// `SCRIPT: TITLE` of the steps where it shows; `*` stands for anything.
    steps: Vec<String>,
    /// Where in the answer: `code`, a header, `body.metadata.labels`; `*` stands for anything.
    fields: Vec<String>,
    #[serde(skip)]
    matched: Matched,
}

/// Which patterns of a row have matched a difference.
#[derive(Debug, Default)]
struct Matched {
    steps: Vec<bool>,
    fields: Vec<bool>,
}

fn is_like(pattern: &str, text: &str) -> bool {
    let pattern = regex::escape(pattern).replace(r"\*", ".*");
    Regex::new(&format!("^(?s:{pattern})$")).unwrap().is_match(text)
}

impl Row {
    fn covers(&mut self, step: &str, field: &str) -> bool {
        let steps: Vec<bool> = self.steps.iter().map(|one| is_like(one, step)).collect();
        let fields: Vec<bool> = self.fields.iter().map(|one| is_like(one, field)).collect();
        let is_covered = steps.contains(&true) && fields.contains(&true);
        if is_covered {
            merge(&mut self.matched.steps, &steps);
            merge(&mut self.matched.fields, &fields);
        }
        is_covered
    }
}

fn merge(all: &mut Vec<bool>, more: &[bool]) {
    all.resize(more.len(), false);
    all.iter_mut().zip(more).for_each(|(one, other)| *one |= other);
}

impl Differences {
    /// Reads the table.
    pub(crate) fn read() -> Self {
        let text = std::fs::read_to_string(folder().join("differences.yaml")).unwrap();
        Self(serde_yaml::from_str(&text).unwrap())
    }

    /// Whether a difference is known; all rows that know it are marked.
    fn cover(&mut self, step: &str, field: &str) -> bool {
        let rows = self.0.iter_mut();
        rows.filter_map(|row| row.covers(step, field).then_some(())).count() > 0
    }

    /// Rows, or patterns of them, that nothing has matched.
    pub(crate) fn unused(&self) -> Vec<String> {
        let mut unused = Vec::new();
        for row in &self.0 {
            let lists = [(&row.steps, &row.matched.steps), (&row.fields, &row.matched.fields)];
            for (patterns, matched) in lists {
                for (at, pattern) in patterns.iter().enumerate() {
                    if matched.get(at) != Some(&true) {
                        unused.push(format!("`{pattern}` of `{}`", row.what));
                    }
                }
            }
        }
        unused
    }

    /// The table of the documentation.
    pub(crate) fn table(&self) -> String {
        let mut table = "| what differs | why |\n|---|---|\n".to_owned();
        for row in &self.0 {
            writeln!(table, "| {} | {} |", row.what, row.why).unwrap();
        }
        table
    }
}

/// How many requests were compared, and what came of it.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    pub(crate) requests: usize,
    equal: usize,
    known: usize,
    scripts: usize,
    /// Differences that no row knows, as a text.
    pub(crate) unexplained: String,
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { requests, equal, known, scripts, .. } = self;
        let others = requests - equal - known;
        write!(
            f,
            "{requests} requests in {scripts} scripts: {equal} answers are equal, {known} differ \
             as differences.yaml says, {others} otherwise"
        )
    }
}

impl Tally {
    /// Compares the answers to a script.
    pub(crate) fn compare(
        &mut self,
        script: &Script,
        expected: &[Answer],
        got: &[Answer],
        differences: &mut Differences,
    ) {
        self.scripts += 1;
        for (step, (expected, got)) in script.steps.iter().zip(expected.iter().zip(got)) {
            self.requests += 1;
            let name = format!("{}: {}", script.name, step.title);
            let mut all = Vec::new();
            between(expected, got, &mut all);
            let is_equal = all.is_empty();
            all.retain(|one| !differences.cover(&name, &one.field));
            match (is_equal, all.is_empty()) {
                (true, _) => self.equal += 1,
                (false, true) => self.known += 1,
                (false, false) => self.tell(&name, &step.request, &all),
            }
        }
    }

    fn tell(&mut self, name: &str, request: &str, all: &[Difference]) {
        writeln!(self.unexplained, "{name}\n  {request}").unwrap();
        for Difference { field, expected, got } in all {
            let text = &mut self.unexplained;
            writeln!(text, "  {field}\n    real:      {expected}\n    simulated: {got}").unwrap();
        }
    }
}

/// One field that differs.
struct Difference {
    field: String,
    expected: String,
    got: String,
}

/// The fields in which two answers differ.
fn between(expected: &Answer, got: &Answer, all: &mut Vec<Difference>) {
    let mut differ = |field: &str, expected: &Json, got: &Json| {
        below(field, Some(expected), Some(got), all);
    };
    differ("code", &Json::from(expected.code), &Json::from(got.code));
    for name in HEADERS {
        let header =
            |answer: &Answer| answer.headers.get(name).cloned().map_or(Json::Null, Json::from);
        differ(name, &header(expected), &header(got));
    }
    differ("body", &expected.body, &got.body);
}

fn below(field: &str, expected: Option<&Json>, got: Option<&Json>, all: &mut Vec<Difference>) {
    match (expected, got) {
        (Some(Json::Object(expected)), Some(Json::Object(got))) => {
            let names =
                expected.keys().chain(got.keys().filter(|name| !expected.contains_key(*name)));
            for name in names {
                below(&format!("{field}.{name}"), expected.get(name), got.get(name), all);
            }
        }
        (Some(Json::Array(expected)), Some(Json::Array(got))) => {
            for at in 0..expected.len().max(got.len()) {
                below(&format!("{field}[{at}]"), expected.get(at), got.get(at), all);
            }
        }
        (expected, got) if expected != got => {
            let text = |value: Option<&Json>| value.map_or("nothing".to_owned(), Json::to_string);
            let (expected, got) = (text(expected), text(got));
            all.push(Difference { field: field.to_owned(), expected, got });
        }
        _ => {}
    }
}
