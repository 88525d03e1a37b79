//! `keyblind scan`

use std::borrow::Cow;
use std::collections::{BTreeSet, HashMap};
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::Context;
use keyblind_fix::{Fixer, Given};
use keyblind_git::Repository;
use keyblind_report::{Fixes, sarif, text};
use keyblind_rule_language::{Persona, Severity};
use keyblind_rules::baseline::Baseline;
use keyblind_rules::suppressions::{Date, Policy};
use keyblind_rules::{RuleId, RuleTable};
use keyblind_scan::config::FailOn;
use keyblind_scan::{Changed, Ignore, Keep, Request, ScanReport, ScanResult, Status, Target, Targets, choose, rules_named, scan};
use keyblind_syntax::{Diagnostic, Level};
use tempfile::TempDir;

use super::account::Account;
use super::remote::Remote;
use super::{fixes, load_rules, models, start_threads, started, today};
use crate::arguments::{Global, Include, Sandbox, ScanArguments, What};
use crate::exit::{Exit, UsageError};
use crate::leaf::{self, outside};
use crate::output;
use crate::progress::Bar;
use crate::settings::Settings;
use crate::terminal::{self, Stream};

/// Largest text that is read from standard input.
const LARGEST_INPUT: u64 = 256 * 1024 * 1024;

/// A scan that is ready to run.
pub(super) struct Prepared {
    pub(super) table: RuleTable,
    pub(super) settings: Settings,
    pub(super) request: Request,
    /// The values for fixes that the configuration gives.
    pub(super) given: Given,
}

pub(super) fn run(arguments: &ScanArguments, global: Global) -> anyhow::Result<Exit> {
    if leaf::inside().is_none() {
        if let Some(remote) = Remote::named(&arguments.what)? {
            return scan_remote(&remote, arguments, global);
        }
        if let Some(account) = Account::named(&arguments.what)? {
            return scan_account(&account, arguments, global);
        }
        if arguments.confinement() != Sandbox::Off {
            return confined(arguments, global);
        }
    }
    let asked = Keep { passed: arguments.include.contains(&Include::Passed), unknown: arguments.include.contains(&Include::Unknown) };
    let formats = arguments.outputs.iter().map(|output| output.format).chain([arguments.format]);
    let keep = formats.map(output::Format::wants).fold(asked, Keep::and);
    let prepared = prepare(&what_is_judged(&arguments.what), Some(arguments), keep)?;
    let mut models = models::way(arguments.models, prepared.settings.models)?;
    let needs_fixer = arguments.fixes || models.is_some();
    let mut fixer = needs_fixer.then(|| Fixer::new(&prepared.table, &prepared.request, prepared.given.clone()));
    let (fail_on, acting_for) = (prepared.settings.fail_on, prepared.settings.acting_for);
    let bar = Bar::new(arguments.progress, global.quiet);
    let mut report = scan(&prepared.table, prepared.request, &|progress| bar.update(progress));
    let mut fixes = match fixer.as_mut().filter(|_| arguments.fixes) {
        Some(fixer) => fixes::find(fixer, &prepared.table, &report, &report.results, &bar),
        None => Fixes::default(),
    };
    if let (Some(way), Some(fixer)) = (models.as_mut(), fixer.as_mut()) {
        models::advise(way, fixer, &prepared.table, &report, &mut fixes, arguments.fixes, global);
    }
    bar.finish();

    say_diagnostics(&report, global);
    let text = text::Options {
        color: terminal::use_color(global.color, Stream::Output),
        width: terminal::width(Stream::Output),
        show_suppressed: arguments.show_suppressed,
        findings: !arguments.summary,
        summary: !global.quiet || arguments.summary,
    };
    let is_sarif =
        arguments.outputs.iter().map(|output| output.format).chain([arguments.format]).any(|format| format == output::Format::Sarif);
    let source = is_sarif.then(|| source(report.places.root())).flatten();
    let options = output::Options { text, sarif: sarif::Context { category: arguments.category.clone(), source } };
    let reporting = Instant::now();
    // What holds more is written first; what comes after it holds less.
    let mut reports: Vec<(output::Format, Option<&output::OutputFile>)> =
        arguments.outputs.iter().map(|file| (file.format, Some(file))).chain([(arguments.format, None)]).collect();
    reports.sort_by_key(|(format, _)| std::cmp::Reverse(format.wants()));
    for (format, file) in reports {
        report.keep(asked.and(format.wants()));
        match file {
            Some(file) => output::save(&report, &fixes, file, &options)?,
            None => output::print(&report, &fixes, format, &options)?,
        }
    }
    if global.verbose {
        let timings = report.timings;
        terminal::say(format_args!(
            "read files in {:.0?}, parsed them in {:.0?}, judged in {:.0?} (evaluation {:.0?} and rules {:.0?}, all threads together), \
             reported in {:.0?}",
            timings.read,
            timings.parse,
            timings.judge,
            timings.evaluate_threads,
            timings.rules_threads,
            reporting.elapsed()
        ));
    }
    Ok(exit(&report, fail_on, acting_for, arguments.allow_incomplete))
}

