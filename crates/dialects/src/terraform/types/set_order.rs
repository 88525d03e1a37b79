//! The order in which Terraform iterates a set: texts by their bytes, numbers by size, `false` before `true`; compound
//! elements by the bytes that cty hashes them by. Null and unknown elements come last.
//!
//! Source: zclconf/go-cty, `cty/set_internals.go`.

use std::cmp::Ordering;
use std::collections::HashSet;

use keyblind_resource::{Data, Value};

use super::MAX_DEPTH;
use super::text::go_quoted;

/// Sorts elements of one type as a set and drops the repeated ones; of equal elements the first stays. Unknown elements
/// may be equal to others: they all stay.
pub(crate) fn make_set(items: Vec<Value>) -> Vec<Value> {
    if items.iter().all(|item| matches!(item.data, Data::String(_) | Data::Number(_) | Data::Bool(_) | Data::Null | Data::Unknown(_))) {
        let mut items = items;
        items.sort_by(compare_primitives);
        items.dedup_by(|later, earlier| later == earlier);
        return items;
    }
    let mut seen = HashSet::new();
    let mut keyed: Vec<(Vec<u8>, Value)> = Vec::with_capacity(items.len());
    for item in items {
        if item.is_wholly_known() && !seen.insert(exact_key(&item)) {
            continue;
        }
        let mut key = Vec::new();
        append_key(&item, false, 0, &mut key);
        keyed.push((key, item));
    }
    keyed.sort_by(|(a, item), (b, other)| rank(item).cmp(&rank(other)).then_with(|| a.cmp(b)));
    keyed.into_iter().map(|(_, item)| item).collect()
}

/// Known elements first, then null, then unknown.
fn rank(value: &Value) -> u8 {
    match value.data {
        Data::Null => 2,
        Data::Unknown(_) => 1,
        _ => 0,
    }
}

fn compare_primitives(a: &Value, b: &Value) -> Ordering {
    match (&a.data, &b.data) {
        (Data::String(a), Data::String(b)) => a.cmp(b),
        (Data::Number(a), Data::Number(b)) => a.cmp(b),
        (Data::Bool(a), Data::Bool(b)) => a.cmp(b),
        _ => rank(a).cmp(&rank(b)),
    }
}

/// Bytes that tell all wholly known values of one type apart.
pub(crate) fn exact_key(value: &Value) -> Vec<u8> {
    let mut key = Vec::new();
    append_key(value, true, 0, &mut key);
    key
}

/// The bytes that cty hashes an element by. They shorten numbers to ten digits; the exact form tells all apart.
fn append_key(value: &Value, exact: bool, depth: usize, key: &mut Vec<u8>) {
    if depth > MAX_DEPTH {
        return;
    }
    match &value.data {
        Data::Unknown(_) => key.push(b'?'),
        Data::Null => key.push(b'~'),
        Data::Bool(value) => key.push(if *value { b'T' } else { b'F' }),
        Data::Number(number) if exact => key.extend_from_slice(number.to_string().as_bytes()),
        Data::Number(number) => key.extend_from_slice(number.to_general(10).as_bytes()),
        Data::String(text) => key.extend_from_slice(go_quoted(text).as_bytes()),
        Data::List(items) | Data::Set(items) => {
            key.push(b'[');
            for item in items.iter() {
                append_key(item, exact, depth + 1, key);
                key.push(b';');
            }
            key.push(b']');
        }
        Data::Tuple(items) => {
            key.push(b'<');
            for item in items.iter() {
                append_key(item, exact, depth + 1, key);
                key.push(b';');
            }
            key.push(b'>');
        }
        Data::Map(entries) => {
            key.push(b'{');
            for (name, item) in entries.iter() {
                key.extend_from_slice(go_quoted(name).as_bytes());
                key.push(b':');
                append_key(item, exact, depth + 1, key);
                key.push(b';');
            }
            key.push(b'}');
        }
        Data::Object(entries) => {
            key.push(b'<');
            for (name, item) in entries.iter() {
                if exact {
                    key.extend_from_slice(go_quoted(name).as_bytes());
                }
                append_key(item, exact, depth + 1, key);
                key.push(b';');
            }
            key.push(b'>');
        }
    }
}
