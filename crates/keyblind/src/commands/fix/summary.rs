//! What came of a run, in sentences.

use std::collections::BTreeMap;

use keyblind_fix::{Effect, Hindrance, Outcome};
use keyblind_report::fixes::Class;
use keyblind_resource::Dialect;
use keyblind_rule_language::Severity;
use keyblind_scan::{ScanReport, ScanResult};

use super::{Attempt, Changes};
use crate::arguments::{FixArguments, Global};
use crate::commands::plural;
use crate::terminal;

/// Says what was fixed, what the fixes do beside, and what has none for which reason.
pub(super) fn say(report: &ScanReport, attempts: &[Attempt<'_>], of: usize, changes: &Changes, arguments: &FixArguments, global: Global) {
    let fixes = |taken: bool| attempts.iter().filter(move |attempt| attempt.taken == taken && matches!(attempt.outcome, Outcome::Fixed(_)));
    let fixed = attempts.iter().filter(|attempt| attempt.taken || matches!(attempt.outcome, Outcome::Gone)).count() as u64;
    let verb = if arguments.writes() { "fixed" } else { "would fix" };
    let files = changes.len() as u64;
    terminal::say(format_args!("{verb} {fixed} of {of} finding{} in {files} file{}", plural(of as u64), plural(files)));
    if attempts.len() < of {
        terminal::say(format_args!("{} left alone: you said that you had enough", of - attempts.len()));
    }
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
            let name = match (&input.module, attempt.result.dialect) {
                (Some(_), Dialect::Terraform) => format!("`var.{}`", input.variable),
                (Some(_), _) => format!("parameter `{}`", input.variable),
                (None, _) => format!("`{rule}.{}`", input.attribute),
            };
            (name, input.assumed.as_str())
        }));
    }
    for (name, assumed) in &inputs {
        terminal::say(format_args!("needs input: {name}, such as {assumed}"));
    }
    let proposed =
        |taken: bool| fixes(taken).filter(|attempt| matches!(&attempt.outcome, Outcome::Fixed(fix) if fix.proof.proposed)).count();
    if proposed(true) > 0 {
        let count = proposed(true);
        terminal::say(format_args!(
            "{count} of them a model proposed, where nothing could be derived: read {}",
            if count == 1 { "it" } else { "them" }
        ));
    }
    if proposed(false) > 0 && !arguments.interactive {
        terminal::say(format_args!(
            "{} that a model proposed held back: read the diff without `--write`, then add `--all`",
            proposed(false)
        ));
    }
    let held_back = |class: Class| {
        let is_of_class = |attempt: &&Attempt<'_>| matches!(&attempt.outcome, Outcome::Fixed(fix) if Class::of(fix) == class && (!fix.proof.proposed || arguments.interactive));
        fixes(false).filter(is_of_class).count()
    };
    for (class, help) in [
        (Class::Safe, "you said no"),
        (
            Class::Unsafe,
            match (arguments.interactive, arguments.pull_request) {
                (true, _) => "you said no",
                (false, true) => "add `--all` to propose them too",
                (false, false) => "add `--all` to write them too",
            },
        ),
        (Class::NeedsInput, "give the values with `--set RULE.ATTRIBUTE=VALUE`, or in `[fix.values]` of keyblind.toml"),
    ] {
        let count = held_back(class);
        if count > 0 {
            let verb = if count == 1 { " is" } else { "es are" };
            terminal::say(format_args!("{count} fix{verb} held back ({}): {help}", class.name()));
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
        // Of what matters most it is said anyway what stands in the way, and what to do.
        let is_severe = |attempt: &Attempt<'_>| report.rules[attempt.result.rule].severity >= Severity::High;
        for attempt in attempts.iter().filter(|attempt| global.verbose || is_severe(attempt)) {
            let rule = &report.rules[attempt.result.rule];
            terminal::say(format_args!("  {} {}", rule.severity, named(report, attempt.result)));
            if let (Outcome::Refused(refusal), true) = (&attempt.outcome, global.verbose) {
                refusal.disproofs.iter().for_each(|disproof| terminal::say(format_args!("    {}", disproof.detail)));
            }
            terminal::say(format_args!("    by hand: {}", rule.fix));
        }
    }
}

/// A finding in a few words.
pub(super) fn named(report: &ScanReport, result: &ScanResult) -> String {
    keyblind_report::clean(&format!("{} {}", report.rules[result.rule].id, result.address))
}
