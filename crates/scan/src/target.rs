//! What is judged (the paths that were given) and what may be read (the trust root).

use std::path::{Component, Path, PathBuf};

use crate::place::Places;
use crate::{tree, walk};

/// What was asked for, resolved.
#[derive(Clone, Debug)]
pub struct Targets {
    /// The trust root: a canonical directory.
    pub root: PathBuf,
    /// What to judge, relative to the root.
    pub paths: Vec<Target>,
    /// The directory of the code that plans were made from, relative to the root.
    pub code: Option<String>,
    /// How paths are shown.
    pub places: Places,
}

/// One thing to judge, by its path relative to the trust root.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// All that lies beneath a directory.
    Directory(String),
    /// One file.
    File(String),
    /// One file whose text is given; it need not exist.
    Text(String),
}

/// Why what was asked for can't be scanned.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TargetError {
    /// The path can't be found or read.
    #[error("`{path}` can't be scanned: {reason}")]
    Unreadable {
        /// As it was given.
        path: String,
        /// Why.
        reason: String,
    },
    /// The path lies outside the trust root.
    #[error("`{path}` lies outside the trust root `{root}`; widen the root with `--root`")]
    OutsideRoot {
        /// As it was given.
        path: String,
        /// The root.
        root: String,
    },
    /// The paths lie in different repositories.
    #[error("`{first}` and `{second}` lie in different repositories: scan one after the other, or name what may be read with `--root`")]
    DifferentRepositories {
        /// One of them.
        first: String,
        /// Another.
        second: String,
    },
}

impl Targets {
    /// Resolves paths. The trust root is `root` if it is given, otherwise the top of the repository, otherwise the directory
    /// that was asked for. `text` names a file whose text comes from elsewhere, `code` the directory that plans were made
    /// from.
    ///
    /// # Errors
    /// If a path can't be found, or lies outside the trust root.
    pub fn resolve(paths: &[PathBuf], text: Option<&Path>, code: Option<&Path>, root: Option<&Path>) -> Result<Self, TargetError> {
        let unreadable = |path: &Path, reason: String| TargetError::Unreadable { path: path.display().to_string(), reason };
        let canonical = |path: &Path| path.canonicalize().map_err(|error| unreadable(path, tree::describe(&error)));
        let current = canonical(Path::new("."))?;
        let mut places = Vec::new();
        for path in paths {
            places.push((path.clone(), canonical(path)?));
        }
        if let Some(path) = text {
            let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
            let name = path.file_name().ok_or_else(|| unreadable(path, "it names no file".to_owned()))?;
            places.push((path.to_owned(), canonical(folder)?.join(name)));
        }
        // The code lies beneath the trust root as well, but isn't judged for that.
        let judged = places.len();
        if let Some(code) = code {
            let place = canonical(code)?;
            if !place.is_dir() {
                return Err(unreadable(code, "it must be a directory".to_owned()));
            }
            places.push((code.to_owned(), place));
        }
        let root = match root {
            Some(root) => {
                let place = canonical(root)?;
                if !place.is_dir() {
                    return Err(unreadable(root, "the trust root must be a directory".to_owned()));
                }
                place
            }
            None => trust_root(&places, &current)?,
        };
        let mut found = Vec::new();
        let mut code_directory = None;
        for (index, (given, place)) in places.iter().enumerate() {
            if !place.starts_with(&root) {
                return Err(TargetError::OutsideRoot { path: given.display().to_string(), root: root.display().to_string() });
            }
            let path = walk::relative(&root, place).map_err(|_| unreadable(given, "its name isn't UTF-8".to_owned()))?;
            if index == judged {
                code_directory = Some(path);
                continue;
            }
            let target = if text == Some(given.as_path()) {
                Target::Text(path)
            } else if place.is_dir() {
                Target::Directory(path)
            } else {
                Target::File(path)
            };
            if !found.contains(&target) {
                found.push(target);
            }
        }
        let scanned = match found.as_slice() {
            [Target::Directory(path)] => Some(path.clone()),
            _ => None,
        };
        Ok(Self { places: Places::new(root.clone(), current, scanned), root, paths: found, code: code_directory })
    }

