//! What connects objects: names and label selectors.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use keyblind_resource::{Link, Resource, ResourceId, Value};

use super::references::{self, Step};
use super::values::{at, text};
use super::{kinds, selectors};
use crate::limits;

/// The namespace of what says none.
pub(crate) const DEFAULT_NAMESPACE: &str = "default";
/// What rules look the pods of other workloads up by.
pub(crate) const TEMPLATED_POD: &str = "template.Pod";

/// Finds all links between the objects of one group; whether a limit cut them short.
pub(crate) fn between(resources: &[Resource]) -> (Vec<Link>, bool) {
    let index = Index::new(resources);
    let mut found = Found { links: Vec::new(), steps: limits::LINK_STEPS };
    for (from, resource) in resources.iter().enumerate() {
        index.names(from, resource, &mut found);
        index.selected(from, resource, &mut found);
        if found.steps == 0 {
            break;
        }
    }
    let is_cut = found.steps == 0 || found.links.len() == limits::LINKS_PER_GROUP;
    (found.links, is_cut)
}

/// The links so far, and how many more may be tried.
struct Found {
    links: Vec<Link>,
    steps: usize,
}

impl Found {
    /// Whether one more may be tried.
    fn step(&mut self) -> bool {
        self.steps = self.steps.saturating_sub(1);
        self.steps > 0
    }

    fn push(&mut self, from: ResourceId, to: ResourceId, path: &Arc<str>) {
        if from != to && self.links.len() < limits::LINKS_PER_GROUP {
            self.links.push(Link { from, to, path: path.clone(), attribute: "metadata.name".into() });
        }
    }
}

/// Kind, namespace and name.
type Name<'r> = (&'r str, Arc<str>, Arc<str>);

struct Index<'r> {
    resources: &'r [Resource],
    /// By kind, namespace (empty for what lies in none) and name.
    by_name: HashMap<Name<'r>, Vec<ResourceId>>,
    /// What has pods, by namespace.
    workloads: BTreeMap<Arc<str>, Vec<ResourceId>>,
}

/// The namespace an object lies in, as far as its text tells.
pub(crate) fn namespace(body: &Value) -> Arc<str> {
    let said = at(body, &["metadata", "namespace"]).and_then(text);
    said.filter(|name| !name.is_empty()).unwrap_or_else(|| DEFAULT_NAMESPACE.into())
}

fn scope(kind: &str, api_version: &str, namespace: &Arc<str>) -> Arc<str> {
    if kinds::is_cluster_scoped(api_version, kind) { "".into() } else { namespace.clone() }
}

impl<'r> Index<'r> {
    fn new(resources: &'r [Resource]) -> Self {
        let mut by_name: HashMap<_, Vec<ResourceId>> = HashMap::new();
        let mut workloads: BTreeMap<_, Vec<ResourceId>> = BTreeMap::new();
        for (id, resource) in resources.iter().enumerate() {
            let namespace = namespace(&resource.body);
            let is_templated = &*resource.type_key == TEMPLATED_POD;
            if is_templated || kinds::pod_template(&resource.type_key).is_some() {
                workloads.entry(namespace.clone()).or_default().push(id);
            }
            if let (false, Some(name)) = (is_templated, at(&resource.body, &["metadata", "name"]).and_then(text)) {
                let api_version = resource.body.get("apiVersion").and_then(Value::as_str).unwrap_or_default();
                let key = (&*resource.type_key, scope(&resource.type_key, api_version, &namespace), name);
                by_name.entry(key).or_default().push(id);
            }
        }
        Self { resources, by_name, workloads }
    }

    /// Links by name.
    fn names(&self, from: ResourceId, resource: &Resource, found: &mut Found) {
        if &*resource.type_key == TEMPLATED_POD {
            return;
        }
        let own = namespace(&resource.body);
        for reference in references::of(&resource.type_key, &resource.body) {
            let path: Arc<str> = shown(&resource.type_key, &reference.path).into();
            let namespace = reference.namespace.unwrap_or_else(|| own.clone());
            // A name may be that of something in a namespace, or of something in none.
            for scope in [namespace, "".into()] {
                for &to in self.by_name.get(&(&*reference.kind, scope, reference.name.clone())).into_iter().flatten() {
                    if !found.step() {
                        return;
                    }
                    found.push(from, to, &path);
                }
            }
        }
        let api_version = resource.body.get("apiVersion").and_then(Value::as_str).unwrap_or_default();
        if !kinds::is_cluster_scoped(api_version, &resource.type_key) {
            let path = "metadata.namespace".into();
            for &to in self.by_name.get(&("Namespace", "".into(), own)).into_iter().flatten() {
                if !found.step() {
                    return;
                }
                found.push(from, to, &path);
            }
        }
    }

    /// Links to the workloads whose pods a selector covers.
    fn selected(&self, from: ResourceId, resource: &Resource, found: &mut Found) {
        let body = &resource.body;
        let (path, selector) = match &*resource.type_key {
            "Service" | "PodDisruptionBudget" => ("spec.selector", at(body, &["spec", "selector"])),
            "NetworkPolicy" => ("spec.podSelector", at(body, &["spec", "podSelector"])),
            _ => return,
        };
        let Some(selector) = selector else { return };
        // A service names the labels themselves, and without any it selects nothing.
        let is_plain = &*resource.type_key == "Service";
        if is_plain && selector.as_mapping().is_none_or(|labels| labels.is_empty()) {
            return;
        }
        let path: Arc<str> = path.into();
        for &to in self.workloads.get(&namespace(body)).into_iter().flatten() {
            if !found.step() {
                return;
            }
            let target = &self.resources[to];
            let labels = match target.body.get("pod") {
                Some(pod) => at(pod, &["metadata", "labels"]),
                None => at(&target.body, &["metadata", "labels"]),
            };
            let is_selected = if is_plain { selectors::has(selector, labels) } else { selectors::covers(selector, labels) };
            if is_selected {
                found.push(from, to, &path);
            }
        }
    }
}

/// A way as rules write it: without steps for elements, and through `pod` for what stands in a pod's template.
fn shown(type_key: &str, path: &[Step]) -> String {
    let names: Vec<&str> = path.iter().filter_map(|step| if let Step::Name(name) = step { Some(&**name) } else { None }).collect();
    match kinds::pod_template(type_key).and_then(|template| names.strip_prefix(template)) {
        Some(rest) if rest.first() == Some(&"spec") => format!("pod.{}", rest.join(".")),
        _ => names.join("."),
    }
}
