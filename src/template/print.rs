//! Go's `fmt.Sprint`, `Sprintln` and `Sprintf` for template values.

use std::fmt;

use super::format::{Integer, Layout};
use super::value::{List, Map, Value};

/// No text grows beyond this, whatever a value contains: a map can contain itself twice. The
/// evaluator refuses texts of this size.
const BYTES_MAX: usize = 64 << 20;
/// Nothing is printed below this nesting: a map can contain itself.
const DEPTH_MAX: usize = 200;
/// Go takes no wider widths and precisions.
const WIDTH_MAX: usize = 1_000_000;

/// `fmt.Sprint`: a space between two values of which neither is a string.
pub fn sprint(args: &[Value]) -> String {
    let mut printer = Printer::default();
    let mut after_string = true;
    for arg in args {
        let is_string = matches!(arg, Value::Str(_));
        if !is_string && !after_string {
            printer.out.push(' ');
        }
        printer.arg(arg, 'v');
        after_string = is_string;
    }
    printer.out
}

/// `fmt.Sprintln`: spaces between all values and a line feed behind the last.
pub fn sprintln(args: &[Value]) -> String {
    let mut printer = Printer::default();
    for (index, arg) in args.iter().enumerate() {
        if index > 0 {
            printer.out.push(' ');
        }
        printer.arg(arg, 'v');
    }
    printer.out.push('\n');
    printer.out
}

/// `fmt.Sprintf`: every verb, flag and argument index, and Go's notes on what does not fit.
pub fn sprintf(format: &str, args: &[Value]) -> String {
    let mut printer = Printer::default();
    Directives { format, at: 0, args, next: 0, reordered: false, index_is_good: true }
        .print(&mut printer);
    printer.out
}

/// `%v`.
impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Str(text) => f.write_str(text),
            _ => {
                let mut printer = Printer::default();
                printer.arg(self, 'v');
                f.write_str(&printer.out)
            }
        }
    }
}

#[derive(Default)]
struct Printer {
    out: String,
    layout: Layout,
}

impl Printer {
    /// A value that was passed as an argument.
    fn arg(&mut self, value: &Value, verb: char) {
        match (value, verb) {
            (Value::Nil, 'T' | 'v') => self.layout.pad(&mut self.out, "<nil>"),
            (Value::Nil, _) => self.bad_verb(value, verb),
            (_, 'T') => self.layout.string(&mut self.out, value.type_name()),
            (Value::Bytes(bytes), 'v' | 'd') if self.layout.sharp_v => {
                self.bytes_in_go(bytes, "[]byte");
            }
            _ => self.value(value, verb, 0),
        }
    }

    fn value(&mut self, value: &Value, verb: char, depth: usize) {
        if depth > DEPTH_MAX || self.out.len() > BYTES_MAX {
            return;
        }
        match value {
            Value::Nil if self.layout.sharp_v => self.out.push_str("interface {}(nil)"),
            Value::Nil => self.out.push_str("<nil>"),
            Value::Bool(truth) => match verb {
                't' | 'v' => self.layout.pad(&mut self.out, if *truth { "true" } else { "false" }),
                _ => self.bad_verb(value, verb),
            },
            Value::Int(number) | Value::Int64(number) => {
                self.integer(Integer { bits: *number as u64, signed: true }, value, verb);
            }
            Value::Uint8(number) => {
                self.integer(Integer { bits: (*number).into(), signed: false }, value, verb);
            }
            Value::Uint64(number) => {
                self.integer(Integer { bits: *number, signed: false }, value, verb);
            }
            Value::Float(number) => match verb {
                'v' | 'b' | 'g' | 'G' | 'x' | 'X' | 'f' | 'F' | 'e' | 'E' => {
                    self.layout.float(&mut self.out, *number, verb);
                }
                _ => self.bad_verb(value, verb),
            },
            Value::Str(text) => self.string(text, value, verb),
            Value::Bytes(bytes) => self.bytes(bytes, verb, depth),
            Value::List(list) => self.list(list, value, verb, depth),
            Value::Map(map) => self.map(map, value, verb, depth),
            Value::Object(object) => match verb {
                'v' | 's' | 'x' | 'X' | 'q' => {
                    let text = object.print();
                    if self.layout.sharp_v {
                        self.out.push_str(&text);
                    } else {
                        self.string(&text, value, verb);
                    }
                }
                _ => self.bad_verb(value, verb),
            },
        }
    }

    fn integer(&mut self, number: Integer, value: &Value, verb: char) {
        let Self { out, layout } = self;
        match verb {
            'v' if layout.sharp_v && !number.signed => {
                Layout { sharp: true, ..layout.clone() }.integer(out, number, 'x');
            }
            'v' | 'd' | 'b' | 'o' | 'O' | 'x' | 'X' => layout.integer(out, number, verb),
            'c' => layout.character(out, number),
            'q' => layout.quoted_character(out, number),
            'U' => layout.code_point(out, number),
            _ => self.bad_verb(value, verb),
        }
    }

