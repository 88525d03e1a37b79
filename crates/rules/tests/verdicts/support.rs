//! Rules and resources for tests, in few words.

use std::sync::Arc;

use keyblind_resource::{BlockKind, Data, Dialect, Fragment, Origin, Reason, Reference, Resource, ResourceGraph, Unknown, Value};
use keyblind_rules::{Judgement, RuleTable, Selection, Verdict, judge, read_texts};
use keyblind_syntax::{FileId, Site, TextRange};
use serde_json::Value as Json;

/// A table of one rule about `test_resource`, whose decision is given as YAML.
pub(crate) fn table(decision: &str) -> RuleTable {
    let indented: String = decision.lines().map(|line| format!("  {line}\n")).collect();
    let resources = if decision.starts_with("resources:") { "" } else { "  resources: test_resource\n" };
    let text = format!(
        "id: rule\ntitle: Something is wrong\nseverity: high\nconfidence: high\nwhy: It is.\nfix: Mend it.\nterraform:\n{resources}{indented}examples:\n  terraform: {{bad: x, good: x}}\n"
    );
    let (rules, errors) = read_texts(&[("rule.yaml".to_owned(), text.clone())]);
    assert!(errors.is_empty(), "{text}\n{errors:?}");
    RuleTable::of(&rules).expect("a sound table")
}

/// A value from JSON. Within it, `{"$unknown": …}` is an unknown: `true` of no known reason, `"null"` one that may be
/// null, a list of texts and `null`s a text with unknown parts, `{"of": "address.attribute"}` an attribute of a resource,
/// `{"candidates": […]}` one of some values, `{"document": …}` an encoded document.
pub(crate) fn value(json: &Json) -> Value {
    match json {
        Json::Null => Value::null(),
        Json::Bool(value) => Value::bool(*value),
        Json::Number(number) => Value::new(Data::Number(number.to_string().parse().expect("a number"))),
        Json::String(text) => Value::string(text.as_str()),
        Json::Array(items) => Value::tuple(items.iter().map(value).collect()),
        Json::Object(entries) => match entries.get("$unknown") {
            Some(unknown) => Value::new(Data::Unknown(Arc::new(self::unknown(unknown)))),
            None => Value::object(entries.iter().map(|(key, entry)| (Arc::from(key.as_str()), value(entry)))),
        },
    }
}

fn unknown(json: &Json) -> Unknown {
    let mut unknown = Unknown::new(Reason::NoValue { variable: "given".into() });
    match json {
        Json::String(_) => unknown.nullable = true,
        Json::Array(parts) => {
            unknown.fragments =
                parts.iter().map(|part| part.as_str().map_or(Fragment::Unknown, |text| Fragment::Literal(text.into()))).collect();
        }
        Json::Object(entries) => {
            if let Some(of) = entries.get("of").and_then(Json::as_str) {
                let (address, attribute) = of.rsplit_once('.').expect("address.attribute");
                unknown.references = vec![Reference { address: address.into(), attribute: attribute.into() }];
                unknown.reason = Reason::AfterApply { address: address.into(), attribute: attribute.into() };
            }
            if let Some(candidates) = entries.get("candidates").and_then(Json::as_array) {
                unknown.candidates = candidates.iter().map(value).collect();
            }
            unknown.document = entries.get("document").map(value);
        }
        _ => {}
    }
    unknown
}

/// A resource of an address `type.name`.
pub(crate) fn resource(address: &str, body: &Json) -> Resource {
    resource_of(address, value(body))
}

/// The same with a body that is a value already.
pub(crate) fn resource_of(address: &str, body: Value) -> Resource {
    let (type_key, name) = address.rsplit_once('.').unwrap_or((address, address));
    let kind = if type_key.starts_with("data.") { BlockKind::Data } else { BlockKind::Managed };
    let block = Site::new(FileId(0), TextRange::new(0, 1000));
    Resource {
        address: address.into(),
        dialect: Dialect::Terraform,
        kind,
        type_key: type_key.into(),
        name: name.into(),
        body: body.with_origin(Origin::Site(block)),
        header: Site::new(FileId(0), TextRange::new(0, 10)),
        block,
        calls: Arc::from([]),
        skips: Vec::new(),
    }
}

/// All judgements of a table.
pub(crate) fn judgements(table: &RuleTable, resources: Vec<Resource>) -> (ResourceGraph, Vec<Judgement>) {
    let graph = ResourceGraph::new(resources);
    let judgements = judge(table, &Selection::all(table), &graph);
    (graph, judgements)
}

/// A word for a verdict.
pub(crate) fn word(verdict: &Verdict) -> &'static str {
    match verdict {
        Verdict::Pass => "pass",
        Verdict::Fail(failure) => {
            assert!(!failure.evidence.is_empty() && !failure.message.is_empty(), "a fail without evidence");
            "fail"
        }
        Verdict::Unknown(causes) => {
            assert!(!causes.is_empty(), "an unknown without cause");
            "unknown"
        }
        Verdict::NotApplicable => "not-applicable",
    }
}

/// The verdict of a decision about one resource of the given body.
pub(crate) fn verdict(decision: &str, body: &Json) -> Verdict {
    let (_, judgements) = judgements(&table(decision), vec![resource("test_resource.x", body)]);
    judgements.into_iter().next().expect("a judgement").verdict
}

/// The truth of a condition (in YAML's flow form) about one resource: `true`, `false` or `unknown`. That `fail` and
/// `pass`, `not` and the second evaluation for evidence agree is checked on the way.
pub(crate) fn truth(condition: &str, body: &Json) -> &'static str {
    let as_fail = word(&verdict(&format!("fail: {condition}"), body));
    let as_pass = word(&verdict(&format!("pass: {condition}"), body));
    let negated = word(&verdict(&format!("fail: {{not: {condition}}}"), body));
    match (as_fail, as_pass, negated) {
        ("fail", "pass", "pass") => "true",
        ("pass", "fail", "fail") => "false",
        ("unknown", "unknown", "unknown") => "unknown",
        other => panic!("{condition} about {body}: {other:?}"),
    }
}

/// Checks a list of (condition, body, truth).
pub(crate) fn check(cases: &[(&str, Json, &str)]) {
    for (condition, body, expected) in cases {
        assert_eq!(truth(condition, body), *expected, "{condition} about {body}");
    }
}
