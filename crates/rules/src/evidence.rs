//! What a user is shown of the values that decided.

use std::fmt::Write;
use std::sync::Arc;

use keyblind_resource::{Data, Dialect, Fragment, Origin, Reason, ResourceGraph, ResourceId, Value};
use keyblind_syntax::Site;

use crate::verdict::{Evidence, UnknownCause};
use crate::views::secrets;
use crate::walk::{Found, Trail};

/// The longest value that is shown, in bytes.
const MAX_SHOWN: usize = 200;
/// The deepest nesting that is shown.
const MAX_DEPTH: usize = 16;

/// What was found at the end of a path.
pub(crate) fn evidence(graph: &ResourceGraph, judged: ResourceId, resource: ResourceId, found: Found<'_>, expected: String) -> Evidence {
    let (trail, path, missing) = parts(found);
    Evidence {
        resource: (resource != judged).then_some(resource),
        path,
        value: (!missing).then(|| shown(trail)),
        expected,
        site: Some(site(graph, resource, trail)),
        origin: trail.origin(),
        missing,
    }
}

/// A resource as a whole.
pub(crate) fn whole(graph: &ResourceGraph, judged: ResourceId, resource: ResourceId, missing: bool, expected: String) -> Evidence {
    let header = graph.resources[resource].header;
    Evidence {
        resource: (resource != judged).then_some(resource),
        path: String::new(),
        value: None,
        expected,
        site: Some(header),
        origin: Origin::Site(header),
        missing,
    }
}

/// Why something about a resource as a whole can't be told.
pub(crate) fn cause_of_whole(graph: &ResourceGraph, judged: ResourceId, resource: ResourceId, reason: Reason) -> UnknownCause {
    let site = Some(graph.resources[resource].header);
    UnknownCause { resource: (resource != judged).then_some(resource), path: String::new(), reason, site }
}

/// Why a test wasn't decided.
pub(crate) fn cause(graph: &ResourceGraph, judged: ResourceId, resource: ResourceId, found: Found<'_>) -> UnknownCause {
    let (trail, path, missing) = parts(found);
    let reason = match first_unknown(trail.value, MAX_DEPTH) {
        Some(reason) if !missing => reason,
        _ if missing => Reason::Rule { message: Arc::from(format!("`{path}` isn't set, and what that means can't be told")) },
        _ => Reason::Rule { message: Arc::from(format!("`{path}` can't be judged")) },
    };
    UnknownCause { resource: (resource != judged).then_some(resource), path, reason, site: Some(site(graph, resource, trail)) }
}

fn parts<'t>(found: Found<'t>) -> (&'t Trail<'t>, String, bool) {
    match found {
        Found::Value(trail) => (trail, trail.path(&[]), false),
        Found::Missing { at, rest } => (at, at.path(rest), true),
    }
}

fn site(graph: &ResourceGraph, resource: ResourceId, trail: &Trail<'_>) -> Site {
    let resource = &graph.resources[resource];
    let within = match resource.dialect {
        // An object is what its file and the patches of kustomizations say: each of them is its own place.
        Dialect::Kubernetes => trail.origin().used_at(),
        _ => trail.site_within(resource.block),
    };
    // The body's own origin is the whole block; the head is what a reader wants to see then.
    within.filter(|site| *site != resource.block).unwrap_or(resource.header)
}

fn first_unknown(value: &Value, depth: usize) -> Option<Reason> {
    let depth = depth.checked_sub(1)?;
    match &value.data {
        Data::Unknown(unknown) => Some(unknown.reason.clone()),
        Data::List(items) | Data::Set(items) | Data::Tuple(items) => items.iter().find_map(|item| first_unknown(item, depth)),
        Data::Map(entries) | Data::Object(entries) => entries.iter().find_map(|(_, value)| first_unknown(value, depth)),
        Data::Null | Data::Bool(_) | Data::Number(_) | Data::String(_) => None,
    }
}

/// A value as JSON text, shortened; neither what is marked sensitive nor what looks like a credential is shown.
fn shown(trail: &Trail<'_>) -> String {
    if trail.is_sensitive() {
        return "(sensitive)".to_owned();
    }
    let mut text = String::new();
    write_json(&mut text, trail.value, MAX_DEPTH);
    if secrets::holds_credential(trail.value) {
        return "(credential)".to_owned();
    }
    if text.len() > MAX_SHOWN {
        let end = (0..=MAX_SHOWN).rev().find(|&at| text.is_char_boundary(at)).unwrap_or(0);
        text.truncate(end);
        text.push('…');
    }
    text
}

fn write_json(text: &mut String, value: &Value, depth: usize) {
    if text.len() > MAX_SHOWN {
        return;
    }
    if value.sensitive {
        text.push_str("\"(sensitive)\"");
        return;
    }
    let Some(depth) = depth.checked_sub(1) else {
        text.push('…');
        return;
    };
    match &value.data {
        Data::Null => text.push_str("null"),
        Data::Bool(value) => text.push_str(if *value { "true" } else { "false" }),
        Data::Number(number) => drop(write!(text, "{number}")),
        Data::String(string) => write_text(text, string),
        Data::List(items) | Data::Set(items) | Data::Tuple(items) => {
            text.push('[');
            for (index, item) in items.iter().enumerate() {
                text.push_str(if index > 0 { "," } else { "" });
                write_json(text, item, depth);
            }
            text.push(']');
        }
        Data::Map(entries) | Data::Object(entries) => {
            text.push('{');
            for (index, (key, value)) in entries.iter().enumerate() {
                text.push_str(if index > 0 { "," } else { "" });
                write_text(text, key);
                text.push(':');
                write_json(text, value, depth);
            }
            text.push('}');
        }
        Data::Unknown(unknown) if unknown.fragments.is_empty() => text.push_str("\"(unknown)\""),
        Data::Unknown(unknown) => {
            let part = |fragment: &Fragment| if let Fragment::Literal(part) = fragment { part.to_string() } else { "(unknown)".to_owned() };
            write_text(text, &unknown.fragments.iter().map(part).collect::<String>());
        }
    }
}

/// Writes a JSON text; of a long one only as much as can be shown.
fn write_text(text: &mut String, part: &str) {
    text.push('"');
    for character in part.chars() {
        if text.len() > MAX_SHOWN {
            return;
        }
        match character {
            '"' => text.push_str("\\\""),
            '\\' => text.push_str("\\\\"),
            '\n' => text.push_str("\\n"),
            '\r' => text.push_str("\\r"),
            '\t' => text.push_str("\\t"),
            control if control.is_control() => drop(write!(text, "\\u{:04x}", u32::from(control))),
            other => text.push(other),
        }
    }
    text.push('"');
}
