//! Steps of jobs and of composite actions.

use std::sync::Arc;

use keyblind_resource::{Data, Value};
use keyblind_syntax::TextRange;
use keyblind_syntax::yaml::Node;

use super::expansions::{Scope, expansions, expressions, is_text_condition};
use super::scalar::Scalar;
use super::uses;
use super::values::{Reader, object_at};
use crate::script;

/// Inputs of well-known actions that are run as code.
///
/// Source: the actions' own documentation.
const CODE_INPUTS: &[(&str, &[&str])] = &[
    ("actions/github-script", &["script"]),
    ("addnab/docker-run-action", &["options", "run"]),
    ("amadevus/pwsh-script", &["script"]),
    ("appleboy/ssh-action", &["script"]),
    ("azure/cli", &["inlinescript"]),
    ("azure/powershell", &["inlinescript"]),
    ("cardinalby/js-eval-action", &["expression"]),
    ("jannekem/run-python-script-action", &["script"]),
    ("mikefarah/yq", &["cmd"]),
    ("sergeysova/jq-action", &["cmd"]),
    ("devorbitus/yq-action-output", &["cmd"]),
    ("nick-fields/retry", &["command"]),
    ("8398a7/action-slack", &["custom_payload"]),
    ("gautamkrishnar/blog-post-workflow", &["item_exec"]),
];

/// The body of a step: what it says, and `action` (what it uses), `commands` (what its script runs), `expansions`,
/// `expressions`, `script`, `shell`.
pub(super) fn body(reader: &Reader<'_>, node: &Node, scope: &Scope<'_>, shell: Option<&Node>) -> Value {
    let scope = Scope { environments: [node.get("env"), scope.environments[1], scope.environments[2]], ..*scope };
    let mut entries: Vec<(Arc<str>, Value)> = Vec::new();
    for entry in node.entries() {
        let Some(key) = entry.key.as_key() else { continue };
        let value = match key {
            // Scripts and conditions are looked at as they stand.
            "run" | "if" | "name" | "uses" => reader.verbatim(&entry.value).unwrap_or_else(|| reader.value(&entry.value)),
            _ => reader.value(&entry.value),
        };
        entries.push((key.into(), value));
    }
    let mut expanded = Vec::new();
    if let Some(run) = node.get("run") {
        expanded.extend(expansions(reader, "run", run, &scope));
        entries.push(("commands".into(), commands(reader, run)));
    }
    if let Some(uses) = node.get("uses")
        && let Some(text) = uses.as_str()
    {
        let action = uses::parts(text, reader.site(uses.place()));
        let name = action.get("name").and_then(Value::as_str).unwrap_or_default();
        let inputs = CODE_INPUTS.iter().find(|(action, _)| *action == name).map_or(&[][..], |(_, inputs)| inputs);
        for entry in node.get("with").map(Node::entries).unwrap_or_default() {
            if let Some(key) = entry.key.as_key()
                && inputs.contains(&&*key.to_ascii_lowercase())
            {
                expanded.extend(expansions(reader, &format!("with.{key}"), &entry.value, &scope));
            }
        }
        entries.push(("action".into(), action));
    }
    if let Some(shell) = node.get("shell").or(shell) {
        entries.push(("shell".into(), reader.value(shell)));
    }
    entries.push(("expansions".into(), Value::tuple(expanded)));
    entries.push(("expressions".into(), expressions(reader, node, &[])));
    entries.push(("has_text_condition".into(), Value::bool(node.get("if").is_some_and(is_text_condition))));
    object_at(entries, reader.site(node.place()))
}

/// The commands of a script, also of one that isn't a shell's: what looks like a command in it.
pub(super) fn commands(reader: &Reader<'_>, node: &Node) -> Value {
    let Some(scalar) = Scalar::of(node, reader.text) else { return Value::tuple(Vec::new()) };
    script::commands(scalar.text, &|range| reader.site(scalar.locate(range)))
}

/// A step's name for other scanners: `[2](Build)`, counted from 1, empty ones left out.
pub(super) fn label(node: &Node, number: usize) -> String {
    match node.get("name").and_then(Node::as_key).filter(|name| !name.is_empty()) {
        Some(name) => format!("[{number}]({name})"),
        None => format!("[{number}]"),
    }
}

/// The first line of a part of the file.
pub(super) fn first_line(text: &str, range: TextRange) -> TextRange {
    let written = text.get(range.as_usize()).unwrap_or_default();
    let line = written.lines().next().unwrap_or_default().trim_end();
    TextRange::new(range.start, range.start + line.len() as u32)
}

/// A text at a node.
pub(super) fn string(reader: &Reader<'_>, text: &str, node: &Node) -> Value {
    Value::at(Data::String(text.into()), reader.site(node.place()))
}
