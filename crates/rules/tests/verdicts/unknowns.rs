//! What is known of unknown values counts.

use keyblind_rules::Verdict;
use serde_json::json;

use crate::support::{check, verdict};

#[test]
fn a_computed_value_exists_and_is_not_empty() {
    let body = json!({
        "a": {"$unknown": true}, "n": {"$unknown": "null"}, "c": {"$unknown": {"of": "x.y.z"}}, "t": {"$unknown": [null, "-end"]},
    });
    check(&[
        ("{a: {exists: true}}", body.clone(), "true"),
        ("{a: {empty: true}}", body.clone(), "unknown"),
        ("{c: {empty: true}}", body.clone(), "false"),
        ("{t: {empty: true}}", body.clone(), "false"),
        ("{a: x}", body.clone(), "unknown"),
        ("{a: {not-equals: x}}", body.clone(), "unknown"),
        ("{n: {exists: true}}", body.clone(), "unknown"),
        ("{n: {empty: true}}", body.clone(), "unknown"),
        ("{n.inner: {exists: true}}", body.clone(), "unknown"),
        ("{a.inner: {exists: true}}", body.clone(), "unknown"),
    ]);
}

#[test]
fn known_parts_of_a_text_decide() {
    let body = json!({"a": {"$unknown": [null, "/*"]}, "b": {"$unknown": ["arn:aws:s3:::", null]}, "c": {"$unknown": [null, "/32"]}});
    check(&[
        ("{a: '*'}", body.clone(), "false"),
        ("{a: ['*', 'x/*']}", body.clone(), "unknown"),
        ("{a: {not-equals: '*'}}", body.clone(), "true"),
        ("{a: {ends-with: '*'}}", body.clone(), "true"),
        ("{b: {starts-with: 'arn:'}}", body.clone(), "true"),
        ("{b: {starts-with: http}}", body.clone(), "false"),
        ("{b: {contains: s3}}", body.clone(), "true"),
        ("{b: {contains: x}}", body.clone(), "unknown"),
        ("{b: {matches: '^arn:'}}", body.clone(), "true"),
        ("{b: {matches: 's3:::$'}}", body.clone(), "unknown"),
        ("{b: {glob: 'arn:*'}}", body.clone(), "true"),
        ("{b: {type: string}}", body.clone(), "true"),
        ("{b: {at-least: 3}}", body.clone(), "false"),
        ("{c: {cidr: world}}", body.clone(), "false"),
    ]);
}

#[test]
fn one_of_some_values_is_none_else() {
    let body = json!({"a": {"$unknown": {"candidates": ["x", "y"]}}, "n": {"$unknown": {"candidates": ["x", null]}}});
    check(&[
        ("{a: z}", body.clone(), "false"),
        ("{a: x}", body.clone(), "unknown"),
        ("{a: [x, y]}", body.clone(), "true"),
        ("{a: {length: 1}}", body.clone(), "true"),
        ("{n: {exists: true}}", body.clone(), "unknown"),
        ("{n: z}", body.clone(), "false"),
        ("{n: {equals: x, default: x}}", body.clone(), "true"),
    ]);
    let block = json!({"b": {"$unknown": {"candidates": [{"on": true, "k": 1}, {"on": true, "k": 2}]}}});
    check(&[
        ("{b.on: true}", block.clone(), "true"),
        ("{b.k: 1}", block.clone(), "unknown"),
        ("{some: {in: b, where: {'@': {exists: true}}}}", block.clone(), "true"),
    ]);
}

#[test]
fn lists_with_unknown_elements() {
    let body = json!({"a": ["x", {"$unknown": true}], "u": {"$unknown": true}});
    check(&[
        ("{a: {contains: x}}", body.clone(), "true"),
        ("{a: {contains: y}}", body.clone(), "unknown"),
        ("{a: {length: 2}}", body.clone(), "true"),
        ("{some: {in: a, where: {'@': x}}}", body.clone(), "true"),
        ("{every: {in: a, where: {'@': x}}}", body.clone(), "unknown"),
        ("{every: {in: a, where: {'@': y}}}", body.clone(), "false"),
        ("{none: {in: a, where: {'@': y}}}", body.clone(), "unknown"),
        ("{count: {in: a, where: {'@': x}, is: {at-least: 1}}}", body.clone(), "true"),
        ("{count: {in: a, where: {'@': x}, is: 1}}", body.clone(), "unknown"),
        ("{count: {in: a, where: {'@': x}, is: 3}}", body.clone(), "false"),
        ("{some: {in: u, where: {x: 1}}}", body.clone(), "unknown"),
        ("{every: {in: u, where: {x: 1}}}", body.clone(), "unknown"),
    ]);
}

