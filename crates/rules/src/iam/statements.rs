//! Policy documents in all their forms, as lists of statements in one form.
//!
//! Grammar: AWS IAM User Guide, "Grammar of the IAM JSON policy language"; Terraform's `aws_iam_policy_document` has the
//! same parts under other names (`actions`, `principals` with `type` and `identifiers`, `condition` with `test`).

use std::sync::Arc;

use keyblind_resource::{Data, Unknown, Value};

use crate::compare::is_text;
use crate::views::encoded;
use crate::walk::inside_of;

/// The most statements of one document; AWS allows far fewer.
const MAX_STATEMENTS: usize = 10_000;

/// The statements of a document given as JSON text, as an object or list, or partly unknown.
pub(crate) fn statements(value: &Value) -> Option<Value> {
    match &value.data {
        Data::String(_) => of_document(&encoded::json(value)?),
        Data::Unknown(unknown) if !unknown.candidates.is_empty() => {
            let candidates = unknown.candidates.iter().map(|candidate| statements(candidate).unwrap_or_else(Value::null)).collect();
            Some(Value::new(Data::Unknown(Arc::new(Unknown { candidates, ..Unknown::new(unknown.reason.clone()) }))))
        }
        Data::Unknown(_) => of_document(&encoded::json(value)?),
        _ => of_document(value),
    }
}

fn of_document(document: &Value) -> Option<Value> {
    match &document.data {
        Data::Unknown(unknown) if !unknown.candidates.is_empty() || unknown.document.is_some() => statements(document),
        Data::Unknown(unknown) => Some(inside_of(unknown)),
        Data::List(_) | Data::Set(_) | Data::Tuple(_) => Some(list_of_statements(document)),
        Data::Map(_) | Data::Object(_) => match part(document, &["statement"]) {
            Some(statements) => Some(list_of_statements(statements)),
            // A single statement.
            None if part(document, &["action", "actions", "notaction", "not_actions", "effect"]).is_some() => {
                Some(Value::tuple(vec![statement(document)]))
            }
            None => None,
        },
        // A document within a document.
        Data::String(_) => {
            encoded::json(document).filter(|inner| !matches!(inner.data, Data::String(_))).and_then(|inner| of_document(&inner))
        }
        Data::Null | Data::Bool(_) | Data::Number(_) => None,
    }
}

fn list_of_statements(value: &Value) -> Value {
    match &value.data {
        Data::List(items) | Data::Set(items) | Data::Tuple(items) => {
            let read = items.iter().filter(|item| !item.is_null()).take(MAX_STATEMENTS).map(statement).collect();
            Value { data: Data::Tuple(Arc::new(read)), ..value.clone() }
        }
        Data::Unknown(unknown) => Value { data: inside_of(unknown).data, ..value.clone() },
        Data::Null => Value::tuple(Vec::new()),
        _ => Value::tuple(vec![statement(value)]),
    }
}

/// A part of a statement, by any of its names; case doesn't count, null is "not there".
fn part<'v>(value: &'v Value, names: &[&str]) -> Option<&'v Value> {
    let entries = value.as_mapping()?;
    let exact = names.iter().find_map(|name| entries.get(name));
    exact.filter(|value| !value.is_null()).or_else(|| {
        let folded = |key: &str| names.iter().any(|name| key.eq_ignore_ascii_case(name));
        entries.iter().find(|(key, value)| !value.is_null() && folded(key)).map(|(_, value)| value)
    })
}

/// One statement in the common form. Each of its parts keeps the origin of what it was made from.
fn statement(value: &Value) -> Value {
    if value.as_mapping().is_none() {
        // Unknown wholly, or no statement at all: AWS refuses the latter.
        return match &value.data {
            Data::Unknown(unknown) if !unknown.candidates.is_empty() => {
                let candidates = unknown.candidates.iter().map(statement).collect();
                let inner = Unknown { candidates, ..Unknown::new(unknown.reason.clone()) };
                Value { data: Data::Unknown(Arc::new(inner)), ..value.clone() }
            }
            Data::Unknown(_) => value.clone(),
            _ => Value { data: Value::object([]).data, ..value.clone() },
        };
    }
    let mut entries: Vec<(Arc<str>, Value)> = Vec::with_capacity(9);
    if let Some(sid) = part(value, &["sid"]) {
        entries.push(("sid".into(), sid.clone()));
    }
    entries.push(("effect".into(), part(value, &["effect"]).cloned().unwrap_or_else(|| Value::string("Allow"))));
    for (name, names) in [
        ("actions", ["action", "actions"]),
        ("not_actions", ["notaction", "not_actions"]),
        ("resources", ["resource", "resources"]),
        ("not_resources", ["notresource", "not_resources"]),
    ] {
        entries.push((name.into(), part(value, &names).map_or_else(|| Value::tuple(Vec::new()), as_list)));
    }
    for (name, names) in [("principals", ["principal", "principals"]), ("not_principals", ["notprincipal", "not_principals"])] {
        entries.push((name.into(), part(value, &names).map_or_else(|| Value::tuple(Vec::new()), principals)));
    }
    entries.push(("conditions".into(), part(value, &["condition", "conditions"]).map_or_else(|| Value::tuple(Vec::new()), conditions)));
    Value { data: Value::object(entries).data, ..value.clone() }
}