    fn string(&mut self, text: &str, value: &Value, verb: char) {
        let Self { out, layout } = self;
        match verb {
            'v' if layout.sharp_v => layout.quoted(out, text),
            'v' | 's' => layout.string(out, text),
            'x' => layout.hexadecimal(out, text.as_bytes(), false),
            'X' => layout.hexadecimal(out, text.as_bytes(), true),
            'q' => layout.quoted(out, text),
            _ => self.bad_verb(value, verb),
        }
    }

    fn bytes(&mut self, bytes: &[u8], verb: char, depth: usize) {
        let Self { out, layout } = self;
        match verb {
            's' => layout.string(out, &String::from_utf8_lossy(bytes)),
            'q' => layout.quoted(out, &String::from_utf8_lossy(bytes)),
            'x' => layout.hexadecimal(out, bytes, false),
            'X' => layout.hexadecimal(out, bytes, true),
            'v' if layout.sharp_v => self.bytes_in_go(bytes, "[]uint8"),
            _ => self.items(bytes.iter().map(|byte| Value::Uint8(*byte)), verb, depth),
        }
    }

    fn bytes_in_go(&mut self, bytes: &[u8], type_name: &str) {
        self.out.push_str(type_name);
        let items: Vec<String> = bytes.iter().map(|byte| format!("{byte:#x}")).collect();
        self.out.push_str(&format!("{{{}}}", items.join(", ")));
    }

    fn list(&mut self, list: &List, value: &Value, verb: char, depth: usize) {
        if self.layout.sharp_v {
            self.out.push_str(value.type_name());
            self.out.push('{');
            for (index, item) in list.items.iter().enumerate() {
                if index > 0 {
                    self.out.push_str(", ");
                }
                self.value(item, verb, depth + 1);
            }
            self.out.push('}');
        } else {
            self.items(list.items.iter().cloned(), verb, depth);
        }
    }

    fn items(&mut self, items: impl Iterator<Item = Value>, verb: char, depth: usize) {
        self.out.push('[');
        for (index, item) in items.enumerate() {
            if index > 0 {
                self.out.push(' ');
            }
            self.value(&item, verb, depth + 1);
        }
        self.out.push(']');
    }

    fn map(&mut self, map: &Map, value: &Value, verb: char, depth: usize) {
        let (open, separator, close) = if self.layout.sharp_v {
            self.out.push_str(value.type_name());
            ('{', ", ", '}')
        } else {
            self.out.push_str("map");
            ('[', " ", ']')
        };
        self.out.push(open);
        for (index, (key, item)) in map.entries.borrow().iter().enumerate() {
            if index > 0 {
                self.out.push_str(separator);
            }
            self.value(&Value::Str(key.clone()), verb, depth + 1);
            self.out.push(':');
            self.value(item, verb, depth + 1);
        }
        self.out.push(close);
    }

    /// Go's note on a verb that does not fit the value.
    fn bad_verb(&mut self, value: &Value, verb: char) {
        self.out.push_str("%!");
        self.out.push(verb);
        self.out.push('(');
        if value.is_nil() {
            self.out.push_str("<nil>");
        } else {
            self.out.push_str(value.type_name());
            self.out.push('=');
            self.value(value, 'v', 0);
        }
        self.out.push(')');
    }
}

/// The interpretation of a format string.
struct Directives<'a> {
    format: &'a str,
    /// The byte of the format to read next.
    at: usize,
    args: &'a [Value],
    /// The argument to print next.
    next: usize,
    /// Whether an argument was chosen by its number: unused ones are not reported then.
    reordered: bool,
    /// Whether the last such number was of an argument that exists.
    index_is_good: bool,
}

