//! Changed texts into files: all of them or none, each whole, and never outside the trust root.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Context;
use keyblind_scan::ScanReport;

use super::Changes;
use super::index::{Index, Standing};
use crate::exit::UsageError;
use crate::{output, terminal};

/// Knows which files may be written.
pub(super) struct Guard {
    root: PathBuf,
    /// What is staged; nothing where there is no repository, or where it doesn't matter.
    index: Option<Index>,
}

impl Guard {
    /// Reads git's index, unless it doesn't matter.
    ///
    /// # Errors
    /// If the index can't be read.
    pub(super) fn new(report: &ScanReport, force: bool) -> anyhow::Result<Self> {
        let root = report.places.root().to_path_buf();
        let index = if force { None } else { Index::of(&root).map_err(UsageError::new)? };
        Ok(Self { root, index })
    }

    /// Refuses a file that must not be written. `old` is the text that was judged.
    ///
    /// # Errors
    /// If it was changed since, differs from what is staged, isn't known to git, or is a link.
    pub(super) fn check(&self, path: &str, old: &str) -> anyhow::Result<()> {
        let place = place(&self.root, path)?;
        let now = fs::read(&place).with_context(|| format!("can't read `{}`", place.display()))?;
        if now != old.as_bytes() {
            return Err(UsageError::new(format_args!("`{path}` was changed while it was judged: run the command again")).into());
        }
        let reason = match self.index.as_ref().map(|index| index.standing(path, &now)) {
            Some(Standing::Changed) => "differs from git's index",
            Some(Standing::Untracked) => "isn't known to git",
            Some(Standing::Same) | None => return Ok(()),
        };
        Err(UsageError::new(format_args!("`{path}` {reason}: stage it first, or add `--force`")).into())
    }
}

/// Refuses what must not be written, before anything is.
pub(super) fn check(report: &ScanReport, changes: &Changes, force: bool) -> anyhow::Result<()> {
    let guard = Guard::new(report, force)?;
    changes.iter().try_for_each(|(path, (old, _))| guard.check(path, old))
}

/// Writes all files. If one can't be written, those before it are put back.
pub(super) fn write(root: &Path, changes: &Changes) -> anyhow::Result<()> {
    for (number, (path, (_, new))) in changes.iter().enumerate() {
        if let Err(error) = replace(root, path, new) {
            put_back(root, changes.iter().take(number).map(|(path, (old, new))| (path.as_str(), &**old, &**new)));
            return Err(error);
        }
    }
    Ok(())
}

/// Puts all files back as they were.
pub(super) fn take_back(root: &Path, changes: &Changes) {
    put_back(root, changes.iter().map(|(path, (old, new))| (path.as_str(), &**old, &**new)));
}

/// Puts files back, each if it still is as it was written. What can't be put back is said: there is nobody else to mend it.
fn put_back<'c>(root: &Path, files: impl Iterator<Item = (&'c str, &'c str, &'c str)>) {
    for (path, old, new) in files {
        let is_ours = fs::read(root.join(path)).is_ok_and(|now| now == new.as_bytes());
        let result = if is_ours { replace(root, path, old) } else { Err(anyhow::anyhow!("somebody else changed it meanwhile")) };
        if let Err(error) = result {
            terminal::say(format_args!("error: `{path}` is not as it was, and can't be put back: {error:#}"));
        }
    }
}

fn replace(root: &Path, path: &str, text: &str) -> anyhow::Result<()> {
    let place = place(root, path)?;
    let permissions = fs::metadata(&place).with_context(|| format!("can't read `{}`", place.display()))?.permissions();
    output::save_with(&place, |out| out.write_all(text.as_bytes()))?;
    fs::set_permissions(&place, permissions).with_context(|| format!("can't set the permissions of `{}`", place.display()))
}

/// The file of a path beneath the trust root; a link isn't followed.
fn place(root: &Path, path: &str) -> anyhow::Result<PathBuf> {
    let place = root.join(path);
    let canonical = place.canonicalize().with_context(|| format!("can't find `{}`", place.display()))?;
    if canonical != place || !canonical.starts_with(root) {
        return Err(UsageError::new(format_args!(
            "`{path}` is a symbolic link, which isn't written through: fix the file that it leads to"
        ))
        .into());
    }
    Ok(place)
}
