//! Connected resources.

use keyblind_resource::{BlockKind, HopKind, Origin, Resource, Value};
use keyblind_syntax::{FileId, Site, TextRange};
use serde_json::{Value as Json, json};

use crate::support::{judgements, resource, resource_of, table, word};

const COMPANION: &str = "resources: bucket
pass:
  linked:
    to: access_block
    by: bucket
    match: {bucket: bucket}
    where: {on: true}";

fn verdict_of_first(decision: &str, resources: Vec<Resource>) -> &'static str {
    let (_, found) = judgements(&table(decision), resources);
    word(&found.iter().find(|judgement| judgement.resource == 0).expect("a judgement").verdict)
}

fn bucket() -> Resource {
    resource("bucket.a", &json!({"bucket": "my-bucket"}))
}

fn block(bucket: &Json, on: &Json) -> Resource {
    resource("access_block.a", &json!({"bucket": bucket, "on": on}))
}

#[test]
fn a_companion_is_found_by_reference_or_by_name() {
    let reference = json!({"$unknown": {"of": "bucket.a.id"}});
    for (companion, expected) in [
        (block(&reference, &json!(true)), "pass"),
        (block(&reference, &json!(false)), "fail"),
        (block(&reference, &json!({"$unknown": true})), "unknown"),
        (block(&json!("my-bucket"), &json!(true)), "pass"),
        (block(&json!("other"), &json!(true)), "fail"),
        (block(&json!({"$unknown": true}), &json!(true)), "unknown"),
        (block(&json!({"$unknown": true}), &json!(false)), "fail"),
        (block(&json!({"$unknown": {"of": "bucket.b.id"}}), &json!(true)), "fail"),
        (block(&json!({"$unknown": ["other-", null]}), &json!(true)), "fail"),
    ] {
        let body = companion.body.clone();
        assert_eq!(verdict_of_first(COMPANION, vec![bucket(), companion]), expected, "{body:?}");
    }
    assert_eq!(verdict_of_first(COMPANION, vec![bucket()]), "fail");
}

#[test]
fn a_reference_tells_by_itself_what_is_meant() {
    let decision = "resources: acl\npass: {linked: {to: [block, bucket], match: {bucket: bucket}}}";
    let of = |type_key: &str, bucket: Json| resource(&format!("{type_key}.x"), &json!({ "bucket": bucket }));
    let reference = |address: &str| json!({"$unknown": {"of": format!("{address}.id")}});
    for (ours, theirs, expected) in [
        (reference("bucket.third"), of("block", reference("bucket.third")), "pass"),
        (reference("bucket.third"), of("block", reference("bucket.fourth")), "fail"),
        (json!("name"), of("block", json!("name")), "pass"),
    ] {
        assert_eq!(verdict_of_first(decision, vec![of("acl", ours), theirs]), expected);
    }
    // Two buckets of one name: only the one that is referred to is meant.
    let site = |start| Site::new(FileId(0), TextRange::new(start, start + 1));
    let hop = HopKind::Resource { address: "bucket.x".into(), attribute: "bucket".into() };
    let read = Value::string("name").with_origin(Origin::Site(site(1))).carried(hop.clone(), site(50));
    let acl = |bucket: Value| resource_of("acl.x", Value::object([("bucket".into(), bucket)]));
    let other = resource("bucket.y", &json!({"bucket": "name"}));
    assert_eq!(verdict_of_first(decision, vec![acl(read), other.clone()]), "fail");
    let composed = Value::string("name").with_origin(Origin::Site(site(50))).carried(hop, site(50));
    assert_eq!(verdict_of_first(decision, vec![acl(composed), other]), "pass");
}

