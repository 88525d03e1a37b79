//! `keyblind explain`

use keyblind_fix::Fixer;
use keyblind_report::text;
use keyblind_rule_language::Persona;
use keyblind_scan::{Keep, rules_named, scan};

use super::{describe, fixes, load_rules, scan::prepare};
use crate::arguments::{ExplainArguments, Global, When};
use crate::exit::{Exit, UsageError};
use crate::output;
use crate::progress::Bar;
use crate::terminal::{self, Stream};

/// Shortest beginning of a fingerprint that is looked for.
const SHORTEST: usize = 6;

pub(super) fn run(arguments: &ExplainArguments, global: Global) -> anyhow::Result<Exit> {
    if looks_like_fingerprint(&arguments.name) { finding(arguments, global) } else { rule(arguments, global) }
}

/// Digits of base 16, and perhaps a number behind a hyphen. No rule's id looks like that.
fn looks_like_fingerprint(name: &str) -> bool {
    let digits = name.split('-').next().unwrap_or(name);
    let tail = &name[digits.len()..];
    let is_number = tail.is_empty() || tail[1..].bytes().all(|byte| byte.is_ascii_digit());
    digits.len() >= SHORTEST && digits.len() <= 32 && digits.bytes().all(|byte| byte.is_ascii_hexdigit()) && is_number
}

fn rule(arguments: &ExplainArguments, global: Global) -> anyhow::Result<Exit> {
    let (table, _) = load_rules(&arguments.what.table.folders, !arguments.what.table.no_builtin_rules)?;
    let rules = rules_named(&table, &arguments.name).map_err(UsageError::new)?;
    let look = describe::Look::of_output(global);
    output::print_with(|out| {
        for (index, &rule) in rules.iter().enumerate() {
            if index > 0 {
                writeln!(out)?;
            }
            describe::write(&table, rule, false, look, out)?;
        }
        Ok(())
    })
    .map(|()| Exit::Clean)
}

fn finding(arguments: &ExplainArguments, global: Global) -> anyhow::Result<Exit> {
    // A finding that somebody asks about is shown whoever it is meant for.
    let mut what = arguments.what.clone();
    what.persona.get_or_insert(Persona::Auditor);
    let prepared = prepare(&what, None, Keep { passed: false, unknown: true })?;
    let mut fixer = Fixer::new(&prepared.table, &prepared.request, prepared.given);
    let report = scan(&prepared.table, prepared.request, &|_| {});
    let wanted = arguments.name.to_lowercase();
    let found: Vec<_> = report.results.iter().filter(|result| result.fingerprint.starts_with(&wanted)).collect();
    if found.is_empty() {
        return Err(UsageError::new(format_args!(
            "no finding in the given paths has a fingerprint that begins with `{wanted}`: it may be mended, or lie elsewhere"
        ))
        .into());
    }
    let fixes = fixes::find(&mut fixer, &prepared.table, &report, found.iter().copied(), &Bar::new(When::Auto, global.quiet));
    let color = terminal::use_color(global.color, Stream::Output);
    let width = terminal::width(Stream::Output);
    let look = describe::Look::of_output(global);
    output::print_with(|out| {
        for result in &found {
            writeln!(out, "{}\n", text::one(&report, &fixes, result, color, width))?;
            let explanation = keyblind_explain::explain(&report, result);
            for (name, sentences) in [("Here", &explanation.here), ("What it touches", &explanation.reach)] {
                if !sentences.is_empty() {
                    describe::section(name, sentences, look, out)?;
                }
            }
            describe::section("How to check", &[explanation.check], look, out)?;
        }
        let mut rules: Vec<usize> = found.iter().map(|result| result.rule).collect();
        rules.dedup();
        for rule in rules {
            if let Some(id) = prepared.table.find(&report.rules[rule].id) {
                describe::write(&prepared.table, id, false, look, out)?;
            }
        }
        Ok(())
    })
    .map(|()| Exit::Clean)
}
