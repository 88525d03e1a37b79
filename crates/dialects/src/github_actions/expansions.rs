//! Expressions as values: what each reads, calls and compares, and who has a say in what becomes part of a script.

use std::sync::Arc;

use keyblind_resource::{Data, Value};
use keyblind_syntax::github_expression::{Base, Expression, ExpressionKind, Operator, parse, placeholders};
use keyblind_syntax::yaml::{Node, NodeKind};
use keyblind_syntax::{Site, TextRange};

use super::contexts::{Control, control};
use super::scalar::Scalar;
use super::values::{Reader, object_at, shortened};
use crate::limits;

/// Most expressions of one step, job or workflow that rules get to see.
const MOST: usize = 2000;

/// What a context is looked up in: the texts and lists around a step.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Scope<'a> {
    /// `env` of the step, the job and the workflow, the nearest first.
    pub(super) environments: [Option<&'a Node>; 3],
    /// `strategy.matrix` of the job.
    pub(super) matrix: Option<&'a Node>,
    /// `inputs` of what triggers the workflow, or of the action.
    pub(super) inputs: [Option<&'a Node>; 2],
}

/// The contexts that become part of a text, for texts that are code: `field`, `context`, `control`, `is_static` (the value
/// stands in the file itself), `is_typed` (an input that can't hold any text), `text`. An expression that reads nothing is
/// one with the control `fixed`.
pub(super) fn expansions(reader: &Reader<'_>, field: &str, node: &Node, scope: &Scope<'_>) -> Vec<Value> {
    let Some(scalar) = Scalar::of(node, reader.text) else { return Vec::new() };
    let mut found = Vec::new();
    for placeholder in placeholders(scalar.text).into_iter().take(MOST) {
        let written = &scalar.text[placeholder.range.as_usize()];
        let Ok(expression) = &placeholder.expression else { continue };
        let contexts = expression.flowing_contexts();
        let entry = |context: Option<&str>, range: TextRange| {
            let site = reader.site(scalar.locate(range));
            let string = |text: &str| Value::at(Data::String(text.into()), site);
            let control = context.map_or(Control::Fixed, control);
            let mut entries: Vec<(Arc<str>, Value)> = vec![
                ("field".into(), string(field)),
                ("text".into(), string(&shortened(written))),
                ("control".into(), string(control.name())),
            ];
            if let Some(context) = context {
                entries.push(("context".into(), string(context)));
                entries.push(("root".into(), string(context.split('.').next().unwrap_or_default())));
                entries.push(("is_static".into(), Value::bool(scope.is_static(context))));
                entries.push(("is_typed".into(), Value::bool(scope.is_typed(context))));
                entries.push(("is_declared".into(), Value::bool(scope.input(context).is_some())));
            }
            object_at(entries, site)
        };
        match &contexts[..] {
            [] => found.push(entry(None, placeholder.range)),
            contexts => found.extend(contexts.iter().map(|(context, range)| entry(Some(context), *range))),
        }
    }
    found
}

impl<'a> Scope<'a> {
    /// Whether a context's value stands in the file, without any expression in it.
    fn is_static(&self, context: &str) -> bool {
        let (root, rest) = context.split_once('.').unwrap_or((context, ""));
        match root {
            // What the runner itself sets isn't in `env`: it gives an empty text.
            "env" if rest.starts_with("github_") || rest.starts_with("runner_") => true,
            "env" => {
                let named = |node: &&'a Node| {
                    node.entries()
                        .into_iter()
                        .take(limits::ENVIRONMENT_ENTRIES)
                        .find(|entry| entry.key.as_key().is_some_and(|key| key.eq_ignore_ascii_case(rest)))
                };
                let nearest = self.environments.iter().flatten().find_map(named);
                nearest.is_some_and(|entry| is_plain(&entry.value))
            }
            "matrix" => self.is_static_matrix(rest),
            _ => false,
        }
    }

    /// Whether all values that a matrix gives to a name are written in it.
    fn is_static_matrix(&self, path: &str) -> bool {
        let Some(matrix) = self.matrix.filter(|matrix| matrix.as_mapping().is_some()) else { return false };
        let name = path.split('.').next().unwrap_or_default();
        let is_named = |key: Option<&str>| key.is_some_and(|key| name == "*" || key.eq_ignore_ascii_case(name));
        let is_list = |key: Option<&str>| matches!(key, Some("include" | "exclude"));
        let entries = matrix.entries();
        let own = entries.iter().filter(|entry| is_named(entry.key.as_key()) && !is_list(entry.key.as_key())).map(|entry| &entry.value);
        let include = entries.iter().find(|entry| entry.key.as_key() == Some("include")).map(|entry| &entry.value);
        // Included by an expression, it may be anything.
        if include.is_some_and(|include| include.as_sequence().is_none()) {
            return false;
        }
        let included = include.and_then(Node::as_sequence).unwrap_or_default().iter().flat_map(Node::entries);
        let included = included.filter(|entry| is_named(entry.key.as_key())).map(|entry| &entry.value);
        own.chain(included).all(is_plain)
    }

    /// The declaration of an input.
    fn input(&self, context: &str) -> Option<&'a Node> {
        let name = context.strip_prefix("inputs.").or_else(|| context.strip_prefix("github.event.inputs."))?;
        let named = |node: &&'a Node| {
            let mut entries = node.entries().into_iter().take(limits::ENVIRONMENT_ENTRIES);
            entries.find(|entry| entry.key.as_key().is_some_and(|key| key.eq_ignore_ascii_case(name))).map(|entry| &entry.value)
        };
        self.inputs.iter().flatten().find_map(named)
    }

    /// Whether an input is of a type whose values can't hold a command.
    fn is_typed(&self, context: &str) -> bool {
        let kind = self.input(context).and_then(|input| input.get("type")).and_then(Node::as_key);
        matches!(kind, Some("boolean" | "number" | "choice"))
    }
}

