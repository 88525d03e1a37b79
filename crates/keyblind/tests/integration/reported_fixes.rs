//! Fixes in reports: what `keyblind scan --fixes` hands over does what it says, and tells nobody's secrets.

use std::process::Command;

use serde_json::Value;
use sha2::{Digest, Sha256};

use crate::support::Repository;

const FORMATS: [&str; 12] =
    ["text", "json", "sarif", "markdown", "html", "page-data", "junit", "gitlab-sast", "codequality", "github", "csv", "checkov-json"];

/// Two faults in one file, of which one is a line that is different and one a block that is missing.
const TWO: &str = "resource \"aws_s3_bucket\" \"first\" {\n  bucket = \"first\" # ünïcödé\n  acl    = \"public-read\" # everybody\n\n  versioning {\n    enabled = true\n  }\n}\n\nresource \"aws_s3_bucket\" \"second\" {\n  bucket = \"second\"\n  acl    = \"private\"\n}\n";

/// A value that comes from another file.
const ELSEWHERE: [(&str, &str); 2] = [
    ("main.tf", "resource \"aws_s3_bucket\" \"a\" {\n  acl = var.acl\n  versioning {\n    enabled = true\n  }\n}\n"),
    ("variables.tf", "variable \"acl\" {\n  default = \"public-read\"\n}\n"),
];

/// A fault of which no file is edited.
const UNEDITED: &str = "{\"resource\": {\"aws_s3_bucket\": {\"a\": {\"acl\": \"public-read\", \"versioning\": [{\"enabled\": true}]}}}}";

fn fixes(repository: &Repository, format: &str) -> String {
    let outcome = repository.scan(["--fixes", "--format", format]);
    assert!(matches!(outcome.code, Some(0 | 1)), "{outcome:?}");
    outcome.output
}

fn json(repository: &Repository, format: &str) -> Value {
    serde_json::from_str(&fixes(repository, format)).expect("JSON")
}

/// The text with the edits of one fix.
fn applied(text: &str, edits: &[Value]) -> String {
    let mut made = text.to_owned();
    let digest: String = Sha256::digest(text).iter().map(|byte| format!("{byte:02x}")).collect();
    for edit in edits.iter().rev() {
        assert_eq!(edit["digest"], digest.as_str());
        let offset = |key: &str| edit[key].as_u64().expect("a number") as usize;
        for (offset, line, column) in [("start", "line", "column"), ("end", "end_line", "end_column")]
            .map(|(at, line, column)| (offset(at), &edit[line], &edit[column]))
        {
            let before = &text[..offset];
            assert_eq!(*line, before.matches('\n').count() + 1);
            assert_eq!(*column, before.rsplit('\n').next().unwrap_or_default().chars().count() + 1);
        }
        made.replace_range(offset("start")..offset("end"), edit["replacement"].as_str().expect("a text"));
    }
    made
}

#[test]
fn each_edit_fits_the_file_as_it_is_and_mends_its_finding_alone() {
    let repository = Repository::new([("main.tf", TWO)]);
    let report = json(&repository, "json");
    let results = report["results"].as_array().expect("a list");
    assert_eq!(results.len(), 2, "{report:#}");
    for result in results {
        let fix = &result["fix"];
        let safe = result["rule"] == "bucket-acl-public";
        assert_eq!(fix["class"], if safe { "safe" } else { "unsafe" }, "{fix:#}");
        assert_eq!(fix["effects"].as_array().map(Vec::len), Some(usize::from(!safe)));
        let made = applied(TWO, fix["edits"].as_array().expect("a list"));
        repository.write("main.tf", &made);
        let left = repository.report([]);
        assert_eq!(left["summary"]["failed"], 1, "{made}");
        assert_ne!(left["results"][0]["fingerprint"], result["fingerprint"]);
        repository.write("main.tf", TWO);
    }
    assert_eq!(applied(TWO, results[0]["fix"]["edits"].as_array().unwrap()), TWO.replace("public-read", "private"));
}

