//! Requests about repositories and modules.

use serde::{Deserialize, Serialize};

use super::{Bulk, attached_bulk};
use crate::digests::Digest;
use crate::identifiers::Count;
use crate::limits;
use crate::lists::bounded;
use crate::names::{BranchName, CommitId, ConnectionName, MarkerName, ModuleNamespace, ModuleVersions, Owner, RepositoryName, RuleId};
use crate::paths::RepositoryPath;
use crate::text::{Line, Prose};

/// A repository at a connected forge.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Repository {
    /// Which forge, by the name that the broker's configuration gives it.
    pub forge: ConnectionName,
    /// Its owner.
    pub owner: Owner,
    /// Its name.
    pub name: RepositoryName,
}

/// A state of a repository.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum Revision {
    /// The newest commit of the default branch.
    DefaultBranch,
    /// The newest commit of a branch.
    Branch(BranchName),
    /// Exactly this commit.
    Commit(CommitId),
    /// The head of a pull request.
    PullRequest(Count),
    /// The tag of that name or, where there is none, the newest commit of the branch.
    Named(BranchName),
}

/// See [`super::Intent::ListRepositories`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ListRepositories {
    /// At which forge.
    pub forge: ConnectionName,
}

/// See [`super::Intent::ReadRepository`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ReadRepository {
    /// Which.
    pub repository: Repository,
    /// Which state of it.
    pub revision: Revision,
}

/// See [`super::Intent::ReadModule`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ReadModule {
    /// Where it comes from.
    pub origin: ModuleOrigin,
    /// The digest that was locked for it: other bytes aren't handed over.
    pub locked: Option<Digest>,
}

/// Where a module comes from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum ModuleOrigin {
    /// A registry that speaks the module registry protocol.
    Registry {
        /// Which, by the name that the broker's configuration gives it.
        registry: ConnectionName,
        /// Who publishes it.
        namespace: ModuleNamespace,
        /// Its name.
        name: ModuleNamespace,
        /// The system that it is for, like `aws`.
        target: ModuleNamespace,
        /// Which versions would do.
        version: ModuleVersions,
    },
    /// A repository.
    Git {
        /// Which.
        repository: Repository,
        /// Which state of it.
        revision: Revision,
        /// The folder in it; its top if there is none.
        folder: Option<RepositoryPath>,
    },
}

/// See [`super::Intent::ProposePullRequest`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ProposePullRequest {
    /// Where.
    pub repository: Repository,
    /// The branch that it should be merged into.
    pub base: BranchName,
    /// The commit that was scanned and that the change was made for.
    pub base_commit: CommitId,
    /// Our own branch: its name begins with `keyblind/`.
    #[serde(deserialize_with = "own_branch")]
    pub branch: BranchName,
    /// What is changed, sorted by path, none twice.
    #[serde(deserialize_with = "attached_files")]
    pub files: Vec<AttachedFile>,
    /// The new contents of these files, one after the other.
    #[serde(deserialize_with = "attached_bulk")]
    pub contents: Bulk,
    /// The pull request's and the commit's title.
    pub title: Line,
    /// The explanation, the proof, the undo.
    pub explanation: Prose,
    /// The rules whose findings it fixes.
    #[serde(deserialize_with = "fixed_rules")]
    pub fixes: Vec<RuleId>,
}

/// One file of a change.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AttachedFile {
    /// Where it is.
    pub path: RepositoryPath,
    /// The contents that were scanned; none if the file is new.
    pub before: Option<Digest>,
    /// The contents that it gets.
    pub after: Bulk,
    /// How git keeps it.
    pub mode: FileMode,
}

/// How git keeps a file. Links and submodules can't be made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum FileMode {
    /// An ordinary file (100644).
    Plain,
    /// A file that can be run (100755).
    Executable,
}

fn own_branch<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<BranchName, D::Error> {
    let branch = BranchName::deserialize(deserializer)?;
    if branch.as_str().starts_with("keyblind/") {
        Ok(branch)
    } else {
        Err(serde::de::Error::custom("a branch of ours begins with `keyblind/`: no other is written to"))
    }
}

fn attached_files<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Vec<AttachedFile>, D::Error> {
    let files = bounded::<_, _, { limits::PULL_REQUEST_FILES }>(deserializer)?;
    if files.is_empty() {
        return Err(serde::de::Error::custom("a pull request changes at least one file"));
    }
    if files.windows(2).any(|pair: &[AttachedFile]| pair[0].path >= pair[1].path) {
        return Err(serde::de::Error::custom("the files of a pull request are sorted by path, none twice"));
    }
    // On a file system that folds case two of them would be one file.
    let folded: std::collections::BTreeSet<String> = files.iter().map(|file| file.path.as_str().to_lowercase()).collect();
    if folded.len() == files.len() { Ok(files) } else { Err(serde::de::Error::custom("two files differ in upper and lower case only")) }
}

fn fixed_rules<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Vec<RuleId>, D::Error> {
    bounded::<_, _, 1_000>(deserializer)
}

/// See [`super::Intent::PublishCheckRun`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PublishCheckRun {
    /// Where.
    pub repository: Repository,
    /// At which commit.
    pub commit: CommitId,
    /// Which of our check runs.
    pub marker: MarkerName,
    /// How it ended.
    pub conclusion: CheckConclusion,
    /// Its title.
    pub title: Line,
    /// What was found, in sum.
    pub summary: Prose,
    /// What was found, each at its place.
    #[serde(deserialize_with = "annotations")]
    pub annotations: Vec<Annotation>,
}

fn annotations<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Vec<Annotation>, D::Error> {
    bounded::<_, _, { limits::ANNOTATIONS }>(deserializer)
}

/// How a check run ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum CheckConclusion {
    /// Nothing to complain about.
    Success,
    /// Something at or above the level to fail on.
    Failure,
    /// Something below that level, or a part wasn't read.
    Neutral,
}

/// A remark at a place in a file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Annotation {
    /// The file.
    pub path: RepositoryPath,
    /// Its first line, from 1.
    pub start_line: u32,
    /// Its last line.
    pub end_line: u32,
    /// How loud.
    pub level: AnnotationLevel,
    /// What is wrong.
    pub title: Line,
    /// Why, and what to do.
    pub message: Prose,
}

/// How loud a remark is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum AnnotationLevel {
    /// Worth knowing.
    Notice,
    /// Should be mended.
    Warning,
    /// Must be mended.
    Failure,
}

/// See [`super::Intent::Comment`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Comment {
    /// Where.
    pub repository: Repository,
    /// At which pull request.
    pub pull_request: Count,
    /// Which of our comments.
    pub marker: MarkerName,
    /// What it says.
    pub text: Prose,
}

/// See [`super::Intent::UploadSarif`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct UploadSarif {
    /// Where.
    pub repository: Repository,
    /// The commit that was scanned.
    pub commit: CommitId,
    /// What it was the head of: a branch or a pull request.
    pub revision: Revision,
    /// The report.
    #[serde(deserialize_with = "attached_bulk")]
    pub sarif: Bulk,
}
