//! Operators, three-valued: what can be said without knowing both sides is said.

use std::sync::Arc;

use keyblind_resource::{Data, Fragment, Number, NumberError, Reason, Unknown, Value};
use keyblind_syntax::hcl::ast::{BinaryOp, UnaryOp};

use super::super::types;
use super::expression::derived;

/// A value as a condition: booleans, and the texts that Terraform converts to them.
pub(super) fn truth(value: &Value) -> Option<bool> {
    match &value.data {
        Data::Bool(value) => Some(*value),
        Data::String(text) if &**text == "true" => Some(true),
        Data::String(text) if &**text == "false" => Some(false),
        _ => None,
    }
}

/// `-a`, `!a`
pub(super) fn unary(op: UnaryOp, operand: &Value) -> Value {
    if operand.is_unknown() {
        return not_null(derived(operand));
    }
    let data = match op {
        UnaryOp::Not => truth(operand).map(|value| Data::Bool(!value)),
        UnaryOp::Negate => as_number(operand).map(|number| Data::Number(number.negated())),
    };
    match data {
        Some(data) => Value { sensitive: operand.sensitive, ..Value::new(data) },
        None => invalid(format!("{} can't be applied to {}", if op == UnaryOp::Not { "`!`" } else { "`-`" }, operand.kind_name())),
    }
}

/// `a op b`; the right side is only evaluated when it matters.
pub(super) fn binary(op: BinaryOp, left: &Value, right: impl FnOnce() -> Value) -> Value {
    match op {
        BinaryOp::And | BinaryOp::Or => logical(op, left, right),
        _ => {
            let right = right();
            let sensitive = left.sensitive || right.sensitive;
            let result = match op {
                BinaryOp::Equal => equality(left, &right, false),
                BinaryOp::NotEqual => equality(left, &right, true),
                _ => arithmetic(op, left, &right),
            };
            Value { sensitive, ..result }
        }
    }
}

/// Terraform evaluates both sides; a side that decides alone decides also when the other is unknown.
fn logical(op: BinaryOp, left: &Value, right: impl FnOnce() -> Value) -> Value {
    let deciding = op == BinaryOp::Or;
    if truth(left) == Some(deciding) {
        return Value { sensitive: left.sensitive, ..Value::bool(deciding) };
    }
    let right = right();
    let sensitive = left.sensitive || right.sensitive;
    let result = match (truth(left), truth(&right)) {
        (_, Some(value)) if value == deciding => Value::bool(deciding),
        (Some(_), Some(_)) => Value::bool(!deciding),
        _ => match [left, &right].into_iter().find(|side| side.is_unknown()) {
            Some(_) => both_unknown(left, &right),
            None => invalid("`&&` and `||` need true or false on both sides".to_owned()),
        },
    };
    Value { sensitive, ..result }
}

fn equality(left: &Value, right: &Value, negated: bool) -> Value {
    match equal(left, right) {
        Some(equal) => Value::bool(equal != negated),
        None => both_unknown(left, right),
    }
}

/// Whether two values are equal, if that can be said.
pub(super) fn equal(left: &Value, right: &Value) -> Option<bool> {
    match (&left.data, &right.data) {
        (Data::Unknown(_), Data::Unknown(_)) => None,
        (Data::Unknown(unknown), _) => unknown_equal(unknown, right),
        (_, Data::Unknown(unknown)) => unknown_equal(unknown, left),
        (Data::Null, _) | (_, Data::Null) => Some(left.is_null() && right.is_null()),
        _ => match (left.as_items(), right.as_items(), left.as_mapping(), right.as_mapping()) {
            (Some(a), Some(b), ..) => {
                // Lists and tuples are different types, but a literal is nearly always meant as a list.
                if a.len() != b.len() { Some(false) } else { all_equal(a.iter().zip(b).map(|(a, b)| equal(a, b))) }
            }
            (.., Some(a), Some(b)) => {
                if a.len() != b.len() || a.iter().zip(b.iter()).any(|((a, _), (b, _))| a != b) {
                    return Some(false);
                }
                all_equal(a.iter().zip(b.iter()).map(|((_, a), (_, b))| equal(a, b)))
            }
            // Terraform compares values of different primitive types as different.
            _ => Some(left == right),
        },
    }
}

fn all_equal(results: impl Iterator<Item = Option<bool>>) -> Option<bool> {
    let mut all = Some(true);
    for result in results {
        match result {
            Some(true) => {}
            Some(false) => return Some(false),
            None => all = None,
        }
    }
    all
}