/// The same for a repository that the broker reads: it is unpacked and judged in a leaf, whatever the command line says.
fn scan_remote(remote: &Remote, arguments: &ScanArguments, global: Global) -> anyhow::Result<Exit> {
    if arguments.archive.is_some() {
        return Err(UsageError::new("`--archive` and a repository at a forge are two things to judge: give one of them").into());
    }
    let sandbox = arguments.sandbox.at_least_available();
    if arguments.handed {
        let folder = unpacked_file(started::handed()?, "what was handed over", sandbox, global)?;
        return scan_in(folder.path(), sandbox, arguments, global);
    }
    let fetched = remote.fetch(sandbox, global)?;
    scan_in(fetched.folder.path(), sandbox, arguments, global)
}

/// The same for an account that the broker reads: its snapshot is judged in a leaf.
fn scan_account(account: &Account, arguments: &ScanArguments, global: Global) -> anyhow::Result<Exit> {
    if arguments.archive.is_some() {
        return Err(UsageError::new("`--archive` and an account are two things to judge: give one of them").into());
    }
    let folder = if arguments.handed { account.handed(started::handed()?)? } else { account.fetch(global)? };
    scan_in(folder.path(), arguments.sandbox.at_least_available(), arguments, global)
}

/// The same in a leaf.
fn confined(arguments: &ScanArguments, global: Global) -> anyhow::Result<Exit> {
    let sandbox = arguments.confinement();
    if let Some(archive) = &arguments.archive {
        let folder = unpacked(archive, sandbox, global)?;
        return scan_in(folder.path(), sandbox, arguments, global);
    }
    let (targets, reads_input) = resolve(&arguments.what)?;
    outside::run(outside::Confined {
        root: &targets.root,
        reads_input,
        is_in_tree: false,
        further: further(&arguments.what),
        files: arguments.outputs.iter().map(|file| file.path.clone()).collect(),
        sandbox,
        global,
        bar: &Bar::new(arguments.progress, global.quiet),
        models: models::direct(arguments.models)?,
    })
}

/// Scans a tree of our own in a leaf.
fn scan_in(folder: &Path, sandbox: Sandbox, arguments: &ScanArguments, global: Global) -> anyhow::Result<Exit> {
    outside::run(outside::Confined {
        root: folder,
        reads_input: false,
        is_in_tree: true,
        further: further(&arguments.what),
        files: arguments.outputs.iter().map(|file| file.path.clone()).collect(),
        sandbox,
        global,
        bar: &Bar::new(arguments.progress, global.quiet),
        models: models::direct(arguments.models)?,
    })
}

/// Unpacks an archive in a leaf, into a folder that is gone when it is dropped.
pub(super) fn unpacked(archive: &Path, sandbox: Sandbox, global: Global) -> anyhow::Result<TempDir> {
    let file = File::open(archive).map_err(|error| UsageError::new(format_args!("can't open `{}`: {error}", archive.display())))?;
    unpacked_file(file, &format!("`{}`", archive.display()), sandbox, global)
}

/// The same for an archive that is open; `name` is what messages call it.
pub(super) fn unpacked_file(archive: File, name: &str, sandbox: Sandbox, global: Global) -> anyhow::Result<TempDir> {
    let folder = tempfile::Builder::new().prefix("keyblind-").tempdir().context("can't make a folder to unpack to")?;
    let unpacked = outside::unpack(&archive, name, folder.path(), sandbox, global)?;
    if !global.quiet {
        left_out(&unpacked);
    }
    Ok(folder)
}

/// Files and folders that the command line names and that may lie anywhere.
pub(super) fn further(what: &What) -> Vec<PathBuf> {
    what.config.iter().chain(&what.baseline).chain(&what.table.folders).cloned().collect()
}

