//! Recordings: what a real API server has answered to a script, as a text that can be read.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::PathBuf;

use super::answer::{Answer, HEADERS, text_of};
use super::folder;
use super::script::Script;

fn path(script: &Script) -> PathBuf {
    folder().join("recorded").join(format!("{}.txt", script.name))
}

/// The text of a recording.
pub(crate) fn text(script: &Script, answers: &[Answer]) -> String {
    let mut text = String::new();
    for (step, answer) in script.steps.iter().zip(answers) {
        writeln!(text, "# {}\n{}\n{}", step.title, step.request, answer.code).unwrap();
        for (name, lines) in &answer.headers {
            for line in lines.lines() {
                writeln!(text, "{name}: {line}").unwrap();
            }
        }
        writeln!(text, "\n{}\n", text_of(&answer.body)).unwrap();
    }
    text
}

/// Writes a recording.
pub(crate) fn write(script: &Script, answers: &[Answer]) {
    let path = path(script);
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(path, text(script, answers)).unwrap();
}

/// The text of the recording of a script; empty when there is none.
pub(crate) fn read_text(script: &Script) -> String {
    std::fs::read_to_string(path(script)).unwrap_or_default()
}

/// The recorded answers to a script.
pub(crate) fn read(script: &Script) -> Vec<Answer> {
    let name = &script.name;
    let text = read_text(script);
    let mut parts = text.split("\n\n# ").map(|part| part.trim_start_matches("# "));
    let mut answers = Vec::new();
    for step in &script.steps {
        let part = parts.next().unwrap_or_default();
        let (head, body) = part.split_once("\n\n").unwrap_or_default();
        let mut lines = head.lines();
        let is_it = lines.next() == Some(&step.title) && lines.next() == Some(&step.request);
        assert!(
            is_it,
            "`{}` of {name}.yaml is not as it was recorded: record it anew, see \
             docs/testing-e2e.md",
            step.title
        );
        let code = lines.next().and_then(|line| line.parse().ok()).expect("it has a code");
        let mut headers: BTreeMap<String, String> = BTreeMap::new();
        for line in lines {
            let (header, value) = line.split_once(": ").expect("a header has a value");
            let lines = headers.entry(header.to_owned()).or_default();
            assert!(HEADERS.contains(&header), "{header}");
            let line_break = if lines.is_empty() { "" } else { "\n" };
            write!(lines, "{line_break}{value}").unwrap();
        }
        let body = serde_json::from_str(body).expect("a recorded body is JSON");
        answers.push(Answer { code, headers, body });
    }
    assert!(parts.next().is_none(), "{name}.yaml has fewer steps than were recorded");
    answers
}
