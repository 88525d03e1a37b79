//! Strategic merge: how a patch that looks like a part of the object changes it.
//!
//! Source: Kubernetes documentation, "Update API Objects in Place Using kubectl patch"; Kustomize puts what is new in a list
//! before what was there.

use std::sync::Arc;

use keyblind_resource::{Data, Value};

use crate::kubernetes::kinds;
use crate::kubernetes::values::text;

/// The key of a patch that says what to do instead of merging.
const DIRECTIVE: &str = "$patch";

/// What a directive asks for.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Directive {
    Merge,
    Replace,
    Delete,
}

fn directive(patch: &Value) -> Directive {
    match patch.get(DIRECTIVE).and_then(Value::as_str) {
        Some("delete") => Directive::Delete,
        Some("replace") => Directive::Replace,
        _ => Directive::Merge,
    }
}

/// Applies a patch to a value of an object of that type. `None`: nothing is left. `path` is where the value lies, without
/// steps for elements. The parser bounds how deep a patch is.
pub(crate) fn apply(target: Option<Value>, patch: &Value, type_key: &str, path: &mut Vec<Arc<str>>) -> Option<Value> {
    match &patch.data {
        Data::Null => None,
        Data::Object(_) => object(target, patch, type_key, path),
        Data::Tuple(items) => list(target, patch, items, type_key, path),
        _ => Some(patch.clone()),
    }
}

fn object(target: Option<Value>, patch: &Value, type_key: &str, path: &mut Vec<Arc<str>>) -> Option<Value> {
    let directive = directive(patch);
    if directive == Directive::Delete {
        return None;
    }
    let mut result = match target {
        Some(target) if directive == Directive::Merge && matches!(target.data, Data::Object(_)) => target,
        _ => Value { data: Data::Object(Arc::default()), origin: patch.origin.clone(), sensitive: false },
    };
    if let (Data::Object(changes), Data::Object(mapping)) = (&patch.data, &mut result.data) {
        let mapping = Arc::make_mut(mapping);
        for (name, change) in changes.iter().filter(|(name, _)| !name.starts_with('$')) {
            path.push(name.clone());
            match apply(mapping.remove(name), change, type_key, path) {
                Some(value) => mapping.insert(name.clone(), value),
                None => drop(mapping.remove(name)),
            }
            path.pop();
        }
    }
    Some(result)
}

fn list(target: Option<Value>, patch: &Value, changes: &[Value], type_key: &str, path: &mut Vec<Arc<str>>) -> Option<Value> {
    let names: Vec<&str> = path.iter().map(|name| &**name).collect();
    let keys = kinds::merge_keys(type_key, &names);
    // An element that is nothing but a directive speaks of the whole list.
    let whole =
        changes.iter().find(|change| change.as_mapping().is_some_and(|mapping| mapping.len() == 1 && mapping.get(DIRECTIVE).is_some()));
    let of_list = whole.map_or(Directive::Merge, directive);
    if of_list == Directive::Delete {
        return None;
    }
    let changes = || changes.iter().filter(|change| whole.is_none_or(|whole| !std::ptr::eq(*change, whole)));
    let existing = target.as_ref().filter(|_| of_list == Directive::Merge).and_then(Value::as_items).unwrap_or_default();
    let items = match keys {
        Some([]) => {
            let new = changes().filter(|change| !existing.contains(change));
            existing.iter().chain(new).cloned().collect()
        }
        Some(keys) => keyed(existing, changes(), keys, type_key, path),
        None => changes().filter_map(|change| apply(None, change, type_key, path)).collect(),
    };
    let origin = match &target {
        Some(target) if keys.is_some() && of_list == Directive::Merge => target.origin.clone(),
        _ => patch.origin.clone(),
    };
    Some(Value { data: Data::Tuple(Arc::new(items)), origin, sensitive: false })
}

/// Merges lists whose elements are told apart by keys: what the patch names comes first, merged or new, then the rest.
fn keyed<'p>(
    existing: &[Value],
    changes: impl Iterator<Item = &'p Value>,
    keys: &[&str],
    type_key: &str,
    path: &mut Vec<Arc<str>>,
) -> Vec<Value> {
    let mut rest: Vec<Option<&Value>> = existing.iter().map(Some).collect();
    let mut merged = Vec::new();
    for change in changes {
        let place = rest.iter().position(|item| item.is_some_and(|item| is_same(item, change, keys)));
        let target = place.and_then(|place| rest[place].take()).cloned();
        merged.extend(apply(target, change, type_key, path));
    }
    merged.extend(rest.into_iter().flatten().cloned());
    merged
}

/// Whether two elements have equal keys. The first key decides; one of the others that is missing on a side may be any.
fn is_same(a: &Value, b: &Value, keys: &[&str]) -> bool {
    keys.iter().enumerate().all(|(place, key)| match (a.get(key).and_then(text), b.get(key).and_then(text)) {
        (Some(a), Some(b)) => a == b,
        _ => place > 0,
    })
}
