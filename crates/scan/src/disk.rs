//! A directory on disk that nothing leads out of.

use std::collections::HashMap;
use std::fs::{File, Metadata};
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};

use crate::tree::describe;

/// A directory by its canonical path. Symbolic links are followed as long as they stay in it.
#[derive(Debug)]
pub(crate) struct Disk {
    root: PathBuf,
    /// Where directories really are. Every file asks for its own, and finding out takes a call for each part of the path.
    directories: RwLock<HashMap<String, Result<Arc<Path>, String>>>,
}

/// What a path leads to when all links are followed.
pub(crate) struct Found {
    pub(crate) path: PathBuf,
    pub(crate) metadata: Metadata,
}

impl Disk {
    pub(crate) fn new(root: PathBuf) -> Self {
        Self { root, directories: RwLock::default() }
    }

    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    /// The canonical place of a path, if it lies beneath the root.
    pub(crate) fn resolve(&self, path: &str) -> Result<Found, String> {
        let plain =
            !path.starts_with('/') && path.split('/').all(|part| part != ".." && part != "." && (path.is_empty() || !part.is_empty()));
        if !plain || path.contains('\0') {
            return Err("the path doesn't lie beneath the root".to_owned());
        }
        let (directory, name) = path.rsplit_once('/').unwrap_or(("", path));
        let directory = self.directory(directory)?;
        let path = if name.is_empty() { directory.to_path_buf() } else { directory.join(name) };
        let metadata = path.symlink_metadata().map_err(|error| describe(&error))?;
        if !metadata.is_symlink() {
            return Ok(Found { path, metadata });
        }
        let path = self.canonical(&path)?;
        let metadata = path.metadata().map_err(|error| describe(&error))?;
        Ok(Found { path, metadata })
    }

    /// Opens what is a regular file, and says how long it is: opening a pipe would wait for ever.
    pub(crate) fn open(&self, path: &str) -> Result<(File, u64), String> {
        let Found { path, metadata } = self.resolve(path)?;
        if !metadata.is_file() {
            return Err("not a regular file".to_owned());
        }
        Ok((File::open(&path).map_err(|error| describe(&error))?, metadata.len()))
    }

    /// The canonical place of a directory, found once.
    fn directory(&self, path: &str) -> Result<Arc<Path>, String> {
        if let Some(known) = self.directories.read().unwrap_or_else(PoisonError::into_inner).get(path) {
            return known.clone();
        }
        let found = self.canonical(&self.root.join(path)).map(Arc::from);
        self.directories.write().unwrap_or_else(PoisonError::into_inner).insert(path.to_owned(), found.clone());
        found
    }

    fn canonical(&self, path: &Path) -> Result<PathBuf, String> {
        let canonical = path.canonicalize().map_err(|error| describe(&error))?;
        if canonical.starts_with(&self.root) { Ok(canonical) } else { Err("a symbolic link leads out of the root".to_owned()) }
    }
}
