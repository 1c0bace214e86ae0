//! Strings. Positions and lengths are bytes, as in Go.

use super::args::{Outcome, fixed, int, out_of_bounds, text, variadic, weigh};
use super::lists::strings_of;
use super::text::{lower, text_of, upper};
use super::words::{LongWords, connect, pascal, wrap};
use crate::template::binary::{from_bytes, to_bytes};
use crate::template::function::{Function, FunctionError, Param, Runtime};
use crate::template::quote::quote;
use crate::template::value::{Element, Map, Str, Value};

pub(super) const FUNCTIONS: &[Function] = &[
    fixed("abbrev", &[Param::Int, Param::Str], |_, args| {
        Ok(bytes_value(&abbreviate(&to_bytes(text(args, 1)), 0, int(args, 0))))
    }),
    fixed("abbrevboth", &[Param::Int, Param::Int, Param::Str], |_, args| {
        Ok(bytes_value(&abbreviate(&to_bytes(text(args, 2)), int(args, 0), int(args, 1))))
    }),
    fixed("trunc", &[Param::Int, Param::Str], trunc),
    fixed("trim", &[Param::Str], |_, args| Ok(Value::str(text(args, 0).trim()))),
    fixed("upper", &[Param::Str], |_, args| Ok(mapped(args, upper))),
    fixed("lower", &[Param::Str], |_, args| Ok(mapped(args, lower))),
    fixed("title", &[Param::Str], |_, args| Ok(Value::str(title(text(args, 0))))),
    fixed("untitle", &[Param::Str], |_, args| Ok(Value::str(untitle(text(args, 0))))),
    fixed("substr", &[Param::Int, Param::Int, Param::Str], substr),
    fixed("repeat", &[Param::Int, Param::Str], repeat),
    fixed("trimall", &[Param::Str, Param::Str], trim_all),
    fixed("trimAll", &[Param::Str, Param::Str], trim_all),
    fixed("trimSuffix", &[Param::Str, Param::Str], |_, args| {
        let whole = text(args, 1);
        Ok(Value::str(whole.strip_suffix(text(args, 0)).unwrap_or(whole)))
    }),
    fixed("trimPrefix", &[Param::Str, Param::Str], |_, args| {
        let whole = text(args, 1);
        Ok(Value::str(whole.strip_prefix(text(args, 0)).unwrap_or(whole)))
    }),
    fixed("nospace", &[Param::Str], |_, args| Ok(Value::str(nospace(text(args, 0))))),
    fixed("initials", &[Param::Str], |_, args| Ok(Value::str(initials(text(args, 0))))),
    fixed("swapcase", &[Param::Str], |_, args| Ok(Value::str(swap_case(text(args, 0))))),
    fixed("snakecase", &[Param::Str], |_, args| Ok(Value::str(connect(text(args, 0), '_')))),
    fixed("kebabcase", &[Param::Str], |_, args| Ok(Value::str(connect(text(args, 0), '-')))),
    fixed("camelcase", &[Param::Str], |_, args| Ok(Value::str(pascal(text(args, 0))))),
    fixed("wrap", &[Param::Int, Param::Str], |runtime, args| {
        runtime.charge(text(args, 1).len() as u64)?;
        Ok(Value::str(wrap(text(args, 1), int(args, 0), "", LongWords::Keep)))
    }),
    fixed("wrapWith", &[Param::Int, Param::Str, Param::Str], |runtime, args| {
        runtime.charge((text(args, 1).len() * text(args, 2).len()) as u64)?;
        Ok(Value::str(wrap(text(args, 2), int(args, 0), text(args, 1), LongWords::Cut)))
    }),
    fixed("contains", &[Param::Str, Param::Str], |_, args| {
        Ok(Value::Bool(text(args, 1).contains(text(args, 0))))
    }),
    fixed("hasPrefix", &[Param::Str, Param::Str], |_, args| {
        Ok(Value::Bool(text(args, 1).starts_with(text(args, 0))))
    }),
    fixed("hasSuffix", &[Param::Str, Param::Str], |_, args| {
        Ok(Value::Bool(text(args, 1).ends_with(text(args, 0))))
    }),
    variadic("quote", &[], Param::Any, |runtime, args| {
        joined(runtime, args, |value| quote(&text_of(value)))
    }),
    variadic("squote", &[], Param::Any, |runtime, args| {
        joined(runtime, args, |value| format!("'{value}'"))
    }),
    variadic("cat", &[], Param::Any, |runtime, args| joined(runtime, args, Value::to_string)),
    fixed("indent", &[Param::Int, Param::Str], |runtime, args| indent(runtime, args, "")),
    fixed("nindent", &[Param::Int, Param::Str], |runtime, args| indent(runtime, args, "\n")),
    fixed("replace", &[Param::Str, Param::Str, Param::Str], replace),
    fixed("plural", &[Param::Str, Param::Str, Param::Int], |_, args| {
        Ok(args[usize::from(int(args, 2) != 1)].clone())
    }),
    fixed("toString", &[Param::Any], |_, args| {
        Ok(match &args[0] {
            Value::Str(text) => Value::Str(text.clone()),
            other => Value::str(text_of(other)),
        })
    }),
    fixed("join", &[Param::Str, Param::Any], |runtime, args| {
        weigh(runtime, &args[1..])?;
        let items = strings_of(&args[1]);
        runtime.allocate((items.len() as u64).saturating_mul(text(args, 0).len() as u64))?;
        Ok(Value::str(items.join(text(args, 0))))
    }),
    fixed("split", &[Param::Str, Param::Str], |runtime, args| {
        pay_for_parts(runtime, text(args, 1), text(args, 0))?;
        Ok(numbered(split(text(args, 1), text(args, 0), -1)))
    }),
    fixed("splitn", &[Param::Str, Param::Int, Param::Str], |runtime, args| {
        pay_for_parts(runtime, text(args, 2), text(args, 0))?;
        Ok(numbered(split(text(args, 2), text(args, 0), int(args, 1))))
    }),
    fixed("splitList", &[Param::Str, Param::Str], |runtime, args| {
        pay_for_parts(runtime, text(args, 1), text(args, 0))?;
        Ok(Value::strings(split(text(args, 1), text(args, 0), -1)))
    }),
];