/// Whether a value is written out: there is no expression in it.
fn is_plain(node: &Node) -> bool {
    match &node.kind {
        NodeKind::String(text) => !text.contains("${{"),
        NodeKind::Sequence(items) => items.iter().all(is_plain),
        NodeKind::Mapping(entries) => entries.iter().all(|entry| is_plain(&entry.value)),
        _ => true,
    }
}

/// All expressions of a part of a file: `path`, `text`, `contexts`, `calls`, `comparisons`,
/// `lost_values` (of `a && b || c` those `b` that count as false). What stands under the keys of
/// `except` isn't looked at.
pub(super) fn expressions(reader: &Reader<'_>, node: &Node, except: &[&str]) -> Value {
    let mut found = Vec::new();
    collect(reader, node, &mut String::new(), except, &mut found);
    Value::tuple(found)
}

fn collect(reader: &Reader<'_>, node: &Node, path: &mut String, except: &[&str], found: &mut Vec<Value>) {
    if found.len() >= MOST {
        return;
    }
    match &node.kind {
        NodeKind::String(text) if text.contains("${{") => {
            let Some(scalar) = Scalar::of(node, reader.text) else { return };
            for placeholder in placeholders(scalar.text) {
                if let Ok(expression) = &placeholder.expression {
                    let whole = reader.site(scalar.locate(placeholder.range));
                    found.push(described(expression, path, &scalar.text[placeholder.range.as_usize()], whole, &|range| {
                        reader.site(scalar.locate(range))
                    }));
                }
            }
        }
        // A condition is an expression without brackets as well.
        NodeKind::String(text) if path == "if" => {
            let Some(scalar) = Scalar::of(node, reader.text) else { return };
            let offset = (text.len() - text.trim_start().len()) as u32;
            if let Ok(expression) = parse(text.trim(), offset) {
                let whole = reader.site(node.place());
                found.push(described(&expression, path, text, whole, &|range| reader.site(scalar.locate(range))));
            }
        }
        NodeKind::Sequence(items) => items.iter().for_each(|item| collect(reader, item, path, except, found)),
        NodeKind::Mapping(_) => {
            for entry in node.entries() {
                let Some(key) = entry.key.as_key().filter(|key| !path.is_empty() || !except.contains(key)) else { continue };
                let length = path.len();
                if length > 0 {
                    path.push('.');
                }
                path.push_str(key);
                collect(reader, &entry.value, path, except, found);
                path.truncate(length);
            }
        }
        _ => {}
    }
}

