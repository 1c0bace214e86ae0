//! What versions and ranges mean, recorded from the library that Helm uses.

use super::*;

const VERSIONS: &str = include_str!("../../../tests/cases/sprig/versions.txt");
const RANGES: &str = include_str!("../../../tests/cases/sprig/ranges.txt");

fn rows(table: &str) -> impl Iterator<Item = (&str, &str)> {
    let rows = table.lines().filter(|line| !line.starts_with('#'));
    rows.map(|row| row.split_once('\t').expect("a row has two columns"))
}

fn version(text: &str) -> Version {
    Version::parse(text).expect("a version of the tests")
}

#[test]
fn versions_are_read_as_helm_reads_them() {
    for (text, expected) in rows(VERSIONS) {
        let found = match Version::parse(text) {
            Ok(version) => version.to_string(),
            Err(error) => format!("!{error}"),
        };
        assert_eq!(found, expected, "{text:?}");
    }
}

#[test]
fn ranges_have_the_versions_that_they_have_for_helm() {
    let mut rows = rows(RANGES);
    let (_, probes) = rows.next().expect("the first row names the versions");
    for (range, expected) in rows {
        let found = match Constraint::parse(range) {
            Ok(parsed) => probes
                .split(' ')
                .map(|probe| if parsed.matches(&version(probe)) { '1' } else { '0' })
                .collect(),
            Err(error) => format!("!{error}"),
        };
        assert_eq!(found, expected, "{range:?} of {probes}");
    }
}

#[test]
fn versions_are_ordered_by_precedence() {
    let ordered = [
        "0.0.0",
        "0.0.1",
        "0.2.3",
        "1.0.0-1",
        "1.0.0-2",
        "1.0.0-10",
        "1.0.0-alpha",
        "1.0.0-alpha.1",
        "1.0.0-alpha.beta",
        "1.0.0-beta.2",
        "1.0.0-beta.11",
        "1.0.0-rc.1",
        "1.0.0",
        "1.29.3",
        "11.1.0",
    ];
    for (at, left) in ordered.iter().enumerate() {
        for (other, right) in ordered.iter().enumerate() {
            assert_eq!(version(left).cmp(&version(right)), at.cmp(&other), "{left} and {right}");
        }
    }
    assert_eq!(version("v1.2.3+a"), version("1.2.3+b"));
}
