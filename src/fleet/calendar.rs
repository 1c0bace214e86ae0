//! When a policy lets a rollout begin on new clusters: windows of the week, and freezes.
//!
//! Pure: the time zones are those compiled in, not those of the machine, so that a controller, a
//! merge request and a test agree on when a window opens.

use std::fmt;

use jiff::civil::{Date, DateTime, Time, Weekday};
use jiff::tz::{TimeZone, TimeZoneDatabase};
use jiff::{Span, Timestamp};
use schemars::JsonSchema;
use serde::de::Error as _;
use serde::{Deserialize, Serialize};

/// A part of the week in which a rollout may begin on new clusters.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Window {
    /// The days on which it begins; every day by default.
    #[serde(default)]
    pub days: Vec<Day>,
    /// When it opens.
    pub from: TimeOfDay,
    /// When it closes; on the next day where that is not after `from`.
    pub to: TimeOfDay,
    /// Where these are the times of; UTC by default.
    #[serde(default)]
    pub timezone: Zone,
}

/// A time in which no rollout begins on new clusters.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Freeze {
    /// Its first day, or the time at which it begins.
    pub from: Edge,
    /// Its last day, all of it, or the time at which it ends.
    pub to: Edge,
    /// What for.
    pub reason: String,
    /// Where these are the times of; UTC by default.
    #[serde(default)]
    pub timezone: Zone,
}

/// A day of the week.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Day {
    /// Monday.
    Mon,
    /// Tuesday.
    Tue,
    /// Wednesday.
    Wed,
    /// Thursday.
    Thu,
    /// Friday.
    Fri,
    /// Saturday.
    Sat,
    /// Sunday.
    Sun,
}

impl Day {
    const ALL: [Self; 7] =
        [Self::Mon, Self::Tue, Self::Wed, Self::Thu, Self::Fri, Self::Sat, Self::Sun];

    fn of(weekday: Weekday) -> Self {
        Self::ALL[weekday.to_monday_zero_offset() as usize % 7]
    }

    fn word(self) -> &'static str {
        ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"][self as usize]
    }
}

/// A time of day in minutes from midnight, written `HH:MM`; `24:00` is the end of the day.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct TimeOfDay(u16);

impl TimeOfDay {
    const END: u16 = 24 * 60;

    /// Reads `HH:MM`.
    pub fn parse(text: &str) -> Option<Self> {
        let (hours, minutes) = text.split_once(':')?;
        let number = |text: &str| {
            let is_plain = text.len() == 2 && text.bytes().all(|byte| byte.is_ascii_digit());
            if is_plain { text.parse::<u16>().ok() } else { None }
        };
        let (hours, minutes) = (number(hours)?, number(minutes)?);
        let total = hours * 60 + minutes;
        (minutes < 60 && total <= Self::END).then_some(Self(total))
    }

    /// On a day; `24:00` is the start of the next one.
    fn on(self, day: Date) -> Option<DateTime> {
        if self.0 == Self::END {
            return Some(day.tomorrow().ok()?.at(0, 0, 0, 0));
        }
        Some(day.at((self.0 / 60) as i8, (self.0 % 60) as i8, 0, 0))
    }
}

impl fmt::Display for TimeOfDay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:02}:{:02}", self.0 / 60, self.0 % 60)
    }
}

/// The name of a time zone, such as `Europe/Zurich`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Zone(String);

impl Default for Zone {
    fn default() -> Self {
        Self("UTC".to_owned())
    }
}

impl Zone {
    /// A zone that is known.
    pub fn parse(name: &str) -> Option<Self> {
        TimeZoneDatabase::bundled().get(name).ok()?;
        Some(Self(name.to_owned()))
    }

    fn zone(&self) -> TimeZone {
        TimeZoneDatabase::bundled().get(&self.0).unwrap_or(TimeZone::UTC)
    }

    /// The instant of a civil time there. One that the clocks skip is the same time after the gap,
    /// one that they show twice is the first of both.
    fn instant(&self, civil: DateTime) -> Option<Timestamp> {
        Some(civil.to_zoned(self.zone()).ok()?.timestamp())
    }
}

impl fmt::Display for Zone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A day, or a time to the minute: `2026-12-18` or `2026-12-18 18:00`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Edge {
    /// The whole of it.
    Day(Date),
    /// The time.
    Time(DateTime),
}

impl Edge {
    /// Reads it.
    pub fn parse(text: &str) -> Option<Self> {
        if let Some((day, time)) = text.split_once([' ', 'T']) {
            let time = TimeOfDay::parse(time)?;
            return Some(Self::Time(time.on(day.parse().ok()?)?));
        }
        text.parse().ok().map(Self::Day)
    }

