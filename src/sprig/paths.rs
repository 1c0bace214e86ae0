//! Paths with slashes. A chart renders on Unix, so the `os` variants are the same.

use super::args::{fixed, text};
use crate::template::function::{Function, Param};
use crate::template::value::Value;

pub(super) const FUNCTIONS: &[Function] = &[
    fixed("base", &[Param::Str], |_, args| Ok(Value::str(base(text(args, 0))))),
    fixed("osBase", &[Param::Str], |_, args| Ok(Value::str(base(text(args, 0))))),
    fixed("dir", &[Param::Str], |_, args| Ok(Value::str(dir(text(args, 0))))),
    fixed("osDir", &[Param::Str], |_, args| Ok(Value::str(dir(text(args, 0))))),
    fixed("clean", &[Param::Str], |_, args| Ok(Value::str(clean(text(args, 0))))),
    fixed("osClean", &[Param::Str], |_, args| Ok(Value::str(clean(text(args, 0))))),
    fixed("ext", &[Param::Str], |_, args| Ok(Value::str(ext(text(args, 0))))),
    fixed("osExt", &[Param::Str], |_, args| Ok(Value::str(ext(text(args, 0))))),
    fixed("isAbs", &[Param::Str], |_, args| Ok(Value::Bool(text(args, 0).starts_with('/')))),
    fixed("osIsAbs", &[Param::Str], |_, args| Ok(Value::Bool(text(args, 0).starts_with('/')))),
];

/// The last element: `.` of an empty path, `/` of one that is only slashes.
fn base(path: &str) -> &str {
    let trimmed = path.trim_end_matches('/');
    match trimmed.rsplit('/').next() {
        _ if path.is_empty() => ".",
        None | Some("") => "/",
        Some(last) => last,
    }
}

/// All but the last element, cleaned.
fn dir(path: &str) -> String {
    clean(path.rfind('/').map_or("", |slash| &path[..=slash]))
}

/// The suffix of the last element from its last point on.
fn ext(path: &str) -> &str {
    let last = path.rsplit('/').next().unwrap_or(path);
    last.rfind('.').map_or("", |point| &last[point..])
}

/// Without doubled slashes, `.` and those `..` that can be resolved.
fn clean(path: &str) -> String {
    let is_rooted = path.starts_with('/');
    let mut kept: Vec<&str> = Vec::new();
    for element in path.split('/') {
        match element {
            "" | "." => {}
            ".." if kept.last().is_some_and(|last| *last != "..") => {
                kept.pop();
            }
            ".." if is_rooted => {}
            other => kept.push(other),
        }
    }
    match (is_rooted, kept.is_empty()) {
        (true, _) => format!("/{}", kept.join("/")),
        (false, true) => ".".to_owned(),
        (false, false) => kept.join("/"),
    }
}
