//! What a fail shows.

use keyblind_resource::{Origin, Value};
use keyblind_rules::{Evidence, Verdict};
use keyblind_syntax::{FileId, Site, TextRange};
use serde_json::{Value as Json, json};

use crate::support::{judgements, resource, resource_of, table, value, verdict};

fn evidence(decision: &str, body: &Json) -> Vec<Evidence> {
    let Verdict::Fail(failure) = verdict(decision, body) else { panic!("{decision} about {body} is no fail") };
    failure.evidence
}

fn texts(decision: &str, body: &Json) -> Vec<(String, Option<String>, String)> {
    evidence(decision, body).into_iter().map(|found| (found.path, found.value, found.expected)).collect()
}

fn one(path: &str, value: Option<&str>, expected: &str) -> Vec<(String, Option<String>, String)> {
    vec![(path.to_owned(), value.map(str::to_owned), expected.to_owned())]
}

#[test]
fn it_names_path_value_and_what_was_expected() {
    for (decision, body, expected) in [
        (
            "fail: {acl: [public-read, public]}",
            json!({"acl": "public"}),
            one("acl", Some("\"public\""), "none of \"public-read\" or \"public\""),
        ),
        ("pass: {v.enabled: true}", json!({"v": [{"enabled": false}]}), one("v.enabled", Some("false"), "true")),
        ("pass: {v.enabled: true}", json!({"v": [{}]}), one("v.enabled", None, "true")),
        ("pass: {v.enabled: true}", json!({}), one("v.enabled", None, "true")),
        ("fail: {not: {a: {at-least: 7}}}", json!({"a": 3}), one("a", Some("3"), "at least 7")),
        ("fail: {a: null}", json!({}), one("a", None, "set")),
        ("pass: {a: {not: {contains: x}}}", json!({"a": ["x"]}), one("a", Some("[\"x\"]"), "not containing \"x\"")),
    ] {
        assert_eq!(texts(decision, &body), expected, "{decision}");
    }
}

#[test]
fn only_what_decided_is_shown() {
    let body = json!({"ingress": [{"port": 80, "cidr": ["10.0.0.0/8"]}, {"port": 22, "cidr": ["10.0.0.0/8", "0.0.0.0/0"]}]});
    let decision = "fail: {some: {in: ingress, where: {port: 22, any: [{cidr: {cidr: world}}, {other: {cidr: world}}]}}}";
    let found = texts(decision, &body);
    assert_eq!(found.iter().map(|(path, ..)| path.as_str()).collect::<Vec<_>>(), ["ingress.1.port", "ingress.1.cidr"]);
    let decision = "pass: {all: [{a: 1}, {b: 1}]}";
    assert_eq!(texts(decision, &json!({"a": 1, "b": 2})), one("b", Some("2"), "1"));
}

#[test]
fn the_place_is_in_the_own_block() {
    let site = |start| Site::new(FileId(0), TextRange::new(start, start + 5));
    let elsewhere = Site::new(FileId(1), TextRange::new(0, 5));
    let inner = Value::object([("off".into(), Value::bool(false).with_origin(Origin::Site(site(60))))]).with_origin(Origin::Site(site(50)));
    let body = Value::object([
        ("block".into(), Value::tuple(vec![inner])),
        ("far".into(), Value::bool(false).with_origin(Origin::Site(elsewhere))),
    ]);
    let place = |decision: &str| {
        let (graph, found) = judgements(&table(decision), vec![resource_of("test_resource.x", body.clone())]);
        let Verdict::Fail(failure) = &found[0].verdict else { panic!("{decision}") };
        (failure.evidence[0].site.unwrap(), graph.resources[0].header)
    };
    assert_eq!(place("pass: {block.off: true}").0, site(60));
    assert_eq!(place("pass: {block.missing: true}").0, site(50));
    let (found, header) = place("pass: {missing: true}");
    assert_eq!(found, header);
    let (found, header) = place("pass: {far: true}");
    assert_eq!(found, header);
}

#[test]
fn neither_sensitive_values_nor_credentials_are_shown() {
    let mut body = value(&json!({"a": {"b": "secret-1"}}));
    let keyblind_resource::Data::Object(entries) = &body.data else { panic!("an object") };
    let mut entries = (**entries).clone();
    let mut marked = entries.get("a").unwrap().clone();
    marked.sensitive = true;
    entries.insert("a", marked);
    body.data = keyblind_resource::Data::Object(entries.into());
    let (_, found) = judgements(&table("fail: {a.b: {exists: true}}"), vec![resource_of("test_resource.x", body)]);
    let Verdict::Fail(failure) = &found[0].verdict else { panic!("a fail") };
    assert_eq!(failure.evidence[0].value.as_deref(), Some("(sensitive)"));
    let key = json!({"a": "AKIAIOSFODNN7EXAMPLE"});
    assert_eq!(texts("fail: {a: {exists: true}}", &key)[0].1.as_deref(), Some("(credential)"));
}

#[test]
fn a_missing_companion_is_told_and_a_present_one_is_named() {
    let found = evidence("pass: {linked: {to: [x, y]}}", &json!({}));
    assert_eq!((found[0].missing, &*found[0].expected), (true, "a connected x or y"));
    let table = table("resources: a\npass: {linked: {to: b, where: {on: true}}}");
    let other = resource("b.b", &json!({"a": {"$unknown": {"of": "a.a.id"}}, "on": false}));
    let (_, found) = judgements(&table, vec![resource("a.a", &json!({})), other]);
    let Verdict::Fail(failure) = &found[0].verdict else { panic!("a fail") };
    assert_eq!((failure.evidence[0].resource, &*failure.evidence[0].path), (Some(1), "on"));
}

#[test]
fn long_values_are_shortened() {
    let found = texts("fail: {a: {exists: true}}", &json!({"a": "ä\"".repeat(1000)}));
    let shown = found[0].1.as_deref().unwrap();
    assert!(shown.len() < 220 && shown.ends_with('…'), "{shown}");
}

#[test]
fn the_message_is_the_decisions_or_the_title() {
    let message = |decision: &str| {
        let Verdict::Fail(failure) = verdict(decision, &json!({})) else { panic!("a fail") };
        failure.message
    };
    assert_eq!(message("fail: true"), "Something is wrong");
    assert_eq!(message("fail: true\nmessage: Another thing"), "Another thing");
    assert_eq!(message("decide: [{fail: true, message: The case}]\notherwise: pass\nmessage: Another thing"), "The case");
}

#[test]
fn of_cases_only_those_speak_that_would_have_passed() {
    let decision = "decide: [{pass: {a: true}}, {fail: {a: {exists: false}}}, {pass: {b: {at-least: 2}}}]\notherwise: fail";
    let found = texts(decision, &json!({"a": false, "b": 1}));
    let expected: Vec<_> = one("a", Some("false"), "true").into_iter().chain(one("b", Some("1"), "at least 2")).collect();
    assert_eq!(found, expected);
    let decision = "decide: [{pass: {a: true}}, {fail: {b: {exists: true}}}]\notherwise: fail";
    assert_eq!(texts(decision, &json!({"b": 1})), one("b", Some("1"), "not set"));
}
