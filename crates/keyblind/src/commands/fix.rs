//! `keyblind fix`

mod closing;
mod dialogue;
mod forge;
mod index;
mod json;
mod proposal;
mod summary;
mod verify;
mod write;

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use keyblind_fix::{Fixer, Outcome};
use keyblind_report::diff;
use keyblind_report::fixes::Class;
use keyblind_rules::RuleTable;
use keyblind_scan::{Keep, ScanReport, ScanResult, Status, scan};

use self::dialogue::{Decision, Dialogue, Question};
use super::remote::Remote;
use super::scan::{further, prepare, resolve, say_diagnostics, what_is_judged};
use super::{fixes, models};
use crate::arguments::{FixArguments, FixOutput, Global, Sandbox, Variable, When};
use crate::exit::{Exit, UsageError};
use crate::leaf::{self, outside};
use crate::output;
use crate::progress::Bar;
use crate::settings::GivenValue;
use crate::terminal::{self, Stream};

/// A finding, and what became of it.
struct Attempt<'r> {
    result: &'r ScanResult,
    outcome: Outcome,
    /// Whether it is among what is shown, written or proposed: a fix that isn't safe is only with `--all`.
    taken: bool,
}

pub(super) fn run(arguments: &FixArguments, global: Global) -> anyhow::Result<Exit> {
    if arguments.force && !arguments.writes() {
        return Err(UsageError::new("`--force` is about writing: add `--write` or `--interactive`").into());
    }
    if arguments.interactive && arguments.what.paths.iter().any(|path| path.as_os_str() == "-") {
        return Err(UsageError::new("standard input can't hold both a file and the answers").into());
    }
    if leaf::inside().is_none() {
        if let Some(remote) = Remote::named(&arguments.what)? {
            return forge::run(remote, arguments, global);
        }
        if arguments.pull_request {
            return Err(UsageError::new("`--pr` proposes fixes for a repository at a forge: name it as `github:owner/name`").into());
        }
    }
    if leaf::inside().is_none() && arguments.confinement() != Sandbox::Off {
        let (targets, reads_input) = resolve(&arguments.what)?;
        return outside::run(outside::Confined {
            root: &targets.root,
            reads_input,
            is_in_tree: false,
            further: further(&arguments.what),
            files: Vec::new(),
            sandbox: arguments.confinement(),
            global,
            bar: &Bar::new(When::Auto, global.quiet),
            models: models::direct(arguments.models)?,
        });
    }
    let mut prepared = prepare(&what_is_judged(&arguments.what), None, Keep::default())?;
    let table = &prepared.table;
    let mut given = std::mem::take(&mut prepared.given);
    // The command line is stronger than the configuration.
    for (rule, values) in fixes::given(table, &set(arguments)?)? {
        given.entry(rule).or_default().extend(values);
    }
    let mut way = models::way(arguments.models, prepared.settings.models)?;
    let mut proposer = way.as_mut().map(models::Proposer::new);
    let mut fixer = Fixer::new(table, &prepared.request, given);
    if let Some(path) = &arguments.verify {
        return verify::run(path, &mut fixer, global);
    }
    let bar = Bar::new(When::Auto, global.quiet || arguments.interactive);
    let report = scan(table, prepared.request, &|progress| bar.update(progress));
    say_diagnostics(&report, global);
    if report.summary.files.read == 0 && !report.summary.incomplete {
        bar.finish();
        return Ok(Exit::NothingToScan);
    }
    let wanted = wanted(&report, arguments)?;
    let mut choice = Choice::of(arguments, &report, global)?;
    let attempts = attempt(&mut fixer, table, &report, &wanted, &mut choice, proposer.as_mut(), &bar)?;
    bar.finish();
    if let Some(proposer) = &proposer {
        proposer.tell(global);
    }
    let changes = changes(&fixer)?;
    if arguments.writes() {
        write::check(&report, &changes, arguments.force)?;
    }
    match arguments.output {
        _ if arguments.pull_request => {}
        _ if arguments.whole_file => output::print_with(|out| changes.values().try_for_each(|(_, new)| out.write_all(new.as_bytes())))?,
        Some(FixOutput::Json) => output::print_with(|out| json::write(&report, &attempts, out))?,
        Some(FixOutput::Patch) => print_diff(&report, &changes, None)?,
        None if arguments.writes() => {}
        None => print_diff(&report, &changes, Some(terminal::use_color(global.color, Stream::Output)))?,
    }
    let closing = match changes.is_empty() {
        false if arguments.writes() => Some(closing::write(&report, &wanted, &changes, arguments)?),
        false if arguments.pull_request => Some(closing::rehearse(&report, &wanted, &changes, arguments)?),
        _ => None,
    };
    if !global.quiet && closing.as_ref().is_none_or(|closing| !closing.is_taken_back()) {
        summary::say(&report, &attempts, wanted.len(), &changes, arguments, global);
    }
    if let Some(closing) = &closing {
        closing.say(global);
        if closing.is_taken_back() {
            return Ok(Exit::Internal);
        }
    }
    let takes = arguments.writes() || arguments.pull_request;
    let is_gone = |attempt: &&Attempt<'_>| matches!(attempt.outcome, Outcome::Gone) || attempt.taken && takes;
    let left = (wanted.len() - attempts.iter().filter(is_gone).count()).max(closing.map_or(0, |closing| closing.left));
    if arguments.pull_request && !changes.is_empty() {
        proposal::hand_over(&report, &attempts, &changes, left)?;
    }
    Ok(match (report.summary.incomplete, left > 0) {
        (true, _) => Exit::Incomplete,
        (false, true) => Exit::Findings,
        (false, false) => Exit::Clean,
    })
}

