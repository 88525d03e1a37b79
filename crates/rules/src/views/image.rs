//! Container image references.
//!
//! Grammar: the `reference` package of distribution (`[registry/]repository[:tag][@digest]`); a first part is a registry
//! if it holds a dot or a colon or is `localhost`.

use std::sync::Arc;

use keyblind_resource::Value;

/// The parts of a reference; those that it doesn't state are missing.
pub(crate) fn parts(text: &str) -> Option<Value> {
    let text = text.trim();
    if text.is_empty() || text.contains(char::is_whitespace) {
        return None;
    }
    let (rest, digest) = text.split_once('@').map_or((text, None), |(rest, digest)| (rest, Some(digest)));
    let (registry, rest) = match rest.split_once('/') {
        Some((first, rest)) if first.contains(['.', ':']) || first == "localhost" => (Some(first), rest),
        _ => (None, rest),
    };
    let (repository, tag) = match rest.rsplit_once(':') {
        Some((repository, tag)) if !tag.contains('/') => (repository, Some(tag)),
        _ => (rest, None),
    };
    let entries = [("registry", registry), ("repository", Some(repository)), ("tag", tag), ("digest", digest)];
    Some(Value::object(entries.into_iter().filter_map(|(name, part)| Some((Arc::from(name), Value::string(part?))))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn references_are_taken_apart() {
        for (text, registry, repository, tag, digest) in [
            ("nginx", None, "nginx", None, None),
            ("nginx:1.27", None, "nginx", Some("1.27"), None),
            ("library/nginx:latest", None, "library/nginx", Some("latest"), None),
            ("localhost:5000/a/b", Some("localhost:5000"), "a/b", None, None),
            ("ghcr.io/a/b:v1@sha256:00ff", Some("ghcr.io"), "a/b", Some("v1"), Some("sha256:00ff")),
        ] {
            let image = parts(text).unwrap();
            let part = |name: &str| image.get(name).and_then(Value::as_str);
            assert_eq!(
                (part("registry"), part("repository"), part("tag"), part("digest")),
                (registry, Some(repository), tag, digest),
                "{text}"
            );
        }
    }
}
