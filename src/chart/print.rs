//! A render as `helm template` prints it.

use std::fmt::Write as _;
use std::sync::{Arc, LazyLock};

use regex::Regex;

use super::ignore::matches;
use super::manifest::split;
use super::model::{Hook, Printed, Rendered};

/// What is printed.
#[derive(Clone, Debug, Default)]
pub struct PrintOptions {
    /// The files of `crds/` folders first.
    pub include_crds: bool,
    /// No hooks at all.
    pub no_hooks: bool,
    /// No hooks of tests.
    pub skip_tests: bool,
    /// Only the documents of these templates, as patterns relative to the chart.
    pub show_only: Vec<String>,
}

/// Writes a document below its source.
pub(super) fn push_document(out: &mut String, source: &str, text: &str) {
    let _ = writeln!(out, "---\n# Source: {source}\n{text}");
}

/// What `helm template` prints.
///
/// # Errors
/// Helm's text, where a pattern of `show_only` matches no template.
pub fn text(rendered: &Rendered, options: &PrintOptions) -> Result<String, String> {
    let mut manifest = String::new();
    if options.include_crds {
        manifest.push_str(&rendered.crds.text);
    }
    manifest.push_str(&rendered.text());
    let mut out = format!("{}\n", manifest.trim());
    for hook in hooks(rendered, options) {
        push_document(&mut out, &hook.manifest.source, &hook.manifest.text);
    }
    if options.show_only.is_empty() { Ok(out) } else { only(&out, &options.show_only) }
}

/// The hooks that are printed.
pub fn hooks<'a>(rendered: &'a Rendered, options: &PrintOptions) -> Vec<&'a Hook> {
    if options.no_hooks {
        return Vec::new();
    }
    let is_test = |hook: &Hook| hook.events.iter().any(|event| event == "test");
    rendered.hooks.iter().filter(|hook| !(options.skip_tests && is_test(hook))).collect()
}

/// The documents that `helm template --output-dir` writes, in its order.
pub fn documents(rendered: &Rendered, options: &PrintOptions) -> Vec<Printed> {
    let mut documents = Vec::new();
    if options.include_crds {
        documents.extend(sourced(&rendered.crds.text));
    }
    documents.extend_from_slice(&rendered.documents);
    let hooks = hooks(rendered, options).into_iter();
    documents.extend(hooks.map(|hook| Printed {
        source: Arc::clone(&hook.manifest.source),
        text: Arc::clone(&hook.manifest.text),
    }));
    documents
}

/// The parts of a text that [`push_document`] wrote.
fn sourced(text: &str) -> Vec<Printed> {
    let mut starts: Vec<usize> = text.match_indices(HEADER).map(|(at, _)| at).collect();
    starts.retain(|at| *at == 0 || text[..*at].ends_with('\n'));
    let ends = starts.iter().skip(1).copied().chain([text.len()]);
    starts
        .iter()
        .zip(ends)
        .filter_map(|(start, end)| {
            let (source, text) = text[start + HEADER.len()..end].split_once('\n')?;
            let text = text.strip_suffix('\n').unwrap_or(text);
            Some(Printed { source: source.into(), text: text.into() })
        })
        .collect()
}

const HEADER: &str = "---\n# Source: ";

static SOURCE: LazyLock<Regex> =
    LazyLock::new(|| Regex::new("# Source: [^/]+/(.+)").expect("the pattern is constant"));

fn only(text: &str, patterns: &[String]) -> Result<String, String> {
    let documents: Vec<(&str, &str)> = split(text)
        .into_iter()
        .filter_map(|document| {
            let source = SOURCE.captures(document.text)?.get(1)?;
            Some((source.as_str(), document.text))
        })
        .collect();
    let mut out = String::new();
    for pattern in patterns {
        let mut is_found = false;
        for (_, document) in documents.iter().filter(|(source, _)| matches(pattern, source)) {
            let _ = writeln!(out, "---\n{document}");
            is_found = true;
        }
        if !is_found {
            return Err(format!("could not find template {pattern} in chart"));
        }
    }
    Ok(out)
}
