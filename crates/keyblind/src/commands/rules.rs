//! `keyblind rules`

use std::io::{self, Write};

use keyblind_rules::{RuleId, RuleTable};
use keyblind_scan::{judge_example, rules_named};
use rayon::prelude::*;
use serde::Serialize;

use super::{describe, load_table, plural, start_threads};
use crate::arguments::{Global, ListFormat, RulesCommand};
use crate::exit::{Exit, UsageError};
use crate::{output, terminal};

pub(super) fn run(command: &RulesCommand, global: Global) -> anyhow::Result<Exit> {
    match command {
        RulesCommand::List { names, format, table } => {
            let (table, exit) = load_table(table)?;
            let rules = chosen(&table, names)?;
            output::print_with(|out| list(&table, &rules, *format, out)).map(|()| exit)
        }
        RulesCommand::Show { rule, table } => {
            let (table, exit) = load_table(table)?;
            let rules = rules_named(&table, rule).map_err(UsageError::new)?;
            let look = describe::Look::of_output(global);
            output::print_with(|out| rules.iter().try_for_each(|&rule| describe::write(&table, rule, true, look, out))).map(|()| exit)
        }
        RulesCommand::Test { names, table } => {
            let (table, exit) = load_table(table)?;
            let rules = chosen(&table, names)?;
            let sound = test(&table, &rules, global)?;
            Ok(if sound { exit } else { Exit::Findings })
        }
    }
}

/// The rules that the words stand for; all, without words. Sorted by id.
fn chosen(table: &RuleTable, names: &[String]) -> anyhow::Result<Vec<RuleId>> {
    if names.is_empty() {
        return Ok(table.iter().map(|(id, _)| id).collect());
    }
    let mut chosen = Vec::new();
    for name in names {
        chosen.extend(rules_named(table, name).map_err(UsageError::new)?);
    }
    chosen.sort_unstable();
    chosen.dedup();
    Ok(chosen)
}

/// A rule in the list for programs.
#[derive(Serialize)]
struct Listed<'t> {
    id: &'t str,
    aliases: &'t [Box<str>],
    related: &'t [Box<str>],
    title: &'t str,
    severity: &'static str,
    confidence: &'static str,
    persona: &'static str,
    dialects: Vec<&'static str>,
    controls: Vec<String>,
    builtin: bool,
}

impl<'t> Listed<'t> {
    fn of(table: &'t RuleTable, id: RuleId) -> Self {
        let meta = table.meta(id);
        let controls = table.docs(id).controls.iter();
        Self {
            id: &meta.id,
            aliases: &meta.aliases,
            related: &meta.related,
            title: &meta.title,
            severity: meta.severity.name(),
            confidence: meta.confidence.name(),
            persona: meta.persona.name(),
            dialects: meta.types.iter().map(|(language, _)| language.name()).collect(),
            controls: controls.flat_map(|control| control.numbers.iter().map(|number| format!("{}:{number}", control.framework))).collect(),
            builtin: !table.is_team_rule(id),
        }
    }
}

fn list(table: &RuleTable, rules: &[RuleId], format: ListFormat, out: &mut dyn Write) -> io::Result<()> {
    match format {
        ListFormat::Json => {
            out.write_all(b"[")?;
            for (index, &id) in rules.iter().enumerate() {
                out.write_all(if index == 0 { b"\n" } else { b",\n" })?;
                serde_json::to_writer(&mut *out, &Listed::of(table, id))?;
            }
            out.write_all(b"\n]\n")
        }
        ListFormat::Text => {
            let width = rules.iter().map(|&id| table.meta(id).id.len()).max().unwrap_or_default();
            for &id in rules {
                let meta = table.meta(id);
                writeln!(out, "{:<width$}  {:<8}  {}", meta.id, meta.severity, meta.title)?;
            }
            Ok(())
        }
    }
}

/// Judges the examples of the rules. Whether all of them come out as they should.
fn test(table: &RuleTable, rules: &[RuleId], global: Global) -> anyhow::Result<bool> {
    start_threads();
    let faults: Vec<(RuleId, Vec<String>)> = rules.par_iter().map(|&rule| (rule, faults(table, rule))).collect();
    let examples: usize =
        rules.iter().flat_map(|&rule| &table.docs(rule).examples).map(|examples| examples.bad.len() + examples.good.len()).sum();
    let broken: Vec<_> = faults.into_iter().filter(|(_, faults)| !faults.is_empty()).collect();
    output::print_with(|out| {
        for (rule, faults) in &broken {
            for fault in faults {
                writeln!(out, "{}: {fault}", table.meta(*rule).id)?;
            }
        }
        Ok(())
    })?;
    if !global.quiet {
        let count = rules.len();
        let (sound, rules) = (count - broken.len(), plural(count as u64));
        terminal::say(format_args!("{sound} of {count} rule{rules} sound, {examples} examples judged"));
    }
    Ok(broken.is_empty())
}

/// What is wrong with the examples of a rule.
fn faults(table: &RuleTable, rule: RuleId) -> Vec<String> {
    let mut faults = Vec::new();
    for examples in &table.docs(rule).examples {
        let language = examples.language;
        for (index, text) in examples.bad.iter().enumerate() {
            let verdicts = judge_example(table, rule, language, text);
            let place = format!("{language} bad example {}", index + 1);
            faults.extend(verdicts.problems.iter().map(|problem| format!("{place} can't be read: {problem}")));
            if verdicts.failed == 0 {
                let why = verdicts.unknown.first().map_or_else(String::new, |reason| format!(" (unknown: {reason})"));
                faults.push(format!("{place} doesn't fail{why}"));
            }
        }
        for (index, text) in examples.good.iter().enumerate() {
            let verdicts = judge_example(table, rule, language, text);
            let place = format!("{language} good example {}", index + 1);
            faults.extend(verdicts.problems.iter().map(|problem| format!("{place} can't be read: {problem}")));
            if verdicts.failed > 0 {
                faults.push(format!("{place} fails"));
            } else if verdicts.passed == 0 && table.can_pass(rule) {
                let why = verdicts.unknown.first().map_or_else(String::new, |reason| format!(" (unknown: {reason})"));
                faults.push(format!("{place} doesn't pass{why}"));
            }
        }
    }
    faults
}
