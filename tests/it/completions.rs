//! `fitout completions`: a script for each shell.

use crate::env::Env;

#[test]
fn every_shell_gets_a_script_that_names_our_commands() {
    let env = Env::new();
    for shell in ["bash", "elvish", "fish", "powershell", "zsh"] {
        let told = env.run(&format!("completions {shell}"));
        assert!(told.ends_with("--- exit 0\n"), "{shell}: {told}");
        for command in ["validate", "rollout", "completions"] {
            assert!(told.contains(command), "{shell} does not complete `{command}`");
        }
    }
}

#[test]
fn bash_reads_its_script() {
    let env = Env::new();
    let script = env.fitout(&["completions", "bash"]).output().unwrap().stdout;
    env.write("completions.bash", &String::from_utf8(script).unwrap());
    let checked = std::process::Command::new("bash")
        .args(["-n", "completions.bash"])
        .current_dir(env.fleet())
        .status();
    match checked {
        Ok(status) => assert!(status.success()),
        Err(error) => println!("not checked: bash does not start: {error}"),
    }
}

#[test]
fn a_shell_that_is_none_is_told() {
    insta::assert_snapshot!(Env::new().run("completions tcsh"));
}
