//! A rule in words.

use std::io::{self, Write};

use keyblind_rules::{RuleId, RuleTable};

use crate::arguments::Global;
use crate::terminal::{self, Stream};

const BOLD: anstyle::Style = anstyle::Style::new().bold();

/// How it is shown.
#[derive(Clone, Copy, Debug)]
pub(super) struct Look {
    color: bool,
    width: usize,
}

impl Look {
    /// What standard output can do.
    pub(super) fn of_output(global: Global) -> Self {
        let out = Stream::Output;
        let width = if out.is_terminal() { terminal::width(out).min(110) } else { 100 };
        Self { color: terminal::use_color(global.color, out), width }
    }

    fn bold(self, text: &str) -> String {
        if self.color { format!("{BOLD}{text}{BOLD:#}") } else { text.to_owned() }
    }
}

/// Writes what a rule is about, why it matters and what to do.
pub(super) fn write(table: &RuleTable, rule: RuleId, with_examples: bool, look: Look, out: &mut dyn Write) -> io::Result<()> {
    let (meta, docs) = (table.meta(rule), table.docs(rule));
    writeln!(out, "{}: {}", look.bold(&meta.id), meta.title)?;
    let own = if table.is_team_rule(rule) { ", your own rule" } else { "" };
    writeln!(out, "{} severity, {} confidence, for {}{own}\n", meta.severity, meta.confidence, audience(meta.persona))?;
    for (name, text) in [("Why", &docs.why), ("What to do", &docs.fix)] {
        if !text.is_empty() {
            writeln!(out, "{}\n{}\n", look.bold(name), indented(text, look.width))?;
        }
    }
    let types = meta.types.iter().flat_map(|(_, types)| types).map(|pattern| &*pattern.0).collect::<Vec<_>>();
    writeln!(out, "{}\n{}\n", look.bold("Looks at"), indented(&types.join(", "), look.width))?;
    for (name, list) in [("Also known as", &meta.aliases), ("Related to", &meta.related)] {
        if !list.is_empty() {
            let list: Vec<&str> = list.iter().map(|id| &**id).collect();
            writeln!(out, "{}\n{}\n", look.bold(name), indented(&list.join(", "), look.width))?;
        }
    }
    if !docs.controls.is_empty() {
        writeln!(out, "{}", look.bold("Controls"))?;
        for control in &docs.controls {
            writeln!(out, "  {}: {}", control.framework, control.numbers.join(", "))?;
        }
        writeln!(out)?;
    }
    if !docs.references.is_empty() {
        writeln!(out, "{}", look.bold("Read on"))?;
        for reference in &docs.references {
            writeln!(out, "  {reference}")?;
        }
        writeln!(out)?;
    }
    if with_examples {
        for examples in &docs.examples {
            for (name, texts) in [("Bad", &examples.bad), ("Good", &examples.good)] {
                for text in texts {
                    writeln!(out, "{}", look.bold(&format!("{name} ({})", examples.language)))?;
                    for line in text.trim_end().lines() {
                        writeln!(out, "  {line}")?;
                    }
                    writeln!(out)?;
                }
            }
        }
    }
    writeln!(out, "{}\n  # keyblind:ignore[{}] reason=\"…\"", look.bold("To silence it at a block"), meta.id)
}

/// Writes sentences under a heading, one a paragraph.
pub(super) fn section(name: &str, sentences: &[String], look: Look, out: &mut dyn Write) -> io::Result<()> {
    writeln!(out, "{}", look.bold(name))?;
    for sentence in sentences {
        writeln!(out, "{}", indented(&keyblind_report::clean(sentence), look.width))?;
    }
    writeln!(out)
}

fn audience(persona: keyblind_rule_language::Persona) -> &'static str {
    match persona {
        keyblind_rule_language::Persona::Regular => "everybody",
        keyblind_rule_language::Persona::Pedantic => "people who want it neat (`--persona pedantic`)",
        keyblind_rule_language::Persona::Auditor => "auditors (`--persona auditor`)",
    }
}

/// A text in lines that fit, two columns from the left.
fn indented(text: &str, width: usize) -> String {
    let mut lines = vec![String::from(" ")];
    for word in text.split_whitespace() {
        let fits = lines.last().is_some_and(|line| line.chars().count() + 1 + word.chars().count() <= width);
        if !fits {
            lines.push(String::from(" "));
        }
        if let Some(line) = lines.last_mut() {
            line.push(' ');
            line.push_str(word);
        }
    }
    lines.join("\n")
}