/// The parts of `RULE.ATTRIBUTE`. No id has a dot in it, and what is asked for may (`web:1.1`); the number of a control has (`cis:5.2`).
fn rule_and_attribute(name: &str) -> Option<(&str, &str)> {
    let is_control = name.split('.').next().is_some_and(|first| first.contains(':'));
    if is_control { name.rsplit_once('.') } else { name.split_once('.') }
}

/// The values of the command line.
fn set(arguments: &FixArguments) -> anyhow::Result<Vec<GivenValue>> {
    let value = |given: &Variable| match rule_and_attribute(&given.name) {
        Some((rule, attribute)) => Ok(GivenValue {
            rule: rule.to_owned(),
            attribute: attribute.to_owned(),
            value: given.value.clone(),
            place: format!("--set {}", given.name),
        }),
        None => Err(UsageError::new(format_args!("`--set {}` names no attribute: write it as RULE.ATTRIBUTE=VALUE", given.name)).into()),
    };
    arguments.given.iter().map(value).collect()
}

/// The findings to fix: all, or those whose fingerprints were given.
fn wanted<'r>(report: &'r ScanReport, arguments: &FixArguments) -> anyhow::Result<Vec<&'r ScanResult>> {
    let failed: Vec<&ScanResult> = report.results.iter().filter(|result| matches!(result.status, Status::Failed)).collect();
    if arguments.findings.is_empty() {
        return Ok(failed);
    }
    let mut wanted = vec![false; failed.len()];
    for asked in &arguments.findings {
        // The number behind a fingerprint tells equal ones apart: the first of them has none.
        let is_exact = failed.iter().any(|result| result.fingerprint == *asked);
        let is_meant = |result: &ScanResult| {
            if is_exact { result.fingerprint == *asked } else { result.fingerprint.starts_with(asked.as_str()) }
        };
        let meant: Vec<usize> = (0..failed.len()).filter(|index| is_meant(failed[*index])).collect();
        if meant.is_empty() {
            let help = "`keyblind scan --format json` shows them";
            return Err(UsageError::new(format_args!("no finding has the fingerprint `{asked}`; {help}")).into());
        }
        meant.into_iter().for_each(|index| wanted[index] = true);
    }
    Ok(failed.into_iter().zip(wanted).filter_map(|(result, wanted)| wanted.then_some(result)).collect())
}

/// Which of the fixes are shown or written.
enum Choice {
    /// All of them: nothing is written.
    Shown,
    /// Those that change nothing but the fault; with the flag also those that do something beside.
    Written(bool),
    /// Those that somebody said yes to.
    Asked(Box<Dialogue>),
}

impl Choice {
    fn of(arguments: &FixArguments, report: &ScanReport, global: Global) -> anyhow::Result<Self> {
        Ok(match (arguments.interactive, arguments.write || arguments.pull_request) {
            (true, _) => Self::Asked(Box::new(Dialogue::new(arguments, report, global)?)),
            (false, true) => Self::Written(arguments.all),
            (false, false) => Self::Shown,
        })
    }
}

