//! The files that a scan may read: everything beneath the trust root, and nothing else.

use std::collections::HashMap;
use std::io::Read;
use std::path::PathBuf;
use std::sync::Arc;

use globset::GlobSet;
use keyblind_dialects::{Listing, Tree};

use crate::disk::Disk;
use crate::limits;
use crate::walk::{self, Walk};

/// Where files are read from, with texts that take the place of some of them.
#[derive(Debug)]
pub(crate) struct SourceTree {
    place: Place,
    overlay: HashMap<String, Arc<[u8]>>,
}

#[derive(Debug)]
enum Place {
    /// A directory on disk.
    Disk(Disk),
    /// A tree that doesn't lie on disk.
    Snapshot(Arc<dyn Listing>),
}

impl SourceTree {
    /// A tree of everything beneath `root`, which must be a canonical path.
    pub(crate) fn new(root: PathBuf) -> Self {
        Self { place: Place::Disk(Disk::new(root)), overlay: HashMap::new() }
    }

    /// A tree that doesn't lie on disk, such as a commit's.
    pub(crate) fn of_snapshot(snapshot: Arc<dyn Listing>) -> Self {
        Self { place: Place::Snapshot(snapshot), overlay: HashMap::new() }
    }

    /// Finds the files beneath a directory.
    pub(crate) fn walk(&self, directory: &str, exclude: &GlobSet) -> Walk {
        match &self.place {
            Place::Disk(disk) => walk::walk(disk.root(), &disk.root().join(directory), exclude),
            Place::Snapshot(snapshot) => walk::of_snapshot(&**snapshot, directory, exclude),
        }
    }

    /// Puts a text in the place of a file, also of one that doesn't exist (standard input).
    pub(crate) fn overlay(&mut self, path: &str, text: impl Into<Arc<[u8]>>) {
        self.overlay.insert(path.to_owned(), text.into());
    }

    /// Reads a file of at most `largest` bytes.
    ///
    /// # Errors
    /// Says in one sentence why the file can't be read.
    pub(crate) fn read_limited(&self, path: &str, largest: u64) -> Result<Arc<[u8]>, String> {
        if let Some(bytes) = self.overlay.get(path) {
            return Ok(bytes.clone());
        }
        let too_large = || format!("larger than {} MiB, which is the limit", largest / (1024 * 1024));
        let disk = match &self.place {
            Place::Disk(disk) => disk,
            Place::Snapshot(snapshot) => {
                let bytes = snapshot.read(path)?;
                return if bytes.len() as u64 > largest { Err(too_large()) } else { Ok(bytes) };
            }
        };
        let (file, length) = disk.open(path)?;
        // One byte more than there is, to see the end in the same reading.
        let mut bytes = Vec::with_capacity(usize::try_from(length.min(largest)).unwrap_or_default() + 1);
        file.take(largest + 1).read_to_end(&mut bytes).map_err(|error| describe(&error))?;
        if bytes.len() as u64 > largest {
            return Err(too_large());
        }
        Ok(bytes.into())
    }

    /// The first bytes of a file.
    ///
    /// # Errors
    /// Says in one sentence why the file can't be read.
    pub(crate) fn read_head(&self, path: &str, length: usize) -> Result<Vec<u8>, String> {
        if let Some(bytes) = self.overlay.get(path) {
            return Ok(bytes[..bytes.len().min(length)].to_vec());
        }
        let disk = match &self.place {
            Place::Disk(disk) => disk,
            Place::Snapshot(snapshot) => {
                let bytes = snapshot.read(path)?;
                return Ok(bytes[..bytes.len().min(length)].to_vec());
            }
        };
        let (file, whole) = disk.open(path)?;
        let mut head = Vec::with_capacity(length.min(usize::try_from(whole).unwrap_or(length)) + 1);
        file.take(length as u64).read_to_end(&mut head).map_err(|error| describe(&error))?;
        Ok(head)
    }
}

impl Tree for SourceTree {
    fn read(&self, path: &str) -> Result<Arc<[u8]>, String> {
        self.read_limited(path, limits::LARGEST_SOURCE)
    }