#[test]
fn a_fix_lands_where_the_value_comes_from_and_says_so() {
    let repository = Repository::new(ELSEWHERE);
    let report = json(&repository, "json");
    let edit = &report["results"][0]["fix"]["edits"][0];
    assert_eq!((&edit["path"], &edit["replacement"]), (&"variables.tf".into(), &"private".into()));
    let text = fixes(&repository, "text");
    assert!(text.contains("      variables.tf\n"), "the other file is named: {text}");
}

#[test]
fn a_service_gets_replacements_that_make_the_same_text() {
    let repository = Repository::new([("main.tf", TWO)]);
    let (own, sarif) = (json(&repository, "json"), json(&repository, "sarif"));
    for (result, own) in sarif["runs"][0]["results"].as_array().unwrap().iter().zip(own["results"].as_array().unwrap()) {
        let change = &result["fixes"][0]["artifactChanges"][0];
        assert_eq!(change["artifactLocation"]["uri"], "main.tf");
        let mut made = TWO.to_owned();
        for replacement in change["replacements"].as_array().unwrap().iter().rev() {
            let region = &replacement["deletedRegion"];
            let offset = |line: &str, column: &str| {
                let (line, column) = (region[line].as_u64().unwrap() as usize, region[column].as_u64().unwrap() as usize);
                let start: usize = TWO.split_inclusive('\n').take(line - 1).map(str::len).sum();
                start + TWO[start..].chars().take(column - 1).map(char::len_utf8).sum::<usize>()
            };
            let range = offset("startLine", "startColumn")..offset("endLine", "endColumn");
            made.replace_range(range, replacement["insertedContent"]["text"].as_str().unwrap_or_default());
        }
        assert_eq!(made, applied(TWO, own["fix"]["edits"].as_array().unwrap()));
        assert_eq!(result["properties"]["fixClass"], own["fix"]["class"]);
    }
}

#[test]
fn people_see_the_command_and_the_lines_that_change() {
    let repository = Repository::new([("main.tf", TWO)]);
    insta::assert_snapshot!(fixes(&repository, "text"));
}

/// The lines of each block of code of a kind, with the sentence above it.
fn blocks<'m>(markdown: &'m str, kind: &str) -> Vec<(&'m str, String)> {
    let lines: Vec<&str> = markdown.lines().collect();
    let opening = format!("```{kind}");
    let starts = (0..lines.len()).filter(|&at| lines[at] == opening);
    let block = |start: usize| {
        let inner = lines[start + 1..].iter().take_while(|line| **line != "```");
        (lines[start - 2], inner.map(|line| format!("{line}\n")).collect())
    };
    starts.map(block).collect()
}

#[test]
fn a_reviewer_can_accept_what_lies_beside_the_finding() {
    let repository = Repository::new([("main.tf", TWO)]);
    let comment = fixes(&repository, "markdown");
    let found = blocks(&comment, "suggestion");
    assert_eq!(found.len(), 2, "{comment}");
    for (place, text) in found {
        let numbers: Vec<usize> = place.split(|letter: char| !letter.is_ascii_digit()).filter_map(|word| word.parse().ok()).collect();
        let (first, last) = (numbers[0], numbers[numbers.len() - 1]);
        let lines: Vec<&str> = TWO.split_inclusive('\n').collect();
        let made = format!("{}{text}{}", lines[..first - 1].concat(), lines[last..].concat());
        repository.write("main.tf", &made);
        assert_eq!(repository.report([])["summary"]["failed"], 1, "{place}\n{made}");
    }
}

#[test]
fn what_lies_elsewhere_is_a_diff_and_no_suggestion() {
    let comment = fixes(&Repository::new(ELSEWHERE), "markdown");
    assert!(blocks(&comment, "suggestion").is_empty(), "{comment}");
    assert!(blocks(&comment, "diff")[0].1.contains("+  default = \"private\"\n"), "{comment}");
}

