//! Files, bodies, blocks, attributes and comments.

use keyblind_syntax::hcl::{self, File};

use crate::show::{body, file};

fn comments<'text>(text: &'text str, file: &File) -> Vec<&'text str> {
    file.comments.iter().map(|comment| &text[comment.range.as_usize()]).collect()
}

#[test]
fn attributes_and_blocks() {
    let text = "a = 1\nb {\n  c = 2\n  d {\n  }\n}\n\ne \"x\" y \"z\" {\n}\n";
    assert_eq!(body(&file(text).body), r#"a = 1; b { c = 2; d {} }; e "x" y "z" {}"#);
}

#[test]
fn blocks_on_one_line() {
    assert_eq!(body(&file("a {}\nb { c = 1 }\nd { e = [\n1\n] }").body), "a {}; b { c = 1 }; d { e = [1] }");
}

#[test]
fn empty_files() {
    for text in ["", "\n", "\u{feff}", "# only a comment", "/* x */", "\r\n\r\n", "  \t"] {
        assert_eq!(body(&file(text).body), "", "{text:?}");
    }
}

#[test]
fn a_byte_order_mark_counts_in_ranges() {
    let text = "\u{feff}a = 1\n";
    let file = file(text);
    assert_eq!(file.body.items.len(), 1);
    assert_eq!(file.body.attribute("a").unwrap().range.as_usize(), 3..8);
}

#[test]
fn carriage_returns_before_line_feeds_are_line_ends() {
    let text = "a = 1 # x\r\nb {\r\n  c = \"d\"\r\n}\r\n";
    let file = file(text);
    assert_eq!(body(&file.body), r#"a = 1; b { c = "d" }"#);
    assert_eq!(comments(text, &file), ["# x"]);
}

#[test]
fn the_last_line_needs_no_end() {
    assert_eq!(body(&file("a = 1").body), "a = 1");
    assert_eq!(body(&file("a {\n}").body), "a {}");
}

#[test]
fn labels_are_unescaped() {
    assert_eq!(body(&file(r#"a "b\"c" "d$${e}" {}"#).body), r#"a "b\"c" "d${e}" {}"#);
}

#[test]
fn repeated_attributes_are_kept() {
    assert_eq!(body(&file("a = 1\na = 2\n").body), "a = 1; a = 2");
}

#[test]
fn words_of_the_language_can_be_names() {
    assert_eq!(body(&file("for = 1\nif = 2\nnull = 3\ntrue {}\nin \"x\" {}").body), r#"for = 1; if = 2; null = 3; true {}; in "x" {}"#);
}

#[test]
fn comments_are_kept_in_order() {
    let text = "# one\na = 1 // two\n/* three\n */ b = [ # four\n  2, /* five */\n]\nc { # six\n  # seven\n}\nd = \"# no\"\ne = <<X\n# no\n${1 /* eight */}\nX\n";
    let file = file(text);
    assert_eq!(comments(text, &file), ["# one", "// two", "/* three\n */", "# four", "/* five */", "# six", "# seven", "/* eight */"]);
}

#[test]
fn ranges_of_blocks() {
    let text = "a \"b\" {\n  c = 1\n}\n";
    let file = file(text);
    let block = file.body.blocks().next().unwrap();
    let slice = |range: keyblind_syntax::TextRange| &text[range.as_usize()];
    assert_eq!(slice(block.range), "a \"b\" {\n  c = 1\n}");
    assert_eq!(slice(block.header()), "a \"b\"");
    assert_eq!(slice(block.labels[0].range), "\"b\"");
    assert_eq!(slice(block.open), "{");
    assert_eq!(slice(block.close), "}");
    assert_eq!(slice(block.body.range), "\n  c = 1\n");
    assert_eq!(file.body.range.as_usize(), 0..text.len());
}

#[test]
fn what_terraform_refuses_is_told_without_losing_anything() {
    // Each is refused by `terraform fmt`, but leaves no doubt about what is meant.
    for (text, tree, message) in [
        ("a = 1,\n", "a = 1", "attributes are separated by line ends, not by commas"),
        ("a {\n  b = 1 }\n", "a { b = 1 }", "this `}` must stand on a line of its own"),
        ("a { b = 1\n}\n", "a { b = 1 }", "a block that begins on the line of its `{` must end there too"),
        ("a { b {} }\n", "a { b {} }", "a block on one line can hold only one attribute; write each item on a line of its own"),
        ("a {} b {}\n", "a {}; b {}", "expected a line end behind the block, found `b`"),
        ("a {\n  b {\n  } }\n", "a { b {} }", "expected a line end behind the block, found `}`"),
        ("a\n{\n  b = 1\n}\n", "a { b = 1 }", "the `{` of a block must stand on the line of its head"),
        ("a \"b\"\n\n{\n}\n", "a \"b\" {}", "the `{` of a block must stand on the line of its head"),
    ] {
        let file = hcl::parse(text);
        assert_eq!(body(&file.body), tree, "{text:?}");
        let messages: Vec<_> = file.errors.iter().map(|error| error.message.as_str()).collect();
        assert_eq!(messages, [message], "{text:?}");
        let lost = &text[file.errors[0].lost.as_usize()];
        assert!(matches!(lost, "" | ","), "{text:?}: lost {lost:?}");
    }
}

#[test]
fn a_comment_without_end_is_told() {
    let text = "a = 1\n/* b = 2\n";
    let file = hcl::parse(text);
    assert_eq!(body(&file.body), "a = 1");
    assert_eq!(file.errors[0].message, "this comment isn't closed: its `*/` is missing");
    assert_eq!(&text[file.errors[0].lost.as_usize()], "/* b = 2\n");
}
