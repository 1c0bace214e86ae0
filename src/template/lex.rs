//! Splits a template's text into tokens, as Go's lexer does, trim markers and line counts included.
//!
//! It knows quoting only as far as to find the end of a literal; values are the parser's.

use std::borrow::Cow;
use std::fmt;

use super::quote::{is_printable, quote};

/// What a token is. The order matters: everything from [`Kind::Block`] on is a keyword.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Kind {
    /// The text cannot be split further; the token's text says why.
    Error,
    Bool,
    /// A printable ASCII character of no other kind, such as a comma.
    Char,
    CharConstant,
    Complex,
    Assign,
    Declare,
    Eof,
    /// `.name`.
    Field,
    Identifier,
    LeftDelim,
    LeftParen,
    Number,
    Pipe,
    RawString,
    RightDelim,
    RightParen,
    Space,
    Str,
    Text,
    /// `$` or `$name`.
    Variable,
    Block,
    Break,
    Continue,
    Dot,
    Define,
    Else,
    End,
    If,
    Nil,
    Range,
    Template,
    With,
}

/// One token. Parsers put tokens back and look ahead, so that one is no more than a few words.
#[derive(Clone, Copy, Debug)]
pub(super) struct Token<'t> {
    pub(super) kind: Kind,
    /// Byte offset in the template's text.
    pub(super) pos: usize,
    /// As written; nothing for an error, whose message is [`Lexer::problem`].
    pub(super) text: &'t str,
}

impl Token<'_> {
    /// The byte behind it.
    pub(super) fn end(&self) -> usize {
        self.pos + self.text.len()
    }
}

impl Default for Token<'_> {
    fn default() -> Self {
        Self { kind: Kind::Error, pos: 0, text: "" }
    }
}

/// How error messages show a token that is no error itself.
impl fmt::Display for Token<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.kind {
            Kind::Eof => f.write_str("EOF"),
            kind if kind >= Kind::Block => write!(f, "<{}>", self.text),
            _ if self.text.len() > 10 => {
                let head: String = self.text.chars().take(10).collect();
                write!(f, "{}...", quote(&head))
            }
            _ => f.write_str(&quote(self.text)),
        }
    }
}

const LEFT_DELIM: &str = "{{";
const RIGHT_DELIM: &str = "}}";
const LEFT_COMMENT: &str = "/*";
const RIGHT_COMMENT: &str = "*/";
/// A trim marker is a minus and a space.
const TRIM_MARKER_LEN: usize = 2;
const SPACES: [char; 4] = [' ', '\t', '\r', '\n'];

/// Reads tokens one by one.
pub(super) struct Lexer<'t> {
    input: &'t str,
    pos: usize,
    /// Where the token being read starts.
    start: usize,
    /// Whether the end was read: nothing can be put back then.
    at_end: bool,
    paren_depth: usize,
    inside_action: bool,
    /// What is wrong with the text: the message of the error token, after which nothing is read.
    pub(super) problem: Cow<'static, str>,
    /// Whether `break` is a keyword; a function of that name takes it away.
    pub(super) break_is_keyword: bool,
    /// The same for `continue`.
    pub(super) continue_is_keyword: bool,
}

impl<'t> Lexer<'t> {
    pub(super) fn new(input: &'t str) -> Self {
        Self {
            input,
            pos: 0,
            start: 0,
            at_end: false,
            paren_depth: 0,
            inside_action: false,
            problem: Cow::Borrowed(""),
            break_is_keyword: true,
            continue_is_keyword: true,
        }
    }

