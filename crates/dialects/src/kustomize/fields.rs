//! A kustomization's fields that change all objects: `namespace`, names, labels, annotations, `images`, `replicas`.
//!
//! Source: Kustomize documentation, "The Kustomization File", and the paths that it changes by default.

use std::sync::Arc;

use keyblind_resource::{Data, HopKind, Number, Value};
use regex::Regex;

use super::build::Item;
use crate::kubernetes::kinds;
use crate::kubernetes::object::Object;
use crate::kubernetes::values::{at, entries, items, mapping_at, text};
use crate::limits;

/// A value as a field of the kustomization sets it, written at `from`.
fn set_by(field: &str, data: Data, from: &Value) -> Value {
    let value = Value { data, origin: from.origin.clone(), sensitive: false };
    match from.origin.used_at() {
        Some(site) => value.carried(HopKind::Kustomization(field.into()), site),
        None => value,
    }
}

fn put(body: &mut Value, path: &[&str], value: Value) {
    let Some((name, holder)) = path.split_last() else { return };
    let origin = value.origin.clone();
    mapping_at(body, holder, &origin).insert(*name, value);
}

/// Puts all objects that lie in a namespace into that one.
pub(super) fn namespace(item: &mut Item, field: &Value) {
    let Some(name) = text(field) else { return };
    let value = || set_by("namespace", Data::String(name.clone()), field);
    let object = &mut item.object;
    let is_core = kinds::group(object.api_version()).is_empty();
    if object.kind() == "Namespace" && is_core {
        put(&mut object.body, &["metadata", "name"], value());
    } else if !kinds::is_cluster_scoped(object.api_version(), object.kind()) {
        put(&mut object.body, &["metadata", "namespace"], value());
    }
    if matches!(object.kind(), "RoleBinding" | "ClusterRoleBinding")
        && let Data::Object(body) = &mut object.body.data
        && let Data::Tuple(subjects) = &mut Arc::make_mut(body).entry("subjects").data
    {
        for subject in Arc::make_mut(subjects) {
            if subject.get("name").and_then(Value::as_str) == Some("default") {
                put(subject, &["namespace"], value());
            }
        }
    }
}

/// Puts a text before or behind all names.
pub(super) fn affix(item: &mut Item, field: &'static str, affix: &Value) {
    let Some(part) = text(affix).filter(|part| !part.is_empty()) else { return };
    let object = &mut item.object;
    let keeps_its_name = matches!(object.kind(), "CustomResourceDefinition" | "APIService")
        || object.kind() == "Namespace" && kinds::group(object.api_version()).is_empty();
    let Some(name) = object.name().filter(|_| !keeps_its_name) else { return };
    // No name is that long: what would be refused mustn't cost anything.
    if name.len() + part.len() > limits::KUSTOMIZE_TEXT_BYTES {
        return;
    }
    let name = if field == "namePrefix" { format!("{part}{name}") } else { format!("{name}{part}") };
    put(&mut object.body, &["metadata", "name"], set_by(field, Data::String(name.into()), affix));
}

/// How far labels reach.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Reach {
    /// The objects' own.
    Objects,
    /// Those of pod templates as well.
    Templates,
    /// And all selectors.
    Selectors,
}

/// Adds labels.
pub(super) fn labels(object: &mut Object, field: &'static str, pairs: &Value, reach: Reach) {
    add_pairs(&mut object.body, field, &["metadata", "labels"], pairs);
    if reach == Reach::Objects {
        return;
    }
    let type_key = object.type_key();
    if let Some(template) = kinds::pod_template(&type_key).filter(|template| !template.is_empty() && *template != ["template"]) {
        add_pairs(&mut object.body, field, &[template, &["metadata", "labels"]].concat(), pairs);
        if type_key.as_ref() == "CronJob" {
            add_pairs(&mut object.body, field, &["spec", "jobTemplate", "metadata", "labels"], pairs);
        }
    }
    if reach != Reach::Selectors {
        return;
    }
    let (selector, is_made): (&[&str], bool) = match &*type_key {
        "Service" | "ReplicationController" => (&["spec", "selector"], true),
        "Deployment" | "ReplicaSet" | "DaemonSet" | "StatefulSet" => (&["spec", "selector", "matchLabels"], true),
        "Job" | "PodDisruptionBudget" => (&["spec", "selector", "matchLabels"], false),
        "CronJob" => (&["spec", "jobTemplate", "spec", "selector", "matchLabels"], false),
        "NetworkPolicy" => (&["spec", "podSelector", "matchLabels"], false),
        _ => return,
    };
    if is_made || at(&object.body, selector).is_some() {
        add_pairs(&mut object.body, field, selector, pairs);
    }
    if &*type_key == "NetworkPolicy" {
        for (direction, peers) in [("ingress", "from"), ("egress", "to")] {
            each_mut(&mut object.body, &["spec", direction, "*", peers, "*", "podSelector"], &mut |selector| {
                if selector.get("matchLabels").is_some() {
                    add_pairs(selector, field, &["matchLabels"], pairs);
                }
            });
        }
    }
}