fn described(expression: &Expression, path: &str, text: &str, whole: Site, locate: &dyn Fn(TextRange) -> Site) -> Value {
    let at = |text: &str, range: TextRange| Value::at(Data::String(text.into()), locate(range));
    let contexts = expression.contexts().into_iter().map(|(context, range)| at(&context, range)).collect();
    let (mut calls, mut comparisons, mut lost) = (Vec::new(), Vec::new(), Vec::new());
    expression.visit(&mut |inner| match &inner.kind {
        // `condition && '' || 'x'` is always the last: what stands behind `&&` counts as false.
        ExpressionKind::Binary { operator: Operator::Or, left, .. } => {
            if let ExpressionKind::Binary { operator: Operator::And, right, .. } = &left.kind
                && is_falsy(right)
            {
                lost.push(at(&shortened(text), right.range));
            }
        }
        ExpressionKind::Access { base: Base::Call { function, arguments }, .. } => {
            let sides = arguments.iter().map(|argument| side(argument, &at)).collect();
            let reads = arguments.iter().flat_map(Expression::contexts).map(|(context, range)| at(&context, range)).collect();
            let entries = vec![
                ("function".into(), at(function, inner.range)),
                ("arguments".into(), Value::tuple(sides)),
                ("contexts".into(), Value::tuple(reads)),
            ];
            calls.push(object_at(entries, locate(inner.range)));
        }
        ExpressionKind::Binary { operator, left, right } => {
            let name = match operator {
                Operator::Equal => "==",
                Operator::NotEqual => "!=",
                _ => return,
            };
            for (one, other) in [(left, right), (right, left)] {
                if let (Some(context), Some(value)) = (one.context(), literal(other)) {
                    let entries = vec![
                        ("operator".into(), at(name, inner.range)),
                        ("context".into(), at(&context, one.range)),
                        ("value".into(), at(&value, other.range)),
                    ];
                    comparisons.push(object_at(entries, locate(inner.range)));
                }
            }
        }
        _ => {}
    });
    let entries = vec![
        ("path".into(), Value::at(Data::String(path.into()), whole)),
        ("text".into(), Value::at(Data::String(shortened(text).into()), whole)),
        ("contexts".into(), Value::tuple(contexts)),
        ("calls".into(), Value::tuple(calls)),
        ("comparisons".into(), Value::tuple(comparisons)),
        ("lost_values".into(), Value::tuple(lost)),
    ];
    object_at(entries, whole)
}

fn is_falsy(expression: &Expression) -> bool {
    match &expression.kind {
        ExpressionKind::Null | ExpressionKind::Bool(false) => true,
        ExpressionKind::String(text) => text.is_empty(),
        ExpressionKind::Number(number) => number.parse::<f64>().is_ok_and(|number| number == 0.0 || number.is_nan()),
        _ => false,
    }
}

/// An argument: what it says, if it is a text, or what it reads.
fn side(expression: &Expression, at: &dyn Fn(&str, TextRange) -> Value) -> Value {
    let mut entries: Vec<(Arc<str>, Value)> = Vec::new();
    if let Some(text) = literal(expression) {
        entries.push(("value".into(), at(&text, expression.range)));
    }
    if let Some(context) = expression.context() {
        entries.push(("context".into(), at(&context, expression.range)));
    }
    Value::object(entries)
}

fn literal(expression: &Expression) -> Option<String> {
    match &expression.kind {
        ExpressionKind::String(text) | ExpressionKind::Number(text) => Some(text.clone()),
        ExpressionKind::Bool(flag) => Some(flag.to_string()),
        _ => None,
    }
}

/// Whether a condition is always true because it is a text with an expression in it, rather than an expression: brackets with
/// anything beside them, also a line end that YAML keeps.
pub(super) fn is_text_condition(node: &Node) -> bool {
    let Some(text) = node.as_str() else { return false };
    let placeholders = placeholders(text);
    placeholders.first().is_some_and(|first| placeholders.len() > 1 || (first.range.len() as usize) < text.len())
}
