//! Equality with Terraform's conversions, of values that may be unknown in part.

use std::borrow::Cow;
use std::sync::Arc;

use keyblind_resource::{Data, Fragment, HopKind, Number, Reason, Unknown, Value};
use keyblind_rule_language::Literal;

use crate::computed::{self, is_bare};
use crate::fragments;
use crate::truth::Truth;

/// The deepest values that are compared.
const MAX_DEPTH: usize = 100;

/// Whether two texts are the same, with `fold` without regard to case.
pub(crate) fn same_text(a: &str, b: &str, fold: bool) -> bool {
    a == b || fold && (a.eq_ignore_ascii_case(b) || !(a.is_ascii() && b.is_ascii()) && a.to_lowercase() == b.to_lowercase())
}

/// Whether a value equals what a rule states.
pub(crate) fn equals_literal(value: &Value, literal: &Literal, fold: bool) -> Truth {
    match (&value.data, literal) {
        (Data::Unknown(unknown), _) => unknown_equals_literal(unknown, literal, fold),
        (Data::Null, Literal::Null) => Truth::True,
        (Data::Bool(a), Literal::Bool(b)) => (a == b).into(),
        (Data::Bool(a), Literal::Text(b)) => same_text(if *a { "true" } else { "false" }, b, fold).into(),
        (Data::Number(a), Literal::Int(b)) => (a.as_i64() == Some(*b)).into(),
        (Data::Number(a), Literal::Decimal(b) | Literal::Text(b)) => b.parse::<Number>().is_ok_and(|b| *a == b).into(),
        (Data::String(a), Literal::Text(b)) => same_text(a, b, fold).into(),
        (Data::String(a), Literal::Bool(b)) => same_text(a, if *b { "true" } else { "false" }, fold).into(),
        (Data::String(a), Literal::Int(b)) => match a.parse::<i64>() {
            Ok(a) => (a == *b).into(),
            Err(_) => a.parse::<Number>().is_ok_and(|a| a.as_i64() == Some(*b)).into(),
        },
        (Data::String(a), Literal::Decimal(b)) => matches!((a.parse::<Number>(), b.parse::<Number>()), (Ok(a), Ok(b)) if a == b).into(),
        (Data::Set(items), Literal::List(wanted)) => set_equals(items, wanted, fold),
        (Data::List(items) | Data::Tuple(items), Literal::List(wanted)) => {
            if items.len() != wanted.len() {
                return Truth::False;
            }
            items.iter().zip(wanted).map(|(item, wanted)| equals_literal(item, wanted, fold)).fold(Truth::True, Truth::and)
        }
        (Data::Map(entries) | Data::Object(entries), Literal::Map(wanted)) => {
            let entry =
                |(key, wanted): &(Box<str>, Literal)| entries.get(key).map_or(Truth::False, |value| equals_literal(value, wanted, fold));
            let is_other = |key: &str| !wanted.iter().any(|(wanted, _)| **wanted == *key);
            // Attributes that are null aren't there.
            let others = entries.iter().filter(|(key, _)| is_other(key)).map(|(_, value)| is_null(value));
            wanted.iter().map(entry).chain(others).fold(Truth::True, Truth::and)
        }
        _ => Truth::False,
    }
}

/// Whether a value is null, which for an attribute is the same as not being there.
pub(crate) fn is_null(value: &Value) -> Truth {
    match &value.data {
        Data::Null => Truth::True,
        Data::Unknown(unknown) if !unknown.candidates.is_empty() => agree(unknown.candidates.iter().map(is_null)),
        Data::Unknown(unknown) if unknown.nullable => Truth::Unknown,
        _ => Truth::False,
    }
}

/// A set has no order, and unknown elements may turn out to be equal to others.
fn set_equals(items: &[Value], wanted: &[Literal], fold: bool) -> Truth {
    let each_wanted = wanted
        .iter()
        .map(|wanted| items.iter().map(|item| equals_literal(item, wanted, fold)).fold(Truth::False, Truth::or))
        .fold(Truth::True, Truth::and);
    let nothing_else = items
        .iter()
        .map(|item| wanted.iter().map(|wanted| equals_literal(item, wanted, fold)).fold(Truth::False, Truth::or))
        .fold(Truth::True, Truth::and);
    each_wanted.and(nothing_else)
}