fn bytes_value(bytes: &[u8]) -> Value {
    Value::str(from_bytes(bytes))
}

fn mapped(args: &[Value], map: fn(char) -> char) -> Value {
    Value::str(text(args, 0).chars().map(map).collect::<String>())
}

/// The values that are not nil, each shown, with spaces between them.
fn joined(runtime: &mut dyn Runtime, args: &[Value], show: fn(&Value) -> String) -> Outcome {
    weigh(runtime, args)?;
    let shown: Vec<String> = args.iter().filter(|value| !value.is_nil()).map(show).collect();
    Ok(Value::str(shown.join(" ")))
}

/// At most `width` bytes of `whole` from about `offset` on, with `...` where something is left out.
fn abbreviate(whole: &[u8], offset: i64, width: i64) -> Vec<u8> {
    if width < 4 || offset > 0 && width < 7 {
        return whole.to_vec();
    }
    let (width, len) = (width as usize, whole.len());
    if len <= width {
        return whole.to_vec();
    }
    let offset = usize::try_from(offset).unwrap_or(0).min(len).min(len - (width - 3));
    if offset <= 4 {
        return [&whole[..width - 3], b"..."].concat();
    }
    if offset + width - 3 < len {
        let middle = abbreviate(&whole[offset..], 0, width as i64 - 3);
        return [b"...", middle.as_slice()].concat();
    }
    [b"...", &whole[len - (width - 3)..]].concat()
}

fn trunc(_: &mut dyn Runtime, args: &[Value]) -> Outcome {
    let (count, whole) = (int(args, 0), to_bytes(text(args, 1)));
    let len = whole.len() as i64;
    Ok(if count < 0 && len + count > 0 {
        bytes_value(&whole[(len + count) as usize..])
    } else if count >= 0 && len > count {
        bytes_value(&whole[..count as usize])
    } else {
        args[1].clone()
    })
}

fn substr(_: &mut dyn Runtime, args: &[Value]) -> Outcome {
    let (start, end, whole) = (int(args, 0), int(args, 1), to_bytes(text(args, 2)));
    let len = whole.len() as i64;
    let (start, end) = if start < 0 {
        if end < 0 {
            return Err(out_of_bounds(&format!(":{end}]")));
        }
        (0, end)
    } else if end < 0 || end > len {
        (start, len)
    } else {
        (start, end)
    };
    if end > len {
        return Err(out_of_bounds(&format!(":{end}] with length {len}")));
    }
    match whole.get(start as usize..end as usize) {
        Some(part) => Ok(bytes_value(part)),
        None => Err(out_of_bounds(&format!("{start}:{end}]"))),
    }
}

fn repeat(runtime: &mut dyn Runtime, args: &[Value]) -> Outcome {
    let (count, part) = (int(args, 0), text(args, 1));
    let Ok(count) = usize::try_from(count) else {
        return Err("strings: negative Repeat count".into());
    };
    runtime.charge((part.len() as u64).saturating_mul(count as u64))?;
    Ok(Value::str(part.repeat(count)))
}

fn trim_all(_: &mut dyn Runtime, args: &[Value]) -> Outcome {
    let unwanted = text(args, 0);
    Ok(Value::str(text(args, 1).trim_matches(|letter| unwanted.contains(letter))))
}

