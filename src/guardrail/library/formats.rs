//! `format`: the forms of names and texts that Kubernetes knows, with its complaints.

use std::sync::{Arc, LazyLock};

use cel::extractors::This;
use cel::objects::{Opaque, OptionalValue};
use cel::{Context, Value};

use super::{Any, Result, Text, of};
use crate::sprig::url::Url;

pub(super) const NAMES: &[&str] = &[
    "format.byte",
    "format.date",
    "format.datetime",
    "format.dns1035Label",
    "format.dns1035LabelPrefix",
    "format.dns1123Label",
    "format.dns1123LabelPrefix",
    "format.dns1123Subdomain",
    "format.dns1123SubdomainPrefix",
    "format.labelValue",
    "format.named",
    "format.qualifiedName",
    "format.uri",
    "format.uuid",
    "byte",
    "date",
    "datetime",
    "dns1035Label",
    "dns1035LabelPrefix",
    "dns1123Label",
    "dns1123LabelPrefix",
    "dns1123Subdomain",
    "dns1123SubdomainPrefix",
    "labelValue",
    "named",
    "qualifiedName",
    "uri",
    "uuid",
    "validate",
];

pub(super) fn add(scope: &mut Context<'_, '_>) {
    let _ = scope.add_function("format.named", |name: Text| optional(named(&name).map(opaque)));
    for (name, format) in ALL {
        let _ = scope.add_function(&format!("format.{name}"), move || opaque(format));
    }
    let _ = scope.add_function("validate", validate);
}

fn validate(This(format): This<Any>, text: Text) -> Result<Value> {
    let complaints = of::<Format>(&format)?.complaints(&text);
    let listed: Vec<Value> =
        complaints.into_iter().map(|one| Value::String(Arc::new(one))).collect();
    Ok(optional((!listed.is_empty()).then(|| Value::List(Arc::new(listed)))))
}

fn opaque(format: Format) -> Value {
    Value::Opaque(Arc::new(format))
}

fn optional(value: Option<Value>) -> Value {
    let value = value.map_or_else(OptionalValue::none, OptionalValue::of);
    Value::Opaque(Arc::new(value))
}

/// A form of text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Format {
    /// A form of names; of a prefix, the last dash may have more behind it.
    Name {
        name: &'static Name,
        is_prefix: bool,
    },
    QualifiedName,
    LabelValue,
    Uri,
    Uuid,
    Byte,
    Date,
    DateTime,
}

impl Opaque for Format {
    fn runtime_type_name(&self) -> &'static str {
        "kubernetes.NamedFormat"
    }
}

const ALL: [(&str, Format); 13] = [
    ("dns1123Label", Format::Name { name: &LABEL, is_prefix: false }),
    ("dns1123Subdomain", Format::Name { name: &SUBDOMAIN, is_prefix: false }),
    ("dns1035Label", Format::Name { name: &OLD_LABEL, is_prefix: false }),
    ("dns1123LabelPrefix", Format::Name { name: &LABEL, is_prefix: true }),
    ("dns1123SubdomainPrefix", Format::Name { name: &SUBDOMAIN, is_prefix: true }),
    ("dns1035LabelPrefix", Format::Name { name: &OLD_LABEL, is_prefix: true }),
    ("qualifiedName", Format::QualifiedName),
    ("labelValue", Format::LabelValue),
    ("uri", Format::Uri),
    ("uuid", Format::Uuid),
    ("byte", Format::Byte),
    ("date", Format::Date),
    ("datetime", Format::DateTime),
];

fn named(name: &str) -> Option<Format> {
    ALL.iter().find(|(known, _)| *known == name).map(|(_, format)| *format)
}

/// A form of names: its longest, what it looks like, and what is said of one that does not.
#[derive(Debug, PartialEq, Eq)]
struct Name {
    bytes_max: usize,
    pattern: &'static str,
    rule: &'static str,
    examples: &'static [&'static str],
}

const LABEL_PATTERN: &str = "[a-z0-9]([-a-z0-9]*[a-z0-9])?";
const SUBDOMAIN_PATTERN: &str = r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*";

static LABEL: Name = Name {
    bytes_max: 63,
    pattern: LABEL_PATTERN,
    rule: "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', \
           and must start and end with an alphanumeric character",
    examples: &["my-name", "123-abc"],
};
static SUBDOMAIN: Name = Name {
    bytes_max: 253,
    pattern: SUBDOMAIN_PATTERN,
    rule: "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' \
           or '.', and must start and end with an alphanumeric character",
    examples: &["example.com"],
};
static OLD_LABEL: Name = Name {
    bytes_max: 63,
    pattern: "[a-z]([-a-z0-9]*[a-z0-9])?",
    rule: "a DNS-1035 label must consist of lower case alphanumeric characters or '-', start with \
           an alphabetic character, and end with an alphanumeric character",
    examples: &["my-name", "abc-123"],
};
static KEY: Name = Name {
    bytes_max: 63,
    pattern: "([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]",
    rule: "must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an \
           alphanumeric character",
    examples: &["MyName", "my.name", "123-abc"],
};
static LABEL_VALUE: Name = Name {
    bytes_max: 63,
    pattern: "(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?",
    rule: "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or \
           '.', and must start and end with an alphanumeric character",
    examples: &["MyValue", "my_value", "12345"],
};

