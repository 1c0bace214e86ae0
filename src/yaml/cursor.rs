//! A cursor over YAML text that knows lines and columns. Knows characters, not grammar.

/// A place in the text.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Mark {
    /// Byte offset.
    pub(super) offset: usize,
    /// Characters before it.
    pub(super) index: usize,
    /// Line, from 0.
    pub(super) line: usize,
    /// Column in characters, from 0.
    pub(super) column: usize,
}

/// Reads one character after the other. The end of the text reads as NUL, which cannot stand in
/// a YAML text.
#[derive(Debug)]
pub(super) struct Cursor<'text> {
    bytes: &'text [u8],
    text: &'text str,
    mark: Mark,
}

impl<'text> Cursor<'text> {
    /// Starts behind a byte order mark, if there is one.
    pub(super) fn new(text: &'text str) -> Self {
        let offset = if text.starts_with('\u{feff}') { 3 } else { 0 };
        Self { bytes: text.as_bytes(), text, mark: Mark { offset, ..Mark::default() } }
    }

    /// Where the cursor stands.
    pub(super) fn mark(&self) -> Mark {
        self.mark
    }

    /// The column the cursor stands in.
    pub(super) fn column(&self) -> usize {
        self.mark.column
    }

    /// The byte `ahead` bytes from here.
    pub(super) fn peek_at(&self, ahead: usize) -> u8 {
        self.bytes.get(self.mark.offset + ahead).copied().unwrap_or(0)
    }

    /// The byte here.
    pub(super) fn peek(&self) -> u8 {
        self.peek_at(0)
    }

    /// Whether the text ends here.
    pub(super) fn is_end(&self) -> bool {
        self.mark.offset >= self.bytes.len()
    }

    /// Whether a space or tab is `ahead` bytes from here.
    pub(super) fn is_blank_at(&self, ahead: usize) -> bool {
        matches!(self.peek_at(ahead), b' ' | b'\t')
    }

    /// Bytes of the line break `ahead` bytes from here; 0 where there is none. Besides CR and LF
    /// these are next line, line separator and paragraph separator.
    pub(super) fn break_width_at(&self, ahead: usize) -> usize {
        match self.peek_at(ahead) {
            b'\r' if self.peek_at(ahead + 1) == b'\n' => 2,
            b'\r' | b'\n' => 1,
            0xC2 if self.peek_at(ahead + 1) == 0x85 => 2,
            0xE2 if self.peek_at(ahead + 1) == 0x80
                && matches!(self.peek_at(ahead + 2), 0xA8 | 0xA9) =>
            {
                3
            }
            _ => 0,
        }
    }

    /// Whether a line break is here.
    pub(super) fn is_break(&self) -> bool {
        self.break_width_at(0) > 0
    }

    /// Whether a line break or the end is here.
    pub(super) fn is_break_or_end(&self) -> bool {
        self.is_end() || self.is_break()
    }

    /// Whether a blank, a line break or the end is `ahead` bytes from here.
    pub(super) fn is_blank_break_or_end_at(&self, ahead: usize) -> bool {
        self.mark.offset + ahead >= self.bytes.len()
            || self.is_blank_at(ahead)
            || self.break_width_at(ahead) > 0
    }

    /// Whether `---` or `...` stands alone at the start of this line.
    pub(super) fn is_document_indicator(&self) -> bool {
        self.mark.column == 0
            && matches!(
                &self.bytes[self.mark.offset..],
                [b'-', b'-', b'-', ..] | [b'.', b'.', b'.', ..]
            )
            && self.is_blank_break_or_end_at(3)
    }

    /// Steps over one character that is no line break.
    pub(super) fn skip(&mut self) {
        self.mark.offset += width(self.peek());
        self.mark.index += 1;
        self.mark.column += 1;
    }

    /// Steps over `count` characters.
    pub(super) fn skip_many(&mut self, count: usize) {
        for _ in 0..count {
            self.skip();
        }
    }

    /// Steps over a line break, if there is one.
    pub(super) fn skip_break(&mut self) {
        let width = self.break_width_at(0);
        if width > 0 {
            let is_crlf = width == 2 && self.peek() == b'\r';
            self.mark.offset += width;
            self.mark.index += if is_crlf { 2 } else { 1 };
            self.mark.column = 0;
            self.mark.line += 1;
        }
    }

    /// Copies one character to `into`.
    pub(super) fn read(&mut self, into: &mut String) {
        let start = self.mark.offset;
        self.skip();
        into.push_str(self.text.get(start..self.mark.offset).unwrap_or_default());
    }

    /// Copies to `into` what is ahead as long as `is_wanted`, which must hold for ASCII only, and
    /// for no line break.
    pub(super) fn read_while(&mut self, into: &mut String, is_wanted: impl Fn(u8) -> bool) {
        let start = self.mark.offset;
        self.skip_while(is_wanted);
        into.push_str(&self.text[start..self.mark.offset]);
    }

    /// Steps over what is ahead as long as `is_wanted`, as in [`Self::read_while`].
    pub(super) fn skip_while(&mut self, is_wanted: impl Fn(u8) -> bool) {
        let ahead = self.bytes.get(self.mark.offset..).unwrap_or_default();
        let count = ahead.iter().position(|byte| !is_wanted(*byte)).unwrap_or(ahead.len());
        self.mark.offset += count;
        self.mark.index += count;
        self.mark.column += count;
    }

    /// Copies a line break, if there is one, to `into`, as a line feed unless it is a separator.
    pub(super) fn read_break(&mut self, into: &mut String) {
        let start = self.mark.offset;
        self.skip_break();
        match self.bytes.get(start..self.mark.offset) {
            None | Some([]) => {}
            Some([0xE2, ..]) => into.push_str(&self.text[start..self.mark.offset]),
            Some(_) => into.push('\n'),
        }
    }

    /// Steps over spaces and tabs.
    pub(super) fn skip_blanks(&mut self) {
        self.skip_while(|byte| matches!(byte, b' ' | b'\t'));
    }

    /// Steps over a comment, if there is one, up to the line break.
    pub(super) fn skip_comment(&mut self) {
        if self.peek() == b'#' {
            while !self.is_break_or_end() {
                self.skip();
                self.skip_while(is_inline);
            }
        }
    }

    /// Goes to a line of its own at the end of the text.
    pub(super) fn force_new_line(&mut self) {
        if self.mark.column != 0 {
            self.mark.column = 0;
            self.mark.line += 1;
        }
    }
}

/// Whether a byte is a character that ends no line.
pub(super) fn is_inline(byte: u8) -> bool {
    matches!(byte, b' '..=b'~' | b'\t')
}

fn width(first: u8) -> usize {
    match first {
        0..=0x7F => 1,
        0xC0..=0xDF => 2,
        0xE0..=0xEF => 3,
        _ => 4,
    }
}
