//! What `uses` names: an action or workflow of another repository, one of this, or an image.
//!
//! Source: GitHub Docs, "Workflow syntax", `jobs.<job_id>.steps[*].uses`.

use std::sync::Arc;

use keyblind_resource::{Data, Number, Value};
use keyblind_syntax::Site;

use super::values::object_at;

/// The parts of a reference: `kind` (`repository`, `local`, `self` or `docker`), `text`, and of another repository `name`
/// (in lower case, with the path within), `repository`, `owner`, `path`, `ref`, `is_hash`, and `major` if the ref is a version.
pub(super) fn parts(text: &str, site: Site) -> Value {
    let string = |text: &str| Value::at(Data::String(text.into()), site);
    let mut entries: Vec<(Arc<str>, Value)> = vec![("text".into(), string(text))];
    let mut push = |name: &str, value: Value| entries.push((name.into(), value));
    if let Some(image) = text.strip_prefix("docker://") {
        push("kind", string("docker"));
        push("image", string(image));
    } else if text.starts_with("./") || text.starts_with("../") || text.starts_with(".\\") {
        push("kind", string("local"));
        push("path", string(text));
    } else if let Some(path) = text.strip_prefix("$/") {
        push("kind", string("self"));
        push("path", string(path));
    } else {
        push("kind", string("repository"));
        let (name, reference) = text.split_once('@').map_or((text, None), |(name, reference)| (name, Some(reference)));
        let lower = name.to_lowercase();
        let mut steps = name.splitn(3, '/');
        let (owner, repository, path) = (steps.next().unwrap_or_default(), steps.next(), steps.next());
        push("name", string(lower.trim_end_matches('/')));
        push("owner", string(&owner.to_lowercase()));
        if let Some(repository) = repository {
            push("repository", string(&format!("{owner}/{repository}").to_lowercase()));
        }
        if let Some(path) = path {
            push("path", string(path));
        }
        if let Some(reference) = reference {
            push("ref", string(reference));
            push("is_hash", Value::at(Data::Bool(is_hash(reference)), site));
            if let Some(major) = major(reference) {
                push("major", Value::at(Data::Number(Number::from(major)), site));
            }
        } else {
            push("is_hash", Value::at(Data::Bool(false), site));
        }
    }
    object_at(entries, site)
}

fn is_hash(reference: &str) -> bool {
    matches!(reference.len(), 40 | 64) && reference.bytes().all(|byte| byte.is_ascii_hexdigit())
}

/// The first number of `v4`, `4.1` or `v4.1.2`.
fn major(reference: &str) -> Option<usize> {
    let version = reference.strip_prefix('v').unwrap_or(reference);
    let major = version.split('.').next()?;
    if is_hash(reference) || !version.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.') {
        return None;
    }
    major.parse().ok()
}
