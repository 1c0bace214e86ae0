//! Go's layouts: a date is formatted like the reference time Mon Jan 2 15:04:05 MST 2006.

use super::Time;

/// The names of the months.
pub(super) const MONTHS: [&str; 12] = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
];

/// The names of the days of a week, from Sunday on.
pub(super) const DAYS: [&str; 7] =
    ["Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"];

/// How a number is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Padding {
    /// As short as it can be.
    None,
    /// Zeros in front.
    Zero,
    /// Spaces in front.
    Space,
}

/// Whether a name is cut to three letters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Length {
    /// `January`.
    Long,
    /// `Jan`.
    Short,
}

/// How a zone's offset is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct OffsetForm {
    /// UTC is `Z`.
    pub(super) zulu: bool,
    /// Colons between the parts.
    pub(super) colons: bool,
    /// Hours, minutes, seconds: how many of them.
    pub(super) parts: u8,
}

/// One element of a layout.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Element {
    MonthName(Length),
    Month(Padding),
    Weekday(Length),
    Day(Padding),
    YearDay(Padding),
    Hour,
    Hour12(Padding),
    Minute(Padding),
    Second(Padding),
    Year(Length),
    UpperPm,
    LowerPm,
    ZoneName,
    Offset(OffsetForm),
    /// Digits behind the second, its mark included; whether zeros at the end are left out.
    Fraction {
        mark: u8,
        digits: usize,
        trimmed: bool,
    },
}

/// What comes next in a layout.
#[derive(Clone, Copy, Debug)]
pub(super) struct Chunk<'a> {
    /// Text in front of the element.
    pub(super) literal: &'a str,
    /// The element and how it is written; none at the end.
    pub(super) element: Option<(Element, &'a str)>,
    /// The layout behind the element.
    pub(super) rest: &'a str,
}

/// Splits the first element off a layout.
pub(super) fn next_chunk(layout: &str) -> Chunk<'_> {
    let found = layout.char_indices().find_map(|(at, _)| {
        let (skipped, element, len) = element_at(&layout[at..])?;
        Some((at + skipped, element, len))
    });
    match found {
        Some((at, element, len)) => Chunk {
            literal: &layout[..at],
            element: Some((element, &layout[at..at + len])),
            rest: &layout[at + len..],
        },
        None => Chunk { literal: layout, element: None, rest: "" },
    }
}

/// The element that `text` starts with, after how many bytes, and its length.
fn element_at(text: &str) -> Option<(usize, Element, usize)> {
    let whole = |element, len| Some((0, element, len));
    let is_word_end =
        |len: usize| !text[len..].starts_with(|letter: char| letter.is_ascii_lowercase());
    match text.as_bytes()[0] {
        b'J' if text.starts_with("January") => whole(Element::MonthName(Length::Long), 7),
        b'J' if text.starts_with("Jan") && is_word_end(3) => {
            whole(Element::MonthName(Length::Short), 3)
        }
        b'M' if text.starts_with("Monday") => whole(Element::Weekday(Length::Long), 6),
        b'M' if text.starts_with("Mon") && is_word_end(3) => {
            whole(Element::Weekday(Length::Short), 3)
        }
        b'M' if text.starts_with("MST") => whole(Element::ZoneName, 3),
        b'P' if text.starts_with("PM") => whole(Element::UpperPm, 2),
        b'p' if text.starts_with("pm") => whole(Element::LowerPm, 2),
        b'-' | b'Z' => offset_at(text),
        b'.' | b',' => fraction_at(text),
        b'_' if text.starts_with("_2006") => Some((1, Element::Year(Length::Long), 4)),
        _ => number_at(text).and_then(|(element, len)| whole(element, len)),
    }
}

fn number_at(text: &str) -> Option<(Element, usize)> {
    // Longer ones first.
    let numbers = [
        ("2006", Element::Year(Length::Long)),
        ("002", Element::YearDay(Padding::Zero)),
        ("__2", Element::YearDay(Padding::Space)),
        ("01", Element::Month(Padding::Zero)),
        ("02", Element::Day(Padding::Zero)),
        ("03", Element::Hour12(Padding::Zero)),
        ("04", Element::Minute(Padding::Zero)),
        ("05", Element::Second(Padding::Zero)),
        ("06", Element::Year(Length::Short)),
        ("15", Element::Hour),
        ("_2", Element::Day(Padding::Space)),
        ("1", Element::Month(Padding::None)),
        ("2", Element::Day(Padding::None)),
        ("3", Element::Hour12(Padding::None)),
        ("4", Element::Minute(Padding::None)),
        ("5", Element::Second(Padding::None)),
    ];
    let found = numbers.into_iter().find(|(written, _)| text.starts_with(written));
    found.map(|(written, element)| (element, written.len()))
}

