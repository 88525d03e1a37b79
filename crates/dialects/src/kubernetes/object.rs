//! Objects as they stand in a file.

use std::sync::Arc;

use keyblind_resource::{Origin, Value};
use keyblind_syntax::{Diagnostic, Level, Site, TextRange};

use super::kinds;
use super::values::{at, items, text};

/// Lists within lists that are looked into.
const LIST_DEPTH: usize = 8;

/// One object, not yet a resource.
#[derive(Clone, Debug)]
pub(crate) struct Object {
    /// All of it: an object with `apiVersion` and `kind`.
    pub(crate) body: Value,
    /// Where its name stands, or the best place else.
    pub(crate) header: Site,
    /// The whole document or element of a list.
    pub(crate) block: Site,
    /// What leads to it, outermost first: the entries of kustomizations.
    pub(crate) calls: Vec<Site>,
}

impl Object {
    /// Takes a value that is an object of Kubernetes.
    pub(crate) fn new(body: Value, block: Site) -> Self {
        let place = |path: &[&str]| at(&body, path).and_then(|value| value.origin.used_at());
        let header = [&["metadata", "name"][..], &["metadata", "generateName"], &["kind"]].into_iter().find_map(place);
        Self { header: header.unwrap_or(block), body, block, calls: Vec::new() }
    }

    pub(crate) fn api_version(&self) -> &str {
        self.body.get("apiVersion").and_then(Value::as_str).unwrap_or_default()
    }

    pub(crate) fn kind(&self) -> &str {
        self.body.get("kind").and_then(Value::as_str).unwrap_or_default()
    }

    /// What rules look it up by.
    pub(crate) fn type_key(&self) -> Arc<str> {
        kinds::type_key(self.api_version(), self.kind()).into()
    }

    /// Its name, as far as it is known.
    pub(crate) fn name(&self) -> Option<Arc<str>> {
        text(at(&self.body, &["metadata", "name"])?)
    }

    /// Its name, or what its name will begin with. Without either it can't be made.
    pub(crate) fn given_name(&self) -> Option<Arc<str>> {
        let begins = || text(at(&self.body, &["metadata", "generateName"])?);
        self.name().or_else(begins).filter(|name| !name.is_empty())
    }

    /// The namespace that it says it is in.
    pub(crate) fn namespace(&self) -> Option<Arc<str>> {
        text(at(&self.body, &["metadata", "namespace"])?).filter(|name| !name.is_empty())
    }
}

/// What tells an object: its `apiVersion` and `kind`, both texts. Everything else may be wrong with it.
pub(crate) fn is_object(value: &Value) -> bool {
    let is_text = |key: &str| value.get(key).and_then(Value::as_str).is_some_and(|text| !text.is_empty());
    is_text("apiVersion") && is_text("kind")
}

/// The objects of one document: itself, or the elements of a list.
pub(crate) fn objects(document: Value, block: Site, found: &mut Vec<Object>, diagnostics: &mut Vec<Diagnostic>) {
    collect(document, block, LIST_DEPTH, found, diagnostics);
}

fn collect(document: Value, block: Site, depth: usize, found: &mut Vec<Object>, diagnostics: &mut Vec<Diagnostic>) {
    let list = list_kind(&document).map(str::to_owned);
    let Some(kind) = list else {
        if is_object(&document) {
            found.push(Object::new(document, block));
        } else if !document.is_null() {
            diagnostics.push(not_an_object(block, &document));
        }
        return;
    };
    let Some(depth) = depth.checked_sub(1) else {
        let message = format!("lists are nested more than {LIST_DEPTH} levels deep: what is further in isn't judged");
        diagnostics.push(Diagnostic::incomplete("kubernetes-list-too-deep", block, message));
        return;
    };
    let api_version = document.get("apiVersion").cloned();
    for item in items(document.get("items")) {
        let block = item.origin.used_at().unwrap_or(block);
        let mut item = item.clone();
        // The elements of a `PodList` needn't say what they are.
        if !kind.is_empty() && item.as_mapping().is_some_and(|mapping| mapping.get("kind").is_none()) {
            let origin = Origin::Site(Site::new(block.file, TextRange::new(block.range.start, block.range.start)));
            let mapping = super::values::mapping_at(&mut item, &[], &origin);
            mapping.insert("kind", Value::string(&*kind));
            if let (None, Some(version)) = (mapping.get("apiVersion"), &api_version) {
                mapping.insert("apiVersion", version.clone());
            }
        }
        collect(item, block, depth, found, diagnostics);
    }
}

/// For a list of objects the kind of its elements, which is empty if they may be of any.
fn list_kind(document: &Value) -> Option<&str> {
    document.get("items")?.as_items()?;
    let kind = document.get("kind")?.as_str()?.strip_suffix("List")?;
    is_object(document).then_some(kind)
}

/// A document between manifests that is none: the others are judged all the same.
fn not_an_object(block: Site, document: &Value) -> Diagnostic {
    let missing: Vec<&str> = ["apiVersion", "kind"].into_iter().filter(|key| document.get(key).and_then(Value::as_str).is_none()).collect();
    let message = match document.as_mapping() {
        None => format!("this is {} and no object of Kubernetes: it isn't judged", document.kind_name()),
        Some(_) => format!("this is no object of Kubernetes, because it has no `{}`: it isn't judged", missing.join("` and no `")),
    };
    // Who begins an object and forgets the other half meant one.
    let level = if missing.len() == 1 { Level::Incomplete } else { Level::Note };
    Diagnostic { level, code: "not-an-object", message, help: None, site: Some(block), path: None }
}
