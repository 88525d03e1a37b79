//! Walks over trees, and what must hold of any text. The fuzz targets check the same.

use keyblind_syntax::hcl::ast::{Body, Expr, ExprKind, Item, SplatStep, TemplatePart};
use keyblind_syntax::hcl::{self, File};
use keyblind_syntax::{TextRange, json};

/// Everything that must hold of what the parsers make of a text.
pub(crate) fn check_all(text: &str) {
    check_file(text);
    check_expression_and_template(text);
    check_json(text);
}

/// What must hold of a text that is read as a file.
pub(crate) fn check_file(text: &str) {
    let file = hcl::parse(text);
    check_ranges(text, &file.body);
    check_coverage(text, &file);
    for pair in file.comments.windows(2) {
        assert!(pair[0].range.end <= pair[1].range.start, "comments overlap or are out of order: {:?}", file.comments);
    }
    if file.errors.is_empty() {
        body_expressions(&file.body, &mut |expression| {
            assert!(!matches!(expression.kind, ExprKind::Error), "an unreadable expression without an error: {expression:?}");
        });
    }
}

/// What must hold of a text that is read as an expression, and as a template.
pub(crate) fn check_expression_and_template(text: &str) {
    let (expression, errors) = hcl::parse_expression(text);
    check_expression(text, &expression);
    assert_eq!(matches!(expression.kind, ExprKind::Error), !errors.is_empty(), "{errors:?}");
    errors.iter().for_each(|error| check_range(text, error.range));
    let (parts, errors) = hcl::parse_template(text);
    check_parts(text, TextRange::new(0, text.len() as u32), &parts);
    errors.iter().for_each(|error| check_range(text, error.range));
}

/// What must hold of a text that is read as JSON.
pub(crate) fn check_json(text: &str) {
    match json::parse(text) {
        Ok(node) => check_node(text, &node),
        Err(error) => check_range(text, error.range),
    }
}

fn check_node(text: &str, node: &json::Node) {
    check_range(text, node.range);
    match &node.kind {
        json::NodeKind::Array(elements) => {
            let mut end = node.range.start;
            for element in elements {
                assert!(node.range.contains(element.range) && end <= element.range.start, "{element:?} is misplaced in {node:?}");
                end = element.range.end;
                check_node(text, element);
            }
        }
        json::NodeKind::Object(members) => {
            let mut end = node.range.start;
            for member in members {
                check_order(text, node.range, &[TextRange::new(end, end), member.key_range, member.value.range]);
                end = member.value.range.end;
                check_node(text, &member.value);
            }
        }
        json::NodeKind::Number(number) => assert_eq!(**number, text[node.range.as_usize()]),
        json::NodeKind::Null | json::NodeKind::Bool(_) | json::NodeKind::String(_) => {}
    }
}

/// Panics unless every byte of the text belongs to an item, a comment, white space or something told as lost.
pub(crate) fn check_coverage(text: &str, file: &File) {
    let mut known = vec![false; text.len()];
    let mut mark = |range: TextRange| known[range.as_usize()].fill(true);
    file.comments.iter().for_each(|comment| mark(comment.range));
    for error in &file.errors {
        check_range(text, error.range);
        check_range(text, error.lost);
        mark(error.lost);
    }
    mark_items(&file.body, &mut mark);
    if text.starts_with('\u{feff}') {
        mark(TextRange::new(0, 3));
    }
    for (at, byte) in text.bytes().enumerate() {
        assert!(known[at] || matches!(byte, b' ' | b'\t' | b'\r' | b'\n'), "byte {at} is neither read nor told as lost:\n{text}\n{file:?}");
    }
}

/// Marks attributes, and of blocks the head and the braces, so that what is inside must account for itself.
fn mark_items(body: &Body, mark: &mut impl FnMut(TextRange)) {
    for item in &body.items {
        match item {
            Item::Attribute(attribute) => mark(attribute.range),
            Item::Block(block) => {
                mark(block.header());
                mark(block.open);
                mark(block.close);
                mark_items(&block.body, mark);
            }
        }
    }
}

/// Calls a function for an expression and everything in it, from outside to inside and from left to right.
pub(crate) fn expressions<'tree>(expression: &'tree Expr, visit: &mut impl FnMut(&'tree Expr)) {
    visit(expression);
    for child in children(expression) {
        expressions(child, visit);
    }
}

/// All expressions in a body and its blocks.
pub(crate) fn body_expressions<'tree>(body: &'tree Body, visit: &mut impl FnMut(&'tree Expr)) {
    for item in &body.items {
        match item {
            Item::Attribute(attribute) => expressions(&attribute.value, visit),
            Item::Block(block) => body_expressions(&block.body, visit),
        }
    }
}

