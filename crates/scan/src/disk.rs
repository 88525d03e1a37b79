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
        let file = File::open(&path).map_err(|error| describe(&error))?;
        let opened = file.metadata().map_err(|error| describe(&error))?;
        // Between the look and the opening the path may have become another one's.
        if opened.is_file() && self.is_within(&file, &opened, &metadata) {
            Ok((file, opened.len()))
        } else {
            Err("it was replaced while it was opened".to_owned())
        }
    }

    /// Whether what was opened lies beneath the root, wherever the path leads by now.
    #[cfg(target_os = "linux")]
    fn is_within(&self, file: &File, opened: &Metadata, found: &Metadata) -> bool {
        use std::os::fd::AsRawFd as _;
        // The kernel knows where an open file is. Where there is no /proc to ask, that it is the file that was looked at has to do.
        let place = std::fs::read_link(format!("/proc/self/fd/{}", file.as_raw_fd()));
        place.map_or_else(|_| is_same(opened, found), |place| place.starts_with(&self.root))
    }

    /// Whether what was opened is what was looked at.
    #[cfg(not(target_os = "linux"))]
    fn is_within(&self, _: &File, opened: &Metadata, found: &Metadata) -> bool {
        is_same(opened, found)
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

#[cfg(unix)]
fn is_same(a: &Metadata, b: &Metadata) -> bool {
    use std::os::unix::fs::MetadataExt as _;
    (a.dev(), a.ino()) == (b.dev(), b.ino())
}

#[cfg(not(unix))]
fn is_same(a: &Metadata, b: &Metadata) -> bool {
    a.len() == b.len()
}

#[cfg(all(test, unix))]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails loudly")]

    use std::io::Read as _;
    use std::os::unix::fs::symlink;
    use std::sync::atomic::{AtomicBool, Ordering};

    use super::*;

    const ROUNDS: usize = 100_000;

    #[test]
    fn what_is_swapped_while_it_is_read_leads_nowhere() {
        let folder = tempfile::tempdir().unwrap();
        let top = folder.path().canonicalize().unwrap();
        let root = top.join("root");
        for place in ["root/inner", "outside"] {
            std::fs::create_dir_all(top.join(place)).unwrap();
            std::fs::write(top.join(place).join("a.tf"), if place == "outside" { "canary" } else { "inside" }).unwrap();
        }
        std::fs::write(root.join("a.tf"), "inside").unwrap();
        let is_over = AtomicBool::new(false);
        let (mut read, mut refused) = (0, 0);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                while !is_over.load(Ordering::Relaxed) {
                    // A file becomes a link, and the directory of another file does.
                    let _ = symlink(top.join("outside/a.tf"), root.join("link"));
                    let _ = std::fs::rename(root.join("link"), root.join("a.tf"));
                    let _ = std::fs::rename(root.join("inner"), root.join("moved"));
                    let _ = symlink(top.join("outside"), root.join("inner"));
                    std::thread::yield_now();
                    let _ = std::fs::remove_file(root.join("inner"));
                    let _ = std::fs::rename(root.join("moved"), root.join("inner"));
                    let _ = std::fs::write(root.join("plain"), "inside");
                    let _ = std::fs::rename(root.join("plain"), root.join("a.tf"));
                }
            });
            let disk = Disk::new(root.clone());
            for round in 0..ROUNDS {
                let path = if round % 2 == 0 { "a.tf" } else { "inner/a.tf" };
                match disk.open(path) {
                    Ok((mut file, _)) => {
                        let mut text = String::new();
                        file.read_to_string(&mut text).unwrap();
                        assert_ne!(text, "canary", "round {round}");
                        read += 1;
                    }
                    Err(_) => refused += 1,
                }
            }
            is_over.store(true, Ordering::Relaxed);
        });
        assert!(read > 0 && refused > 0, "{read} read, {refused} refused");
    }
}
