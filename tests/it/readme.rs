//! What the README says works, line by line.

use crate::env::{Env, repository};

/// The lines behind the prompts of the first console block below a heading.
fn lines(heading: &str) -> String {
    let readme = std::fs::read_to_string(repository().join("README.md")).unwrap();
    let section = readme.split(&format!("\n## {heading}\n")).nth(1).unwrap();
    let block = section.split("```console\n").nth(1).and_then(|rest| rest.split("```").next());
    let lines = block.unwrap().lines().map(|line| line.strip_prefix("$ ").unwrap_or(line));
    lines.collect::<Vec<_>>().join("\n")
}

#[test]
fn the_first_repository_works_as_it_is_written() {
    let env = Env::new();
    std::fs::remove_dir_all(env.fleet()).unwrap();
    let lines = lines("A first repository");
    insta::assert_snapshot!(env.shell(&lines));
    let written = lines.lines().filter(|line| !line.starts_with("EOF"));
    let is_command =
        |line: &&str| ["mkdir ", "cat ", "fitout "].iter().any(|command| line.starts_with(command));
    assert_eq!(written.filter(|line| !is_command(line)).count(), 10, "it says ten lines");
}
