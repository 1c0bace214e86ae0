//! The `--set` family: one line of `name=value` pairs into a table of values, as Helm's `strvals`
//! reads it, with its error texts.

use serde_json::{Map, Value as Json};

use super::schema::go_type;

/// What the values of a line are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SetKind {
    /// `--set`: booleans, null and integers are told from strings.
    Typed,
    /// `--set-string`: strings.
    Text,
    /// `--set-file`: names of files, whose contents are the values.
    File,
    /// `--set-json`: JSON.
    Json,
    /// `--set-literal`: one pair, nothing is escaped.
    Literal,
}

/// Reads a file that a line names.
pub type ReadFile<'a> = &'a dyn Fn(&str) -> Result<String, String>;

/// Sets what `line` says in `values`; earlier values of the same names are replaced.
///
/// # Errors
/// Helm's text. What stands in front of the mistake is set.
pub fn set(
    values: &mut Map<String, Json>,
    line: &str,
    kind: SetKind,
    read: ReadFile<'_>,
) -> Result<(), String> {
    let mut parser = Parser { chars: line.chars().collect(), at: 0, kind, read };
    loop {
        match parser.key(values, 0) {
            Ok(()) => {}
            Err(Stop::End) => return Ok(()),
            Err(Stop::Problem(problem)) => return Err(problem),
        }
    }
}

/// Why reading stops.
enum Stop {
    End,
    Problem(String),
}

impl From<String> for Stop {
    fn from(problem: String) -> Self {
        Self::Problem(problem)
    }
}

type Result<T, E = Stop> = std::result::Result<T, E>;

/// The largest index of a list.
const INDEX_MAX: i64 = 65_536;
/// Names within names.
const LEVELS_MAX: usize = 30;

struct Parser<'a> {
    chars: Vec<char>,
    at: usize,
    kind: SetKind,
    read: ReadFile<'a>,
}