    /// A path that a user gave, relative to the trust root.
    ///
    /// # Errors
    /// If it can't be found, or lies outside the trust root.
    pub fn within(&self, path: &Path) -> Result<String, TargetError> {
        let unreadable = |reason: String| TargetError::Unreadable { path: path.display().to_string(), reason };
        let place = path.canonicalize().map_err(|error| unreadable(tree::describe(&error)))?;
        if !place.starts_with(&self.root) {
            return Err(TargetError::OutsideRoot { path: path.display().to_string(), root: self.root.display().to_string() });
        }
        walk::relative(&self.root, &place).map_err(|_| unreadable("its name isn't UTF-8".to_owned()))
    }
}

/// The top of the repository that all places lie in; without a repository, the deepest directory that holds them all.
fn trust_root(places: &[(PathBuf, PathBuf)], current: &Path) -> Result<PathBuf, TargetError> {
    let mut top: Option<(&PathBuf, Option<&Path>)> = None;
    for (given, place) in places {
        let repository = place.ancestors().find(|folder| folder.join(".git").symlink_metadata().is_ok());
        match top {
            None => top = Some((given, repository)),
            Some((first, known)) if known != repository => {
                return Err(TargetError::DifferentRepositories { first: first.display().to_string(), second: given.display().to_string() });
            }
            Some(_) => {}
        }
    }
    if let Some((_, Some(repository))) = top {
        return Ok(repository.to_owned());
    }
    let folder = |place: &Path| if place.is_dir() { place.to_owned() } else { place.parent().unwrap_or(place).to_owned() };
    let mut shared = places.first().map_or_else(|| current.to_owned(), |(_, place)| folder(place));
    for (_, place) in &places[1.min(places.len())..] {
        let other = folder(place);
        shared =
            shared.components().zip(other.components()).take_while(|(a, b)| a == b).map(|(part, _): (Component<'_>, _)| part).collect();
    }
    Ok(shared)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn repository() -> (tempfile::TempDir, PathBuf) {
        let directory = tempfile::tempdir().unwrap();
        let root = directory.path().canonicalize().unwrap();
        for path in ["repo/.git", "repo/envs/prod", "other/.git", "plain/a", "plain/b"] {
            std::fs::create_dir_all(root.join(path)).unwrap();
        }
        std::fs::write(root.join("repo/envs/prod/main.tf"), "").unwrap();
        (directory, root)
    }

    #[test]
    fn the_trust_root_is_the_top_of_the_repository() {
        let (_directory, root) = repository();
        let targets = Targets::resolve(&[root.join("repo/envs/prod")], None, None, None).unwrap();
        assert_eq!(targets.root, root.join("repo"));
        assert_eq!(targets.paths, [Target::Directory("envs/prod".into())]);
        assert_eq!(targets.places.in_report("envs/prod/main.tf"), "main.tf");
        let targets = Targets::resolve(&[root.join("repo/envs/prod/main.tf")], None, None, None).unwrap();
        assert_eq!(targets.paths, [Target::File("envs/prod/main.tf".into())]);
    }

    #[test]
    fn without_a_repository_it_is_what_holds_all_that_was_asked_for() {
        let (_directory, root) = repository();
        assert_eq!(Targets::resolve(&[root.join("plain/a")], None, None, None).unwrap().root, root.join("plain/a"));
        let targets = Targets::resolve(&[root.join("plain/a"), root.join("plain/b")], None, None, None).unwrap();
        assert_eq!(targets.root, root.join("plain"));
    }

    #[test]
    fn nothing_outside_the_root_can_be_asked_for() {
        let (_directory, root) = repository();
        let error = Targets::resolve(&[root.join("plain/a")], None, None, Some(&root.join("repo"))).unwrap_err();
        assert!(matches!(error, TargetError::OutsideRoot { .. }));
        let error = Targets::resolve(&[root.join("repo"), root.join("other")], None, None, None).unwrap_err();
        assert!(matches!(error, TargetError::DifferentRepositories { .. }));
        let error = Targets::resolve(&[root.join("nowhere")], None, None, None).unwrap_err();
        assert!(error.to_string().ends_with("no such file or directory"));
    }

    #[test]
    fn a_text_may_stand_for_a_file_that_does_not_exist() {
        let (_directory, root) = repository();
        let targets = Targets::resolve(&[], Some(&root.join("repo/envs/new.tf")), None, None).unwrap();
        assert_eq!((targets.root, targets.paths), (root.join("repo"), vec![Target::Text("envs/new.tf".into())]));
    }
}
