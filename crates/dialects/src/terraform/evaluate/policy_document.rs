//! The data source `aws_iam_policy_document`, whose result follows from its arguments alone.
//!
//! Source: documentation of the AWS provider, "Data Source: aws_iam_policy_document".

use std::fmt::Write as _;
use std::sync::Arc;

use keyblind_resource::{Data, Mapping, Origin, Reason, Reference, Unknown, Value};
use keyblind_syntax::Site;

/// The order in which the provider writes the members of a document and of a statement.
const ORDER: &[&str] = &[
    "Version",
    "Id",
    "Sid",
    "Effect",
    "Action",
    "NotAction",
    "Resource",
    "NotResource",
    "Principal",
    "NotPrincipal",
    "Condition",
    "Statement",
];

/// The document that a data source of that body describes, as an object in the form of the JSON.
pub(super) fn document(body: &Value, address: &Arc<str>) -> Value {
    let mut statements = Vec::new();
    for source in documents(body, "source_policy_documents", "source_json") {
        statements.extend(statements_of(&source, address));
    }
    for block in blocks(body, "statement") {
        put(&mut statements, statement(block));
    }
    for over in documents(body, "override_policy_documents", "override_json") {
        for statement in statements_of(&over, address) {
            put(&mut statements, statement);
        }
    }
    let mut mapping = Mapping::default();
    let version = body.get("version").filter(|version| !version.is_null()).cloned();
    mapping.insert("Version", version.unwrap_or_else(|| Value::string("2012-10-17")));
    if let Some(id) = body.get("policy_id").filter(|id| !id.is_null()) {
        mapping.insert("Id", id.clone());
    }
    mapping.insert("Statement", Value::tuple(statements));
    Value::new(Data::Object(Arc::new(mapping)))
}

/// The document as text; with unknown parts, an unknown that still holds the document.
pub(super) fn encode(document: &Value, site: Site, pretty: bool) -> Value {
    let mut text = String::new();
    let data = match write(document, pretty.then_some(0), &mut text) {
        Ok(()) => Data::String(text.into()),
        Err(unknown) => {
            let mut references = Vec::new();
            collect_references(document, &mut references);
            references.sort();
            references.dedup();
            Data::Unknown(Arc::new(Unknown { document: Some(document.clone()), references, ..Unknown::new(unknown) }))
        }
    };
    Value::new(data).with_origin(Origin::Site(site))
}

/// A later statement takes the place of an earlier one with the same, non-empty id.
fn put(statements: &mut Vec<Value>, statement: Value) {
    let sid = |statement: &Value| statement.get("Sid").and_then(Value::as_str).filter(|sid| !sid.is_empty()).map(str::to_owned);
    let same = sid(&statement).and_then(|new| statements.iter().position(|old| sid(old).is_some_and(|old| old == new)));
    match same {
        Some(index) => statements[index] = statement,
        None => statements.push(statement),
    }
}

fn blocks<'b>(body: &'b Value, name: &str) -> impl Iterator<Item = &'b Value> {
    let value = body.get(name);
    let items = value.and_then(Value::as_items).unwrap_or_default();
    let single = value.filter(|value| value.as_items().is_none() && !value.is_null());
    items.iter().chain(single)
}

fn documents(body: &Value, list: &str, legacy: &str) -> Vec<Value> {
    let mut found: Vec<Value> = body.get(legacy).filter(|value| !value.is_null()).cloned().into_iter().collect();
    match body.get(list) {
        Some(value) if value.as_items().is_some() => found.extend(value.as_items().unwrap_or_default().iter().cloned()),
        Some(value) if !value.is_null() => found.push(value.clone()),
        _ => {}
    }
    found
}

