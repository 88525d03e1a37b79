//! What another tool was told holds here as well, and what can't is listed.

use crate::support::{PUBLIC_BUCKET, Repository};

#[test]
fn checkovs_settings_become_ours() {
    let repository = Repository::new([(
        ".checkov.yaml",
        "check:\n  - CKV_AWS_20\nskip-check: CKV_AWS_18,CKV_AWS_99999\nskip-path:\n  - examples\n  - ^test/.*$\nsoft-fail: true\ncompact: true\nexternal-checks-dir: [checks]\n",
    )]);
    let outcome = repository.program(["import", "checkov"]).run();
    assert_eq!(outcome.code, Some(0), "{}", outcome.errors);
    assert_eq!(
        outcome.output,
        "select = [\"CKV_AWS_20\"]\nskip-rules = [\"CKV_AWS_18\"]\nexclude = [\"**/examples\"]\nfail-on = \"none\"\n"
    );
    for message in [".checkov.yaml:3: no rule means what CKV_AWS_99999 means", "`^test/.*$` is a regular expression", "checks in Python"] {
        assert!(outcome.errors.contains(message), "{message}: {}", outcome.errors);
    }
}

#[test]
fn checkovs_baseline_is_found_again_in_the_code() {
    let baseline = r#"{"failed_checks": [{"file": "/main.tf", "findings": [
        {"resource": "aws_s3_bucket.site", "check_ids": ["CKV_AWS_20", "CKV_AWS_99999"]},
        {"resource": "aws_s3_bucket.gone", "check_ids": ["CKV_AWS_20"]}]}]}"#;
    let repository = Repository::new([("main.tf", PUBLIC_BUCKET), (".checkov.baseline", baseline)]);
    let outcome = repository.program(["import", "checkov", "--write"]).run();
    assert_eq!(outcome.code, Some(0), "{}", outcome.errors);
    assert!(
        outcome.errors.contains("`aws_s3_bucket.gone` isn't found now") && outcome.errors.contains("CKV_AWS_99999"),
        "{}",
        outcome.errors
    );
    assert_eq!(repository.read("keyblind.toml"), "baseline = \".keyblind-baseline.jsonl\"\n");
    let scan = |arguments: &[&str]| repository.program(["scan", "--rule", "CKV_AWS_20"]).with(arguments.iter().copied()).run().code;
    assert_eq!((scan(&[]), scan(&["--no-config"])), (Some(0), Some(1)));
    // What is there isn't written over.
    assert_eq!(repository.program(["import", "checkov", "--write"]).run().code, Some(2));
}

#[test]
fn trivys_ignores_keep_their_reasons_and_ends() {
    let repository = Repository::new([
        (
            "trivy.yaml",
            "severity:\n  - HIGH\n  - CRITICAL\nscan:\n  skip-dirs:\n    - examples/old\nrego:\n  check: [policy]\ncache:\n  dir: x\n",
        ),
        (".trivyignore", "# the site is public\nAVD-AWS-0009 exp:2027-01-31\n\nAVD-XYZ-0001\n"),
        (
            ".trivyignore.yaml",
            "misconfigurations:\n  - id: AVD-AWS-0086\n    paths: [\"a/*.tf\"]\n    statement: done elsewhere\nvulnerabilities:\n  - id: CVE-1\n",
        ),
    ]);
    let outcome = repository.program(["import", "trivy"]).run();
    assert_eq!(outcome.code, Some(0), "{}", outcome.errors);
    insta::assert_snapshot!(outcome.output);
    for message in
        ["trivy.yaml:8: `rego.check`", ".trivyignore:4: no rule means what AVD-XYZ-0001", "`vulnerabilities` isn't about misconfigurations"]
    {
        assert!(outcome.errors.contains(message), "{message}: {}", outcome.errors);
    }
    repository.write("keyblind.toml", &outcome.output);
    assert_eq!(repository.program(["config", "show"]).run().code, Some(0));
}

#[test]
fn nothing_to_import_is_said() {
    let outcome = Repository::new([]).program(["import", "trivy"]).run();
    assert_eq!(outcome.code, Some(2));
    assert!(outcome.errors.contains("looked for trivy.yaml"), "{}", outcome.errors);
}
