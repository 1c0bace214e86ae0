//! Words within a text: naming styles and line wrapping, as the xstrings and goutils libraries
//! behind sprig see them. Their quirks are kept: they are visible in charts.

use super::text::{lower, upper};
use crate::template::binary::{from_bytes, to_bytes};

/// What a run of characters is to the naming styles.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Class {
    Number,
    /// An upper-case letter, with what follows it.
    Capital,
    /// Letters without a capital.
    Letters,
    Connector,
    Punctuation,
    Other,
    /// There is no next word.
    End,
}

struct Word<'a> {
    class: Class,
    letters: &'a [char],
}

/// `snakecase` and `kebabcase`: lower case, with `connector` between words. Numbers stay with the
/// word in front of them unless letters follow.
pub(super) fn connect(text: &str, connector: char) -> String {
    let letters: Vec<char> = text.chars().collect();
    let mut rest = letters.as_slice();
    let mut out = String::with_capacity(text.len() + 8);
    let mut word = next_word(&mut rest);
    while !rest.is_empty() {
        if word.class != Class::Connector {
            push_lower(&mut out, &word, connector);
        }
        let previous = std::mem::replace(&mut word, next_word(&mut rest));
        match previous.class {
            Class::Number => {
                word = push_mixed(&mut out, word, &mut rest, connector);
                let ends = matches!(word.class, Class::End | Class::Punctuation | Class::Connector);
                if !ends {
                    out.push(connector);
                }
            }
            Class::Connector => push_lower(&mut out, &previous, connector),
            Class::Punctuation => {}
            _ if word.class != Class::Number => push_between(&mut out, &word, connector),
            _ if rest.is_empty() => {}
            _ => word = push_number(&mut out, word, &mut rest, connector),
        }
    }
    push_lower(&mut out, &word, connector);
    out
}

/// The connector, unless `next` brings its own separation.
fn push_between(out: &mut String, next: &Word<'_>, connector: char) {
    if !matches!(next.class, Class::Connector | Class::Punctuation) {
        out.push(connector);
    }
}

/// A number behind letters; returns the first word that is not written yet.
fn push_number<'a>(
    out: &mut String,
    number: Word<'a>,
    rest: &mut &'a [char],
    connector: char,
) -> Word<'a> {
    let next = next_word(rest);
    if next.class != Class::Letters {
        push_lower(out, &number, connector);
        push_between(out, &next, connector);
        return next;
    }
    out.push(connector);
    push_lower(out, &number, connector);
    let next = push_mixed(out, next, rest, connector);
    if !matches!(next.class, Class::End | Class::Punctuation | Class::Connector) {
        out.push(connector);
    }
    next
}

/// Small letters and numbers that belong together; returns the first word behind them.
fn push_mixed<'a>(
    out: &mut String,
    mut word: Word<'a>,
    rest: &mut &'a [char],
    connector: char,
) -> Word<'a> {
    while matches!(word.class, Class::Letters | Class::Number) {
        push_lower(out, &word, connector);
        word = next_word(rest);
    }
    word
}

fn push_lower(out: &mut String, word: &Word<'_>, connector: char) {
    if !matches!(word.class, Class::Capital | Class::Connector) {
        out.extend(word.letters);
        return;
    }
    for &letter in word.letters {
        match letter {
            _ if is_connector(letter) => out.push(connector),
            _ if letter.is_uppercase() => out.push(lower(letter)),
            _ => out.push(letter),
        }
    }
}

fn next_word<'a>(rest: &mut &'a [char]) -> Word<'a> {
    let all = *rest;
    let Some(&first) = all.first() else { return Word { class: Class::End, letters: all } };
    let run = |is_same: &dyn Fn(char) -> bool| {
        1 + all[1..].iter().take_while(|letter| is_same(**letter)).count()
    };
    let is_small = |letter: char| is_letter(letter) && !letter.is_uppercase();
    let (class, len) = match first {
        _ if is_connector(first) => (Class::Connector, run(&is_connector)),
        _ if is_punctuation(first) => (Class::Punctuation, run(&is_punctuation)),
        _ if first.is_uppercase() => (Class::Capital, capital_len(all)),
        _ if is_letter(first) => (Class::Letters, run(&is_small)),
        _ if first.is_numeric() => (Class::Number, run(&char::is_numeric)),
        _ => (
            Class::Other,
            run(&|letter| {
                !(is_connector(letter)
                    || is_letter(letter)
                    || letter.is_numeric()
                    || is_punctuation(letter))
            }),
        ),
    };
    let (letters, behind) = all.split_at(len);
    *rest = behind;
    Word { class, letters }
}

