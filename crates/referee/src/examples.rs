//! The bad examples of rules, read from the files of rules.

use std::path::Path;

use anyhow::{Context as _, Result};
use yaml_serde::Value;

/// A text that a rule fails.
#[derive(Clone, Debug)]
pub struct Example {
    /// The rule's id.
    pub rule: String,
    /// Other tools' ids of it.
    pub aliases: Vec<String>,
    /// Its language, as rules name it.
    pub language: String,
    /// The text.
    pub text: String,
}

impl Example {
    /// A path at which a scan takes the text for its language.
    pub fn path(&self) -> &'static str {
        match self.language.as_str() {
            "dockerfile" => "Dockerfile",
            "github-actions" => ".github/workflows/ci.yml",
            "terraform" => "main.tf",
            _ => "resources.yaml",
        }
    }
}

/// All bad examples of the rules beneath a folder.
///
/// # Errors
/// If a file can't be read.
pub fn examples(rules: &Path) -> Result<Vec<Example>> {
    let mut open = vec![rules.to_owned()];
    let mut found = Vec::new();
    while let Some(folder) = open.pop() {
        for entry in std::fs::read_dir(&folder)? {
            let path = entry?.path();
            if path.is_dir() {
                open.push(path);
            } else if path.extension().is_some_and(|ending| ending == "yaml") {
                let text = std::fs::read_to_string(&path)?;
                let rule: Value = yaml_serde::from_str(&text).with_context(|| format!("{} can't be read", path.display()))?;
                of_rule(&rule, &mut found);
            }
        }
    }
    found.sort_by(|a, b| (&a.rule, &a.language, &a.text).cmp(&(&b.rule, &b.language, &b.text)));
    Ok(found)
}

fn of_rule(rule: &Value, found: &mut Vec<Example>) {
    let texts = |value: &Value| -> Vec<String> {
        match value {
            Value::String(text) => vec![text.clone()],
            Value::Sequence(items) => items.iter().filter_map(|item| item.as_str().map(str::to_owned)).collect(),
            _ => Vec::new(),
        }
    };
    let (Some(id), Some(languages)) = (rule.get("id").and_then(Value::as_str), rule.get("examples").and_then(Value::as_mapping)) else {
        // Families of rules carry no examples of their own.
        return;
    };
    let aliases = rule.get("aliases").map(texts).unwrap_or_default();
    for (language, examples) in languages {
        for text in examples.get("bad").map(texts).unwrap_or_default() {
            let language = language.as_str().unwrap_or_default().to_owned();
            found.push(Example { rule: id.to_owned(), aliases: aliases.clone(), language, text });
        }
    }
}