impl Parser<'_> {
    fn next(&mut self) -> Option<char> {
        let c = self.chars.get(self.at).copied();
        self.at += usize::from(c.is_some());
        c
    }

    /// The text up to one of `stops`, and which it was; `None` at the end of the line.
    fn until(&mut self, stops: &[char]) -> (String, Option<char>) {
        let mut text = String::new();
        while let Some(c) = self.next() {
            if stops.contains(&c) {
                return (text, Some(c));
            }
            if c == '\\' && self.kind != SetKind::Literal {
                match self.next() {
                    Some(escaped) => text.push(escaped),
                    None => break,
                }
            } else {
                text.push(c);
            }
        }
        (text, None)
    }

    fn key(&mut self, data: &mut Map<String, Json>, level: usize) -> Result<()> {
        let stops: &[char] = match self.kind {
            SetKind::Literal => &['=', '[', '.'],
            _ => &['=', '[', ',', '.'],
        };
        let (name, stop) = self.until(stops);
        match stop {
            None if name.is_empty() => Err(Stop::End),
            None => Err(format!("key {name:?} has no value").into()),
            Some('[') => {
                let index = self.index()?;
                let mut list = match data.get_mut(&name) {
                    None => Vec::new(),
                    Some(Json::Array(list)) => std::mem::take(list),
                    Some(other) => return Err(conversion(other, "[]interface {}").into()),
                };
                let result = self.item(&mut list, index, level);
                put(data, &name, Json::Array(list));
                result
            }
            Some('=') => self.value_of(data, &name),
            Some(',') => {
                put(data, &name, Json::from(""));
                Err(format!("key {name:?} has no value (cannot end with ,)").into())
            }
            Some(_) => {
                let level = deeper(level)?;
                let mut inner = match data.get_mut(&name) {
                    None => Map::new(),
                    Some(Json::Object(inner)) => std::mem::take(inner),
                    Some(other) => return Err(conversion(other, "map[string]interface {}").into()),
                };
                let result = self.key(&mut inner, level);
                let is_empty = inner.is_empty();
                if !is_empty {
                    put(data, &name, Json::Object(inner));
                } else if result.is_ok() {
                    return Err(format!("key map {name:?} has no value").into());
                }
                result
            }
        }
    }

    /// Reads the value behind `name=`.
    fn value_of(&mut self, data: &mut Map<String, Json>, name: &str) -> Result<()> {
        match self.kind {
            SetKind::Literal => {
                let value = self.rest();
                put(data, name, Json::String(value));
                Ok(())
            }
            SetKind::Json => {
                let value = self.json()?;
                put(data, name, value);
                Ok(())
            }
            _ => {
                let Some(&first) = self.chars.get(self.at) else {
                    put(data, name, Json::from(""));
                    return Err(Stop::End);
                };
                let value = if first == '{' {
                    self.list()?
                } else {
                    let (text, _) = self.until(&[',']);
                    self.convert(&text)?
                };
                put(data, name, value);
                Ok(())
            }
        }
    }

    fn rest(&mut self) -> String {
        let rest = self.chars[self.at..].iter().collect();
        self.at = self.chars.len();
        rest
    }

    fn convert(&self, text: &str) -> Result<Json> {
        Ok(match self.kind {
            SetKind::Text | SetKind::Literal => Json::from(text),
            SetKind::File => Json::String((self.read)(text)?),
            SetKind::Typed | SetKind::Json => typed(text),
        })
    }

    fn list(&mut self) -> Result<Json> {
        self.at += 1;
        let mut items = Vec::new();
        loop {
            let (text, stop) = self.until(&[',', '}']);
            let Some(stop) = stop else {
                return Err("list must terminate with '}'".to_owned().into());
            };
            items.push(self.convert(&text)?);
            if stop == '}' {
                // A comma behind the list belongs to it.
                self.at += usize::from(self.chars.get(self.at) == Some(&','));
                return Ok(Json::Array(items));
            }
        }
    }

    /// One JSON value and the comma behind it; nothing is null.
    fn json(&mut self) -> Result<Json> {
        if self.skip_to_value() {
            return Ok(Json::Null);
        }
        let rest: String = self.chars[self.at..].iter().collect();
        let mut values = serde_json::Deserializer::from_str(&rest).into_iter::<Json>();
        let value = match values.next() {
            Some(Ok(value)) => value,
            Some(Err(error)) => return Err(error.to_string().into()),
            None => return Err(Stop::End),
        };
        self.at += rest[..values.byte_offset()].chars().count();
        self.skip_to_value();
        Ok(floats(value))
    }

    /// Steps over white space and one comma; whether no value stands here.
    fn skip_to_value(&mut self) -> bool {
        loop {
            match self.chars.get(self.at) {
                None => return true,
                Some(',') => {
                    self.at += 1;
                    return true;
                }
                Some(c) if c.is_whitespace() => self.at += 1,
                Some(_) => return false,
            }
        }
    }

    fn index(&mut self) -> Result<i64> {
        let (text, stop) = self.until(&[']']);
        if stop.is_none() {
            return Err("error parsing index: EOF".to_owned().into());
        }
        text.parse::<i64>().map_err(|error| {
            let cause = match error.kind() {
                std::num::IntErrorKind::PosOverflow | std::num::IntErrorKind::NegOverflow => {
                    "value out of range"
                }
                _ => "invalid syntax",
            };
            Stop::Problem(format!("error parsing index: strconv.Atoi: parsing {text:?}: {cause}"))
        })
    }

    /// Reads what follows `[index]`.
    fn item(&mut self, list: &mut Vec<Json>, index: i64, level: usize) -> Result<()> {
        if index < 0 {
            return Err(format!("negative {index} index not allowed").into());
        }
        let (text, stop) = self.until(&['[', '.', '=']);
        if !text.is_empty() {
            return Err(format!("unexpected data at end of array index: {text:?}").into());
        }
        let at = index as usize;
        match stop {
            None => Err(Stop::End),
            Some('=') => {
                // The name stands for itself: the pair is read as for a table.
                let mut value = Map::new();
                let result = self.value_of(&mut value, "value");
                let ends_with_nothing = matches!(result, Err(Stop::End));
                if let Some(value) = value.remove("value") {
                    put_index(list, index, value)?;
                }
                if ends_with_nothing { Ok(()) } else { result }
            }
            Some('[') => {
                let next = self.index()?;
                let mut inner = match list.get_mut(at) {
                    None | Some(Json::Null) => Vec::new(),
                    Some(Json::Array(inner)) => std::mem::take(inner),
                    Some(other) => return Err(conversion(other, "[]interface {}").into()),
                };
                self.item(&mut inner, next, level)?;
                put_index(list, index, Json::Array(inner))
            }
            Some(_) => {
                let mut inner = match list.get_mut(at) {
                    Some(Json::Object(inner)) => std::mem::take(inner),
                    _ => Map::new(),
                };
                self.key(&mut inner, level)?;
                put_index(list, index, Json::Object(inner))
            }
        }
    }
}

fn deeper(level: usize) -> Result<usize> {
    if level >= LEVELS_MAX {
        return Err(format!(
            "value name nested level is greater than maximum supported nested level of {LEVELS_MAX}"
        )
        .into());
    }
    Ok(level + 1)
}

