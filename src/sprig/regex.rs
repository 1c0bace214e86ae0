//! Regular expressions. Go's syntax is translated to that of the `regex` crate: both are RE2's
//! children and differ in what `\d` means, in bare braces and in classes within classes.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use ::regex::{Captures, Regex};

use super::args::{Outcome, fixed, int, text};
use crate::template::function::{Function, FunctionError, Param, Runtime};
use crate::template::quote::{can_backquote, quote};
use crate::template::value::Value;

mod translate;

use translate::{explain, translate};

/// Compiled expressions that are kept; a chart has a few dozen, many the same as others.
const CACHE_MAX: usize = 1_024;

const PATTERN_TEXT: &[Param] = &[Param::Str, Param::Str];
const PATTERN_TEXT_COUNT: &[Param] = &[Param::Str, Param::Str, Param::Int];
const PATTERN_TEXT_TEXT: &[Param] = &[Param::Str, Param::Str, Param::Str];

pub(super) const FUNCTIONS: &[Function] = &[
    fixed("regexMatch", PATTERN_TEXT, |runtime, args| {
        let regex = prepare(runtime, args);
        Ok(Value::Bool(regex.is_ok_and(|regex| regex.is_match(text(args, 1)))))
    }),
    fixed("mustRegexMatch", PATTERN_TEXT, |runtime, args| {
        Ok(Value::Bool(prepare(runtime, args)?.is_match(text(args, 1))))
    }),
    fixed("regexFind", PATTERN_TEXT, |runtime, args| find(panicking(runtime, args)?, args)),
    fixed("mustRegexFind", PATTERN_TEXT, |runtime, args| find(prepare(runtime, args)?, args)),
    fixed("regexFindAll", PATTERN_TEXT_COUNT, |runtime, args| {
        let regex = panicking(runtime, args)?;
        find_all(runtime, regex, args)
    }),
    fixed("mustRegexFindAll", PATTERN_TEXT_COUNT, |runtime, args| {
        let regex = prepare(runtime, args)?;
        find_all(runtime, regex, args)
    }),
    fixed("regexReplaceAll", PATTERN_TEXT_TEXT, |runtime, args| {
        let regex = panicking(runtime, args)?;
        replace_all(runtime, &regex, args)
    }),
    fixed("mustRegexReplaceAll", PATTERN_TEXT_TEXT, |runtime, args| {
        let regex = prepare(runtime, args)?;
        replace_all(runtime, &regex, args)
    }),
    fixed("regexReplaceAllLiteral", PATTERN_TEXT_TEXT, |runtime, args| {
        let regex = panicking(runtime, args)?;
        replace_all_literal(runtime, &regex, args)
    }),
    fixed("mustRegexReplaceAllLiteral", PATTERN_TEXT_TEXT, |runtime, args| {
        let regex = prepare(runtime, args)?;
        replace_all_literal(runtime, &regex, args)
    }),
    fixed("regexSplit", PATTERN_TEXT_COUNT, |runtime, args| {
        let regex = panicking(runtime, args)?;
        split(runtime, regex, args)
    }),
    fixed("mustRegexSplit", PATTERN_TEXT_COUNT, |runtime, args| {
        let regex = prepare(runtime, args)?;
        split(runtime, regex, args)
    }),
    fixed("regexQuoteMeta", &[Param::Str], |_, args| Ok(Value::str(quote_meta(text(args, 0))))),
];

type Compiled = Result<Regex, String>;

/// Of all threads: each render has a thread of its own, and all charts use the same few.
static CACHE: Mutex<BTreeMap<String, Compiled>> = Mutex::new(BTreeMap::new());

/// The compiled expression, or Go's complaint about it.
fn compile(pattern: &str) -> Compiled {
    let cache = || CACHE.lock().unwrap_or_else(PoisonError::into_inner);
    let known = cache().get(pattern).cloned();
    if let Some(known) = known {
        return known;
    }
    let compiled = translate(pattern)
        .and_then(|translated| Regex::new(&translated).map_err(|error| explain(pattern, &error)))
        .map_err(|complaint| format!("error parsing regexp: {complaint}"));
    let mut cache = cache();
    if cache.len() >= CACHE_MAX {
        cache.clear();
    }
    cache.insert(pattern.to_owned(), compiled.clone());
    compiled
}