/// Adds annotations to the objects and their pod templates.
pub(super) fn annotations(object: &mut Object, pairs: &Value) {
    add_pairs(&mut object.body, "commonAnnotations", &["metadata", "annotations"], pairs);
    if let Some(template) = kinds::pod_template(&object.type_key()).filter(|template| template.first() == Some(&"spec")) {
        add_pairs(&mut object.body, "commonAnnotations", &[template, &["metadata", "annotations"]].concat(), pairs);
    }
}

fn add_pairs(body: &mut Value, field: &str, path: &[&str], pairs: &Value) {
    for (key, value) in entries(pairs) {
        if let Some(text) = text(value) {
            let value = set_by(field, Data::String(text), value);
            let origin = value.origin.clone();
            mapping_at(body, path, &origin).insert(key.clone(), value);
        }
    }
}

/// Calls `change` with everything at a path; `*` is every element of a list.
fn each_mut(value: &mut Value, path: &[&str], change: &mut dyn FnMut(&mut Value)) {
    match (path, &mut value.data) {
        ([], _) => change(value),
        (["*", rest @ ..], Data::Tuple(items)) => Arc::make_mut(items).iter_mut().for_each(|item| each_mut(item, rest, change)),
        ([name, rest @ ..], Data::Object(mapping)) if mapping.get(name).is_some() => {
            each_mut(Arc::make_mut(mapping).entry(name), rest, change);
        }
        _ => {}
    }
}

/// How often an object runs.
pub(super) fn replicas(item: &mut Item, field: &Value) {
    let (Some(name), Some(count)) = (field.get("name").and_then(text), field.get("count")) else { return };
    let scales = matches!(item.object.kind(), "Deployment" | "ReplicationController" | "ReplicaSet" | "StatefulSet");
    if scales && item.is_called(&name) {
        let number = count.as_number().cloned().or_else(|| text(count)?.parse::<Number>().ok());
        put(&mut item.object.body, &["spec", "replicas"], set_by("replicas", number.map_or(Data::Null, Data::Number), count));
    }
}

/// An entry of `images`, ready to be applied.
pub(super) struct Image {
    name: Regex,
    new_name: Option<Value>,
    new_tag: Option<Value>,
    digest: Option<Value>,
    suffix: Option<Value>,
}

impl Image {
    /// `None` if the entry names no image.
    pub(super) fn read(field: &Value) -> Option<Self> {
        let name = field.get("name").and_then(text)?;
        let part = |key: &str| field.get(key).filter(|value| text(value).is_some_and(|text| !text.is_empty())).cloned();
        // The name is a pattern to Kustomize, of which hardly anybody knows.
        let pattern = format!("^(?:{name})(:[a-zA-Z0-9_.{{}}-]*)?(@[a-zA-Z0-9]+([.+_-][a-zA-Z0-9]+)*:[a-zA-Z0-9_.{{}}-]*)?$");
        let name = regex::RegexBuilder::new(&pattern).size_limit(1 << 20).build().ok()?;
        Some(Self { name, new_name: part("newName"), new_tag: part("newTag"), digest: part("digest"), suffix: part("tagSuffix") })
    }

    /// Changes the images of all containers in an object, however deep they lie.
    pub(super) fn apply(&self, object: &mut Object) {
        if object.kind() != "CustomResourceDefinition" && self.is_in(&object.body) {
            self.containers(&mut object.body);
        }
    }

    /// Whether there is anything to change, so that what isn't changed stays shared.
    fn is_in(&self, value: &Value) -> bool {
        match &value.data {
            Data::Object(mapping) => mapping.iter().any(|(name, inner)| match inner.as_str() {
                Some(image) => matches!(&**name, "image" | "reference") && self.name.is_match(image),
                None => self.is_in(inner),
            }),
            Data::Tuple(items) => items.iter().any(|item| self.is_in(item)),
            _ => false,
        }
    }

