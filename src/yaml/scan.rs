//! YAML text to tokens. Accepts and refuses what libyaml's scanner (and so Go's) does, since that
//! decides what a chart means. Knows nothing about nodes.

use std::collections::VecDeque;

use super::cursor::{Cursor, Mark, is_inline};
use super::node::ScalarStyle;
use super::scalar;

/// What a token is.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum TokenKind {
    StreamEnd,
    VersionDirective { major: u32, minor: u32 },
    TagDirective { handle: String, prefix: String },
    DocumentStart,
    DocumentEnd,
    BlockSequenceStart,
    BlockMappingStart,
    BlockEnd,
    FlowSequenceStart,
    FlowSequenceEnd,
    FlowMappingStart,
    FlowMappingEnd,
    BlockEntry,
    FlowEntry,
    Key,
    Value,
    Alias(String),
    Anchor(String),
    Tag { handle: String, suffix: String },
    Scalar { text: String, style: ScalarStyle },
}

/// A token and its place.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Token {
    pub(super) kind: TokenKind,
    pub(super) start: Mark,
    pub(super) end: Mark,
}

/// Why a text is not YAML.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct SyntaxError {
    /// libyaml's words.
    pub(super) problem: String,
    /// Where, if it is about a place.
    pub(super) mark: Option<Mark>,
    /// The line that Go's library reports, if it reports one: its own counting.
    pub(super) go_line: Option<usize>,
}

impl SyntaxError {
    /// An error of the scanner: Go counts its lines from 1.
    pub(super) fn scanner(problem: &str, context: Mark, mark: Mark) -> Self {
        let go_line = match (mark.line, context.line) {
            (0, 0) => None,
            (0, line) => Some(line),
            (line, _) => Some(line + 1),
        };
        Self { problem: problem.to_owned(), mark: Some(mark), go_line }
    }

    /// An error of the parser: Go counts its lines from 0, and line 0 is not told.
    pub(super) fn parser(problem: &str, context: Option<Mark>, mark: Mark) -> Self {
        let context_line = context.map_or(0, |context| context.line);
        let line = if mark.line != 0 { mark.line } else { context_line };
        Self { problem: problem.to_owned(), mark: Some(mark), go_line: (line != 0).then_some(line) }
    }

    /// An error about the text as a whole.
    pub(super) fn global(problem: impl Into<String>, mark: Option<Mark>) -> Self {
        Self { problem: problem.into(), mark, go_line: None }
    }
}

/// A place where a mapping key without `?` may have begun.
#[derive(Clone, Copy, Debug, Default)]
struct SimpleKey {
    is_possible: bool,
    is_required: bool,
    token_number: usize,
    mark: Mark,
}

/// Possible keys by the number of their token. There are few at a time, most often one, and they
/// come and go with nearly each token.
#[derive(Debug, Default)]
struct WaitingKeys(Vec<(usize, usize)>);

impl WaitingKeys {
    fn get(&self, token: usize) -> Option<usize> {
        self.0.iter().rev().find(|(number, _)| *number == token).map(|(_, key)| *key)
    }

    fn insert(&mut self, token: usize, key: usize) {
        self.remove(token);
        self.0.push((token, key));
    }

    fn remove(&mut self, token: usize) {
        self.0.retain(|(number, _)| *number != token);
    }
}

/// A key without `?` has to end within this many characters.
const SIMPLE_KEY_MAX: usize = 1024;
/// Nested flow collections or indentation levels.
const LEVELS_MAX: usize = 10_000;

/// The scanner.
#[derive(Debug)]
pub(super) struct Scanner<'text> {
    cursor: Cursor<'text>,
    tokens: VecDeque<Token>,
    tokens_taken: usize,
    is_ended: bool,
    /// −1 outside of any block collection.
    indent: isize,
    indents: Vec<isize>,
    flow_level: usize,
    is_simple_key_allowed: bool,
    simple_keys: Vec<SimpleKey>,
    /// Which of them waits for the token with a number.
    waiting_keys: WaitingKeys,
}