    fn first(self) -> DateTime {
        match self {
            Self::Day(day) => day.to_datetime(Time::midnight()),
            Self::Time(time) => time,
        }
    }

    /// The first moment after it, if there is one.
    fn past(self) -> Option<DateTime> {
        match self {
            Self::Day(day) => Some(day.tomorrow().ok()?.to_datetime(Time::midnight())),
            Self::Time(time) => Some(time),
        }
    }
}

impl fmt::Display for Edge {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Day(day) => write!(f, "{day}"),
            Self::Time(time) => write!(f, "{}", time.strftime("%Y-%m-%d %H:%M")),
        }
    }
}

/// Types that are written as one word: read, written and described the same way.
macro_rules! as_text {
    ($type:ty, $format:literal, $schema:literal, $what:literal) => {
        impl Serialize for $type {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> Deserialize<'de> for $type {
            fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
                let text = String::deserialize(from)?;
                let wrong = || D::Error::custom(format!("`{text}` is not {}", $what));
                Self::parse(&text).ok_or_else(wrong)
            }
        }

        impl JsonSchema for $type {
            fn schema_name() -> std::borrow::Cow<'static, str> {
                $schema.into()
            }

            fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
                schemars::json_schema!({
                    "type": "string", "format": $format, "description": $what
                })
            }
        }
    };
}

as_text!(TimeOfDay, "time-of-day", "TimeOfDay", "a time of day such as `08:00` or `24:00`");
as_text!(Zone, "timezone", "Timezone", "a time zone such as `Europe/Zurich`");
as_text!(
    Edge,
    "day-or-time",
    "DayOrTime",
    "a day such as `2026-12-18`, or a time such as `2026-12-18 18:00`"
);

impl fmt::Display for Window {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.days.is_empty() {
            write!(f, "{} ", days(&self.days))?;
        }
        write!(f, "{}–{} {}", self.from, self.to, self.timezone)
    }
}

/// Days of the week, those in a row as a range: `Mon–Thu`, `Sat, Sun`.
fn days(days: &[Day]) -> String {
    let mut parts = Vec::new();
    let mut at = 0;
    let listed = |index: usize| Day::ALL.get(index).is_some_and(|day| days.contains(day));
    while at < Day::ALL.len() {
        if !listed(at) {
            at += 1;
            continue;
        }
        let last = (at..Day::ALL.len()).take_while(|index| listed(*index)).last().unwrap_or(at);
        match last - at {
            0 => parts.push(Day::ALL[at].word().to_owned()),
            1 => parts.extend([at, last].map(|index| Day::ALL[index].word().to_owned())),
            _ => parts.push(format!("{}–{}", Day::ALL[at].word(), Day::ALL[last].word())),
        }
        at = last + 1;
    }
    parts.join(", ")
}

impl fmt::Display for Freeze {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} to {} {} ({})", self.from, self.to, self.timezone, self.reason)
    }
}

impl Window {
    /// Whether it is never open: it closes as it opens.
    pub fn is_empty(&self) -> bool {
        self.from == self.to
    }

    /// When it is open, if it begins on this day.
    fn on(&self, day: Date) -> Option<(Timestamp, Timestamp)> {
        if !self.days.is_empty() && !self.days.contains(&Day::of(day.weekday())) {
            return None;
        }
        let last = if self.to <= self.from { day.tomorrow().ok()? } else { day };
        let from = self.timezone.instant(self.from.on(day)?)?;
        let to = self.timezone.instant(self.to.on(last)?)?;
        Some((from, to))
    }

    /// The days on which it may begin around a time, from the day before.
    fn around(&self, at: Timestamp) -> impl Iterator<Item = (Timestamp, Timestamp)> {
        let today = at.to_zoned(self.timezone.zone()).date();
        // A week and the day before: any window begins once within it.
        (-1..=8).filter_map(move |days| {
            let day = today.checked_add(Span::new().days(days)).ok()?;
            self.on(day)
        })
    }
}

impl Freeze {
    /// When it begins, and the first moment after it; the last one where that is beyond all times.
    pub fn bounds(&self) -> (Timestamp, Timestamp) {
        let instant = |civil| self.timezone.instant(civil);
        let to = self.to.past().and_then(instant).unwrap_or(Timestamp::MAX);
        (instant(self.from.first()).unwrap_or(Timestamp::MAX), to)
    }
}

