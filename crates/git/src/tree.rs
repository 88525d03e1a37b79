//! The files of one commit.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, PoisonError};

use gix_hash::ObjectId;
use gix_object::tree::EntryKind;
use gix_object::{FindExt, FindHeader};
use keyblind_dialects::{Listing, Tree, paths};

use crate::{GitError, Objects, broken};

/// Most files of a commit.
const MOST_FILES: usize = 5_000_000;
/// Deepest directory.
const DEEPEST: usize = 256;
/// Most symbolic links that lead to one file.
const MOST_LINKS: usize = 40;
/// Largest file that is read.
const LARGEST_FILE: u64 = 256 << 20;

/// The files of one commit, read from the object database when they are asked for.
///
/// A symbolic link is followed as long as it stays in the tree; submodules are empty directories.
pub struct CommitTree {
    objects: Objects,
    files: BTreeMap<String, (ObjectId, bool)>,
    directories: BTreeSet<String>,
}

impl std::fmt::Debug for CommitTree {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("CommitTree").field("files", &self.files.len()).finish_non_exhaustive()
    }
}

impl CommitTree {
    pub(crate) fn read(objects: Objects, root: ObjectId) -> Result<Self, GitError> {
        let mut tree = Self { objects: objects.clone(), files: BTreeMap::new(), directories: BTreeSet::from([String::new()]) };
        let mut open = vec![(String::new(), root, 0)];
        let mut buffer = Vec::new();
        while let Some((path, id, depth)) = open.pop() {
            let objects = objects.lock().unwrap_or_else(PoisonError::into_inner);
            let directory = objects.find_tree(&id, &mut buffer).map_err(|error| broken(id, &error))?;
            for entry in directory.entries {
                // A name that isn't UTF-8, or that leads elsewhere, is none of a file that anything refers to.
                let Some(place) = std::str::from_utf8(entry.filename).ok().and_then(|name| child(&path, name)) else { continue };
                match entry.mode.kind() {
                    EntryKind::Tree if depth < DEEPEST => {
                        tree.directories.insert(place.clone());
                        open.push((place, entry.oid.to_owned(), depth + 1));
                    }
                    EntryKind::Commit => drop(tree.directories.insert(place)),
                    EntryKind::Tree => {}
                    kind => drop(tree.files.insert(place, (entry.oid.to_owned(), kind == EntryKind::Link))),
                }
            }
            if tree.files.len() > MOST_FILES {
                return Err(GitError::Object { id: root.to_string(), reason: format!("it has more than {MOST_FILES} files") });
            }
        }
        Ok(tree)
    }

    /// A file's object id, which is equal for equal contents.
    pub fn id(&self, path: &str) -> Option<String> {
        self.files.get(path).map(|(id, _)| id.to_string())
    }

    fn bytes(&self, id: ObjectId) -> Result<Vec<u8>, String> {
        let objects = self.objects.lock().unwrap_or_else(PoisonError::into_inner);
        let size = objects.try_header(&id).ok().flatten().map_or(0, |header| header.size);
        if size > LARGEST_FILE {
            return Err(format!("larger than {} MiB, which is the limit", LARGEST_FILE >> 20));
        }
        let mut buffer = Vec::new();
        objects.find_blob(&id, &mut buffer).map_err(|error| format!("its object can't be read: {error}"))?;
        Ok(buffer)
    }

    /// Follows symbolic links, also those among the directories above.
    fn resolve(&self, path: &str) -> Result<String, String> {
        let mut resolved = String::new();
        let mut rest: Vec<String> = path.split('/').rev().map(str::to_owned).collect();
        let mut links = 0;
        while let Some(part) = rest.pop() {
            if part.is_empty() {
                continue;
            }
            let place = paths::join(&resolved, &part).ok_or("the path doesn't lie beneath the root")?;
            match self.files.get(&place) {
                Some((id, true)) => {
                    links += 1;
                    if links > MOST_LINKS {
                        return Err("too many symbolic links".to_owned());
                    }
                    let target = String::from_utf8(self.bytes(*id)?).map_err(|_| "a symbolic link isn't UTF-8".to_owned())?;
                    if target.starts_with('/') {
                        return Err("a symbolic link leads out of the root".to_owned());
                    }
                    rest.extend(target.split('/').rev().map(str::to_owned));
                }
                _ => resolved = place,
            }
        }
        Ok(resolved)
    }
}

fn child(directory: &str, name: &str) -> Option<String> {
    let is_plain = !name.is_empty() && name != "." && name != ".." && !name.contains(['/', '\0']);
    is_plain.then(|| if directory.is_empty() { name.to_owned() } else { format!("{directory}/{name}") })
}

impl Listing for CommitTree {
    fn files(&self) -> Vec<String> {
        self.files.iter().filter(|(_, (_, is_link))| !is_link).map(|(path, _)| path.clone()).collect()
    }
}

impl Tree for CommitTree {
    fn read(&self, path: &str) -> Result<Arc<[u8]>, String> {
        let resolved = self.resolve(path)?;
        match self.files.get(&resolved) {
            Some((id, _)) => self.bytes(*id).map(Arc::from),
            None if self.directories.contains(&resolved) => Err("not a regular file".to_owned()),
            None => Err("no such file or directory".to_owned()),
        }
    }

    fn list(&self, directory: &str) -> Vec<String> {
        let Ok(resolved) = self.resolve(directory) else { return Vec::new() };
        let prefix = if resolved.is_empty() { String::new() } else { format!("{resolved}/") };
        let name = |path: &String| path.strip_prefix(&prefix).filter(|rest| !rest.is_empty() && !rest.contains('/')).map(str::to_owned);
        let files = self.files.range(prefix.clone()..).map(|(path, _)| path).take_while(|path| path.starts_with(&prefix));
        let directories = self.directories.range(prefix.clone()..).take_while(|path| path.starts_with(&prefix));
        let mut names: Vec<String> = files.chain(directories).filter_map(name).collect();
        names.sort();
        names.dedup();
        names
    }

    fn is_directory(&self, path: &str) -> bool {
        self.resolve(path).is_ok_and(|resolved| self.directories.contains(&resolved))
    }
}
