//! Errors of parsing and evaluation, with the place and the include stack.
//!
//! [`fmt::Display`] gives the text of Go's `text/template`, since charts' users know it and
//! Helm's output is compared with it.

use std::fmt;
use std::ops::Range;

use super::quote::quote;

/// What kind of failure an [`Error`] is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// The text is not a template.
    Syntax,
    /// The template asked for something that cannot be done.
    Evaluation,
    /// The template itself called `fail` or `required`; the message is the chart author's.
    Requested,
    /// The template used up its fuel, depth or output.
    Exhausted,
}

/// Why a template could not be parsed or executed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Error {
    /// What kind of failure it is.
    pub reason: Reason,
    /// What went wrong, in Go's words where Go has words for it.
    pub message: String,
    /// Where: innermost first, then each `include`, `template` or `tpl` that led there.
    pub stack: Vec<Frame>,
}

/// One place of an error's stack.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frame {
    /// The template file, such as `traefik/templates/service.yaml`.
    pub template: String,
    /// The `define` that was executing; the file's own name outside of any.
    pub executing: String,
    /// Line, from 1.
    pub line: usize,
    /// Byte column, from 0, as Go counts; none for syntax errors.
    pub column: Option<usize>,
    /// The expression as Go prints it.
    pub expression: String,
    /// How this place came to the one before it in the stack.
    pub entered: Entered,
}

/// How an outer place of the stack led to the next inner one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Entered {
    /// It did not: the innermost place.
    Here,
    /// By a `template` action, of which Go's text says nothing.
    Template,
    /// By a function call; what Go's text says between the two places.
    Call(String),
}

impl Error {
    /// The place at which the outermost template was, as `FILE:LINE:COLUMN`.
    pub fn outermost(&self) -> Option<String> {
        self.shown().next().map(Frame::location)
    }

    /// The places that Go's text mentions, outermost first.
    fn shown(&self) -> impl Iterator<Item = &Frame> {
        self.stack.iter().rev().filter(|frame| frame.entered != Entered::Template)
    }
}

impl Frame {
    /// `FILE:LINE:COLUMN`, or `FILE:LINE` for syntax errors.
    pub fn location(&self) -> String {
        match self.column {
            Some(column) => format!("{}:{}:{column}", self.template, self.line),
            None => format!("{}:{}", self.template, self.line),
        }
    }

    /// The bytes that it is about in `text`, the template's own: the expression where it stands
    /// around the column as Go prints it, else the rest of the line.
    pub fn range_in(&self, text: &str) -> Range<usize> {
        let before = text.split_inclusive('\n').take(self.line.saturating_sub(1));
        let line_start: usize = before.map(str::len).sum();
        let line = text[line_start..].lines().next().unwrap_or_default();
        let line_end = line_start + line.len();
        let Some(column) = self.column.filter(|column| *column <= line.len()) else {
            return line_start..line_end;
        };
        // Go's column is within the expression, not always at its start.
        let around = line
            .match_indices(&self.expression)
            .map(|(at, found)| at..at + found.len())
            .find(|range| !range.is_empty() && range.start <= column && column <= range.end);
        match around {
            Some(range) => line_start + range.start..line_start + range.end,
            None => line_start + line.floor_char_boundary(column)..line_end,
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for frame in self.shown() {
            write!(f, "template: {}: ", frame.location())?;
            if frame.column.is_some() {
                write!(f, "executing {} at <{}>: ", quote(&frame.executing), frame.expression)?;
            }
            if let Entered::Call(text) = &frame.entered {
                f.write_str(text)?;
            }
        }
        f.write_str(&self.message)
    }
}

impl std::error::Error for Error {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_found_in_its_text() {
        let text = "a: 1\nb: {{ .x }}{{ .Values.a.b }}\n";
        let at = |line, column, expression: &str| {
            let frame = Frame {
                template: String::new(),
                executing: String::new(),
                line,
                column,
                expression: expression.to_owned(),
                entered: Entered::Here,
            };
            &text[frame.range_in(text)]
        };
        assert_eq!(at(2, Some(23), ".Values.a.b"), ".Values.a.b");
        assert_eq!(at(2, Some(6), ".x"), ".x");
        assert_eq!(at(2, Some(14), "index .Values \"a\""), ".Values.a.b }}");
        assert_eq!(at(1, None, ""), "a: 1");
        assert_eq!(at(9, Some(70), "x"), "");
    }
}