fn statements_of(document: &Value, address: &Arc<str>) -> Vec<Value> {
    let decoded = match &document.data {
        Data::String(text) if text.trim().is_empty() => return Vec::new(),
        Data::String(text) => serde_json::from_str::<serde_json::Value>(text).ok().map(|json| from_json(&json, &document.origin)),
        Data::Unknown(unknown) => unknown.document.clone(),
        _ => None,
    };
    match decoded.as_ref().and_then(|decoded| decoded.get("Statement")) {
        Some(statements) => match statements.as_items() {
            Some(items) => items.to_vec(),
            None => vec![statements.clone()],
        },
        None if decoded.is_some() => Vec::new(),
        None => {
            let reason = match document.as_unknown() {
                Some(unknown) => unknown.reason.clone(),
                None => Reason::Invalid { message: format!("a document that `{address}` is made from is no JSON").into() },
            };
            let references = document.as_unknown().map(|unknown| unknown.references.clone()).unwrap_or_default();
            vec![Value::new(Data::Unknown(Arc::new(Unknown { references, ..Unknown::new(reason) })))]
        }
    }
}

/// JSON to values; every part keeps the origin of the text that it stood in. Depth is bounded by serde_json's own limit.
pub(super) fn from_json(json: &serde_json::Value, origin: &Origin) -> Value {
    let data = match json {
        serde_json::Value::Null => Data::Null,
        serde_json::Value::Bool(value) => Data::Bool(*value),
        serde_json::Value::Number(number) => number.to_string().parse().map_or(Data::Null, Data::Number),
        serde_json::Value::String(text) => Data::String(text.as_str().into()),
        serde_json::Value::Array(items) => Data::Tuple(Arc::new(items.iter().map(|item| from_json(item, origin)).collect())),
        serde_json::Value::Object(entries) => {
            Data::Object(Arc::new(entries.iter().map(|(key, value)| (key.as_str().into(), from_json(value, origin))).collect()))
        }
    };
    Value::new(data).with_origin(origin.clone())
}

fn statement(block: &Value) -> Value {
    if block.is_unknown() {
        return block.clone();
    }
    let mut mapping = Mapping::default();
    mapping.insert("Sid", block.get("sid").filter(|sid| !sid.is_null()).cloned().unwrap_or_else(|| Value::string("")));
    mapping.insert("Effect", block.get("effect").filter(|effect| !effect.is_null()).cloned().unwrap_or_else(|| Value::string("Allow")));
    for (from, to) in [("actions", "Action"), ("not_actions", "NotAction"), ("resources", "Resource"), ("not_resources", "NotResource")] {
        if let Some(value) = block.get(from).filter(|value| !is_empty(value)) {
            mapping.insert(to, one_or_list(value));
        }
    }
    for (from, to) in [("principals", "Principal"), ("not_principals", "NotPrincipal")] {
        if let Some(value) = principals(block, from) {
            mapping.insert(to, value);
        }
    }
    if let Some(value) = conditions(block) {
        mapping.insert("Condition", value);
    }
    Value::new(Data::Object(Arc::new(mapping))).with_origin(block.origin.clone())
}

fn is_empty(value: &Value) -> bool {
    value.is_null() || value.as_items().is_some_and(<[Value]>::is_empty)
}

/// The provider writes a list of one as a text, and longer ones sorted backwards.
fn one_or_list(value: &Value) -> Value {
    match value.as_items() {
        Some([one]) => one.clone(),
        Some(items) => {
            let mut items = items.to_vec();
            items.sort_by(|a, b| b.as_str().cmp(&a.as_str()));
            items.dedup();
            Value::tuple(items).with_origin(value.origin.clone())
        }
        None => value.clone(),
    }
}

fn principals(block: &Value, name: &str) -> Option<Value> {
    let mut by_type = Mapping::default();
    let mut any = false;
    for principal in blocks(block, name) {
        any = true;
        if principal.is_unknown() {
            return Some(principal.clone());
        }
        let identifiers = principal.get("identifiers").cloned().unwrap_or_default();
        match principal.get("type").and_then(Value::as_str) {
            Some("*") if identifiers.as_items().is_some_and(|items| items.iter().any(|item| item.as_str() == Some("*"))) => {
                return Some(Value::string("*").with_origin(identifiers.origin));
            }
            Some(kind) => {
                let merged = match by_type.get(kind) {
                    Some(earlier) => joined(earlier, &identifiers),
                    None => one_or_list(&identifiers),
                };
                by_type.insert(kind, merged);
            }
            None => return Some(principal.get("type").cloned().unwrap_or_default()),
        }
    }
    any.then(|| Value::new(Data::Object(Arc::new(by_type))))
}

