//! Reads a time that is written in one of Go's layouts.

use jiff::civil::Date;
use jiff::tz::Offset;

use super::layout::{DAYS, Element, Length, MONTHS, OffsetForm, Padding, next_chunk};
use super::{Time, Zone, quote};

/// Why an element could not be read.
enum Trouble {
    /// It is not there.
    Mismatch,
    /// Its number is too large; what it is the number of.
    OutOfRange(&'static str),
}

#[derive(Default)]
struct Fields {
    year: i64,
    month: Option<i64>,
    day: Option<i64>,
    year_day: Option<i64>,
    hour: i64,
    minute: i64,
    second: i64,
    nanosecond: i64,
    /// Whether the hour is of the second half of the day.
    is_pm: Option<bool>,
    offset: Option<i64>,
    zone_name: String,
    is_utc: bool,
}

impl Time {
    /// Reads `value` as `layout` says. What the layout leaves out is zero, or one where there is no
    /// zero. The error is Go's text.
    pub(in crate::sprig) fn parse(layout: &str, value: &str) -> Result<Self, String> {
        let mut fields = Fields::default();
        let mut rest_of_layout = layout;
        let mut rest = value;
        let mismatch = |written: &str, found: &str| {
            format!(
                "parsing time {} as {}: cannot parse {} as {}",
                quote(value),
                quote(layout),
                quote(found),
                quote(written)
            )
        };
        loop {
            let chunk = next_chunk(rest_of_layout);
            rest = skip(rest, chunk.literal).map_err(|found| mismatch(chunk.literal, found))?;
            let Some((element, written)) = chunk.element else { break };
            rest_of_layout = chunk.rest;
            let hold = rest;
            let read = fields.read(element, &mut rest, chunk.rest);
            read.map_err(|trouble| match trouble {
                Trouble::Mismatch => mismatch(written, hold),
                Trouble::OutOfRange(what) => {
                    format!("parsing time {}: {what} out of range", quote(value))
                }
            })?;
        }
        if !rest.is_empty() {
            return Err(format!("parsing time {}: extra text: {}", quote(value), quote(rest)));
        }
        fields.time().map_err(|complaint| format!("parsing time {}: {complaint}", quote(value)))
    }
}

/// Skips a literal of the layout; any number of spaces is as good as any other.
fn skip<'a>(mut value: &'a str, mut literal: &str) -> Result<&'a str, &'a str> {
    while let Some(letter) = literal.chars().next() {
        if letter == ' ' {
            if !value.is_empty() && !value.starts_with(' ') {
                return Err(value);
            }
            literal = literal.trim_start_matches(' ');
            value = value.trim_start_matches(' ');
            continue;
        }
        value = value.strip_prefix(letter).ok_or(value)?;
        literal = &literal[letter.len_utf8()..];
    }
    Ok(value)
}

/// Reads between `least` and `most` digits.
fn digits(rest: &mut &str, least: usize, most: usize) -> Result<i64, Trouble> {
    let count = rest.bytes().take(most).take_while(u8::is_ascii_digit).count();
    if count < least {
        return Err(Trouble::Mismatch);
    }
    let (number, behind) = rest.split_at(count);
    *rest = behind;
    number.parse().map_err(|_| Trouble::Mismatch)
}

fn padded(rest: &mut &str, padding: Padding) -> Result<i64, Trouble> {
    if padding == Padding::Space {
        *rest = rest.strip_prefix(' ').unwrap_or(rest);
    }
    digits(rest, if padding == Padding::Zero { 2 } else { 1 }, 2)
}

fn in_range(number: i64, range: std::ops::Range<i64>, what: &'static str) -> Result<i64, Trouble> {
    if range.contains(&number) { Ok(number) } else { Err(Trouble::OutOfRange(what)) }
}

/// Reads one of `names` and returns its place.
fn name(rest: &mut &str, names: &[&str], length: Length) -> Result<i64, Trouble> {
    for (at, name) in names.iter().enumerate() {
        let name = if length == Length::Short { &name[..3] } else { name };
        let found = rest.get(..name.len());
        if found.is_some_and(|found| found.eq_ignore_ascii_case(name)) {
            *rest = &rest[name.len()..];
            return Ok(at as i64);
        }
    }
    Err(Trouble::Mismatch)
}

fn half(rest: &mut &str, am: &str, pm: &str) -> Result<bool, Trouble> {
    let is_pm = rest.starts_with(pm);
    *rest = rest.strip_prefix(if is_pm { pm } else { am }).ok_or(Trouble::Mismatch)?;
    Ok(is_pm)
}

