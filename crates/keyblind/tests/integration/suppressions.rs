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
