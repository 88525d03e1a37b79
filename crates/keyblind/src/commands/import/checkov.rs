//! Checkov's configuration and baseline.
//!
//! Source: Checkov's documentation, "Config file", "CLI Command Reference" and "Baseline".

use std::path::Path;

use anyhow::Context;
use keyblind_rule_language::Severity;
use keyblind_syntax::yaml::Node;

use super::draft::{Draft, Known};
use super::{texts, yaml_of};

/// Where it is looked for.
pub(super) const PLACES: &[&str] = &[".checkov.yaml", ".checkov.yml", ".checkov.baseline"];
/// Settings of how Checkov prints or connects, which say nothing about what counts.
const WITHOUT_MEANING: &[&str] = &[
    "compact",
    "quiet",
    "output",
    "output-file-path",
    "directory",
    "file",
    "branch",
    "repo-id",
    "bc-api-key",
    "no-fail-on-crash",
    "evaluate-variables",
    "download-external-modules",
    "external-modules-download-path",
    "skip-download",
    "summary-position",
    "config-file",
];

/// Reads what is there; false if nothing is.
pub(super) fn read(folder: &Path, draft: &mut Draft<'_>) -> anyhow::Result<bool> {
    let mut found = false;
    let mut baselines = vec![".checkov.baseline".to_owned()];
    for name in &PLACES[..2] {
        if let Some((root, text)) = yaml_of(folder, name)? {
            found = true;
            for entry in root.entries() {
                let line = text[..entry.key.range.start as usize].matches('\n').count() + 1;
                let key = entry.key.as_key().unwrap_or_default().to_owned();
                if key == "baseline" {
                    baselines = texts(&entry.value);
                } else {
                    setting(&format!("{name}:{line}"), &key, &entry.value, draft);
                }
            }
            // The first one counts.
            break;
        }
    }
    for name in baselines {
        found |= baseline(folder, &name, draft)?;
    }
    Ok(found)
}

fn setting(place: &str, key: &str, value: &Node, draft: &mut Draft<'_>) {
    match key {
        "check" => {
            for word in texts(value) {
                match severity(&word) {
                    Some(least) => draft.min_severity = Some(least),
                    None if draft.is_carried(place, &word) => draft.select.push(word),
                    None => {}
                }
            }
        }
        "skip-check" => {
            for word in texts(value) {
                match severity(&word) {
                    // What is skipped is this severity and all below.
                    Some(most) => draft.min_severity = Severity::ALL.iter().copied().find(|severity| *severity > most),
                    None if draft.is_carried(place, &word) => draft.skip.push(word),
                    None => {}
                }
            }
        }
        "skip-path" => texts(value).iter().for_each(|path| draft.exclude_path(place, path)),
        "soft-fail" if value.as_key() == Some("true") => draft.fail_on = Some("none".to_owned()),
        "soft-fail" => {}
        "hard-fail-on" => match texts(value).iter().filter_map(|word| severity(word)).min() {
            Some(least) => draft.fail_on = Some(least.name().to_owned()),
            None => draft.leave_out(place, "`hard-fail-on` by id: set the rules' severities under `[severity]` and `fail-on`"),
        },
        "external-checks-dir" | "external-checks-git" => {
            draft.leave_out(place, format_args!("`{key}`: checks in Python are programs; write them as rules (docs/rule-language.md)"));
        }
        "var-file" => draft.leave_out(place, "`var-file`: name it with the root module that it belongs to, under `[[terraform.root]]`"),
        "framework" | "skip-framework" => {
            draft.leave_out(place, format_args!("`{key}`: every dialect is judged; leave paths out with `exclude`"))
        }
        key if WITHOUT_MEANING.contains(&key) => {}
        key => draft.leave_out(place, format_args!("`{key}` has no counterpart")),
    }
}

fn severity(word: &str) -> Option<Severity> {
    word.to_ascii_lowercase().parse().ok()
}

fn baseline(folder: &Path, name: &str, draft: &mut Draft<'_>) -> anyhow::Result<bool> {
    let path = folder.join(name);
    if !path.is_file() {
        return Ok(false);
    }
    let text = std::fs::read_to_string(&path).with_context(|| format!("`{}` can't be read", path.display()))?;
    let baseline: serde_json::Value = serde_json::from_str(&text).with_context(|| format!("`{}` is no JSON", path.display()))?;
    let list = |value: &serde_json::Value, key: &str| value[key].as_array().cloned().unwrap_or_default();
    for file in list(&baseline, "failed_checks") {
        let name = file["file"].as_str().unwrap_or_default().trim_start_matches('/').to_owned();
        for finding in list(&file, "findings") {
            let resource = finding["resource"].as_str().unwrap_or_default().to_owned();
            for id in list(&finding, "check_ids") {
                let id = id.as_str().unwrap_or_default().to_owned();
                if draft.is_carried(&format!("{}: {resource}", path.display()), &id) {
                    draft.known.push(Known { file: name.clone(), resource: resource.clone(), id });
                }
            }
        }
    }
    Ok(true)
}
