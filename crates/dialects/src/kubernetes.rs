//! Kubernetes manifests: objects with every workload brought to one pod shape, and what links them.
//!
//! A file is a manifest by its content: a document with `apiVersion` and `kind`. Manifests of one directory are evaluated
//! together, because they are applied together. A document that is none, or broken, costs itself.

pub(crate) mod kinds;
pub(crate) mod links;
pub(crate) mod object;
mod pods;
mod project;
pub(crate) mod references;
mod selectors;
mod skips;
mod templates;
pub(crate) mod values;

pub use project::{Above, Project, Root, kustomization_in};

use std::sync::Arc;

use keyblind_resource::{BlockKind, Data, Dialect, Resource, Value};
use keyblind_syntax::{Diagnostic, FileId, Site, SourceFile, TextRange, json, yaml};

use crate::{Evaluation, kustomize};
use object::Object;
use values::Reader;

/// What a file is to this dialect, by its content.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Content {
    /// Manifests, or a kustomization.
    Manifests,
    /// A template from which something else makes manifests (Helm).
    Template,
    /// Nothing of Kubernetes.
    Other,
}

/// Tells by its text what a file is. A text that can't be read counts as manifests if it has the looks of some, so that
/// what is wrong with it is said.
pub fn content(path: &str, text: &str) -> Content {
    if kustomize::has_name(path) {
        // It needn't say what it is.
        return Content::Manifests;
    }
    let is_said = |word: &str| text.contains(word);
    if !is_said("apiVersion") || !is_said("kind") {
        return Content::Other;
    }
    if path.ends_with(".json") {
        return match json::parse(text) {
            Ok(node) if is_object(|key| matches!(node.get(key).map(|node| &node.kind), Some(json::NodeKind::String(_)))) => {
                Content::Manifests
            }
            _ => Content::Other,
        };
    }
    let has_actions = templates::has_actions(text);
    if has_actions && templates::is_in_chart(path) {
        return Content::Template;
    }
    // Both words at the beginning of lines: nothing else looks like that, so that it isn't read twice.
    let begins = |word: &str| text.lines().any(|line| line.strip_prefix(word).is_some_and(|rest| rest.starts_with(':')));
    let looks_so = begins("apiVersion") && begins("kind");
    if looks_so && !has_actions {
        return Content::Manifests;
    }
    let stream = yaml::parse(text);
    let holds_one = stream.documents.iter().any(|node| is_object(|key| node.get(key).is_some_and(|node| node.as_str().is_some())));
    match has_actions && templates::is_template(text, &stream) {
        true if looks_so || holds_one => Content::Template,
        _ if holds_one || looks_so && stream.documents.is_empty() => Content::Manifests,
        _ => Content::Other,
    }
}

fn is_object(has_text: impl Fn(&str) -> bool) -> bool {
    has_text("apiVersion") && has_text("kind")
}

/// Evaluates manifests that belong together. What is meant for Kustomize itself is left out.
pub fn evaluate(files: &[(FileId, &SourceFile)]) -> Evaluation {
    let (mut objects, mut diagnostics) = (Vec::new(), Vec::new());
    for (id, file) in files {
        read(*id, file, &mut objects, &mut diagnostics);
    }
    objects.retain(|object| kinds::group(object.api_version()) != "kustomize.config.k8s.io");
    evaluation(objects, diagnostics)
}

/// The objects of a file, and what is wrong with it.
pub(crate) fn read(id: FileId, file: &SourceFile, objects: &mut Vec<Object>, diagnostics: &mut Vec<Diagnostic>) {
    for document in documents(id, file, diagnostics) {
        let block = document.origin.used_at().unwrap_or(Site::new(id, TextRange::default()));
        object::objects(document, block, objects, diagnostics);
    }
}

