//! What reports look like, and that they have the form that is promised.

use serde_json::Value;

use crate::support::{PUBLIC_BUCKET, Repository};

const MODULE: &str = "variable \"acl\" {}

resource \"aws_s3_bucket\" \"b\" {
  count = 3
  acl   = var.acl
  versioning {
    enabled = true
  }
}
";

const CALLER: &str = "variable \"acl\" {
  default = \"public-read\"
}

module \"web\" {
  source = \"./modules/bucket\"
  acl    = var.acl
}

resource \"aws_s3_bucket\" \"cache\" {
  #checkov:skip=CKV_TEST_21:holds only copies
  acl = \"private\"
}

resource \"aws_s3_bucket\" \"late\" {
  acl = aws_s3_bucket.cache.missing_attribute
}
";

fn repository() -> Repository {
    Repository::new([
        ("main.tf", CALLER),
        ("modules/bucket/main.tf", MODULE),
        ("chart/values.yaml", "a: 1\n"),
        ("node_modules/x/main.tf", PUBLIC_BUCKET),
    ])
}

#[test]
fn the_text_report_shows_the_value_its_way_and_what_to_do() {
    insta::assert_snapshot!(repository().scan(["--show-suppressed"]).output);
}

#[test]
fn the_json_report_says_the_same_to_programs() {
    insta::assert_snapshot!(repository().scan(["--format", "json", "--include", "passed,unknown"]).output);
}

#[test]
fn the_sarif_report_says_the_same_to_services() {
    let outcome = repository().scan(["--format", "sarif"]);
    insta::assert_snapshot!(outcome.output.replace(env!("CARGO_PKG_VERSION"), "VERSION"));
}

#[test]
fn the_json_report_has_the_published_form() {
    let schema = include_str!("../../../../docs/report.schema.json");
    let validator = validator(schema);
    for report in every_kind_of_report("json", &["--include", "passed,unknown"]) {
        validate(&validator, &report);
    }
}

#[test]
fn the_published_form_knows_every_effect_and_every_reason() {
    let schema: Value = serde_json::from_str(include_str!("../../../../docs/report.schema.json")).expect("JSON");
    let forms = &schema["$defs"]["fix"]["oneOf"];
    let words = |list: &Value| -> Vec<String> {
        list.as_array().expect("a list").iter().map(|word| word.as_str().expect("a word").to_owned()).collect()
    };
    let effects = &forms[0]["properties"]["effects"]["items"]["properties"]["effect"]["enum"];
    assert_eq!(words(effects), keyblind_fix::Effect::ALL.iter().map(|effect| effect.name()).collect::<Vec<_>>());
    let reasons = &forms[1]["properties"]["hindrance"]["properties"]["reason"]["enum"];
    assert_eq!(words(reasons), keyblind_fix::Hindrance::ALL.iter().map(|hindrance| hindrance.name()).collect::<Vec<_>>());
}

#[test]
fn the_sarif_report_is_valid_sarif() {
    let schema = include_str!("../../../report/tests/schemas/sarif-2.1.0.json");
    // One of the standard's own patterns has a bracket that nothing opens.
    let validator = validator(&schema.replace("-[a-zA-Z]{2}]?$", "(-[a-zA-Z]{2})?$"));
    for report in every_kind_of_report("sarif", &["--include", "passed,unknown", "--category", "envs/prod"]) {
        validate(&validator, &report);
        let run = &report["runs"][0];
        assert_eq!(run["automationDetails"]["id"], "keyblind/envs/prod/");
        assert!(run["tool"]["driver"]["rules"].as_array().is_some_and(|rules| rules.len() <= 25_000));
        for result in run["results"].as_array().unwrap() {
            let rule = &run["tool"]["driver"]["rules"][result["ruleIndex"].as_u64().unwrap() as usize];
            assert_eq!(rule["id"], result["ruleId"]);
            let uri = result["locations"][0]["physicalLocation"]["artifactLocation"]["uri"].as_str().unwrap();
            assert!(!uri.starts_with('/') && !uri.contains(".."), "{uri}");
        }
    }
}

