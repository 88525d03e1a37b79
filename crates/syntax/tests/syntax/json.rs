//! JSON.

use keyblind_syntax::json::{self, Node, NodeKind};

fn parse(text: &str) -> Node {
    json::parse(text).unwrap_or_else(|error| panic!("{text}: {error:?}"))
}

#[test]
fn all_kinds_with_their_ranges() {
    let text = r#" {"a": [null, true, -1.50e+3, "x\n\u00e9\ud83d\ude00"], "b": {}} "#;
    let node = parse(text);
    let slice = |node: &Node| &text[node.range.as_usize()];
    assert_eq!(slice(&node), text.trim());
    let NodeKind::Object(members) = &node.kind else { panic!("{node:?}") };
    assert_eq!(&text[members[0].key_range.as_usize()], r#""a""#);
    let NodeKind::Array(elements) = &members[0].value.kind else { panic!("{node:?}") };
    let kinds: Vec<_> = elements.iter().map(|element| element.kind.clone()).collect();
    assert_eq!(kinds, [NodeKind::Null, NodeKind::Bool(true), NodeKind::Number("-1.50e+3".into()), NodeKind::String("x\né😀".into())]);
    assert_eq!(slice(&elements[3]), r#""x\n\u00e9\ud83d\ude00""#);
    assert_eq!(node.get("b").unwrap().kind, NodeKind::Object(Vec::new()));
    assert_eq!(node.get("c"), None);
}

#[test]
fn repeated_members_are_kept_in_order_and_the_last_one_counts() {
    let node = parse(r#"{"a": 1, "b": 2, "a": 3}"#);
    let NodeKind::Object(members) = &node.kind else { panic!("{node:?}") };
    assert_eq!(members.iter().map(|member| &*member.key).collect::<Vec<_>>(), ["a", "b", "a"]);
    assert_eq!(node.get("a").unwrap().kind, NodeKind::Number("3".into()));
}

#[test]
fn numbers_stay_as_written() {
    for number in ["0", "-0", "1E400", "123456789012345678901234567890.10"] {
        assert_eq!(parse(number).kind, NodeKind::Number(number.into()));
    }
}

#[test]
fn a_byte_order_mark_counts_in_ranges() {
    let node = parse("\u{feff}[1]");
    assert_eq!(node.range.as_usize(), 3..6);
    let NodeKind::Array(elements) = &node.kind else { panic!("{node:?}") };
    assert_eq!(elements[0].range.as_usize(), 4..5);
    assert_eq!(json::parse("\u{feff}[1 2]").unwrap_err().range.start, 5);
}

#[test]
fn what_only_looks_like_json_is_an_error() {
    for text in [
        "",
        " ",
        "{",
        "[1",
        "[1,]",
        "{\"a\": 1,}",
        "{a: 1}",
        "{'a': 1}",
        "// x\n1",
        "/* x */ 1",
        "1 2",
        "[1 2]",
        "{\"a\" 1}",
        "{\"a\": }",
        "\"a",
        "01",
        "+1",
        ".5",
        "1.",
        "0x1",
        "NaN",
        "Infinity",
        "-",
        "nul",
        "True",
        "\"\\x41\"",
        "\"\\u12\"",
        "\"\\ud800\"",
        "[,]",
        "]",
    ] {
        let error = json::parse(text).expect_err(text);
        assert!(!error.message.is_empty() && !error.message.ends_with('.'), "{text}: {error:?}");
        assert!(text.get(error.range.as_usize()).is_some(), "{text}: {error:?}");
    }
}

#[test]
fn errors_say_where_and_what() {
    let error = json::parse("{\"a\": 1,\n}").unwrap_err();
    assert_eq!((error.range.as_usize(), error.message.as_str()), (7..8, "trailing commas are not allowed"));
    assert_eq!(json::parse("").unwrap_err().message, "expected a JSON value, found only white space");
}

#[test]
fn two_leniencies() {
    assert_eq!(parse("\"a\tb\nc\"").kind, NodeKind::String("a\tb\nc".into()));
    assert_eq!(parse("\u{a0}1\u{2003}").kind, NodeKind::Number("1".into()));
}

#[test]
fn values_agree_with_another_reader() {
    for text in [include_str!("fixtures/plan.json"), include_str!("fixtures/network.tf.json")] {
        let expected: serde_json::Value = serde_json::from_str(text).unwrap();
        assert_eq!(to_serde(&parse(text)), expected);
    }
}

fn to_serde(node: &Node) -> serde_json::Value {
    match &node.kind {
        NodeKind::Null => serde_json::Value::Null,
        NodeKind::Bool(value) => (*value).into(),
        NodeKind::Number(text) => serde_json::from_str(text).unwrap(),
        NodeKind::String(text) => (&**text).into(),
        NodeKind::Array(elements) => elements.iter().map(to_serde).collect(),
        NodeKind::Object(members) => {
            serde_json::Value::Object(members.iter().map(|member| (member.key.to_string(), to_serde(&member.value))).collect())
        }
    }
}