fn unknown_equal(unknown: &Unknown, known: &Value) -> Option<bool> {
    if known.is_null() {
        // A variable that has to be given is usually given, but may be given as null.
        let may_be_null = unknown.nullable || matches!(unknown.reason, Reason::NoValue { .. } | Reason::Undeclared { .. });
        return if may_be_null { None } else { Some(false) };
    }
    if !unknown.candidates.is_empty() {
        let results: Vec<Option<bool>> = unknown.candidates.iter().map(|candidate| equal(candidate, known)).collect();
        let first = results[0];
        return if results.iter().all(|result| *result == first) { first } else { None };
    }
    match known.as_str() {
        Some(text) if !unknown.fragments.is_empty() && !fragments_can_be(&unknown.fragments, text) => Some(false),
        _ => None,
    }
}

/// Whether a text with unknown parts can turn out to be this one.
pub(crate) fn fragments_can_be(fragments: &[Fragment], text: &str) -> bool {
    let mut rest = text;
    let mut after_unknown = false;
    let last = fragments.len().saturating_sub(1);
    for (index, fragment) in fragments.iter().enumerate() {
        match fragment {
            Fragment::Unknown => after_unknown = true,
            Fragment::Literal(literal) if index == last && after_unknown => return rest.ends_with(&**literal),
            Fragment::Literal(literal) if after_unknown => match rest.find(&**literal) {
                Some(at) => {
                    rest = &rest[at + literal.len()..];
                    after_unknown = false;
                }
                None => return false,
            },
            Fragment::Literal(literal) => match rest.strip_prefix(&**literal) {
                Some(tail) => rest = tail,
                None => return false,
            },
        }
    }
    after_unknown || rest.is_empty()
}

fn arithmetic(op: BinaryOp, left: &Value, right: &Value) -> Value {
    if left.is_unknown() || right.is_unknown() {
        return both_unknown(left, right);
    }
    let (Some(a), Some(b)) = (as_number(left), as_number(right)) else {
        let wrong = if as_number(left).is_none() { left } else { right };
        return invalid(format!("a number is needed, not {}", wrong.kind_name()));
    };
    let number = |result: Result<Number, NumberError>| match result {
        Ok(number) => Value::new(Data::Number(number)),
        Err(error) => invalid(error.to_string()),
    };
    match op {
        BinaryOp::Add => number(a.add(&b)),
        BinaryOp::Subtract => number(a.subtract(&b)),
        BinaryOp::Multiply => number(a.multiply(&b)),
        BinaryOp::Divide => number(a.divide(&b)),
        BinaryOp::Modulo => number(a.remainder(&b)),
        BinaryOp::Less => Value::bool(a < b),
        BinaryOp::LessOrEqual => Value::bool(a <= b),
        BinaryOp::Greater => Value::bool(a > b),
        BinaryOp::GreaterOrEqual => Value::bool(a >= b),
        BinaryOp::Or | BinaryOp::And | BinaryOp::Equal | BinaryOp::NotEqual => invalid("not arithmetic".to_owned()),
    }
}

fn as_number(value: &Value) -> Option<Number> {
    match &value.data {
        Data::Number(number) => Some(number.clone()),
        Data::String(_) => match types::convert(value.clone(), &types::Type::Number).ok()?.data {
            Data::Number(number) => Some(number),
            _ => None,
        },
        _ => None,
    }
}

/// The result of an operation on two values of which at least one is unknown.
fn both_unknown(left: &Value, right: &Value) -> Value {
    let mut unknowns = [left, right].into_iter().filter_map(Value::as_unknown);
    let Some(first) = unknowns.next() else { return invalid("an operand is not known".to_owned()) };
    let mut unknown = Unknown { references: first.references.clone(), ..Unknown::new(first.reason.clone()) };
    unknown.references.extend(unknowns.flat_map(|other| other.references.iter().cloned()));
    Value::new(Data::Unknown(Arc::new(unknown)))
}

fn not_null(mut value: Value) -> Value {
    if let Data::Unknown(unknown) = &mut value.data {
        Arc::make_mut(unknown).nullable = false;
    }
    value
}

fn invalid(message: String) -> Value {
    Value::unknown(Reason::Invalid { message: message.into() })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fragments(parts: &[&str]) -> Vec<Fragment> {
        parts.iter().map(|part| if *part == "?" { Fragment::Unknown } else { Fragment::Literal((*part).into()) }).collect()
    }

    #[test]
    fn a_text_with_unknown_parts_excludes_what_it_can_not_be() {
        assert!(fragments_can_be(&fragments(&["arn:", "?", "/*"]), "arn:x/*"));
        assert!(!fragments_can_be(&fragments(&["?", "/*"]), "*"));
        assert!(!fragments_can_be(&fragments(&["arn:", "?"]), "*"));
        assert!(fragments_can_be(&fragments(&["?", "a", "?", "b"]), "xaab"));
        assert!(!fragments_can_be(&fragments(&["a"]), "ab"));
    }
}
