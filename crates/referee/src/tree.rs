//! Folders of files to work on.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};

use crate::edits::digest;

/// Larger files are no matter to a scan.
const MAX_FILE: u64 = 4 << 20;

/// Copies a tree without what git keeps, without links and without large files.
///
/// # Errors
/// If something can't be read or written.
pub fn copy(from: &Path, to: &Path) -> Result<()> {
    for file in files(from)? {
        let target = to.join(&file);
        fs::create_dir_all(target.parent().unwrap_or(to))?;
        fs::copy(from.join(&file), &target).with_context(|| format!("{} can't be copied", file.display()))?;
    }
    Ok(())
}

/// The digests of all files.
pub(crate) fn digests(folder: &Path) -> Result<BTreeMap<PathBuf, String>> {
    files(folder)?.into_iter().map(|file| Ok((file.clone(), digest(&fs::read(folder.join(file))?)))).collect()
}

fn files(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut open = vec![folder.to_owned()];
    let mut found = Vec::new();
    while let Some(inner) = open.pop() {
        for entry in fs::read_dir(&inner).with_context(|| format!("{} can't be listed", inner.display()))? {
            let entry = entry?;
            let kind = entry.file_type()?;
            if kind.is_dir() && entry.file_name() != ".git" {
                open.push(entry.path());
            } else if kind.is_file() && entry.metadata()?.len() <= MAX_FILE {
                found.push(entry.path().strip_prefix(folder)?.to_owned());
            }
        }
    }
    found.sort();
    Ok(found)
}
