//! The `index.yaml` of a chart repository: one chart's versions out of what may be hundreds of
//! megabytes, without building the rest.

use saphyr_parser::{Event, Parser};

/// One version of a chart.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) version: String,
    pub(super) digest: Option<String>,
    pub(super) urls: Vec<String>,
}

/// What an index says about a chart.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Found {
    /// The versions of the chart, if the index has it.
    pub(super) entries: Option<Vec<Entry>>,
    /// Names of all charts.
    pub(super) names: Vec<String>,
}

/// Reads the entries of one chart.
///
/// # Errors
/// Says where the text stops being an index.
pub(super) fn read(text: &str, chart: &str) -> Result<Found, String> {
    let mut reading = Reading { chart, ..Reading::default() };
    for event in Parser::new_from_str(text) {
        let (event, _) = event.map_err(|error| error.to_string())?;
        reading.take(&event);
    }
    if !reading.has_entries {
        return Err("it has no `entries`".to_owned());
    }
    Ok(reading.found)
}

/// Where the reader is: a step for each open collection.
#[derive(Default)]
struct Reading<'a> {
    chart: &'a str,
    found: Found,
    has_entries: bool,
    path: Vec<Step>,
}

enum Step {
    /// In a mapping, with the key whose value comes next, if it was read.
    Mapping(Option<String>),
    Sequence,
}

/// What a place in the index means to us.
#[derive(Clone, Copy)]
enum Place {
    Name,
    Version,
    Urls,
    Digest,
    Entry,
    Other,
}

impl Reading<'_> {
    fn take(&mut self, event: &Event<'_>) {
        match event {
            Event::Scalar(text, ..) => self.scalar(text),
            Event::MappingStart(..) => {
                if matches!(self.place(), Place::Entry) {
                    self.found.entries.get_or_insert_default().push(Entry::default());
                }
                if self.keys().as_deref() == Some(&["entries"]) {
                    self.has_entries = true;
                }
                self.path.push(Step::Mapping(None));
            }
            Event::SequenceStart(..) => {
                if let Some(["entries", name]) = self.keys().as_deref() {
                    let name = (*name).to_owned();
                    if name == self.chart {
                        self.found.entries.get_or_insert_default();
                    }
                    self.found.names.push(name);
                }
                self.path.push(Step::Sequence);
            }
            Event::MappingEnd | Event::SequenceEnd => {
                self.path.pop();
                self.value_ended();
            }
            // No index of ours has one; its value counts as empty.
            Event::Alias(_) => self.value_ended(),
            _ => {}
        }
    }

    fn scalar(&mut self, text: &str) {
        if let Some(Step::Mapping(key @ None)) = self.path.last_mut() {
            *key = Some(text.to_owned());
            return;
        }
        let place = self.place();
        if let Some(entry) = self.found.entries.as_mut().and_then(|entries| entries.last_mut()) {
            match place {
                Place::Version => text.clone_into(&mut entry.version),
                Place::Digest => entry.digest = Some(text.to_owned()).filter(|d| !d.is_empty()),
                Place::Urls => entry.urls.push(text.to_owned()),
                Place::Name | Place::Entry | Place::Other => {}
            }
        }
        self.value_ended();
    }

    fn value_ended(&mut self) {
        if let Some(Step::Mapping(key)) = self.path.last_mut() {
            *key = None;
        }
    }

    /// The keys from the top, where only mappings are open.
    fn keys(&self) -> Option<Vec<&str>> {
        self.path
            .iter()
            .map(|step| match step {
                Step::Mapping(key) => key.as_deref(),
                Step::Sequence => None,
            })
            .collect()
    }

    fn place(&self) -> Place {
        use Step::{Mapping, Sequence};
        let key = |step: &Step, wanted: &str| matches!(step, Mapping(Some(key)) if key == wanted);
        let [top, name, Sequence, rest @ ..] = self.path.as_slice() else { return Place::Name };
        if !key(top, "entries") || !key(name, self.chart) {
            return Place::Other;
        }
        match rest {
            [] => Place::Entry,
            [field] if key(field, "version") => Place::Version,
            [field] if key(field, "digest") => Place::Digest,
            [field, Sequence] if key(field, "urls") => Place::Urls,
            _ => Place::Other,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const INDEX: &str = "
apiVersion: v1
entries:
  eosxd:
  - apiVersion: v2
    name: eosxd
    version: 0.3.0
    dependencies: [{name: base, version: 9.9.9, urls: [wrong]}]
    urls: [eosxd-0.3.0.tgz]
  traefik:
  - digest: abc
    maintainers:
    - name: someone
      version: wrong
    urls:
    - https://example.org/a.tgz
    - https://example.org/b.tgz
    version: 9.3.1-cern-0.1.0-7+ba5e81
  - version: \"9.3\"
    urls: []
generated: now
";

    #[test]
    fn the_versions_of_one_chart_are_read() {
        let found = read(INDEX, "traefik").unwrap();
        assert_eq!(found.names, ["eosxd", "traefik"]);
        let urls = vec!["https://example.org/a.tgz".to_owned(), "https://example.org/b.tgz".into()];
        let expected = [
            Entry {
                version: "9.3.1-cern-0.1.0-7+ba5e81".to_owned(),
                digest: Some("abc".to_owned()),
                urls,
            },
            Entry { version: "9.3".to_owned(), digest: None, urls: Vec::new() },
        ];
        assert_eq!(found.entries.unwrap(), expected);
        let eosxd = read(INDEX, "eosxd").unwrap().entries.unwrap();
        assert_eq!((eosxd[0].version.as_str(), eosxd[0].urls.len()), ("0.3.0", 1));
        assert_eq!(read(INDEX, "fluentd").unwrap().entries, None);
    }

    #[test]
    fn json_is_an_index_as_well() {
        let text = r#"{"entries": {"a": [{"version": "1.0.0", "urls": ["a.tgz"]}]}}"#;
        assert_eq!(read(text, "a").unwrap().entries.unwrap()[0].version, "1.0.0");
    }

    #[test]
    fn what_is_no_index_is_refused() {
        for text in ["", "<html>", "a: [", "entries: nothing", "entries: {a: [}"] {
            assert!(read(text, "a").is_err(), "{text}");
        }
    }
}