/// What of an archive isn't there to be judged.
fn left_out(unpacked: &outside::Unpacked) {
    for (count, what) in [(unpacked.links, "symbolic link"), (unpacked.git, "entry of git's own folder")] {
        if count > 0 {
            let plural = if count == 1 { what.to_owned() } else { what.replacen("entry", "entries", 1).replacen("link", "links", 1) };
            terminal::say(format_args!("note: {count} {plural} of the archive left out"));
        }
    }
}

/// What is asked for. In a leaf that is in its tree it is that tree; files that the command line names lie elsewhere.
pub(super) fn what_is_judged(what: &What) -> Cow<'_, What> {
    let Some(inside) = leaf::inside().filter(|inside| inside.is_in_tree()) else { return Cow::Borrowed(what) };
    let current = inside.current();
    let mut what = what.clone();
    what.paths = vec![PathBuf::from(".")];
    what.root = Some(PathBuf::from("."));
    what.config = what.config.map(|path| current.join(path));
    what.baseline = what.baseline.map(|path| current.join(path));
    what.table.folders.iter_mut().for_each(|path| *path = current.join(&*path));
    Cow::Owned(what)
}

/// Where the trust root comes from, if it lies in a clone of a repository that has an address.
fn source(root: &Path) -> Option<sarif::Source> {
    let repository = Repository::discover(root).ok()?;
    let provenance = repository.provenance()?;
    Some(sarif::Source {
        repository: provenance.repository,
        revision: provenance.revision.map(|id| id.to_string()),
        branch: provenance.branch,
        is_root: repository.top() == root,
    })
}

/// Resolves what is asked for, and loads what it takes.
pub(super) fn prepare(what: &What, scan: Option<&ScanArguments>, keep: Keep) -> anyhow::Result<Prepared> {
    start_threads();
    let (targets, text) = targets(what)?;
    prepare_for(targets, text, what, scan, keep)
}

/// The same for targets that are resolved already.
pub(super) fn prepare_for(
    targets: Targets,
    text: Option<Vec<u8>>,
    what: &What,
    scan: Option<&ScanArguments>,
    keep: Keep,
) -> anyhow::Result<Prepared> {
    let settings = Settings::new(what, scan, &targets)?;
    let (table, mut diagnostics) = load_rules(&settings.rule_folders, !what.table.no_builtin_rules)?;
    let mut severities: HashMap<RuleId, Severity> = HashMap::new();
    for (name, severity, place) in &settings.severities {
        let rules = rules_named(&table, name).map_err(|error| UsageError::new(format_args!("{place}: {error}")))?;
        severities.extend(rules.into_iter().map(|rule| (rule, *severity)));
    }
    let severity = |rule: RuleId| severities.get(&rule).copied().unwrap_or_else(|| table.meta(rule).severity);
    let selection = choose(&table, &settings.choice, severity).map_err(UsageError::new)?;
    let today = today();
    let policy = settings.ignores.then_some(Policy {
        today,
        foreign: settings.foreign,
        blanket: settings.blanket,
        reason_required: settings.reason_required,
    });
    let baseline = settings.baseline.as_deref().map(read_baseline).transpose()?;
    let is_baseline_covered = settings.baseline.as_deref().is_some_and(|path| covers(&targets, path));
    let ignores = ignores(&settings, &table, today, &mut diagnostics)?;
    let given = fixes::given(&table, &settings.given)?;
    let request = Request {
        targets,
        snapshot: None,
        changed: Changed::new(),
        text,
        selection,
        severities,
        inputs: settings.inputs.clone(),
        input_sets: settings.input_sets.clone(),
        exclude: settings.exclude.clone(),
        policy,
        baseline,
        is_baseline_covered,
        ignores,
        floor: None,
        today,
        keep,
        diagnostics,
    };
    Ok(Prepared { table, settings, request, given })
}

/// Whether all that a baseline is about is judged: it is about the directory that it lies in.
pub(super) fn covers(targets: &Targets, baseline: &Path) -> bool {
    let folder = baseline.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let Ok(folder) = targets.within(folder) else { return false };
    let beneath = |directory: &String| {
        directory.is_empty() || folder.strip_prefix(directory.as_str()).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    };
    targets.paths.iter().any(|target| matches!(target, Target::Directory(directory) if beneath(directory)))
}

