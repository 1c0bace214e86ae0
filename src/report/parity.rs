//! Two clusters against each other, as text.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use serde_json::Value as Json;

use super::diff::{Line, lines_of, push};
use super::paint::Paint;
use crate::base::diagnostic::counted;
use crate::parity::{
    AddonParity, Input, InputDifference, Lack, ObjectDifference, Report, SetAt, Standing,
    ValueDifference,
};

/// For people at a terminal: what the clusters' documents say differently, addon by addon what that
/// makes, and whether green could take blue's place.
pub fn text(report: &Report, lacks: &[Lack], is_coloured: bool) -> String {
    let paint = Paint { is_coloured };
    let Report { blue, green, .. } = report;
    let mut text = String::new();
    push(&mut text, &paint.strong(&format!("{blue} and {green}")));
    for input in &report.inputs {
        push(&mut text, &format!("  {}", input_line(input, paint)));
    }
    let is_lacking = |name: &crate::base::ids::AddonName| {
        lacks.iter().any(|lack| lack.addon.as_ref() == Some(name))
    };
    let mut same = Vec::new();
    for (name, addon) in &report.addons {
        if addon.standing == Standing::Same && !is_lacking(name) {
            same.push(name.as_str());
            continue;
        }
        let version = addon.version.green.as_ref().or(addon.version.blue.as_ref());
        let version = version.map(|version| format!(" {version}")).unwrap_or_default();
        let title = paint.strong(&format!("{name}{version}"));
        let words = words(addon, report, is_lacking(name));
        text.push('\n');
        push(&mut text, &format!("{title}: {words}"));
        for lack in lacks.iter().filter(|lack| lack.addon.as_ref() == Some(name)) {
            push(&mut text, &paint.removed(&format!("  ! {}", lack.what)));
        }
        addon.values.iter().for_each(|value| write_value(&mut text, value, paint));
        addon.objects.iter().for_each(|object| write_object(&mut text, object, paint));
    }
    text.push('\n');
    if !same.is_empty() {
        push(&mut text, &format!("the same on both: {}", same.join(", ")));
    }
    push(&mut text, &paint.strong(&verdict(report, lacks.len())));
    text
}

/// Whether green could take blue's place, in one line.
pub fn verdict(report: &Report, lacks: usize) -> String {
    let Report { blue, green, .. } = report;
    let is_live = report.addons.values().any(|addon| addon.live.is_some());
    let of_what = if is_live { "" } else { " by what git says" };
    match lacks {
        0 => format!("{green} is at parity with {blue}{of_what}"),
        count => {
            let count = counted(count, "reason");
            format!("{green} is not at parity with {blue}{of_what}, for {count} marked `!`")
        }
    }
}

fn input_line(input: &InputDifference, paint: Paint) -> String {
    let told = |value: &Option<String>| value.clone().unwrap_or_else(|| "none".to_owned());
    let values = format!("{} → {}", told(&input.value.blue), told(&input.value.green));
    let place = input.place.green.as_ref().or(input.place.blue.as_ref());
    let place = place.map(|place| format!("  {place}")).unwrap_or_default();
    format!("{}{}", paint.changed(&format!("~ {}: {values}", input.input)), paint.faint(&place))
}

fn words(addon: &AddonParity, report: &Report, is_lacking: bool) -> String {
    let Report { blue, green, .. } = report;
    match &addon.standing {
        Standing::Same => "the same by what git says".to_owned(),
        Standing::Differs if is_lacking => "differs".to_owned(),
        Standing::Differs => format!("differs only in what is {green}'s own"),
        Standing::Missing { .. } => format!("only on {blue}"),
        Standing::Extra => format!("only on {green}"),
        Standing::Unknown => "unknown".to_owned(),
    }
}

fn write_value(text: &mut String, value: &ValueDifference, paint: Paint) {
    let shown = |set: &Option<SetAt>| match set {
        Some(SetAt { value: Json::String(text), .. }) if is_short(text) => text.clone(),
        // Numbers of values are floats, as Helm has them.
        Some(SetAt { value: Json::Number(number), .. }) => {
            number.as_f64().map_or_else(|| number.to_string(), |number| number.to_string())
        }
        Some(SetAt { value, .. }) if is_short(&value.to_string()) => value.to_string(),
        Some(_) => "…".to_owned(),
        None => "not set".to_owned(),
    };
    let place = |set: &Option<SetAt>| set.as_ref().and_then(|set| set.place.clone());
    let places: BTreeSet<String> =
        [&value.value.blue, &value.value.green].into_iter().filter_map(place).collect();
    let places: Vec<String> = places.into_iter().collect();
    let (blue, green) = (shown(&value.value.blue), shown(&value.value.green));
    let line = paint.changed(&format!("value {}: {blue} → {green}", value.path));
    push(text, &format!("  {line}{}", paint.faint(&format!("  {}", places.join(", ")))));
}

/// Printable and on one line.
fn is_short(text: &str) -> bool {
    text.len() <= 60 && !text.chars().any(char::is_control)
}

fn write_object(text: &mut String, object: &ObjectDifference, paint: Paint) {
    let mut lines = lines_of(&object.change);
    let mut causes = object.causes.iter();
    // The first line of each field has its sign and no deeper indentation.
    let mut fields = lines.iter_mut().filter(|line| is_first_of_field(line));
    if object.change.op == crate::diff::Op::Update {
        for (line, causes) in fields.by_ref().zip(causes.by_ref()) {
            line.origin = format!("  ({})", because(causes));
        }
    }
    if let (Some(causes), Some(first)) = (causes.next(), lines.first_mut()) {
        write!(first.origin, "  ({})", because(causes)).expect("writing to a String cannot fail");
        // Of an object that only one of them has, its name says enough.
        lines.truncate(1);
    }
    for line in &lines {
        push(text, &line.painted(paint));
    }
}

fn is_first_of_field(line: &Line) -> bool {
    line.indent == 6 && !line.content.starts_with("! ")
}

fn because(causes: &BTreeSet<Input>) -> String {
    if causes.is_empty() {
        return "several of these together".to_owned();
    }
    causes.iter().map(Input::to_string).collect::<Vec<_>>().join(", ")
}
