//! A tree of files in memory: for standard input, rule examples and tests.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::{Tree, paths};

/// Files by path. An empty one is a tree in which nothing can be read.
#[derive(Clone, Debug, Default)]
pub struct MemoryTree {
    files: BTreeMap<String, Arc<[u8]>>,
}

impl MemoryTree {
    /// Takes paths (relative to the root) and texts.
    pub fn new<'f>(files: impl IntoIterator<Item = (&'f str, &'f str)>) -> Self {
        Self { files: files.into_iter().map(|(path, text)| (path.to_owned(), text.as_bytes().into())).collect() }
    }
}

impl Tree for MemoryTree {
    fn read(&self, path: &str) -> Result<Arc<[u8]>, String> {
        self.files.get(path).cloned().ok_or_else(|| "there is no such file".to_owned())
    }

    fn list(&self, directory: &str) -> Vec<String> {
        let prefix = if directory.is_empty() { String::new() } else { format!("{directory}/") };
        let below = self.files.keys().filter_map(|path| path.strip_prefix(&prefix));
        let mut names: Vec<String> = below.map(|path| path.split('/').next().unwrap_or(path).to_owned()).collect();
        names.dedup();
        names
    }

    fn is_directory(&self, path: &str) -> bool {
        self.files.keys().any(|file| {
            paths::parent(file).strip_prefix(path).is_some_and(|rest| path.is_empty() || rest.is_empty() || rest.starts_with('/'))
        })
    }
}
