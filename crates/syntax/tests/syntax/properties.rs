//! What must hold of any text.

use keyblind_syntax::TextRange;
use keyblind_syntax::hcl;
use keyblind_syntax::hcl::ast::{Body, Item};
use proptest::prelude::*;

use crate::walk;

/// Handwritten files that hold every construct at least once.
pub(crate) const FIXTURES: [(&str, &str); 5] = [
    ("network.tf", include_str!("fixtures/network.tf")),
    ("compute.tf", include_str!("fixtures/compute.tf")),
    ("templates.tf", include_str!("fixtures/templates.tf")),
    ("for_bodies.tf", include_str!("fixtures/for_bodies.tf")),
    ("values.tfvars", include_str!("fixtures/values.tfvars")),
];

/// Pieces of HCL, to be strewn and strung together.
fn fragment() -> impl Strategy<Value = String> {
    let fixed = [
        "{",
        "}",
        "[",
        "]",
        "(",
        ")",
        "\"",
        "${",
        "%{",
        "~}",
        "}",
        "=",
        "==",
        "=>",
        ",",
        ".",
        "...",
        "\n",
        "\r\n",
        " ",
        "\t",
        "a",
        "b-c",
        "é",
        "1",
        "0.5",
        "-",
        "!",
        "?",
        ":",
        "::",
        "#",
        "//",
        "/*",
        "*/",
        "<<EOT\n",
        "<<-EOT\n",
        "EOT\n",
        "for ",
        "in ",
        "if ",
        "else",
        "endif",
        "endfor",
        "*",
        ".*",
        "[*]",
        "\\",
        "\\n",
        "$",
        "$$",
        "%%{",
        "&&",
        "||",
        "null",
        "true",
        "\u{feff}",
        "\0",
        "'",
        "<",
        "a = 1\n",
        "a \"b\" {\n",
        "  a = [\n",
        "}\n",
        "x = <<A\n",
        "A\n",
    ];
    proptest::sample::select(fixed.to_vec()).prop_map(str::to_owned)
}

/// A fixture with some places cut out, doubled or strewn with fragments.
fn mutated() -> impl Strategy<Value = String> {
    let change = (any::<prop::sample::Index>(), 0_usize..40, fragment(), 0_u8..4);
    (prop::sample::select(FIXTURES.to_vec()), prop::collection::vec(change, 1..6)).prop_map(|((_, text), changes)| {
        let mut text = text.to_owned();
        for (index, length, fragment, kind) in changes {
            let start = floor_boundary(&text, index.index(text.len().max(1)));
            let end = floor_boundary(&text, start + length).max(start);
            match kind {
                0 => drop(text.drain(start..end)),
                1 => text.insert_str(start, &fragment),
                2 => text.replace_range(start..end, &fragment),
                _ => {
                    let copy = text[start..end].to_owned();
                    text.insert_str(floor_boundary(&text, index.index(text.len().max(1)) / 2), &copy);
                }
            }
        }
        text
    })
}

fn floor_boundary(text: &str, at: usize) -> usize {
    (0..=at.min(text.len())).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0)
}

/// Blocks that are broken in one way each, as one line or several, to be put between whole ones.
const BROKEN: [&str; 24] = [
    "resource \"x\" \"broken\" {\n  a = 1 2\n}\n",
    "resource \"x\" \"broken\" {\n  a = [1, 2\n}\n",
    "resource \"x\" \"broken\" {\n  a = f(1\n  b = 2\n}\n",
    "resource \"x\" \"broken\" {\n  a = {\n    b = 1\n  c = 2\n}\n",
    "resource \"x\" \"broken\" {\n  a = \"b\n}\n",
    "resource \"x\" \"broken\" {\n  a = \"${b\"\n}\n",
    "resource \"x\" \"broken\" {\n  a = \"${b[\"c\"}\"\n  d = 1\n}\n",
    "resource \"x\" \"broken\" {\n  a = <<NOWHERE\n  b = 1\n}\n",
    "resource \"x\" \"broken\" {\n  a = <<EOT\n${b:-c}\nEOT\n}\n",
    "resource \"x\" \"broken\" {\n  a = 1\n",
    "resource \"x\" \"broken\" {\n  a {\n    b = 1\n}\n",
    "resource \"x\" \"broken\" {\n  a {\n    b = 1\n  }\n  }\n}\n",
    "resource \"x\" \"broken\" {\n}\n}\n",
    "resource \"x\" \"broken\"\n",
    "resource \"x\" \"broken\n",
    "resource \"x\" \"bro${ken}\" {\n  a = 1\n}\n",
    "resource \"x\" broken! {\n  a = {\n    b = 1\n  }\n}\n",
    "resource \"x\" \"broken\" = {\n  a = 1\n}\n",
    "<<<<<<< HEAD\n",
    "!!!\n",
    "\"resource\" \"x\" {\n  a = 1\n}\n",
    "resource \"x\" \"broken\" {\n  a = b ? c\n  d = e ? : f\n}\n",
    "resource \"x\" \"broken\" {\n  a = [for b in c b]\n  d = {for e in f : g}\n}\n",
    "resource \"x\" \"broken\" {\n  a = \"%{ if b }c\"\n  = 3\n  d e f\n}\n",
];

proptest! {
    #![proptest_config(ProptestConfig::with_cases(600))]

    #[test]
    fn any_text_is_read_or_told_as_lost(text in any::<String>()) {
        walk::check_all(&text);
    }

    #[test]
    fn any_fragments_are_read_or_told_as_lost(fragments in prop::collection::vec(fragment(), 0..60)) {
        walk::check_all(&fragments.concat());
    }

    #[test]
    fn any_damaged_file_is_read_or_told_as_lost(text in mutated()) {
        walk::check_all(&text);
    }

    #[test]
    fn a_broken_block_leaves_all_others_intact(
        (_, text) in prop::sample::select(FIXTURES[..4].to_vec()),
        place in any::<prop::sample::Index>(),
        broken in prop::sample::select(BROKEN.to_vec()),
    ) {
        let whole = hcl::parse(text);
        let place = place.index(whole.body.items.len() + 1);
        let at = whole.body.items.get(place).map_or(text.len(), |item| item_range(item).start as usize);
        let damaged_text = format!("{}{broken}{}", &text[..at], &text[at..]);
        let damaged = hcl::parse(&damaged_text);
        prop_assert!(!damaged.errors.is_empty());
        walk::check_coverage(&damaged_text, &damaged);
        // Everything that stood in the file still stands there, at the top level and unchanged.
        let mut left = damaged.body.items.iter().map(shown).filter(|item| !item.contains("\"broken\"")).collect::<Vec<_>>();
        left.retain(|item| !item.starts_with("<"));
        prop_assert_eq!(left, whole.body.items.iter().map(shown).collect::<Vec<_>>(), "{}\n{:?}", damaged_text, damaged.errors);
    }
}

fn item_range(item: &Item) -> TextRange {
    match item {
        Item::Attribute(attribute) => attribute.range,
        Item::Block(block) => block.range,
    }
}

fn shown(item: &Item) -> String {
    crate::show::body(&Body { items: vec![item.clone()], range: item_range(item) })
}

#[test]
fn the_fixtures_are_whole() {
    for (name, text) in FIXTURES {
        let file = hcl::parse(text);
        assert!(file.errors.is_empty(), "{name}: {:?}", file.errors);
        walk::check_all(text);
        walk::check_all(&text.replace('\n', "\r\n"));
        walk::check_all(&format!("\u{feff}{text}"));
    }
}
