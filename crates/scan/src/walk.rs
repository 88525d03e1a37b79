//! Finds the files beneath a path, and says of everything else why it wasn't looked at.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Mutex;

use globset::GlobSet;
use ignore::{DirEntry, WalkBuilder, WalkState};
use keyblind_dialects::Listing;
use keyblind_syntax::Diagnostic;

use crate::kind::{FileKind, skipped_directory};
use crate::{limits, tree};

/// A file that was found.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct FoundFile {
    /// Relative to the trust root.
    pub(crate) path: String,
    /// What it is.
    pub(crate) kind: FileKind,
}

/// What a walk came upon.
#[derive(Debug, Default)]
pub(crate) struct Walk {
    /// All files that are something to us, sorted.
    pub(crate) files: Vec<FoundFile>,
    /// Directories that were not entered, and excluded files, by reason.
    pub(crate) skipped: BTreeMap<&'static str, Vec<String>>,
    /// How many files are of no kind that we know.
    pub(crate) other: u64,
    /// What could not be looked at.
    pub(crate) diagnostics: Vec<Diagnostic>,
}

/// What one entry turned out to be.
enum Met {
    File(FoundFile),
    Other,
    Skipped(&'static str, String),
    Unread(Diagnostic),
}

/// Walks everything beneath `start`, a directory in the tree of `root` (both canonical). `exclude` holds globs over paths
/// relative to the root. Ignore files don't count: what a repository ignores may still be applied.
pub(crate) fn walk(root: &Path, start: &Path, exclude: &GlobSet) -> Walk {
    let found = Mutex::new(Vec::new());
    let mut builder = WalkBuilder::new(start);
    builder.standard_filters(false).follow_links(false).max_depth(Some(limits::DEEPEST_DIRECTORY));
    builder.threads(std::thread::available_parallelism().map_or(1, std::num::NonZero::get).min(8));
    builder.build_parallel().run(|| {
        Box::new(|entry| {
            let (met, mut state) = match entry {
                Ok(entry) => look(root, &entry, exclude),
                Err(error) => (Some(Met::Unread(unread(root, &error))), WalkState::Continue),
            };
            if let Some(met) = met {
                let mut found = found.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
                found.push(met);
                if found.len() >= limits::MOST_ENTRIES {
                    state = WalkState::Quit;
                }
            }
            state
        })
    });
    let found = found.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner);
    let is_cut = found.len() >= limits::MOST_ENTRIES;
    let mut walk = Walk::default();
    for met in found {
        match met {
            Met::File(file) => walk.files.push(file),
            Met::Other => walk.other += 1,
            Met::Skipped(reason, path) => walk.skipped.entry(reason).or_default().push(path),
            Met::Unread(diagnostic) => walk.diagnostics.push(diagnostic),
        }
    }
    if is_cut {
        let message = format!("more than {} entries: the rest was not looked at", limits::MOST_ENTRIES);
        walk.diagnostics.push(Diagnostic::unread("too-many-files", relative(root, start).unwrap_or_else(|lossy| lossy), message));
    }
    walk.files.sort();
    walk.skipped.values_mut().for_each(|paths| paths.sort());
    walk.diagnostics.sort();
    walk
}

/// Finds what [`walk`] would find in a tree that doesn't lie on disk.
pub(crate) fn of_snapshot(snapshot: &dyn Listing, start: &str, exclude: &GlobSet) -> Walk {
    let mut walk = Walk::default();
    let mut skipped: BTreeMap<&'static str, BTreeSet<String>> = BTreeMap::new();
    let prefix = if start.is_empty() { String::new() } else { format!("{start}/") };
    for path in snapshot.files() {
        let Some(inner) = path.strip_prefix(&prefix) else { continue };
        let ends = inner.match_indices('/').map(|(at, _)| prefix.len() + at);
        let left_out = ends.map(|end| &path[..end]).find_map(|directory| {
            let name = directory.rsplit('/').next().unwrap_or(directory);
            let has = |inner: &str| snapshot.list(directory).iter().any(|entry| entry == inner);
            let reason = if exclude.is_match(directory) { Some("excluded") } else { skipped_directory(name, has) };
            reason.map(|reason| (reason, directory))
        });
        match left_out {
            Some((reason, directory)) => drop(skipped.entry(reason).or_default().insert(directory.to_owned())),
            None if exclude.is_match(&path) => drop(skipped.entry("excluded").or_default().insert(path)),
            None => match file(path) {
                Met::File(file) => walk.files.push(file),
                _ => walk.other += 1,
            },
        }
    }
    walk.files.sort();
    walk.skipped = skipped.into_iter().map(|(reason, paths)| (reason, paths.into_iter().collect())).collect();
    walk
}

