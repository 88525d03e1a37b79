//! What annotations ask not to look for, in the forms of the tools that read them.

use std::sync::Arc;

use keyblind_resource::{Skip, Value};
use keyblind_syntax::{Site, json};

use super::values::{at, entries, text};

/// The skips of an object. Whether one holds, the caller decides.
pub(crate) fn of(body: &Value) -> Vec<Skip> {
    let Some(annotations) = at(body, &["metadata", "annotations"]) else { return Vec::new() };
    let mut skips = Vec::new();
    for (key, value) in entries(annotations) {
        if let (Some(text), Some(site)) = (text(value), value.origin.used_at()) {
            read(key, text.trim(), site, &mut skips);
        }
    }
    skips
}

fn read(key: &str, value: &str, site: Site, skips: &mut Vec<Skip>) {
    let mut push = |form: &'static str, ids: Vec<&str>, reason: &str| {
        let ids: Vec<Arc<str>> = ids.into_iter().map(str::trim).filter(|id| !id.is_empty()).map(Arc::from).collect();
        if !ids.is_empty() {
            skips.push(Skip { form, ids, reason: Some(reason.trim()).filter(|reason| !reason.is_empty()).map(Arc::from), site });
        }
    };
    // `checkov.io/skip1: CKV_K8S_8=why`, in any of the tool's names.
    for (prefix, form) in
        [("checkov.io/skip", "checkov.io/skip"), ("bridgecrew.io/skip", "bridgecrew.io/skip"), ("cortex.io/skip", "cortex.io/skip")]
    {
        if key.starts_with(prefix) {
            let (ids, reason) = value.split_once('=').unwrap_or((value, ""));
            push(form, ids.split(',').collect(), reason);
        }
    }
    if let Some(check) = key.strip_prefix("ignore-check.kube-linter.io/") {
        push("ignore-check.kube-linter.io", vec![check], value);
    }
    if key == "kube-score/ignore" {
        push("kube-score/ignore", value.split(',').collect(), "");
    }
    if let Some(check) = key.strip_prefix("polaris.fairwinds.com/").and_then(|name| name.strip_suffix("-exempt"))
        && value.eq_ignore_ascii_case("true")
    {
        push("polaris.fairwinds.com", vec![check], "");
    }
    if key == "runterrascan.io/skip" {
        // A list of rules with comments, as JSON text.
        let Ok(json::Node { kind: json::NodeKind::Array(rules), .. }) = json::parse(value) else { return };
        for rule in &rules {
            let member = |name: &str| match rule.get(name).map(|node| &node.kind) {
                Some(json::NodeKind::String(text)) => &**text,
                _ => "",
            };
            push("runterrascan.io/skip", vec![member("rule")], member("comment"));
        }
    }
}

#[cfg(test)]
mod tests {
    use keyblind_syntax::{FileId, TextRange};

    use super::*;

    #[test]
    fn every_tool_s_form_is_read() {
        let site = Site::new(FileId(0), TextRange::new(0, 0));
        let skips = |key: &str, value: &str| {
            let mut found = Vec::new();
            read(key, value, site, &mut found);
            found
                .iter()
                .map(|skip| format!("{} {}: {}", skip.form, skip.ids.join("+"), skip.reason.as_deref().unwrap_or("-")))
                .collect::<Vec<_>>()
        };
        assert_eq!(skips("checkov.io/skip3", "CKV_K8S_8=it is probed elsewhere"), ["checkov.io/skip CKV_K8S_8: it is probed elsewhere"]);
        assert_eq!(skips("bridgecrew.io/skip", "CKV_K8S_8"), ["bridgecrew.io/skip CKV_K8S_8: -"]);
        assert_eq!(
            skips("ignore-check.kube-linter.io/run-as-non-root", "an old image"),
            ["ignore-check.kube-linter.io run-as-non-root: an old image"]
        );
        assert_eq!(
            skips("kube-score/ignore", "container-image-tag, pod-networkpolicy"),
            ["kube-score/ignore container-image-tag+pod-networkpolicy: -"]
        );
        assert_eq!(skips("polaris.fairwinds.com/hostNetworkSet-exempt", "true"), ["polaris.fairwinds.com hostNetworkSet: -"]);
        assert!(skips("polaris.fairwinds.com/hostNetworkSet-exempt", "false").is_empty());
        assert_eq!(
            skips("runterrascan.io/skip", r#"[{"rule": "AC_K8S_0064", "comment": "known"}, {"rule": 3}]"#),
            ["runterrascan.io/skip AC_K8S_0064: known"]
        );
        assert!(skips("app.kubernetes.io/name", "skip").is_empty());
    }
}
