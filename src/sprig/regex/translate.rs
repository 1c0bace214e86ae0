//! From Go's syntax to that of the `regex` crate, and its complaints back into Go's words.

/// An expression that matches what `pattern` matches in Go. What Go refuses may pass; what both
/// refuse is refused by the compiler.
///
/// # Errors
/// Go's words for what the compiler would accept and mean something else by.
pub(super) fn translate(pattern: &str) -> Result<String, String> {
    let mut translation =
        Translation { out: String::with_capacity(pattern.len() + 16), refused: None };
    let mut rest = pattern;
    let mut before = Before::Nothing;
    while let Some(letter) = rest.chars().next() {
        let (len, token) = match letter {
            '\\' => (translation.escape(rest, Place::Outside), Before::Operand),
            '[' => (translation.class(rest), Before::Operand),
            '{' if repetition_len(rest).is_none() => (translation.push("\\{", 1), Before::Operand),
            '*' | '+' | '?' | '{' => {
                let len = repetition(rest, &before)?;
                // Without anything to repeat the compiler complains.
                let is_good = !matches!(before, Before::Nothing);
                let token = if is_good { Before::Repetition(rest) } else { Before::Nothing };
                (translation.push(&rest[..len], len), token)
            }
            '(' if rest.starts_with("(?") => (translation.push("(?", 2), Before::Nothing),
            '(' | '|' => (translation.push(&rest[..1], 1), Before::Nothing),
            _ => {
                let len = letter.len_utf8();
                (translation.push(&rest[..len], len), Before::Operand)
            }
        };
        before = token;
        rest = &rest[len..];
    }
    match translation.refused {
        Some(class) => Err(format!("invalid character class range: `{class}`")),
        None => Ok(translation.out),
    }
}

/// What stands before a place of an expression.
enum Before<'a> {
    /// Nothing that could be repeated.
    Nothing,
    Operand,
    /// A repetition; the expression from its operator on.
    Repetition(&'a str),
}

/// The length of the repetition that `rest` starts with, a `?` behind it included. Go refuses one
/// behind another and large counts, which the compiler would accept.
fn repetition(rest: &str, before: &Before<'_>) -> Result<usize, String> {
    const COUNT_MAX: u32 = 1_000;
    let operator = repetition_len(rest).filter(|_| rest.starts_with('{')).unwrap_or(1);
    if operator > 1 {
        let (least, most) = rest[1..operator - 1]
            .split_once(',')
            .unwrap_or((&rest[1..operator - 1], &rest[1..operator - 1]));
        let count = |text: &str| text.parse::<u32>().unwrap_or(u32::MAX);
        let most = if most.is_empty() { count(least) } else { count(most) };
        if count(least) > most || most > COUNT_MAX {
            return Err(format!("invalid repeat count: `{}`", &rest[..operator]));
        }
    }
    let len = operator + usize::from(rest[operator..].starts_with('?'));
    match before {
        Before::Repetition(first) => {
            let both = &first[..first.len() - rest.len() + len];
            Err(format!("invalid nested repetition operator: `{both}`"))
        }
        _ => Ok(len),
    }
}

/// Whether an escape stands in a class.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    Outside,
    Class,
}

struct Translation {
    out: String,
    /// A named class that there is not.
    refused: Option<String>,
}

impl Translation {
    fn push(&mut self, text: &str, len: usize) -> usize {
        self.out.push_str(text);
        len
    }

    /// Writes the escape that `rest` starts with; returns its length.
    fn escape(&mut self, rest: &str, place: Place) -> usize {
        let Some(letter) = rest[1..].chars().next() else { return self.push("\\", 1) };
        let len = 1 + letter.len_utf8();
        match (letter, place) {
            ('d', _) => self.push("[0-9]", len),
            ('D', _) => self.push("[^0-9]", len),
            ('w', _) => self.push("[0-9A-Za-z_]", len),
            ('W', _) => self.push("[^0-9A-Za-z_]", len),
            ('s', _) => self.push("[\\t\\n\\f\\r ]", len),
            ('S', _) => self.push("[^\\t\\n\\f\\r ]", len),
            ('b', Place::Outside) => self.push("(?-u:\\b)", len),
            ('<' | '>', _) => self.push(&rest[1..len], len),
            ('Q', _) => self.quoted(&rest[len..]) + len,
            ('0'..='7', _) => self.octal(rest),
            ('x' | 'p' | 'P', _) => {
                let braces = rest[len..].strip_prefix('{').and_then(|inner| inner.find('}'));
                let plain = if letter == 'x' { 2 } else { 1 };
                let plain = rest[len..].chars().take(plain).map(char::len_utf8).sum();
                let len = len + braces.map_or(plain, |inner| inner + 2);
                self.push(&rest[..len], len)
            }
            _ => self.push(&rest[..len], len),
        }
    }

    /// `\Q…\E`: everything in between is literal. Returns its length behind `\Q`.
    fn quoted(&mut self, rest: &str) -> usize {
        let (literal, len) = match rest.find("\\E") {
            Some(end) => (&rest[..end], end + 2),
            None => (rest, rest.len()),
        };
        self.out.push_str(&::regex::escape(literal));
        len
    }

    /// Up to three octal digits; a single digit other than 0 is a back-reference, which is left to
    /// the compiler to refuse.
    fn octal(&mut self, rest: &str) -> usize {
        let digits = rest[1..].bytes().take(3).take_while(|byte| (b'0'..=b'7').contains(byte));
        let len = 1 + digits.count();
        match u32::from_str_radix(&rest[1..len], 8) {
            Ok(code) if len > 2 || rest.as_bytes()[1] == b'0' => {
                self.push(&format!("\\x{{{code:x}}}"), len)
            }
            _ => self.push(&rest[..len], len),
        }
    }