type Result<T> = std::result::Result<T, SyntaxError>;

impl<'text> Scanner<'text> {
    /// Starts at the beginning. Fails where a character stands that YAML forbids.
    pub(super) fn new(text: &'text str) -> Result<Self> {
        // Without a way out, many bytes are looked at at once.
        let is_ordinary = text
            .bytes()
            .fold(true, |all, byte| all & (is_inline(byte) | matches!(byte, b'\n' | b'\r')));
        let forbidden = || text.char_indices().find(|(_, c)| !is_allowed(*c));
        if let Some((offset, _)) = (!is_ordinary).then(forbidden).flatten() {
            let line = text[..offset].matches('\n').count();
            let mark = Mark { offset, line, ..Mark::default() };
            return Err(SyntaxError::global("control characters are not allowed", Some(mark)));
        }
        Ok(Self {
            cursor: Cursor::new(text),
            tokens: VecDeque::new(),
            tokens_taken: 0,
            is_ended: false,
            indent: -1,
            indents: Vec::new(),
            flow_level: 0,
            is_simple_key_allowed: true,
            simple_keys: vec![SimpleKey::default()],
            waiting_keys: WaitingKeys::default(),
        })
    }

    /// The next token, which stays the next one.
    pub(super) fn peek(&mut self) -> Result<&Token> {
        self.fetch_enough()?;
        Ok(self.tokens.front().expect("fetch_enough leaves a token"))
    }

    /// Takes the next token.
    pub(super) fn next(&mut self) -> Result<Token> {
        self.fetch_enough()?;
        self.tokens_taken += 1;
        Ok(self.tokens.pop_front().expect("fetch_enough leaves a token"))
    }

    /// Fetches until the next token is certain: while it may be a key, what follows decides.
    fn fetch_enough(&mut self) -> Result<()> {
        loop {
            if !self.tokens.is_empty() {
                match self.waiting_keys.get(self.tokens_taken) {
                    None => return Ok(()),
                    Some(at) if !self.is_simple_key_valid(at)? => return Ok(()),
                    Some(_) => {}
                }
            }
            if self.is_ended {
                // Only the end itself stays: the parser may look at it more than once.
                if self.tokens.is_empty() {
                    let mark = self.cursor.mark();
                    self.push(TokenKind::StreamEnd, mark, mark);
                }
                return Ok(());
            }
            self.fetch()?;
        }
    }

    fn push(&mut self, kind: TokenKind, start: Mark, end: Mark) {
        self.tokens.push_back(Token { kind, start, end });
    }

    fn fetch(&mut self) -> Result<()> {
        self.skip_to_token();
        self.unroll_indent(self.cursor.column() as isize);
        if self.cursor.is_end() {
            return self.fetch_stream_end();
        }
        if self.cursor.column() == 0 && self.cursor.peek() == b'%' {
            return self.fetch_directive();
        }
        if self.cursor.is_document_indicator() {
            return self.fetch_document_indicator();
        }
        let is_flow = self.flow_level > 0;
        let is_alone = self.cursor.is_blank_break_or_end_at(1);
        match self.cursor.peek() {
            b'[' => self.fetch_flow_start(TokenKind::FlowSequenceStart),
            b'{' => self.fetch_flow_start(TokenKind::FlowMappingStart),
            b']' => self.fetch_flow_end(TokenKind::FlowSequenceEnd),
            b'}' => self.fetch_flow_end(TokenKind::FlowMappingEnd),
            b',' => self.fetch_flow_entry(),
            b'-' if is_alone => self.fetch_block_entry(),
            b'?' if is_flow || is_alone => self.fetch_key(),
            b':' if is_flow || is_alone => self.fetch_value(),
            b'*' => self.fetch_anchor(true),
            b'&' => self.fetch_anchor(false),
            b'!' => self.fetch_tag(),
            b'|' if !is_flow => self.fetch_block_scalar(ScalarStyle::Literal),
            b'>' if !is_flow => self.fetch_block_scalar(ScalarStyle::Folded),
            b'\'' => self.fetch_flow_scalar(ScalarStyle::SingleQuoted),
            b'"' => self.fetch_flow_scalar(ScalarStyle::DoubleQuoted),
            b'\t' | b'#' | b'|' | b'>' | b'%' | b'@' | b'`' => {
                self.fail_here("found character that cannot start any token")
            }
            _ => self.fetch_plain_scalar(),
        }
    }

