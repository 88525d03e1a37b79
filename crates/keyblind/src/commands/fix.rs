//! `keyblind fix`

mod index;
mod json;
mod verify;
mod write;

use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;

use keyblind_fix::{Effect, Fix, Fixer, Given, Hindrance, Outcome, Refusal, Subject};
use keyblind_report::diff;
use keyblind_rules::{RuleId, RuleTable};
use keyblind_scan::{Keep, ScanReport, ScanResult, Status, rules_named, scan};

use super::plural;
use super::scan::{prepare, say_diagnostics};
use crate::arguments::{FixArguments, FixOutput, Global, When};
use crate::exit::{Exit, UsageError};
use crate::output;
use crate::progress::Bar;
use crate::terminal;

/// A finding, and what became of it.
struct Attempt<'r> {
    result: &'r ScanResult,
    outcome: Outcome,
    /// Whether it is among what is shown or written: a fix that isn't safe is only with `--all`.
    taken: bool,
}

pub(super) fn run(arguments: &FixArguments, global: Global) -> anyhow::Result<Exit> {
    let prepared = prepare(&arguments.what, None, Keep::default())?;
    let table = &prepared.table;
    let mut fixer = Fixer::new(table, &prepared.request, given(table, arguments)?);
    if let Some(path) = &arguments.verify {
        return verify::run(path, &mut fixer, global);
    }
    let bar = Bar::new(When::Auto, global.quiet);
    let report = scan(table, prepared.request, &|progress| bar.update(progress));
    bar.finish();
    say_diagnostics(&report, global);
    if report.summary.files.read == 0 && !report.summary.incomplete {
        return Ok(Exit::NothingToScan);
    }
    let attempts = attempt(&mut fixer, table, &report, arguments)?;
    let changes = changes(&fixer)?;
    if arguments.write {
        write::check(&report, &changes, arguments.force)?;
    }
    match arguments.output {
        _ if arguments.whole_file => output::print_with(|out| changes.values().try_for_each(|(_, new)| out.write_all(new.as_bytes())))?,
        Some(FixOutput::Json) => output::print_with(|out| json::write(&report, &attempts, out))?,
        Some(FixOutput::Patch) => print_diff(&report, &changes, false)?,
        None if arguments.write => {}
        None => print_diff(&report, &changes, terminal::use_color(global.color, &io::stdout()))?,
    }
    if arguments.write {
        write::write(&report, &changes)?;
    }
    if !global.quiet {
        summarize(&report, &attempts, &changes, arguments, global);
    }
    let left = attempts.iter().any(|attempt| !(matches!(attempt.outcome, Outcome::Gone) || attempt.taken && arguments.write));
    Ok(match (report.summary.incomplete, left) {
        (true, _) => Exit::Incomplete,
        (false, true) => Exit::Findings,
        (false, false) => Exit::Clean,
    })
}

/// The values that were given, by rule and attribute.
fn given(table: &RuleTable, arguments: &FixArguments) -> anyhow::Result<Given> {
    let mut given = Given::new();
    for value in &arguments.given {
        let Some((rule, attribute)) = value.name.rsplit_once('.') else {
            return Err(UsageError::new(format_args!("`--set {}` names no attribute: write it as RULE.ATTRIBUTE=VALUE", value.name)).into());
        };
        for rule in rules_named(table, rule).map_err(UsageError::new)? {
            given.entry(rule).or_default().insert(attribute.to_owned(), value.value.clone());
        }
    }
    Ok(given)
}

/// Fixes one finding after the other, each on the ground of those before.
fn attempt<'r>(
    fixer: &mut Fixer<'_>,
    table: &RuleTable,
    report: &'r ScanReport,
    arguments: &FixArguments,
) -> anyhow::Result<Vec<Attempt<'r>>> {
    let is_wanted = |result: &ScanResult| {
        let asked = &arguments.findings;
        matches!(result.status, Status::Failed)
            && (asked.is_empty() || asked.iter().any(|finding| result.fingerprint.starts_with(finding.as_str())))
    };
    let wanted: Vec<&ScanResult> = report.results.iter().filter(|result| is_wanted(result)).collect();
    if let Some(unknown) =
        arguments.findings.iter().find(|finding| !wanted.iter().any(|result| result.fingerprint.starts_with(finding.as_str())))
    {
        return Err(
            UsageError::new(format_args!("no finding has the fingerprint `{unknown}`; `keyblind scan --format json` shows them")).into()
        );
    }
    let mut attempts = Vec::new();
    for result in wanted {
        let outcome = match rule_of(table, report, result) {
            Some(rule) => fixer.fix(&Subject { rule, root: &result.root, address: &result.address }),
            None => Outcome::Refused(Refusal { hindrance: Hindrance::NotProven, disproofs: Vec::new() }),
        };
        let taken = match &outcome {
            // Nobody else can say what a variable without value should be: such a fix is shown, and written only when asked for.
            Outcome::Fixed(fix) => !arguments.write || arguments.all && fix.inputs.is_empty() || is_safe(fix),
            _ => false,
        };
        if let (Outcome::Fixed(fix), true) = (&outcome, taken) {
            fixer.accept(fix);
        }
        attempts.push(Attempt { result, outcome, taken });
    }
    Ok(attempts)
}

