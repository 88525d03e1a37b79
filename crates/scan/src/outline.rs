//! The outline of a file, for directives: where its comments, blocks, attributes and elements lie.

use keyblind_dialects::{cloudformation, dockerfile, github_actions};
use keyblind_rules::suppressions::{Outline, Region, RegionKind};
use keyblind_syntax::hcl::ast::{Body, Expr, ExprKind, Item};
use keyblind_syntax::hcl::{self, Comment};
use keyblind_syntax::yaml::{self, Node, NodeKind};
use keyblind_syntax::{SourceFile, TextRange};

/// Outlines a file in the language that its name tells.
pub(crate) fn of(file: &SourceFile) -> Outline {
    if dockerfile::recognises(&file.path, &file.text) {
        return of_dockerfile(&file.text);
    }
    let ending = file.path.rsplit('.').next().unwrap_or_default();
    match ending {
        "tf" | "tofu" | "tfvars" => of_hcl(&file.text),
        _ if github_actions::recognises(&file.path, &file.text) => within_file(&file.text, of_yaml(&file.text)),
        _ if cloudformation::recognises(&file.text) => of_template(file),
        _ => of_yaml(&file.text),
    }
}

/// Makes the file the outermost block: directives that reach what is around them mean the file.
fn within_file(text: &str, outline: Outline) -> Outline {
    let whole = Region { range: TextRange::new(0, text.len() as u32), kind: RegionKind::Block, children: outline.regions };
    Outline { comments: outline.comments, regions: vec![whole] }
}

/// Outlines a Dockerfile: the file is a block, in which each instruction is one.
fn of_dockerfile(text: &str) -> Outline {
    let parsed = keyblind_syntax::dockerfile::parse(text);
    let region = |range| Region { range, kind: RegionKind::Block, children: Vec::new() };
    let children = parsed.instructions.iter().map(|instruction| region(instruction.range)).collect();
    within_file(text, Outline { comments: parsed.comments, regions: children })
}

/// Outlines all documents of a YAML text: what a key of a mapping holds is a block if it is a collection, so that a directive
/// above a key, or a list's element, reaches all of it. The parser bounds how deep it is.
fn of_yaml(text: &str) -> Outline {
    let stream = yaml::parse(text);
    Outline { comments: stream.comments, regions: stream.documents.iter().map(yaml_region).collect() }
}

/// Outlines a template: each resource, parameter and so on is a block of its own, so that a directive in one of them doesn't
/// reach the others.
fn of_template(file: &SourceFile) -> Outline {
    let stream = yaml::parse(&file.text);
    let sections = stream.documents.iter().filter_map(Node::as_mapping).flatten();
    let mut regions: Vec<Region> = Vec::new();
    for section in sections {
        match section.value.as_mapping().filter(|_| section.value.alias.is_none()) {
            Some(entries) => regions.extend(entries.iter().map(|entry| yaml_region_of(entry.range(), &entry.value))),
            None => regions.push(yaml_region_of(section.range(), &section.value)),
        }
    }
    let starts: Vec<u32> = regions.iter().skip(1).map(|region| region.range.start).chain([file.text.len() as u32]).collect();
    for (region, next) in regions.iter_mut().zip(starts) {
        // A comment behind the last value belongs to the block if it is indented as a part of it.
        let column = |offset| file.line_column(offset).column;
        let key = column(region.range.start);
        let behind = stream.comments.iter().filter(|comment| region.range.end <= comment.start && comment.end <= next);
        if let Some(last) = behind.take_while(|comment| column(comment.start) > key).last() {
            region.range.end = last.end;
        }
    }
    Outline { comments: stream.comments, regions }
}

fn yaml_region(node: &Node) -> Region {
    yaml_region_of(node.place(), node)
}

fn yaml_region_of(range: TextRange, node: &Node) -> Region {
    let children = match &node.kind {
        // What an alias brings stands elsewhere.
        _ if node.alias.is_some() => Vec::new(),
        NodeKind::Mapping(entries) => entries.iter().map(|entry| yaml_region_of(entry.range(), &entry.value)).collect(),
        NodeKind::Sequence(items) => items.iter().map(yaml_region).collect(),
        _ => Vec::new(),
    };
    let kind = if children.is_empty() { RegionKind::Attribute } else { RegionKind::Block };
    Region { range, kind, children }
}

/// Outlines a text in native syntax. The parser bounds how deep it is.
fn of_hcl(text: &str) -> Outline {
    let file = hcl::parse(text);
    Outline { comments: file.comments.iter().map(|Comment { range }| *range).collect(), regions: of_body(&file.body) }
}

fn of_body(body: &Body) -> Vec<Region> {
    let region = |item: &Item| match item {
        Item::Attribute(attribute) => attribute_region(attribute.range, &attribute.value),
        Item::Block(block) => Region { range: block.range, kind: RegionKind::Block, children: of_body(&block.body) },
    };
    body.items.iter().map(region).collect()
}

fn attribute_region(range: TextRange, value: &Expr) -> Region {
    let children = match &value.kind {
        ExprKind::Tuple(items) => items.iter().map(|item| attribute_region(item.range, item)).collect(),
        ExprKind::Object(entries) => entries.iter().map(|entry| attribute_region(entry.range, &entry.value)).collect(),
        ExprKind::Paren(inner) => vec![attribute_region(inner.range, inner)],
        ExprKind::Call { arguments, .. } => arguments.iter().map(|argument| attribute_region(argument.range, argument)).collect(),
        _ => Vec::new(),
    };
    Region { range, kind: RegionKind::Attribute, children }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn elements_of_lists_and_objects_are_regions() {
        let text = "resource \"a\" \"b\" {\n  policy = jsonencode({\n    one = 1 # x\n    two = [\n      2,\n    ]\n  })\n}\n";
        let outline = of_hcl(text);
        assert_eq!(outline.comments.len(), 1);
        let mut found = Vec::new();
        let mut open: Vec<&Region> = outline.regions.iter().collect();
        while let Some(region) = open.pop() {
            found.push(&text[region.range.as_usize()]);
            open.extend(&region.children);
        }
        assert!(found.contains(&"one = 1") && found.contains(&"2"), "{found:?}");
    }

    #[test]
    fn a_comment_in_a_resource_reaches_that_resource() {
        let text = "Resources:\n  A:\n    Type: X::Y::Z\n    # last of A\n  # above B\n  B:\n    # first of B\n    Type: X::Y::Z\n";
        let file = SourceFile::new("template.yaml", text);
        let outline = of(&file);
        let reached = |comment: &str| {
            let start = text.find(comment).unwrap() as u32;
            let range = TextRange::new(start, start + comment.len() as u32);
            outline.area(&file, range, range, keyblind_rules::suppressions::Reach::Enclosing).map(|area| &text[area.as_usize()][..1])
        };
        assert_eq!(reached("# last of A"), Some("A"));
        assert_eq!(reached("# above B"), None);
        assert_eq!(reached("# first of B"), Some("B"));
    }
}
