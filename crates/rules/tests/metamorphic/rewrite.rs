//! Rewritings of Terraform texts that change nothing of what they mean.

use keyblind_syntax::hcl::ast::{Body, ExprKind, Item};
use keyblind_syntax::hcl::{self, ast::Block};

/// The top-level blocks, each with what stands above it.
pub(crate) fn blocks(text: &str) -> Vec<String> {
    let file = hcl::parse(text);
    let mut start = 0;
    let mut found = Vec::new();
    for block in file.body.blocks() {
        found.push(text[start..block.range.end as usize].to_owned() + "\n");
        start = block.range.end as usize;
    }
    found
}

/// `count = 1` in every resource that nothing refers to and that isn't counted already.
pub(crate) fn with_count(text: &str) -> String {
    let file = hcl::parse(text);
    let mut inserts = Vec::new();
    for block in file.body.blocks() {
        let is_plain = &*block.kind.text == "resource" && ["count", "for_each"].iter().all(|name| block.body.attribute(name).is_none());
        if is_plain && !is_referred_to(text, block) {
            inserts.push((block.open.end as usize, "\n  count = 1\n".to_owned()));
        }
    }
    insert(text, inserts)
}

fn is_referred_to(text: &str, block: &Block) -> bool {
    let address: Vec<&str> = block.labels.iter().map(|label| &*label.text).collect();
    text.contains(&address.join("."))
}

/// Moves the literal attributes of resources to declarations of the kind `root` (`var`, `local`). `declare` makes these from
/// lines `name = literal`.
pub(crate) fn literals_to(text: &str, root: &str, declare: impl Fn(&str) -> String) -> String {
    let file = hcl::parse(text);
    let (mut edits, mut names) = (Vec::new(), String::new());
    for block in file.body.blocks().filter(|block| &*block.kind.text == "resource") {
        collect(&block.body, text, root, &mut edits, &mut names);
    }
    let mut result = text.to_owned();
    for (range, replacement) in edits.into_iter().rev() {
        result.replace_range(range, &replacement);
    }
    result + "\n" + &declare(&names)
}

fn collect(body: &Body, text: &str, root: &str, edits: &mut Vec<(std::ops::Range<usize>, String)>, names: &mut String) {
    for item in &body.items {
        match item {
            // These steer Terraform itself and take no expression.
            Item::Block(block) if matches!(&*block.kind.text, "lifecycle" | "dynamic") => {}
            Item::Block(block) => collect(&block.body, text, root, edits, names),
            Item::Attribute(attribute) => {
                let range = attribute.value.range.as_usize();
                let literal = &text[range.clone()];
                let is_literal = match &attribute.value.kind {
                    ExprKind::Bool(_) | ExprKind::Number(_) => true,
                    ExprKind::String(_) => literal.starts_with('"'),
                    _ => false,
                };
                if is_literal {
                    let name = format!("moved{}", edits.len());
                    names.push_str(&format!("  {name} = {literal}\n"));
                    edits.push((range, format!("{root}.{name}")));
                }
            }
        }
    }
}

fn insert(text: &str, inserts: Vec<(usize, String)>) -> String {
    let mut result = text.to_owned();
    for (at, part) in inserts.into_iter().rev() {
        result.insert_str(at, &part);
    }
    result
}