fn joined(earlier: &Value, more: &Value) -> Value {
    let list = |value: &Value| value.as_items().map_or_else(|| vec![value.clone()], <[Value]>::to_vec);
    one_or_list(&Value::tuple(list(earlier).into_iter().chain(list(more)).collect()))
}

fn conditions(block: &Value) -> Option<Value> {
    let mut by_test: std::collections::BTreeMap<Arc<str>, Mapping> = std::collections::BTreeMap::new();
    for condition in blocks(block, "condition") {
        if condition.is_unknown() {
            return Some(condition.clone());
        }
        let (Some(test), Some(variable)) = (condition.get("test"), condition.get("variable")) else { continue };
        let (Some(test_name), Some(variable_name)) = (test.as_str(), variable.as_str()) else {
            return Some(if test.is_unknown() { test.clone() } else { variable.clone() });
        };
        let values = condition.get("values").cloned().unwrap_or_default();
        let by_variable = by_test.entry(test_name.into()).or_default();
        let merged = match by_variable.get(variable_name) {
            Some(earlier) => joined(earlier, &values),
            None => one_or_list(&values),
        };
        by_variable.insert(variable_name, merged);
    }
    if by_test.is_empty() {
        return None;
    }
    Some(Value::object(by_test.into_iter().map(|(test, variables)| (test, Value::new(Data::Object(Arc::new(variables)))))))
}

/// Writes JSON; fails with the reason of the first unknown part.
fn write(value: &Value, indent: Option<usize>, out: &mut String) -> Result<(), Reason> {
    let line = |out: &mut String, indent: Option<usize>| {
        if let Some(depth) = indent {
            out.push('\n');
            out.extend(std::iter::repeat_n("  ", depth));
        }
    };
    let inner = indent.map(|depth| depth + 1);
    match &value.data {
        Data::Null => out.push_str("null"),
        Data::Bool(value) => {
            let _ = write!(out, "{value}");
        }
        Data::Number(number) => {
            let _ = write!(out, "{number}");
        }
        Data::String(text) => {
            let quoted = serde_json::to_string(&**text).unwrap_or_default();
            // Go's encoder escapes these so that the text can stand in HTML.
            out.push_str(&quoted.replace('&', "\\u0026").replace('<', "\\u003c").replace('>', "\\u003e"));
        }
        Data::Unknown(unknown) => return Err(unknown.reason.clone()),
        Data::List(items) | Data::Set(items) | Data::Tuple(items) => {
            out.push('[');
            for (index, item) in items.iter().enumerate() {
                if index > 0 {
                    out.push(',');
                }
                line(out, inner);
                write(item, inner, out)?;
            }
            if !items.is_empty() {
                line(out, indent);
            }
            out.push(']');
        }
        Data::Map(mapping) | Data::Object(mapping) => {
            out.push('{');
            let mut entries: Vec<_> = mapping.iter().filter(|(key, value)| !(&***key == "Sid" && value.as_str() == Some(""))).collect();
            // Members of documents and statements have a fixed order; all others are sorted, as they come.
            entries.sort_by_key(|(key, _)| ORDER.iter().position(|name| *name == &***key).unwrap_or(ORDER.len()));
            for (index, (key, item)) in entries.iter().enumerate() {
                if index > 0 {
                    out.push(',');
                }
                line(out, inner);
                out.push_str(&serde_json::to_string(&***key).unwrap_or_default());
                out.push(':');
                if indent.is_some() {
                    out.push(' ');
                }
                write(item, inner, out)?;
            }
            if !entries.is_empty() {
                line(out, indent);
            }
            out.push('}');
        }
    }
    Ok(())
}

fn collect_references(value: &Value, found: &mut Vec<Reference>) {
    found.extend(super::expression::known_references(value));
    match &value.data {
        Data::Unknown(unknown) => found.extend(unknown.references.iter().cloned()),
        Data::List(items) | Data::Set(items) | Data::Tuple(items) => items.iter().for_each(|item| collect_references(item, found)),
        Data::Map(mapping) | Data::Object(mapping) => mapping.iter().for_each(|(_, item)| collect_references(item, found)),
        Data::Null | Data::Bool(_) | Data::Number(_) | Data::String(_) => {}
    }
}
