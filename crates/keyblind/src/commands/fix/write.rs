//! Changed texts into files: each whole or not at all, and never outside the trust root.

use std::fs;
use std::path::PathBuf;

use anyhow::Context;
use keyblind_scan::ScanReport;

use super::Changes;
use super::index::{Index, Standing};
use crate::exit::UsageError;
use crate::output;

/// Refuses what must not be written, before anything is.
pub(super) fn check(report: &ScanReport, changes: &Changes, force: bool) -> anyhow::Result<()> {
    let index = if force { None } else { Index::of(report.places.root()).map_err(UsageError::new)? };
    for (path, (old, _)) in changes {
        let place = place(report, path)?;
        let now = fs::read(&place).with_context(|| format!("can't read `{}`", place.display()))?;
        if now != old.as_bytes() {
            return Err(UsageError::new(format_args!("`{path}` was changed while it was judged: run the command again")).into());
        }
        let reason = match index.as_ref().map(|index| index.standing(path, &now)) {
            Some(Standing::Changed) => "differs from git's index",
            Some(Standing::Untracked) => "isn't known to git",
            Some(Standing::Same) | None => continue,
        };
        return Err(UsageError::new(format_args!("`{path}` {reason}: stage it first, or add `--force`")).into());
    }
    Ok(())
}

pub(super) fn write(report: &ScanReport, changes: &Changes) -> anyhow::Result<()> {
    for (path, (_, new)) in changes {
        let place = place(report, path)?;
        let permissions = fs::metadata(&place).with_context(|| format!("can't read `{}`", place.display()))?.permissions();
        output::save_with(&place, |out| out.write_all(new.as_bytes()))?;
        fs::set_permissions(&place, permissions).with_context(|| format!("can't set the permissions of `{}`", place.display()))?;
    }
    Ok(())
}

/// The file of a path beneath the trust root; a link isn't followed.
fn place(report: &ScanReport, path: &str) -> anyhow::Result<PathBuf> {
    let root = report.places.root();
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
