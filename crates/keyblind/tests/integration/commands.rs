//! The commands beside `scan`.

use crate::support::{PUBLIC_BUCKET, Repository};

#[test]
fn rules_are_listed_for_people_and_programs() {
    let repository = Repository::new([]);
    let text = repository.with_rules(["rules", "list"]).run();
    insta::assert_snapshot!(text.output);
    let json = repository.with_rules(["rules", "list", "--format", "json", "cis:5.2"]).run();
    insta::assert_snapshot!(json.output);
}

#[test]
fn the_rules_that_are_built_in_are_sound() {
    let repository = Repository::new([]);
    let outcome = repository.program(["rules", "list", "--format", "json"]).run();
    let rules: serde_json::Value = serde_json::from_str(&outcome.output).unwrap();
    assert!(rules.as_array().unwrap().iter().all(|rule| rule["builtin"] == true));
    assert!(rules.as_array().unwrap().iter().any(|rule| rule["aliases"].as_array().unwrap().iter().any(|alias| alias == "CKV_AWS_20")));
}

#[test]
fn examples_of_rules_are_judged() {
    let repository = Repository::new([]);
    let outcome = repository.with_rules(["rules", "test"]).run();
    assert_eq!((outcome.code, outcome.errors.as_str()), (Some(0), "3 of 3 rules sound, 6 examples judged\n"));
    repository.write("own/wrong.yaml", "id: wrong\ntitle: Wrong\nseverity: low\nconfidence: high\nwhy: x\nfix: y\nreferences: ['https://example.com']\nterraform:\n  resources: [a]\n  fail: {b: true}\nexamples:\n  terraform:\n    bad: |\n      resource \"a\" \"x\" {}\n    good: |\n      resource \"a\" \"x\" {\n        b = true\n      }\n");
    let outcome = repository.program(["rules", "test", "--rules", "own", "--no-builtin-rules"]).run();
    assert_eq!(outcome.code, Some(1), "{outcome:?}");
    assert_eq!(outcome.output, "wrong: terraform bad example 1 doesn't fail\nwrong: terraform good example 1 fails\n");
}

#[test]
fn a_rule_is_explained_by_any_id() {
    let repository = Repository::new([]);
    let outcome = repository.with_rules(["explain", "ckv_test_20"]).run();
    insta::assert_snapshot!(outcome.output);
    let outcome = repository.with_rules(["explain", "ckv_test_2"]).run();
    assert_eq!(outcome.code, Some(2));
    assert!(outcome.errors.contains("did you mean"), "{}", outcome.errors);
}

#[test]
fn a_finding_is_explained_by_its_fingerprint() {
    let repository = Repository::new([("main.tf", PUBLIC_BUCKET)]);
    let report = repository.report([]);
    let fingerprint = report["results"][0]["fingerprint"].as_str().unwrap();
    let outcome = repository.with_rules(["explain", &fingerprint[..8]]).run();
    assert_eq!(outcome.code, Some(0), "{outcome:?}");
    assert!(
        outcome.output.contains("--> main.tf:2:9") && outcome.output.contains("Anybody can download every object."),
        "{}",
        outcome.output
    );
    let outcome = repository.with_rules(["explain", "0123456789abcdef0123456789abcdef"]).run();
    assert_eq!(outcome.code, Some(2));
}

#[test]
fn help_teaches_by_example_and_scripts_are_printed() {
    let repository = Repository::new([]);
    let help = repository.program(["scan", "--help"]).run();
    assert_eq!(help.code, Some(0));
    assert!(help.output.contains("keyblind scan --fail-on high") && help.errors.is_empty());
    for shell in ["bash", "zsh", "fish", "powershell"] {
        assert!(repository.program(["completions", shell]).run().output.contains("keyblind"), "{shell}");
    }
    let manual = repository.program(["man"]).run();
    assert!(manual.output.contains(".TH keyblind") && manual.output.contains("baseline"), "{}", manual.output);
}

/// What a program can't call it doesn't import.
#[cfg(all(target_os = "linux", target_endian = "little", target_pointer_width = "64"))]
#[test]
fn the_program_has_no_way_to_open_a_socket() {
    let imports = keyblind_testkit::imports(std::path::Path::new(env!("CARGO_BIN_EXE_keyblind")));
    for name in ["socket", "socketpair", "connect", "getaddrinfo", "bind", "listen", "sendto", "sendmsg"] {
        assert!(!imports.contains(name), "{name}");
    }
}