#[test]
fn direction_and_place_of_the_reference_count() {
    let from = |path: &str| resource("other.o", &json!({path: {"$unknown": {"of": "bucket.a.id"}}}));
    let decision = |options: &str| format!("resources: bucket\npass: {{linked: {{to: other{options}}}}}");
    assert_eq!(verdict_of_first(&decision(""), vec![bucket(), from("x")]), "pass");
    assert_eq!(verdict_of_first(&decision(", by: x"), vec![bucket(), from("x")]), "pass");
    assert_eq!(verdict_of_first(&decision(", by: x"), vec![bucket(), from("y")]), "fail");
    assert_eq!(verdict_of_first(&decision(", by: x"), vec![bucket(), from("xx")]), "fail");
    assert_eq!(verdict_of_first(&decision(", direction: in"), vec![bucket(), from("x")]), "pass");
    assert_eq!(verdict_of_first(&decision(", direction: out"), vec![bucket(), from("x")]), "fail");
}

#[test]
fn links_nest_and_scopes_see_across() {
    let resources = || {
        vec![
            resource("bucket.a", &json!({"owner": "me"})),
            resource("middle.m", &json!({"bucket": {"$unknown": {"of": "bucket.a.id"}}, "owner": "me"})),
            resource("end.e", &json!({"middle": {"$unknown": {"of": "middle.m.id"}}, "good": true})),
        ]
    };
    let nested = "resources: bucket\npass: {linked: {to: middle, where: {owner: {equals-path: ^.owner}, linked: {to: end, where: {good: true, $type: end}}}}}";
    assert_eq!(verdict_of_first(nested, resources()), "pass");
    assert_eq!(verdict_of_first(&nested.replace("good: true", "good: false"), resources()), "fail");
}

#[test]
fn presence_is_asked_of_the_whole_module() {
    let decision = "resources: bucket\nfail: {not: {present: {resource: 'tr*', where: {on: true}}}}";
    let trail = |on: Json| resource("trail.t", &json!({ "on": on }));
    assert_eq!(verdict_of_first(decision, vec![bucket(), trail(json!(true))]), "pass");
    assert_eq!(verdict_of_first(decision, vec![bucket(), trail(json!(false))]), "fail");
    assert_eq!(verdict_of_first(decision, vec![bucket()]), "fail");
    assert_eq!(verdict_of_first(decision, vec![bucket(), trail(json!({"$unknown": true}))]), "unknown");
}

#[test]
fn references_tell_what_a_value_was_made_from() {
    let decision = "resources: bucket\nfail: {a: {refers-to: other}}";
    let of = |a: Json| vec![resource("bucket.a", &json!({ "a": a }))];
    assert_eq!(verdict_of_first(decision, of(json!({"$unknown": {"of": "other.x.id"}}))), "fail");
    assert_eq!(verdict_of_first(decision, of(json!([{"$unknown": {"of": "module.m.other.x.id"}}]))), "fail");
    assert_eq!(verdict_of_first(decision, of(json!({"$unknown": {"of": "third.x.id"}}))), "pass");
    assert_eq!(verdict_of_first(decision, of(json!("text"))), "pass");
    assert_eq!(verdict_of_first(decision, of(json!({"$unknown": true}))), "unknown");
}

#[test]
fn a_module_that_is_not_there_may_hold_the_companion() {
    let call = |inputs: Json| {
        let mut call = resource("module.m", &inputs);
        (call.kind, call.type_key) = (BlockKind::UnreadModule, "module".into());
        call
    };
    let reference = json!({"$unknown": {"of": "bucket.a.id"}});
    let handed = call(json!({"source": "github.com/o/r", "bucket": reference}));
    assert_eq!(verdict_of_first(COMPANION, vec![bucket(), handed.clone()]), "unknown");
    assert_eq!(verdict_of_first(COMPANION, vec![bucket(), call(json!({"source": "github.com/o/r"}))]), "fail");
    assert_eq!(verdict_of_first(COMPANION, vec![bucket(), block(&reference, &json!(true)), handed.clone()]), "pass");
    assert_eq!(verdict_of_first(COMPANION, vec![bucket(), block(&reference, &json!(false)), handed.clone()]), "fail");
    let presence = "resources: bucket\nfail: {not: {present: {resource: trail}}}";
    assert_eq!(verdict_of_first(presence, vec![bucket(), handed]), "unknown");
}