/// The expressions directly within one.
fn children(expression: &Expr) -> Vec<&Expr> {
    match &expression.kind {
        ExprKind::Null | ExprKind::Bool(_) | ExprKind::Number(_) | ExprKind::String(_) | ExprKind::Variable(_) | ExprKind::Error => {
            Vec::new()
        }
        ExprKind::Template(parts) => part_children(parts),
        ExprKind::Tuple(elements) => elements.iter().collect(),
        ExprKind::Object(entries) => entries.iter().flat_map(|entry| [&entry.key, &entry.value]).collect(),
        ExprKind::Attribute { base, .. } => vec![base],
        ExprKind::Index { base, key } => vec![base, key],
        ExprKind::Splat { base, steps, .. } => {
            let mut found: Vec<&Expr> = vec![base];
            step_children(steps, &mut found);
            found
        }
        ExprKind::Call { arguments, .. } => arguments.iter().collect(),
        ExprKind::Unary { operand, .. } => vec![operand],
        ExprKind::Binary { left, right, .. } => vec![left, right],
        ExprKind::Conditional { condition, then, otherwise } => vec![condition, then, otherwise],
        ExprKind::ForTuple(walk) => [&walk.collection, &walk.body].into_iter().chain(&walk.condition).collect(),
        ExprKind::ForObject(walk) => [&walk.collection, &walk.body_key, &walk.body].into_iter().chain(&walk.condition).collect(),
        ExprKind::Paren(inner) => vec![inner],
    }
}

fn step_children<'tree>(steps: &'tree [SplatStep], found: &mut Vec<&'tree Expr>) {
    for step in steps {
        match step {
            SplatStep::Attribute(_) => {}
            SplatStep::Index(key) => found.push(key),
            SplatStep::Splat { steps, .. } => step_children(steps, found),
        }
    }
}

fn part_children(parts: &[TemplatePart]) -> Vec<&Expr> {
    parts
        .iter()
        .flat_map(|part| match part {
            TemplatePart::Literal { .. } => Vec::new(),
            TemplatePart::Interpolation { value, .. } => vec![value],
            TemplatePart::If { condition, then, otherwise, .. } => {
                let mut found = vec![&**condition];
                found.extend(part_children(then));
                found.extend(part_children(otherwise));
                found
            }
            TemplatePart::For { collection, body, .. } => {
                let mut found = vec![&**collection];
                found.extend(part_children(body));
                found
            }
        })
        .collect()
}

/// Panics unless all ranges are within the text, on its character boundaries, in order, and within their parents.
pub(crate) fn check_ranges(text: &str, body: &Body) {
    check_range(text, body.range);
    let mut end = body.range.start;
    for item in &body.items {
        let range = match item {
            Item::Attribute(attribute) => {
                check_order(text, attribute.range, &[attribute.name.range, attribute.equals, attribute.value.range]);
                check_expression(text, &attribute.value);
                attribute.range
            }
            Item::Block(block) => {
                let mut parts = vec![block.kind.range];
                parts.extend(block.labels.iter().map(|label| label.range));
                parts.extend([block.open, block.body.range, block.close]);
                check_order(text, block.range, &parts);
                check_ranges(text, &block.body);
                block.range
            }
        };
        assert!(body.range.contains(range), "{range:?} isn't within its body {:?}", body.range);
        assert!(end <= range.start, "{range:?} overlaps what ends at {end}");
        end = range.end;
    }
}

/// Panics unless all ranges in an expression are within the text and within their parents.
pub(crate) fn check_expression(text: &str, expression: &Expr) {
    check_order(text, expression.range, &[]);
    for child in children(expression) {
        assert!(expression.range.contains(child.range), "{:?} isn't within {:?}", child.range, expression.range);
        check_expression(text, child);
    }
    if let ExprKind::Template(parts) = &expression.kind {
        check_parts(text, expression.range, parts);
    }
}

fn check_parts(text: &str, outer: TextRange, parts: &[TemplatePart]) {
    let mut end = outer.start;
    for part in parts {
        let range = match part {
            TemplatePart::Literal { range, .. } | TemplatePart::Interpolation { range, .. } => *range,
            TemplatePart::If { then, otherwise, range, .. } => {
                check_parts(text, *range, then);
                check_parts(text, *range, otherwise);
                *range
            }
            TemplatePart::For { body, range, .. } => {
                check_parts(text, *range, body);
                *range
            }
        };
        check_range(text, range);
        assert!(outer.contains(range), "{range:?} isn't within {outer:?}");
        assert!(end <= range.start, "{range:?} overlaps what ends at {end}");
        end = range.end;
    }
}

fn check_order(text: &str, outer: TextRange, parts: &[TextRange]) {
    check_range(text, outer);
    let mut end = outer.start;
    for part in parts {
        check_range(text, *part);
        assert!(outer.contains(*part), "{part:?} isn't within {outer:?}");
        assert!(end <= part.start, "{part:?} overlaps what ends at {end}");
        end = part.end;
    }
}

pub(crate) fn check_range(text: &str, range: TextRange) {
    assert!(range.start <= range.end, "{range:?} ends before it starts");
    assert!(text.get(range.as_usize()).is_some(), "{range:?} isn't within the text, or cuts a character");
}