fn rule_of(table: &RuleTable, report: &ScanReport, result: &ScanResult) -> Option<RuleId> {
    table.find(&report.rules[result.rule].id)
}

/// The texts before and after, by path.
type Changes = BTreeMap<String, (Arc<str>, Arc<str>)>;

fn changes(fixer: &Fixer<'_>) -> anyhow::Result<Changes> {
    let mut changes = Changes::new();
    for (path, new) in fixer.changed() {
        let old = fixer.original(path).map_err(|reason| anyhow::anyhow!("can't read `{path}`: {reason}"))?;
        if old != *new {
            changes.insert(path.clone(), (old, new.clone()));
        }
    }
    Ok(changes)
}

fn print_diff(report: &ScanReport, changes: &Changes, color: bool) -> anyhow::Result<()> {
    output::print_with(|out| {
        changes.iter().try_for_each(|(path, (old, new))| diff::write(report.places.in_report(path), old, new, color, out))
    })
}

/// Says what was fixed, what the fixes do beside, and what has none for which reason.
fn summarize(report: &ScanReport, attempts: &[Attempt<'_>], changes: &Changes, arguments: &FixArguments, global: Global) {
    let fixes = |taken: bool| attempts.iter().filter(move |attempt| attempt.taken == taken && matches!(attempt.outcome, Outcome::Fixed(_)));
    let fixed = attempts.iter().filter(|attempt| attempt.taken || matches!(attempt.outcome, Outcome::Gone)).count() as u64;
    let verb = if arguments.write { "fixed" } else { "would fix" };
    let files = changes.len() as u64;
    terminal::say(format_args!(
        "{verb} {fixed} of {} finding{} in {files} file{}",
        attempts.len(),
        plural(attempts.len() as u64),
        plural(files)
    ));
    let mut effects: BTreeMap<Effect, Vec<String>> = BTreeMap::new();
    for attempt in fixes(true) {
        if let Outcome::Fixed(fix) = &attempt.outcome {
            for effect in &fix.effects {
                effects.entry(*effect).or_default().push(named(report, attempt.result));
            }
        }
    }
    for (effect, findings) in &effects {
        terminal::say(format_args!(
            "unsafe: {} ({} fix{})",
            effect.sentence(),
            findings.len(),
            if findings.len() == 1 { "" } else { "es" }
        ));
        if global.verbose {
            findings.iter().for_each(|finding| terminal::say(format_args!("  {finding}")));
        }
    }
    let mut inputs: BTreeMap<String, &str> = BTreeMap::new();
    for attempt in attempts {
        let Outcome::Fixed(fix) = &attempt.outcome else { continue };
        let rule = &report.rules[attempt.result.rule].id;
        inputs.extend(fix.inputs.iter().map(|input| {
            let name = match input.module {
                Some(_) => format!("`var.{}`", input.variable),
                None => format!("`{rule}.{}`", input.attribute),
            };
            (name, input.assumed.as_str())
        }));
    }
    for (name, assumed) in &inputs {
        terminal::say(format_args!("needs input: {name}, such as {assumed}"));
    }
    let held_back: Vec<&str> =
        fixes(false).filter_map(|attempt| if let Outcome::Fixed(fix) = &attempt.outcome { Some(class(fix)) } else { None }).collect();
    for (class, help) in [("unsafe", "add `--all` to write them too"), ("needs-input", "give the values with `--set RULE.ATTRIBUTE=VALUE`")]
    {
        let count = held_back.iter().filter(|other| **other == class).count();
        if count > 0 {
            let verb = if count == 1 { " is" } else { "es are" };
            terminal::say(format_args!("{count} fix{verb} held back ({class}): {help}"));
        }
    }
    let mut refused: BTreeMap<Hindrance, Vec<&Attempt<'_>>> = BTreeMap::new();
    for attempt in attempts {
        if let Outcome::Refused(refusal) = &attempt.outcome {
            refused.entry(refusal.hindrance).or_default().push(attempt);
        }
    }
    for (hindrance, attempts) in &refused {
        terminal::say(format_args!("{} without a fix: {} ({hindrance})", attempts.len(), hindrance.sentence()));
        for attempt in attempts.iter().filter(|_| global.verbose) {
            terminal::say(format_args!("  {}", named(report, attempt.result)));
            if let Outcome::Refused(refusal) = &attempt.outcome {
                refusal.disproofs.iter().for_each(|disproof| terminal::say(format_args!("    {}", disproof.detail)));
            }
            terminal::say(format_args!("    by hand: {}", report.rules[attempt.result.rule].fix));
        }
    }
}

fn named(report: &ScanReport, result: &ScanResult) -> String {
    format!("{} {}", report.rules[result.rule].id, result.address)
}

/// Whether a fix changes nothing but the fault, and needs nothing.
fn is_safe(fix: &Fix) -> bool {
    fix.effects.is_empty() && fix.inputs.is_empty()
}

/// The word for what a fix asks of whoever applies it.
fn class(fix: &Fix) -> &'static str {
    match (fix.inputs.is_empty(), fix.effects.is_empty()) {
        (false, _) => "needs-input",
        (true, false) => "unsafe",
        (true, true) => "safe",
    }
}
