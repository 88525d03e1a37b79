//! `keyblind fix`: a diff, files, and proofs.

use keyblind_testkit::Outcome;
use serde_json::Value;

use crate::support::Repository;

const BUCKET: &str = "resource \"aws_s3_bucket\" \"site\" {\n  bucket = \"site\"\n  acl    = \"public-read\" # everybody\n\n  versioning {\n    enabled = true\n  }\n}\n";

fn fix<'a>(repository: &Repository, arguments: impl IntoIterator<Item = &'a str>) -> Outcome {
    repository.with_rules(["fix"]).with(arguments).run()
}

#[test]
fn a_diff_is_shown_and_nothing_is_written() {
    let repository = Repository::new([("main.tf", BUCKET)]);
    let outcome = fix(&repository, []);
    assert_eq!(outcome.code, Some(1), "{outcome:?}");
    let expected = "--- a/main.tf\n+++ b/main.tf\n@@ -1,6 +1,6 @@\n resource \"aws_s3_bucket\" \"site\" {\n   bucket = \"site\"\n-  acl    = \"public-read\" # everybody\n+  acl    = \"private\" # everybody\n \n   versioning {\n     enabled = true\n";
    assert_eq!(outcome.output, expected);
    assert!(outcome.errors.starts_with("would fix 1 of 1 finding in 1 file\n"), "{}", outcome.errors);
    assert_eq!(repository.read("main.tf"), BUCKET);
}

#[test]
fn what_git_does_not_know_is_written_only_by_force() {
    let repository = Repository::new([("main.tf", BUCKET)]);
    let outcome = fix(&repository, ["--write"]);
    assert_eq!(outcome.code, Some(2), "{outcome:?}");
    assert!(outcome.errors.contains("`main.tf` isn't known to git: stage it first, or add `--force`"), "{}", outcome.errors);
    assert_eq!(repository.read("main.tf"), BUCKET);
    let outcome = fix(&repository, ["--write", "--force"]);
    assert_eq!(outcome.code, Some(0), "{outcome:?}");
    assert_eq!(repository.read("main.tf"), BUCKET.replace("public-read", "private"));
    assert_eq!(fix(&repository, []).errors, "would fix 0 of 0 findings in 0 files\n");
}

#[test]
fn fixes_that_are_not_safe_are_held_back() {
    let unversioned = BUCKET.replace("\n  versioning {\n    enabled = true\n  }\n", "");
    let repository = Repository::new([("main.tf", unversioned.as_str())]);
    let outcome = fix(&repository, ["--write", "--force"]);
    assert_eq!(outcome.code, Some(1), "{outcome:?}");
    assert!(outcome.errors.contains("1 fix is held back (unsafe): add `--all` to write them too"), "{}", outcome.errors);
    assert_eq!(repository.read("main.tf"), unversioned.replace("public-read", "private"));
    let outcome = fix(&repository, ["--write", "--force", "--all"]);
    assert_eq!(outcome.code, Some(0), "{outcome:?}");
    assert!(outcome.errors.contains("unsafe: the provider charges for it (1 fix)"), "{}", outcome.errors);
    assert!(repository.read("main.tf").contains("\n\n  versioning {\n    enabled = true\n  }\n}\n"), "{}", repository.read("main.tf"));
}

#[test]
fn a_finding_without_fix_says_why_and_what_to_do() {
    let code = "resource \"aws_db_instance\" \"a\" {\n  password = jsonencode(var.x)\n}\n";
    let repository = Repository::new([
        ("main.tf.json", "{\"resource\": {\"aws_s3_bucket\": {\"a\": {\"acl\": \"public-read\", \"versioning\": [{\"enabled\": true}]}}}}"),
        ("other.tf", code),
    ]);
    let outcome = fix(&repository, ["--verbose", "--rule", "bucket-acl-public"]);
    assert_eq!(outcome.code, Some(1), "{outcome:?}");
    assert!(outcome.errors.contains("1 without a fix: the file is in a syntax that isn't edited (unedited-syntax)"), "{}", outcome.errors);
    assert!(outcome.errors.contains("by hand: Set `acl` to `private`."), "{}", outcome.errors);
}

#[test]
fn proofs_are_proven_again_before_and_after() {
    let repository = Repository::new([("main.tf", BUCKET)]);
    let json = fix(&repository, ["--output", "json"]);
    let document: Value = serde_json::from_str(&json.output).unwrap();
    assert_eq!(document["fixes"][0]["class"], "safe");
    assert_eq!(document["fixes"][0]["edits"][0]["edits"][0]["was"], "public-read");
    assert_eq!(document["fixes"][0]["proof"]["checks"].as_array().unwrap().len(), 12);
    repository.write("fixes.json", &json.output);
    let verify = || fix(&repository, ["--verify", "fixes.json"]);
    let proven = verify();
    assert_eq!((proven.code, proven.errors.as_str()), (Some(0), "1 fix proven\n"));
    assert_eq!(fix(&repository, ["--write", "--force"]).code, Some(0));
    let proven = verify();
    assert_eq!((proven.code, proven.errors.as_str()), (Some(0), "1 fix proven\n"));
    repository.write("main.tf", BUCKET.replace("bucket = \"site\"", "bucket = \"other\""));
    let outcome = verify();
    assert_eq!(outcome.code, Some(1), "{outcome:?}");
    assert!(outcome.errors.contains("not proven: fix 1"), "{}", outcome.errors);
    repository.write("main.tf", BUCKET);
    repository.write("fixes.json", json.output.replace("private", "public-read-write"));
    assert_eq!(verify().code, Some(1));
}

#[test]
fn one_finding_is_fixed_by_its_fingerprint() {
    let two = format!("{BUCKET}\n{}", BUCKET.replace("\"site\" {", "\"other\" {"));
    let repository = Repository::new([("main.tf", two.as_str())]);
    let report = repository.report([]);
    let fingerprint = report["results"][1]["fingerprint"].as_str().unwrap();
    let outcome = fix(&repository, ["--finding", fingerprint]);
    assert!(outcome.errors.starts_with("would fix 1 of 1 finding in 1 file\n"), "{}", outcome.errors);
    assert_eq!(outcome.output.matches("+  acl    = \"private\"").count(), 1);
    let outcome = fix(&repository, ["--finding", "0123456789"]);
    assert_eq!(outcome.code, Some(2), "{outcome:?}");
}

#[test]
fn a_link_is_not_written_through() {
    let repository = Repository::new([("real/main.txt", BUCKET)]);
    std::os::unix::fs::symlink("real/main.txt", repository.path().join("main.tf")).unwrap();
    let outcome = fix(&repository, ["--write", "--force"]);
    assert_eq!(outcome.code, Some(2), "{outcome:?}");
    assert!(outcome.errors.contains("symbolic link"), "{}", outcome.errors);
    assert_eq!(repository.read("real/main.txt"), BUCKET);
}
