//! What is told about where a value comes from, for every value of every recorded case.

use std::collections::BTreeMap;
use std::path::Path;

use fitout::base::span::SourceFile;
use fitout::chart::coalesced;
use fitout::chart::defaults::defaults;
use fitout::fleet::layers::merge;
use fitout::fleet::origin::leaves;
use fitout::fleet::resolve::read_values;
use fitout::report::origin::Origins;
use fitout::yaml::number::whole_numbers;
use serde_json::{Value as Json, json};

use super::cases::{Case, Charts, cases, chart, corpus, rendered};

/// Values that are explained otherwise than they were rendered.
fn differences(folder: &Path, case: &Case, charts: &Charts) -> Vec<String> {
    let Ok(chart) = chart(folder, &case.chart, charts) else { return Vec::new() };
    if rendered(folder, case, &chart).is_err() {
        return Vec::new();
    }
    let mut layers = Vec::new();
    if let Some(name) = &case.values {
        let path = folder.join("charts").join(&case.chart).join(name);
        let text = std::fs::read_to_string(path).expect("the case has its values");
        let layer = read_values(&SourceFile::new(name.as_str(), text));
        layers.push(layer.expect("the case was rendered"));
    }
    let Ok(values) = coalesced(&chart, &merge(&layers)) else { return Vec::new() };
    let mut origins = Origins::new(defaults(&chart, &merge(&layers), &str::to_owned));
    for layer in layers {
        origins.push(layer, "a values file");
    }
    let all = origins.explain(&[]).map(|all| all.json()).unwrap_or_default();
    let all = all.as_array().into_iter().flatten();
    let all: BTreeMap<String, &Json> =
        all.map(|one| (one["path"].to_string(), &one["value"])).collect();
    let mut found = Vec::new();
    for path in leaves(&values, &[]) {
        let steps: Vec<&str> = path.iter().map(String::as_str).collect();
        let actual = steps.iter().fold(&values, |value, step| &value[*step]);
        let told = match all.get(&json!(path).to_string()) {
            Some(told) => (*told).clone(),
            // Globals that a chart hands down are in no layer at that path.
            None => match origins.explain(&path) {
                Ok(explained) => explained.json()[0]["value"].clone(),
                Err(_) => Json::Null,
            },
        };
        let is_nothing = |value: &Json| value.is_null() || *value == json!({});
        let is_same = told == whole_numbers(actual) || is_nothing(&told) && is_nothing(actual);
        if !is_same && told != "(hidden)" {
            let (chart, path) = (&case.chart, path.join("."));
            found.push(format!("{chart} {:?} {path}: {told}, rendered {actual}", case.values));
        }
    }
    found
}

#[test]
fn the_origin_of_every_value_is_told_as_it_is_rendered() {
    let Some(folder) = corpus() else {
        println!("origins: skipped, the recorded corpus is not there");
        return;
    };
    let charts = Charts::default();
    let mut cases = cases(&folder);
    cases.retain(|case| folder.join("charts").join(&case.chart).exists());
    let found: Vec<String> =
        cases.iter().flat_map(|case| differences(&folder, case, &charts)).collect();
    assert!(found.is_empty(), "{} values: {:#?}", found.len(), &found[..found.len().min(200)]);
}