/// The length of a word that starts with a capital: `Status`, or of `HTTPStatus` only `HTTP`.
fn capital_len(all: &[char]) -> usize {
    let capitals = all.iter().take_while(|letter| letter.is_uppercase()).count();
    let next = all.get(capitals).copied();
    match next {
        Some(letter) if capitals > 1 && is_letter(letter) => capitals - 1,
        Some(letter) if capitals == 1 && is_letter(letter) => {
            let is_small = |letter: &&char| is_letter(**letter) && !letter.is_uppercase();
            1 + all[1..].iter().take_while(is_small).count()
        }
        _ => capitals,
    }
}

/// `camelcase`: `some_words` becomes `SomeWords`.
pub(super) fn pascal(text: &str) -> String {
    let mut letters = text.chars();
    let mut out = String::with_capacity(text.len());
    let mut current = None;
    for letter in letters.by_ref() {
        if !is_connector(letter) {
            current = Some(letter);
            break;
        }
        out.push(letter);
    }
    let Some(first) = current else {
        // The last one of nothing but connectors is written twice.
        out.extend(text.chars().next_back());
        return out;
    };
    if letters.as_str().is_empty() {
        // A single letter at the end is upper case only when it is the first one too.
        out.push(upper(first));
        return out;
    }
    let mut in_capitals = first.is_uppercase();
    let mut previous = upper(first);
    for mut letter in letters {
        if is_connector(letter) && is_connector(previous) {
            out.push(previous);
            continue;
        }
        if is_connector(previous) {
            in_capitals = letter.is_uppercase();
            letter = upper(letter);
        } else {
            if in_capitals && letter.is_uppercase() {
                letter = lower(letter);
            } else {
                in_capitals = false;
            }
            out.push(previous);
        }
        previous = letter;
    }
    out.push(previous);
    out
}

fn is_connector(letter: char) -> bool {
    letter == '-' || letter == '_' || letter.is_whitespace()
}

/// A letter of a script that has words; ideographs and kana stand for themselves.
fn is_letter(letter: char) -> bool {
    let is_ideograph = matches!(letter,
        '\u{3041}'..='\u{30ff}' | '\u{3400}'..='\u{4db5}' | '\u{4e00}'..='\u{9fcc}'
        | '\u{ac00}'..='\u{d7a3}' | '\u{20000}'..='\u{2b81d}');
    letter.is_alphabetic() && !is_ideograph
}

/// Unicode's category P, for the blocks that occur in names.
fn is_punctuation(letter: char) -> bool {
    if letter.is_ascii() {
        return letter.is_ascii_punctuation() && !"$+<=>^`|~".contains(letter);
    }
    matches!(letter,
        '\u{a1}' | '\u{a7}' | '\u{ab}' | '\u{b6}' | '\u{b7}' | '\u{bb}' | '\u{bf}'
        | '\u{2010}'..='\u{2027}' | '\u{2030}'..='\u{2043}' | '\u{2045}'..='\u{2051}'
        | '\u{2053}'..='\u{205e}' | '\u{3001}'..='\u{3003}' | '\u{3008}'..='\u{3011}'
        | '\u{3014}'..='\u{301f}' | '\u{ff01}'..='\u{ff03}')
}

/// Whether a word that is longer than a line is cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum LongWords {
    /// It stays whole and sticks out.
    Keep,
    /// It is cut at the width.
    Cut,
}

/// Breaks lines at spaces so that none is longer than `width` bytes. Leading spaces of a line are
/// dropped.
pub(super) fn wrap(text: &str, width: i64, line_break: &str, long_words: LongWords) -> String {
    let line_break = if line_break.is_empty() { "\n" } else { line_break }.as_bytes();
    let width = usize::try_from(width).unwrap_or(1).max(1);
    let bytes = to_bytes(text);
    let mut rest: &[u8] = &bytes;
    let mut out = Vec::with_capacity(bytes.len() + bytes.len() / width * line_break.len());
    while rest.len() > width {
        if let Some(behind) = rest.strip_prefix(b" ") {
            rest = behind;
            continue;
        }
        let space_in_line = rest[..=width].iter().rposition(|byte| *byte == b' ');
        let (line, next) = match (space_in_line, long_words) {
            (Some(space), _) => (space, space + 1),
            (None, LongWords::Cut) => (width, width),
            (None, LongWords::Keep) => match rest[width..].iter().position(|byte| *byte == b' ') {
                Some(space) => (width + space, width + space + 1),
                None => break,
            },
        };
        out.extend_from_slice(&rest[..line]);
        out.extend_from_slice(line_break);
        rest = &rest[next..];
    }
    out.extend_from_slice(rest);
    from_bytes(&out)
}