fn unknown_equals_literal(unknown: &Unknown, literal: &Literal, fold: bool) -> Truth {
    if !unknown.candidates.is_empty() {
        return agree(unknown.candidates.iter().map(|candidate| equals_literal(candidate, literal, fold)));
    }
    let text: Cow<'_, str> = match literal {
        Literal::Null => return if unknown.nullable { Truth::Unknown } else { Truth::False },
        Literal::List(_) | Literal::Map(_) => return if is_text(unknown) { Truth::False } else { Truth::Unknown },
        Literal::Bool(value) => Cow::Borrowed(if *value { "true" } else { "false" }),
        Literal::Int(value) => Cow::Owned(value.to_string()),
        Literal::Decimal(text) | Literal::Text(text) => Cow::Borrowed(text),
    };
    may_equal_text(unknown, &text, fold)
}

fn may_equal_text(unknown: &Unknown, text: &str, fold: bool) -> Truth {
    let fragments = fragments_of(unknown);
    let excluded = !fragments.is_empty() && !fragments::may_equal(&fragments, text, fold);
    if excluded || computed::is_never(unknown, text) { Truth::False } else { Truth::Unknown }
}

/// What is known of the text: its parts, or how such an attribute begins.
pub(crate) fn fragments_of(unknown: &Unknown) -> Cow<'_, [Fragment]> {
    match computed::shape(unknown) {
        Some(shape) => Cow::Owned(shape.to_vec()),
        None => Cow::Borrowed(&unknown.fragments),
    }
}

/// Whether an unknown is certainly a text.
pub(crate) fn is_text(unknown: &Unknown) -> bool {
    !unknown.fragments.is_empty() || unknown.document.is_some() || computed::is_name(unknown)
}

/// What holds for all of some values, one of which is the real one.
pub(crate) fn agree(truths: impl Iterator<Item = Truth>) -> Truth {
    truths.reduce(Truth::agree).unwrap_or(Truth::Unknown)
}

/// Whether two values are equal.
pub(crate) fn equal(a: &Value, b: &Value, fold: bool) -> Truth {
    equal_within(a, b, fold, MAX_DEPTH)
}

fn equal_within(a: &Value, b: &Value, fold: bool, depth: usize) -> Truth {
    let Some(depth) = depth.checked_sub(1) else { return Truth::Unknown };
    match (&a.data, &b.data) {
        (Data::Unknown(x), Data::Unknown(y)) if is_same_unknown(x, y) || is_same_variable(a, b, x, y) => Truth::True,
        (Data::Unknown(unknown), _) if !unknown.candidates.is_empty() => {
            agree(unknown.candidates.iter().map(|candidate| equal_within(candidate, b, fold, depth)))
        }
        (_, Data::Unknown(unknown)) if !unknown.candidates.is_empty() => {
            agree(unknown.candidates.iter().map(|candidate| equal_within(a, candidate, fold, depth)))
        }
        (Data::Unknown(x), Data::Unknown(y)) if computed::name_different_resources(x, y) => Truth::False,
        (Data::Unknown(x), Data::Unknown(y)) => {
            let (x, y) = (fragments_of(x), fragments_of(y));
            let differ = !x.is_empty() && !y.is_empty() && !fragments::may_be_same(&x, &y, fold);
            if differ { Truth::False } else { Truth::Unknown }
        }
        (Data::Unknown(unknown), _) => unknown_equals(unknown, b, fold),
        (_, Data::Unknown(unknown)) => unknown_equals(unknown, a, fold),
        (Data::Null, Data::Null) => Truth::True,
        (Data::Bool(a), Data::Bool(b)) => (a == b).into(),
        (Data::Number(a), Data::Number(b)) => (a == b).into(),
        (Data::String(a), Data::String(b)) => same_text(a, b, fold).into(),
        (Data::String(text), Data::Bool(value)) | (Data::Bool(value), Data::String(text)) => {
            same_text(text, if *value { "true" } else { "false" }, fold).into()
        }
        (Data::String(text), Data::Number(number)) | (Data::Number(number), Data::String(text)) => {
            text.parse::<Number>().is_ok_and(|text| text == *number).into()
        }
        _ => match (a.as_items(), b.as_items(), a.as_mapping(), b.as_mapping()) {
            (Some(a), Some(b), _, _) if a.len() == b.len() => {
                a.iter().zip(b).map(|(a, b)| equal_within(a, b, fold, depth)).fold(Truth::True, Truth::and)
            }
            (_, _, Some(a), Some(b)) if a.len() == b.len() => a
                .iter()
                .map(|(key, value)| b.get(key).map_or(Truth::False, |other| equal_within(value, other, fold, depth)))
                .fold(Truth::True, Truth::and),
            _ => Truth::False,
        },
    }
}