    /// The next token; [`Kind::Eof`] for ever once the text is used up.
    pub(super) fn next_token(&mut self) -> Token<'t> {
        if self.inside_action {
            return self.action();
        }
        loop {
            if let Some(token) = self.text() {
                return token;
            }
        }
    }

    fn advance(&mut self) -> Option<char> {
        let Some(c) = self.input[self.pos..].chars().next() else {
            self.at_end = true;
            return None;
        };
        self.pos += c.len_utf8();
        Some(c)
    }

    fn back_up(&mut self) {
        if self.at_end {
            return;
        }
        if let Some(c) = self.input[..self.pos].chars().next_back() {
            self.pos -= c.len_utf8();
        }
    }

    fn peek(&self) -> Option<char> {
        self.rest().chars().next()
    }

    /// Passes the ASCII characters that are wanted.
    fn skip_while(&mut self, is_wanted: impl Fn(u8) -> bool) -> usize {
        let rest = self.rest();
        let count = rest.bytes().position(|byte| !is_wanted(byte)).unwrap_or(rest.len());
        self.pos += count;
        count
    }

    /// The token from `start` to here.
    fn emit(&mut self, kind: Kind) -> Token<'t> {
        let text = &self.input[self.start..self.pos];
        let token = Token { kind, pos: self.start, text };
        self.start = self.pos;
        token
    }

    /// Skips what was jumped over without reading it.
    fn ignore(&mut self) {
        self.start = self.pos;
    }

    fn error(&mut self, message: impl Into<Cow<'static, str>>) -> Token<'t> {
        self.problem = message.into();
        let token = Token { kind: Kind::Error, pos: self.start, text: "" };
        self.start = 0;
        self.pos = 0;
        self.input = "";
        token
    }

    fn accept(&mut self, valid: &str) -> bool {
        if self.advance().is_some_and(|c| valid.contains(c)) {
            return true;
        }
        self.back_up();
        false
    }

    fn accept_run(&mut self, valid: &str) {
        while self.advance().is_some_and(|c| valid.contains(c)) {}
        self.back_up();
    }

    fn rest(&self) -> &'t str {
        &self.input[self.pos..]
    }

    /// Text up to the next action, or that action's delimiter; `None` after a comment.
    fn text(&mut self) -> Option<Token<'t>> {
        let Some(length) = left_delim(self.rest()) else {
            self.pos = self.input.len();
            if self.pos > self.start {
                return Some(self.emit(Kind::Text));
            }
            return Some(self.emit(Kind::Eof));
        };
        if length > 0 {
            self.pos += length;
            let text = &self.input[self.start..self.pos];
            let trimmed = if has_left_trim_marker(&self.rest()[LEFT_DELIM.len()..]) {
                text.len() - text.trim_end_matches(SPACES).len()
            } else {
                0
            };
            self.pos -= trimmed;
            let token = self.emit(Kind::Text);
            self.pos += trimmed;
            self.ignore();
            if !token.text.is_empty() {
                return Some(token);
            }
        }
        self.left_delim()
    }

    fn left_delim(&mut self) -> Option<Token<'t>> {
        self.pos += LEFT_DELIM.len();
        let after_marker = if has_left_trim_marker(self.rest()) { TRIM_MARKER_LEN } else { 0 };
        if self.rest()[after_marker..].starts_with(LEFT_COMMENT) {
            self.pos += after_marker;
            self.ignore();
            return self.comment();
        }
        let token = self.emit(Kind::LeftDelim);
        self.inside_action = true;
        self.pos += after_marker;
        self.ignore();
        self.paren_depth = 0;
        Some(token)
    }

    fn comment(&mut self) -> Option<Token<'t>> {
        self.pos += LEFT_COMMENT.len();
        let Some(length) = self.rest().find(RIGHT_COMMENT) else {
            return Some(self.error("unclosed comment"));
        };
        self.pos += length + RIGHT_COMMENT.len();
        let Some(trim) = self.at_right_delim() else {
            return Some(self.error("comment ends before closing delimiter"));
        };
        self.ignore();
        if trim {
            self.pos += TRIM_MARKER_LEN;
        }
        self.pos += RIGHT_DELIM.len();
        if trim {
            self.pos += leading_spaces(self.rest());
        }
        self.ignore();
        None
    }

    /// Whether an action ends here, and if so, whether it trims the text behind it.
    fn at_right_delim(&self) -> Option<bool> {
        // Asked before each token, and most often answered by the first byte.
        match self.rest().as_bytes() {
            [b'}', b'}', ..] => Some(false),
            [b' ' | b'\t' | b'\r' | b'\n', b'-', b'}', b'}', ..] => Some(true),
            _ => None,
        }
    }

    fn right_delim(&mut self, trim: bool) -> Token<'t> {
        if trim {
            self.pos += TRIM_MARKER_LEN;
            self.ignore();
        }
        self.pos += RIGHT_DELIM.len();
        let token = self.emit(Kind::RightDelim);
        if trim {
            self.pos += leading_spaces(self.rest());
            self.ignore();
        }
        self.inside_action = false;
        token
    }

    fn action(&mut self) -> Token<'t> {
        if let Some(trim) = self.at_right_delim() {
            if self.paren_depth == 0 {
                return self.right_delim(trim);
            }
            return self.error("unclosed left paren");
        }
        let Some(c) = self.advance() else {
            return self.error("unclosed action");
        };
        match c {
            _ if SPACES.contains(&c) => {
                self.back_up();
                self.space()
            }
            '=' => self.emit(Kind::Assign),
            ':' if self.advance() == Some('=') => self.emit(Kind::Declare),
            ':' => self.error("expected :="),
            '|' => self.emit(Kind::Pipe),
            '"' => self.quoted('"', Kind::Str, "unterminated quoted string"),
            '\'' => self.quoted('\'', Kind::CharConstant, "unterminated character constant"),
            '`' => self.raw_string(),
            '$' => self.field_or_variable(Kind::Variable),
            '.' if !self.rest().starts_with(|c: char| c.is_ascii_digit())
                && !self.rest().is_empty() =>
            {
                self.field_or_variable(Kind::Field)
            }
            '.' | '+' | '-' | '0'..='9' => {
                self.back_up();
                self.number()
            }
            _ if is_alphanumeric(c) => {
                self.back_up();
                self.identifier()
            }
            '(' => {
                self.paren_depth += 1;
                self.emit(Kind::LeftParen)
            }
            ')' if self.paren_depth == 0 => self.error("unexpected right paren"),
            ')' => {
                self.paren_depth -= 1;
                self.emit(Kind::RightParen)
            }
            '!'..='~' => self.emit(Kind::Char),
            _ => {
                let message = format!("unrecognized character in action: {}", code_point(c));
                self.error(message)
            }
        }
    }

    /// A run of spaces, of which the last may belong to a trimming delimiter.
    fn space(&mut self) -> Token<'t> {
        let count = self.skip_while(|byte| SPACES.contains(&char::from(byte)));
        let tail = &self.input[self.pos - 1..];
        if has_right_trim_marker(tail) && tail[TRIM_MARKER_LEN..].starts_with(RIGHT_DELIM) {
            self.back_up();
            if count == 1 {
                return self.right_delim(true);
            }
        }
        self.emit(Kind::Space)
    }

    fn identifier(&mut self) -> Token<'t> {
        let next = self.skip_alphanumerics();
        if !self.at_terminator() {
            return self.bad_character(next);
        }
        let kind = match &self.input[self.start..self.pos] {
            "block" => Kind::Block,
            "break" if self.break_is_keyword => Kind::Break,
            "continue" if self.continue_is_keyword => Kind::Continue,
            "define" => Kind::Define,
            "else" => Kind::Else,
            "end" => Kind::End,
            "if" => Kind::If,
            "range" => Kind::Range,
            "nil" => Kind::Nil,
            "template" => Kind::Template,
            "with" => Kind::With,
            "true" | "false" => Kind::Bool,
            _ => Kind::Identifier,
        };
        self.emit(kind)
    }

    /// A field or variable whose first character was read.
    fn field_or_variable(&mut self, kind: Kind) -> Token<'t> {
        if self.at_terminator() {
            return self.emit(if kind == Kind::Variable { kind } else { Kind::Dot });
        }
        let next = self.skip_alphanumerics();
        if !self.at_terminator() {
            return self.bad_character(next);
        }
        self.emit(kind)
    }

    /// Stands at the first character that belongs to no name, which is returned.
    fn skip_alphanumerics(&mut self) -> Option<char> {
        loop {
            self.skip_while(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
            match self.advance() {
                Some(c) if is_alphanumeric(c) => {}
                next => {
                    self.back_up();
                    return next;
                }
            }
        }
    }

    fn bad_character(&mut self, c: Option<char>) -> Token<'t> {
        // The end of the text is a terminator, so that there always is a character.
        self.error(format!("bad character {}", c.map_or_else(String::new, code_point)))
    }

    fn at_terminator(&mut self) -> bool {
        match self.peek() {
            None | Some('.' | ',' | '|' | ':' | ')' | '(') => true,
            Some(c) if SPACES.contains(&c) => true,
            Some(_) => self.rest().starts_with(RIGHT_DELIM),
        }
    }

    /// A literal with escapes that ends on its line; its first quote was read.
    fn quoted(&mut self, mark: char, kind: Kind, unterminated: &'static str) -> Token<'t> {
        loop {
            self.skip_while(|byte| {
                byte.is_ascii() && byte != b'\\' && byte != b'\n' && byte != mark as u8
            });
            match self.advance() {
                Some('\\') => {
                    if matches!(self.advance(), None | Some('\n')) {
                        return self.error(unterminated);
                    }
                }
                None | Some('\n') => return self.error(unterminated),
                Some(c) if c == mark => return self.emit(kind),
                Some(_) => {}
            }
        }
    }

    fn raw_string(&mut self) -> Token<'t> {
        loop {
            self.skip_while(|byte| byte.is_ascii() && byte != b'`');
            match self.advance() {
                None => return self.error("unterminated raw quoted string"),
                Some('`') => return self.emit(Kind::RawString),
                Some(_) => {}
            }
        }
    }

    fn number(&mut self) -> Token<'t> {
        if !self.scan_number() {
            return self.bad_number();
        }
        if matches!(self.peek(), Some('+' | '-')) {
            if !self.scan_number() || !self.input[..self.pos].ends_with('i') {
                return self.bad_number();
            }
            return self.emit(Kind::Complex);
        }
        self.emit(Kind::Number)
    }

    fn bad_number(&mut self) -> Token<'t> {
        self.error(format!("bad number syntax: {}", quote(&self.input[self.start..self.pos])))
    }

    /// Passes what may be a number; whether it is one is found out when its value is needed.
    fn scan_number(&mut self) -> bool {
        self.accept("+-");
        let mut digits = "0123456789_";
        let mut exponent = "eE";
        if self.accept("0") {
            if self.accept("xX") {
                (digits, exponent) = ("0123456789abcdefABCDEF_", "pP");
            } else if self.accept("oO") {
                (digits, exponent) = ("01234567_", "");
            } else if self.accept("bB") {
                (digits, exponent) = ("01_", "");
            }
        }
        self.accept_run(digits);
        if self.accept(".") {
            self.accept_run(digits);
        }
        if self.accept(exponent) {
            self.accept("+-");
            self.accept_run("0123456789_");
        }
        self.accept("i");
        if self.peek().is_some_and(is_alphanumeric) {
            self.advance();
            return false;
        }
        true
    }
}