fn put(data: &mut Map<String, Json>, name: &str, value: Json) {
    if !name.is_empty() {
        data.insert(name.to_owned(), value);
    }
}

fn put_index(list: &mut Vec<Json>, index: i64, value: Json) -> Result<()> {
    if index > INDEX_MAX {
        return Err(format!(
            "index of {index} is greater than maximum supported index of {INDEX_MAX}"
        )
        .into());
    }
    let at = index as usize;
    if list.len() <= at {
        list.resize(at + 1, Json::Null);
    }
    list[at] = value;
    Ok(())
}

fn conversion(found: &Json, wanted: &str) -> String {
    let found = if found.is_null() { "nil" } else { go_type(found) };
    format!("unable to parse key: interface conversion: interface {{}} is {found}, not {wanted}")
}

fn typed(text: &str) -> Json {
    if text.eq_ignore_ascii_case("true") {
        return Json::Bool(true);
    }
    if text.eq_ignore_ascii_case("false") {
        return Json::Bool(false);
    }
    if text.eq_ignore_ascii_case("null") {
        return Json::Null;
    }
    // Other texts with a leading zero are names more often than numbers.
    if (text == "0" || !text.starts_with('0'))
        && let Ok(number) = text.parse::<i64>()
    {
        return Json::from(number);
    }
    Json::from(text)
}

/// Every number as a float, as Go's decoder gives it.
fn floats(value: Json) -> Json {
    match value {
        Json::Number(number) => number.as_f64().map_or(Json::Null, Json::from),
        Json::Array(items) => items.into_iter().map(floats).collect(),
        Json::Object(entries) => {
            Json::Object(entries.into_iter().map(|(key, value)| (key, floats(value))).collect())
        }
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(kind: SetKind, lines: &[&str]) -> String {
        let mut values = Map::new();
        for line in lines {
            if let Err(problem) = set(&mut values, line, kind, &|name| Ok(format!("<{name}>"))) {
                return problem;
            }
        }
        Json::Object(values).to_string()
    }

    #[test]
    fn lines_are_read_as_helm_reads_them() {
        let cases = [
            ("a=1,b=x,c=true,d=null,e=", r#"{"a":1,"b":"x","c":true,"d":null,"e":""}"#),
            ("a.b.c=1,a.d=2", r#"{"a":{"b":{"c":1},"d":2}}"#),
            ("a={x,1,true},b=2", r#"{"a":["x",1,true],"b":2}"#),
            ("a[1].b=1,a[0]=x", r#"{"a":["x",{"b":1}]}"#),
            ("a[0][1]=x", r#"{"a":[[null,"x"]]}"#),
            (r"a\.b=c\,d", r#"{"a.b":"c,d"}"#),
            ("a=007,b=0,c=-5,d=1.5,e=+3", r#"{"a":"007","b":0,"c":-5,"d":"1.5","e":3}"#),
            ("a={}", r#"{"a":[""]}"#),
            ("a", r#"key "a" has no value"#),
            ("a=1,b", r#"key "b" has no value"#),
            ("a,b=1", r#"key "a" has no value (cannot end with ,)"#),
            ("a={x", "list must terminate with '}'"),
            ("a[x]=1", r#"error parsing index: strconv.Atoi: parsing "x": invalid syntax"#),
            ("a[-1]=1", "negative -1 index not allowed"),
            ("a[0]x=1", r#"unexpected data at end of array index: "x""#),
            (
                "a=1,a.b=2",
                "unable to parse key: interface conversion: interface {} is int64, not \
                 map[string]interface {}",
            ),
            ("", "{}"),
        ];
        for (line, expected) in cases {
            assert_eq!(check(SetKind::Typed, &[line]), expected, "{line}");
        }
    }

    #[test]
    fn each_kind_has_its_own_values() {
        assert_eq!(check(SetKind::Text, &["a=1,b=true"]), r#"{"a":"1","b":"true"}"#);
        assert_eq!(check(SetKind::File, &["a=x.txt"]), r#"{"a":"<x.txt>"}"#);
        assert_eq!(
            check(SetKind::Json, &[r#"a={"b":[1,2]},c="x",d=,e=null"#]),
            r#"{"a":{"b":[1.0,2.0]},"c":"x","d":null,"e":null}"#
        );
        assert_eq!(check(SetKind::Literal, &["a.b=x,y=z\\"]), r#"{"a":{"b":"x,y=z\\"}}"#);
        assert_eq!(check(SetKind::Typed, &["a=1", "a=2"]), r#"{"a":2}"#);
    }
}
