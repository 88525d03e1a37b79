//! `replacements` and `vars`: values that are copied from one object into others.
//!
//! Source: Kustomize documentation, "replacements", "vars".

use std::sync::Arc;

use keyblind_resource::{Data, HopKind, Value};
use keyblind_syntax::{Diagnostic, Site};

use super::Kustomization;
use super::build::{Budget, Item};
use super::fields::{list, said};
use super::read::listed;
use super::select::Selector;
use crate::kubernetes::kinds;
use crate::kubernetes::values::{entries, is_deeper, text};
use crate::limits;

/// Applies one entry of `replacements`.
pub(super) fn apply(replacement: &Value, items: &mut [Item], budget: &mut Budget, kustomization: &Kustomization) -> Option<Diagnostic> {
    let at = replacement.origin.used_at().unwrap_or(Site::new(kustomization.id, Default::default()));
    let refused = |message: String| Some(Diagnostic::incomplete("kustomize-replacement-refused", at, message));
    let value = match (said(replacement, "sourceValue"), replacement.get("source")) {
        (Some(value), _) => value.clone(),
        (None, Some(source)) => match read_source(source, items) {
            Ok(value) => value,
            Err(message) => return refused(message),
        },
        (None, None) => return refused("the replacement has no `source`".to_owned()),
    };
    for target in listed(replacement, "targets") {
        let Some(select) = target.get("select") else { continue };
        let selector = match Selector::read_exactly(select) {
            Ok(selector) => selector,
            Err(message) => return refused(message),
        };
        let rejected: Vec<Selector> = listed(target, "reject").iter().filter_map(|reject| Selector::read_exactly(reject).ok()).collect();
        let options = target.get("options");
        let is_made = options.and_then(|options| options.get("create")).and_then(Value::as_bool) == Some(true);
        let fields: Vec<Arc<str>> = listed(target, "fieldPaths").iter().filter_map(text).collect();
        let default: [Arc<str>; 1] = ["metadata.name".into()];
        for item in items.iter_mut().filter(|item| selector.selects(item)) {
            if rejected.iter().any(|reject| reject.selects(item)) {
                continue;
            }
            let id = item.id();
            for field in if fields.is_empty() { &default[..] } else { &fields } {
                if !budget.spend(&value) {
                    return None;
                }
                let steps = split_path(field);
                let steps: Vec<&str> = steps.iter().map(String::as_str).collect();
                if is_deeper(&value, limits::VALUE_DEPTH.saturating_sub(steps.len())) {
                    return refused(format!("`{field}` would nest the object deeper than {} levels", limits::VALUE_DEPTH));
                }
                set(&mut item.object.body, &steps, &value, options, is_made);
            }
            item.remember(id);
        }
    }
    None
}

fn read_source(source: &Value, items: &[Item]) -> Result<Value, String> {
    let selector = Selector::read_exactly(source)?;
    let mut found = items.iter().filter(|item| selector.selects(item));
    let Some(item) = found.next() else { return Err("no object is what the `source` asks for: nothing is replaced".to_owned()) };
    let path = source.get("fieldPath").and_then(text).unwrap_or_else(|| "metadata.name".into());
    let steps = split_path(&path);
    let steps: Vec<&str> = steps.iter().map(String::as_str).collect();
    let value =
        get(&item.object.body, &steps).ok_or_else(|| format!("there is nothing at `{path}` of the `source`: nothing is replaced"))?;
    let options = source.get("options");
    match (options.and_then(delimiter), value.as_str()) {
        (Some((delimiter, index)), Some(whole)) => {
            let part = whole.split(&*delimiter).nth(index).ok_or("the `source` has fewer parts than its `index` asks for")?;
            Ok(Value { data: Data::String(part.into()), ..value.clone() })
        }
        _ => Ok(value.clone()),
    }
}

fn delimiter(options: &Value) -> Option<(Arc<str>, usize)> {
    let delimiter = options.get("delimiter").and_then(text).filter(|delimiter| !delimiter.is_empty())?;
    let index = options.get("index").and_then(text).and_then(|index| index.parse().ok()).unwrap_or(0);
    Some((delimiter, index))
}

/// `spec.containers.[name=web].env.0`, where `\.` is no separator, nor is a dot in brackets.
fn split_path(path: &str) -> Vec<String> {
    let (mut steps, mut step, mut escaped, mut depth) = (Vec::new(), String::new(), false, 0_u32);
    for character in path.chars() {
        match character {
            _ if escaped => {
                step.push(character);
                escaped = false;
            }
            '\\' => escaped = true,
            '.' if depth == 0 => steps.push(std::mem::take(&mut step)),
            _ => {
                match character {
                    '[' => depth += 1,
                    ']' => depth = depth.saturating_sub(1),
                    _ => {}
                }
                step.push(character);
            }
        }
    }
    steps.push(step);
    steps
}

/// Whether an element is what `[name=value]` asks for.
fn is_meant(element: &Value, step: &str) -> bool {
    let Some((key, value)) = step.strip_prefix('[').and_then(|step| step.strip_suffix(']')?.split_once('=')) else { return false };
    let found = if key.is_empty() { text(element) } else { element.get(key).and_then(text) };
    found.as_deref() == Some(value)
}