/// The documents of a file as values.
pub(crate) fn documents(id: FileId, file: &SourceFile, diagnostics: &mut Vec<Diagnostic>) -> Vec<Value> {
    let reader = Reader::of(id);
    let mut broken = |range, message: String| diagnostics.push(Diagnostic::incomplete("syntax-error", Site::new(id, range), message));
    if file.path.ends_with(".json") {
        return match json::parse(&file.text) {
            Ok(node) => vec![reader.json(&node)],
            Err(error) => {
                broken(error.range, error.message);
                Vec::new()
            }
        };
    }
    let stream = yaml::parse(&file.text);
    for error in stream.errors {
        broken(error.range, error.message);
    }
    stream.documents.iter().map(|node| reader.yaml(node)).collect()
}

/// From objects to resources and their links.
pub(crate) fn evaluation(objects: Vec<Object>, mut diagnostics: Vec<Diagnostic>) -> Evaluation {
    let mut resources = Vec::with_capacity(objects.len());
    for object in objects {
        if shown_name(&object).is_none() {
            let message = format!("this `{}` has no name, so that Kubernetes refuses it: it isn't judged", object.kind());
            diagnostics.push(Diagnostic::incomplete("object-without-name", object.header, message).with_help("give it a `metadata.name`"));
            continue;
        }
        let templated = pods::templated(&object).map(|body| templated_pod(&object, body));
        resources.push(resource(object));
        resources.extend(templated);
    }
    let (links, is_cut) = links::between(&resources);
    if is_cut && let Some(resource) = resources.first() {
        let message = "there are too many objects here to tell which ones are linked: rules about links may say too little";
        diagnostics.push(Diagnostic::incomplete("too-many-links", resource.header, message));
    }
    Evaluation { resources, links, diagnostics, ..Evaluation::default() }
}

/// What an object is called; by its labels where whoever applies it has yet to name it.
fn shown_name(object: &Object) -> Option<Arc<str>> {
    let labels = || Some(pods::labels_in_order(&object.body).join(".")).filter(|labels| !labels.is_empty());
    object.given_name().or_else(|| labels().map(Arc::from))
}

fn resource(object: Object) -> Resource {
    let namespace = links::namespace(&object.body);
    let name = shown_name(&object).unwrap_or_default();
    let address = format!("{}.{namespace}.{name}", object.kind());
    let pod = pods::pod(&object);
    let skips = skips::of(&object.body);
    let type_key = object.type_key();
    let mut body = object.body;
    if let (Some(pod), Data::Object(mapping)) = (pod, &mut body.data) {
        Arc::make_mut(mapping).insert("pod", pod);
    }
    Resource {
        address: address.into(),
        dialect: Dialect::Kubernetes,
        kind: BlockKind::Managed,
        type_key,
        name,
        body,
        header: object.header,
        block: object.block,
        calls: object.calls.into(),
        skips,
    }
}

/// The pod that a workload makes, as a resource by itself. Users of other scanners know it by its workload and labels.
fn templated_pod(workload: &Object, mut body: Value) -> Resource {
    let own = links::namespace(&workload.body);
    let namespace = values::at(&body, &["metadata", "namespace"]).and_then(values::text).unwrap_or(own);
    let origin = body.origin.clone();
    values::mapping_at(&mut body, &["metadata"], &origin).insert("namespace", Value::string(namespace.clone()).with_origin(origin));
    let own_name = values::at(&body, &["metadata", "name"]).and_then(values::text);
    let labels = if own_name.is_some() { Vec::new() } else { pods::labels_in_order(&body) };
    let labels: String = labels.into_iter().map(|label| format!(".{label}")).collect();
    let name = own_name.or_else(|| workload.given_name()).unwrap_or_default();
    let block = body.origin.used_at().unwrap_or(workload.block);
    let header = values::at(&body, &["metadata"]).and_then(|metadata| metadata.origin.used_at()).unwrap_or(block);
    Resource {
        address: format!("Pod.{namespace}.{name}{labels}").into(),
        dialect: Dialect::Kubernetes,
        kind: BlockKind::Managed,
        type_key: links::TEMPLATED_POD.into(),
        name,
        body,
        header,
        block,
        calls: workload.calls.clone().into(),
        skips: skips::of(&workload.body),
    }
}
