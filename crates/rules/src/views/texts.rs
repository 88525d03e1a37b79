//! Texts in parts and in other shape.

use std::sync::Arc;

use keyblind_resource::{Data, Fragment, Unknown, Value};

/// The most parts that a text is taken apart into.
const MAX_PARTS: usize = 100_000;

/// A list of texts.
pub(crate) fn list<'t>(parts: impl Iterator<Item = &'t str>) -> Value {
    Value::tuple(parts.take(MAX_PARTS).map(Value::string).collect())
}

/// A text changed character by character; the known parts of an unknown one as well.
pub(crate) fn mapped(value: &Value, change: fn(&str) -> String) -> Option<Value> {
    let data = match &value.data {
        Data::String(text) => Data::String(change(text).into()),
        Data::Unknown(unknown) => {
            let part = |fragment: &Fragment| match fragment {
                Fragment::Literal(text) => Fragment::Literal(change(text).into()),
                Fragment::Unknown => Fragment::Unknown,
            };
            let fragments = unknown.fragments.iter().map(part).collect();
            Data::Unknown(Arc::new(Unknown { fragments, document: None, ..(**unknown).clone() }))
        }
        Data::List(items) | Data::Set(items) | Data::Tuple(items) => {
            Data::Tuple(Arc::new(items.iter().filter(|item| item.as_items().is_none()).filter_map(|item| mapped(item, change)).collect()))
        }
        _ => return None,
    };
    Some(Value { data, origin: value.origin.clone(), sensitive: value.sensitive })
}

/// A text without white space around.
pub(crate) fn trimmed(value: &Value) -> Option<Value> {
    match &value.data {
        Data::String(text) => Some(Value { data: Data::String(text.trim().into()), ..value.clone() }),
        // White space may come from an unknown part at the edge: what remains is still the same text with fewer spaces.
        Data::Unknown(unknown) => {
            let mut fragments = unknown.fragments.clone();
            if let Some(Fragment::Literal(first)) = fragments.first_mut() {
                *first = first.trim_start().into();
            }
            if let Some(Fragment::Literal(last)) = fragments.last_mut() {
                *last = last.trim_end().into();
            }
            Some(Value { data: Data::Unknown(Arc::new(Unknown { fragments, ..(**unknown).clone() })), ..value.clone() })
        }
        _ => None,
    }
}
