//! `keyblind baseline`

use std::path::{Path, PathBuf};

use keyblind_rules::baseline::{Baseline, Entry};
use keyblind_rules::suppressions::Date;
use keyblind_rules::{RuleTable, Selection};
use keyblind_scan::{Keep, ScanReport, baseline_entries, scan};

use super::plural;
use super::scan::{covers, prepare};
use crate::arguments::{BaselineCommand, Expiry, Global, What};
use crate::exit::{Exit, UsageError};
use crate::{output, terminal};

/// How long new entries hold, if nothing else is said: known faults are to be mended, not forgotten.
const DAYS: u32 = 180;
/// Entries that end within so many days are announced.
const SOON: u32 = 14;

/// A baseline file with what is found now.
struct Compared {
    path: PathBuf,
    old: Baseline,
    found: Vec<Entry>,
    report: ScanReport,
    today: Date,
    table: RuleTable,
    selection: Selection,
}

impl Compared {
    /// Whether a rule was judged. One that there isn't any more has no findings either.
    fn is_judged(&self, rule: &str) -> bool {
        self.table.find(rule).is_none_or(|rule| self.selection.contains(rule))
    }
}

pub(super) fn run(command: &BaselineCommand, global: Global) -> anyhow::Result<Exit> {
    match command {
        BaselineCommand::Write { expires, reason, what } => write(&compare(what)?, *expires, reason.as_deref(), global),
        BaselineCommand::Prune { what } => prune(&compare(what)?, global),
        BaselineCommand::Explain { what } => explain(&compare(what)?),
    }
}

/// Scans without the baseline, so that what it knows is found too.
fn compare(what: &What) -> anyhow::Result<Compared> {
    let mut what = what.clone();
    // A baseline that is to be written need not be there yet.
    let given = what.baseline.take();
    let missing = given.clone().filter(|path| !path.exists());
    what.baseline = given.filter(|path| path.exists());
    let prepared = prepare(&what, None, Keep::default())?;
    let today = prepared.request.today;
    let path = missing.or_else(|| prepared.settings.baseline.clone());
    let Some(path) = path else {
        return Err(UsageError::new("which file? name the baseline with `--baseline FILE`, or in keyblind.toml").into());
    };
    let mut request = prepared.request;
    if !covers(&request.targets, &path) {
        let message =
            "the baseline is about the directory that it lies in, and only a part of that was given: its other entries would be lost";
        return Err(UsageError::new(format_args!("{message}. Give `{}` as the path", folder(&path).display())).into());
    }
    let selection = request.selection.clone();
    let old = request.baseline.take().unwrap_or_default();
    let report = scan(&prepared.table, request, &|_| {});
    let found = baseline_entries(&report, today);
    Ok(Compared { path, old, found, report, today, table: prepared.table, selection })
}

fn folder(path: &Path) -> &Path {
    path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

fn save(path: &Path, baseline: &Baseline) -> anyhow::Result<()> {
    output::save_with(path, |out| out.write_all(baseline.to_text().as_bytes()))
}

/// A part that could not be read may hold known findings: they must not be lost.
fn refuse_incomplete(compared: &Compared) -> anyhow::Result<()> {
    let unread: Vec<_> = compared
        .report
        .diagnostics
        .iter()
        .filter(|diagnostic| diagnostic.level == keyblind_syntax::Level::Incomplete && diagnostic.code != "module-not-installed")
        .collect();
    match unread.first() {
        None => Ok(()),
        Some(first) => Err(UsageError::new(format_args!(
            "{} part{} of the input could not be read, so the baseline stays as it is: {}",
            unread.len(),
            plural(unread.len() as u64),
            first.message
        ))
        .into()),
    }
}

fn write(compared: &Compared, expires: Option<Expiry>, reason: Option<&str>, global: Global) -> anyhow::Result<Exit> {
    refuse_incomplete(compared)?;
    let last = match expires {
        None => Some(compared.today.plus_days(DAYS)),
        Some(Expiry::On(day)) => Some(day),
        Some(Expiry::Never) => None,
    };
    let found = compared.found.iter().cloned().map(|entry| Entry { expires: last, reason: reason.map(str::to_owned), ..entry }).collect();
    let renewed = compared.old.renewed(found, |rule| compared.is_judged(rule));
    save(&compared.path, &renewed)?;
    if !global.quiet {
        let count = renewed.entries().count();
        terminal::say(format_args!("wrote {count} known fault{} to `{}`", plural(count as u64), compared.path.display()));
    }
    Ok(Exit::Clean)
}

fn prune(compared: &Compared, global: Global) -> anyhow::Result<Exit> {
    refuse_incomplete(compared)?;
    let pruned = compared.old.pruned(&compared.found, |rule| compared.is_judged(rule));
    let (before, after) = (faults(&compared.old), faults(&pruned));
    if pruned != compared.old {
        save(&compared.path, &pruned)?;
    }
    if !global.quiet {
        let gone = before - after;
        terminal::say(format_args!("{gone} fault{} taken out, {after} left", plural(gone)));
    }
    Ok(Exit::Clean)
}

fn faults(baseline: &Baseline) -> u64 {
    baseline.entries().map(|entry| u64::from(entry.count)).sum()
}

fn explain(compared: &Compared) -> anyhow::Result<Exit> {
    let there = compared.old.pruned(&compared.found, |rule| compared.is_judged(rule));
    let left: std::collections::BTreeMap<&str, u32> = there.entries().map(|entry| (entry.fingerprint.as_str(), entry.count)).collect();
    let soon = compared.today.plus_days(SOON);
    output::print_with(|out| {
        writeln!(out, "{}: {} known, {} of them still there", compared.path.display(), faults(&compared.old), faults(&there))?;
        for entry in compared.old.entries() {
            let state = match (left.get(entry.fingerprint.as_str()).copied().unwrap_or_default(), entry.expires) {
                (0, _) => "gone".to_owned(),
                (_, Some(last)) if last < compared.today => format!("ended on {last}: it counts again"),
                (_, Some(last)) if last <= soon => format!("ends soon, on {last}"),
                (_, Some(last)) => format!("until {last}"),
                (_, None) => "for ever".to_owned(),
            };
            let attribute = if entry.attribute.is_empty() { String::new() } else { format!(" {}", entry.attribute) };
            let times = if entry.count > 1 { format!(" ({} times)", entry.count) } else { String::new() };
            let reason = entry.reason.as_deref().map(|reason| format!(": {reason}")).unwrap_or_default();
            writeln!(out, "  {} {}{attribute}{times}, {state}{reason}", entry.rule, entry.address)?;
        }
        Ok(())
    })
    .map(|()| Exit::Clean)
}
