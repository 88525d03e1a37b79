//! Each matcher, about known values.

use serde_json::json;

use crate::support::check;

#[test]
fn equality_converts_as_terraform_does() {
    check(&[
        ("{a: x}", json!({"a": "x"}), "true"),
        ("{a: x}", json!({"a": "y"}), "false"),
        ("{a: true}", json!({"a": "true"}), "true"),
        ("{a: 8}", json!({"a": "8"}), "true"),
        ("{a: '8'}", json!({"a": 8}), "true"),
        ("{a: {not-equals: x}}", json!({"a": "y"}), "true"),
        ("{a: {not-equals: x}}", json!({"a": "x"}), "false"),
        ("{a: [x, y]}", json!({"a": "y"}), "true"),
        ("{a: {not-in: [x, y]}}", json!({"a": "z"}), "true"),
        ("{a: {equals: [x, 1]}}", json!({"a": ["x", "1"]}), "true"),
        ("{a: {equals: {b: 1}}}", json!({"a": {"b": 1, "c": null}}), "true"),
        ("{a: {equals: X, fold: true}}", json!({"a": "x"}), "true"),
        ("{a: {in: [X], fold: true}}", json!({"a": "x"}), "true"),
    ]);
}

#[test]
fn missing_values_have_a_stated_result() {
    let missing = [json!({}), json!({"a": null})];
    for body in missing {
        check(&[
            ("{a: x}", body.clone(), "false"),
            ("{a: [x]}", body.clone(), "false"),
            ("{a: {not-equals: x}}", body.clone(), "true"),
            ("{a: {not-in: [x]}}", body.clone(), "true"),
            ("{a: null}", body.clone(), "true"),
            ("{a: {exists: true}}", body.clone(), "false"),
            ("{a: {exists: false}}", body.clone(), "true"),
            ("{a: {empty: true}}", body.clone(), "true"),
            ("{a: {empty: false}}", body.clone(), "false"),
            ("{a: {not: x}}", body.clone(), "true"),
            ("{a: {not: {exists: false}}}", body.clone(), "false"),
            ("{a: {less-than: 5}}", body.clone(), "false"),
            ("{a: {not-equals: x, less-than: 5}}", body.clone(), "false"),
            ("{a: {equals: x, default: x}}", body.clone(), "true"),
            ("{a: {at-least: 5, default: 7}}", body.clone(), "true"),
            ("{a: {equals: x, missing: true}}", body.clone(), "true"),
            ("{a: {not-equals: x, missing: false}}", body.clone(), "false"),
            ("{a: {equals: x, missing: unknown}}", body.clone(), "unknown"),
            ("{a: {any: [{exists: false}, x]}}", body.clone(), "true"),
        ]);
    }
}

#[test]
fn emptiness_is_of_texts_lists_and_maps() {
    check(&[
        ("{a: {empty: true}}", json!({"a": ""}), "true"),
        ("{a: {empty: true}}", json!({"a": []}), "true"),
        ("{a: {empty: true}}", json!({"a": {}}), "true"),
        ("{a: {empty: true}}", json!({"a": {"b": null}}), "true"),
        ("{a.0: {empty: true}}", json!({}), "true"),
        ("{a.0: {empty: true}}", json!({"a": [{}]}), "true"),
        ("{a: {empty: true}}", json!({"a": [{}]}), "false"),
        ("{a: {empty: true}}", json!({"a": 0}), "false"),
        ("{a: {empty: false}}", json!({"a": false}), "true"),
    ]);
}

#[test]
fn numbers_are_compared_as_numbers() {
    check(&[
        ("{a: {less-than: 10}}", json!({"a": "9"}), "true"),
        ("{a: {less-than: 10}}", json!({"a": 10}), "false"),
        ("{a: {at-most: 10}}", json!({"a": 10}), "true"),
        ("{a: {greater-than: 1.5}}", json!({"a": 1.6}), "true"),
        ("{a: {at-least: 90, at-most: 365}}", json!({"a": 91}), "true"),
        ("{a: {less-than: 10}}", json!({"a": "many"}), "false"),
        ("{a: {at-least: 10}}", json!({"a": true}), "false"),
    ]);
}

#[test]
fn texts_lists_and_maps_contain() {
    check(&[
        ("{a: {contains: x}}", json!({"a": ["x", "y"]}), "true"),
        ("{a: {contains: x}}", json!({"a": "axb"}), "true"),
        ("{a: {contains: x}}", json!({"a": {"x": 1}}), "true"),
        ("{a: {contains: x}}", json!({"a": {"x": null}}), "false"),
        ("{a: {contains: x}}", json!({"a": ["y"]}), "false"),
        ("{a: {contains: 22}}", json!({"a": ["22"]}), "true"),
        ("{a: {contains-any: [x, z]}}", json!({"a": ["z"]}), "true"),
        ("{a: {contains-all: [x, z]}}", json!({"a": ["z"]}), "false"),
        ("{a: {contains-all: [x, z]}}", json!({"a": ["z", "x"]}), "true"),
        ("{a: {contains: X, fold: true}}", json!({"a": "axb"}), "true"),
    ]);
}

