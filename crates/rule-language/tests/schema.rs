//! The JSON Schema is fresh, and takes what the reader takes.

use std::path::{Path, PathBuf};

use serde_json::{Value, json};

fn workspace() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn validator() -> jsonschema::Validator {
    let schema: Value = serde_json::from_str(&keyblind_rule_language::rule_schema()).expect("JSON");
    jsonschema::validator_for(&schema).expect("a schema")
}

#[test]
fn the_published_schema_is_fresh() {
    let published = std::fs::read_to_string(workspace().join("docs/rule.schema.json")).expect("docs/rule.schema.json");
    let hint = "run `cargo run -p keyblind-rule-language --example rule-schema > docs/rule.schema.json`";
    assert!(published == keyblind_rule_language::rule_schema(), "docs/rule.schema.json is stale: {hint}");
}

#[test]
fn every_rule_file_fits_the_schema() {
    let (validator, folder) = (validator(), workspace().join("rules"));
    let mut faults = Vec::new();
    for file in keyblind_rule_language::read_folder(&folder).files {
        if file.starts_with("families") {
            continue;
        }
        let text = std::fs::read_to_string(folder.join(&file)).expect("a readable file");
        let rule: Value = serde_saphyr::from_str(&text).expect("YAML");
        faults
            .extend(validator.iter_errors(&rule).take(1).map(|error| format!("{}: {error} at {}", file.display(), error.instance_path())));
    }
    assert!(faults.is_empty(), "{} files don't fit:\n{}", faults.len(), faults.join("\n"));
}

#[test]
fn slips_do_not_fit_the_schema() {
    let sound = json!({
        "id": "a", "title": "A", "severity": "low", "confidence": "high", "why": "W", "fix": "F",
        "terraform": {"resources": "x", "fail": {"a": {"equals": 1}, "some": {"in": "b", "where": {"c": null}}}},
        "examples": {"terraform": {"bad": "x", "good": ["x"]}},
    });
    let validator = validator();
    assert!(validator.is_valid(&sound));
    for (pointer, slip) in [
        ("/severity", json!("hihg")),
        ("/id", json!("A_b")),
        ("/terraform", json!({"resources": "x"})),
        ("/terraform/fail/a", json!({"eqals": 1})),
        ("/terraform/fail/some", json!({"in": "b"})),
        ("/examples/terraform", json!({"bad": "x"})),
    ] {
        let mut rule = sound.clone();
        *rule.pointer_mut(pointer).expect(pointer) = slip;
        assert!(!validator.is_valid(&rule), "{pointer}");
    }
}
