//! `keyblind diff`: both trees are judged whole, from git's objects, and compared.
//!
//! Configuration, rules, baseline and suppressions are those of the base, and a floor beneath them: a change can't choose
//! what it is judged by. If it loosens what the next one is judged by, that is a finding by itself.

mod floor;
mod loosening;
mod policy;

use std::collections::BTreeSet;
use std::io;
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

use anyhow::Context;
use keyblind_dialects::Tree;
use keyblind_git::{CommitTree, Repository};
use keyblind_report::{Fixes, comparison, sarif, text};
use keyblind_rules::Selection;
use keyblind_scan::config::FailOn;
use keyblind_scan::{Comparison, Keep, Loosening, Places, ScanReport, ScanResult, Status, Target, Targets, compare, scan};

use self::floor::FloorFile;
use self::loosening::Side;
use self::policy::Policy;
use super::scan::{Prepared, exit, prepare_for, say_diagnostics};
use crate::arguments::{DiffArguments, Global};
use crate::exit::{Exit, UsageError};
use crate::output::{self, Format};
use crate::terminal::{self, Stream};

pub(super) fn run(arguments: &DiffArguments, global: Global) -> anyhow::Result<Exit> {
    let current = Path::new(".").canonicalize().context("the current directory can't be read")?;
    let repository = Repository::discover(&current).map_err(UsageError::new)?;
    let (base, head) = commits(&repository, &arguments.range)?;
    let range = comparison::Range { base: base.to_string(), head: head.to_string() };
    let (base, head) = (Arc::new(repository.tree(base)?), Arc::new(repository.tree(head)?));

    let (policy, left_behind) = (Policy::of(&base)?, Policy::of(&head)?);
    let floor =
        arguments.floor.as_deref().map(|path| FloorFile::read(path, &placed(path, &current), repository.top(), &base)).transpose()?;
    let mut targets = Vec::new();
    for path in &arguments.what.paths {
        targets.push(target(path, &current, repository.top(), &head, &base)?);
    }
    let scanned = match targets.as_slice() {
        [Target::Directory(path)] => Some(path.clone()),
        _ => None,
    };
    let places = Places::new(repository.top().to_path_buf(), current, scanned);
    let prepare = |policy: &Policy| {
        let as_of_commit = Targets { root: policy.folder().to_path_buf(), paths: targets.clone(), code: None, places: places.clone() };
        prepare_for(as_of_commit, None, &arguments.what, None, Keep::default())
    };
    let judge = |mut prepared: Prepared, tree: Arc<CommitTree>| {
        prepared.request.targets.root = repository.top().to_path_buf();
        prepared.request.snapshot = Some(tree);
        prepared.request.is_baseline_covered = false;
        (scan(&prepared.table, prepared.request, &|_| {}), prepared.settings)
    };
    let judge_by_base = |tree: Arc<CommitTree>| -> anyhow::Result<_> {
        let mut prepared = prepare(&policy)?;
        floor.as_ref().map_or(Ok(()), |floor| floor.apply(&mut prepared))?;
        Ok(judge(prepared, tree))
    };
    let (before, _) = judge_by_base(base.clone())?;
    let (after, settings) = judge_by_base(head.clone())?;
    say_diagnostics(&after, global);

    let prepared = prepare(&policy)?;
    let loosenings = match prepare(&left_behind) {
        Err(error) => vec![loosening::unusable(&policy, &head, &error)],
        Ok(next) => {
            let base = Side { policy: &policy, commit: &base, prepared: &prepared };
            let next_side = Side { policy: &left_behind, commit: &head, prepared: &next };
            let mut found = loosening::find(&base, &next_side);
            let (changed, blind) = loosening::changed_rules(&base, &next_side);
            found.extend(blind);
            let missed = |report: &ScanReport| -> Vec<Loosening> {
                let still: BTreeSet<&str> = report.results.iter().map(|result| result.fingerprint.as_str()).collect();
                let is_missed =
                    |result: &&ScanResult| matches!(result.status, Status::Failed) && !still.contains(result.fingerprint.as_str());
                let of = |result: &ScanResult| changed.iter().find(|rule| *rule.id == *after.rules[result.rule].id);
                let missed = after.results.iter().filter(is_missed).filter_map(|result| Some((of(result)?, result)));
                missed
                    .map(|(rule, result)| {
                        let message = format!("the rule `{}` no longer finds what is wrong with `{}`", rule.id, result.label);
                        loosening::of_rule(&next_side, &rule.id, message)
                    })
                    .collect()
            };
            if !changed.is_empty() {
                let mut narrowed = prepare(&left_behind)?;
                narrowed.request.selection = Selection::of(&narrowed.table, |rule, _| changed.iter().any(|changed| changed.head == rule));
                found.extend(missed(&judge(narrowed, head.clone()).0));
            }
            found
        }
    };
    let mut comparison = compare(before, after);
    comparison.add_loosenings(&loosenings);

    let text = text::Options {
        color: terminal::use_color(global.color, Stream::Output),
        width: terminal::width(Stream::Output),
        show_suppressed: false,
        findings: true,
        summary: false,
    };
    let source = repository.provenance().map(|provenance| sarif::Source {
        repository: provenance.repository,
        revision: Some(range.head.clone()),
        branch: None,
        is_root: true,
    });
    let options = output::Options { text, sarif: sarif::Context { category: None, source } };
    for file in &arguments.outputs {
        let plain = options.plain();
        output::save_with(&file.path, |out| write(&comparison, &range, file.format, &plain, out))?;
    }
    output::print_with(|out| write(&comparison, &range, arguments.format, &options, out)).context("can't write to standard output")?;
    let fail_on = arguments.fail_on.unwrap_or(match settings.fail_on {
        // Everything here is new.
        FailOn::New => FailOn::Severity(keyblind_rule_language::Severity::Info),
        other => other,
    });
    let fail_on = floor.as_ref().map_or(fail_on, |floor| floor.fail_on(fail_on));
    Ok(match exit(&comparison.introduced, fail_on, settings.acting_for, arguments.allow_incomplete) {
        // However little a level lets through, what it is may not be loosened unseen.
        Exit::Clean | Exit::NothingToScan if !loosenings.is_empty() && fail_on != FailOn::None => Exit::Findings,
        exit => exit,
    })
}

