//! Paths, quantifiers, decisions.

use serde_json::json;

use crate::support::{check, judgements, resource, table, truth, verdict, word};

#[test]
fn names_reach_into_blocks_and_lists() {
    let versioned = json!({"versioning": [{"enabled": true}]});
    check(&[
        ("{versioning.enabled: true}", versioned.clone(), "true"),
        ("{versioning.0.enabled: true}", versioned.clone(), "true"),
        ("{versioning.1.enabled: {exists: true}}", versioned.clone(), "false"),
        ("{versioning.enabled: true}", json!({"versioning": []}), "false"),
        ("{versioning.enabled: {not-equals: true}}", json!({"versioning": []}), "true"),
        ("{rule.*.port: 22}", json!({"rule": [{"port": 1}, {"port": 22}]}), "true"),
        ("{rule.port: 22}", json!({"rule": [{"port": 1}, {"port": 22}]}), "true"),
        ("{tags.*: x}", json!({"tags": {"a": "y", "b": "x"}}), "true"),
        ("{'metadata.\"a.b/c\"': x}", json!({"metadata": {"a.b/c": "x"}}), "true"),
        ("{'image_*': x}", json!({"image_id": "x"}), "true"),
        ("{'image_*': {exists: true}}", json!({"other": "x"}), "false"),
        ("{.all: x}", json!({"all": "x"}), "true"),
        ("{a.b: x}", json!({"a": "text"}), "false"),
        ("{m.0: x}", json!({"m": {"0": "x"}}), "true"),
    ]);
}

#[test]
fn the_resource_itself_has_paths() {
    check(&[
        ("{$type: test_resource, $name: x, $address: test_resource.x}", json!({}), "true"),
        ("{$name: {matches: '^y'}}", json!({}), "false"),
    ]);
}

#[test]
fn logic_combines() {
    let body = json!({"a": 1, "b": 2});
    check(&[
        ("{a: 1, b: 2}", body.clone(), "true"),
        ("{a: 1, b: 3}", body.clone(), "false"),
        ("{any: [{a: 2}, {b: 2}]}", body.clone(), "true"),
        ("{all: [{a: 1}, {not: {b: 1}}]}", body.clone(), "true"),
        ("true", body.clone(), "true"),
        ("false", body.clone(), "false"),
    ]);
}

#[test]
fn quantifiers_ask_elements() {
    let body = json!({"ingress": [{"port": 22, "open": true}, {"port": 80, "open": false}], "empty": [], "list": ["a", "b"]});
    check(&[
        ("{some: {in: ingress, where: {port: 22, open: true}}}", body.clone(), "true"),
        ("{some: {in: ingress, where: {port: 80, open: true}}}", body.clone(), "false"),
        ("{every: {in: ingress, where: {port: {exists: true}}}}", body.clone(), "true"),
        ("{every: {in: ingress, where: {open: true}}}", body.clone(), "false"),
        ("{none: {in: ingress, where: {port: 443}}}", body.clone(), "true"),
        ("{none: {in: ingress, where: {port: 22}}}", body.clone(), "false"),
        ("{some: {in: nothing, where: true}}", body.clone(), "false"),
        ("{every: {in: nothing, where: false}}", body.clone(), "true"),
        ("{every: {in: empty, where: false}}", body.clone(), "true"),
        ("{none: {in: empty, where: true}}", body.clone(), "true"),
        ("{some: {in: list, where: {'@': b}}}", body.clone(), "true"),
        ("{some: {in: list, where: {'@|length': 1}}}", body.clone(), "true"),
        ("{count: {in: ingress, where: {open: true}, is: 1}}", body.clone(), "true"),
        ("{count: {in: ingress, is: {greater-than: 2}}}", body.clone(), "false"),
        ("{count: {in: nothing, is: 0}}", body.clone(), "true"),
        ("{some: {in: ingress.0.port, where: {'@': 22}}}", body.clone(), "true"),
    ]);
}

#[test]
fn scopes_see_outwards() {
    let body = json!({
        "owner": "me", "outer": [{"name": "n", "inner": [{"of": "n", "by": "me"}]}], "tags": {"Name": "x", "Other": "me"},
    });
    check(&[
        (
            "{some: {in: outer, where: {some: {in: inner, where: {of: {equals-path: ^.name}, by: {equals-path: $.owner}}}}}}",
            body.clone(),
            "true",
        ),
        ("{some: {in: outer, where: {some: {in: inner, where: {by: {equals-path: ^.^.owner}}}}}}", body.clone(), "true"),
        ("{some: {in: tags, where: {$key: Other, '@': {equals-path: $.owner}}}}", body.clone(), "true"),
        ("{some: {in: tags, where: {$key: Name, '@': me}}}", body.clone(), "false"),
    ]);
}