impl Directives<'_> {
    fn print(mut self, printer: &mut Printer) {
        while self.at < self.format.len() && printer.out.len() <= BYTES_MAX {
            let rest = &self.format[self.at..];
            let text = &rest[..rest.find('%').unwrap_or(rest.len())];
            printer.out.push_str(text);
            self.at += text.len();
            if self.at < self.format.len() {
                self.at += 1;
                self.directive(printer);
            }
        }
        if !self.reordered && self.next < self.args.len() {
            self.extra(printer);
        }
    }

    fn byte(&self) -> Option<u8> {
        self.format.as_bytes().get(self.at).copied()
    }

    fn directive(&mut self, printer: &mut Printer) {
        self.index_is_good = true;
        printer.layout = Layout::default();
        self.flags(&mut printer.layout);
        let mut after_index = self.argument_index();
        self.width(printer, &mut after_index);
        self.precision(printer, &mut after_index);
        if !after_index {
            self.argument_index();
        }
        let Some(verb) = self.format[self.at..].chars().next() else {
            printer.out.push_str("%!(NOVERB)");
            return;
        };
        self.at += verb.len_utf8();
        if verb == '%' {
            printer.out.push('%');
        } else if !self.index_is_good {
            printer.out.push_str(&format!("%!{verb}(BADINDEX)"));
        } else if let Some(arg) = self.args.get(self.next) {
            let layout = &mut printer.layout;
            // `%w` is for errors only, but takes the flags of `%v`.
            if matches!(verb, 'v' | 'w') {
                (layout.sharp_v, layout.sharp) = (layout.sharp, false);
                (layout.plus_v, layout.plus) = (layout.plus, false);
            }
            printer.arg(arg, verb);
            self.next += 1;
        } else {
            printer.out.push_str(&format!("%!{verb}(MISSING)"));
        }
    }

    fn flags(&mut self, layout: &mut Layout) {
        while let Some(byte) = self.byte() {
            match byte {
                b'#' => layout.sharp = true,
                b'0' => layout.zero = true,
                b'+' => layout.plus = true,
                b'-' => layout.minus = true,
                b' ' => layout.space = true,
                _ => return,
            }
            self.at += 1;
        }
    }

    fn width(&mut self, printer: &mut Printer, after_index: &mut bool) {
        if self.byte() == Some(b'*') {
            self.at += 1;
            match self.integer_argument() {
                Some(width) => {
                    printer.layout.width = usize::try_from(width.unsigned_abs()).ok();
                    if width < 0 {
                        printer.layout.minus = true;
                        printer.layout.zero = false;
                    }
                }
                None => printer.out.push_str("%!(BADWIDTH)"),
            }
            *after_index = false;
        } else {
            printer.layout.width = self.number();
            if *after_index && printer.layout.width.is_some() {
                self.index_is_good = false;
            }
        }
    }

    fn precision(&mut self, printer: &mut Printer, after_index: &mut bool) {
        // A point at the very end is a verb that does not exist, not a precision.
        if self.byte() != Some(b'.') || self.at + 1 >= self.format.len() {
            return;
        }
        self.at += 1;
        if *after_index {
            self.index_is_good = false;
        }
        *after_index = self.argument_index();
        if self.byte() == Some(b'*') {
            self.at += 1;
            let precision = self.integer_argument().and_then(|value| usize::try_from(value).ok());
            if precision.is_none() {
                printer.out.push_str("%!(BADPREC)");
            }
            printer.layout.precision = precision;
            *after_index = false;
        } else {
            printer.layout.precision = Some(self.number().unwrap_or(0));
        }
    }

    /// The digits here; an absurd number swallows the rest of the format, as in Go.
    fn number(&mut self) -> Option<usize> {
        let mut number = None;
        while let Some(byte) = self.byte().filter(u8::is_ascii_digit) {
            let so_far = number.unwrap_or(0);
            if so_far > WIDTH_MAX {
                self.at = self.format.len();
                return None;
            }
            number = Some(so_far * 10 + usize::from(byte - b'0'));
            self.at += 1;
        }
        number
    }

    /// The next argument as a width or precision.
    fn integer_argument(&mut self) -> Option<i64> {
        let value = self.args.get(self.next)?;
        self.next += 1;
        let number = match value {
            Value::Int(number) | Value::Int64(number) => *number,
            Value::Uint8(number) => (*number).into(),
            Value::Uint64(number) => i64::try_from(*number).ok()?,
            _ => return None,
        };
        (number.unsigned_abs() <= WIDTH_MAX as u64).then_some(number)
    }

    /// Reads `[n]`, if it is here. Returns whether there was a well-formed one.
    fn argument_index(&mut self) -> bool {
        if self.byte() != Some(b'[') {
            return false;
        }
        self.reordered = true;
        let rest = &self.format[self.at..];
        let Some(end) = rest.find(']').filter(|_| rest.len() >= 3) else {
            self.at += 1;
            self.index_is_good = false;
            return false;
        };
        self.at += end + 1;
        let digits = &rest[1..end];
        let is_number = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
        let index = digits.parse::<usize>().ok().filter(|index| is_number && *index <= WIDTH_MAX);
        match index.and_then(|index| index.checked_sub(1)) {
            Some(index) if index < self.args.len() => {
                self.next = index;
                true
            }
            _ => {
                self.index_is_good = false;
                index.is_some()
            }
        }
    }

    /// Go's note on arguments that no verb printed.
    fn extra(&self, printer: &mut Printer) {
        printer.layout = Layout::default();
        printer.out.push_str("%!(EXTRA ");
        for (index, arg) in self.args[self.next..].iter().enumerate() {
            if index > 0 {
                printer.out.push_str(", ");
            }
            if !arg.is_nil() {
                printer.out.push_str(arg.type_name());
                printer.out.push('=');
            }
            printer.arg(arg, 'v');
        }
        printer.out.push(')');
    }
}

#[cfg(test)]
#[path = "print_tests.rs"]
mod tests;
