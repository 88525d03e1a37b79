//! Runs of `keyblind fix` that write: what is asked, what git says, and the scan that closes a run.

use std::io::Write;
use std::process::{Command, Stdio};

use keyblind_testkit::Outcome;

use crate::support::Repository;

fn bucket(name: &str) -> String {
    format!("resource \"aws_s3_bucket\" \"{name}\" {{\n  acl = \"public-read\"\n  versioning {{\n    enabled = true\n  }}\n}}\n")
}

fn three() -> String {
    ["one", "two", "three"].map(bucket).join("\n")
}

fn git(repository: &Repository, arguments: &[&str]) {
    let identity = ["-c", "user.name=a", "-c", "user.email=a@example.com", "-c", "commit.gpgsign=false", "-c", "init.defaultBranch=main"];
    let outcome = Command::new("git").args(identity).args(arguments).current_dir(repository.path()).output().expect("git is there");
    assert!(outcome.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&outcome.stderr));
}

/// A real repository of git's in which a file is staged.
fn staged(text: &str) -> Repository {
    let repository = Repository::new([("main.tf", text)]);
    repository.remove(".git/HEAD");
    git(&repository, &["init", "-q"]);
    git(&repository, &["add", "main.tf"]);
    repository
}

fn fix<'a>(repository: &Repository, arguments: impl IntoIterator<Item = &'a str>) -> Outcome {
    repository.with_rules(["fix"]).with(arguments).run()
}