#[test]
fn ports_are_covered() {
    let open = |from: i64, to: i64, protocol: &str| json!({"from_port": from, "to_port": to, "protocol": protocol});
    check(&[
        ("{ports: {covers: 22}}", open(20, 25, "tcp"), "true"),
        ("{ports: {covers: 22}}", open(23, 25, "tcp"), "false"),
        ("{ports: {covers: [22, 3389]}}", open(3389, 3389, "tcp"), "true"),
        ("{ports: {covers: 22}}", open(0, 0, "-1"), "true"),
        ("{ports: {covers: 22}}", json!({"protocol": -1}), "true"),
        ("{ports: {covers: 8}}", open(8, 8, "icmp"), "false"),
        ("{ports: {covers: 22}}", json!({}), "false"),
        ("{ports: {covers: 22, protocol: ip_protocol}}", json!({"ip_protocol": "all"}), "true"),
    ]);
}

#[test]
fn views_show_values_differently() {
    let body = json!({
        "policy": "{\"a\": {\"b\": [1, 2]}}", "image": "ghcr.io/x/y:latest", "script": "one\ntwo three", "n": "7", "list": [1, 2], "not_json": "{",
    });
    check(&[
        ("{policy|json.a.b: {contains: 2}}", body.clone(), "true"),
        ("{not_json|json: {exists: true}}", body.clone(), "false"),
        ("{image|image.tag: latest}", body.clone(), "true"),
        ("{image|image.digest: {exists: true}}", body.clone(), "false"),
        ("{'image|split(:)|last': latest}", body.clone(), "true"),
        ("{script|lines: {contains: one}}", body.clone(), "true"),
        ("{script|words|length: 3}", body.clone(), "true"),
        ("{n|number: {at-least: 7}}", body.clone(), "true"),
        ("{list|first: 1}", body.clone(), "true"),
        ("{list|values: {exists: true}}", body.clone(), "false"),
        ("{'@|keys': {contains: policy}}", body.clone(), "true"),
    ]);
}

#[test]
fn when_keeps_a_decision_out() {
    let decision = "when: {kind: a}\nfail: {bad: true}";
    assert_eq!(word(&verdict(decision, &json!({"kind": "a", "bad": true}))), "fail");
    assert_eq!(word(&verdict(decision, &json!({"kind": "b", "bad": true}))), "not-applicable");
    assert_eq!(word(&verdict(decision, &json!({"kind": {"$unknown": true}, "bad": true}))), "unknown");
}

#[test]
fn the_first_case_that_is_true_decides() {
    let decision = "decide:\n- {not-applicable: {kind: none}}\n- {fail: {bad: true}, message: It is bad}\n- {unknown: {odd: true}}\n- {pass: {good: true}}\notherwise: fail";
    for (body, expected) in [
        (json!({"kind": "none", "bad": true}), "not-applicable"),
        (json!({"bad": true, "good": true}), "fail"),
        (json!({"odd": true, "good": true}), "unknown"),
        (json!({"good": true}), "pass"),
        (json!({}), "fail"),
        (json!({"bad": {"$unknown": true}}), "fail"),
        (json!({"bad": {"$unknown": true}, "good": true}), "unknown"),
    ] {
        assert_eq!(word(&verdict(decision, &body)), expected, "{body}");
    }
}

#[test]
fn of_several_decisions_the_first_that_applies_decides() {
    let table = table("resources: test_*\nwhen: {kind: a}\nfail: true");
    let (_, found) = judgements(&table, vec![resource("test_resource.x", &json!({"kind": "a"})), resource("other.x", &json!({}))]);
    assert_eq!(found.len(), 1);
    assert_eq!(word(&found[0].verdict), "fail");
}

#[test]
fn a_rule_cannot_run_for_ever() {
    let list: Vec<_> = (0..400).map(|number| json!({"n": number, "list": (0..400).collect::<Vec<_>>()})).collect();
    let nested = "{some: {in: list, where: {some: {in: ^.list, where: {some: {in: list, where: {'@': -1}}}}}}}";
    assert_eq!(truth(nested, &json!({ "list": list })), "unknown");
}