#[test]
fn a_service_is_told_where_the_code_comes_from_and_no_secret() {
    let repository = repository();
    let run = |arguments: &[&str]| -> Value {
        let outcome = repository.scan(["--format", "sarif"].into_iter().chain(arguments.iter().copied()));
        serde_json::from_str::<Value>(&outcome.output).expect("JSON")["runs"][0].clone()
    };
    assert!(run(&[])["versionControlProvenance"].is_null(), "it comes from nowhere");
    let address = "https://somebody:hunter2@example.com/org/repo.git?token=hunter2";
    repository.write(".git/config", format!("[remote \"origin\"]\n\turl = {address}\n"));
    std::fs::create_dir_all(repository.path().join(".git/objects")).expect("a folder");
    std::fs::create_dir_all(repository.path().join(".git/refs")).expect("a folder");
    let provenance = &run(&[])["versionControlProvenance"][0];
    assert_eq!(provenance["repositoryUri"], "https://example.com/org/repo.git");
    assert_eq!((&provenance["branch"], &provenance["mappedTo"]["uriBaseId"]), (&"main".into(), &"%SRCROOT%".into()));
    assert!(provenance["revisionId"].is_null(), "nothing is committed");
    let part = run(&["--root", "modules", "modules"]);
    assert!(part["versionControlProvenance"][0]["mappedTo"].is_null(), "paths are relative to a part of it");
    assert!(!repository.scan(["--format", "sarif"]).output.contains("hunter2"));
}

/// Reports with all kinds of results and of diagnostics.
fn every_kind_of_report(format: &str, arguments: &[&str]) -> Vec<Value> {
    let broken = Repository::new([
        ("main.tf", "resource \"aws_s3_bucket\" \"a\" {\n  acl = \n}\nmodule \"m\" {\n  source = \"x/y/z\"\n}\n"),
        ("b r/c#d.tf", "# keyblind:ignore[nothing]\nresource \"aws_s3_bucket\" \"b\" {\n}\n"),
    ]);
    broken.write("latin.tf", b"\xff");
    let empty = Repository::new([("README.md", "")]);
    let baselined = repository();
    assert_eq!(baselined.with_rules(["baseline", "write", "--baseline", "known.jsonl"]).run().code, Some(0));
    let run = |repository: &Repository, extra: &[&str]| {
        let outcome = repository.scan(["--format", format].into_iter().chain(arguments.iter().copied()).chain(extra.iter().copied()));
        serde_json::from_str(&outcome.output).unwrap_or_else(|error| panic!("{error}: {outcome:?}"))
    };
    vec![
        run(&repository(), &[]),
        run(&repository(), &["--fixes"]),
        run(&broken, &["--fixes"]),
        run(&empty, &[]),
        run(&baselined, &["--baseline", "known.jsonl"]),
    ]
}

fn validator(schema: &str) -> jsonschema::Validator {
    jsonschema::validator_for(&serde_json::from_str(schema).expect("JSON")).expect("a schema")
}

fn validate(validator: &jsonschema::Validator, report: &Value) {
    let errors: Vec<String> = validator.iter_errors(report).map(|error| format!("{}: {error}", error.instance_path())).collect();
    assert!(errors.is_empty(), "{errors:#?}\n{report:#}");
}

#[test]
fn equal_input_gives_equal_bytes() {
    let repository = repository();
    for index in 0..40 {
        repository.write(&format!("envs/{index}/main.tf"), PUBLIC_BUCKET.replace("site", &format!("site{}", index % 7)));
    }
    for format in ["text", "json", "sarif"] {
        let first = repository.scan(["--format", format, "--include", "passed,unknown"]);
        for _ in 0..5 {
            assert_eq!(repository.scan(["--format", format, "--include", "passed,unknown"]), first);
        }
    }
}

