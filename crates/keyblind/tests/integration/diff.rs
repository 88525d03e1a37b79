//! What a change introduces and resolves, told from git's objects alone.

use std::process::Command;

use keyblind_testkit::Outcome;
use serde_json::Value;

use crate::support::{PUBLIC_BUCKET, Repository};

const PRIVATE_BUCKET: &str = "resource \"aws_s3_bucket\" \"site\" {\n  acl = \"private\"\n  versioning {\n    enabled = true\n  }\n}\n";
const CONFIG: &str = "rules = [\"policy\"]\n";
const RULE: &str = "id: bucket-is-public
title: Bucket ACL lets anybody read
severity: high
confidence: high
why: Anybody can download every object.
fix: Set `acl` to `private`.
terraform:
  resources: [aws_s3_bucket]
  fail: {acl: public-read}
examples:
  terraform:
    bad: |
      resource \"aws_s3_bucket\" \"a\" {
        acl = \"public-read\"
      }
    good: |
      resource \"aws_s3_bucket\" \"a\" {
        acl = \"private\"
      }
";

fn git(repository: &Repository, arguments: &[&str]) {
    let identity = ["-c", "user.name=a", "-c", "user.email=a@example.com", "-c", "commit.gpgsign=false", "-c", "init.defaultBranch=main"];
    let status = Command::new("git").args(identity).args(arguments).current_dir(repository.path()).output().expect("git is there");
    assert!(status.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&status.stderr));
}

fn commit(repository: &Repository, name: &str) {
    git(repository, &["add", "-A"]);
    git(repository, &["commit", "-q", "--allow-empty", "-m", name]);
    git(repository, &["tag", name]);
}

/// A repository whose first commit, `base`, has a policy of its own and the given file.
fn repository(text: &str) -> Repository {
    let repository = Repository::new([("main.tf", text), ("keyblind.toml", CONFIG), ("policy/bucket-is-public.yaml", RULE)]);
    repository.remove(".git/HEAD");
    git(&repository, &["init", "-q"]);
    commit(&repository, "base");
    repository
}

fn diff<'a>(repository: &Repository, arguments: impl IntoIterator<Item = &'a str>) -> Outcome {
    repository.program(["diff", "--rule", "bucket-is-public"]).with(arguments).run()
}

fn json(repository: &Repository) -> Value {
    let outcome = diff(repository, ["base..head", "--format", "json"]);
    serde_json::from_str(&outcome.output).unwrap_or_else(|error| panic!("{error}: {}{}", outcome.output, outcome.errors))
}

fn count(value: &Value) -> usize {
    value.as_array().map_or(0, Vec::len)
}

#[test]
fn what_a_change_introduces_and_resolves_is_told() {
    let repository = repository(PUBLIC_BUCKET);
    repository.write("main.tf", PRIVATE_BUCKET);
    repository.write("new/main.tf", PUBLIC_BUCKET.replace("site", "fresh"));
    commit(&repository, "head");
    // What is checked out doesn't matter.
    repository.write("main.tf", "broken {");
    repository.write("other/main.tf", PUBLIC_BUCKET);
    let report = json(&repository);
    assert_eq!(report["introduced"]["results"][0]["resource"], "aws_s3_bucket.fresh");
    assert_eq!((count(&report["introduced"]["results"]), count(&report["resolved"])), (1, 1), "{report}");
    assert_eq!(report["resolved"][0]["resource"], "aws_s3_bucket.site");
    let outcome = diff(&repository, ["base...head"]);
    assert_eq!(outcome.code, Some(1));
    assert!(outcome.output.contains("1 finding introduced and 1 resolved"), "{}", outcome.output);
    assert_eq!(diff(&repository, ["head..head"]).code, Some(0));
}

#[test]
fn a_fault_that_moved_is_neither_introduced_nor_resolved() {
    let repository = repository(PUBLIC_BUCKET);
    repository.remove("main.tf");
    repository.write("storage.tf", format!("# moved\n\n{PUBLIC_BUCKET}"));
    commit(&repository, "head");
    let report = json(&repository);
    assert_eq!((count(&report["introduced"]["results"]), count(&report["resolved"])), (0, 0), "{report}");
}

#[test]
fn a_change_cannot_choose_what_it_is_judged_by() {
    // Silenced in the code, by taking the rule away, and by the configuration.
    let silenced = format!("# keyblind:ignore[bucket-is-public] reason=\"fine\"\n{PUBLIC_BUCKET}");
    for (name, file, text) in [
        ("a directive", "main.tf", silenced.as_str()),
        ("an ignore", "keyblind.toml", "rules = [\"policy\"]\nskip-rules = [\"bucket-is-public\"]\n"),
        ("no rules", "keyblind.toml", "rules = []\n"),
    ] {
        let repository = repository(PRIVATE_BUCKET);
        repository.write("main.tf", PUBLIC_BUCKET);
        repository.write(file, text);
        commit(&repository, "head");
        let report = json(&repository);
        assert_eq!(count(&report["introduced"]["results"]), 1, "{name}: {report}");
        assert_eq!(count(&report["loosened"]), usize::from(file == "main.tf"), "{name}: {report}");
    }
}

#[test]
fn a_directive_that_the_base_has_holds() {
    let silenced = format!("# keyblind:ignore[bucket-is-public] reason=\"fine\"\n{PUBLIC_BUCKET}");
    let repository = repository(&silenced);
    repository.write("main.tf", format!("# a note\n\n{silenced}"));
    commit(&repository, "head");
    let report = json(&repository);
    assert_eq!((count(&report["introduced"]["results"]), count(&report["loosened"])), (0, 0), "{report}");
}

#[test]
fn what_is_not_there_is_said() {
    let repository = repository(PUBLIC_BUCKET);
    for (arguments, message) in
        [(["none..HEAD", "."], "no commit"), (["base", "nowhere"], "neither commit"), (["base", "../elsewhere"], "outside the repository")]
    {
        let outcome = diff(&repository, arguments);
        assert_eq!(outcome.code, Some(2), "{arguments:?}");
        assert!(outcome.errors.contains(message), "{}", outcome.errors);
    }
}