    fn posix(&mut self, class: &str) -> usize {
        let name = class.trim_start_matches("[:").trim_start_matches('^').trim_end_matches(":]");
        if !POSIX.contains(&name) {
            self.refused.get_or_insert_with(|| class.to_owned());
        }
        self.push(class, class.len())
    }

    /// Writes the class that `rest` starts with; returns its length.
    fn class(&mut self, rest: &str) -> usize {
        let mut at = self.push("[", 1);
        if rest[at..].starts_with('^') {
            at += self.push("^", 1);
        }
        let first = at;
        while !rest[at..].is_empty() {
            if rest[at..].starts_with(']') && at > first {
                return at + self.push("]", 1);
            }
            let is_single = !is_class(&rest[at..]);
            at += self.member(&rest[at..]);
            // Behind a single character, a `-` makes a range; anywhere else it is one itself.
            let is_range = rest[at..].starts_with('-') && !rest[at + 1..].starts_with(']');
            if is_single && is_range {
                at += self.push("-", 1);
                at += self.member(&rest[at..]);
            }
        }
        at
    }

    /// Writes one member of a class; returns its length.
    fn member(&mut self, rest: &str) -> usize {
        match rest.chars().next() {
            Some('\\') => self.escape(rest, Place::Class),
            Some('[') => match posix_len(rest) {
                Some(len) => self.posix(&rest[..len]),
                None => self.push("\\[", 1),
            },
            // The target syntax has operations on sets and reads some of these as such.
            Some(letter @ ('&' | '~' | '-' | ']' | '^')) => self.push(&format!("\\{letter}"), 1),
            Some(letter) => {
                self.out.push(letter);
                letter.len_utf8()
            }
            None => 0,
        }
    }
}

/// Whether a member of a class is itself a class.
fn is_class(rest: &str) -> bool {
    let mut letters = rest.chars();
    match letters.next() {
        Some('\\') => letters.next().is_some_and(|letter| "dDwWsSpP".contains(letter)),
        Some('[') => posix_len(rest).is_some(),
        _ => false,
    }
}

/// The named classes.
const POSIX: [&str; 14] = [
    "alnum", "alpha", "ascii", "blank", "cntrl", "digit", "graph", "lower", "print", "punct",
    "space", "upper", "word", "xdigit",
];

/// The length of a named class such as `[:alpha:]`.
fn posix_len(rest: &str) -> Option<usize> {
    let name = rest.strip_prefix("[:")?;
    let end = name.find(":]")?;
    let is_name = name[..end].bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'^');
    is_name.then_some(end + 4)
}

/// The length of a repetition such as `{2,5}`; in Go any other brace is literal.
fn repetition_len(rest: &str) -> Option<usize> {
    let end = rest.find('}')?;
    let inner = &rest[1..end];
    let (least, most) = inner.split_once(',').unwrap_or((inner, "0"));
    let is_number = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    (!least.is_empty() && is_number(least) && is_number(most)).then_some(end + 1)
}

/// Go's words for what is wrong with `pattern`.
pub(super) fn explain(pattern: &str, error: &::regex::Error) -> String {
    let ::regex::Error::Syntax(report) = error else {
        return format!("expression nests too deeply: `{pattern}`");
    };
    let said = |part: &str| report.contains(part);
    if said("unclosed group") {
        format!("missing closing ): `{pattern}`")
    } else if said("unopened group") {
        format!("unexpected ): `{pattern}`")
    } else if said("unclosed character class") {
        let open = pattern.rfind('[').unwrap_or(0);
        format!("missing closing ]: `{}`", &pattern[open..])
    } else if said("repetition operator missing expression") {
        let operator = pattern.find(['*', '+', '?', '{']).unwrap_or(0);
        let operator: String = pattern[operator..].chars().take(1).collect();
        format!("missing argument to repetition operator: `{operator}`")
    } else if said("look-around") || said("unrecognized flag") {
        let open = pattern.find("(?").unwrap_or(0);
        let flags = pattern[open + 2..].chars().take_while(|letter| "imsU-".contains(*letter));
        let shown: String = pattern[open..].chars().take(3 + flags.count()).collect();
        format!("invalid or unsupported Perl syntax: `{shown}`")
    } else if said("backreferences") || said("unrecognized escape") {
        format!("invalid escape sequence: `{}`", bad_escape(pattern))
    } else if said("invalid character class range") {
        format!("invalid character class range: `{}`", bad_range(pattern))
    } else if pattern.ends_with('\\') {
        "trailing backslash at end of expression: ``".to_owned()
    } else {
        format!("invalid syntax: `{pattern}`")
    }
}

/// The first range whose end is below its start.
fn bad_range(pattern: &str) -> &str {
    let letters: Vec<(usize, char)> = pattern.char_indices().collect();
    let found = letters.windows(3).find(|window| window[1].1 == '-' && window[0].1 > window[2].1);
    match found {
        Some(window) => &pattern[window[0].0..window[2].0 + window[2].1.len_utf8()],
        None => pattern,
    }
}

/// The first escape that Go does not know.
fn bad_escape(pattern: &str) -> &str {
    let mut rest = pattern;
    while let Some(at) = rest.find('\\') {
        rest = &rest[at..];
        let letter = rest[1..].chars().next();
        let len = 1 + letter.map_or(0, char::len_utf8);
        let is_known = letter.is_some_and(|letter| {
            !letter.is_ascii_alphanumeric() || "AbBdDsSwWzafnrtvxpPQEC0".contains(letter)
        });
        if !is_known {
            return &rest[..len];
        }
        rest = &rest[len..];
    }
    rest
}
