//! What many cells are made of.

use std::collections::BTreeMap;

use serde_json::Value as Json;

use crate::base::clock::Timestamp;
use crate::object::access;

/// An object that becomes a row.
pub(super) struct Row<'a> {
    pub(super) object: &'a Json,
    pub(super) now: Timestamp,
}

impl<'a> Row<'a> {
    pub(super) fn name(&self) -> Json {
        Json::from(access::name(self.object))
    }

    /// How old the object is.
    pub(super) fn age(&self) -> Json {
        self.since(&["metadata", "creationTimestamp"])
    }

    /// How long ago the time at a path was.
    pub(super) fn since(&self, path: &[&str]) -> Json {
        let at = access::text(self.object, path).and_then(|text| text.parse().ok());
        Json::from(at.map_or_else(|| "<unknown>".to_owned(), |at| age(at, self.now)))
    }

    pub(super) fn text(&self, path: &[&str]) -> &'a str {
        access::text(self.object, path).unwrap_or_default()
    }

    /// The text at a path, or what stands for none.
    pub(super) fn text_or(&self, path: &[&str], none: &str) -> Json {
        let text = self.text(path);
        Json::from(if text.is_empty() { none } else { text })
    }

    pub(super) fn number(&self, path: &[&str]) -> i64 {
        access::number(self.object, path).unwrap_or(0)
    }

    pub(super) fn is_ending(&self) -> bool {
        access::text(self.object, &["metadata", "deletionTimestamp"]).is_some()
    }

    pub(super) fn bool_or(&self, path: &[&str], default: bool) -> bool {
        access::at(self.object, path).and_then(Json::as_bool).unwrap_or(default)
    }

    /// Names and images of the containers at a path.
    pub(super) fn containers(&self, path: &[&str]) -> [Json; 2] {
        let containers = access::list(self.object, path);
        ["name", "image"].map(|field| {
            let texts = containers.iter().map(|item| access::text(item, &[field]));
            let texts: Vec<_> = texts.map(Option::unwrap_or_default).collect();
            Json::from(texts.join(","))
        })
    }

    /// The label selector at a path, as `kubectl -l` would write it.
    pub(super) fn selector(&self, path: &[&str]) -> Json {
        let Some(selector) = access::at(self.object, path) else { return Json::from("<none>") };
        let text = selector_text(selector);
        Json::from(if text.is_empty() { "<none>" } else { &text })
    }

    /// The labels at a path.
    pub(super) fn labels(&self, path: &[&str]) -> Json {
        let labels = access::string_map(access::at(self.object, path));
        Json::from(if labels.is_empty() { "<none>".to_owned() } else { pairs(&labels) })
    }

    /// How many entries the list or map at a path has.
    pub(super) fn count(&self, path: &[&str]) -> i64 {
        let count = match access::at(self.object, path) {
            Some(Json::Array(items)) => items.len(),
            Some(Json::Object(fields)) => fields.len(),
            _ => 0,
        };
        i64::try_from(count).unwrap_or(i64::MAX)
    }
}

/// A number or a text as a cell that shows either.
pub(super) fn plain(value: &Json) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

fn pairs(labels: &BTreeMap<&str, &str>) -> String {
    let pairs: Vec<_> = labels.iter().map(|(key, value)| format!("{key}={value}")).collect();
    pairs.join(",")
}

fn selector_text(selector: &Json) -> String {
    let labels = access::string_map(selector.get("matchLabels"));
    let mut terms: Vec<(String, String)> =
        labels.iter().map(|(key, value)| ((*key).to_owned(), format!("{key}={value}"))).collect();
    for term in access::list(selector, &["matchExpressions"]) {
        let key = access::text(term, &["key"]).unwrap_or_default();
        let mut values: Vec<_> =
            access::list(term, &["values"]).iter().filter_map(Json::as_str).collect();
        values.sort_unstable();
        let values = values.join(",");
        let text = match access::text(term, &["operator"]) {
            Some("In") => format!("{key} in ({values})"),
            Some("NotIn") => format!("{key} notin ({values})"),
            Some("DoesNotExist") => format!("!{key}"),
            _ => key.to_owned(),
        };
        terms.push((key.to_owned(), text));
    }
    terms.sort();
    terms.into_iter().map(|(_, text)| text).collect::<Vec<_>>().join(",")
}

/// How long ago a time was, in the few letters that `kubectl` has for it.
pub(super) fn age(at: Timestamp, now: Timestamp) -> String {
    duration(now.duration_since(at).as_secs())
}

/// Seconds as `45s`, `3m20s`, `7h5m`, `3d4h`, `2y30d`: two units at most, the fewer the longer.
pub(super) fn duration(seconds: i64) -> String {
    if seconds < -1 {
        return "<invalid>".to_owned();
    }
    let seconds = seconds.max(0);
    let (minutes, hours, days) = (seconds / 60, seconds / 3600, seconds / 86_400);
    let two = |large: i64, unit: char, small: i64, small_unit: char| match small {
        0 => format!("{large}{unit}"),
        small => format!("{large}{unit}{small}{small_unit}"),
    };
    match () {
        () if seconds < 120 => format!("{seconds}s"),
        () if minutes < 10 => two(minutes, 'm', seconds % 60, 's'),
        () if minutes < 180 => format!("{minutes}m"),
        () if hours < 8 => two(hours, 'h', minutes % 60, 'm'),
        () if hours < 48 => format!("{hours}h"),
        () if days < 8 => two(days, 'd', hours % 24, 'h'),
        () if days < 730 => format!("{days}d"),
        () if days < 2920 => two(days / 365, 'y', days % 365, 'd'),
        () => format!("{}y", days / 365),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_have_two_units_at_most() {
        let table = [
            (-2, "<invalid>"),
            (-1, "0s"),
            (0, "0s"),
            (119, "119s"),
            (120, "2m"),
            (200, "3m20s"),
            (601, "10m"),
            (3 * 3600, "3h"),
            (7 * 3600 + 300, "7h5m"),
            (9 * 3600 + 300, "9h"),
            (47 * 3600, "47h"),
            (76 * 3600, "3d4h"),
            (9 * 86_400 + 7200, "9d"),
            (760 * 86_400, "2y30d"),
            (9 * 365 * 86_400, "9y"),
        ];
        for (seconds, text) in table {
            assert_eq!(duration(seconds), text);
        }
    }
}