impl Name {
    fn matches(&self, text: &str) -> bool {
        let whole = format!("^(?:{})$", self.pattern);
        // The patterns are those above.
        regex::Regex::new(&whole).is_ok_and(|pattern| pattern.is_match(text))
            && !text.ends_with('\n')
    }

    fn too_long(&self) -> String {
        format!("must be no more than {} bytes", self.bytes_max)
    }

    fn shown(&self) -> String {
        let examples: Vec<String> = self.examples.iter().map(|one| format!("'{one}', ")).collect();
        let examples = examples.join(" or ");
        format!("{} (e.g. {examples}regex used for validation is '{}')", self.rule, self.pattern)
    }

    fn complaints(&self, text: &str) -> Vec<String> {
        let mut complaints = Vec::new();
        if text.len() > self.bytes_max {
            complaints.push(self.too_long());
        }
        if !self.matches(text) {
            let has_dots = self.pattern == LABEL_PATTERN && SUBDOMAIN.matches(text);
            complaints.push(if has_dots {
                "must not contain dots".to_owned()
            } else {
                self.shown()
            });
        }
        complaints
    }
}

static UUID: LazyLock<Option<regex::Regex>> = LazyLock::new(|| {
    regex::Regex::new("^(?i)[0-9a-f]{8}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{12}$").ok()
});

impl Format {
    fn complaints(self, text: &str) -> Vec<String> {
        let unless = |is_fine: bool, complaint: &str| {
            if is_fine { Vec::new() } else { vec![complaint.to_owned()] }
        };
        match self {
            Self::Name { name, is_prefix } => {
                let masked = if is_prefix { masked(text) } else { text.to_owned() };
                name.complaints(&masked)
            }
            Self::QualifiedName => qualified(text),
            Self::LabelValue => LABEL_VALUE.complaints(text),
            Self::Uri => Url::of_request(text).err().into_iter().collect(),
            Self::Uuid => {
                let is_uuid = UUID.as_ref().is_some_and(|pattern| pattern.is_match(text));
                unless(
                    is_uuid && text.is_ascii() && !text.ends_with('\n'),
                    "does not match the UUID format",
                )
            }
            Self::Byte => unless(is_base64(text), "invalid base64"),
            Self::Date => {
                let is_date = text.len() == 10 && text.parse::<jiff::civil::Date>().is_ok();
                unless(is_date, "invalid date")
            }
            Self::DateTime => unless(is_date_time(text), "invalid datetime"),
        }
    }
}

/// With a letter in place of a dash at its end, behind which more may come.
fn masked(text: &str) -> String {
    match text.strip_suffix('-') {
        Some(start) if !start.is_empty() => format!("{start}a"),
        _ => text.to_owned(),
    }
}

fn qualified(text: &str) -> Vec<String> {
    let parts: Vec<&str> = text.split('/').collect();
    let mut complaints = Vec::new();
    let name = match parts.as_slice() {
        [name] => *name,
        [prefix, name] => {
            let told = if prefix.is_empty() {
                vec!["must be non-empty".to_owned()]
            } else {
                SUBDOMAIN.complaints(prefix)
            };
            complaints.extend(told.into_iter().map(|one| format!("prefix part {one}")));
            *name
        }
        _ => {
            return vec![format!(
                "a valid label key {} with an optional DNS subdomain prefix and '/' (e.g. \
                 'example.com/MyName')",
                KEY.shown()
            )];
        }
    };
    if name.is_empty() {
        complaints.push("name part must be non-empty".to_owned());
    } else if name.len() > KEY.bytes_max {
        complaints.push(format!("name part {}", KEY.too_long()));
    }
    if !KEY.matches(name) {
        complaints.push(format!("name part {}", KEY.shown()));
    }
    complaints
}

fn is_base64(text: &str) -> bool {
    use base64::Engine as _;
    use base64::engine::general_purpose::STANDARD;
    !text.is_empty() && STANDARD.decode(text).is_ok()
}

/// RFC 3339, with its date and time apart by `T` in either case.
fn is_date_time(text: &str) -> bool {
    let Some((date, time)) = text.split_once(['T', 't']) else { return false };
    let has_zone = time.ends_with(['Z', 'z'])
        || time.len() > 6 && time[8.min(time.len())..].contains(['+', '-']);
    date.len() == 10 && has_zone && text.to_ascii_uppercase().parse::<jiff::Timestamp>().is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_that_are_of_a_form_have_no_complaints() {
        for (name, good, bad) in [
            ("dns1123Label", "my-label-name", "My.Label"),
            ("dns1123Subdomain", "apiextensions.k8s.io", "a..b"),
            ("dns1035Label", "my-label-name", "1a"),
            ("qualifiedName", "apiextensions.k8s.io/v1beta1", "a/b/c"),
            ("dns1123LabelPrefix", "my-label-prefix-", "-"),
            ("dns1123SubdomainPrefix", "mysubdomain.prefix.a-", ".-"),
            ("labelValue", "", "a b"),
            ("uri", "http://example.com", "../relative"),
            ("uuid", "123e4567-e89b-12d3-a456-426614174000", "123e4567"),
            ("byte", "aGVsbG8=", "aGVsbG8"),
            ("date", "2021-01-01", "2021-13-01"),
            ("datetime", "2021-01-01T00:00:00Z", "2021-01-01 00:00:00"),
        ] {
            let format = named(name).unwrap();
            assert_eq!(format.complaints(good), Vec::<String>::new(), "{name} {good}");
            assert!(!format.complaints(bad).is_empty(), "{name} {bad}");
        }
    }
}
