//! Label selectors, and which labels they cover.
//!
//! Source: Kubernetes documentation, "Labels and Selectors".

use keyblind_resource::Value;

use super::values::{at, entries, items, text};

/// Whether labels (an object's `metadata.labels`, if it has any) are covered by a `LabelSelector`: `matchLabels` and
/// `matchExpressions`. An empty one covers all. What is wrong with a selector covers nothing.
pub(crate) fn covers(selector: &Value, labels: Option<&Value>) -> bool {
    if selector.as_mapping().is_none() {
        return false;
    }
    let has_all = selector.get("matchLabels").is_none_or(|wanted| has(wanted, labels));
    has_all && items(selector.get("matchExpressions")).iter().all(|expression| holds(expression, labels))
}

/// Whether labels have all entries of a map.
pub(crate) fn has(wanted: &Value, labels: Option<&Value>) -> bool {
    let label = |key: &str| labels.and_then(|labels| labels.get(key)).and_then(text);
    wanted.is_null()
        || wanted.as_mapping().is_some() && entries(wanted).all(|(key, value)| text(value).is_some_and(|value| label(key) == Some(value)))
}

fn holds(expression: &Value, labels: Option<&Value>) -> bool {
    let Some(key) = expression.get("key").and_then(text) else { return false };
    let label = labels.and_then(|labels| at(labels, &[&key])).and_then(text);
    let listed = || items(expression.get("values")).iter().any(|value| label.is_some() && text(value) == label);
    match expression.get("operator").and_then(Value::as_str) {
        Some("In") => listed(),
        Some("NotIn") => !listed(),
        Some("Exists") => label.is_some(),
        Some("DoesNotExist") => label.is_none(),
        _ => false,
    }
}
