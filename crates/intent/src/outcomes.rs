//! What came of an intent: numbers, enums, digests, and text marked as foreign.

use serde::{Deserialize, Serialize};

use crate::control::{ConnectionState, Provider};
use crate::digests::{Digest, ShortCode};
use crate::identifiers::{Count, UnixMillis};
use crate::intents::{ApplyAction, Bulk, Repository};
use crate::limits;
use crate::lists::bounded;
use crate::names::{AccountId, BranchName, CommitId, ModuleVersion};
use crate::paths::RepositoryPath;
use crate::text::{Foreign, Line};

/// How an intent ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum Outcome {
    /// Which repositories a connection reaches.
    RepositoriesListed {
        /// They.
        #[serde(deserialize_with = "repositories")]
        repositories: Vec<RepositorySummary>,
        /// Whether that is all of them.
        complete: bool,
    },
    /// A repository's files are in the bulk bytes, as an uncompressed tar.
    RepositoryRead {
        /// Which, as the forge names it now.
        repository: Repository,
        /// The commit.
        commit: CommitId,
        /// The branch whose newest commit it was when it was read: the default branch's name where that was asked for, or the branch that
        /// was. None where a commit or a pull request was asked for, or the default branch's name is one that we don't take.
        branch: Option<BranchName>,
        /// The archive.
        archive: Bulk,
        /// How many files are in it.
        files: Count,
        /// What isn't in it, and why.
        #[serde(deserialize_with = "left_out")]
        left_out: Vec<LeftOut>,
    },
    /// A module's files are in the bulk bytes, as an uncompressed tar.
    ModuleRead {
        /// The commit, where it came from a repository that was read with a lease.
        commit: Option<CommitId>,
        /// The version, where it came from a registry.
        version: Option<ModuleVersion>,
        /// Where in the archive the module lies; at its top if there is no folder.
        folder: Option<RepositoryPath>,
        /// What to lock: the digest of the archive's files, however they were packed. It is the SHA-256 of one line for each file, sorted
        /// by its path: the SHA-256 of what it holds in hexadecimal digits, two spaces, the path, a line feed.
        locked: Digest,
        /// The archive.
        archive: Bulk,
        /// How many files are in it.
        files: Count,
        /// What isn't in it, and why.
        #[serde(deserialize_with = "left_out")]
        left_out: Vec<LeftOut>,
    },
    /// There is a pull request.
    PullRequestProposed {
        /// Its number.
        number: Count,
        /// The head of our branch.
        commit: CommitId,
        /// What was done for it.
        result: ProposalResult,
    },
    /// The check run is there.
    CheckRunPublished {
        /// The forge's number for it.
        id: Count,
        /// How many remarks were taken.
        annotations: Count,
    },
    /// The comment is there.
    Commented {
        /// The forge's number for it.
        id: Count,
        /// Whether it was there before.
        updated: bool,
    },
    /// The report was handed over.
    SarifUploaded {
        /// The forge's name for the upload.
        id: Foreign,
        /// What came of it as far as is known.
        state: SarifState,
    },
    /// People were told.
    Notified,
    /// A model's answer is in the bulk bytes.
    Completed {
        /// The answer.
        answer: Bulk,
        /// Why it ended.
        stopped: Stopped,
        /// Tokens that it read.
        read_tokens: Count,
        /// Tokens that it wrote.
        written_tokens: Count,
    },
    /// An account's configuration is in the bulk bytes.
    AccountSnapshotted {
        /// Which.
        account: AccountId,
        /// The snapshot.
        snapshot: Bulk,
        /// Calls that were made.
        calls: Count,
        /// Calls that were refused or failed.
        failed: Count,
    },
    /// The action is done, and the state afterwards is as it was approved.
    ActionApplied {
        /// The digest of the state before.
        before: Digest,
        /// The digest of the state after.
        after: Digest,
        /// What would undo it, to be asked for like any other action.
        undo: Option<Box<ApplyAction>>,
    },
    /// The action was done and undone again: beside what it did, something else was there than was approved.
    ActionUndone {
        /// The digest of the state before.
        before: Digest,
        /// The digest of the state that was found instead of the approved one.
        found: Digest,
    },
    /// The action was called, and what is there now is neither what was there before nor what was approved. Nothing more was done: what
    /// somebody else has set isn't ours to take away.
    ActionOvertaken {
        /// The digest of the state that was approved.
        approved: Digest,
        /// The digest of the state that was found.
        found: Digest,
        /// What would put back what was there before. It has to be asked for like any other action, by somebody who has looked.
        undo: Box<ApplyAction>,
    },
    /// Somebody must say yes first.
    ApprovalWanted {
        /// What is to be approved.
        change: Digest,
        /// The code that people compare.
        code: ShortCode,
        /// How many people are wanted.
        wanted: Count,
        /// Until when.
        expires: UnixMillis,
        /// Where they say it: a page of the broker's own, from its configuration.
        page: Option<Line>,
    },
    /// A provider isn't ready for it.
    NotReady {
        /// Which.
        provider: Provider,
        /// Why.
        state: ConnectionState,
    },
    /// The broker's configuration doesn't offer it.
    NotConfigured {
        /// What is missing.
        missing: Missing,
    },
    /// The broker didn't do it.
    Refused(Refusal),
    /// The provider didn't do it.
    Failed {
        /// In which way.
        failure: Failure,
        /// The status of its answer.
        status: Option<u16>,
        /// When to try again, in seconds.
        retry_after_seconds: Option<u32>,
        /// What it said.
        said: Option<Foreign>,
    },
}