    fn fail_here<T>(&self, problem: &str) -> Result<T> {
        let mark = self.cursor.mark();
        Err(SyntaxError::scanner(problem, mark, mark))
    }

    /// Steps over blanks, comments and line breaks. A tab may not start a line where a key could.
    fn skip_to_token(&mut self) {
        loop {
            let is_tab_allowed = self.flow_level > 0 || !self.is_simple_key_allowed;
            while self.cursor.peek() == b' ' || (is_tab_allowed && self.cursor.peek() == b'\t') {
                self.cursor.skip();
            }
            self.cursor.skip_comment();
            if !self.cursor.is_break() {
                return;
            }
            self.cursor.skip_break();
            if self.flow_level == 0 {
                self.is_simple_key_allowed = true;
            }
        }
    }

    // Simple keys.

    fn is_simple_key_valid(&mut self, at: usize) -> Result<bool> {
        let key = self.simple_keys[at];
        if !key.is_possible {
            return Ok(false);
        }
        let mark = self.cursor.mark();
        if key.mark.line < mark.line || key.mark.index + SIMPLE_KEY_MAX < mark.index {
            if key.is_required {
                return Err(SyntaxError::scanner("could not find expected ':'", key.mark, mark));
            }
            self.simple_keys[at].is_possible = false;
            return Ok(false);
        }
        Ok(true)
    }

    fn save_simple_key(&mut self) -> Result<()> {
        if !self.is_simple_key_allowed {
            return Ok(());
        }
        let mark = self.cursor.mark();
        let key = SimpleKey {
            is_possible: true,
            is_required: self.flow_level == 0 && self.indent == mark.column as isize,
            token_number: self.tokens_taken + self.tokens.len(),
            mark,
        };
        self.remove_simple_key()?;
        *self.last_simple_key() = key;
        self.waiting_keys.insert(key.token_number, self.simple_keys.len() - 1);
        Ok(())
    }

    fn remove_simple_key(&mut self) -> Result<()> {
        let mark = self.cursor.mark();
        let key = self.last_simple_key();
        if key.is_possible && key.is_required {
            return Err(SyntaxError::scanner("could not find expected ':'", key.mark, mark));
        }
        if key.is_possible {
            key.is_possible = false;
            let number = key.token_number;
            self.waiting_keys.remove(number);
        }
        Ok(())
    }

    fn last_simple_key(&mut self) -> &mut SimpleKey {
        self.simple_keys.last_mut().expect("one for the block context is always there")
    }

    // Indentation.

    /// Opens a block collection at `column` if it is deeper than the present one; its token goes
    /// in front of the token with number `before`.
    fn roll_indent(
        &mut self,
        column: usize,
        before: Option<usize>,
        kind: TokenKind,
        mark: Mark,
    ) -> Result<()> {
        if self.flow_level > 0 || self.indent >= column as isize {
            return Ok(());
        }
        self.indents.push(self.indent);
        self.indent = column as isize;
        if self.indents.len() > LEVELS_MAX {
            return self.fail_here(&format!("exceeded max depth of {LEVELS_MAX}"));
        }
        let token = Token { kind, start: mark, end: mark };
        match before {
            Some(number) => self.insert(number, token),
            None => self.tokens.push_back(token),
        }
        Ok(())
    }

