//! Errors of parsing and evaluation, with the place and the include stack.
//!
//! [`fmt::Display`] gives the text of Go's `text/template`, since charts' users know it and
//! Helm's output is compared with it.

use std::fmt;

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