impl Fields {
    fn read(&mut self, element: Element, rest: &mut &str, layout: &str) -> Result<(), Trouble> {
        match element {
            Element::Year(Length::Short) => {
                let year = digits(rest, 2, 2)?;
                self.year = year + if year >= 69 { 1900 } else { 2000 };
            }
            Element::Year(Length::Long) => self.year = digits(rest, 4, 4)?,
            Element::MonthName(length) => self.month = Some(name(rest, &MONTHS, length)? + 1),
            Element::Month(padding) => {
                self.month = Some(in_range(padded(rest, padding)?, 1..13, "month")?);
            }
            Element::Weekday(length) => {
                name(rest, &DAYS, length)?;
            }
            Element::Day(padding) => self.day = Some(padded(rest, padding)?),
            Element::YearDay(padding) => {
                if padding == Padding::Space {
                    *rest = rest.strip_prefix(' ').unwrap_or(rest);
                    *rest = rest.strip_prefix(' ').unwrap_or(rest);
                }
                let least = if padding == Padding::Zero { 3 } else { 1 };
                self.year_day = Some(digits(rest, least, 3)?);
            }
            Element::Hour => self.hour = in_range(digits(rest, 1, 2)?, 0..24, "hour")?,
            Element::Hour12(padding) => {
                self.hour = in_range(padded(rest, padding)?, 0..13, "hour")?;
            }
            Element::Minute(padding) => {
                self.minute = in_range(padded(rest, padding)?, 0..60, "minute")?;
            }
            Element::Second(padding) => {
                self.second = in_range(padded(rest, padding)?, 0..60, "second")?;
                let next = next_chunk(layout).element;
                if !matches!(next, Some((Element::Fraction { .. }, _))) {
                    self.fraction(rest);
                }
            }
            Element::UpperPm => self.is_pm = Some(half(rest, "AM", "PM")?),
            Element::LowerPm => self.is_pm = Some(half(rest, "am", "pm")?),
            Element::Offset(form) => self.offset(rest, form)?,
            Element::ZoneName => self.zone_name(rest)?,
            Element::Fraction { trimmed: true, .. } => self.fraction(rest),
            Element::Fraction { digits, .. } => {
                let given = rest.get(..=digits).ok_or(Trouble::Mismatch)?;
                let mut one = given;
                self.fraction(&mut one);
                if !one.is_empty() {
                    return Err(Trouble::Mismatch);
                }
                *rest = &rest[given.len()..];
            }
        }
        Ok(())
    }

    /// Digits behind a point or comma, if there are any.
    fn fraction(&mut self, rest: &mut &str) {
        let Some(fraction) = rest.strip_prefix(['.', ',']) else { return };
        let count = fraction.bytes().take_while(u8::is_ascii_digit).count();
        if count == 0 {
            return;
        }
        let nine: String = fraction[..count].chars().chain("000000000".chars()).take(9).collect();
        self.nanosecond = nine.parse().unwrap_or(0);
        *rest = &fraction[count..];
    }

    fn offset(&mut self, rest: &mut &str, form: OffsetForm) -> Result<(), Trouble> {
        if form.zulu
            && let Some(behind) = rest.strip_prefix('Z')
        {
            self.is_utc = true;
            *rest = behind;
            return Ok(());
        }
        let sign = match rest.bytes().next() {
            Some(b'+') => 1,
            Some(b'-') => -1,
            _ => return Err(Trouble::Mismatch),
        };
        *rest = &rest[1..];
        let mut total = 0;
        let names = ["time zone offset hour", "time zone offset minute", "time zone offset second"];
        let parts = [(25, 3600), (61, 60), (61, 1)];
        for (at, (limit, unit)) in parts.into_iter().take(form.parts.into()).enumerate() {
            if at > 0 && form.colons {
                *rest = rest.strip_prefix(':').ok_or(Trouble::Mismatch)?;
            }
            total += in_range(digits(rest, 2, 2)?, 0..limit, names[at])? * unit;
        }
        self.offset = Some(sign * total);
        Ok(())
    }

    /// Three to five capitals.
    fn zone_name(&mut self, rest: &mut &str) -> Result<(), Trouble> {
        if let Some(behind) = rest.strip_prefix("UTC") {
            self.is_utc = true;
            *rest = behind;
            return Ok(());
        }
        let capitals = rest.bytes().take(6).take_while(u8::is_ascii_uppercase).count();
        let len = match capitals {
            _ if rest.starts_with("ChST") || rest.starts_with("MeST") => 4,
            3 => 3,
            4 if rest.as_bytes()[3] == b'T' || rest.starts_with("WITA") => 4,
            5 if rest.as_bytes()[4] == b'T' => 5,
            _ => return Err(Trouble::Mismatch),
        };
        let (found, behind) = rest.split_at(len);
        found.clone_into(&mut self.zone_name);
        *rest = behind;
        Ok(())
    }

    fn time(self) -> Result<Time, String> {
        let hour = match self.is_pm {
            Some(true) if self.hour < 12 => self.hour + 12,
            Some(false) if self.hour == 12 => 0,
            _ => self.hour,
        };
        let date = self.date()?;
        let wall = date.at(hour as i8, self.minute as i8, self.second as i8, 0);
        let seconds =
            Offset::UTC.to_timestamp(wall).map_err(|error| error.to_string())?.as_second();
        let offset = if self.is_utc { 0 } else { self.offset.unwrap_or(0) };
        let total = i128::from(seconds - offset) * 1_000_000_000 + i128::from(self.nanosecond);
        let zone = if offset == 0 && self.zone_name.is_empty() {
            Zone::Utc
        } else {
            Zone::Fixed(offset as i32, self.zone_name)
        };
        Ok(Time::from_nanoseconds(total).in_zone(zone))
    }

    fn date(&self) -> Result<Date, String> {
        let year = self.year as i16;
        if let Some(year_day) = self.year_day {
            let first = Date::new(year, 1, 1).map_err(|error| error.to_string())?;
            let day = first.with().day_of_year(year_day as i16).build();
            let date = day.map_err(|_| "day-of-year out of range".to_owned())?;
            if self.month.is_some_and(|month| month != i64::from(date.month())) {
                return Err("day-of-year does not match month".to_owned());
            }
            if self.day.is_some_and(|day| day != i64::from(date.day())) {
                return Err("day-of-year does not match day".to_owned());
            }
            return Ok(date);
        }
        let (month, day) = (self.month.unwrap_or(1), self.day.unwrap_or(1));
        Date::new(year, month as i8, day as i8).map_err(|_| "day out of range".to_owned())
    }
}