#[test]
fn texts_are_matched() {
    check(&[
        ("{a: {starts-with: ab}}", json!({"a": "abc"}), "true"),
        ("{a: {starts-with: [x, ab]}}", json!({"a": "abc"}), "true"),
        ("{a: {ends-with: bc}}", json!({"a": "abc"}), "true"),
        ("{a: {ends-with: BC, fold: true}}", json!({"a": "abc"}), "true"),
        ("{a: {matches: '^a.c$'}}", json!({"a": "abc"}), "true"),
        ("{a: {matches: '^A', fold: true}}", json!({"a": "abc"}), "true"),
        ("{a: {matches: b}}", json!({"a": "abc"}), "true"),
        ("{a: {matches: b}}", json!({"a": ["b"]}), "false"),
        ("{a: {glob: 'iam:*Policy'}}", json!({"a": "iam:PutPolicy"}), "true"),
        ("{a: {glob: 'iam:?'}}", json!({"a": "iam:"}), "false"),
    ]);
}

#[test]
fn kinds_and_lengths() {
    check(&[
        ("{a: {type: string}}", json!({"a": "x"}), "true"),
        ("{a: {type: list}}", json!({"a": []}), "true"),
        ("{a: {type: map}}", json!({"a": {}}), "true"),
        ("{a: {type: number}}", json!({"a": "1"}), "false"),
        ("{a: {length: 2}}", json!({"a": [1, 2]}), "true"),
        ("{a: {length: {at-least: 3}}}", json!({"a": "äöü"}), "true"),
        ("{a: {length: 0}}", json!({"a": 5}), "false"),
    ]);
}

#[test]
fn other_paths_addresses_and_ports() {
    check(&[
        ("{a: {equals-path: b.c}}", json!({"a": "8", "b": {"c": 8}}), "true"),
        ("{a: {equals-path: b}}", json!({"a": 1}), "false"),
        ("{a: {cidr: world}}", json!({"a": ["10.0.0.0/8", "0.0.0.0/0"]}), "true"),
        ("{a: {cidr: private}}", json!({"a": "10.0.0.0/8"}), "true"),
        ("{a: {cidr: {wider-than: 16}}}", json!({"a": "10.0.0.0/8"}), "true"),
        ("{a: {port: 22}}", json!({"a": ["80", "20-25"]}), "true"),
        ("{a: {port: 22}}", json!({"a": "*"}), "true"),
    ]);
}

#[test]
fn matchers_combine() {
    check(&[
        ("{a: {starts-with: a, ends-with: c}}", json!({"a": "abc"}), "true"),
        ("{a: {starts-with: a, ends-with: x}}", json!({"a": "abc"}), "false"),
        ("{a: {any: [x, {starts-with: a}]}}", json!({"a": "abc"}), "true"),
        ("{a: {all: [{contains: b}, {not: {contains: x}}]}}", json!({"a": "abc"}), "true"),
        ("{a: {not: [x, y]}}", json!({"a": "y"}), "false"),
    ]);
}

#[test]
fn an_unknown_can_count_as_something() {
    let body = json!({"a": {"$unknown": true}, "b": "x"});
    check(&[
        ("{a: {starts-with: gke-, unknown: false}}", body.clone(), "false"),
        ("{a: {not-equals: OPTIONS, unknown: true}}", body.clone(), "true"),
        ("{b: {not-equals: x, unknown: true}}", body.clone(), "false"),
        ("{c: {equals: x, unknown: true}}", body.clone(), "false"),
    ]);
}

#[test]
fn numbers_are_compared_with_other_paths() {
    check(&[
        ("{a: {less-than-path: b}}", json!({"a": "1", "b": 2}), "true"),
        ("{a: {less-than-path: b}}", json!({"a": 2, "b": 2}), "false"),
        ("{a: {less-than-path: b}}", json!({"a": 2}), "false"),
        ("{a: {less-than-path: b}}", json!({"a": 2, "b": {"$unknown": true}}), "unknown"),
        ("{a: {within-path: b}}", json!({"a": "10.1.2.3", "b": ["192.168.0.0/16", "10.1.0.0/16"]}), "true"),
        ("{a: {within-path: b}}", json!({"a": ["8.8.8.8", "10.1.2.0/24"], "b": "10.1.0.0/16"}), "true"),
        ("{a: {within-path: b}}", json!({"a": "10.0.0.0/8", "b": "10.1.0.0/16"}), "false"),
        ("{a: {within-path: b}}", json!({"a": "fd00::1", "b": "0.0.0.0/0"}), "false"),
        ("{a: {within-path: b}}", json!({"a": "resolver", "b": "0.0.0.0/0"}), "false"),
        ("{a: {within-path: b}}", json!({"a": "10.1.2.3"}), "false"),
        ("{a: {within-path: b}}", json!({"a": "10.1.2.3", "b": [{"$unknown": true}, "10.1.0.0/16"]}), "true"),
        ("{a: {within-path: b}}", json!({"a": "10.1.2.3", "b": [{"$unknown": true}, "10.2.0.0/16"]}), "unknown"),
        ("{some: {in: r, where: {no: {less-than-path: ^.limit}}}}", json!({"limit": 5, "r": [{"no": 7}, {"no": 4}]}), "true"),
    ]);
}
