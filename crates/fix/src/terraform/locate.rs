//! Finding blocks and expressions again by their ranges.

use keyblind_syntax::TextRange;
use keyblind_syntax::hcl::ast::{Attribute, Block, Body, Expr, ExprKind, Item, ObjectEntry};

/// What holds an expression.
#[derive(Clone, Copy)]
pub(super) enum Owner<'a> {
    Attribute(&'a Attribute),
    Entry(&'a ObjectEntry),
    /// A list.
    Element,
}

/// The block whose head has a range.
pub(super) fn block(body: &Body, header: TextRange) -> Option<&Block> {
    find_block(body, &|block| block.header() == header, header)
}

/// The block that has a range.
pub(super) fn block_at(body: &Body, range: TextRange) -> Option<&Block> {
    find_block(body, &|block| block.range == range, range)
}

/// The `dynamic` block around its `content`.
pub(super) fn dynamic_around(body: &Body, content: TextRange) -> Option<&Block> {
    let holds = |block: &Block| &*block.kind.text == "dynamic" && block.body.blocks().any(|inner| inner.range == content);
    find_block(body, &holds, content)
}

fn find_block<'b>(body: &'b Body, is_it: &dyn Fn(&Block) -> bool, range: TextRange) -> Option<&'b Block> {
    for block in body.blocks().filter(|block| block.range.contains(range)) {
        if is_it(block) {
            return Some(block);
        }
        if let Some(found) = find_block(&block.body, is_it, range) {
            return Some(found);
        }
    }
    None
}

/// The expression that has a range.
pub(super) fn expression(body: &Body, range: TextRange) -> Option<&Expr> {
    let top = top_expression(body, range)?;
    within(top, &|expr| expr.range == range, range)
}

/// The innermost list or object that has a range, or holds what has it as an element.
pub(super) fn container(body: &Body, range: TextRange) -> Option<&Expr> {
    let top = top_expression(body, range)?;
    let is_container = |expr: &Expr| matches!(expr.kind, ExprKind::Tuple(_) | ExprKind::Object(_));
    let exact = within(top, &|expr| expr.range == range && is_container(expr), range);
    exact.or_else(|| {
        within(
            top,
            &|expr| is_container(expr) && children(expr).iter().any(|child| child.range.contains(range) && !holds_container(child, range)),
            range,
        )
    })
}

fn holds_container(expr: &Expr, range: TextRange) -> bool {
    matches!(expr.kind, ExprKind::Tuple(_) | ExprKind::Object(_)) && children(expr).iter().any(|child| child.range.contains(range))
}

fn top_expression(body: &Body, range: TextRange) -> Option<&Expr> {
    for item in &body.items {
        match item {
            Item::Attribute(attribute) if attribute.value.range.contains(range) => return Some(&attribute.value),
            Item::Block(block) if block.range.contains(range) => return top_expression(&block.body, range),
            _ => {}
        }
    }
    None
}

fn within<'e>(expr: &'e Expr, is_it: &dyn Fn(&Expr) -> bool, range: TextRange) -> Option<&'e Expr> {
    if is_it(expr) {
        return Some(expr);
    }
    children(expr).into_iter().filter(|child| child.range.contains(range)).find_map(|child| within(child, is_it, range))
}

/// The expressions that an expression is made of.
pub(crate) fn children(expr: &Expr) -> Vec<&Expr> {
    match &expr.kind {
        ExprKind::Tuple(items) => items.iter().collect(),
        ExprKind::Object(entries) => entries.iter().flat_map(|entry| [&entry.key, &entry.value]).collect(),
        ExprKind::Attribute { base, .. } | ExprKind::Splat { base, .. } => vec![base],
        ExprKind::Index { base, key } => vec![base, key],
        ExprKind::Call { arguments, .. } => arguments.iter().collect(),
        ExprKind::Unary { operand, .. } => vec![operand],
        ExprKind::Binary { left, right, .. } => vec![left, right],
        ExprKind::Conditional { condition, then, otherwise } => vec![condition, then, otherwise],
        ExprKind::ForTuple(walk) => [&walk.collection, &walk.body].into_iter().chain(&walk.condition).collect(),
        ExprKind::ForObject(walk) => [&walk.collection, &walk.body_key, &walk.body].into_iter().chain(&walk.condition).collect(),
        ExprKind::Paren(inner) => vec![inner],
        ExprKind::Template(parts) => {
            let mut found = Vec::new();
            parts_of(parts, &mut found);
            found
        }
        ExprKind::Null | ExprKind::Bool(_) | ExprKind::Number(_) | ExprKind::String(_) | ExprKind::Variable(_) | ExprKind::Error => {
            Vec::new()
        }
    }
}

fn parts_of<'e>(parts: &'e [keyblind_syntax::hcl::ast::TemplatePart], found: &mut Vec<&'e Expr>) {
    use keyblind_syntax::hcl::ast::TemplatePart;
    for part in parts {
        match part {
            TemplatePart::Literal { .. } => {}
            TemplatePart::Interpolation { value, .. } => found.push(value),
            TemplatePart::If { condition, then, otherwise, .. } => {
                found.push(condition);
                parts_of(then, found);
                parts_of(otherwise, found);
            }
            TemplatePart::For { collection, body, .. } => {
                found.push(collection);
                parts_of(body, found);
            }
        }
    }
}