    /// Puts a token in front of the one with a number; at the end, as Go's library does, where
    /// that one is taken already.
    fn insert(&mut self, before: usize, token: Token) {
        match before.checked_sub(self.tokens_taken) {
            Some(at) if at <= self.tokens.len() => self.tokens.insert(at, token),
            _ => self.tokens.push_back(token),
        }
    }

    fn unroll_indent(&mut self, column: isize) {
        if self.flow_level > 0 {
            return;
        }
        while self.indent > column {
            let mark = self.cursor.mark();
            self.push(TokenKind::BlockEnd, mark, mark);
            self.indent = self.indents.pop().expect("each deeper indent was pushed over another");
        }
    }

    // One function for each kind of token.

    fn fetch_stream_end(&mut self) -> Result<()> {
        self.cursor.force_new_line();
        self.unroll_indent(-1);
        self.remove_simple_key()?;
        self.is_simple_key_allowed = false;
        self.is_ended = true;
        let mark = self.cursor.mark();
        self.push(TokenKind::StreamEnd, mark, mark);
        Ok(())
    }

    fn start_of_document_line(&mut self) -> Result<Mark> {
        self.unroll_indent(-1);
        self.remove_simple_key()?;
        self.is_simple_key_allowed = false;
        Ok(self.cursor.mark())
    }

    fn fetch_directive(&mut self) -> Result<()> {
        let start = self.start_of_document_line()?;
        let kind = scalar::directive(&mut self.cursor)?;
        self.push(kind, start, self.cursor.mark());
        Ok(())
    }

    fn fetch_document_indicator(&mut self) -> Result<()> {
        let start = self.start_of_document_line()?;
        let kind = match self.cursor.peek() {
            b'-' => TokenKind::DocumentStart,
            _ => TokenKind::DocumentEnd,
        };
        self.cursor.skip_many(3);
        self.push(kind, start, self.cursor.mark());
        Ok(())
    }

    fn push_indicator(&mut self, kind: TokenKind) {
        let start = self.cursor.mark();
        self.cursor.skip();
        self.push(kind, start, self.cursor.mark());
    }

    fn fetch_flow_start(&mut self, kind: TokenKind) -> Result<()> {
        self.save_simple_key()?;
        let token_number = self.tokens_taken + self.tokens.len();
        self.simple_keys.push(SimpleKey { token_number, ..SimpleKey::default() });
        self.flow_level += 1;
        if self.flow_level > LEVELS_MAX {
            return self.fail_here(&format!("exceeded max depth of {LEVELS_MAX}"));
        }
        self.is_simple_key_allowed = true;
        self.push_indicator(kind);
        Ok(())
    }

    fn fetch_flow_end(&mut self, kind: TokenKind) -> Result<()> {
        self.remove_simple_key()?;
        if self.flow_level > 0 {
            self.flow_level -= 1;
            // An empty collection has its own number here, and so is no key any more: Go's
            // library reads `{}: x` as `{}` for this reason.
            if let Some(key) = self.simple_keys.pop() {
                self.waiting_keys.remove(key.token_number);
            }
        }
        self.is_simple_key_allowed = false;
        self.push_indicator(kind);
        Ok(())
    }

    fn fetch_flow_entry(&mut self) -> Result<()> {
        self.remove_simple_key()?;
        self.is_simple_key_allowed = true;
        self.push_indicator(TokenKind::FlowEntry);
        Ok(())
    }

    fn fetch_block_entry(&mut self) -> Result<()> {
        // In a flow collection the parser refuses it, since it knows which one.
        if self.flow_level == 0 {
            if !self.is_simple_key_allowed {
                return self.fail_here("block sequence entries are not allowed in this context");
            }
            let mark = self.cursor.mark();
            self.roll_indent(mark.column, None, TokenKind::BlockSequenceStart, mark)?;
        }
        self.remove_simple_key()?;
        self.is_simple_key_allowed = true;
        self.push_indicator(TokenKind::BlockEntry);
        Ok(())
    }

