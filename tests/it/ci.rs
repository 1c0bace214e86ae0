//! The ready-made jobs in `ci/`: they are YAML, and what they call is there.

use std::path::Path;

use fitout::cli::command;
use fitout::yaml::helm;

/// The lines of a text that call fitout.
fn calls(text: &str) -> Vec<String> {
    let lines = text.lines().map(str::trim).filter(|line| !line.starts_with('#'));
    let calls = lines.filter_map(|line| line.find("fitout ").map(|at| line[at..].to_owned()));
    let commands = ["validate", "preview ", "template "];
    calls.filter(|call| commands.iter().any(|command| call.contains(command))).collect()
}

#[test]
fn the_jobs_are_yaml_and_call_what_there_is() {
    for name in ["gitlab.yml", "github.yml", "gitlab-chart.yml"] {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("ci").join(name);
        let text = std::fs::read_to_string(path).unwrap();
        for document in text.split("\n---\n") {
            let read =
                helm::read_map(document).unwrap_or_else(|problem| panic!("{name}: {problem}"));
            assert_ne!(read, serde_json::json!({}), "{name}");
        }
        let calls = calls(&text);
        assert!(calls.len() >= 2, "{name}: {calls:?}");
        for call in calls {
            // A variable of the job stands for one word.
            let call = call
                .replace("$[[ inputs.repository ]]", "DIR")
                .replace("$[[ inputs.chart ]]", "DIR")
                .replace(" > /dev/null", "")
                .replace("${{ github.base_ref }}", "main");
            let words = call.split(' ').map(|word| word.trim_matches('"'));
            if let Err(error) = command().try_get_matches_from(words) {
                panic!("{name}: `{call}`: {error}");
            }
        }
    }
}
