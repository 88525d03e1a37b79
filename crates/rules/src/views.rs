//! Ways to look at a value.

pub(crate) mod encoded;
mod image;
pub(crate) mod secrets;
mod texts;

use keyblind_resource::{Data, Number, Origin, Reason, Unknown, Value};
use keyblind_rule_language::View;
use std::sync::Arc;

use crate::iam;
use crate::walk::inside_of;

/// Whether looking costs enough to remember the result.
pub(crate) fn is_costly(view: &View) -> bool {
    matches!(view, View::Json | View::Yaml | View::Statements | View::PublicStatements | View::Escalations(_) | View::Secrets | View::Lines)
}

/// What a value looks like through a view; `None` if it can't be looked at so.
pub(crate) fn see(view: &View, value: &Value) -> Option<Value> {
    if let Data::Unknown(unknown) = &value.data
        && !unknown.candidates.is_empty()
    {
        return Some(of_candidates(value, unknown, view));
    }
    match view {
        View::Json => encoded::json(value),
        View::Yaml => encoded::yaml(value),
        View::Statements => iam::statements::statements(value),
        View::PublicStatements | View::Escalations(_) => of_statements(view, &iam::statements::statements(value)?),
        View::Secrets => Some(secrets::secrets(value)),
        View::Image => on_text(value, image::parts),
        View::Lines => on_text(value, |text| Some(texts::list(text.lines()))),
        View::Words => on_text(value, |text| Some(texts::list(text.split_whitespace()))),
        View::Split(separator) => on_text(value, |text| Some(texts::list(text.split(&**separator)))),
        View::Lower => texts::mapped(value, |text| text.to_lowercase()),
        View::Trim => texts::trimmed(value),
        View::Number => number(value),
        View::Keys | View::Values => mapping(value, matches!(view, View::Keys)),
        View::First | View::Last => edge(value, matches!(view, View::First)),
        View::Length => length(value),
    }
}

/// What the statements of a policy look like through a view that is about them.
pub(crate) fn of_statements(view: &View, statements: &Value) -> Option<Value> {
    match view {
        View::PublicStatements => iam::public::public_statements(statements),
        View::Escalations(kind) => iam::escalations::escalations(statements, *kind),
        _ => None,
    }
}

/// A list of what is certainly there; if there may be more for a reason, that is left open.
pub(crate) fn maybe(from: &Value, certain: Vec<Value>, reason: Option<Reason>) -> Value {
    let list = |items: Vec<Value>| Value::tuple(items);
    // What is shown of the list as a whole is its first element: that is the guilty one.
    let origin = match certain.first().map(|first| &first.origin) {
        None | Some(Origin::None) => from.origin.clone(),
        Some(origin) => origin.clone(),
    };
    let Some(reason) = reason else { return Value { data: list(certain).data, origin, sensitive: from.sensitive } };
    let mut more = certain.clone();
    more.push(Value::new(Data::Unknown(Arc::new(Unknown { nullable: true, ..Unknown::new(reason.clone()) }))));
    let candidates = vec![list(certain), list(more)];
    Value { data: Data::Unknown(Arc::new(Unknown { candidates, ..Unknown::new(reason) })), origin, sensitive: from.sensitive }
}

/// Of each of the values that it may be; what can't be looked at so isn't there.
fn of_candidates(value: &Value, unknown: &Unknown, view: &View) -> Value {
    let candidates = unknown.candidates.iter().map(|candidate| see(view, candidate).unwrap_or_else(Value::null)).collect();
    let seen = Unknown { candidates, references: unknown.references.clone(), ..Unknown::new(unknown.reason.clone()) };
    Value { data: Data::Unknown(Arc::new(seen)), origin: value.origin.clone(), sensitive: value.sensitive }
}

fn on_text(value: &Value, see: impl FnOnce(&str) -> Option<Value>) -> Option<Value> {
    match &value.data {
        Data::String(text) => see(text),
        Data::Number(number) => see(&number.to_string()),
        Data::Unknown(unknown) => Some(inside_of(unknown)),
        _ => None,
    }
}

fn number(value: &Value) -> Option<Value> {
    match &value.data {
        Data::Number(_) => Some(value.clone()),
        Data::String(text) => Some(Value::new(Data::Number(text.trim().parse().ok()?))),
        Data::Unknown(unknown) => Some(inside_of(unknown)),
        _ => None,
    }
}

fn mapping(value: &Value, keys: bool) -> Option<Value> {
    match &value.data {
        Data::Map(entries) | Data::Object(entries) if keys => {
            Some(Value::tuple(entries.iter().map(|(key, _)| Value::string(key.clone())).collect()))
        }
        Data::Map(entries) | Data::Object(entries) => Some(Value::tuple(entries.iter().map(|(_, value)| value.clone()).collect())),
        Data::Unknown(unknown) => Some(inside_of(unknown)),
        _ => None,
    }
}

fn edge(value: &Value, first: bool) -> Option<Value> {
    match &value.data {
        Data::List(items) | Data::Set(items) | Data::Tuple(items) => if first { items.first() } else { items.last() }.cloned(),
        Data::Unknown(unknown) => Some(inside_of(unknown)),
        _ => None,
    }
}

fn length(value: &Value) -> Option<Value> {
    let length = match &value.data {
        Data::String(text) => text.chars().count(),
        Data::List(items) | Data::Set(items) | Data::Tuple(items) => items.len(),
        Data::Map(entries) | Data::Object(entries) => entries.len(),
        Data::Unknown(unknown) => return Some(inside_of(unknown)),
        _ => return None,
    };
    Some(Value::new(Data::Number(Number::from(length))))
}
