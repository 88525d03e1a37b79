//! What the kinds of objects have in common and what tells them apart.
//!
//! Source: Kubernetes API reference, and the `patchMergeKey` marks of its Go types.

use std::borrow::Cow;

/// The group of an `apiVersion`; empty for the core group.
pub(crate) fn group(api_version: &str) -> &str {
    api_version.split_once('/').map_or("", |(group, _)| group)
}

/// The version of an `apiVersion`.
pub(crate) fn version(api_version: &str) -> &str {
    api_version.split_once('/').map_or(api_version, |(_, version)| version)
}

/// Whether a group is part of Kubernetes itself, or of OpenShift, whose `DeploymentConfig` is a workload like the others.
pub(crate) fn is_built_in(group: &str) -> bool {
    matches!(group, "" | "apps" | "batch" | "autoscaling" | "policy" | "extensions" | "apps.openshift.io") || group.ends_with("k8s.io")
}

/// What rules look an object up by: its kind, with the group behind it for kinds that anybody may define.
pub(crate) fn type_key<'a>(api_version: &str, kind: &'a str) -> Cow<'a, str> {
    let group = group(api_version);
    if is_built_in(group) { Cow::Borrowed(kind) } else { Cow::Owned(format!("{kind}.{group}")) }
}

/// Where the pod template of a workload lies in its body; empty for a pod itself. `None` for what is no workload.
pub(crate) fn pod_template(type_key: &str) -> Option<&'static [&'static str]> {
    match type_key {
        "Pod" => Some(&[]),
        "PodTemplate" => Some(&["template"]),
        "CronJob" => Some(&["spec", "jobTemplate", "spec", "template"]),
        "DaemonSet" | "Deployment" | "DeploymentConfig" | "Job" | "ReplicaSet" | "ReplicationController" | "StatefulSet" => {
            Some(&["spec", "template"])
        }
        _ => None,
    }
}

/// Whether objects of a kind lie in no namespace.
pub(crate) fn is_cluster_scoped(api_version: &str, kind: &str) -> bool {
    let core = group(api_version).is_empty();
    match kind {
        "Namespace" | "Node" | "PersistentVolume" | "ComponentStatus" => core,
        "APIService"
        | "CSIDriver"
        | "CSINode"
        | "CertificateSigningRequest"
        | "ClusterRole"
        | "ClusterRoleBinding"
        | "ClusterTrustBundle"
        | "CustomResourceDefinition"
        | "FlowSchema"
        | "IngressClass"
        | "MutatingAdmissionPolicy"
        | "MutatingAdmissionPolicyBinding"
        | "MutatingWebhookConfiguration"
        | "PodSecurityPolicy"
        | "PriorityClass"
        | "PriorityLevelConfiguration"
        | "RuntimeClass"
        | "StorageClass"
        | "ValidatingAdmissionPolicy"
        | "ValidatingAdmissionPolicyBinding"
        | "ValidatingWebhookConfiguration"
        | "VolumeAttachment"
        | "VolumeAttributesClass" => is_built_in(group(api_version)),
        _ => false,
    }
}

/// What tells the elements of a list apart when it is patched: the names of the keys. `Some(&[])` for a list of texts of
/// which each is kept; `None` for a list that a patch replaces as a whole.
///
/// `path` is the list's, without steps for elements.
pub(crate) fn merge_keys(type_key: &str, path: &[&str]) -> Option<&'static [&'static str]> {
    if type_key.contains('.') {
        // The schema of a custom resource isn't known.
        return None;
    }
    match path {
        ["metadata", "finalizers"] => return Some(&[]),
        ["metadata", "ownerReferences"] => return Some(&["uid"]),
        ["spec", "ports"] if type_key == "Service" => return Some(&["port", "protocol"]),
        ["secrets"] if type_key == "ServiceAccount" => return Some(&["name"]),
        ["webhooks"] if type_key.ends_with("WebhookConfiguration") => return Some(&["name"]),
        ["status", "conditions"] => return Some(&["type"]),
        _ => {}
    }
    let spec = path.strip_prefix(pod_template(type_key)?)?.strip_prefix(&["spec"])?;
    match spec {
        [
            "containers" | "initContainers" | "ephemeralContainers" | "volumes" | "imagePullSecrets" | "resourceClaims" | "schedulingGates",
        ] => Some(&["name"]),
        ["hostAliases"] => Some(&["ip"]),
        ["topologySpreadConstraints"] => Some(&["topologyKey", "whenUnsatisfiable"]),
        ["containers" | "initContainers" | "ephemeralContainers", list] => match *list {
            "env" => Some(&["name"]),
            "ports" => Some(&["containerPort", "protocol"]),
            "volumeMounts" => Some(&["mountPath"]),
            "volumeDevices" => Some(&["devicePath"]),
            _ => None,
        },
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_that_anybody_may_define_carry_their_group() {
        assert_eq!(type_key("v1", "Service"), "Service");
        assert_eq!(type_key("networking.k8s.io/v1", "NetworkPolicy"), "NetworkPolicy");
        assert_eq!(type_key("apps.openshift.io/v1", "DeploymentConfig"), "DeploymentConfig");
        assert_eq!(type_key("serving.knative.dev/v1", "Service"), "Service.serving.knative.dev");
    }

    #[test]
    fn lists_of_a_pod_are_merged_by_their_keys_wherever_its_template_lies() {
        assert_eq!(merge_keys("Deployment", &["spec", "template", "spec", "containers"]), Some(&["name"][..]));
        assert_eq!(merge_keys("Pod", &["spec", "containers", "volumeMounts"]), Some(&["mountPath"][..]));
        assert_eq!(merge_keys("Pod", &["spec", "tolerations"]), None);
        assert_eq!(merge_keys("Deployment", &["spec", "containers"]), None);
        assert_eq!(merge_keys("Widget.example.com", &["spec", "template", "spec", "containers"]), None);
    }
}
