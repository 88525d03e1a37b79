//! Trivy's configuration and ignore files.
//!
//! Source: Trivy's documentation, "Config file" and "Filtering".

use std::path::Path;

use anyhow::Context;
use keyblind_rule_language::Severity;
use keyblind_syntax::yaml::Node;

use super::draft::{Draft, Ignore};
use super::{texts, yaml_of};

/// Where it is looked for.
pub(super) const PLACES: &[&str] = &["trivy.yaml", ".trivyignore", ".trivyignore.yaml"];
const REASON: &str = "ignored in .trivyignore";

/// Reads what is there; false if nothing is.
pub(super) fn read(folder: &Path, draft: &mut Draft<'_>) -> anyhow::Result<bool> {
    let mut found = false;
    if let Some((root, text)) = yaml_of(folder, "trivy.yaml")? {
        found = true;
        settings(&root, "", &text, draft);
    }
    let lines = folder.join(".trivyignore");
    if lines.is_file() {
        found = true;
        let text = std::fs::read_to_string(&lines).with_context(|| format!("`{}` can't be read", lines.display()))?;
        ignore_lines(&text, draft);
    }
    if let Some((root, text)) = yaml_of(folder, ".trivyignore.yaml")? {
        found = true;
        ignore_file(&root, &text, draft);
    }
    Ok(found)
}

fn settings(node: &Node, above: &str, text: &str, draft: &mut Draft<'_>) {
    for entry in node.entries() {
        let name = entry.key.as_key().unwrap_or_default();
        let key = if above.is_empty() { name.to_owned() } else { format!("{above}.{name}") };
        let place = format!("trivy.yaml:{}", line(text, entry.key.range.start));
        match key.as_str() {
            "severity" => {
                draft.min_severity = texts(&entry.value).iter().filter_map(|word| word.to_ascii_lowercase().parse::<Severity>().ok()).min();
            }
            "exit-code" if entry.value.as_key() == Some("0") => draft.fail_on = Some("none".to_owned()),
            "exit-code" => {}
            "scan.skip-dirs" | "scan.skip-files" => texts(&entry.value).iter().for_each(|path| draft.exclude_path(&place, path)),
            "misconfiguration.terraform.vars" => {
                draft.leave_out(&place, "variables files: name them with the root module that they belong to, under `[[terraform.root]]`");
            }
            "rego.check" | "rego.data" | "rego.namespaces" | "misconfiguration.config-check" => {
                draft.leave_out(&place, format_args!("`{key}`: checks in Rego are programs; write them as rules (docs/rule-language.md)"));
            }
            // How it prints, connects and caches says nothing about what counts.
            key if ["format", "output", "quiet", "debug", "timeout", "cache", "db", "server", "token", "insecure", "scan.scanners"]
                .iter()
                .any(|known| key == *known || key.starts_with(&format!("{known}."))) => {}
            _ if entry.value.as_mapping().is_some() => settings(&entry.value, &key, text, draft),
            key => draft.leave_out(&place, format_args!("`{key}` has no counterpart")),
        }
    }
}

/// `ID exp:YYYY-MM-DD`; a comment above is the reason.
fn ignore_lines(text: &str, draft: &mut Draft<'_>) {
    let mut reason: Option<&str> = None;
    for (number, content) in text.lines().enumerate() {
        let content = content.trim();
        if content.is_empty() {
            reason = None;
            continue;
        }
        if let Some(comment) = content.strip_prefix('#') {
            reason = Some(comment.trim()).filter(|comment| !comment.is_empty()).or(reason);
            continue;
        }
        let place = format!(".trivyignore:{}", number + 1);
        let mut words = content.split_whitespace();
        let id = words.next().unwrap_or_default();
        let until = words.find_map(|word| word.strip_prefix("exp:")).map(str::to_owned);
        if draft.is_carried(&place, id) {
            draft.ignores.push(Ignore { rule: id.to_owned(), paths: Vec::new(), reason: reason.unwrap_or(REASON).to_owned(), until });
        }
    }
}

fn ignore_file(root: &Node, text: &str, draft: &mut Draft<'_>) {
    for section in root.entries() {
        let kind = section.key.as_key().unwrap_or_default();
        let place = |node: &Node| format!(".trivyignore.yaml:{}", line(text, node.range.start));
        if kind != "misconfigurations" {
            draft.leave_out(&place(&section.key), format_args!("`{kind}` isn't about misconfigurations"));
            continue;
        }
        for entry in section.value.as_sequence().unwrap_or_default() {
            let word = |key: &str| entry.get(key).and_then(Node::as_key).map(str::to_owned);
            let Some(id) = word("id").filter(|id| draft.is_carried(&place(entry), id)) else { continue };
            let paths = entry.get("paths").map(texts).unwrap_or_default();
            let reason = word("statement").unwrap_or_else(|| REASON.to_owned());
            draft.ignores.push(Ignore { rule: id, paths, reason, until: word("expired_at") });
        }
    }
}

fn line(text: &str, offset: u32) -> usize {
    text[..(offset as usize).min(text.len())].matches('\n').count() + 1
}