#[test]
fn the_page_shows_the_diff_and_copies_a_patch_that_git_takes() {
    let repository = Repository::new([("main.tf", TWO)]);
    let page = fixes(&repository, "html");
    assert_eq!(page.matches("<h3>Proven fix").count(), 2);
    let start = page.find("data-text=\"").expect("a button") + 11;
    let patch = &page[start..start + page[start..].find('"').expect("the attribute ends")];
    let patch = ["&#34; \"", "&quot; \"", "&#39; '", "&#60; <", "&#62; >", "&lt; <", "&gt; >", "&#38; &", "&amp; &"]
        .iter()
        .filter_map(|pair| pair.split_once(' '))
        .fold(patch.to_owned(), |text, (entity, character)| text.replace(entity, character));
    repository.write("fix.patch", &patch);
    let outcome = Command::new("git").args(["apply", "fix.patch"]).current_dir(repository.path()).output().expect("git is there");
    assert!(outcome.status.success(), "{}\n{patch}", String::from_utf8_lossy(&outcome.stderr));
    assert_eq!(repository.read("main.tf"), TWO.replace("public-read", "private"));
}

#[test]
fn every_report_says_what_stands_in_the_way_and_what_to_do() {
    let repository = Repository::new([("main.tf.json", UNEDITED)]);
    for format in FORMATS {
        let report = fixes(&repository, format).replace("\n          ", " ");
        assert!(report.contains("unedited-syntax") && report.contains("a syntax that isn"), "{format}: {report}");
        let forms = ["`private`", "<code>private</code>", "{\"is_code\":true,\"text\":\"private\"}"];
        assert!(forms.iter().any(|form| report.contains(form)), "{format}: what to do by hand: {report}");
    }
}

#[test]
fn nothing_is_said_of_fixes_where_none_was_asked_for() {
    let repository = Repository::new([("main.tf", TWO), ("b/main.tf.json", UNEDITED)]);
    for format in FORMATS {
        let report = repository.scan(["--format", format]).output.to_lowercase();
        assert!(!report.contains("keyblind fix") && !report.contains("no fix") && !report.contains("proven fix"), "{format}: {report}");
    }
}

#[test]
fn no_secret_gets_into_a_report_through_a_fix() {
    let secret = "hunter2-is-the-word";
    let code = format!(
        "resource \"aws_s3_bucket\" \"a\" {{\n  password = \"{secret}\"\n  acl      = \"public-read\"\n}}\n\nresource \"aws_db_instance\" \"a\" {{\n  password = \"{secret}\"\n}}\n"
    );
    let repository = Repository::new([("main.tf", code.as_str())]);
    for format in FORMATS {
        let report = fixes(&repository, format);
        assert!(!report.contains(secret), "{format}: {report}");
    }
}

#[test]
fn equal_input_gives_equal_fixes() {
    let repository = Repository::new([("main.tf", TWO), ("b/main.tf.json", UNEDITED)]);
    for (name, text) in ELSEWHERE {
        repository.write(&format!("c/{name}"), text);
    }
    for format in FORMATS {
        let first = fixes(&repository, format);
        assert_eq!(first, fixes(&repository, format), "{format}");
    }
}

#[test]
fn values_of_the_configuration_are_used_and_a_rule_that_is_none_is_an_error() {
    let repository = Repository::new([("main.tf", TWO), ("keyblind.toml", "[fix.values.bucket-acl-publik]\nacl = \"private\"\n")]);
    for command in ["scan", "fix"] {
        let outcome = repository.with_rules([command]).run();
        assert_eq!(outcome.code, Some(2), "{outcome:?}");
        let said = "keyblind.toml:1: no rule is called `bucket-acl-publik`; did you mean `bucket-acl-public`?";
        assert!(outcome.errors.contains(said), "{}", outcome.errors);
    }
    repository.write("keyblind.toml", "[fix.values.CKV_TEST_20]\nacl = { a = 1 }\n");
    let outcome = repository.scan([]);
    assert!(outcome.errors.contains("a table can't be given here"), "{}", outcome.errors);
}