/// The expression of the first argument, with the work on the second one paid for.
fn prepare(runtime: &mut dyn Runtime, args: &[Value]) -> Result<Regex, FunctionError> {
    runtime.charge((text(args, 0).len() + text(args, 1).len()) as u64)?;
    Ok(compile(text(args, 0))?)
}

/// Like [`prepare`], with the text of Go's panic.
fn panicking(runtime: &mut dyn Runtime, args: &[Value]) -> Result<Regex, FunctionError> {
    runtime.charge((text(args, 0).len() + text(args, 1).len()) as u64)?;
    let pattern = text(args, 0);
    let compiled = compile(pattern);
    compiled.map_err(|complaint| {
        let quoted = if can_backquote(pattern) { format!("`{pattern}`") } else { quote(pattern) };
        FunctionError::Failed(format!("regexp: Compile({quoted}): {complaint}"))
    })
}

fn find(regex: Regex, args: &[Value]) -> Outcome {
    Ok(Value::str(regex.find(text(args, 1)).map_or("", |found| found.as_str())))
}

/// Go's limit on the number of results: a negative one is none.
fn limit(args: &[Value]) -> usize {
    usize::try_from(int(args, 2)).unwrap_or(usize::MAX)
}

/// What a match takes in a list beside its own bytes.
const MATCH_BYTES: u64 = 96;

fn find_all(runtime: &mut dyn Runtime, regex: Regex, args: &[Value]) -> Outcome {
    let mut found: Vec<&str> = Vec::new();
    for one in regex.find_iter(text(args, 1)).take(limit(args)) {
        runtime.allocate(MATCH_BYTES + one.len() as u64)?;
        found.push(one.as_str());
    }
    Ok(if found.is_empty() { Value::nil_list() } else { Value::strings(found) })
}

fn replace_all(runtime: &mut dyn Runtime, regex: &Regex, args: &[Value]) -> Outcome {
    let template = text(args, 2);
    replaced(runtime, regex, args, |captures, out| captures.expand(template, out))
}

fn replace_all_literal(runtime: &mut dyn Runtime, regex: &Regex, args: &[Value]) -> Outcome {
    let literal = text(args, 2);
    replaced(runtime, regex, args, |_, out| out.push_str(literal))
}

/// The text with every match replaced by what `write` gives for it, paid for as it grows.
fn replaced(
    runtime: &mut dyn Runtime,
    regex: &Regex,
    args: &[Value],
    write: impl Fn(&Captures<'_>, &mut String),
) -> Outcome {
    let whole = text(args, 1);
    let mut out = String::new();
    let mut from = 0;
    for captures in regex.captures_iter(whole) {
        let found = captures.get_match();
        let before = out.len();
        out.push_str(&whole[from..found.start()]);
        write(&captures, &mut out);
        from = found.end();
        let added = (out.len() - before) as u64;
        runtime.allocate(added)?;
        runtime.charge(added)?;
    }
    out.push_str(&whole[from..]);
    Ok(Value::str(out))
}

fn split(runtime: &mut dyn Runtime, regex: Regex, args: &[Value]) -> Outcome {
    let (whole, limit) = (text(args, 1), limit(args));
    if limit == 0 {
        return Ok(Value::nil_list());
    }
    if whole.is_empty() && !regex.as_str().is_empty() {
        return Ok(Value::strings([""]));
    }
    let mut parts = Vec::new();
    let (mut start, mut end) = (0, 0);
    for separator in regex.find_iter(whole).take(limit) {
        runtime.allocate(MATCH_BYTES + (separator.end() - start) as u64)?;
        if parts.len() + 1 == limit {
            break;
        }
        end = separator.start();
        // An empty match in front of everything separates nothing.
        if separator.end() != 0 {
            parts.push(&whole[start..end]);
        }
        start = separator.end();
    }
    if end != whole.len() {
        parts.push(&whole[start..]);
    }
    Ok(Value::strings(parts))
}

fn quote_meta(whole: &str) -> String {
    let mut out = String::with_capacity(whole.len());
    for letter in whole.chars() {
        if r"\.+*?()|[]{}^$".contains(letter) {
            out.push('\\');
        }
        out.push(letter);
    }
    out
}