/// A value as a list: a list stays one, anything else becomes its only element.
pub(super) fn as_list(value: &Value) -> Value {
    match &value.data {
        Data::List(_) | Data::Set(_) | Data::Tuple(_) => value.clone(),
        // A text with known parts is one element; what is wholly unknown may be a list.
        Data::Unknown(unknown) if unknown.candidates.is_empty() && !is_text(unknown) => value.clone(),
        Data::Unknown(unknown) if unknown.candidates.iter().any(|candidate| candidate.as_items().is_some()) => {
            let candidates = unknown.candidates.iter().map(as_list).collect();
            Value { data: Data::Unknown(Arc::new(Unknown { candidates, ..(**unknown).clone() })), ..value.clone() }
        }
        _ => Value::tuple(vec![value.clone()]),
    }
}

fn principal(kind: &Value, id: &Value) -> Value {
    let entries = [(Arc::from("type"), kind.clone()), (Arc::from("id"), id.clone())];
    Value { data: Value::object(entries).data, ..id.clone() }
}

/// `"*"`, `{"AWS": [...]}`, or Terraform's blocks of `type` and `identifiers`.
fn principals(value: &Value) -> Value {
    let mut found = Vec::new();
    match &value.data {
        Data::Unknown(_) => return value.clone(),
        Data::String(text) => found.push(principal(&Value::string(if &**text == "*" { "*" } else { "AWS" }), value)),
        Data::List(items) | Data::Set(items) | Data::Tuple(items) => {
            for item in items.iter() {
                match (part(item, &["type"]), part(item, &["identifiers"])) {
                    (Some(kind), Some(ids)) => push_principals(&mut found, kind, ids),
                    _ if item.is_unknown() => found.push(item.clone()),
                    _ if item.as_mapping().is_some() => found.extend(principals(item).as_items().unwrap_or_default().iter().cloned()),
                    // Not a form that AWS takes, but plain in what it means.
                    _ => found.push(principal(&Value::string("AWS"), item)),
                }
            }
        }
        Data::Map(entries) | Data::Object(entries) => match (part(value, &["type"]), part(value, &["identifiers"])) {
            (Some(kind), Some(ids)) => push_principals(&mut found, kind, ids),
            _ => {
                for (kind, ids) in entries.iter().filter(|(_, ids)| !ids.is_null()) {
                    push_principals(&mut found, &Value::string(kind.clone()), ids);
                }
            }
        },
        Data::Null | Data::Bool(_) | Data::Number(_) => {}
    }
    Value { data: Data::Tuple(Arc::new(found)), ..value.clone() }
}

fn push_principals(found: &mut Vec<Value>, kind: &Value, ids: &Value) {
    match as_list(ids).as_items() {
        Some(ids) => found.extend(ids.iter().map(|id| principal(kind, id))),
        None => found.push(principal(kind, ids)),
    }
}

/// `{"StringEquals": {"aws:SourceAccount": "…"}}`, or Terraform's blocks of `test`, `variable` and `values`.
fn conditions(value: &Value) -> Value {
    let mut found = Vec::new();
    match &value.data {
        Data::Unknown(_) => return value.clone(),
        Data::List(items) | Data::Set(items) | Data::Tuple(items) => {
            for item in items.iter() {
                match (part(item, &["test", "operator"]), part(item, &["variable", "key"])) {
                    (Some(operator), Some(key)) => {
                        found.push(condition(operator, key, part(item, &["values"]).unwrap_or(&Value::null()), item));
                    }
                    _ if item.is_unknown() => found.push(item.clone()),
                    _ => found.extend(conditions(item).as_items().unwrap_or_default().iter().cloned()),
                }
            }
        }
        Data::Map(operators) | Data::Object(operators) => {
            for (operator, keys) in operators.iter() {
                match &keys.data {
                    Data::Unknown(_) => found.push(keys.clone()),
                    Data::Map(keys) | Data::Object(keys) => {
                        for (key, values) in keys.iter() {
                            found.push(condition(&Value::string(operator.clone()), &Value::string(key.clone()), values, values));
                        }
                    }
                    _ => {}
                }
            }
        }
        _ => {}
    }
    Value { data: Data::Tuple(Arc::new(found)), ..value.clone() }
}

fn condition(operator: &Value, key: &Value, values: &Value, from: &Value) -> Value {
    let values = if values.is_null() { Value::tuple(Vec::new()) } else { as_list(values) };
    let entries = [(Arc::from("operator"), operator.clone()), (Arc::from("key"), key.clone()), (Arc::from("values"), values)];
    Value { data: Value::object(entries).data, ..from.clone() }
}
