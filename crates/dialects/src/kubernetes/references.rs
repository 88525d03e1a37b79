//! Where an object names another one, and which.
//!
//! Source: Kubernetes API reference; the pairs are those that Kustomize keeps in step when it renames.

use std::sync::Arc;

use keyblind_resource::{Mapping, Value};

use super::kinds;
use super::values::text;

/// One step on the way to a name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    Name(Arc<str>),
    Index(usize),
}

/// A name that stands for another object.
#[derive(Clone, Debug)]
pub(crate) struct Reference {
    /// The way to the name in the body.
    pub(crate) path: Vec<Step>,
    /// The kind of the object that is named.
    pub(crate) kind: Arc<str>,
    /// Its name.
    pub(crate) name: Arc<str>,
    /// Its namespace, if that is said beside the name; otherwise it is the object's own.
    pub(crate) namespace: Option<Arc<str>>,
}

/// Names in a pod's `spec`. `*` is every element of a list.
const IN_PODS: &[(&str, &str)] = &[
    ("serviceAccountName", "ServiceAccount"),
    ("serviceAccount", "ServiceAccount"),
    ("imagePullSecrets.*.name", "Secret"),
    ("priorityClassName", "PriorityClass"),
    ("runtimeClassName", "RuntimeClass"),
    ("volumes.*.configMap.name", "ConfigMap"),
    ("volumes.*.secret.secretName", "Secret"),
    ("volumes.*.projected.sources.*.configMap.name", "ConfigMap"),
    ("volumes.*.projected.sources.*.secret.name", "Secret"),
    ("volumes.*.persistentVolumeClaim.claimName", "PersistentVolumeClaim"),
    ("containers.*.env.*.valueFrom.configMapKeyRef.name", "ConfigMap"),
    ("containers.*.env.*.valueFrom.secretKeyRef.name", "Secret"),
    ("containers.*.envFrom.*.configMapRef.name", "ConfigMap"),
    ("containers.*.envFrom.*.secretRef.name", "Secret"),
    ("initContainers.*.env.*.valueFrom.configMapKeyRef.name", "ConfigMap"),
    ("initContainers.*.env.*.valueFrom.secretKeyRef.name", "Secret"),
    ("initContainers.*.envFrom.*.configMapRef.name", "ConfigMap"),
    ("initContainers.*.envFrom.*.secretRef.name", "Secret"),
];

/// Names in objects of other kinds: the kind, the way to the name, what it names.
const IN_OTHERS: &[(&str, &str, &str)] = &[
    ("Ingress", "spec.tls.*.secretName", "Secret"),
    ("Ingress", "spec.rules.*.http.paths.*.backend.service.name", "Service"),
    ("Ingress", "spec.rules.*.http.paths.*.backend.serviceName", "Service"),
    ("Ingress", "spec.defaultBackend.service.name", "Service"),
    ("Ingress", "spec.backend.serviceName", "Service"),
    ("Ingress", "spec.ingressClassName", "IngressClass"),
    ("StatefulSet", "spec.serviceName", "Service"),
    ("StatefulSet", "spec.volumeClaimTemplates.*.spec.storageClassName", "StorageClass"),
    ("ServiceAccount", "secrets.*.name", "Secret"),
    ("ServiceAccount", "imagePullSecrets.*.name", "Secret"),
    ("PersistentVolumeClaim", "spec.volumeName", "PersistentVolume"),
    ("PersistentVolumeClaim", "spec.storageClassName", "StorageClass"),
    ("PersistentVolume", "spec.storageClassName", "StorageClass"),
    ("PersistentVolume", "spec.azureFile.secretName", "Secret"),
    ("ValidatingAdmissionPolicyBinding", "spec.policyName", "ValidatingAdmissionPolicy"),
];

/// Names beside which stand the kind or the namespace of what they name: the way to the object that holds them, and its
/// kind where that isn't said.
const DESCRIBED: &[(&str, &str, Option<&str>)] = &[
    ("HorizontalPodAutoscaler", "spec.scaleTargetRef", None),
    ("RoleBinding", "roleRef", None),
    ("RoleBinding", "subjects.*", None),
    ("ClusterRoleBinding", "roleRef", None),
    ("ClusterRoleBinding", "subjects.*", None),
    ("ValidatingWebhookConfiguration", "webhooks.*.clientConfig.service", Some("Service")),
    ("MutatingWebhookConfiguration", "webhooks.*.clientConfig.service", Some("Service")),
    ("APIService", "spec.service", Some("Service")),
];

/// All names of other objects in a body.
pub(crate) fn of(type_key: &str, body: &Value) -> Vec<Reference> {
    let mut found = Vec::new();
    let mut path = Vec::new();
    if let Some(template) = kinds::pod_template(type_key)
        && let Some(spec) = super::values::at(body, template).and_then(|template| template.get("spec"))
    {
        path.extend(template.iter().chain(&["spec"]).map(|name| Step::Name((*name).into())));
        for (pattern, kind) in IN_PODS {
            names(spec, pattern, kind, &mut path, &mut found);
        }
        path.clear();
    }
    for (_, pattern, kind) in IN_OTHERS.iter().filter(|(referring, ..)| *referring == type_key) {
        names(body, pattern, kind, &mut path, &mut found);
    }
    for (_, pattern, kind) in DESCRIBED.iter().filter(|(referring, ..)| *referring == type_key) {
        each(body, pattern, &mut path, &mut |value, path| {
            let said = value.get("kind").and_then(text);
            let (Some(kind), Some(name)) = (kind.map(Arc::from).or(said), value.get("name").and_then(text)) else { return };
            let mut path = path.to_vec();
            path.push(Step::Name("name".into()));
            found.push(Reference { path, kind, name, namespace: value.get("namespace").and_then(text) });
        });
    }
    found
}

fn names(value: &Value, pattern: &str, kind: &str, path: &mut Vec<Step>, found: &mut Vec<Reference>) {
    each(value, pattern, path, &mut |value, path| {
        if let Some(name) = text(value) {
            found.push(Reference { path: path.to_vec(), kind: kind.into(), name, namespace: None });
        }
    });
}

/// Follows a pattern to every value that it leads to.
fn each(value: &Value, pattern: &str, path: &mut Vec<Step>, visit: &mut dyn FnMut(&Value, &[Step])) {
    let (step, rest) = pattern.split_once('.').map_or((pattern, None), |(step, rest)| (step, Some(rest)));
    let mut go = |value: &Value, step: Step, path: &mut Vec<Step>| {
        path.push(step);
        match rest {
            Some(rest) => each(value, rest, path, visit),
            None => visit(value, path),
        }
        path.pop();
    };
    if step == "*" {
        for (index, item) in super::values::items(Some(value)).iter().enumerate() {
            go(item, Step::Index(index), path);
        }
    } else if let Some(inner) = value.as_mapping().and_then(|mapping: &Mapping| mapping.get(step)) {
        go(inner, Step::Name(step.into()), path);
    }
}
