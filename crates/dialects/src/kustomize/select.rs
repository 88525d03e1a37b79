//! Which objects a patch or replacement is about.
//!
//! Source: Kustomize documentation, "patches" (its `target`); Kubernetes documentation, "Labels and Selectors".

use keyblind_resource::Value;
use regex::Regex;

use super::build::Item;
use crate::kubernetes::kinds;
use crate::kubernetes::values::{at, text};

/// A `target` or `select`, ready to be tried.
pub(super) struct Selector {
    group: Option<Regex>,
    version: Option<Regex>,
    kind: Option<Regex>,
    name: Option<Regex>,
    namespace: Option<Regex>,
    labels: Option<String>,
    annotations: Option<String>,
}

impl Selector {
    /// Reads a selector whose texts are regular expressions that cover the whole.
    ///
    /// # Errors
    /// Says in one sentence what is wrong with it.
    pub(super) fn read(target: &Value) -> Result<Self, String> {
        let pattern = |key: &str| -> Result<Option<Regex>, String> {
            let Some(text) = target.get(key).and_then(text).filter(|text| !text.is_empty()) else { return Ok(None) };
            let whole = regex::RegexBuilder::new(&format!("^(?:{text})$")).size_limit(1 << 20).build();
            whole.map(Some).map_err(|_| format!("`{key}` of the target is no regular expression"))
        };
        let said = |key: &str| target.get(key).and_then(text).filter(|text| !text.is_empty()).map(|text| text.to_string());
        Ok(Self {
            group: pattern("group")?,
            version: pattern("version")?,
            kind: pattern("kind")?,
            name: pattern("name")?,
            namespace: pattern("namespace")?,
            labels: said("labelSelector"),
            annotations: said("annotationSelector"),
        })
    }

    /// Reads a selector whose texts are meant as they are: those of replacements.
    ///
    /// # Errors
    /// As for [`Selector::read`].
    pub(super) fn read_exactly(select: &Value) -> Result<Self, String> {
        let mut exact = select.clone();
        if let keyblind_resource::Data::Object(mapping) = &mut exact.data {
            let mapping = std::sync::Arc::make_mut(mapping);
            for key in ["group", "version", "kind", "name", "namespace"] {
                if let Some(text) = mapping.get(key).and_then(text) {
                    mapping.insert(key, Value::string(regex::escape(&text)));
                }
            }
        }
        Self::read(&exact)
    }

    /// Whether it is about an object, by its first or its present name.
    pub(super) fn selects(&self, item: &Item) -> bool {
        let fits = |pattern: &Option<Regex>, text: &str| pattern.as_ref().is_none_or(|pattern| pattern.is_match(text));
        let (first, now) = (item.first_id(), item.id());
        let api_version = item.object.api_version();
        fits(&self.kind, item.object.kind())
            && fits(&self.group, kinds::group(api_version))
            && fits(&self.version, kinds::version(api_version))
            && (fits(&self.name, &first.name) || fits(&self.name, &now.name))
            && (fits(&self.namespace, &first.namespace) || fits(&self.namespace, &now.namespace))
            && self.labels.as_ref().is_none_or(|wanted| covers(wanted, at(&item.object.body, &["metadata", "labels"])))
            && self.annotations.as_ref().is_none_or(|wanted| covers(wanted, at(&item.object.body, &["metadata", "annotations"])))
    }
}

/// Whether labels are covered by a selector in text form: `a=b,c!=d,e in (f,g),h,!i`.
fn covers(selector: &str, labels: Option<&Value>) -> bool {
    let label = |key: &str| labels.and_then(|labels| labels.get(key.trim())).and_then(text);
    requirements(selector).iter().all(|requirement| {
        let requirement = requirement.trim();
        let listed = |values: &str, key: &str| {
            let values = values.trim().trim_start_matches('(').trim_end_matches(')');
            label(key).is_some_and(|label| values.split(',').any(|value| value.trim() == &*label))
        };
        if let Some((key, values)) = requirement.split_once(" notin ") {
            !listed(values, key)
        } else if let Some((key, values)) = requirement.split_once(" in ") {
            listed(values, key)
        } else if let Some((key, value)) = requirement.split_once("!=") {
            label(key).as_deref() != Some(value.trim())
        } else if let Some((key, value)) = requirement.split_once('=') {
            label(key).as_deref() == Some(value.trim_start_matches('=').trim())
        } else if let Some(key) = requirement.strip_prefix('!') {
            label(key).is_none()
        } else {
            requirement.is_empty() || label(requirement).is_some()
        }
    })
}

/// The parts between commas that aren't in parentheses.
fn requirements(selector: &str) -> Vec<&str> {
    let (mut depth, mut start, mut parts) = (0_u32, 0, Vec::new());
    for (at, byte) in selector.bytes().enumerate() {
        match byte {
            b'(' => depth += 1,
            b')' => depth = depth.saturating_sub(1),
            b',' if depth == 0 => {
                parts.push(&selector[start..at]);
                start = at + 1;
            }
            _ => {}
        }
    }
    parts.push(&selector[start..]);
    parts
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    #[test]
    fn selectors_in_text_form() {
        let labels = Value::object([(Arc::from("app"), Value::string("web")), (Arc::from("tier"), Value::string("front"))]);
        for (selector, expected) in [
            ("app=web", true),
            ("app==web,tier!=back", true),
            ("app in (api, web)", true),
            ("app notin (api,web),tier", false),
            ("!app", false),
            ("!other,tier=front", true),
            ("other", false),
            ("", true),
        ] {
            assert_eq!(covers(selector, Some(&labels)), expected, "{selector}");
        }
        assert!(!covers("app=web", None));
    }
}