    fn containers(&self, value: &mut Value) {
        match &mut value.data {
            Data::Object(mapping) => {
                let names: Vec<Arc<str>> = mapping
                    .iter()
                    .filter(|(_, inner)| matches!(inner.data, Data::Object(_) | Data::Tuple(_)))
                    .map(|(name, _)| name.clone())
                    .collect();
                let mapping = Arc::make_mut(mapping);
                for name in names {
                    let inner = mapping.entry(&name);
                    match &*name {
                        "containers" | "initContainers" => each_mut(inner, &["*", "image"], &mut |image| self.change(image)),
                        "volumes" => each_mut(inner, &["*", "image", "reference"], &mut |image| self.change(image)),
                        _ => self.containers(inner),
                    }
                }
            }
            Data::Tuple(items) => Arc::make_mut(items).iter_mut().for_each(|item| self.containers(item)),
            _ => {}
        }
    }

    fn change(&self, image: &mut Value) {
        let Some(whole) = image.as_str().filter(|whole| self.name.is_match(whole)) else { return };
        let (name, mut tag, mut digest) = split(whole);
        let of = |part: &Option<Value>| part.as_ref().and_then(text);
        let (mut name, mut from) = (Arc::<str>::from(name), None);
        if let Some(new) = of(&self.new_name) {
            (name, from) = (new, self.new_name.as_ref());
        }
        match (of(&self.new_tag), of(&self.digest), of(&self.suffix)) {
            (Some(new), other, _) => (tag, digest, from) = (Some(new), other, self.new_tag.as_ref()),
            (None, Some(new), _) => (tag, digest, from) = (None, Some(new), self.digest.as_ref()),
            (None, None, Some(suffix)) => {
                let old = tag.unwrap_or_default();
                (tag, digest, from) = (Some(format!("{old}{suffix}").into()), None, self.suffix.as_ref());
            }
            _ => {}
        }
        let Some(from) = from else { return };
        if [Some(&name), tag.as_ref(), digest.as_ref()].into_iter().flatten().map(|part| part.len()).sum::<usize>()
            > limits::KUSTOMIZE_TEXT_BYTES
        {
            return;
        }
        let tag = tag.map(|tag| format!(":{tag}")).unwrap_or_default();
        let digest = digest.map(|digest| format!("@{digest}")).unwrap_or_default();
        let mut changed = set_by("images", Data::String(format!("{name}{tag}{digest}").into()), from);
        // Where only the name is new, the tag still comes from the object.
        if let (None, None, None, Some(site)) = (&self.new_tag, &self.digest, &self.suffix, from.origin.used_at()) {
            changed.origin = std::mem::take(&mut image.origin).carried(HopKind::Kustomization("images".into()), site);
        }
        *image = changed;
    }
}

/// Name, tag and digest of an image; a registry's port is no tag.
fn split(image: &str) -> (&str, Option<Arc<str>>, Option<Arc<str>>) {
    let (rest, digest) = image.split_once('@').map_or((image, None), |(rest, digest)| (rest, Some(digest.into())));
    let name_starts = rest.rfind('/').map_or(0, |at| at + 1);
    match rest[name_starts..].find(':') {
        Some(at) => (&rest[..name_starts + at], Some(rest[name_starts + at + 1..].into()), digest),
        None => (rest, None, digest),
    }
}

/// The elements of a field that is a list.
pub(super) fn list<'v>(kustomization: &'v Value, field: &str) -> &'v [Value] {
    items(kustomization.get(field))
}

/// A field that says something: not null, and no empty text.
pub(super) fn said<'v>(kustomization: &'v Value, field: &str) -> Option<&'v Value> {
    kustomization.get(field).filter(|value| !value.is_null() && value.as_str() != Some(""))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_is_no_tag() {
        let parts = |image| {
            let (name, tag, digest) = split(image);
            format!("{name} {} {}", tag.as_deref().unwrap_or("-"), digest.as_deref().unwrap_or("-"))
        };
        assert_eq!(parts("nginx"), "nginx - -");
        assert_eq!(parts("nginx:1.27"), "nginx 1.27 -");
        assert_eq!(parts("localhost:5000/team/app"), "localhost:5000/team/app - -");
        assert_eq!(parts("localhost:5000/team/app:v1@sha256:00"), "localhost:5000/team/app v1 sha256:00");
    }
}
