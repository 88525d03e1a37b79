//! Trees as short texts, so that a test shows what a reader would draw.

use std::fmt::Write as _;

use keyblind_syntax::hcl::ast::{BinaryOp, Body, Expr, ExprKind, ForObject, ForTuple, Ident, Item, SplatStep, TemplatePart, UnaryOp};
use keyblind_syntax::hcl::{self, File};

/// An expression that must parse, as a text with a bracket around every node that has children.
pub(crate) fn expression(text: &str) -> String {
    let (expression, errors) = hcl::parse_expression(text);
    assert!(errors.is_empty(), "{text}: {errors:?}");
    show(&expression)
}

/// The only error of a text that isn't an expression: its message, and the text it points at.
pub(crate) fn expression_error(text: &str) -> (String, &str) {
    let (expression, errors) = hcl::parse_expression(text);
    assert!(matches!(expression.kind, ExprKind::Error), "{text}: {expression:?}");
    assert_eq!(errors.len(), 1, "{text}: {errors:?}");
    (errors[0].message.clone(), &text[errors[0].range.as_usize()])
}

/// A file that must parse.
pub(crate) fn file(text: &str) -> File {
    let file = hcl::parse(text);
    assert!(file.errors.is_empty(), "{text}: {:?}", file.errors);
    file
}

/// A body in one line: `a = 1; block "label" { … }`.
pub(crate) fn body(body: &Body) -> String {
    let items: Vec<_> = body
        .items
        .iter()
        .map(|item| match item {
            Item::Attribute(attribute) => format!("{} = {}", attribute.name.text, show(&attribute.value)),
            Item::Block(block) => {
                let mut text = block.kind.text.to_string();
                for label in &block.labels {
                    if label.quoted {
                        write!(text, " {:?}", label.text).unwrap();
                    } else {
                        write!(text, " {}", label.text).unwrap();
                    }
                }
                format!("{text} {{ {} }}", self::body(&block.body)).replace("{  }", "{}")
            }
        })
        .collect();
    items.join("; ")
}

/// An expression.
pub(crate) fn show(expression: &Expr) -> String {
    match &expression.kind {
        ExprKind::Null => "null".to_owned(),
        ExprKind::Bool(value) => value.to_string(),
        ExprKind::Number(text) | ExprKind::Variable(text) => text.to_string(),
        ExprKind::String(text) => format!("{text:?}"),
        ExprKind::Template(parts) => format!("(template{})", show_parts(parts)),
        ExprKind::Tuple(elements) => format!("[{}]", list(elements)),
        ExprKind::Object(entries) => {
            let entries: Vec<_> = entries.iter().map(|entry| format!("{}: {}", show(&entry.key), show(&entry.value))).collect();
            format!("{{{}}}", entries.join(", "))
        }
        ExprKind::Attribute { base, name } => format!("(. {} {})", show(base), name.text),
        ExprKind::Index { base, key } => format!("([] {} {})", show(base), show(key)),
        ExprKind::Splat { base, steps, full } => format!("({} {}{})", if *full { "[*]" } else { ".*" }, show(base), show_steps(steps)),
        ExprKind::Call { name, arguments, expand_last } => {
            format!("{}({}{})", name.text, list(arguments), if *expand_last { "..." } else { "" })
        }
        ExprKind::Unary { op: UnaryOp::Negate, operand } => format!("(- {})", show(operand)),
        ExprKind::Unary { op: UnaryOp::Not, operand } => format!("(! {})", show(operand)),
        ExprKind::Binary { op, left, right } => format!("({} {} {})", operator(*op), show(left), show(right)),
        ExprKind::Conditional { condition, then, otherwise } => {
            format!("(? {} {} {})", show(condition), show(then), show(otherwise))
        }
        ExprKind::ForTuple(walk) => {
            let ForTuple { key, value, collection, body, condition } = &**walk;
            let condition = condition.as_ref().map_or(String::new(), |condition| format!(" if {}", show(condition)));
            format!("[for {} in {}: {}{condition}]", variables(key.as_ref(), value), show(collection), show(body))
        }
        ExprKind::ForObject(walk) => {
            let ForObject { key, value, collection, body_key, body, grouped, condition } = &**walk;
            let condition = condition.as_ref().map_or(String::new(), |condition| format!(" if {}", show(condition)));
            format!(
                "{{for {} in {}: {} => {}{}{condition}}}",
                variables(key.as_ref(), value),
                show(collection),
                show(body_key),
                show(body),
                if *grouped { "..." } else { "" }
            )
        }
        ExprKind::Paren(inner) => format!("({})", show(inner)),
        ExprKind::Error => "<error>".to_owned(),
    }
}

/// Template parts, each with a space before it.
pub(crate) fn show_parts(parts: &[TemplatePart]) -> String {
    parts
        .iter()
        .map(|part| match part {
            TemplatePart::Literal { text, .. } => format!(" {text:?}"),
            TemplatePart::Interpolation { value, .. } => format!(" ${{{}}}", show(value)),
            TemplatePart::If { condition, then, otherwise, .. } if otherwise.is_empty() => {
                format!(" (if {}{})", show(condition), show_parts(then))
            }
            TemplatePart::If { condition, then, otherwise, .. } => {
                format!(" (if {}{} else{})", show(condition), show_parts(then), show_parts(otherwise))
            }
            TemplatePart::For { key, value, collection, body, .. } => {
                format!(" (for {} in {}{})", variables(key.as_ref(), value), show(collection), show_parts(body))
            }
        })
        .collect()
}

fn show_steps(steps: &[SplatStep]) -> String {
    steps
        .iter()
        .map(|step| match step {
            SplatStep::Attribute(name) => format!(" .{}", name.text),
            SplatStep::Index(key) => format!(" [{}]", show(key)),
            SplatStep::Splat { steps, full } => format!(" ({}{})", if *full { "[*]" } else { ".*" }, show_steps(steps)),
        })
        .collect()
}

fn list(expressions: &[Expr]) -> String {
    expressions.iter().map(show).collect::<Vec<_>>().join(", ")
}

fn variables(key: Option<&Ident>, value: &Ident) -> String {
    key.map_or_else(|| value.text.to_string(), |key| format!("{}, {}", key.text, value.text))
}

fn operator(op: BinaryOp) -> &'static str {
    match op {
        BinaryOp::Or => "||",
        BinaryOp::And => "&&",
        BinaryOp::Equal => "==",
        BinaryOp::NotEqual => "!=",
        BinaryOp::Less => "<",
        BinaryOp::LessOrEqual => "<=",
        BinaryOp::Greater => ">",
        BinaryOp::GreaterOrEqual => ">=",
        BinaryOp::Add => "+",
        BinaryOp::Subtract => "-",
        BinaryOp::Multiply => "*",
        BinaryOp::Divide => "/",
        BinaryOp::Modulo => "%",
    }
}
