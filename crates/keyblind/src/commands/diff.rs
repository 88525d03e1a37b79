//! `keyblind diff`: both trees are judged whole, from git's objects, and compared.
//!
//! Configuration, rules, baseline and suppressions are those of the base: a change can't choose what it is judged by.

use std::io;
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

use anyhow::Context;
use keyblind_dialects::{Listing, Tree, paths};
use keyblind_git::{CommitTree, Repository};
use keyblind_report::{Fixes, comparison, sarif, text};
use keyblind_scan::config::{self, FailOn};
use keyblind_scan::{Comparison, Keep, Places, Target, Targets, compare, scan};

use super::scan::{exit, prepare_for, say_diagnostics};
use crate::arguments::{DiffArguments, Global};
use crate::exit::{Exit, UsageError};
use crate::output::{self, Format};
use crate::terminal;

pub(super) fn run(arguments: &DiffArguments, global: Global) -> anyhow::Result<Exit> {
    let current = Path::new(".").canonicalize().context("the current directory can't be read")?;
    let repository = Repository::discover(&current).map_err(UsageError::new)?;
    let (base, head) = commits(&repository, &arguments.range)?;
    let range = comparison::Range { base: base.to_string(), head: head.to_string() };
    let (base, head) = (Arc::new(repository.tree(base)?), Arc::new(repository.tree(head)?));

    let policy = Policy::of(&base)?;
    let mut targets = Vec::new();
    for path in &arguments.what.paths {
        targets.push(target(path, &current, repository.top(), &head, &base)?);
    }
    let scanned = match targets.as_slice() {
        [Target::Directory(path)] => Some(path.clone()),
        _ => None,
    };
    let places = Places::new(repository.top().to_path_buf(), current, scanned);
    let judge = |tree: Arc<CommitTree>| -> anyhow::Result<_> {
        let as_of_base = Targets { root: policy.folder().to_path_buf(), paths: targets.clone(), code: None, places: places.clone() };
        let mut prepared = prepare_for(as_of_base, None, &arguments.what, None, Keep::default())?;
        prepared.request.targets.root = repository.top().to_path_buf();
        prepared.request.snapshot = Some(tree);
        prepared.request.is_baseline_covered = false;
        let report = scan(&prepared.table, prepared.request, &|_| {});
        Ok((report, prepared.settings))
    };
    let (before, _) = judge(base)?;
    let (after, settings) = judge(head)?;
    say_diagnostics(&after, global);
    let comparison = compare(before, after);

    let text = text::Options {
        color: terminal::use_color(global.color, &io::stdout()),
        width: terminal::width(&io::stdout()),
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
    Ok(exit(&comparison.introduced, fail_on, settings.acting_for, arguments.allow_incomplete))
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

/// A path as the user gave it, in the trees: it need not be checked out.
fn target(path: &Path, current: &Path, top: &Path, head: &CommitTree, base: &CommitTree) -> anyhow::Result<Target> {
    let mut place = if path.is_absolute() { PathBuf::new() } else { current.to_path_buf() };
    for part in path.components() {
        match part {
            Component::ParentDir => drop(place.pop()),
            Component::CurDir => {}
            part => place.push(part),
        }
    }
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

/// The base's configuration with the rules and the baseline that it names, in a folder of their own while they are needed.
struct Policy(tempfile::TempDir);

impl Policy {
    fn of(base: &CommitTree) -> anyhow::Result<Self> {
        let policy = Self(tempfile::tempdir().context("no temporary folder can be made")?);
        for place in config::PLACES {
            let Ok(bytes) = base.read(place) else { continue };
            policy.put(place, &bytes)?;
            // What is wrong with it is said where it is read.
            let Ok(config) = config::parse(&String::from_utf8_lossy(&bytes)) else { continue };
            let folders = config.rules.iter().flat_map(|list| list.get_ref());
            let folders: Vec<String> = folders.filter_map(|folder| paths::join("", folder)).collect();
            let baseline = config.baseline.as_ref().and_then(|path| paths::join("", path.get_ref()));
            for folder in &folders {
                std::fs::create_dir_all(policy.folder().join(folder)).context("the temporary folder can't be written to")?;
            }
            let is_wanted = |path: &String| {
                Some(path) == baseline.as_ref()
                    || folders.iter().any(|folder| path.strip_prefix(folder.as_str()).is_some_and(|rest| rest.starts_with('/')))
            };
            for path in base.files().iter().filter(|path| is_wanted(path)) {
                policy.put(path, &base.read(path).map_err(|reason| anyhow::anyhow!("`{path}` of the base can't be read: {reason}"))?)?;
            }
            break;
        }
        Ok(policy)
    }

    fn folder(&self) -> &Path {
        self.0.path()
    }

    fn put(&self, path: &str, bytes: &[u8]) -> anyhow::Result<()> {
        let place = self.folder().join(path);
        if let Some(folder) = place.parent() {
            std::fs::create_dir_all(folder)?;
        }
        std::fs::write(&place, bytes).with_context(|| format!("the base's `{path}` can't be kept in a temporary folder"))
    }
}
