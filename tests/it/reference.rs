//! The pages below `docs/reference/`: made from the schemas, the command line and the codes of
//! diagnostics, and compared with what is committed. `FITOUT_BLESS=1` writes them.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::path::Path;

use fitout::base::codes::{self, CODES};
use fitout::fleet::schema::Kind;
use serde_json::Value as Json;

use crate::env::repository;

/// What stands at the top of each page.
const MADE: &str = "<!-- Made by `make docs`. Do not edit. -->\n\n";

#[track_caller]
fn is_committed(page: &str, text: &str) {
    let path = repository().join("docs/reference").join(page);
    if std::env::var_os("FITOUT_BLESS").is_some() {
        std::fs::write(&path, text).unwrap();
        return;
    }
    let committed = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(committed == text, "docs/reference/{page} is not up to date: run `make docs`");
}

#[test]
fn every_field_of_every_document_is_described() {
    let mut page = format!("{MADE}# Documents\n\n");
    page.push_str(
        "Every `*.yaml` below `clusters/`, `addons/` and `policies/` is read, except inside a chart \
         (a folder with `Chart.yaml`) and files that an Addon names as a layer of values. A document begins with\n\
         `apiVersion: fitout.dev/v1alpha1` and its kind. `fitout schema KIND` prints the same as JSON Schema, for editors.\n",
    );
    for kind in Kind::ALL {
        Fields { root: kind.schema(), page: &mut page, seen: BTreeMap::new() }.kind(kind);
    }
    is_committed("documents.md", &page);
}

/// The tables of one kind.
struct Fields<'a> {
    root: &'a Json,
    page: &'a mut String,
    /// Types that were described, and where.
    seen: BTreeMap<String, String>,
}

impl<'a> Fields<'a> {
    fn kind(&mut self, kind: Kind) {
        let about = text(&self.root["description"]);
        writeln!(self.page, "\n## {kind}\n\n{about}").unwrap();
        for part in ["metadata", "spec"] {
            let root = self.root;
            self.table(&format!("{kind}.{part}"), self.target(&root["properties"][part]).1);
        }
    }

    /// The table of a mapping, and those of the mappings in it.
    fn table(&mut self, path: &str, schema: &'a Json) {
        let Some(properties) = schema["properties"].as_object() else { return };
        writeln!(self.page, "\n### `{path}`\n").unwrap();
        if path.matches('.').count() > 1 {
            writeln!(self.page, "{}\n", text(&schema["description"])).unwrap();
        }
        if properties.is_empty() {
            writeln!(self.page, "No fields: `{{}}`.").unwrap();
            return;
        }
        writeln!(self.page, "| field | is | default | |\n|---|---|---|---|").unwrap();
        let required: BTreeSet<&str> =
            schema["required"].as_array().into_iter().flatten().filter_map(Json::as_str).collect();
        let mut inner = Vec::new();
        let is_optional = |name: &str| !required.contains(name);
        let mut ordered: Vec<(&String, &Json)> = properties.iter().collect();
        ordered.sort_by_key(|(name, _)| (is_optional(name), *name));
        for (name, property) in ordered {
            let is = self.is(path, name, property, &mut inner);
            let default = match &property["default"] {
                _ if required.contains(name.as_str()) => "required".to_owned(),
                Json::Null => String::new(),
                Json::String(text) if text.is_empty() => String::new(),
                Json::Object(map) if map.is_empty() => String::new(),
                Json::Array(items) if items.is_empty() => String::new(),
                Json::Object(_) => "see there".to_owned(),
                value => format!("`{}`", value.to_string().trim_matches('"')),
            };
            let about = text(&property["description"]);
            writeln!(self.page, "| `{name}` | {is} | {default} | {about} |").unwrap();
        }
        for (path, schema) in inner {
            self.table(&path, schema);
        }
    }

