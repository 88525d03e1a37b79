//! Exit codes: the same in every format.

use crate::support::{PUBLIC_BUCKET, Repository, SOUND_BUCKET};

#[test]
fn clean_is_0() {
    let repository = Repository::new([("main.tf", SOUND_BUCKET)]);
    let outcome = repository.scan([]);
    assert_eq!((outcome.code, outcome.errors.as_str()), (Some(0), ""));
    assert!(outcome.output.starts_with("No problem\n"), "{}", outcome.output);
}

#[test]
fn findings_are_1_in_every_format() {
    let repository = Repository::new([("main.tf", PUBLIC_BUCKET)]);
    for format in ["text", "json", "sarif"] {
        assert_eq!(repository.scan(["--format", format]).code, Some(1), "{format}");
    }
}

#[test]
fn only_findings_at_the_level_to_fail_on_count() {
    let repository = Repository::new([("main.tf", PUBLIC_BUCKET)]);
    for (level, code) in [("critical", 0), ("high", 1), ("info", 1), ("none", 0)] {
        assert_eq!(repository.scan(["--fail-on", level]).code, Some(code), "{level}");
    }
}

#[test]
fn wrong_usage_is_2_and_says_what_would_be_right() {
    let repository = Repository::new([("main.tf", PUBLIC_BUCKET)]);
    for (arguments, hint) in [
        (&["--rule", "bucket-acl-pubic"][..], "did you mean `bucket-acl-public`?"),
        (&["--skip-rule", "CKV_TEST_2"], "did you mean `CKV_TEST_20`?"),
        (&["--rule", "cis-tset:5.2"], "did you mean `cis-test:5.2`?"),
        (&["--min-severity", "hihg"], "it is one of info, low, medium, high, critical"),
        (&["--fail-on", "new"], "--baseline FILE"),
        (&["--baseline", "none.jsonl"], "none.jsonl"),
        (&["nowhere"], "no such file or directory"),
        (&["../rules"], "lie in different repositories"),
        (&["--output", "pdf=x"], "it is one of text, json, sarif"),
        (&["--formt", "json"], "--format"),
        (&["-"], "--stdin-filename"),
    ] {
        let arguments: Vec<&str> = if arguments == ["../rules"] { vec![".", "../rules"] } else { arguments.to_vec() };
        let outcome = repository.scan(arguments.iter().copied());
        assert_eq!(outcome.code, Some(2), "{arguments:?}: {outcome:?}");
        assert!(outcome.errors.contains(hint), "{arguments:?}: {}", outcome.errors);
        assert_eq!(outcome.output, "", "{arguments:?}");
    }
}

#[test]
fn what_could_not_be_read_is_3_and_is_said() {
    let broken = format!("{PUBLIC_BUCKET}resource \"aws_s3_bucket\" {{{{\n");
    let repository = Repository::new([("main.tf", broken.as_str())]);
    let outcome = repository.scan([]);
    assert_eq!(outcome.code, Some(3));
    assert!(outcome.errors.contains("warning[syntax-error]"), "{}", outcome.errors);
    assert!(outcome.output.contains("high[bucket-acl-public]"), "what could be read is judged: {}", outcome.output);
    assert_eq!(repository.scan(["--allow-incomplete"]).code, Some(1));
    assert_eq!(repository.scan(["--allow-incomplete", "--fail-on", "none"]).code, Some(0));

    let repository = Repository::new([("main.tf", SOUND_BUCKET)]);
    repository.write("latin.tf", b"# \xe9\n");
    let outcome = repository.scan([]);
    assert_eq!(outcome.code, Some(3));
    assert!(outcome.errors.contains("not UTF-8 behind byte 2"), "{}", outcome.errors);
    let report = repository.report([]);
    assert_eq!(report["summary"]["incomplete"], true);
    assert_eq!(report["diagnostics"][0]["file"], "latin.tf");
}

#[test]
fn a_module_that_is_not_there_is_3_and_named_once() {
    let call = |name: &str| format!("module \"{name}\" {{\n  source = \"git::https://me:hunter2@example.com/x.git?token=hunter3\"\n}}\n");
    let repository = Repository::new([("main.tf", format!("{}{}", call("a"), call("b")).as_str())]);
    let outcome = repository.scan([]);
    assert_eq!(outcome.code, Some(3));
    assert_eq!(outcome.errors.matches("git::https://***@example.com/x.git?token=*** (2 calls)").count(), 1, "{}", outcome.errors);
    for format in ["text", "json", "sarif"] {
        let outcome = repository.scan(["--format", format, "--include", "unknown"]);
        assert!(!format!("{outcome:?}").contains("hunter"), "{outcome:?}");
    }
}

#[test]
fn an_unsound_rule_is_3_and_the_others_judge() {
    let repository = Repository::new([("main.tf", PUBLIC_BUCKET), ("policies/odd.yaml", "id: odd\ntitle: Odd\nseverty: high\n")]);
    let outcome = repository.scan(["--rules", "policies"]);
    assert_eq!(outcome.code, Some(3));
    assert!(outcome.errors.contains("unsound-rule") && outcome.errors.contains("policies/odd.yaml:3:1"), "{}", outcome.errors);
    assert!(outcome.output.contains("high[bucket-acl-public]"));
}

#[test]
fn nothing_to_scan_is_5() {
    let repository = Repository::new([("README.md", "# no code\n"), ("docker-compose.yaml", "{}\n")]);
    let outcome = repository.scan([]);
    assert_eq!(outcome.code, Some(5));
    assert!(outcome.output.starts_with("Nothing to scan\n") && outcome.output.contains("1 yaml"), "{}", outcome.output);
}

#[test]
fn a_reader_that_goes_away_is_no_error() {
    let repository = Repository::new([]);
    for index in 0..2000 {
        repository.write(&format!("f{index}.tf"), PUBLIC_BUCKET.replace("site", &format!("site{index}")));
    }
    let command = format!("{} scan --rules ../rules --no-builtin-rules --format json | head -c 10", env!("CARGO_BIN_EXE_keyblind"));
    let outcome = keyblind_testkit::Program::new("/bin/bash")
        .with(["-o", "pipefail", "-c", &command])
        .within(&repository.path())
        .variable("PATH", "/usr/bin:/bin")
        .run();
    assert_eq!((outcome.code, outcome.errors.as_str()), (Some(1), ""), "{outcome:?}");
}