/// Fixes one finding after the other, each on the ground of those before.
fn attempt<'r>(
    fixer: &mut Fixer<'_>,
    table: &RuleTable,
    report: &'r ScanReport,
    wanted: &[&'r ScanResult],
    choice: &mut Choice,
    mut proposer: Option<&mut models::Proposer<'_>>,
    bar: &Bar,
) -> anyhow::Result<Vec<Attempt<'r>>> {
    // Later an earlier fix may have mended what isn't met.
    let is_met: Vec<bool> =
        wanted.iter().map(|result| fixes::subject(table, report, result).is_some_and(|subject| fixer.is_met(&subject))).collect();
    let mut attempts: Vec<Attempt<'r>> = Vec::new();
    for (number, (&result, is_met)) in wanted.iter().zip(is_met).enumerate() {
        bar.fixing(number, wanted.len());
        let outcome = match fixes::subject(table, report, result) {
            Some(subject) if is_met => fixer.fix(&subject),
            _ => fixes::unmet(),
        };
        let outcome = match &mut proposer {
            Some(proposer) => proposer.instead(outcome, fixer, table, report, result),
            None => outcome,
        };
        let place = (number + 1, wanted.len());
        let Some(taken) = decide(fixer, report, result, &outcome, choice, place)? else { return Ok(attempts) };
        attempts.push(Attempt { result, outcome, taken });
    }
    for result in hindered_before(&attempts) {
        let Some(subject) = fixes::subject(table, report, result) else { continue };
        let outcome = fixer.fix(&subject);
        if matches!(outcome, Outcome::Refused(_)) {
            continue;
        }
        let Some(taken) = decide(fixer, report, result, &outcome, choice, (wanted.len(), wanted.len()))? else { break };
        // Each fix stands on the ground of those before it in the list.
        attempts.retain(|attempt| !std::ptr::eq(attempt.result, result));
        attempts.push(Attempt { result, outcome, taken });
    }
    Ok(attempts)
}

/// The findings without a fix whose resource another fix was taken for since: what stood in the way may have gone with that.
fn hindered_before<'r>(attempts: &[Attempt<'r>]) -> Vec<&'r ScanResult> {
    fn resource<'r>(attempt: &Attempt<'r>) -> (&'r str, &'r str) {
        (&attempt.result.root, &attempt.result.address)
    }
    let taken = attempts.iter().enumerate().filter(|(_, attempt)| attempt.taken);
    let last_taken: HashMap<_, usize> = taken.map(|(number, attempt)| (resource(attempt), number)).collect();
    let is_hindered_before = |number: usize, attempt: &Attempt<'r>| {
        matches!(attempt.outcome, Outcome::Refused(_)) && last_taken.get(&resource(attempt)).is_some_and(|last| *last > number)
    };
    let hindered = attempts.iter().enumerate().filter(|(number, attempt)| is_hindered_before(*number, attempt));
    hindered.map(|(_, attempt)| attempt.result).collect()
}

/// Whether a fix is among what is shown or written; if so, the next ones stand on it. `None` if no more are wanted.
fn decide(
    fixer: &mut Fixer<'_>,
    report: &ScanReport,
    result: &ScanResult,
    outcome: &Outcome,
    choice: &mut Choice,
    (number, of): (usize, usize),
) -> anyhow::Result<Option<bool>> {
    let Outcome::Fixed(fix) = outcome else { return Ok(Some(false)) };
    let taken = match choice {
        Choice::Shown => true,
        // Nobody else can say what a variable without value should be: such a fix is shown, and written only when the
        // value is given.
        _ if Class::of(fix) == Class::NeedsInput => false,
        // What a model proposed somebody must ask for.
        Choice::Written(all) => *all || Class::of(fix) == Class::Safe && !fix.proof.proposed,
        Choice::Asked(dialogue) => match dialogue.ask(&Question { report, result, fix, number, of }, fixer)? {
            Decision::Take => true,
            Decision::Leave => false,
            Decision::Stop => return Ok(None),
        },
    };
    if taken {
        fixer.accept(fix);
    }
    Ok(Some(taken))
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

/// Prints the changes: for a reader, with or without colours, or byte by byte for `git apply`.
fn print_diff(report: &ScanReport, changes: &Changes, reader: Option<bool>) -> anyhow::Result<()> {
    output::print_with(|out| {
        changes.iter().try_for_each(|(path, (old, new))| {
            let path = report.places.in_report(path);
            match reader {
                // What the reader doesn't see in a file would not be seen in the diff of it either.
                Some(color) => {
                    let (old, new) = (keyblind_report::clean_text(old), keyblind_report::clean_text(new));
                    diff::write(&keyblind_report::clean(path), &old, &new, color, out)
                }
                None => diff::write(path, old, new, false, out),
            }
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_is_for_a_rule_by_any_of_its_names_and_for_what_is_behind() {
        let parts = [
            ("CKV_AWS_24.cidr_blocks", ("CKV_AWS_24", "cidr_blocks")),
            ("container-image-without-digest.web:1.1", ("container-image-without-digest", "web:1.1")),
            ("cis:5.2.cidr_blocks", ("cis:5.2", "cidr_blocks")),
        ];
        for (text, expected) in parts {
            assert_eq!(rule_and_attribute(text), Some(expected), "{text}");
        }
        assert_eq!(rule_and_attribute("CKV_AWS_24"), None);
    }
}