fn look(root: &Path, entry: &DirEntry, exclude: &GlobSet) -> (Option<Met>, WalkState) {
    let kind = entry.file_type();
    let is_directory = kind.is_some_and(|kind| kind.is_dir());
    let path = match relative(root, entry.path()) {
        Ok(path) => path,
        Err(lossy) if is_directory => {
            let message = "the directory's name isn't UTF-8, so it was not entered";
            return (Some(Met::Unread(Diagnostic::unread("path-not-utf8", lossy, message))), WalkState::Skip);
        }
        Err(lossy) if FileKind::of(&lossy) == FileKind::Other => return (Some(Met::Other), WalkState::Continue),
        Err(lossy) => {
            let message = "the file's name isn't UTF-8, so it was not read";
            return (Some(Met::Unread(Diagnostic::unread("path-not-utf8", lossy, message))), WalkState::Continue);
        }
    };
    if !path.is_empty() && exclude.is_match(&path) {
        return (Some(Met::Skipped("excluded", path)), WalkState::Skip);
    }
    if is_directory {
        let name = entry.file_name().to_str().unwrap_or_default();
        // A directory that was asked for by name is entered whatever it is called.
        let reason = skipped_directory(name, |inner| entry.path().join(inner).exists()).filter(|_| entry.depth() > 0);
        return match reason {
            Some(reason) => (Some(Met::Skipped(reason, path)), WalkState::Skip),
            None if entry.depth() == limits::DEEPEST_DIRECTORY => {
                let message = format!("deeper than {} directories, so it was not entered", limits::DEEPEST_DIRECTORY);
                (Some(Met::Unread(Diagnostic::unread("too-deep", path, message))), WalkState::Continue)
            }
            None => (None, WalkState::Continue),
        };
    }
    let met = match kind {
        Some(kind) if kind.is_symlink() => link(root, entry.path(), path),
        Some(kind) if kind.is_file() => file(path),
        _ => Met::Other,
    };
    (Some(met), WalkState::Continue)
}

fn file(path: String) -> Met {
    match FileKind::of(&path) {
        FileKind::Other => Met::Other,
        kind => Met::File(FoundFile { path, kind }),
    }
}

/// A link to a file within the root is that file: modules share files by links. A link to a directory isn't entered; if it
/// leads to a place within the scanned path that place is walked anyway.
fn link(root: &Path, place: &Path, path: String) -> Met {
    let kind = FileKind::of(&path);
    match place.canonicalize() {
        Ok(target) if target.is_dir() => Met::Skipped("symbolic link to a directory", path),
        Ok(target) if target.starts_with(root) => file(path),
        Ok(_) if kind == FileKind::Other => Met::Other,
        Ok(_) => Met::Unread(
            Diagnostic::unread("link-leaves-root", path, "a symbolic link leads out of the trust root, so it was not followed")
                .with_help("widen the root with `--root` if what it leads to may be read"),
        ),
        Err(_) if kind == FileKind::Other => Met::Other,
        Err(error) => {
            Met::Unread(Diagnostic::unread("unreadable-file", path, format!("the symbolic link leads nowhere: {}", tree::describe(&error))))
        }
    }
}

/// A path relative to the root with `/` between the parts; what can be shown of it, if it isn't UTF-8.
pub(crate) fn relative(root: &Path, path: &Path) -> Result<String, String> {
    let Ok(inner) = path.strip_prefix(root) else { return Err(path.display().to_string()) };
    let parts: Option<Vec<&str>> = inner.components().map(|part| part.as_os_str().to_str()).collect();
    parts.map(|parts| parts.join("/")).ok_or_else(|| inner.display().to_string())
}

