//! What can be asked of the broker.

mod accounts;
mod repositories;
mod talk;

use serde::{Deserialize, Serialize};

use crate::digests::Digest;
use crate::identifiers::Count;
use crate::limits;

pub use self::accounts::{ApplyAction, Service, SnapshotAccount};
pub use self::repositories::{
    Annotation, AnnotationLevel, AttachedFile, CheckConclusion, Comment, FileMode, ListRepositories, ModuleOrigin, ProposePullRequest,
    PublishCheckRun, ReadModule, ReadRepository, Repository, Revision, UploadSarif,
};
pub use self::talk::{Complete, ModelRole, ModelTask, Notify, NotifyEvent, SeverityCounts};

/// A request from a closed set. Tenant, subject and role of the asker aren't in it: the broker knows them from the session.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum Intent {
    /// Which repositories a connection reaches.
    ListRepositories(ListRepositories),
    /// A repository's files.
    ReadRepository(ReadRepository),
    /// A module's files.
    ReadModule(ReadModule),
    /// Open a pull request, or bring ours up to date.
    ProposePullRequest(ProposePullRequest),
    /// Say at a commit what was found.
    PublishCheckRun(PublishCheckRun),
    /// Write our comment at a pull request, or bring it up to date.
    Comment(Comment),
    /// Hand findings to code scanning.
    UploadSarif(UploadSarif),
    /// Tell people something.
    Notify(Notify),
    /// Ask a model.
    Complete(Complete),
    /// Read how an account is configured.
    SnapshotAccount(SnapshotAccount),
    /// Change one resource of an account.
    ApplyAction(ApplyAction),
}

impl Intent {
    /// Whether it changes anything outside, beyond telling people something.
    #[must_use]
    pub fn changes_something(&self) -> bool {
        match self {
            Self::ProposePullRequest(_) | Self::PublishCheckRun(_) | Self::Comment(_) | Self::UploadSarif(_) | Self::ApplyAction(_) => true,
            Self::ListRepositories(_)
            | Self::ReadRepository(_)
            | Self::ReadModule(_)
            | Self::Notify(_)
            | Self::Complete(_)
            | Self::SnapshotAccount(_) => false,
        }
    }

    /// The bulk bytes that must come with it.
    #[must_use]
    pub fn attached(&self) -> Option<Bulk> {
        match self {
            Self::ProposePullRequest(request) => Some(request.contents),
            Self::UploadSarif(request) => Some(request.sarif),
            Self::Complete(request) => Some(request.input),
            Self::ListRepositories(_)
            | Self::ReadRepository(_)
            | Self::ReadModule(_)
            | Self::PublishCheckRun(_)
            | Self::Comment(_)
            | Self::Notify(_)
            | Self::SnapshotAccount(_)
            | Self::ApplyAction(_) => None,
        }
    }

    /// Its name, as in its canonical form.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::ListRepositories(_) => "list-repositories",
            Self::ReadRepository(_) => "read-repository",
            Self::ReadModule(_) => "read-module",
            Self::ProposePullRequest(_) => "propose-pull-request",
            Self::PublishCheckRun(_) => "publish-check-run",
            Self::Comment(_) => "comment",
            Self::UploadSarif(_) => "upload-sarif",
            Self::Notify(_) => "notify",
            Self::Complete(_) => "complete",
            Self::SnapshotAccount(_) => "snapshot-account",
            Self::ApplyAction(_) => "apply-action",
        }
    }
}

/// Bytes that travel beside a document, not in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Bulk {
    /// Their digest.
    pub digest: Digest,
    /// How many they are.
    pub bytes: Count,
}

impl Bulk {
    /// Describes bytes.
    #[must_use]
    pub fn of(bytes: &[u8]) -> Self {
        Self { digest: Digest::of(bytes), bytes: Count::saturating(bytes.len() as u64) }
    }
}

/// Bytes that go with a request, of which there is a most.
fn attached_bulk<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Bulk, D::Error> {
    let bulk = Bulk::deserialize(deserializer)?;
    if bulk.bytes.get() <= limits::ATTACHED_BYTES {
        Ok(bulk)
    } else {
        Err(serde::de::Error::custom(format_args!("at most {} bytes go with a request", limits::ATTACHED_BYTES)))
    }
}
