//! `keyblind.toml` and the command line.

use crate::support::{PUBLIC_BUCKET, Repository};

#[test]
fn the_configuration_says_what_the_command_line_does_not() {
    let repository = Repository::new([("main.tf", PUBLIC_BUCKET), (".github/keyblind.toml", "fail-on = \"critical\"\n")]);
    assert_eq!(repository.scan([]).code, Some(0));
    assert_eq!(repository.scan(["--fail-on", "high"]).code, Some(1));
    assert_eq!(repository.scan(["--no-config"]).code, Some(1));
    repository.write("other.toml", "skip-rules = [\"CKV_TEST_20\"]\n");
    assert_eq!(repository.results(["--config", "other.toml"]), Vec::<String>::new());
}

#[test]
fn an_unknown_key_or_rule_is_2_with_its_place() {
    let repository = Repository::new([("main.tf", PUBLIC_BUCKET)]);
    for (text, said) in [
        ("fail_on = \"high\"\n", "keyblind.toml:1:1: unknown key `fail_on`\n  help: did you mean `fail-on`?"),
        (
            "\n[severity]\nbucket-acl-pubic = \"low\"\n",
            "keyblind.toml:3: no rule is called `bucket-acl-pubic`; did you mean `bucket-acl-public`?",
        ),
        ("exclude = [\"a[\"]\n", "keyblind.toml:1: `a[` is no glob"),
        ("[[terraform.root]]\npath = \"../x\"\n", "`../x` doesn't lie beneath the trust root"),
    ] {
        repository.write("keyblind.toml", text);
        let outcome = repository.scan([]);
        assert_eq!(outcome.code, Some(2), "{text}");
        assert!(outcome.errors.contains(said), "{text}: {}", outcome.errors);
    }
}

#[test]
fn severities_can_be_changed_and_files_left_out() {
    let repository = Repository::new([("main.tf", PUBLIC_BUCKET), ("examples/x/main.tf", PUBLIC_BUCKET)]);
    repository.write("keyblind.toml", "exclude = [\"examples/**\"]\n[severity]\nAVD-TEST-0092 = \"info\"\n");
    let report = repository.report([]);
    assert_eq!(report["summary"]["failed"], 1);
    assert_eq!(report["results"][0]["severity"], "info");
    assert_eq!(report["summary"]["files"]["skipped"][0]["reason"], "excluded");
    assert_eq!(repository.scan([]).code, Some(0), "info is below the default level");
    assert_eq!(repository.results(["--min-severity", "low"]), Vec::<String>::new());
}

#[test]
fn a_root_module_is_judged_once_with_each_set_of_values_and_the_worst_counts() {
    let repository = Repository::new([
        ("app/main.tf", "variable \"acl\" {}\nresource \"aws_s3_bucket\" \"a\" {\n  acl = var.acl\n}\n"),
        ("app/prod.tfvars", "acl = \"private\"\n"),
        (
            "keyblind.toml",
            "[[terraform.root]]\npath = \"app\"\nvar-files = [\"prod.tfvars\"]\n\n[[terraform.root]]\npath = \"app\"\nvars = { acl = \"public-read\" }\n",
        ),
    ]);
    let report = repository.report(["--rule", "bucket-acl-public", "--include", "passed"]);
    assert_eq!(crate::support::results(&report), ["bucket-acl-public aws_s3_bucket.a failed"]);
    assert_eq!(report["summary"]["roots"], 2);
}

#[test]
fn config_show_names_every_setting_and_what_set_it() {
    let repository = Repository::new([
        ("main.tf", PUBLIC_BUCKET),
        ("keyblind.toml", "fail-on = \"high\"\n\nskip-rules = [\"CKV_TEST_21\"]\n\n[suppressions]\nblanket = true\n"),
    ]);
    let outcome = repository.program(["config", "show", "--min-severity", "low"]).run();
    assert_eq!(outcome.code, Some(0), "{outcome:?}");
    insta::assert_snapshot!(outcome.output.replace(&repository.path().display().to_string(), "[root]"));
}