/// A repository in a list.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RepositorySummary {
    /// Which.
    pub repository: Repository,
    /// Whether not everybody sees it.
    pub private: bool,
    /// Whether nothing is written to it any more.
    pub archived: bool,
    /// Its default branch, if its name is one that we take.
    pub default_branch: Option<BranchName>,
}

/// Entries that aren't in an archive.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LeftOut {
    /// Why.
    pub reason: LeftOutReason,
    /// How many.
    pub count: Count,
    /// One of them.
    pub example: Option<Foreign>,
}

/// Why an entry isn't in an archive.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum LeftOutReason {
    /// A symbolic link.
    Link,
    /// A submodule: another repository.
    Submodule,
    /// Its contents lie in large file storage.
    LargeFileStorage,
    /// It is larger than a file may be.
    TooLarge,
    /// Its path can't be used on every system.
    UnusablePath,
    /// The archive was full.
    BeyondLimit,
    /// The provider didn't hand it over.
    NotDelivered,
}

/// What was done for a pull request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ProposalResult {
    /// It was opened.
    Opened,
    /// It was brought up to date.
    Updated,
    /// It was as it should be.
    Unchanged,
}

/// What came of an uploaded report.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SarifState {
    /// The forge hasn't said yet.
    Pending,
    /// It was taken.
    Complete,
    /// It was refused.
    Failed,
}

/// Why a model's answer ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Stopped {
    /// It was done.
    Finished,
    /// It had as many tokens as it might.
    TokenLimit,
    /// The model declined.
    Declined,
}

/// What the configuration lacks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Missing {
    /// A provider.
    Provider(Provider),
    /// A connection of that name.
    Connection,
    /// A channel of that name.
    Channel,
    /// The role of a model.
    ModelRole,
    /// A module registry of that name.
    Registry,
    /// A way to approve.
    Approvals,
    /// The broker's own pages.
    Door,
    /// A setting.
    Setting(Setting),
}

/// A setting of the configuration.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Setting {
    /// The kill switch.
    KillSwitch,
    /// The sealed store.
    SealedStore,
    /// What a connected account is asked to allow.
    AccountScopes,
    /// The administrator's client at the identity provider.
    Administrator,
    /// The ledger.
    Ledger,
}

/// Why the broker didn't take a request, or didn't do it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Refusal {
    /// It isn't written as a request.
    Malformed,
    /// The bytes aren't the broker's protocol.
    BadFrame,
    /// The first frame wasn't a greeting.
    NoGreeting,
    /// The one-time token is missing, unknown or used.
    BadToken,
    /// This peer isn't known.
    UnknownPeer,
    /// A request with this id was taken before.
    Replayed,
    /// The role of the asker may not ask for it.
    NotAllowed,
    /// The code of a login is unknown, used, too old, or another browser's.
    BadCode,
    /// Whoever it is for isn't logged in any more: they log in again.
    NotLoggedIn,
    /// It is about somebody else's.
    OtherTenant,
    /// The bulk bytes are missing, or not the ones that were announced.
    BadBulk,
    /// There are too many requests at once: try again.
    Busy,
    /// It took too long.
    TimedOut,
    /// Nobody waited for it any more.
    Cancelled,
    /// The kill switch is on.
    Halted,
    /// The broker is stopping.
    ShuttingDown,
    /// The target isn't in the state that was approved.
    StaleState,
    /// There is no approval of it.
    NotApproved,
    /// No rule of the approval policy covers such a change.
    NoRule,
    /// The approval policy lists nobody with the asker's identity, or not for this tenant.
    RequesterUnknown,
    /// The approval policy guards the target: nothing is done to it.
    Guarded,
    /// What was there was written by people.
    WrittenByPeople,
    /// People said no to it before.
    SaidNoBefore,
    /// The provider offered more authority than was asked for.
    TooMuchAuthority,
    /// What could be borrowed for it reaches more than the target, and the approval policy doesn't accept that.
    BroadAuthority,
    /// The ledger couldn't be written.
    LedgerUnavailable,
    /// The request would go beyond a limit.
    BeyondLimit,
    /// It isn't one of what this broker can do.
    NotOffered,
    /// The locked digest is another.
    LockMismatch,
    /// What was to be sent to a model holds something that looks like a secret.
    HoldsSecret,
    /// The broker failed in itself.
    Internal,
}

/// In which way a provider didn't do something.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Failure {
    /// It couldn't be reached.
    Unreachable,
    /// It didn't answer in time.
    TimedOut,
    /// There is no such thing, or this connection doesn't see it.
    NotFound,
    /// It isn't allowed.
    Forbidden,
    /// It asks to wait.
    RateLimited,
    /// Something is there already, or was changed meanwhile.
    Conflict,
    /// It didn't take what was sent.
    Rejected,
    /// It answered something that isn't its protocol.
    Unintelligible,
    /// It answered more than is taken.
    TooLarge,
    /// It failed in itself.
    Broken,
    /// Its answer is lost: what was asked may have been done. The target has to be read before anything else.
    Lost,
}

fn repositories<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Vec<RepositorySummary>, D::Error> {
    bounded::<_, _, { limits::LISTED_REPOSITORIES }>(deserializer)
}

fn left_out<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Vec<LeftOut>, D::Error> {
    bounded::<_, _, { limits::LEFT_OUT_KINDS }>(deserializer)
}

impl Outcome {
    /// The bulk bytes that come with it.
    #[must_use]
    pub fn attached(&self) -> Option<Bulk> {
        match self {
            Self::RepositoryRead { archive, .. } | Self::ModuleRead { archive, .. } => Some(*archive),
            Self::Completed { answer, .. } => Some(*answer),
            Self::AccountSnapshotted { snapshot, .. } => Some(*snapshot),
            _ => None,
        }
    }
}