fn get<'v>(value: &'v Value, path: &[&str]) -> Option<&'v Value> {
    let Some((step, rest)) = path.split_first() else { return Some(value) };
    match value.as_items() {
        Some(items) => match step.parse::<usize>() {
            Ok(index) => get(items.get(index)?, rest),
            Err(_) => items.iter().filter(|item| *step == "*" || is_meant(item, step)).find_map(|item| get(item, rest)),
        },
        None => get(value.get(step)?, rest),
    }
}

fn set(target: &mut Value, path: &[&str], new: &Value, options: Option<&Value>, is_made: bool) {
    match (path, &mut target.data) {
        ([], _) => {
            let placed = match (options.and_then(delimiter), target.as_str(), text(new)) {
                (Some((delimiter, index)), Some(whole), Some(part)) => {
                    let mut parts: Vec<&str> = whole.split(&*delimiter).collect();
                    if let Some(place) = parts.get_mut(index).filter(|_| whole.len() + part.len() <= limits::KUSTOMIZE_TEXT_BYTES) {
                        *place = &part;
                    }
                    Value { data: Data::String(parts.join(&delimiter).into()), ..new.clone() }
                }
                _ => new.clone(),
            };
            let site = placed.origin.used_at();
            *target = match site {
                Some(site) => placed.carried(HopKind::Kustomization("replacements".into()), site),
                None => placed,
            };
        }
        ([step, rest @ ..], Data::Tuple(items)) => {
            let index = step.parse::<usize>().ok();
            for (place, item) in Arc::make_mut(items).iter_mut().enumerate() {
                if *step == "*" || index == Some(place) || is_meant(item, step) {
                    set(item, rest, new, options, is_made);
                }
            }
        }
        ([step, rest @ ..], Data::Object(mapping)) if mapping.get(step).is_some() || is_made && !step.starts_with('[') => {
            let entry = Arc::make_mut(mapping).entry(step);
            if entry.is_null() && !rest.is_empty() {
                *entry = Value { data: Data::Object(Arc::default()), origin: new.origin.clone(), sensitive: false };
            }
            set(entry, rest, new, options, is_made);
        }
        _ => {}
    }
}

/// Puts the values of `vars` in the places of `$(NAME)`.
pub(super) fn variables(body: &Value, items: &mut [Item], budget: &mut Budget) {
    let mut variables: Vec<(String, Value)> = Vec::new();
    for entry in list(body, "vars") {
        let (Some(name), Some(reference)) = (entry.get("name").and_then(text), entry.get("objref")) else { continue };
        let wanted = |key: &str| reference.get(key).and_then(text);
        let meant = items.iter().find(|item| {
            let is_kind = wanted("kind").is_none_or(|kind| *kind == *item.object.kind());
            let is_group = wanted("apiVersion").is_none_or(|version| kinds::group(&version) == kinds::group(item.object.api_version()));
            is_kind && is_group && wanted("name").is_some_and(|name| item.is_called(&name))
        });
        let path = entry.get("fieldref").and_then(|field| field.get("fieldpath").or_else(|| field.get("fieldPath"))).and_then(text);
        let steps = split_path(path.as_deref().unwrap_or("metadata.name"));
        let steps: Vec<&str> = steps.iter().map(String::as_str).collect();
        if let Some(value) = meant.and_then(|item| get(&item.object.body, &steps)) {
            variables.push((format!("$({name})"), value.clone()));
        }
    }
    if variables.is_empty() {
        return;
    }
    for item in items {
        if budget.spend(&item.object.body) && mentions(&item.object.body) {
            fill(&mut item.object.body, &variables);
        }
    }
}

fn mentions(value: &Value) -> bool {
    match &value.data {
        Data::String(text) => text.contains("$("),
        Data::Object(_) => entries(value).any(|(_, inner)| mentions(inner)),
        Data::Tuple(items) => items.iter().any(mentions),
        _ => false,
    }
}

fn fill(value: &mut Value, variables: &[(String, Value)]) {
    match &mut value.data {
        Data::String(whole) if whole.contains("$(") => {
            let mut result = whole.to_string();
            let mut site = None;
            for (name, with) in variables {
                if let (true, Some(with_text)) = (result.contains(name), text(with)) {
                    result = result.replace(name, &with_text);
                    site = site.or(with.origin.used_at());
                }
                if result.len() > limits::KUSTOMIZE_TEXT_BYTES {
                    return;
                }
            }
            if let Some(site) = site {
                *whole = result.into();
                value.origin = std::mem::take(&mut value.origin).carried(HopKind::Kustomization("vars".into()), site);
            }
        }
        Data::Object(mapping) => {
            let names: Vec<Arc<str>> = mapping.iter().filter(|(_, inner)| mentions(inner)).map(|(name, _)| name.clone()).collect();
            for name in names {
                fill(Arc::make_mut(mapping).entry(&name), variables);
            }
        }
        Data::Tuple(items) => Arc::make_mut(items).iter_mut().for_each(|item| fill(item, variables)),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dot_in_brackets_or_behind_a_backslash_parts_nothing() {
        assert_eq!(split_path("spec.[name=a.b].x"), ["spec", "[name=a.b]", "x"]);
        assert_eq!(split_path(r"metadata.annotations.example\.com/a"), ["metadata", "annotations", "example.com/a"]);
    }
}