/// Where the next action or comment starts. A search for a text of two bytes is set up for each
/// call; that for one byte is not.
fn left_delim(text: &str) -> Option<usize> {
    let mut from = 0;
    loop {
        let at = from + text[from..].find('{')?;
        if text[at..].starts_with(LEFT_DELIM) {
            return Some(at);
        }
        from = at + 1;
    }
}

fn leading_spaces(text: &str) -> usize {
    text.len() - text.trim_start_matches(SPACES).len()
}

fn has_left_trim_marker(text: &str) -> bool {
    text.strip_prefix('-').is_some_and(|rest| rest.starts_with(SPACES))
}

fn has_right_trim_marker(text: &str) -> bool {
    text.strip_prefix(SPACES).is_some_and(|rest| rest.starts_with('-'))
}

fn is_alphanumeric(c: char) -> bool {
    c == '_' || c.is_alphanumeric()
}

/// A character as Go's `%#U` prints it.
fn code_point(c: char) -> String {
    let code = u32::from(c);
    if is_printable(c) { format!("U+{code:04X} '{c}'") } else { format!("U+{code:04X}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The tokens of a text, in one line.
    fn tokens(text: &str) -> String {
        let mut lexer = Lexer::new(text);
        let mut out = Vec::new();
        loop {
            let token = lexer.next_token();
            let last = matches!(token.kind, Kind::Eof | Kind::Error);
            match token.kind {
                Kind::Eof => out.push("Eof".to_owned()),
                Kind::Space => out.push("_".to_owned()),
                Kind::LeftDelim | Kind::RightDelim => out.push(token.text.to_string()),
                Kind::Error => out.push(format!("Error:{}", lexer.problem.escape_debug())),
                kind => out.push(format!("{kind:?}:{}", token.text.escape_debug())),
            }
            if last {
                return out.join(" ");
            }
        }
    }

    #[test]
    fn texts_split_into_gos_tokens() {
        for (text, expected) in [
            ("", "Eof"),
            ("now is", "Text:now is Eof"),
            ("a {{/* c */}} b", "Text:a  Text: b Eof"),
            ("a\n{{- /* c */ -}}\n b", "Text:a Text:b Eof"),
            ("{{,@% +}}", "{{ Char:, Char:@ Char:% _ Number:+ }} Eof"),
            (
                "{{1 02 0x14 -7.2i 1e3 4.2e-7 1+2i}}",
                "{{ Number:1 _ Number:02 _ Number:0x14 _ Number:-7.2i _ Number:1e3 _ Number:4.2e-7 _ \
              Complex:1+2i }} Eof",
            ),
            (
                "{{.x . .y.z $ $a.b}}",
                "{{ Field:.x _ Dot:. _ Field:.y Field:.z _ Variable:$ _ Variable:$a Field:.b }} Eof",
            ),
            (
                "{{range if else end with nil define block template break continue}}",
                "{{ Range:range _ If:if _ Else:else _ End:end _ With:with _ Nil:nil _ Define:define \
              _ Block:block _ Template:template _ Break:break _ Continue:continue }} Eof",
            ),
            (
                "{{$c := 3 | f | g \"x\" `r\n` 'a' true}}",
                "{{ Variable:$c _ Declare::= _ Number:3 _ Pipe:| _ Identifier:f _ Pipe:| _ \
              Identifier:g _ Str:\\\"x\\\" _ RawString:`r\\n` _ CharConstant:\\'a\\' _ Bool:true \
              }} Eof",
            ),
            ("{{(.X).Y}}", "{{ LeftParen:( Field:.X RightParen:) Field:.Y }} Eof"),
            ("hello- {{- 3 -}} -world", "Text:hello- {{ Number:3 }} Text:-world Eof"),
            ("{{- 3  -}} x", "{{ Number:3 _ }} Text:x Eof"),
            ("{{-3}}", "{{ Number:-3 }} Eof"),
            ("#{{\u{1}}}", "Text:# {{ Error:unrecognized character in action: U+0001"),
            ("{{\n}", "{{ _ Char:} Error:unclosed action"),
            ("{{\"\n\"}}", "{{ Error:unterminated quoted string"),
            ("{{'\n}}", "{{ Error:unterminated character constant"),
            ("{{`x", "{{ Error:unterminated raw quoted string"),
            ("{{3k}}", "{{ Error:bad number syntax: \\\"3k\\\""),
            ("{{(3}}", "{{ LeftParen:( Number:3 Error:unclosed left paren"),
            ("{{3)}}", "{{ Number:3 Error:unexpected right paren"),
            ("{{/* c", "Error:unclosed comment"),
            ("{{/* c */ }}", "Error:comment ends before closing delimiter"),
            ("{{x:y}}", "{{ Identifier:x Error:expected :="),
            ("{{a$}}", "{{ Error:bad character U+0024 \\'$\\'"),
            ("{{.é}}", "{{ Field:.é }} Eof"),
        ] {
            assert_eq!(tokens(text), expected, "{text:?}");
        }
    }
}
