//! A folder that lives as long as its test.

use std::path::{Path, PathBuf};

use tempfile::TempDir;

/// A temporary folder with files.
#[derive(Debug)]
pub struct Folder {
    // Only kept so that the folder is taken away with it.
    _guard: TempDir,
    path: PathBuf,
}

impl Folder {
    /// Makes a folder with files, given as path and text.
    ///
    /// # Panics
    /// If it can't: the test can't go on.
    pub fn new<'f>(files: impl IntoIterator<Item = (&'f str, &'f str)>) -> Self {
        let guard = tempfile::tempdir().expect("a temporary folder can be made");
        let path = guard.path().canonicalize().expect("the temporary folder is there");
        let folder = Self { _guard: guard, path };
        for (name, text) in files {
            folder.write(name, text);
        }
        folder
    }

    /// Its canonical path.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Writes a file, and the folders that it lies in.
    ///
    /// # Panics
    /// If it can't: the test can't go on.
    pub fn write(&self, name: &str, text: impl AsRef<[u8]>) {
        let place = self.path.join(name);
        if let Some(folder) = place.parent() {
            std::fs::create_dir_all(folder).expect("folders can be made");
        }
        std::fs::write(place, text).expect("files can be written");
    }

    /// The text of a file.
    ///
    /// # Panics
    /// If it can't be read: the test can't go on.
    pub fn read(&self, name: &str) -> String {
        std::fs::read_to_string(self.path.join(name)).expect("the file can be read")
    }
}