fn write(
    comparison: &Comparison,
    range: &comparison::Range,
    format: Format,
    options: &output::Options,
    out: &mut dyn io::Write,
) -> io::Result<()> {
    match format {
        Format::Text => comparison::write_text(comparison, range, &options.text, out),
        Format::Json => comparison::write_json(comparison, range, out),
        format => output::write(&comparison.introduced, &Fixes::default(), format, options, out),
    }
}

fn commits(repository: &Repository, range: &str) -> anyhow::Result<(keyblind_git::CommitId, keyblind_git::CommitId)> {
    let or_head = |name: &str| if name.is_empty() { "HEAD".to_owned() } else { name.to_owned() };
    let commit = |name: &str| repository.commit(&or_head(name)).map_err(UsageError::new);
    if let Some((base, head)) = range.split_once("...") {
        let (base, head) = (commit(base)?, commit(head)?);
        return Ok((repository.merge_base(base, head).map_err(UsageError::new)?, head));
    }
    let (base, head) = range.split_once("..").unwrap_or((range, ""));
    Ok((commit(base)?, commit(head)?))
}

/// A path as the user gave it, without looking at the disk: in a tree it need not be checked out.
fn placed(path: &Path, current: &Path) -> PathBuf {
    let mut place = if path.is_absolute() { PathBuf::new() } else { current.to_path_buf() };
    for part in path.components() {
        match part {
            Component::ParentDir => drop(place.pop()),
            Component::CurDir => {}
            part => place.push(part),
        }
    }
    place
}

/// What a path stands for in the trees.
fn target(path: &Path, current: &Path, top: &Path, head: &CommitTree, base: &CommitTree) -> anyhow::Result<Target> {
    let place = placed(path, current);
    let inner = place.strip_prefix(top).ok().and_then(Path::to_str);
    let inner = inner.ok_or_else(|| UsageError::new(format_args!("`{}` lies outside the repository", path.display())))?;
    if head.is_directory(inner) || base.is_directory(inner) {
        return Ok(Target::Directory(inner.to_owned()));
    }
    if head.read(inner).is_ok() || base.read(inner).is_ok() {
        return Ok(Target::File(inner.to_owned()));
    }
    Err(UsageError::new(format_args!("`{}` is in neither commit", path.display())).into())
}