    /// What a field is, in words; mappings in it are described later.
    fn is(
        &mut self,
        path: &str,
        name: &str,
        property: &'a Json,
        inner: &mut Vec<(String, &'a Json)>,
    ) -> String {
        let (type_name, target) = self.target(property);
        if type_name == "Duration" {
            return "duration, such as `10m`".to_owned();
        }
        if let Some(choices) = choices(target) {
            return choices;
        }
        let here = format!("{path}.{name}");
        if target["properties"].is_object() {
            return self.mapping(here, target, type_name, inner);
        }
        match kind_of(target) {
            "array" => {
                let (type_name, items) = self.target(&target["items"]);
                if items["properties"].is_object() {
                    let link = self.mapping(format!("{here}[]"), items, type_name, inner);
                    return format!("list: {link}");
                }
                format!("list of {}s", word(kind_of(items)))
            }
            "object" => match target["additionalProperties"].as_object() {
                Some(values) if values.contains_key("type") => {
                    let values = word(values["type"].as_str().unwrap_or_default());
                    format!("mapping of names to {values}s")
                }
                None if target["additionalProperties"] == false => "`{}`".to_owned(),
                _ => "mapping, free".to_owned(),
            },
            kind => word(kind).to_owned(),
        }
    }

    /// A link to the table of a mapping, which is written later unless its type already was.
    fn mapping(
        &mut self,
        path: String,
        schema: &'a Json,
        type_name: String,
        inner: &mut Vec<(String, &'a Json)>,
    ) -> String {
        if let Some(place) = self.seen.get(&type_name) {
            return format!("as [`{place}`](#{})", anchor(place));
        }
        let link = format!("[mapping](#{})", anchor(&path));
        if !type_name.is_empty() {
            self.seen.insert(type_name, path.clone());
        }
        inner.push((path, schema));
        link
    }

    /// The schema behind references and `anyOf … null`, with the name of its type.
    fn target(&self, schema: &'a Json) -> (String, &'a Json) {
        let mut schema = schema;
        let mut name = String::new();
        loop {
            if let Some(reference) = schema["$ref"].as_str() {
                reference.rsplit('/').next().unwrap_or_default().clone_into(&mut name);
                schema = self.root.pointer(reference.trim_start_matches('#')).unwrap();
            } else if let Some(first) = schema["anyOf"].as_array().and_then(|any| {
                let mut real = any.iter().filter(|one| one["type"] != "null");
                real.next().filter(|_| real.next().is_none())
            }) {
                schema = first;
            } else {
                return (name, schema);
            }
        }
    }
}

fn choices(schema: &Json) -> Option<String> {
    let mut told = Vec::new();
    for choice in schema["oneOf"].as_array()? {
        let value = choice["const"].as_str()?;
        told.push(format!("`{value}`: {}", text(&choice["description"]).trim_end_matches('.')));
    }
    Some(told.join("; "))
}

fn kind_of(schema: &Json) -> &str {
    match &schema["type"] {
        Json::String(name) => name,
        Json::Array(names) => {
            names.iter().filter_map(Json::as_str).find(|name| *name != "null").unwrap_or_default()
        }
        _ if schema["anyOf"].is_array() => "amount",
        _ => "anything",
    }
}

fn word(kind: &str) -> &str {
    match kind {
        "string" => "text",
        "boolean" => "`true` or `false`",
        "integer" => "number",
        "amount" => "number, or a percentage such as `10%`",
        other => other,
    }
}

fn text(value: &Json) -> String {
    value.as_str().unwrap_or_default().replace('\n', " ").replace('|', "\\|")
}

/// As code hosts make it from a heading.
fn anchor(heading: &str) -> String {
    heading.to_lowercase().chars().filter(|c| c.is_alphanumeric() || *c == '-').collect()
}

#[test]
fn every_command_is_described() {
    let mut command = fitout::cli::command();
    command.build();
    let mut page = format!("{MADE}# Commands\n\n");
    page.push_str(
        "What is data goes to stdout, what is talk to stderr. Exit codes are in [Concepts](../concepts.md#exit-codes).\n\n## Global options\n\n",
    );
    options(&mut page, &command, true);
    for sub in visible(&command) {
        describe(&mut page, sub, "fitout", 2);
    }
    is_committed("commands.md", &page);
}

fn visible(command: &clap::Command) -> impl Iterator<Item = &clap::Command> {
    command.get_subcommands().filter(|sub| sub.get_name() != "help" && !sub.is_hide_set())
}

fn describe(page: &mut String, command: &clap::Command, parent: &str, depth: usize) {
    let name = format!("{parent} {}", command.get_name());
    let about = command.get_about().map(ToString::to_string).unwrap_or_default();
    let usage = command.clone().render_usage().to_string();
    let usage = usage.trim_start_matches("Usage: ").trim();
    writeln!(page, "\n{} `{name}`\n\n{about}.\n\n```\n{usage}\n```\n", "#".repeat(depth)).unwrap();
    options(page, command, false);
    for sub in visible(command) {
        describe(page, sub, &name, depth + 1);
    }
}

/// A table of arguments and options, either the global ones or all others.
fn options(page: &mut String, command: &clap::Command, is_global: bool) {
    let args: Vec<&clap::Arg> = command
        .get_arguments()
        .filter(|arg| arg.is_global_set() == is_global && !arg.is_hide_set())
        .filter(|arg| !matches!(arg.get_id().as_str(), "help" | "version") || is_global)
        .collect();
    if args.is_empty() {
        return;
    }
    writeln!(page, "| | |\n|---|---|").unwrap();
    for arg in args {
        let mut about = arg.get_help().map(ToString::to_string).unwrap_or_default();
        let takes_value = arg.get_action().takes_values();
        let possible: Vec<String> = arg
            .get_possible_values()
            .iter()
            .filter(|value| !value.is_hide_set())
            .map(|value| format!("`{}`", value.get_name()))
            .collect();
        if takes_value && !possible.is_empty() {
            about = format!("{about}: {}", possible.join(", "));
        }
        let defaults: Vec<String> = arg
            .get_default_values()
            .iter()
            .map(|value| format!("`{}`", value.to_string_lossy()))
            .collect();
        if takes_value && !defaults.is_empty() {
            about = format!("{about} (default {})", defaults.join(" "));
        }
        if let Some(variable) = arg.get_env() {
            about = format!("{about} (or `${}`)", variable.to_string_lossy());
        }
        writeln!(page, "| `{}` | {} |", flag(arg), about.replace('|', "\\|")).unwrap();
    }
}

fn flag(arg: &clap::Arg) -> String {
    let names: Vec<String> =
        arg.get_value_names().unwrap_or_default().iter().map(ToString::to_string).collect();
    let values = names.join(" ").replace('|', "\\|");
    let repeats = matches!(arg.get_action(), clap::ArgAction::Append) && arg.is_positional();
    if arg.is_positional() {
        return format!("{values}{}", if repeats { "…" } else { "" });
    }
    let short = arg.get_short().map(|short| format!("-{short}"));
    let long = arg.get_long().map(|long| format!("--{long}"));
    let names: Vec<String> = short.into_iter().chain(long).collect();
    let value = if arg.get_action().takes_values() { format!(" {values}") } else { String::new() };
    format!("{}{value}", names.join(", "))
}

#[test]
fn every_code_of_a_diagnostic_is_explained_with_an_example() {
    let examples = examples();
    let mut page = format!("{MADE}# Diagnostics\n\n");
    page.push_str(
        "What is wrong is told all at once, each with file, line, cause and a way out. The code in brackets is stable. An error ends a command\n\
         with exit code 1; a warning does not. `fitout validate -o json` has the same for programs.\n\n",
    );
    let links: Vec<String> = CODES.iter().map(|code| format!("[{0}](#{0})", code.code)).collect();
    writeln!(page, "{}", links.join(" · ")).unwrap();
    let mut without = Vec::new();
    for code in CODES {
        writeln!(page, "\n## {}\n\n{} {}", code.code, code.meaning, code.way_out).unwrap();
        match examples.get(code.code) {
            Some(example) => writeln!(page, "\n```\n{example}\n```").unwrap(),
            None => without.push(code.code),
        }
    }
    assert!(without.is_empty(), "no snapshot shows these codes: {without:?}");
    is_committed("diagnostics.md", &page);
}

/// For each code, the shortest of what the tests have seen.
fn examples() -> BTreeMap<String, String> {
    let mut found: BTreeMap<String, String> = BTreeMap::new();
    for path in files(&repository().join("tests/it/snapshots"), "snap") {
        let text = std::fs::read_to_string(&path).unwrap();
        // Ports differ from run to run.
        collect(&text.replace("http://127.0.0.1:[PORT]", "https://charts.example.org"), &mut found);
    }
    found
}

fn collect(snapshot: &str, found: &mut BTreeMap<String, String>) {
    let mut rest = snapshot;
    while let Some(at) = rest.find("error[").into_iter().chain(rest.find("warning[")).min() {
        let block = &rest[at..];
        let end = block.find("\n\n").unwrap_or(block.len());
        let code = block.split(['[', ']']).nth(1).unwrap_or_default().to_owned();
        let example = block[..end].trim_end().to_owned();
        let is_better = |old: &String| (example.len(), &example) < (old.len(), old);
        if at == 0 || rest[..at].ends_with('\n') {
            match found.get(&code) {
                Some(old) if !is_better(old) => {}
                _ => {
                    found.insert(code, example);
                }
            }
        }
        rest = &block[end..];
    }
}

#[test]
fn the_list_of_codes_is_that_of_the_source() {
    let mut used: BTreeSet<String> = BTreeSet::new();
    let mut literals: BTreeSet<String> = BTreeSet::new();
    for path in files(&repository().join("src"), "rs") {
        if path.ends_with("base/codes.rs") {
            continue;
        }
        let text = std::fs::read_to_string(&path).unwrap();
        let text = text.split("#[cfg(test)]\nmod tests {").next().unwrap_or_default();
        literals.extend(text.split('"').filter(|part| is_code(part)).map(str::to_owned));
        for call in ["Diagnostic::error(", "Diagnostic::warning(", "Self::new("] {
            for rest in text.split(call).skip(1) {
                let literal = rest.trim_start().strip_prefix('"').and_then(|r| r.split('"').next());
                used.extend(literal.filter(|code| is_code(code)).map(str::to_owned));
            }
        }
    }
    let unknown: Vec<&String> = used.iter().filter(|code| codes::find(code).is_none()).collect();
    assert!(unknown.is_empty(), "these codes are not in src/base/codes.rs: {unknown:?}");
    let unused: Vec<&str> =
        CODES.iter().map(|code| code.code).filter(|code| !literals.contains(*code)).collect();
    assert!(unused.is_empty(), "nothing has these codes any more: {unused:?}");
}

fn is_code(text: &str) -> bool {
    text.contains('-') && text.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'-')
}

#[test]
fn links_of_the_documents_lead_somewhere() {
    let root = repository();
    let mut pages = files(&root.join("docs"), "md");
    pages.extend(["README.md", "SECURITY.md", "CHANGELOG.md"].map(|name| root.join(name)));
    let mut dead = Vec::new();
    for page in pages {
        let text = std::fs::read_to_string(&page).unwrap();
        for target in text.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
            let file = target.split('#').next().unwrap_or_default();
            if file.contains("://") || file.is_empty() {
                continue;
            }
            if !page.parent().unwrap().join(file).exists() {
                dead.push(format!("{}: {target}", page.strip_prefix(&root).unwrap().display()));
            }
        }
    }
    assert!(dead.is_empty(), "links that lead nowhere:\n{}", dead.join("\n"));
}

/// Files with an extension, below a folder.
fn files(folder: &Path, extension: &str) -> Vec<std::path::PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files(&path, extension));
        } else if path.extension().is_some_and(|other| other == extension) {
            found.push(path);
        }
    }
    found.sort();
    found
}
