use super::*;

const EVERY_KEY: &str = r#"
rules = ["policies"]
select = ["s3-*", "cis:5.2"]
skip-rules = ["CKV_AWS_18"]
min-severity = "medium"
min-confidence = "low"
persona = "auditor"
fail-on = "new"
exclude = ["examples/**"]
baseline = ".keyblind-baseline.jsonl"

[suppressions]
honor-foreign = false
blanket = true
require-reason = true

[severity]
s3-bucket-acl-public-read = "critical"

[[ignore]]
rules = ["CKV_AWS_18"]
paths = ["legacy/**"]
addresses = ["module.old.*"]
reason = "is being taken down"
until = "2027-01-31"

[[terraform.root]]
path = "envs/prod"
var-files = ["prod.tfvars"]
vars = { region = "eu-central-1", replicas = 3, public = false }
"#;

#[test]
fn every_key_is_read_with_its_place() {
    let config = parse(EVERY_KEY).unwrap();
    assert_eq!(config.fail_on.unwrap().into_inner(), Word(FailOn::New));
    assert_eq!(line_column(EVERY_KEY, config.baseline.unwrap().span().start), (10, 12));
    let root = &config.terraform.root[0];
    assert_eq!(root.vars["replicas"], Scalar("3".to_owned()));
    assert_eq!(config.severity.len(), 1);
}

#[test]
fn an_unknown_key_is_an_error_that_names_the_nearest() {
    let error = parse("fail-on = \"high\"\n\n[suppressions]\nhonour-foreign = false\n").unwrap_err();
    assert_eq!(error.position, Some((4, 1)));
    assert_eq!(error.message, "unknown key `honour-foreign`");
    assert_eq!(error.help.as_deref(), Some("did you mean `honor-foreign`?"));
    let error = parse("colour = true").unwrap_err();
    assert!(error.help.unwrap().starts_with("the keys here are rules, select"));
}

#[test]
fn words_that_mean_nothing_are_errors() {
    let error = parse("min-severity = \"hihg\"").unwrap_err();
    assert_eq!(error.position, Some((1, 16)));
    assert!(error.message.contains("`hihg` is no severity"), "{}", error.message);
    assert!(parse("[[ignore]]\nrules = [\"a\"]\n").unwrap_err().message.contains("missing field `reason`"));
    assert!(parse("[[ignore]]\nrules = [\"a\"]\nreason = \"x\"\nuntil = \"9999\"").unwrap_err().message.contains("YYYY-MM-DD"));
    assert!(parse("fail-on = \"sometimes\"").unwrap_err().message.contains("none, new"));
    assert!(parse("[[terraform.root]]\npath = \"a\"\nvars = { a = [1] }").unwrap_err().message.contains(".tfvars"));
}

/// The published schema is made from the types; run with `KEYBLIND_WRITE_SCHEMAS=1` to write it anew.
#[test]
fn the_published_schema_is_fresh() {
    let schema = schemars::schema_for!(Config);
    let mut value = serde_json::to_value(&schema).unwrap();
    value["$id"] = "https://github.com/keyblind/keyblind/blob/main/docs/keyblind.schema.json".into();
    value["title"] = "keyblind.toml".into();
    let text = serde_json::to_string_pretty(&value).unwrap() + "\n";
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/keyblind.schema.json");
    if std::env::var_os("KEYBLIND_WRITE_SCHEMAS").is_some() {
        std::fs::write(&path, &text).unwrap();
    }
    assert_eq!(std::fs::read_to_string(path).unwrap_or_default(), text);
}
