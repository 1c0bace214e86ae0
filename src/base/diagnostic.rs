//! Diagnostics: what is wrong in the user's files, with place, cause and a way out.
//!
//! One model for every finding of every stage; rendering is in `report/`. A stage collects
//! diagnostics and goes on, so that everything that is wrong is reported at once.

use serde::Serialize;

use super::span::{SourceFile, Span};

/// How bad it is. Errors make a command end with exit code 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// The command cannot do what was asked.
    Error,
    /// It can, but the user should look.
    Warning,
    /// Context.
    Note,
}

/// A place and what there is to say about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Label {
    /// Where.
    pub span: Span,
    /// A few words, without a full stop.
    pub text: String,
}

impl Label {
    /// Calls its file by another path.
    pub fn rename(&mut self, path: String) {
        let Span { file, range } = &self.span;
        self.span = Span::new(&SourceFile::new(path, file.text.as_str()), range.clone());
    }
}

/// One finding.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Diagnostic {
    /// Stable, kebab-case, one of [`super::codes::CODES`].
    pub code: &'static str,
    /// How bad.
    pub severity: Severity,
    /// One sentence, names in backticks, without a full stop.
    pub message: String,
    /// The first label is the primary place; there may be none (a file that is missing).
    pub labels: Vec<Label>,
    /// What surrounds it: the include stack, the origin of a value.
    pub notes: Vec<String>,
    /// Ways out.
    pub help: Vec<String>,
}

impl Diagnostic {
    /// An error.
    pub fn error(code: &'static str, message: impl Into<String>) -> Self {
        Self {
            code,
            severity: Severity::Error,
            message: message.into(),
            labels: Vec::new(),
            notes: Vec::new(),
            help: Vec::new(),
        }
    }

    /// A warning.
    pub fn warning(code: &'static str, message: impl Into<String>) -> Self {
        Self { severity: Severity::Warning, ..Self::error(code, message) }
    }

    /// With one more place; the first one is the primary.
    #[must_use]
    pub fn label(mut self, span: &Span, text: impl Into<String>) -> Self {
        self.labels.push(Label { span: span.clone(), text: text.into() });
        self
    }

    /// With a note.
    #[must_use]
    pub fn note(mut self, text: impl Into<String>) -> Self {
        self.notes.push(text.into());
        self
    }

    /// With a note of the clusters that have it.
    #[must_use]
    pub fn on<'a>(self, clusters: impl Iterator<Item = &'a str>) -> Self {
        self.note(format!("on {}", few(&clusters.collect::<Vec<_>>())))
    }

    /// With a way out.
    #[must_use]
    pub fn help(mut self, text: impl Into<String>) -> Self {
        self.help.push(text.into());
        self
    }

    /// With `did you mean …` where one of `candidates` is close to `wrong`.
    #[must_use]
    pub fn did_you_mean<'a>(
        self,
        wrong: &str,
        candidates: impl IntoIterator<Item = &'a str>,
    ) -> Self {
        match closest(wrong, candidates) {
            Some(best) => self.help(format!("did you mean `{best}`?")),
            None => self,
        }
    }
}

/// The candidate that `wrong` was probably meant to be, if any is close enough.
pub fn closest<'a>(wrong: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    candidates
        .into_iter()
        .map(|candidate| (strsim::damerau_levenshtein(wrong, candidate), candidate))
        .filter(|(distance, candidate)| {
            *distance <= 1 + wrong.chars().count().max(candidate.chars().count()) / 4
        })
        .min()
        .map(|(_, candidate)| candidate)
}

/// A value together with everything that was found on the way to it.
#[derive(Clone, Debug)]
pub struct Checked<T> {
    /// As complete as the input allowed.
    pub value: T,
    /// In order of discovery.
    pub diagnostics: Vec<Diagnostic>,
}

impl<T> Checked<T> {
    /// Whether any diagnostic is an error.
    pub fn has_errors(&self) -> bool {
        has_errors(&self.diagnostics)
    }
}

/// Whether any of them is an error.
pub fn has_errors(diagnostics: &[Diagnostic]) -> bool {
    diagnostics.iter().any(|diagnostic| diagnostic.severity == Severity::Error)
}

/// A number of things: `1 cluster`, `2 clusters`.
pub fn counted(count: usize, noun: &str) -> String {
    format!("{count} {noun}{}", if count == 1 { "" } else { "s" })
}

/// Names in a sentence, cut short: `a`, `b`, `c` and 7 more.
pub fn few(names: &[&str]) -> String {
    const SHOWN: usize = 3;
    let quoted: Vec<String> = names.iter().take(SHOWN).map(|name| format!("`{name}`")).collect();
    if names.len() > SHOWN {
        return format!("{} and {} more", quoted.join(", "), names.len() - SHOWN);
    }
    match quoted.as_slice() {
        [start @ .., last] if !start.is_empty() => format!("{} and {last}", start.join(", ")),
        quoted => quoted.concat(),
    }
}
