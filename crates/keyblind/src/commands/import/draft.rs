//! Our configuration as it comes about.

use std::fmt::Write;

use keyblind_rule_language::Severity;
use keyblind_rules::RuleTable;

/// What was understood so far, and what wasn't.
pub(super) struct Draft<'a> {
    table: &'a RuleTable,
    pub(super) select: Vec<String>,
    pub(super) skip: Vec<String>,
    pub(super) exclude: Vec<String>,
    pub(super) min_severity: Option<Severity>,
    pub(super) fail_on: Option<String>,
    pub(super) ignores: Vec<Ignore>,
    /// Findings that the other tool knows.
    pub(super) known: Vec<Known>,
    /// What can't be carried over: where it stands, and why.
    pub(super) left_out: Vec<String>,
}

/// Findings that don't count.
pub(super) struct Ignore {
    pub(super) rule: String,
    pub(super) paths: Vec<String>,
    pub(super) reason: String,
    pub(super) until: Option<String>,
}

/// One finding of another tool's baseline.
pub(super) struct Known {
    pub(super) file: String,
    pub(super) resource: String,
    pub(super) id: String,
}

impl<'a> Draft<'a> {
    pub(super) fn new(table: &'a RuleTable) -> Self {
        Self {
            table,
            select: Vec::new(),
            skip: Vec::new(),
            exclude: Vec::new(),
            min_severity: None,
            fail_on: None,
            ignores: Vec::new(),
            known: Vec::new(),
            left_out: Vec::new(),
        }
    }

    pub(super) fn leave_out(&mut self, place: &str, why: impl std::fmt::Display) {
        self.left_out.push(format!("{place}: {why}"));
    }

    /// Whether some rule carries an id, or is covered by a pattern; if none, that is said.
    pub(super) fn is_carried(&mut self, place: &str, id: &str) -> bool {
        let is_carried = match id.contains('*') {
            true => keyblind_scan::rules_named(self.table, id).is_ok(),
            false => self.table.find(id).is_some(),
        };
        if !is_carried {
            self.leave_out(place, format_args!("no rule means what {id} means"));
        }
        is_carried
    }

    /// A path or pattern as a glob, if it is one: a regular expression isn't.
    pub(super) fn exclude_path(&mut self, place: &str, path: &str) {
        let path = path.trim_start_matches("./").trim_end_matches('/');
        if path.is_empty() || path.contains(['\\', '^', '$', '(', '|', '+', '[', '{']) || path.contains(".*") {
            self.leave_out(place, format_args!("`{path}` is a regular expression; write it as a glob under `exclude`"));
        } else if path.contains('/') || path.contains('*') {
            self.exclude.push(path.to_owned());
        } else {
            self.exclude.push(format!("**/{path}"));
        }
    }

    pub(super) fn to_toml(&self, baseline: Option<&str>) -> String {
        let mut text = String::new();
        let mut line = |key: &str, value: String| {
            // Writing to a text can't fail.
            let _ = writeln!(text, "{key} = {value}");
        };
        for (key, list) in [("select", &self.select), ("skip-rules", &self.skip), ("exclude", &self.exclude)] {
            if !list.is_empty() {
                line(key, quoted_list(list));
            }
        }
        if let Some(severity) = self.min_severity {
            line("min-severity", quoted(severity.name()));
        }
        if let Some(level) = &self.fail_on {
            line("fail-on", quoted(level));
        }
        if let Some(baseline) = baseline {
            line("baseline", quoted(baseline));
        }
        for ignore in &self.ignores {
            let _ = write!(text, "\n[[ignore]]\nrules = {}\n", quoted_list(std::slice::from_ref(&ignore.rule)));
            if !ignore.paths.is_empty() {
                let _ = writeln!(text, "paths = {}", quoted_list(&ignore.paths));
            }
            let _ = writeln!(text, "reason = {}", quoted(&ignore.reason));
            if let Some(until) = &ignore.until {
                let _ = writeln!(text, "until = {}", quoted(until));
            }
        }
        text
    }
}

fn quoted_list(list: &[String]) -> String {
    format!("[{}]", list.iter().map(|text| quoted(text)).collect::<Vec<_>>().join(", "))
}

/// A basic string.
///
/// Source: TOML 1.0.0, "String".
fn quoted(text: &str) -> String {
    let mut quoted = String::from("\"");
    for character in text.chars() {
        match character {
            '"' => quoted.push_str("\\\""),
            '\\' => quoted.push_str("\\\\"),
            character if character.is_control() => {
                let _ = write!(quoted, "\\u{:04X}", u32::from(character));
            }
            character => quoted.push(character),
        }
    }
    quoted + "\""
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_text_comes_back_as_it_was() {
        for text in ["plain", "a \"b\" \\ c", "tab\there\nand \u{7f} \u{1b}", "ü"] {
            let read: toml::Table = toml::from_str(&format!("a = {}", quoted(text))).expect("TOML");
            assert_eq!(read["a"].as_str(), Some(text));
        }
    }
}
