//! Chart repositories: how they are spoken to.

use crate::base::diagnostic::Diagnostic;
use crate::base::span::{SourceFile, Span};
use crate::fleet::model::{Fleet, RepositoryKind};
use crate::net::http::{HttpError, Url};

pub(super) fn check(fleet: &Fleet, found: &mut Vec<Diagnostic>) {
    for (name, repository) in &fleet.repositories {
        let spec = &repository.value.spec;
        let url = repository.node.span_at(&["spec", "url"]);
        let type_span = repository.node.span_at(&["spec", "type"]);
        let kind = match spec.kind {
            RepositoryKind::Http => {
                if let Err(problem) = Url::parse(&spec.url) {
                    let found_here = Diagnostic::error("bad-url", problem.to_string());
                    found.push(match problem {
                        HttpError::UserInfo { .. } => found_here
                            .label(&without_user(url), "a secret does not belong here")
                            .help("name a variable: `credentials: {env: NAME}`"),
                        _ => found_here.label(url, "not the URL of a chart repository"),
                    });
                }
                continue;
            }
            RepositoryKind::Oci => "oci",
            RepositoryKind::Git => "git",
        };
        let message = format!("chart repositories of type `{kind}` are not supported yet");
        let error = Diagnostic::error("not-supported", message)
            .label(type_span, format!("`{name}` is of this type"));
        found.push(match spec.kind {
            RepositoryKind::Git => error.help(
                "an Addon can take its chart from a git repository: `chart: {git: {url, ref, path}}`",
            ),
            _ => error.help("type `http` is, and charts that are kept in the fleet's repository"),
        });
    }
}

/// The same place in a copy of the file that does not have the secret.
fn without_user(span: &Span) -> Span {
    let text = &span.file.text;
    let url = &text[span.range.clone()];
    let start = url.find("://").map_or(0, |at| at + 3);
    let end = url.rfind('@').unwrap_or(start).max(start);
    let (start, end) = (span.range.start + start, span.range.start + end);
    let masked = format!("{}{}{}", &text[..start], "*".repeat(end - start), &text[end..]);
    Span::new(&SourceFile::new(span.file.path.as_str(), masked), span.range.clone())
}