fn unknown_equals(unknown: &Unknown, known: &Value, fold: bool) -> Truth {
    let text = match &known.data {
        Data::String(text) => text.clone(),
        Data::Bool(value) => value.to_string().into(),
        Data::Number(number) => number.to_string().into(),
        Data::Null if !unknown.nullable => return Truth::False,
        Data::Null | Data::Unknown(_) => return Truth::Unknown,
        _ => return if is_text(unknown) { Truth::False } else { Truth::Unknown },
    };
    may_equal_text(unknown, &text, fold)
}

/// Whether two unknowns are the same value for sure: one and the same, or the same attribute of the same resource (also
/// of one that isn't declared).
fn is_same_unknown(a: &Arc<Unknown>, b: &Arc<Unknown>) -> bool {
    let is_attribute = || a.reason == b.reason && a.references.len() == 1 && a.references == b.references;
    Arc::ptr_eq(a, b) || is_bare(a) && is_bare(b) && is_attribute()
}

/// Whether two values are the same variable without value, seen from one file and so from one module.
fn is_same_variable(a: &Value, b: &Value, x: &Unknown, y: &Unknown) -> bool {
    let file = |value: &Value| value.origin.used_at().map(|site| site.file);
    is_bare(x)
        && is_bare(y)
        && matches!(x.reason, Reason::NoValue { .. } | Reason::NoParameter { .. })
        && x.reason == y.reason
        && is_read_plainly(a)
        && is_read_plainly(b)
        && file(a).is_some()
        && file(a) == file(b)
}

/// Whether nothing was made of a value on its way.
fn is_read_plainly(value: &Value) -> bool {
    value.origin.hops().all(|hop| !matches!(hop.kind, HopKind::Function(_)))
}

/// A stated value as a value, for defaults.
pub(crate) fn value_of(literal: &Literal) -> Value {
    match literal {
        Literal::Null => Value::null(),
        Literal::Bool(value) => Value::bool(*value),
        Literal::Int(value) => Value::int(*value),
        Literal::Decimal(text) => text.parse::<Number>().map_or_else(|_| Value::string(&**text), |number| Value::new(Data::Number(number))),
        Literal::Text(text) => Value::string(&**text),
        Literal::List(items) => Value::tuple(items.iter().map(value_of).collect()),
        Literal::Map(entries) => Value::object(entries.iter().map(|(key, value)| (Arc::from(&**key), value_of(value)))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scalars_convert_as_in_terraform() {
        let text = |text: &str| Value::string(text);
        for (value, literal, equal) in [
            (text("true"), Literal::Bool(true), true),
            (Value::bool(true), Literal::Text("true".into()), true),
            (text("8"), Literal::Int(8), true),
            (Value::int(8), Literal::Text("8".into()), true),
            (text("1.20"), Literal::Decimal("1.2".into()), true),
            (text("1.20"), Literal::Text("1.2".into()), false),
            (Value::int(1), Literal::Bool(true), false),
            (Value::null(), Literal::Text("".into()), false),
            (Value::tuple(vec![text("a"), Value::int(1)]), Literal::List(vec![Literal::Text("a".into()), Literal::Text("1".into())]), true),
            (Value::tuple(vec![text("a")]), Literal::Text("a".into()), false),
        ] {
            assert_eq!(equals_literal(&value, &literal, false), equal.into(), "{value:?} {literal}");
        }
        assert_eq!(equals_literal(&text("TLS"), &Literal::Text("tls".into()), true), Truth::True);
    }

    #[test]
    fn the_order_of_a_set_does_not_count() {
        let set = Value::new(Data::Set(Arc::new(vec![Value::string("a"), Value::string("b")])));
        let list = |items: &[&str]| Literal::List(items.iter().map(|item| Literal::Text((*item).into())).collect());
        assert_eq!(equals_literal(&set, &list(&["b", "a"]), false), Truth::True);
        assert_eq!(equals_literal(&set, &list(&["b"]), false), Truth::False);
    }

    #[test]
    fn the_same_attribute_of_the_same_resource_is_one_value() {
        let attribute = |name: &str| Value::new(Data::Unknown(Arc::new(Unknown::attribute_of("aws_subnet.a", name))));
        assert_eq!(equal(&attribute("id"), &attribute("id"), false), Truth::True);
        assert_eq!(equal(&attribute("id"), &attribute("arn"), false), Truth::Unknown);
    }
}