#[test]
fn logic_decides_where_it_can() {
    let body = json!({"u": {"$unknown": true}, "k": 1});
    check(&[
        ("{any: [{u: 1}, {k: 1}]}", body.clone(), "true"),
        ("{any: [{u: 1}, {k: 2}]}", body.clone(), "unknown"),
        ("{all: [{u: 1}, {k: 2}]}", body.clone(), "false"),
        ("{all: [{u: 1}, {k: 1}]}", body.clone(), "unknown"),
        ("{ports: {covers: 22, from: u, to: k, protocol: none}}", body.clone(), "false"),
        ("{ports: {covers: 1, from: k, to: u, protocol: none}}", body.clone(), "unknown"),
        ("{ports: {covers: 0, from: k, to: u, protocol: none}}", body.clone(), "false"),
    ]);
}

#[test]
fn documents_with_unknown_parts_are_read() {
    let body = json!({
        "a": {"$unknown": {"document": {"Statement": [{"Action": "*", "Resource": {"$unknown": true}}]}}},
        "b": {"$unknown": ["{\"x\": \"", null, "-end\", \"y\": 1}"]},
    });
    check(&[
        ("{a|json.Statement.Action: '*'}", body.clone(), "true"),
        ("{some: {in: a|statements, where: {actions: {contains: '*'}, effect: Allow}}}", body.clone(), "true"),
        ("{some: {in: a|statements, where: {resources: {contains: '*'}}}}", body.clone(), "unknown"),
        ("{b|json.y: 1}", body.clone(), "true"),
        ("{b|json.x: {ends-with: '-end'}}", body.clone(), "true"),
    ]);
}

#[test]
fn an_unknown_says_why_and_only_what_matters() {
    let body = json!({"u": {"$unknown": true}, "v": {"$unknown": {"of": "aws_x.y.id"}}, "k": 1});
    let Verdict::Unknown(causes) = verdict("fail: {any: [{all: [{u: 1}, {k: 2}]}, {v: 1}]}", &body) else { panic!("unknown") };
    assert_eq!(causes.len(), 1, "{causes:?}");
    assert_eq!(causes[0].path, "v");
    assert_eq!(causes[0].reason.to_string(), "`aws_x.y.id` is known only after apply");
    let Verdict::Unknown(causes) = verdict("when: {u: 1}\nfail: {k: 1}", &body) else { panic!("unknown") };
    assert_eq!((causes.len(), &*causes[0].path), (1, "u"));
}

#[test]
fn the_same_attribute_is_the_same_value() {
    let of = |of: &str| json!({"$unknown": {"of": of}});
    check(&[
        ("{a: {equals-path: b}}", json!({"a": of("role.x.arn"), "b": of("role.x.arn")}), "true"),
        ("{a: {equals-path: b}}", json!({"a": of("role.x.arn"), "b": of("role.x.id")}), "unknown"),
        ("{a: {equals-path: b}}", json!({"a": of("role.x.arn"), "b": of("role.y.arn")}), "false"),
        ("{a: {equals-path: b}}", json!({"a": of("role.x.path"), "b": of("role.y.path")}), "unknown"),
        ("{a: {cidr: world}}", json!({"a": of("aws_vpc.x.cidr_block")}), "false"),
        ("{a: [allUsers, allAuthenticatedUsers]}", json!({"a": of("google_service_account.x.member")}), "false"),
        ("{a: {equals-path: b}}", json!({"a": {"$unknown": true}, "b": {"$unknown": true}}), "unknown"),
    ]);
}