    fn fetch_key(&mut self) -> Result<()> {
        if self.flow_level == 0 {
            if !self.is_simple_key_allowed {
                return self.fail_here("mapping keys are not allowed in this context");
            }
            let mark = self.cursor.mark();
            self.roll_indent(mark.column, None, TokenKind::BlockMappingStart, mark)?;
        }
        self.remove_simple_key()?;
        self.is_simple_key_allowed = self.flow_level == 0;
        self.push_indicator(TokenKind::Key);
        Ok(())
    }

    fn fetch_value(&mut self) -> Result<()> {
        let last = self.simple_keys.len() - 1;
        if self.is_simple_key_valid(last)? {
            let key = self.simple_keys[last];
            let token = Token { kind: TokenKind::Key, start: key.mark, end: key.mark };
            self.insert(key.token_number, token);
            self.roll_indent(
                key.mark.column,
                Some(key.token_number),
                TokenKind::BlockMappingStart,
                key.mark,
            )?;
            self.last_simple_key().is_possible = false;
            self.waiting_keys.remove(key.token_number);
            self.is_simple_key_allowed = false;
        } else {
            if self.flow_level == 0 {
                if !self.is_simple_key_allowed {
                    return self.fail_here("mapping values are not allowed in this context");
                }
                let mark = self.cursor.mark();
                self.roll_indent(mark.column, None, TokenKind::BlockMappingStart, mark)?;
            }
            self.is_simple_key_allowed = self.flow_level == 0;
        }
        self.push_indicator(TokenKind::Value);
        Ok(())
    }

    fn fetch_anchor(&mut self, is_alias: bool) -> Result<()> {
        self.save_simple_key()?;
        self.is_simple_key_allowed = false;
        let start = self.cursor.mark();
        let name = scalar::anchor(&mut self.cursor)?;
        let kind = if is_alias { TokenKind::Alias(name) } else { TokenKind::Anchor(name) };
        self.push(kind, start, self.cursor.mark());
        Ok(())
    }

    fn fetch_tag(&mut self) -> Result<()> {
        self.save_simple_key()?;
        self.is_simple_key_allowed = false;
        let start = self.cursor.mark();
        let (handle, suffix) = scalar::tag(&mut self.cursor)?;
        self.push(TokenKind::Tag { handle, suffix }, start, self.cursor.mark());
        Ok(())
    }

    fn fetch_block_scalar(&mut self, style: ScalarStyle) -> Result<()> {
        self.remove_simple_key()?;
        self.is_simple_key_allowed = true;
        let start = self.cursor.mark();
        let (text, end) = scalar::block(&mut self.cursor, self.indent, style)?;
        self.push(TokenKind::Scalar { text, style }, start, end);
        Ok(())
    }

    fn fetch_flow_scalar(&mut self, style: ScalarStyle) -> Result<()> {
        self.save_simple_key()?;
        self.is_simple_key_allowed = false;
        let start = self.cursor.mark();
        let text = scalar::quoted(&mut self.cursor, style)?;
        self.push(TokenKind::Scalar { text, style }, start, self.cursor.mark());
        Ok(())
    }

    fn fetch_plain_scalar(&mut self) -> Result<()> {
        self.save_simple_key()?;
        self.is_simple_key_allowed = false;
        let start = self.cursor.mark();
        let plain = scalar::plain(&mut self.cursor, self.indent, self.flow_level > 0)?;
        if plain.ends_line {
            self.is_simple_key_allowed = true;
        }
        let kind = TokenKind::Scalar { text: plain.text, style: ScalarStyle::Plain };
        self.push(kind, start, plain.end);
        Ok(())
    }
}

fn is_allowed(c: char) -> bool {
    matches!(c,
        '\t' | '\n' | '\r' | ' '..='~' | '\u{85}' | '\u{a0}'..='\u{fffd}' | '\u{10000}'..)
}
