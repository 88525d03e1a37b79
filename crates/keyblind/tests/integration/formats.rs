//! The reports that other tools read: their form, and that nothing of a repository gets out of its place in them.

use serde_json::{Value, json};

use crate::support::{PUBLIC_BUCKET, Repository};

/// A name that every format must keep from doing harm.
const HOSTILE: &str = "resource \"aws_s3_bucket\" \"x\" {\n  for_each = toset([\"</code><script>alert(1)</script> @org/all ``` | =1+1 ::error::\"])\n  acl      = \"public-read\"\n}\n";

fn report(format: &str) -> String {
    let repository = Repository::new([("main.tf", PUBLIC_BUCKET), ("hostile.tf", HOSTILE)]);
    let outcome = repository.scan(["--format", format]);
    assert_eq!(outcome.code, Some(1), "{format}: {}", outcome.errors);
    assert_eq!(outcome.output, repository.scan(["--format", format]).output, "{format}: the same input gives the same bytes");
    outcome.output
}

#[test]
fn the_page_shows_every_finding_and_runs_nothing_of_the_repository() {
    let page = report("html");
    assert!(page.contains("Content-Security-Policy") && page.contains("default-src &#39;none&#39;") || page.contains("default-src 'none'"));
    assert!(page.matches("<article").count() >= 2);
    assert_eq!(page.matches("<script>").count(), 1, "only the page's own");
    assert!(!page.contains("<script>alert"));
    assert!(page.contains("&#60;script&#62;alert") || page.contains("&lt;script&gt;alert"));
    assert!(!page.contains("src=\"http") && !page.contains("<link"));
}

#[test]
fn a_comment_keeps_what_it_quotes_in_its_place() {
    let comment = report("markdown");
    assert!(comment.starts_with("<!-- keyblind-report -->\n## Keyblind\n"));
    assert!(comment.contains("Bucket ACL lets anybody read"));
    let outside = without_code(&comment);
    assert!(!outside.contains("@org/all") && !outside.contains("<script"), "{outside}");
}

/// What stands neither in fences nor in code spans (CommonMark 0.31, sections 4.5 and 6.1).
fn without_code(markdown: &str) -> String {
    let mut fence: Option<&str> = None;
    let mut text = String::new();
    for line in markdown.lines() {
        match fence {
            Some(open) if line.starts_with(open) => fence = None,
            Some(_) => {}
            None if line.starts_with("```") => fence = Some(&line[..line.len() - line.trim_start_matches('`').len()]),
            None => {
                text.push_str(line);
                text.push('\n');
            }
        }
    }
    let mut rest = text.as_str();
    let mut outside = String::new();
    while let Some(at) = rest.find('`') {
        outside.push_str(&rest[..at]);
        let run = rest[at..].len() - rest[at..].trim_start_matches('`').len();
        let behind = &rest[at + run..];
        let mut from = 0;
        let closing = loop {
            let Some(next) = behind[from..].find('`').map(|next| from + next) else { break None };
            let length = behind[next..].len() - behind[next..].trim_start_matches('`').len();
            if length == run {
                break Some(next + length);
            }
            from = next + length;
        };
        rest = &behind[closing.unwrap_or(0)..];
    }
    outside + rest
}

#[test]
fn test_cases_are_well_formed_and_none_is_left_out() {
    let xml = report("junit");
    let mut reader = quick_xml::Reader::from_str(&xml);
    let (mut cases, mut failures) = (0, 0);
    loop {
        match reader.read_event().expect("well-formed XML") {
            quick_xml::events::Event::Eof => break,
            quick_xml::events::Event::Start(tag) | quick_xml::events::Event::Empty(tag) => match tag.name().as_ref() {
                b"testcase" => cases += 1,
                b"failure" => failures += 1,
                _ => {}
            },
            _ => {}
        }
    }
    // Two buckets, two rules: a verdict each.
    assert_eq!(cases, 4, "{xml}");
    assert!(failures >= 2);
}

#[test]
fn gitlab_recognises_a_finding_by_its_fingerprint() {
    let sast: Value = serde_json::from_str(&report("gitlab-sast")).expect("JSON");
    assert_eq!(sast["version"], "15.0.7");
    let found = sast["vulnerabilities"].as_array().expect("a list");
    assert!(found.len() >= 2);
    for vulnerability in found {
        for required in ["id", "severity", "location", "identifiers", "tracking"] {
            assert!(!vulnerability[required].is_null(), "{required}");
        }
        assert_eq!(vulnerability["id"], vulnerability["tracking"]["items"][0]["signatures"][0]["value"]);
    }
    let quality: Value = serde_json::from_str(&report("codequality")).expect("JSON");
    let issue = &quality.as_array().expect("a list")[0];
    assert!(["info", "minor", "major", "critical", "blocker"].contains(&issue["severity"].as_str().expect("a text")));
    assert!(issue["location"]["lines"]["begin"].is_u64());
}