/// When new clusters may be begun: in any of the windows, or always without one; never in a freeze.
#[derive(Clone, Copy, Debug)]
pub struct Calendar<'a> {
    /// Windows.
    pub windows: &'a [Window],
    /// Freezes.
    pub freezes: &'a [Freeze],
}

/// Why new clusters may not be begun.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Closed {
    /// In words.
    pub reason: String,
    /// When it opens; none where it does not within the times that are known.
    pub until: Option<Timestamp>,
}

impl Calendar<'_> {
    /// Whether it is open at a time; if not, why and until when.
    pub fn closed(&self, at: Timestamp) -> Option<Closed> {
        let (reason, mut next) = self.shut(at)?;
        // Each step leaves a freeze or comes to the start of a window. More than these in a row
        // without an open moment is a calendar that never opens.
        for _ in 0..1_000 {
            let Some(at) = next else { break };
            match self.shut(at) {
                None => return Some(Closed { reason, until: Some(at) }),
                Some((_, after)) => next = after,
            }
        }
        Some(Closed { reason, until: None })
    }

    /// Why it is not open at a time, and the next time that may be better.
    fn shut(&self, at: Timestamp) -> Option<(String, Option<Timestamp>)> {
        for freeze in self.freezes {
            let (from, to) = freeze.bounds();
            if (from..to).contains(&at) {
                let next = (to < Timestamp::MAX).then_some(to);
                return Some((format!("frozen: {}", freeze.reason), next));
            }
        }
        let windows = self.windows;
        let is_open = |window: &Window| window.around(at).any(|(from, to)| from <= at && at < to);
        if windows.is_empty() || windows.iter().any(is_open) {
            return None;
        }
        let starts = windows.iter().flat_map(|window| window.around(at)).map(|(from, _)| from);
        let next = starts.filter(|from| *from > at).min();
        let listed: Vec<String> = windows.iter().map(Window::to_string).collect();
        Some((format!("outside the window {}", listed.join(" and ")), next))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    fn windows(value: serde_json::Value) -> Vec<Window> {
        serde_json::from_value(value).unwrap()
    }

    fn closed(windows: &[Window], freezes: &[Freeze], time: &str) -> Option<String> {
        let closed = Calendar { windows, freezes }.closed(at(time))?;
        let until = closed.until.map_or("never".to_owned(), |until| until.to_string());
        Some(format!("{} | {until}", closed.reason))
    }

    fn office() -> Vec<Window> {
        windows(json!([{"days": ["mon", "tue", "wed", "thu"], "from": "08:00", "to": "16:00",
                        "timezone": "Europe/Zurich"}]))
    }

    #[test]
    fn a_window_is_open_by_the_clocks_of_its_zone() {
        // A Wednesday in winter (UTC+1) and one in summer (UTC+2).
        for (time, is_open) in [
            ("2026-11-25T06:59:59Z", false),
            ("2026-11-25T07:00:00Z", true),
            ("2026-11-25T14:59:59Z", true),
            ("2026-11-25T15:00:00Z", false),
            ("2026-07-15T05:59:59Z", false),
            ("2026-07-15T06:00:00Z", true),
            ("2026-11-27T10:00:00Z", false),
        ] {
            assert_eq!(closed(&office(), &[], time).is_none(), is_open, "{time}");
        }
        insta::assert_snapshot!(closed(&office(), &[], "2026-11-26T15:00:00Z").unwrap(),
            @"outside the window Mon–Thu 08:00–16:00 Europe/Zurich | 2026-11-30T07:00:00Z");
    }

    #[test]
    fn a_window_over_midnight_belongs_to_the_day_on_which_it_begins() {
        let night = windows(json!([{"days": ["fri"], "from": "22:00", "to": "04:00"}]));
        for (time, is_open) in [
            ("2026-11-27T21:59:00Z", false),
            ("2026-11-27T22:00:00Z", true),
            ("2026-11-28T03:59:00Z", true),
            ("2026-11-28T04:00:00Z", false),
            ("2026-11-28T22:30:00Z", false),
        ] {
            assert_eq!(closed(&night, &[], time).is_none(), is_open, "{time}");
        }
    }

    #[test]
    fn clocks_that_jump_do_not_lose_a_window() {
        // 2027-03-28, 02:00 to 03:00 does not exist in Zurich; 2026-10-25, it comes twice.
        let early = windows(json!([{"from": "02:30", "to": "05:00", "timezone": "Europe/Zurich"}]));
        for (time, is_open) in [
            ("2027-03-28T01:29:00Z", false),
            ("2027-03-28T01:30:00Z", true),
            ("2027-03-28T03:00:00Z", false),
            ("2026-10-25T00:29:00Z", false),
            ("2026-10-25T00:30:00Z", true),
            ("2026-10-25T03:59:00Z", true),
            ("2026-10-25T04:00:00Z", false),
        ] {
            assert_eq!(closed(&early, &[], time).is_none(), is_open, "{time}");
        }
    }

    #[test]
    fn a_freeze_holds_from_its_first_day_to_the_end_of_its_last() {
        let freezes: Vec<Freeze> = serde_json::from_value(json!([
            {"from": "2026-12-18", "to": "2027-01-05", "reason": "year-end stop",
             "timezone": "Europe/Zurich"},
            {"from": "2027-02-01 18:00", "to": "2027-02-02 06:00", "reason": "power cut"},
        ]))
        .unwrap();
        for (time, is_open) in [
            ("2026-12-17T22:59:00Z", true),
            ("2026-12-17T23:00:00Z", false),
            ("2027-01-05T22:59:00Z", false),
            ("2027-01-05T23:00:00Z", true),
            ("2027-02-01T17:59:00Z", true),
            ("2027-02-01T18:00:00Z", false),
            ("2027-02-02T06:00:00Z", true),
        ] {
            assert_eq!(closed(&[], &freezes, time).is_none(), is_open, "{time}");
        }
        // A Friday: after the freeze comes the next window.
        insta::assert_snapshot!(closed(&office(), &freezes, "2026-12-18T09:00:00Z").unwrap(),
            @"frozen: year-end stop | 2027-01-06T07:00:00Z");
    }

    #[test]
    fn a_calendar_that_never_opens_says_so() {
        let freezes: Vec<Freeze> = serde_json::from_value(
            json!([{"from": "2026-01-01", "to": "9999-12-31", "reason": "over"}]),
        )
        .unwrap();
        assert_eq!(
            closed(&office(), &freezes, "2026-11-25T10:00:00Z").as_deref(),
            Some("frozen: over | never")
        );
    }

    #[test]
    fn days_in_a_row_are_a_range() {
        use Day::*;
        for (given, expected) in [
            (&[Mon, Tue, Wed, Thu][..], "Mon–Thu"),
            (&[Sat, Sun], "Sat, Sun"),
            (&[Thu, Mon, Tue, Wed, Sun], "Mon–Thu, Sun"),
        ] {
            assert_eq!(days(given), expected);
        }
    }

    #[test]
    fn times_and_days_are_read_strictly() {
        for text in ["8:00", "24:01", "08:60", "0800", "08:00:00", "", "+8:00"] {
            assert_eq!(TimeOfDay::parse(text), None, "{text}");
        }
        for text in ["2026-13-01", "18.12.2026", "2026-12-18 25:00", ""] {
            assert_eq!(Edge::parse(text), None, "{text}");
        }
        assert!(Zone::parse("Europe/Nowhere").is_none());
    }

    fn any_window() -> impl Strategy<Value = Window> {
        let zones =
            prop::sample::select(vec!["UTC", "Europe/Zurich", "Pacific/Apia", "Asia/Tehran"]);
        let days = prop::sample::subsequence(Day::ALL.to_vec(), 0..=7);
        (days, 0_u16..1440, 0_u16..=1440, zones).prop_filter_map(
            "never open",
            |(days, from, to, zone)| {
                let (from, to) = (TimeOfDay(from), TimeOfDay(to));
                let window = Window { days, from, to, timezone: Zone::parse(zone)? };
                (!window.is_empty()).then_some(window)
            },
        )
    }

    proptest! {
        #[test]
        fn it_is_closed_up_to_when_it_says_and_open_then(
            windows in prop::collection::vec(any_window(), 1..3),
            second in 1_700_000_000_i64..1_900_000_000,
        ) {
            let calendar = Calendar { windows: &windows, freezes: &[] };
            let now = Timestamp::from_second(second).unwrap();
            if let Some(closed) = calendar.closed(now) {
                let until = closed.until.expect("a week has every window");
                prop_assert!(until > now);
                prop_assert_eq!(calendar.closed(until), None);
                for share in 1..8 {
                    let between = now + (until - now).total(jiff::Unit::Second).map(|all| {
                        jiff::SignedDuration::from_secs((all * f64::from(share) / 8.0) as i64)
                    }).unwrap();
                    if between < until {
                        prop_assert!(calendar.closed(between).is_some(), "{between}");
                    }
                }
            }
        }
    }
}