fn indent(runtime: &mut dyn Runtime, args: &[Value], before: &str) -> Outcome {
    let (width, whole) = (int(args, 0), text(args, 1));
    let Ok(width) = usize::try_from(width) else {
        return Err("strings: negative Repeat count".into());
    };
    let lines = whole.matches('\n').count() + 1;
    let added = lines.saturating_mul(width);
    runtime.charge((whole.len() + before.len()).saturating_add(added) as u64)?;
    let padding = " ".repeat(width);
    let mut out = String::with_capacity(before.len() + whole.len() + added);
    out.push_str(before);
    for (at, line) in whole.split('\n').enumerate() {
        if at > 0 {
            out.push('\n');
        }
        out.push_str(&padding);
        out.push_str(line);
    }
    Ok(Value::str(out))
}

fn replace(runtime: &mut dyn Runtime, args: &[Value]) -> Outcome {
    let (old, new, whole) = (text(args, 0), text(args, 1), text(args, 2));
    runtime.charge((whole.len() as u64).saturating_mul(1 + new.len() as u64 / 16))?;
    Ok(Value::str(whole.replace(old, new)))
}

/// Go's deprecated `strings.Title`: the first letter of each word.
fn title(whole: &str) -> String {
    let mut previous = ' ';
    let letters = whole.chars().map(|letter| {
        let is_first = is_separator(previous);
        previous = letter;
        if is_first { upper(letter) } else { letter }
    });
    letters.collect()
}

fn is_separator(letter: char) -> bool {
    if letter.is_ascii() {
        return !(letter.is_ascii_alphanumeric() || letter == '_');
    }
    letter.is_whitespace()
}

fn untitle(whole: &str) -> String {
    let mut is_first = true;
    let letters = whole.chars().map(|letter| {
        if letter.is_whitespace() {
            is_first = true;
            letter
        } else if std::mem::take(&mut is_first) {
            lower(letter)
        } else {
            letter
        }
    });
    letters.collect()
}

fn swap_case(whole: &str) -> String {
    let mut behind_space = true;
    let letters = whole.chars().map(|letter| {
        if letter.is_uppercase() {
            behind_space = false;
            lower(letter)
        } else if letter.is_lowercase() {
            behind_space = false;
            upper(letter)
        } else {
            behind_space = letter.is_whitespace();
            letter
        }
    });
    letters.collect()
}

/// Each byte as the character of that number, which is how goutils reads a string.
fn latin1(whole: &str) -> Vec<char> {
    to_bytes(whole).iter().copied().map(char::from).collect()
}

fn nospace(whole: &str) -> String {
    let letters = latin1(whole);
    if !letters.iter().any(|letter| letter.is_whitespace()) {
        return whole.to_owned();
    }
    letters.into_iter().filter(|letter| !letter.is_whitespace()).collect()
}

fn initials(whole: &str) -> String {
    let mut behind_gap = true;
    let letters = latin1(whole).into_iter().filter(|letter| {
        let is_gap = letter.is_whitespace();
        let is_initial = behind_gap && !is_gap;
        behind_gap = is_gap;
        is_initial
    });
    letters.collect()
}

/// What a part of a text takes beside its own bytes, in a list or under a number.
const PART_BYTES: u64 = 160;

/// Spends the memory of all parts of a text before there are any.
fn pay_for_parts(
    runtime: &mut dyn Runtime,
    whole: &str,
    separator: &str,
) -> Result<(), FunctionError> {
    let parts = if separator.is_empty() { whole.len() } else { whole.matches(separator).count() };
    runtime.allocate(PART_BYTES * (1 + parts as u64) + whole.len() as u64)
}

/// Go's `strings.SplitN`: a negative limit is none, and nothing splits between characters.
pub(super) fn split<'a>(whole: &'a str, separator: &str, limit: i64) -> Vec<&'a str> {
    let limit = match limit {
        0 => return Vec::new(),
        1.. => limit as usize,
        _ => usize::MAX,
    };
    if !separator.is_empty() {
        return whole.splitn(limit, separator).collect();
    }
    let mut parts = Vec::new();
    let mut rest = whole;
    while let Some(first) = rest.chars().next() {
        if parts.len() + 1 == limit {
            parts.push(rest);
            break;
        }
        let (part, behind) = rest.split_at(first.len_utf8());
        parts.push(part);
        rest = behind;
    }
    parts
}

/// `_0`, `_1` and so on: a `map[string]string`.
fn numbered(parts: Vec<&str>) -> Value {
    let entries = parts
        .into_iter()
        .enumerate()
        .map(|(at, part)| (Str::from(format!("_{at}")), Value::str(part)));
    Value::Map(Map::from_entries(Element::Str, entries))
}
