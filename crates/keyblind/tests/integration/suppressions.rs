//! Comments that silence findings.

use crate::support::{PUBLIC_BUCKET, Repository};

fn with_comment(comment: &str) -> Repository {
    Repository::new([("main.tf", format!("{comment}\n{PUBLIC_BUCKET}").as_str())])
}

#[test]
fn a_directive_with_a_reason_silences_and_is_counted() {
    let repository = with_comment("# keyblind:ignore[bucket-acl-public] reason=\"a website\"");
    let report = repository.report([]);
    assert_eq!(report["summary"]["suppressed"], 1);
    assert_eq!(report["results"][0]["suppression"]["reason"], "a website");
    assert_eq!(repository.scan([]).code, Some(0));
}

#[test]
fn a_directive_without_a_reason_is_noted_and_the_finding_stays() {
    let outcome = with_comment("# keyblind:ignore[bucket-acl-public]").scan([]);
    assert_eq!(outcome.code, Some(1));
    assert!(outcome.errors.contains("note[suppression-without-reason]"), "{}", outcome.errors);
}

#[test]
fn a_directive_that_ended_is_noted_and_the_finding_is_back() {
    let outcome = with_comment("# keyblind:ignore[bucket-acl-public] until=2020-01-31 reason=\"soon\"").scan([]);
    assert_eq!(outcome.code, Some(1));
    assert!(outcome.errors.contains("the directive ended on 2020-01-31"), "{}", outcome.errors);
}

#[test]
fn comments_can_be_made_to_count_for_nothing() {
    let repository = with_comment("# keyblind:ignore[bucket-acl-public] reason=\"a website\"");
    assert_eq!(repository.scan(["--no-ignores"]).code, Some(1));
    let repository = with_comment("#trivy:ignore:AVD-TEST-0092");
    assert_eq!(repository.scan([]).code, Some(0));
    assert_eq!(repository.scan(["--require-reason"]).code, Some(1));
    repository.write("keyblind.toml", "[suppressions]\nhonor-foreign = false\n");
    assert_eq!(repository.scan([]).code, Some(1));
}

#[test]
fn the_same_module_called_twice_and_silenced_once_gives_one_finding() {
    let repository = Repository::new([
        ("m/main.tf", PUBLIC_BUCKET),
        (
            "main.tf",
            "# keyblind:ignore[bucket-acl-public] reason=\"a website\"\nmodule \"one\" {\n  source = \"./m\"\n}\n\nmodule \"two\" {\n  source = \"./m\"\n}\n",
        ),
    ]);
    assert_eq!(
        repository.results([]),
        ["bucket-acl-public module.one.aws_s3_bucket.site suppressed", "bucket-acl-public module.two.aws_s3_bucket.site failed"]
    );
}