    fn list(&self, directory: &str) -> Vec<String> {
        let mut names: Vec<String> = match &self.place {
            Place::Disk(disk) => disk
                .resolve(directory)
                .ok()
                .and_then(|place| place.path.read_dir().ok())
                .into_iter()
                .flatten()
                .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
                .collect(),
            Place::Snapshot(snapshot) => snapshot.list(directory),
        };
        let beneath = |path: &str| -> Option<String> {
            let rest = if directory.is_empty() { path } else { path.strip_prefix(directory)?.strip_prefix('/')? };
            (!rest.contains('/')).then(|| rest.to_owned())
        };
        names.extend(self.overlay.keys().filter_map(|path| beneath(path)));
        names.sort();
        names.dedup();
        names
    }

    fn is_directory(&self, path: &str) -> bool {
        match &self.place {
            Place::Disk(disk) => disk.resolve(path).is_ok_and(|place| place.metadata.is_dir()),
            Place::Snapshot(snapshot) => snapshot.is_directory(path),
        }
    }
}

/// An operating system's error without its number, beginning in lower case.
pub(crate) fn describe(error: &std::io::Error) -> String {
    let text = error.to_string();
    let text = text.split(" (os error").next().unwrap_or_default();
    let mut characters = text.chars();
    characters.next().map_or_else(String::new, |first| first.to_lowercase().chain(characters).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tree() -> (tempfile::TempDir, SourceTree) {
        let directory = tempfile::tempdir().unwrap();
        let root = directory.path().canonicalize().unwrap();
        std::fs::create_dir_all(root.join("repo/sub")).unwrap();
        std::fs::write(root.join("repo/sub/a.tf"), "a").unwrap();
        std::fs::write(root.join("outside.tf"), "secret").unwrap();
        (directory, SourceTree::new(root.join("repo")))
    }

    #[test]
    fn nothing_outside_the_root_is_read() {
        let (directory, tree) = tree();
        let root = directory.path();
        std::os::unix::fs::symlink(root.join("outside.tf"), root.join("repo/link.tf")).unwrap();
        std::os::unix::fs::symlink(root, root.join("repo/up")).unwrap();
        std::os::unix::fs::symlink("sub/a.tf", root.join("repo/inside.tf")).unwrap();
        assert_eq!(tree.read("sub/a.tf").as_deref(), Ok(&b"a"[..]));
        assert_eq!(tree.read("inside.tf").as_deref(), Ok(&b"a"[..]));
        let absolute = root.join("outside.tf").display().to_string();
        for path in ["../outside.tf", "sub/../../outside.tf", "link.tf", "up/outside.tf", "./sub/a.tf", absolute.as_str(), "sub//a.tf"] {
            assert!(tree.read(path).is_err(), "{path}");
        }
        assert!(tree.list("up").is_empty());
        assert!(!tree.is_directory("up"));
        assert!(tree.is_directory("sub"));
    }

    #[test]
    fn what_is_no_regular_file_is_refused_without_waiting() {
        let (_directory, tree) = tree();
        assert_eq!(tree.read("sub").unwrap_err(), "not a regular file");
        assert_eq!(tree.read("none.tf").unwrap_err(), "no such file or directory");
    }

    #[test]
    fn too_large_is_an_error_and_not_a_part() {
        let (_directory, tree) = tree();
        assert!(tree.read_limited("sub/a.tf", 0).is_err());
        assert_eq!(tree.read_head("sub/a.tf", 100).as_deref(), Ok(&b"a"[..]));
    }

    #[test]
    fn an_overlay_takes_the_place_of_a_file() {
        let (_directory, mut tree) = tree();
        tree.overlay("sub/b.tf", *b"b");
        tree.overlay("sub/a.tf", *b"other");
        assert_eq!(tree.list("sub"), ["a.tf", "b.tf"]);
        assert_eq!(tree.read("sub/a.tf").as_deref(), Ok(&b"other"[..]));
    }
}