fn answered(repository: &Repository, arguments: &[&'static str], answers: &str) -> Outcome {
    repository.with_rules(["fix", "--interactive"]).with(arguments.iter().copied()).input(answers).run()
}

#[test]
fn only_what_was_said_yes_to_is_written() {
    let repository = staged(&three());
    let outcome = answered(&repository, &[], "what?\ny\nn\ny\n");
    assert_eq!(outcome.code, Some(1), "{outcome:?}");
    assert!(outcome.output.contains("y - apply this fix\n"), "an answer that is none gets help: {}", outcome.output);
    assert!(outcome.output.contains("(3/3) Apply this fix [y,n,a,q,?]? "));
    assert!(outcome.output.contains("high[bucket-acl-public]: Bucket ACL lets anybody read\naws_s3_bucket.one at main.tf:2\n"));
    let private = |name: &str| bucket(name).replace("public-read", "private");
    assert_eq!(repository.read("main.tf"), [private("one"), bucket("two"), private("three")].join("\n"));
    assert!(outcome.errors.contains("fixed 2 of 3 findings in 1 file\n"), "{}", outcome.errors);
    assert!(outcome.errors.contains("1 fix is held back (safe): you said no"), "{}", outcome.errors);
    assert!(outcome.errors.contains("scanned again with every rule: 2 findings are gone, 1 is left, none is new"), "{}", outcome.errors);
}

#[test]
fn all_the_rest_can_be_said_yes_to_and_none() {
    let repository = staged(&three());
    let outcome = answered(&repository, &[], "n\na\n");
    assert_eq!(repository.read("main.tf").matches("\"private\"").count(), 2, "{outcome:?}");
    for answers in ["y\nq\n", "y\n"] {
        let repository = staged(&three());
        let outcome = answered(&repository, &[], answers);
        assert_eq!(outcome.code, Some(1));
        assert_eq!(
            repository.read("main.tf").matches("\"private\"").count(),
            1,
            "{answers:?}: no more input is no more fixes: {outcome:?}"
        );
        assert!(outcome.errors.contains("fixed 1 of 3 findings in 1 file\n2 left alone"), "{}", outcome.errors);
        assert!(outcome.errors.contains("1 finding is gone, 2 are left"), "{}", outcome.errors);
    }
    let repository = staged(&three());
    let outcome = answered(&repository, &[], "q\n");
    assert_eq!((outcome.code, repository.read("main.tf")), (Some(1), three()));
    assert!(!outcome.errors.contains("scanned again"), "nothing was written: {}", outcome.errors);
}

#[test]
fn a_yes_to_the_rest_is_none_to_what_is_not_safe() {
    let plain = format!("{}\nresource \"aws_s3_bucket\" \"b\" {{\n}}\n", bucket("a"));
    let repository = staged(&plain);
    let outcome = answered(&repository, &[], "a\nn\n");
    assert!(outcome.output.contains("unsafe: the provider charges for it\n"), "{}", outcome.output);
    assert_eq!(repository.read("main.tf"), plain.replace("public-read", "private"));
    let repository = staged(&plain);
    assert_eq!(answered(&repository, &["--all"], "a\n").code, Some(0));
    assert_eq!(repository.read("main.tf").matches("enabled = true").count(), 2);
}

#[test]
fn a_terminal_is_asked_as_a_pipe_is() {
    let repository = staged(&three());
    let rules = "--rules ../rules --no-builtin-rules";
    let command = format!("{} fix --interactive {rules}", env!("CARGO_BIN_EXE_keyblind"));
    let mut child = Command::new("script")
        .args(["-qec", &command, "/dev/null"])
        .current_dir(repository.path())
        .env("TERM", "xterm")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("script is there");
    child.stdin.take().expect("a pipe").write_all(b"y\ny\ny\n").expect("it is read");
    let outcome = child.wait_with_output().expect("it ends");
    let shown = String::from_utf8_lossy(&outcome.stdout).into_owned();
    assert_eq!(outcome.status.code(), Some(0), "{shown}");
    assert!(shown.contains("\u{1b}["), "a terminal has colour: {shown:?}");
    assert_eq!(repository.read("main.tf"), three().replace("public-read", "private"));
}

#[test]
fn a_file_that_differs_from_the_index_is_never_touched() {
    let repository = staged(&three());
    let edited = format!("# somebody's work\n{}", three());
    repository.write("main.tf", &edited);
    for arguments in [&["--write"][..], &["--write", "--all"], &["--interactive"]] {
        let outcome = repository.with_rules(["fix"]).with(arguments.iter().copied()).input("y\ny\ny\n").run();
        assert_eq!(outcome.code, Some(2), "{arguments:?}: {outcome:?}");
        assert!(outcome.errors.contains("`main.tf` differs from git's index: stage it first, or add `--force`"), "{}", outcome.errors);
        assert!(!outcome.output.contains("Apply this fix"), "nobody answers for nothing: {}", outcome.output);
        assert_eq!(repository.read("main.tf"), edited);
    }
    git(&repository, &["add", "main.tf"]);
    assert_eq!(fix(&repository, ["--write"]).code, Some(0), "what is staged can be had again");
    assert_eq!(repository.read("main.tf"), edited.replace("public-read", "private"));
    let repository = staged(&three());
    repository.write("main.tf", &edited);
    assert_eq!(fix(&repository, ["--write", "--force"]).code, Some(0));
}

#[test]
fn one_file_that_must_not_be_written_keeps_all_from_being_written() {
    let repository = staged(&bucket("a"));
    repository.write("other.tf", bucket("b"));
    let outcome = fix(&repository, ["--write"]);
    assert_eq!(outcome.code, Some(2), "{outcome:?}");
    assert!(outcome.errors.contains("`other.tf` isn't known to git"), "{}", outcome.errors);
    assert_eq!(repository.read("main.tf"), bucket("a"));
}

#[test]
fn a_linked_work_tree_has_an_index_of_its_own() {
    let repository = staged(&bucket("a"));
    git(&repository, &["commit", "-q", "-m", "a"]);
    git(&repository, &["worktree", "add", "-q", "../tree"]);
    let tree = repository.path().join("../tree");
    let run = || {
        let program = keyblind_testkit::Program::new(env!("CARGO_BIN_EXE_keyblind")).within(&tree);
        program.with(["fix", "--write", "--rules", "../rules", "--no-builtin-rules"]).run()
    };
    std::fs::write(tree.join("main.tf"), format!("# edited\n{}", bucket("a"))).expect("it can be written");
    assert_eq!(run().code, Some(2));
    std::fs::write(tree.join("main.tf"), bucket("a")).expect("it can be written");
    assert_eq!(run().code, Some(0));
    assert_eq!(repository.read("main.tf"), bucket("a"), "the other tree's file is its own");
}

#[test]
fn force_and_answers_go_only_with_writing() {
    let repository = staged(&bucket("a"));
    assert_eq!(fix(&repository, ["--force"]).code, Some(2));
    assert_eq!(answered(&repository, &["--output", "json"], "").code, Some(2));
    let outcome = repository.program(["fix", "--interactive", "-", "--stdin-filename", "main.tf"]).run();
    assert_eq!(outcome.code, Some(2), "{outcome:?}");
}

#[test]
fn a_run_that_writes_says_what_a_full_scan_finds() {
    let plain = "resource \"aws_s3_bucket\" \"a\" {\n  acl = \"public-read\"\n}\n";
    let repository = staged(plain);
    let outcome = fix(&repository, ["--write"]);
    assert_eq!(outcome.code, Some(1));
    assert!(outcome.errors.ends_with("scanned again with every rule: 1 finding is gone, 1 is left, none is new\n"), "{}", outcome.errors);
    let repository = staged(plain);
    let outcome = fix(&repository, ["--write", "--all"]);
    assert_eq!(outcome.code, Some(0));
    assert!(outcome.errors.ends_with("2 findings are gone, 0 are left, none is new\n"), "{}", outcome.errors);
    assert_eq!(fix(&repository, ["--quiet"]).errors, "");
}

#[test]
fn what_stood_in_the_way_of_a_fix_may_go_with_a_later_one() {
    let container = |context: &str| {
        format!(
            "apiVersion: v1\nkind: Pod\nmetadata:\n  name: web\nspec:\n  containers:\n    - name: web\n      image: web:1\n      securityContext:\n{context}"
        )
    };
    let repository = Repository::new([("pod.yaml", container("        privileged: true\n").as_str())]);
    // A container with all privileges can't be told not to gain any, so that it takes the second fix first.
    let selection = ["--rule", "container-may-gain-privileges", "--rule", "container-privileged"];
    let outcome = repository.program(["fix", "--write", "--all", "--force"]).with(selection).run();
    assert!(outcome.errors.contains("fixed 2 of 2 findings in 1 file\n"), "{outcome:?}");
    let mended = container("        privileged: false\n        allowPrivilegeEscalation: false\n");
    assert_eq!(repository.read("pod.yaml"), mended);
}
