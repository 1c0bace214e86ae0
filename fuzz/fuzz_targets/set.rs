//! Lines of the `--set` family, paths of values and versions.
#![no_main]

use fitout::chart::set::{SetKind, set};
use fitout::fleet::origin::{parse_path, path_text};
use fitout::sprig::semver::{Constraint, Version};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    for kind in [SetKind::Typed, SetKind::Text, SetKind::Json, SetKind::Literal, SetKind::File] {
        let mut values = serde_json::Map::new();
        let _ = set(&mut values, text, kind, &|path| Ok(path.to_owned()));
    }
    if let Ok(path) = parse_path(text) {
        let _ = path_text(&path);
    }
    if let (Ok(range), Ok(version)) = (Constraint::parse(text), Version::parse("1.2.3-rc.1+x")) {
        let _ = range.matches(&version);
    }
    let _ = Version::parse(text);
});
