//! The GitHub Action's steps do what they say, run as the runner would run them.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use keyblind_syntax::yaml::{self, Node};

use crate::support::{PUBLIC_BUCKET, Repository};

fn action() -> Node {
    let text = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("../../action.yml")).expect("action.yml");
    yaml::parse(&text).documents.swap_remove(0)
}

/// Runs a step with some inputs; the others have their defaults.
fn step(name: &str, repository: &Repository, temporary: &Path, variables: &[(&str, &str)]) -> (Output, String) {
    let action = action();
    let steps = action.get("runs").and_then(|runs| runs.get("steps")).and_then(Node::as_sequence).expect("steps");
    let step = steps.iter().find(|step| step.get("id").and_then(Node::as_str) == Some(name)).expect("the step");
    let output: PathBuf = temporary.join(format!("output-{name}"));
    let mut command = Command::new("bash");
    command.arg("-c").arg(step.get("run").and_then(Node::as_str).expect("a script")).current_dir(repository.path());
    for entry in step.get("env").expect("variables").entries() {
        let variable = entry.key.as_key().expect("a name");
        let input = entry.value.as_str().and_then(|value| value.strip_prefix("${{ inputs.")).and_then(|rest| rest.strip_suffix(" }}"));
        let default = input.and_then(|input| action.get("inputs")?.get(input)?.get("default")).and_then(Node::as_key).unwrap_or_default();
        command.env(variable, default);
    }
    command.env("RUNNER_TEMP", temporary).env("GITHUB_OUTPUT", &output).env("GITHUB_STEP_SUMMARY", temporary.join("summary.md"));
    command.envs(variables.iter().copied());
    let ended = command.output().expect("bash is there");
    (ended, std::fs::read_to_string(output).unwrap_or_default())
}

#[test]
fn findings_fail_the_step_and_are_in_every_report() {
    let repository = Repository::new([("main.tf", PUBLIC_BUCKET)]);
    let temporary = tempfile::tempdir().expect("a folder");
    let program = env!("CARGO_BIN_EXE_keyblind");
    let (ended, outputs) = step("judge", &repository, temporary.path(), &[("PROGRAM", program)]);
    assert_eq!(ended.status.code(), Some(1), "{}", String::from_utf8_lossy(&ended.stderr));
    assert!(outputs.contains("complete=true") && !outputs.contains("findings=0\n"), "{outputs}");
    assert!(String::from_utf8_lossy(&ended.stdout).contains("::error file=main.tf"));
    assert!(std::fs::read_to_string(temporary.path().join("summary.md")).expect("a summary").contains("## Keyblind"));
    assert!(temporary.path().join("keyblind.sarif").exists());
    let (ended, _) = step("judge", &repository, temporary.path(), &[("PROGRAM", program), ("FAIL_ON", "none")]);
    assert_eq!(ended.status.code(), Some(0));
}

#[test]
fn no_program_is_run_that_is_not_the_one_with_the_digest() {
    let repository = Repository::new([("main.tf", PUBLIC_BUCKET)]);
    let temporary = tempfile::tempdir().expect("a folder");
    for (digest, version) in [("", "0.1.0"), ("abc", "0.1.0"), (&*"0".repeat(64), "0.1.0; true")] {
        let (ended, outputs) = step("fetch", &repository, temporary.path(), &[("DIGEST", digest), ("VERSION", version)]);
        assert_eq!(ended.status.code(), Some(2), "{digest} {version}");
        assert_eq!(outputs, "");
    }
}

#[test]
fn no_input_gets_into_a_script() {
    let action = action();
    for step in action.get("runs").and_then(|runs| runs.get("steps")).and_then(Node::as_sequence).expect("steps") {
        assert!(!step.get("run").and_then(Node::as_str).expect("a script").contains("${{"));
    }
}
