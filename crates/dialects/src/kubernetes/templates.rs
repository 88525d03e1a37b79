//! Tells manifests from what manifests are made of: templates of Helm.
//!
//! Braces in a quoted text or a block are data (an alert's `{{ $labels.pod }}`, a dashboard): a file is a template only if
//! they stand where a template's actions do.

use keyblind_syntax::yaml::{Node, NodeKind, Stream, Style};

/// Whether the path is that of a chart's template.
pub(crate) fn is_in_chart(path: &str) -> bool {
    path.split('/').rev().skip(1).any(|part| part == "templates")
}

/// Whether there is an action at all.
pub(crate) fn has_actions(text: &str) -> bool {
    text.contains("{{")
}

/// Whether a text is one from which manifests are made.
pub(crate) fn is_template(text: &str, stream: &Stream) -> bool {
    if !has_actions(text) {
        return false;
    }
    // A line that is nothing but an action is no YAML, unless it stands in a block of text.
    let broken = !stream.errors.is_empty();
    broken && text.lines().any(|line| line.trim_start().starts_with("{{") || line.contains(": {{") || line.contains("- {{"))
        || stream.documents.iter().any(|document| holds_action(document, true))
}

/// Whether an action stands where a value does: without quotes (which YAML takes for a mapping in a mapping), or in the
/// words that tell an object.
fn holds_action(node: &Node, is_outermost: bool) -> bool {
    match &node.kind {
        NodeKind::String(text) => node.style == Style::Plain && text.contains("{{"),
        NodeKind::Mapping(entries) => entries.iter().any(|entry| {
            let tells = is_outermost && matches!(entry.key.as_key(), Some("apiVersion" | "kind"));
            node.style == Style::Flow && matches!(entry.key.kind, NodeKind::Mapping(_))
                || tells && entry.value.as_str().is_some_and(|text| text.contains("{{"))
                || holds_action(&entry.key, false)
                || holds_action(&entry.value, false)
        }),
        NodeKind::Sequence(items) => items.iter().any(|item| holds_action(item, false)),
        _ => false,
    }
}