fn unread(root: &Path, error: &ignore::Error) -> Diagnostic {
    let mut place = None;
    let mut inner = error;
    loop {
        match inner {
            ignore::Error::WithPath { path, err } => {
                place = Some(relative(root, path).unwrap_or_else(|lossy| lossy));
                inner = err;
            }
            ignore::Error::WithDepth { err, .. } | ignore::Error::WithLineNumber { err, .. } => inner = err,
            _ => break,
        }
    }
    let message = inner.io_error().map_or_else(|| inner.to_string(), tree::describe);
    Diagnostic::unread("unreadable-directory", place.unwrap_or_default(), message)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn write(root: &Path, path: &str) {
        let place = root.join(path);
        std::fs::create_dir_all(place.parent().unwrap()).unwrap();
        std::fs::write(place, "").unwrap();
    }

    fn globs(patterns: &[&str]) -> GlobSet {
        let mut set = globset::GlobSetBuilder::new();
        for pattern in patterns {
            set.add(globset::Glob::new(pattern).unwrap());
        }
        set.build().unwrap()
    }

    #[test]
    fn every_file_is_either_found_counted_or_named_as_skipped() {
        let directory = tempfile::tempdir().unwrap();
        let root = directory.path().canonicalize().unwrap();
        for path in [
            "a/main.tf",
            ".hidden/main.tf",
            ".gitignore",
            "ignored/main.tf",
            ".terraform/modules/x/main.tf",
            "web/node_modules/y/z.tf",
            "vendor/main.tf",
            "old/x.tf",
            "README.md",
            "plan.json",
        ] {
            write(&root, path);
        }
        std::fs::write(root.join(".gitignore"), "ignored/\n").unwrap();
        let walk = walk(&root, &root, &globs(&["old"]));
        let found: Vec<_> = walk.files.iter().map(|file| file.path.as_str()).collect();
        assert_eq!(found, [".hidden/main.tf", "a/main.tf", "ignored/main.tf", "plan.json", "vendor/main.tf"]);
        let skipped: Vec<_> =
            walk.skipped.iter().flat_map(|(reason, paths)| paths.iter().map(move |path| (*reason, path.as_str()))).collect();
        assert_eq!(skipped, [("excluded", "old"), ("installed by Terraform", ".terraform"), ("installed packages", "web/node_modules")]);
        assert_eq!(walk.other, 2);
        assert_eq!(walk.diagnostics, []);
    }

    #[test]
    fn links_that_leave_the_root_are_reported_and_links_within_are_files() {
        let directory = tempfile::tempdir().unwrap();
        let root = directory.path().canonicalize().unwrap();
        write(&root, "repo/shared/provider.tf");
        write(&root, "outside.tf");
        std::fs::create_dir_all(root.join("repo/env")).unwrap();
        for (target, link) in [
            ("../shared/provider.tf", "repo/env/provider.tf"),
            ("../../outside.tf", "repo/env/bad.tf"),
            ("nowhere.tf", "repo/env/dead.tf"),
            ("../shared", "repo/env/dir"),
            ("..", "repo/env/loop"),
        ] {
            std::os::unix::fs::symlink(target, root.join(link)).unwrap();
        }
        let walk = walk(&root.join("repo"), &root.join("repo"), &GlobSet::empty());
        let found: Vec<_> = walk.files.iter().map(|file| file.path.as_str()).collect();
        assert_eq!(found, ["env/provider.tf", "shared/provider.tf"]);
        assert_eq!(walk.skipped["symbolic link to a directory"], ["env/dir", "env/loop"]);
        let codes: Vec<_> = walk.diagnostics.iter().map(|diagnostic| (diagnostic.path.as_deref().unwrap(), diagnostic.code)).collect();
        assert_eq!(codes, [("env/bad.tf", "link-leaves-root"), ("env/dead.tf", "unreadable-file")]);
    }

    #[test]
    fn a_directory_that_is_asked_for_is_entered_whatever_its_name() {
        let directory = tempfile::tempdir().unwrap();
        let root = directory.path().canonicalize().unwrap();
        write(&root, "node_modules/x/main.tf");
        let walk = walk(&root, &root.join("node_modules"), &GlobSet::empty());
        assert_eq!(walk.files.len(), 1);
    }
}
