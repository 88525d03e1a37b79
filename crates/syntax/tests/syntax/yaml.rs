//! YAML: every node knows its bytes, and nothing hostile gets far.

use keyblind_syntax::yaml::{self, Node, NodeKind, Style};
use keyblind_syntax::{TextRange, limits};
use proptest::prelude::*;

fn one(text: &str) -> Node {
    let stream = yaml::parse(text);
    assert_eq!(stream.errors, [], "{text}");
    assert_eq!(stream.documents.len(), 1, "{text}");
    stream.documents.into_iter().next().unwrap()
}

fn slice(text: &str, range: TextRange) -> &str {
    &text[range.as_usize()]
}

#[test]
fn scalars_follow_the_core_schema() {
    for (text, kind) in [
        ("~", NodeKind::Null),
        ("True", NodeKind::Bool(true)),
        ("yes", NodeKind::String("yes".into())),
        ("on", NodeKind::String("on".into())),
        ("12", NodeKind::Number("12".into())),
        ("+1.50", NodeKind::Number("1.50".into())),
        ("-.5e+3", NodeKind::Number("-0.5e+3".into())),
        ("0x1F", NodeKind::Number("31".into())),
        ("0o17", NodeKind::Number("15".into())),
        ("0644", NodeKind::String("0644".into())),
        ("012345678901", NodeKind::String("012345678901".into())),
        (".inf", NodeKind::String(".inf".into())),
        ("1.2.3", NodeKind::String("1.2.3".into())),
        ("2012-10-17", NodeKind::String("2012-10-17".into())),
        ("'12'", NodeKind::String("12".into())),
        ("!!str 12", NodeKind::String("12".into())),
        ("!!int '12'", NodeKind::Number("12".into())),
    ] {
        assert_eq!(one(&format!("a: {text}\n")).get("a").unwrap().kind, kind, "{text}");
    }
}

#[test]
fn nodes_know_their_bytes() {
    let text = "# head\nouter:\n  list:\n    - one # note\n    - {two: \"2\"}\n  text: |\n    line\n\nlast: 1\n";
    let stream = yaml::parse(text);
    let root = &stream.documents[0];
    let outer = root.get("outer").unwrap();
    assert_eq!(slice(text, outer.get("list").unwrap().range), "- one # note\n    - {two: \"2\"}");
    assert_eq!(slice(text, outer.get("list").unwrap().as_sequence().unwrap()[1].get("two").unwrap().range), "\"2\"");
    assert_eq!(slice(text, outer.get("text").unwrap().range).trim_end(), "|\n    line");
    assert_eq!(outer.get("text").unwrap().style, Style::Literal);
    assert_eq!(slice(text, root.entry("last").unwrap().range()), "last: 1");
    assert!(slice(text, root.range).starts_with("outer:") && slice(text, root.range).ends_with("last: 1"));
    assert_eq!(stream.comments.iter().map(|comment| slice(text, *comment)).collect::<Vec<_>>(), ["# head", "# note"]);
}

#[test]
fn tags_of_templates_are_kept() {
    let text = "a: !Ref Name\nb: !Sub\n  - text\n  - {x: 1}\nc: !GetAtt [A, B]\nd: !!map {}\n";
    let root = one(text);
    for (key, tag) in [("a", "!Ref"), ("b", "!Sub"), ("c", "!GetAtt")] {
        let node = root.get(key).unwrap();
        let found = node.tag.as_ref().unwrap();
        assert_eq!((&*found.name, slice(text, found.range)), (tag, tag));
    }
    assert_eq!(root.get("a").unwrap().as_str(), Some("Name"));
    assert_eq!(root.get("d").unwrap().tag, None);
    // What a tag is on is no number.
    assert_eq!(one("a: !Ref 12").get("a").unwrap().as_str(), Some("12"));
}

#[test]
fn aliases_and_merge_keys() {
    let text = "base: &base {a: 1, b: 2}\nuse: *base\nmerged:\n  <<: *base\n  b: 3\nboth: {<<: [{a: 5}, *base]}\n";
    let root = one(text);
    let used = root.get("use").unwrap();
    assert_eq!(slice(text, used.alias.unwrap()), "*base");
    assert_eq!(slice(text, used.range), "{a: 1, b: 2}");
    let merged = root.get("merged").unwrap();
    let number = |node: &Node, key: &str| node.get(key).and_then(Node::as_key).map(str::to_owned);
    assert_eq!((number(merged, "a").as_deref(), number(merged, "b").as_deref()), (Some("1"), Some("3")));
    assert_eq!(merged.entries().len(), 2);
    assert_eq!(number(root.get("both").unwrap(), "a").as_deref(), Some("5"));
}

#[test]
fn a_broken_document_costs_only_itself() {
    let stream = yaml::parse("a: 1\n---\nb: [1, 2\n---\nc: 3\n");
    assert_eq!(stream.documents.len(), 2);
    assert!(stream.documents[1].get("c").is_some());
    assert_eq!(stream.errors.len(), 1);
    assert!(stream.errors[0].message.starts_with("this is not YAML"));
}

#[test]
fn repeated_keys_are_kept_and_the_last_counts() {
    let root = one("a: 1\na: 2\n");
    assert_eq!(root.as_mapping().unwrap().len(), 2);
    assert_eq!(root.get("a").unwrap().as_key(), Some("2"));
}

#[test]
fn a_byte_order_mark_and_windows_line_ends_are_counted() {
    let text = "\u{feff}a: 1\r\nb: \"ü\"\r\n";
    let root = one(text);
    assert_eq!(slice(text, root.get("b").unwrap().range), "\"ü\"");
}

#[test]
fn bombs_end_as_errors() {
    let mut bomb = String::from("a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n");
    for level in 1..12 {
        let below = format!("*a{}", level - 1);
        bomb += &format!("a{level}: &a{level} [{}]\n", [below.as_str(); 10].join(", "));
    }
    let stream = yaml::parse(&bomb);
    assert!(stream.errors[0].message.contains("aliases followed"), "{:?}", stream.errors);
    let deep = yaml::parse(&"[".repeat(100_000));
    assert!(!deep.errors.is_empty());
    let blocks: String = (0..2_000).map(|level| format!("{}a:\n", " ".repeat(level))).collect();
    assert!(yaml::parse(&blocks).errors[0].message.contains(&limits::YAML_NESTING.to_string()));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn any_text_is_read_to_its_end_and_ranges_fit(text in "([-a-c: \n\\[\\]{},&*!|>'\"#?%~<]|---\n|: |\n  |\u{fc}){0,60}") {
        let stream = yaml::parse(&text);
        let mut open: Vec<&Node> = stream.documents.iter().collect();
        while let Some(node) = open.pop() {
            prop_assert!(text.get(node.range.as_usize()).is_some());
            prop_assert!(text.get(node.place().as_usize()).is_some());
            if let Some(tag) = &node.tag {
                prop_assert_eq!(slice(&text, tag.range), &*tag.name);
            }
            open.extend(node.as_sequence().unwrap_or_default());
            for entry in node.as_mapping().unwrap_or_default() {
                prop_assert!(text.get(entry.range().as_usize()).is_some());
                open.extend([&entry.key, &entry.value]);
            }
        }
        for comment in &stream.comments {
            prop_assert!(slice(&text, *comment).starts_with('#'));
        }
    }
}