/// What the configuration silences today; what it silenced until lately is noted.
fn ignores(settings: &Settings, table: &RuleTable, today: Date, diagnostics: &mut Vec<Diagnostic>) -> anyhow::Result<Vec<Ignore>> {
    let mut ignores = Vec::new();
    for ignored in &settings.ignored {
        let mut rules = BTreeSet::new();
        for name in &ignored.rules {
            rules.extend(rules_named(table, name).map_err(|error| UsageError::new(format_args!("{}: {error}", ignored.place)))?);
        }
        if let Some(day) = ignored.until.filter(|day| *day < today) {
            diagnostics.push(Diagnostic {
                level: Level::Note,
                code: "suppression-expired",
                message: format!("what the configuration ignores ended on {day}: its findings are back"),
                help: None,
                site: None,
                path: Some(ignored.place.clone()),
            });
            continue;
        }
        let (paths, addresses) = (ignored.paths.clone(), ignored.addresses.clone());
        ignores.push(Ignore {
            rules,
            paths,
            addresses,
            reason: ignored.reason.clone(),
            until: ignored.until,
            place: ignored.place.clone(),
        });
    }
    Ok(ignores)
}

/// What to judge, and whether standard input is a part of it: `-` is a file whose text is there.
pub(super) fn resolve(what: &What) -> anyhow::Result<(Targets, bool)> {
    let is_input = |path: &Path| path.as_os_str() == "-";
    let paths: Vec<_> = what.paths.iter().filter(|path| !is_input(path)).cloned().collect();
    let reads_input = paths.len() < what.paths.len();
    let name = match (&what.stdin_filename, reads_input) {
        (Some(name), true) => Some(name.as_path()),
        (None, false) => None,
        (None, true) => {
            return Err(UsageError::new("standard input needs a name that tells what it is: add `--stdin-filename main.tf`").into());
        }
        (Some(_), false) => return Err(UsageError::new("`--stdin-filename` names standard input: give `-` as the path").into()),
    };
    let targets = Targets::resolve(&paths, name, what.src.as_deref(), what.root.as_deref()).map_err(UsageError::new)?;
    Ok((targets, reads_input))
}

/// What to judge, with the text on standard input.
pub(super) fn targets(what: &What) -> anyhow::Result<(Targets, Option<Vec<u8>>)> {
    let (targets, reads_input) = resolve(what)?;
    if !reads_input {
        return Ok((targets, None));
    }
    let mut text = Vec::new();
    match leaf::inside() {
        Some(inside) => inside.standard_input(LARGEST_INPUT).map(|given| text = given),
        None => io::stdin().lock().take(LARGEST_INPUT).read_to_end(&mut text).map(drop),
    }
    .context("can't read standard input")?;
    Ok((targets, Some(text)))
}

fn read_baseline(path: &Path) -> anyhow::Result<Baseline> {
    let wrong = |reason: &dyn std::fmt::Display| UsageError::new(format_args!("the baseline `{}` can't be used: {reason}", path.display()));
    let text = std::fs::read_to_string(path).map_err(|error| wrong(&error))?;
    Ok(Baseline::parse(&text).map_err(|error| wrong(&error))?)
}

/// Says what went wrong with the input: always on standard error, so that reports stay clean.
pub(super) fn say_diagnostics(report: &ScanReport, global: Global) {
    if global.quiet {
        return;
    }
    let width = terminal::width(Stream::Errors);
    let color = terminal::use_color(global.color, Stream::Errors);
    let text = text::diagnostics(report, color, width, global.verbose);
    if !text.is_empty() {
        terminal::say(text.trim_end());
    }
}

/// How the program ends.
pub(super) fn exit(report: &ScanReport, fail_on: FailOn, acting_for: Persona, allow_incomplete: bool) -> Exit {
    let is_counted = |result: &ScanResult| {
        let rule = &report.rules[result.rule];
        let is_bad_enough = match fail_on {
            FailOn::None => false,
            FailOn::New => true,
            FailOn::Severity(least) => rule.severity >= least,
        };
        is_bad_enough && rule.persona <= acting_for && matches!(result.status, Status::Failed)
    };
    let read_nothing = report.summary.files.read == 0 && !report.summary.incomplete;
    if read_nothing {
        return Exit::NothingToScan;
    }
    match (report.summary.incomplete && !allow_incomplete, report.results.iter().any(is_counted)) {
        (true, _) => Exit::Incomplete,
        (false, true) => Exit::Findings,
        (false, false) => Exit::Clean,
    }
}
