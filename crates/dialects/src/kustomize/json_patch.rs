//! Patches as lists of operations.
//!
//! Source: RFC 6902 and, for the paths, RFC 6901.

use std::sync::Arc;

use keyblind_resource::{Data, Origin, Value};

use crate::kubernetes::values::{is_deeper, items};
use crate::limits;

/// Whether a document is a list of operations.
pub(crate) fn is_operations(document: &Value) -> bool {
    let operations = items(Some(document));
    !operations.is_empty() && operations.iter().all(|operation| operation.get("op").is_some() && operation.get("path").is_some())
}

/// Why an operation can't be applied, in one sentence without a full stop, with the operation.
pub(crate) struct Refused {
    pub(crate) at: Origin,
    pub(crate) message: String,
}

/// Applies all operations, or says why one can't be: then the object stays as it was.
pub(crate) fn apply(target: &Value, operations: &Value, spend: &mut dyn FnMut(&Value) -> bool) -> Result<Value, Refused> {
    let mut result = target.clone();
    for operation in items(Some(operations)) {
        one(&mut result, operation, spend).map_err(|message| Refused { at: operation.origin.clone(), message })?;
    }
    Ok(result)
}

fn one(target: &mut Value, operation: &Value, spend: &mut dyn FnMut(&Value) -> bool) -> Result<(), String> {
    let text = |key: &str| operation.get(key).and_then(Value::as_str);
    let name = text("op").ok_or("the operation has no `op`")?;
    let path = pointer(text("path").ok_or("the operation has no `path`")?)?;
    let from = || pointer(text("from").ok_or("the operation has no `from`")?);
    let value = || operation.get("value").cloned().ok_or("the operation has no `value`");
    match name {
        "add" => add(target, &path, value()?),
        // Kustomize's library lets a member be replaced that isn't there.
        "replace" => set(target, &path, value()?),
        "remove" => take(target, &path).map(drop),
        "move" => {
            let from = from()?;
            if path.starts_with(&from) && path.len() > from.len() {
                return Err("a value can't be moved into itself".to_owned());
            }
            let moved = take(target, &from)?;
            add(target, &path, moved)
        }
        "copy" => {
            let copied = find(target, &from()?)?.clone();
            if !spend(&copied) {
                return Err("the patches make more of the objects than can be judged".to_owned());
            }
            add(target, &path, copied)
        }
        "test" => {
            let (found, wanted) = (find(target, &path)?, value()?);
            if *found == wanted { Ok(()) } else { Err("the tested value is another one".to_owned()) }
        }
        other => Err(format!("there is no operation `{other}`")),
    }
}

/// The steps of a pointer.
fn pointer(text: &str) -> Result<Vec<String>, String> {
    if text.is_empty() {
        return Ok(Vec::new());
    }
    let Some(steps) = text.strip_prefix('/') else { return Err(format!("the path `{text}` doesn't begin with `/`")) };
    Ok(steps.split('/').map(|step| step.replace("~1", "/").replace("~0", "~")).collect())
}

fn missing(step: &str) -> String {
    format!("there is nothing at `{step}` of the path")
}

fn index(step: &str, length: usize) -> Result<usize, String> {
    step.parse().ok().filter(|index| *index < length).ok_or_else(|| missing(step))
}

fn find<'v>(value: &'v Value, path: &[String]) -> Result<&'v Value, String> {
    path.iter().try_fold(value, |value, step| match value.as_items() {
        Some(items) => Ok(&items[index(step, items.len())?]),
        None => value.get(step).ok_or_else(|| missing(step)),
    })
}

/// Calls `change` with the collection that holds the last step.
fn within<R>(value: &mut Value, path: &[String], change: impl FnOnce(&mut Value, &str) -> Result<R, String>) -> Result<R, String> {
    match path {
        [] => Err("the path leads to the whole object".to_owned()),
        [last] => change(value, last),
        [step, rest @ ..] => match &mut value.data {
            Data::Object(mapping) => {
                if mapping.get(step).is_none() {
                    return Err(missing(step));
                }
                within(Arc::make_mut(mapping).entry(step), rest, change)
            }
            Data::Tuple(items) => {
                let index = index(step, items.len())?;
                within(&mut Arc::make_mut(items)[index], rest, change)
            }
            _ => Err(missing(step)),
        },
    }
}

/// Copies and moves into one another could nest a value as deep as there are operations.
fn check_depth(path: &[String], value: &Value) -> Result<(), String> {
    let allowed = limits::VALUE_DEPTH.saturating_sub(path.len());
    if is_deeper(value, allowed) { Err(format!("the result is nested deeper than {} levels", limits::VALUE_DEPTH)) } else { Ok(()) }
}

fn add(target: &mut Value, path: &[String], value: Value) -> Result<(), String> {
    check_depth(path, &value)?;
    if path.is_empty() {
        *target = value;
        return Ok(());
    }
    within(target, path, |parent, step| {
        match &mut parent.data {
            Data::Object(mapping) => Arc::make_mut(mapping).insert(step, value),
            Data::Tuple(items) => {
                let place = if step == "-" { items.len() } else { index(step, items.len() + 1)? };
                Arc::make_mut(items).insert(place, value);
            }
            _ => return Err(missing(step)),
        }
        Ok(())
    })
}

fn set(target: &mut Value, path: &[String], value: Value) -> Result<(), String> {
    check_depth(path, &value)?;
    if path.is_empty() {
        *target = value;
        return Ok(());
    }
    within(target, path, |parent, step| {
        match &mut parent.data {
            Data::Object(mapping) => Arc::make_mut(mapping).insert(step, value),
            Data::Tuple(items) => {
                let place = index(step, items.len())?;
                Arc::make_mut(items)[place] = value;
            }
            _ => return Err(missing(step)),
        }
        Ok(())
    })
}

fn take(target: &mut Value, path: &[String]) -> Result<Value, String> {
    within(target, path, |parent, step| match &mut parent.data {
        Data::Object(mapping) => Arc::make_mut(mapping).remove(step).ok_or_else(|| missing(step)),
        Data::Tuple(items) => {
            let place = index(step, items.len())?;
            Ok(Arc::make_mut(items).remove(place))
        }
        _ => Err(missing(step)),
    })
}
