//! What a resource's `Metadata` asks scanners to be silent about.

use std::sync::Arc;

use keyblind_resource::Skip;
use keyblind_syntax::{FileId, Site};

use super::node::Node;

/// The most entries that one resource may have.
const MOST: usize = 1_000;

/// The suppressions in a resource's metadata, in the forms of Checkov, cfn_nag and cdk-nag.
pub(super) fn of(resource: &Node, file: FileId) -> Vec<Skip> {
    let Some(metadata) = resource.get("Metadata") else { return Vec::new() };
    let entries = |tool: &str, list: &str| metadata.get(tool).and_then(|tool| tool.get(list)).map(Node::items).unwrap_or_default();
    let skip = |form: &'static str, reason: &'static str, entry: &Node| {
        let text = |name: &str| entry.get(name).and_then(Node::text).cloned();
        Some(Skip { form, ids: vec![text("id")?], reason: text(reason), site: Site::new(file, entry.range) })
    };
    let checkov = entries("checkov", "skip").iter().filter_map(|entry| skip("Metadata.checkov.skip", "comment", entry));
    let cfn_nag =
        entries("cfn_nag", "rules_to_suppress").iter().filter_map(|entry| skip("Metadata.cfn_nag.rules_to_suppress", "reason", entry));
    let cdk_nag =
        entries("cdk_nag", "rules_to_suppress").iter().filter_map(|entry| skip("Metadata.cdk_nag.rules_to_suppress", "reason", entry));
    let guard = metadata.get("guard").and_then(|guard| guard.get("SuppressedRules"));
    let guard = guard.into_iter().flat_map(|rules| {
        rules.items().iter().map(Node::text).chain(rules.members().iter().map(|rule| Some(&rule.key))).flatten().map(|id| Skip {
            form: "Metadata.guard.SuppressedRules",
            ids: vec![Arc::clone(id)],
            reason: None,
            site: Site::new(file, rules.range),
        })
    });
    checkov.chain(cfn_nag).chain(cdk_nag).chain(guard).take(MOST).collect()
}
