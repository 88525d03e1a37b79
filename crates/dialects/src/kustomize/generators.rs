//! ConfigMaps and Secrets that a kustomization makes.
//!
//! Source: Kustomize documentation, "configMapGenerator". The hash of the content that it puts behind a name is left out, in
//! the name and in what refers to it alike. A secret's texts stand under `stringData` as they are, which means the same as
//! `data` with their Base64.

use std::sync::Arc;

use keyblind_resource::{Data, Mapping, Origin, Reason, Value};
use keyblind_syntax::{Diagnostic, Site};

use super::fields::list;
use super::read::{self, Files};
use super::{Behavior, Generated};
use crate::kubernetes::object::Object;
use crate::kubernetes::values::{at, entries, text};

/// Everything that the generators of a kustomization make.
pub(super) fn generated(body: &Value, directory: &str, whole: Site, files: &mut Files<'_>) -> Vec<Generated> {
    let common = body.get("generatorOptions");
    let mut made = Vec::new();
    for (field, kind) in [("configMapGenerator", "ConfigMap"), ("secretGenerator", "Secret")] {
        for entry in list(body, field) {
            let block = read::site_of(&entry.origin, whole);
            if let Some(object) = object(entry, kind, common, directory, block, files) {
                let behavior = match entry.get("behavior").and_then(Value::as_str) {
                    Some("merge") => Behavior::Merge,
                    Some("replace") => Behavior::Replace,
                    _ => Behavior::Create,
                };
                made.push(Generated { object, behavior });
            }
        }
    }
    made
}

fn object(entry: &Value, kind: &str, common: Option<&Value>, directory: &str, block: Site, files: &mut Files<'_>) -> Option<Object> {
    let name = entry.get("name").filter(|name| text(name).is_some())?;
    let mut metadata = Mapping::default();
    metadata.insert("name", name.clone());
    if let Some(namespace) = entry.get("namespace").filter(|value| text(value).is_some()) {
        metadata.insert("namespace", namespace.clone());
    }
    for field in ["labels", "annotations"] {
        // The generator's own options are stronger than those of all.
        let sources = [common, entry.get("options")].into_iter().flatten().filter_map(|options| at(options, &[field]));
        let pairs: Mapping = sources.flat_map(|pairs| entries(pairs).map(|(key, value)| (key.clone(), value.clone()))).collect();
        if !pairs.is_empty() {
            metadata.insert(field, Value { data: Data::Object(Arc::new(pairs)), ..entry.clone() });
        }
    }
    let within = |data: Data| Value { data, origin: Origin::Site(block), sensitive: false };
    let mut body = Mapping::default();
    body.insert("apiVersion", within(Data::String("v1".into())));
    body.insert("kind", within(Data::String(kind.into())));
    body.insert("metadata", within(Data::Object(Arc::new(metadata))));
    if kind == "Secret" {
        body.insert("type", entry.get("type").cloned().unwrap_or_else(|| within(Data::String("Opaque".into()))));
    }
    let data = data(entry, directory, block, files);
    if !data.is_empty() {
        body.insert(if kind == "Secret" { "stringData" } else { "data" }, within(Data::Object(Arc::new(data))));
    }
    Some(Object::new(within(Data::Object(Arc::new(body))), block))
}

fn data(entry: &Value, directory: &str, block: Site, files: &mut Files<'_>) -> Mapping {
    let mut data = Mapping::default();
    for literal in list(entry, "literals") {
        if let Some(text) = text(literal)
            && let Some((key, value)) = text.split_once('=')
        {
            let value = unquoted(value);
            data.insert(key.trim(), Value { data: Data::String(value.into()), ..literal.clone() });
        }
    }
    for file in list(entry, "files") {
        let Some(named) = text(file) else { continue };
        let (key, path) = named.split_once('=').unwrap_or((crate::paths::name(&named), &named));
        data.insert(key, content(path, file, directory, block, files));
    }
    let single = entry.get("env").filter(|value| text(value).is_some());
    for file in list(entry, "envs").iter().chain(single) {
        let Some(path) = text(file) else { continue };
        let content = content(&path, file, directory, block, files);
        for line in content.as_str().unwrap_or_default().lines().map(str::trim_start).filter(|line| !line.starts_with('#')) {
            if let Some((key, value)) = line.split_once('=') {
                data.insert(key.trim(), Value { data: Data::String(value.into()), ..file.clone() });
            }
        }
    }
    data
}

/// The text of a file as a value at the place that names it.
fn content(path: &str, named: &Value, directory: &str, block: Site, files: &mut Files<'_>) -> Value {
    let unknown = || Value { origin: named.origin.clone(), ..Value::unknown(Reason::FileNotReadable { path: path.into() }) };
    match read::content(files, directory, path) {
        Ok(Some(text)) => Value { data: Data::String(text), ..named.clone() },
        Ok(None) => unknown(),
        Err(reason) => {
            let message = format!("`{path}` can't be read for the data that is made of it: {reason}");
            files.diagnostics.push(read::note("kustomize-data-missing", Some(read::site_of(&named.origin, block)), message));
            unknown()
        }
    }
}

fn unquoted(value: &str) -> &str {
    let inner = ['"', '\''].into_iter().find_map(|quote| value.strip_prefix(quote)?.strip_suffix(quote));
    inner.unwrap_or(value)
}

/// What one object adds to another one of the same name: its data, over what was there.
pub(super) fn merged(into: &Object, from: &Object) -> Object {
    let mut merged = into.clone();
    for field in ["data", "stringData", "binaryData"] {
        if let Some(data) = from.body.get(field) {
            let target = crate::kubernetes::values::mapping_at(&mut merged.body, &[field], &data.origin);
            for (key, value) in entries(data) {
                target.insert(key.clone(), value.clone());
            }
        }
    }
    for field in ["labels", "annotations"] {
        if let Some(pairs) = at(&from.body, &["metadata", field]) {
            let target = crate::kubernetes::values::mapping_at(&mut merged.body, &["metadata", field], &pairs.origin);
            for (key, value) in entries(pairs) {
                target.insert(key.clone(), value.clone());
            }
        }
    }
    merged
}

/// A note for a generator that has nothing to change.
pub(super) fn nothing_to_change(object: &Object) -> Diagnostic {
    let message = format!("the generator changes `{}`, which isn't there", object.name().unwrap_or_default());
    Diagnostic::incomplete("kustomize-generator-without-target", object.header, message)
}