/// The codes and places of the notes about what silences nothing.
fn unused(repository: &Repository, arguments: &[&'static str]) -> Vec<String> {
    let report = repository.report(arguments.iter().copied());
    let notes = report["diagnostics"].as_array().expect("a list").iter();
    let notes = notes.filter(|note| note["code"].as_str().is_some_and(|code| code.ends_with("suppression-unused")));
    let text = |note: &serde_json::Value| {
        let line = note["line"].as_u64().map(|line| format!(":{line}")).unwrap_or_default();
        format!("{} {}{line}", note["code"].as_str().unwrap_or_default(), note["file"].as_str().unwrap_or_default())
    };
    notes.map(text).collect()
}

#[test]
fn what_silences_nothing_is_noted() {
    let sound = PUBLIC_BUCKET.replace("public-read", "private");
    let directive = "# keyblind:ignore[bucket-acl-public] reason=\"a website\"";
    let repository = Repository::new([("main.tf", format!("{directive}\n{sound}").as_str())]);
    assert_eq!(unused(&repository, &[]), ["suppression-unused main.tf:1"]);
    let outcome = repository.scan([]);
    assert_eq!(outcome.code, Some(0), "a note is no finding");
    assert!(outcome.errors.contains("`keyblind:ignore` silences nothing"), "{}", outcome.errors);
    assert!(unused(&repository, &["--rule", "bucket-without-versioning"]).is_empty(), "its rule wasn't judged");
    assert!(unused(&repository, &["--no-ignores"]).is_empty());
    repository.write("main.tf", format!("{directive}\n{PUBLIC_BUCKET}"));
    assert!(unused(&repository, &[]).is_empty(), "it silences the finding");
    repository.write("main.tf", format!("{directive}\n{}", PUBLIC_BUCKET.replace("{\n  acl", "{\n  count = 0\n  acl")));
    assert!(unused(&repository, &[]).is_empty(), "nothing was judged that it reaches");
}

#[test]
fn what_is_written_for_another_tool_is_remarked_quietly() {
    let repository = Repository::new([(
        "main.tf",
        "resource \"aws_s3_bucket\" \"a\" {\n  #checkov:skip=CKV_TEST_20:a website\n  #checkov:skip=CKV_OTHER_1:unknown\n  acl = \"private\"\n  versioning {\n    enabled = true\n  }\n}\n",
    )]);
    assert_eq!(unused(&repository, &[]), ["foreign-suppression-unused main.tf:2"]);
    assert!(!repository.scan([]).errors.contains("silences nothing"));
    assert!(repository.scan(["--verbose"]).errors.contains("`checkov:skip` silences nothing"));
}

#[test]
fn a_directive_on_a_part_that_does_not_silence_the_whole_is_unused() {
    let ports =
        "resource \"aws_s3_bucket\" \"a\" {\n  # keyblind:ignore[bucket-without-versioning] reason=\"why\"\n  acl = \"private\"\n}\n";
    let repository = Repository::new([("main.tf", ports)]);
    assert_eq!(unused(&repository, &[]), ["suppression-unused main.tf:2"]);
    assert_eq!(repository.scan([]).code, Some(1), "what is missing from a block is silenced at the block");
}

#[test]
fn an_ignore_that_silences_nothing_is_noted_where_all_was_judged() {
    let repository = Repository::new([("a/main.tf", PUBLIC_BUCKET), ("b/main.tf", &PUBLIC_BUCKET.replace("public-read", "private"))]);
    repository.write("keyblind.toml", "[[ignore]]\nrules = [\"CKV_TEST_20\"]\npaths = [\"b/**\"]\nreason = \"a website\"\n");
    assert_eq!(unused(&repository, &[]), ["suppression-unused keyblind.toml:2"]);
    assert!(unused(&repository, &["a"]).is_empty(), "a part can't tell");
    repository.write("c/main.tf", "resource {");
    assert!(unused(&repository, &[]).is_empty(), "what wasn't read may be what it is for");
    repository.write("keyblind.toml", "[[ignore]]\nrules = [\"CKV_TEST_20\"]\npaths = [\"a/**\"]\nreason = \"a website\"\n");
    assert!(unused(&repository, &[]).is_empty());
}

#[test]
fn the_configuration_silences_where_comments_cannot() {
    let bucket = r#"{"resource":{"aws_s3_bucket":{"site":{"acl":"public-read","versioning":{"enabled":true}}}}}"#;
    let repository = Repository::new([("json/main.tf.json", bucket), ("main.tf", PUBLIC_BUCKET)]);
    repository.write(
        "keyblind.toml",
        "[[ignore]]\nrules = [\"CKV_TEST_20\"]\npaths = [\"json/**\"]\naddresses = [\"aws_s3_bucket.*\"]\nreason = \"a website\"\n",
    );
    assert_eq!(repository.results([]), ["bucket-acl-public aws_s3_bucket.site suppressed", "bucket-acl-public aws_s3_bucket.site failed"]);
    assert_eq!(repository.report([])["results"][0]["suppression"]["by"], "configuration");
    assert_eq!(repository.report(["--no-ignores"])["summary"]["suppressed"], 0);
    repository.write("keyblind.toml", "[[ignore]]\nrules = [\"CKV_TEST_20\"]\nreason = \"a website\"\nuntil = \"2020-01-01\"\n");
    let outcome = repository.scan([]);
    assert!(outcome.errors.contains("ended on 2020-01-01"), "{}", outcome.errors);
    assert_eq!(repository.report([])["summary"]["failed"], 2);
}
