//! Reads git repositories: revisions, commits and the files in them. Never writes, never connects and never runs a program.
//! Of a repository's configuration only the addresses of its remotes are read, so that nothing hostile in it decides what
//! happens.

mod provenance;
mod revision;
mod tree;

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use gix_hash::ObjectId;
use gix_object::FindExt;

pub use provenance::Provenance;
pub use tree::CommitTree;

/// Objects as a shared, locked handle: its caches are for one thread at a time.
type Objects = Arc<Mutex<gix_odb::HandleArc>>;

/// Why a repository can't be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum GitError {
    /// There is none.
    #[error("`{0}` isn't in a git repository")]
    NoRepository(String),
    /// It is there and can't be opened.
    #[error("the git repository at `{path}` can't be read: {reason}")]
    Unreadable {
        /// Its directory.
        path: String,
        /// Why.
        reason: String,
    },
    /// No commit has that name.
    #[error("`{0}` is no commit of this repository; fetch it first if it is on a server, and mind that shallow clones lack history")]
    NoCommit(String),
    /// Two commits have nothing in common.
    #[error("`{0}` and `{1}` have no common ancestor in this clone")]
    NoMergeBase(String, String),
    /// An object is damaged or missing.
    #[error("object {id} can't be read: {reason}")]
    Object {
        /// Its id.
        id: String,
        /// Why.
        reason: String,
    },
}

/// A commit's id.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct CommitId(pub(crate) ObjectId);

impl std::fmt::Display for CommitId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}", self.0)
    }
}

/// A repository on disk.
pub struct Repository {
    top: PathBuf,
    /// The directory that holds what all work trees share, the configuration among it.
    common: PathBuf,
    objects: Objects,
    refs: gix_ref::file::Store,
}

impl std::fmt::Debug for Repository {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Repository").field("top", &self.top).finish_non_exhaustive()
    }
}

impl Repository {
    /// Finds the repository that a path lies in.
    ///
    /// # Errors
    /// If there is none, or it can't be opened.
    pub fn discover(path: &Path) -> Result<Self, GitError> {
        let start = path.canonicalize().unwrap_or_else(|_| path.to_path_buf());
        for directory in start.ancestors() {
            let dot_git = directory.join(".git");
            if dot_git.is_dir() {
                return Self::open(directory, dot_git);
            }
            // Of a linked work tree or a submodule: a file that says where.
            if let Ok(text) = std::fs::read_to_string(&dot_git)
                && let Some(place) = text.strip_prefix("gitdir:")
            {
                return Self::open(directory, directory.join(place.trim()));
            }
            if directory.join("objects").is_dir() && directory.join("HEAD").is_file() && directory.join("refs").is_dir() {
                return Self::open(directory, directory.to_path_buf());
            }
        }
        Err(GitError::NoRepository(path.display().to_string()))
    }

    fn open(top: &Path, git: PathBuf) -> Result<Self, GitError> {
        let unreadable = |reason: String| GitError::Unreadable { path: git.display().to_string(), reason };
        let common = match std::fs::read_to_string(git.join("commondir")) {
            Ok(text) => git.join(text.trim()),
            Err(_) => git.clone(),
        };
        let objects = gix_odb::at(common.join("objects"), gix_hash::Kind::Sha1)
            .and_then(|objects| objects.into_arc())
            .map_err(|error| unreadable(error.to_string()))?;
        let refs = if common == git {
            gix_ref::file::Store::at(git.clone(), gix_hash::Kind::Sha1)
        } else {
            gix_ref::file::Store::for_linked_worktree(git.clone(), common.clone(), gix_hash::Kind::Sha1)
        };
        Ok(Self { top: top.to_path_buf(), common, objects: Arc::new(Mutex::new(objects)), refs })
    }

    /// The top of the work tree.
    pub fn top(&self) -> &Path {
        &self.top
    }

    /// All files of a commit.
    ///
    /// # Errors
    /// If one of its directories can't be read.
    pub fn tree(&self, commit: CommitId) -> Result<CommitTree, GitError> {
        let mut buffer = Vec::new();
        let root = {
            let objects = self.objects.lock().unwrap_or_else(PoisonError::into_inner);
            let commit = objects.find_commit(&commit.0, &mut buffer).map_err(|error| broken(commit.0, &error))?;
            commit.tree()
        };
        CommitTree::read(self.objects.clone(), root)
    }
}

fn broken(id: ObjectId, error: &dyn std::fmt::Display) -> GitError {
    GitError::Object { id: id.to_string(), reason: error.to_string() }
}