#[test]
fn reports_go_to_files_as_well() {
    let repository = repository();
    let printed = repository.scan(["--format", "json"]).output;
    let outcome = repository.scan(["--format", "json", "--output", "sarif=out.sarif", "--output", "json=out.json"]);
    assert_eq!((outcome.code, &outcome.output), (Some(1), &printed));
    assert!(repository.read("out.sarif").contains("\"version\":\"2.1.0\""));
    assert_eq!(repository.read("out.json"), printed);
}

#[test]
fn there_is_colour_only_where_it_is_wanted() {
    let repository = repository();
    let escapes = |program: keyblind_testkit::Program| program.run().output.contains('\u{1b}');
    assert!(!escapes(repository.with_rules(["scan"])));
    assert!(escapes(repository.with_rules(["scan", "--color", "always"])));
    assert!(escapes(repository.with_rules(["scan"]).variable("FORCE_COLOR", "1")));
    assert!(!escapes(repository.with_rules(["scan"]).variable("FORCE_COLOR", "1").variable("NO_COLOR", "1")));
    assert!(!escapes(repository.with_rules(["scan", "--color", "never"]).variable("FORCE_COLOR", "1")));
}

#[test]
fn hostile_text_does_not_steer_the_terminal() {
    let repository = Repository::new([(
        "ev\u{1b}[31mil.tf",
        "resource \"aws_s3_bucket\" \"a\" {\n  acl = \"public-read\" /* \u{1b}]0;title\u{7} \u{202e} */\n  # checkov:skip=CKV_TEST_21: \u{1b}[2J\n}\n",
    )]);
    let outcome = repository.scan(["--show-suppressed"]);
    assert_eq!(outcome.code, Some(1));
    assert!(!outcome.output.contains(['\u{1b}', '\u{7}', '\u{202e}']), "{:?}", outcome.output);
}

/// Every pair of a resource and a rule about its type has one verdict, and all of them are counted.
#[test]
fn the_numbers_add_up() {
    let repository = repository();
    for arguments in [&[][..], &["--no-ignores"], &["--rule", "bucket-acl-public"]] {
        let all = repository.report(["--include", "passed,unknown"].into_iter().chain(arguments.iter().copied()));
        let summary = &all["summary"];
        let number = |key: &str| summary[key].as_u64().unwrap();
        let buckets = 5;
        let rules = if arguments.contains(&"--rule") { 1 } else { 2 };
        assert_eq!(
            number("failed") + number("passed") + number("unknown") + number("suppressed") + number("not_applicable"),
            buckets * rules
        );
        for status in ["failed", "passed", "unknown", "suppressed"] {
            let listed = all["results"].as_array().unwrap().iter().filter(|result| result["status"] == status).count();
            assert_eq!(listed as u64, number(status), "{status}");
        }
        assert_eq!(
            summary["failed_by_severity"].as_object().unwrap().values().map(|count| count.as_u64().unwrap()).sum::<u64>(),
            number("failed")
        );
    }
}

#[test]
fn of_more_results_than_services_take_the_worst_are_written_and_it_is_said() {
    let bucket = |index: usize| format!("resource \"aws_s3_bucket\" \"b{index}\" {{\n  acl = \"public-read\"\n}}\n");
    let text: String = (0..13_000).map(bucket).collect();
    let repository = Repository::new([("main.tf", text.as_str())]);
    let outcome = repository.scan(["--format", "sarif"]);
    let report: Value = serde_json::from_str(&outcome.output).unwrap();
    let run = &report["runs"][0];
    let results = run["results"].as_array().unwrap();
    assert_eq!(results.len(), 25_000);
    assert_eq!(results.iter().filter(|result| result["ruleId"] == "bucket-acl-public").count(), 13_000, "the severe ones are all there");
    let notification = &run["invocations"][0]["toolExecutionNotifications"][0];
    assert_eq!(notification["descriptor"]["id"], "too-many-results");
    assert!(notification["message"]["text"].as_str().unwrap().starts_with("1000 results are left out"));
}