fn offset_at(text: &str) -> Option<(usize, Element, usize)> {
    let forms = [
        ("070000", false, 3),
        ("07:00:00", true, 3),
        ("0700", false, 2),
        ("07:00", true, 2),
        ("07", false, 1),
    ];
    let zulu = text.starts_with('Z');
    let found = forms.into_iter().find(|(written, _, _)| text[1..].starts_with(written));
    let (written, colons, parts) = found?;
    Some((0, Element::Offset(OffsetForm { zulu, colons, parts }), written.len() + 1))
}

fn fraction_at(text: &str) -> Option<(usize, Element, usize)> {
    let bytes = text.as_bytes();
    let digit = *bytes.get(1).filter(|digit| matches!(digit, b'0' | b'9'))?;
    let digits = bytes[1..].iter().take_while(|byte| **byte == digit).count();
    if bytes.get(1 + digits).is_some_and(u8::is_ascii_digit) {
        return None;
    }
    let element = Element::Fraction { mark: bytes[0], digits, trimmed: digit == b'9' };
    Some((0, element, 1 + digits))
}

impl Time {
    /// The time in Go's layout.
    pub(in crate::sprig) fn format(&self, layout: &str) -> String {
        let wall = self.wall();
        let mut out = String::with_capacity(layout.len() + 10);
        let mut rest = layout;
        loop {
            let chunk = next_chunk(rest);
            out.push_str(chunk.literal);
            let Some((element, _)) = chunk.element else { return out };
            self.push_element(&mut out, element, wall);
            rest = chunk.rest;
        }
    }

    fn push_element(&self, out: &mut String, element: Element, wall: jiff::civil::DateTime) {
        let hour12 = i32::from(match wall.hour() % 12 {
            0 => 12,
            hour => hour,
        });
        match element {
            Element::MonthName(length) => {
                push_name(out, MONTHS[wall.month() as usize - 1], length);
            }
            Element::Month(padding) => push_number(out, wall.month().into(), padding, 2),
            Element::Weekday(length) => {
                let day = wall.weekday().to_sunday_zero_offset();
                push_name(out, DAYS[day as usize], length);
            }
            Element::Day(padding) => push_number(out, wall.day().into(), padding, 2),
            Element::YearDay(padding) => push_number(out, wall.day_of_year().into(), padding, 3),
            Element::Hour => push_number(out, wall.hour().into(), Padding::Zero, 2),
            Element::Hour12(padding) => push_number(out, hour12, padding, 2),
            Element::Minute(padding) => push_number(out, wall.minute().into(), padding, 2),
            Element::Second(padding) => push_number(out, wall.second().into(), padding, 2),
            Element::Year(Length::Long) => push_number(out, wall.year().into(), Padding::Zero, 4),
            Element::Year(Length::Short) => {
                push_number(out, i32::from(wall.year().abs() % 100), Padding::Zero, 2);
            }
            Element::UpperPm => out.push_str(if wall.hour() >= 12 { "PM" } else { "AM" }),
            Element::LowerPm => out.push_str(if wall.hour() >= 12 { "pm" } else { "am" }),
            Element::ZoneName => out.push_str(&self.zone.abbreviation(self.at)),
            Element::Offset(form) => push_offset(out, self.zone.offset(self.at), form),
            Element::Fraction { mark, digits, trimmed } => {
                push_fraction(out, wall.subsec_nanosecond(), mark, digits, trimmed);
            }
        }
    }
}

fn push_name(out: &mut String, name: &str, length: Length) {
    out.push_str(if length == Length::Short { &name[..3] } else { name });
}

fn push_number(out: &mut String, number: i32, padding: Padding, width: usize) {
    let digits = number.unsigned_abs().to_string();
    if number < 0 {
        out.push('-');
    }
    let missing = width.saturating_sub(digits.len());
    match padding {
        Padding::None => {}
        Padding::Zero => out.extend(std::iter::repeat_n('0', missing)),
        Padding::Space => out.extend(std::iter::repeat_n(' ', missing)),
    }
    out.push_str(&digits);
}

fn push_offset(out: &mut String, offset: i32, form: OffsetForm) {
    if offset == 0 && form.zulu {
        out.push('Z');
        return;
    }
    // The sign is that of the whole minutes.
    out.push(if offset / 60 < 0 { '-' } else { '+' });
    let seconds = offset.abs();
    let parts = [seconds / 3600, seconds / 60 % 60, seconds % 60];
    for (at, part) in parts.into_iter().take(form.parts.into()).enumerate() {
        if at > 0 && form.colons {
            out.push(':');
        }
        push_number(out, part, Padding::Zero, 2);
    }
}

fn push_fraction(out: &mut String, nanoseconds: i32, mark: u8, digits: usize, trimmed: bool) {
    if trimmed && (digits == 0 || nanoseconds == 0) {
        return;
    }
    let all = format!("{nanoseconds:09}");
    let mut kept = &all[..digits.min(9)];
    if trimmed {
        kept = kept.trim_end_matches('0');
        if kept.is_empty() {
            return;
        }
    }
    out.push(char::from(mark));
    out.push_str(kept);
}