/// What GitLab's schema of version 15.0.7 asks of a SAST report's parts that we write: required members, lengths, patterns
/// and closed lists, stated by ourselves.
fn required_of_sast() -> Value {
    let text = |least: u32, most: u32| json!({"type": "string", "minLength": least, "maxLength": most});
    let tool = json!({
        "type": "object",
        "required": ["id", "name", "vendor", "version"],
        "properties": {
            "id": text(1, 255), "name": text(1, 255), "version": text(1, 255),
            "url": {"type": "string", "pattern": "^https?://.+"},
            "vendor": {"type": "object", "required": ["name"], "properties": {"name": text(1, 255)}},
        },
    });
    let time = json!({"type": "string", "pattern": "^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}$"});
    let address = json!({"type": "string", "pattern": "^(https?|ftp)://.+"});
    let line = json!({"type": "integer", "minimum": 1});
    let signature =
        json!({"type": "object", "required": ["algorithm", "value"], "properties": {"algorithm": text(1, 255), "value": text(1, 255)}});
    json!({
        "type": "object",
        "required": ["scan", "version", "vulnerabilities"],
        "properties": {
            "version": {"type": "string", "pattern": "^[0-9]+[.][0-9]+[.][0-9]+$"},
            "scan": {
                "type": "object",
                "required": ["analyzer", "scanner", "start_time", "end_time", "status", "type"],
                "properties": {
                    "analyzer": tool, "scanner": tool, "start_time": time, "end_time": time,
                    "status": {"enum": ["success", "failure"]}, "type": {"enum": ["sast"]},
                },
            },
            "vulnerabilities": {"type": "array", "items": {
                "type": "object",
                "required": ["id", "identifiers", "location"],
                "properties": {
                    "id": text(1, 255), "name": text(1, 255), "description": text(1, 1_048_576), "solution": text(0, 7_000),
                    "severity": {"enum": ["Info", "Unknown", "Low", "Medium", "High", "Critical"]},
                    "identifiers": {"type": "array", "minItems": 1, "items": {
                        "type": "object", "required": ["type", "name", "value"],
                        "properties": {"type": text(1, 255), "name": text(1, 255), "value": text(1, 255), "url": address},
                    }},
                    "links": {"type": "array", "items": {"type": "object", "required": ["url"], "properties": {"url": address}}},
                    "location": {"type": "object", "properties": {"file": text(1, 4096), "start_line": line, "end_line": line}},
                    "tracking": {"type": "object", "required": ["type", "items"], "properties": {
                        "type": {"const": "source"},
                        "items": {"type": "array", "items": {
                            "type": "object", "required": ["signatures"],
                            "properties": {"signatures": {"type": "array", "minItems": 1, "items": signature}, "start_line": line, "end_line": line},
                        }},
                    }},
                },
            }},
        },
    })
}

/// The same of a code quality report, by GitLab's page about it.
fn required_of_code_quality() -> Value {
    let text = json!({"type": "string", "minLength": 1});
    let lines = json!({"type": "object", "required": ["begin"], "properties": {"begin": {"type": "integer", "minimum": 1}}});
    json!({"type": "array", "items": {
        "type": "object",
        "required": ["description", "check_name", "fingerprint", "severity", "location"],
        "properties": {
            "description": text, "check_name": text, "fingerprint": text,
            "severity": {"enum": ["info", "minor", "major", "critical", "blocker"]},
            "location": {"type": "object", "required": ["path", "lines"], "properties": {"path": {"type": "string", "pattern": "^[^./]"}, "lines": lines}},
        },
    }})
}

#[test]
fn gitlab_gets_what_its_forms_require() {
    for (format, schema) in [("gitlab-sast", required_of_sast()), ("codequality", required_of_code_quality())] {
        let report: Value = serde_json::from_str(&report(format)).expect("JSON");
        let validator = jsonschema::validator_for(&schema).expect("a schema");
        let errors: Vec<String> = validator.iter_errors(&report).map(|error| format!("{}: {error}", error.instance_path())).collect();
        assert_eq!(errors, [""; 0], "{format}");
        let count = report.as_array().or(report["vulnerabilities"].as_array()).map_or(0, Vec::len);
        assert!(count >= 2, "{format} holds {count} findings");
        // The schema itself can tell: without a required member nothing passes.
        let mut broken = report.clone();
        let first = if broken.is_array() { &mut broken[0] } else { &mut broken["vulnerabilities"][0] };
        first.as_object_mut().expect("an object").remove("location");
        assert!(!validator.is_valid(&broken), "{format}");
    }
}

#[test]
fn no_annotation_is_ended_by_what_it_quotes() {
    let annotations = report("github");
    for line in annotations.lines() {
        assert!(line.starts_with("::error ") || line.starts_with("::warning ") || line.starts_with("::notice "), "{line}");
        assert_eq!(line.split(' ').next().map(|command| command.matches("::").count()), Some(1), "{line}");
    }
}

#[test]
fn no_cell_of_the_table_is_a_formula() {
    let table = report("csv");
    let mut reader = csv::Reader::from_reader(table.as_bytes());
    let columns = reader.headers().expect("a head").len();
    let mut rows = 0;
    for row in reader.records() {
        let row = row.expect("a row");
        assert_eq!(row.len(), columns);
        assert!(row.iter().all(|cell| !cell.starts_with(['=', '+', '-', '@'])));
        rows += 1;
    }
    assert!(rows >= 2);
}

#[test]
fn what_reads_checkovs_form_finds_its_ids() {
    let report: Value = serde_json::from_str(&report("checkov-json")).expect("JSON");
    assert_eq!(report["check_type"], "terraform");
    let failed = report["results"]["failed_checks"].as_array().expect("a list");
    assert!(failed.iter().any(|check| check["check_id"] == "CKV_TEST_20" && check["file_path"] == "/main.tf"), "{failed:?}");
    assert_eq!(report["summary"]["failed"], failed.len());
    let passed = report["results"]["passed_checks"].as_array().expect("a list").len();
    assert_eq!(report["summary"]["passed"], passed);
}

#[test]
fn a_format_that_wants_passes_does_not_put_them_into_another() {
    let repository = Repository::new([("main.tf", PUBLIC_BUCKET)]);
    let with = repository.scan(["--format", "json", "--output", "junit=../junit.xml"]);
    let without = repository.scan(["--format", "json"]);
    assert_eq!(with.output, without.output);
    assert!(repository.path().join("../junit.xml").exists());
}
