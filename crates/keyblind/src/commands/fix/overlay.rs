//! A tree on disk in which some files have other texts: what would be there if the fixes were written.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use keyblind_dialects::{Listing, Tree};

/// The files beneath a folder that holds no links: one that an archive was unpacked to.
#[derive(Debug)]
pub(super) struct Overlay {
    root: PathBuf,
    /// The paths of all files and folders, and the texts that are others.
    files: BTreeMap<String, Option<Arc<[u8]>>>,
    folders: BTreeMap<String, Vec<String>>,
}

impl Overlay {
    /// Lists a folder, and puts texts in the place of files that are there.
    ///
    /// # Errors
    /// If it can't be listed.
    pub(super) fn new(root: &Path, texts: &BTreeMap<String, Arc<str>>) -> std::io::Result<Self> {
        let mut overlay = Self { root: root.to_owned(), files: BTreeMap::new(), folders: BTreeMap::new() };
        let mut open = vec![String::new()];
        while let Some(folder) = open.pop() {
            let mut names = Vec::new();
            for entry in root.join(&folder).read_dir()? {
                let entry = entry?;
                // A name that isn't text can't be referred to; what the scan left out for it was said before.
                let Ok(name) = entry.file_name().into_string() else { continue };
                let path = if folder.is_empty() { name.clone() } else { format!("{folder}/{name}") };
                let kind = entry.file_type()?;
                if kind.is_dir() {
                    open.push(path);
                } else if kind.is_file() {
                    let text = texts.get(&path).map(|text| Arc::from(text.as_bytes()));
                    overlay.files.insert(path, text);
                } else {
                    continue;
                }
                names.push(name);
            }
            names.sort();
            overlay.folders.insert(folder, names);
        }
        Ok(overlay)
    }
}

impl Listing for Overlay {
    fn files(&self) -> Vec<String> {
        self.files.keys().cloned().collect()
    }
}

impl Tree for Overlay {
    fn read(&self, path: &str) -> Result<Arc<[u8]>, String> {
        match self.files.get(path) {
            Some(Some(text)) => Ok(text.clone()),
            // It was listed, so it lies beneath the root.
            Some(None) => std::fs::read(self.root.join(path)).map(Arc::from).map_err(|error| error.to_string()),
            None if self.folders.contains_key(path) => Err("not a regular file".to_owned()),
            None => Err("no such file or directory".to_owned()),
        }
    }

    fn list(&self, directory: &str) -> Vec<String> {
        self.folders.get(directory).cloned().unwrap_or_default()
    }

    fn is_directory(&self, path: &str) -> bool {
        self.folders.contains_key(path)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_listed_can_be_read_and_nothing_else() {
        let folder = keyblind_testkit::Folder::new([("repo/a.tf", "a"), ("repo/sub/b.tf", "b"), ("outside.tf", "x")]);
        std::os::unix::fs::symlink("../outside.tf", folder.path().join("repo/link.tf")).expect("a link can be made");
        let texts = BTreeMap::from([("a.tf".to_owned(), Arc::from("other")), ("none.tf".to_owned(), Arc::from("new"))]);
        let overlay = Overlay::new(&folder.path().join("repo"), &texts).expect("it can be listed");
        assert_eq!(overlay.files(), ["a.tf", "sub/b.tf"]);
        assert_eq!(overlay.read("a.tf").as_deref(), Ok(&b"other"[..]));
        assert_eq!(overlay.read("sub/b.tf").as_deref(), Ok(&b"b"[..]));
        assert_eq!((overlay.list(""), overlay.list("sub")), (vec!["a.tf".to_owned(), "sub".to_owned()], vec!["b.tf".to_owned()]));
        assert!(overlay.is_directory("sub") && overlay.is_directory("") && !overlay.is_directory("a.tf"));
        for path in ["link.tf", "../outside.tf", "sub", "none.tf", "sub/../a.tf"] {
            assert!(overlay.read(path).is_err(), "{path}");
        }
    }
}
