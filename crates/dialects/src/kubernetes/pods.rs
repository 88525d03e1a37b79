//! Every workload brought to one shape: `pod`, with `metadata`, `spec` and all containers of its pods.

use std::sync::Arc;

use keyblind_resource::{Data, Mapping, Value};

use super::kinds;
use super::object::Object;
use super::values::{at, entries, items, text};

/// The lists of containers, in the order in which `pod.containers` has them.
const CONTAINERS: &[&str] = &["containers", "initContainers", "ephemeralContainers"];

/// The pod template of a workload: of a pod the object itself. `None` if it has none.
pub(crate) fn template(object: &Object) -> Option<&Value> {
    at(&object.body, kinds::pod_template(&object.type_key())?)
}

/// What a workload's body has under `pod`.
pub(crate) fn pod(object: &Object) -> Option<Value> {
    let template = template(object)?;
    let mut pod = Mapping::default();
    for name in ["metadata", "spec"] {
        if let Some(part) = template.get(name) {
            pod.insert(name, part.clone());
        }
    }
    if let Some(spec) = template.get("spec") {
        if spec.is_unknown() {
            pod.insert("containers", spec.clone());
        } else if let Some(containers) = containers(spec) {
            pod.insert("containers", containers);
        }
    }
    Some(Value { data: Data::Object(Arc::new(pod)), origin: template.origin.clone(), sensitive: false })
}

fn containers(spec: &Value) -> Option<Value> {
    let lists = || CONTAINERS.iter().filter_map(|name| spec.get(name)).filter(|list| !list.is_null());
    let first = lists().next()?;
    let all: Vec<Value> = lists().flat_map(|list| items(Some(list))).cloned().collect();
    // Of a list that isn't known there is nothing to join.
    match lists().find(|list| list.is_unknown()) {
        Some(unknown) => Some(unknown.clone()),
        None => Some(Value { data: Data::Tuple(Arc::new(all)), origin: first.origin.clone(), sensitive: false }),
    }
}

/// The pod that a workload makes, as an object by itself: what a network policy selects. A pod has no template.
pub(crate) fn templated(object: &Object) -> Option<Value> {
    let template = template(object).filter(|_| object.kind() != "Pod")?;
    let mut pod = Mapping::default();
    pod.insert("apiVersion", Value::string("v1"));
    pod.insert("kind", Value::string("Pod"));
    for (name, part) in entries(template) {
        pod.insert(name.clone(), part.clone());
    }
    Some(Value { data: Data::Object(Arc::new(pod)), origin: template.origin.clone(), sensitive: false })
}

/// The labels of an object or template in the order in which they are written, as `key-value`.
pub(crate) fn labels_in_order(of: &Value) -> Vec<String> {
    let Some(labels) = at(of, &["metadata", "labels"]) else { return Vec::new() };
    let mut found: Vec<_> = entries(labels).filter_map(|(key, value)| Some((value.origin.written_at(), key, text(value)?))).collect();
    found.sort_by_key(|(site, ..)| *site);
    found.into_iter().map(|(_, key, value)| format!("{key}-{value}")).collect()
}
