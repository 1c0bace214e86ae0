//! Values as a user gives them on the command line: files and the `--set` family, merged in
//! Helm's order.

use std::io::Read as _;

use serde_json::{Map, Value as Json};

use super::exit::CommandError;
use crate::base::diagnostic::Diagnostic;
use crate::base::span::{SourceFile, Span};
use crate::chart::set::{SetKind, set};
use crate::chart::values::merge_layers;
use crate::yaml::{helm, parse};

/// Arguments that give values.
#[derive(Clone, Debug, Default, clap::Args)]
pub struct ValuesArgs {
    /// Values in a YAML file, `-` for stdin; repeat or separate with commas, later ones win
    #[arg(short = 'f', long, value_name = "FILE", value_delimiter = ',')]
    values: Vec<String>,
    /// Values such as `a.b=1,c[0]=x`
    #[arg(long, value_name = "PAIRS")]
    set: Vec<String>,
    /// As --set, every value a string
    #[arg(long, value_name = "PAIRS")]
    set_string: Vec<String>,
    /// As --set, every value the content of the file it names
    #[arg(long, value_name = "PAIRS")]
    set_file: Vec<String>,
    /// As --set, every value JSON
    #[arg(long, value_name = "PAIRS")]
    set_json: Vec<String>,
    /// One name and value, nothing escaped
    #[arg(long, value_name = "PAIR")]
    set_literal: Vec<String>,
}

impl ValuesArgs {
    /// The merged values.
    ///
    /// # Errors
    /// A file that is no table of values, or a line that is no list of pairs.
    pub fn merged(&self) -> anyhow::Result<Json> {
        let mut values = Json::Object(Map::new());
        for file in &self.values {
            merge_layers(&mut values, read_values(file)?);
        }
        let lines = [
            (&self.set_json, SetKind::Json, "--set-json"),
            (&self.set, SetKind::Typed, "--set"),
            (&self.set_string, SetKind::Text, "--set-string"),
            (&self.set_file, SetKind::File, "--set-file"),
            (&self.set_literal, SetKind::Literal, "--set-literal"),
        ];
        let Json::Object(table) = &mut values else {
            unreachable!("tables were merged into a table")
        };
        for (lines, kind, flag) in lines {
            for line in lines {
                set(table, line, kind, &|path| read_file(path).map_err(|e| e.to_string()))
                    .map_err(|problem| CommandError::Usage {
                        message: match kind {
                            SetKind::Json => format!("failed parsing {flag} data {line}"),
                            _ => format!("failed parsing {flag} data: {problem}"),
                        },
                        help: Vec::new(),
                    })?;
            }
        }
        Ok(values)
    }
}

fn read_values(path: &str) -> anyhow::Result<Json> {
    let text = read_file(path)?;
    helm::read_map(&text).map_err(|problem| {
        let message = format!("failed to parse {path}: {problem}");
        let mut found = Diagnostic::error("values-invalid", message);
        let file = SourceFile::new(path, text.as_str());
        match parse::parse(&file) {
            Err(syntax) => {
                found.labels = syntax.labels;
                found.help = syntax.help;
            }
            Ok(_) => {
                let first_line = text.find('\n').unwrap_or(text.len());
                found = found.label(&Span::new(&file, 0..first_line), "values are a mapping");
            }
        }
        CommandError::Input(vec![found]).into()
    })
}

/// A file named on the command line; one that is not there is the user's mistake.
fn read_file(path: &str) -> Result<String, CommandError> {
    let unreadable = |error: std::io::Error| CommandError::Usage {
        message: format!("open {path}: {error}"),
        help: if path.contains("://") {
            vec!["download the file first: values are read from the disk or from stdin".to_owned()]
        } else {
            Vec::new()
        },
    };
    if path.trim() == "-" {
        let mut text = String::new();
        std::io::stdin().read_to_string(&mut text).map_err(unreadable)?;
        return Ok(text);
    }
    let bytes = std::fs::read(path).map_err(unreadable)?;
    Ok(crate::template::binary::from_bytes(&bytes))
}
