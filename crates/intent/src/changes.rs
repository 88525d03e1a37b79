//! What a human approves: one change of the outside world, in one canonical form with one digest.

use serde::{Deserialize, Serialize};

use crate::actions::ActionId;
use crate::digests::{BindingPurpose, Digest, ShortCode};
use crate::document::{DocumentError, canonical, decode};
use crate::identifiers::{Count, RequestId, UnixMillis};
use crate::intents::{ApplyAction, Intent, Repository};
use crate::limits;
use crate::names::{AccountId, Arn, BranchName, CommitId, Region, SubjectId, TenantId};

/// Why something is no change.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ChangeError {
    /// It isn't written as one.
    #[error(transparent)]
    Document(#[from] DocumentError),
    /// The intent changes nothing, so there is nothing to approve.
    #[error("`{0}` changes nothing that a human would approve")]
    ChangesNothing(&'static str),
    /// The named target isn't the one that the intent is about.
    #[error("the change names another target than its intent")]
    OtherTarget,
    /// The permission isn't the one that the intent needs.
    #[error("the change borrows another permission than its intent needs")]
    OtherPermission,
    /// The inverse is about something else.
    #[error("the change's inverse is about another target")]
    OtherInverse,
    /// A number isn't within its bounds.
    #[error("{0}")]
    OutOfBounds(&'static str),
}

/// What a change is made of. All of it is in the digest.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ChangeFields {
    /// The form that this is written in: 1.
    pub version: Count,
    /// Its own random id: the same change asked for twice is two changes, each with an approval of its own.
    pub id: RequestId,
    /// Whose it is.
    pub tenant: TenantId,
    /// Who asked for it.
    pub requester: SubjectId,
    /// What is asked, typed and whole.
    pub intent: Intent,
    /// What it is done to.
    pub target: Target,
    /// The digest of the target's state that it was made for: with another state there is no call.
    pub pre_state: Digest,
    /// The digest of the state that must be found afterwards, where it is known before.
    pub post_state: Option<Digest>,
    /// What would undo it.
    pub inverse: Inverse,
    /// The authority that is borrowed for it.
    pub borrowed: Borrowed,
    /// Whose yes is wanted.
    pub approvals: Approvals,
    /// The digest of the rules that found the fault.
    pub rules: Digest,
    /// When it can't be approved or applied any more.
    pub expires: UnixMillis,
}

/// What a change is done to.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum Target {
    /// A repository.
    Repository(Repository),
    /// A resource of an account.
    Resource {
        /// The account.
        account: AccountId,
        /// Where the call goes.
        region: Region,
        /// The resource.
        resource: Arn,
    },
}

impl Intent {
    /// What it would change.
    #[must_use]
    pub fn target(&self) -> Option<Target> {
        match self {
            Self::ProposePullRequest(request) => Some(Target::Repository(request.repository.clone())),
            Self::PublishCheckRun(request) => Some(Target::Repository(request.repository.clone())),
            Self::Comment(request) => Some(Target::Repository(request.repository.clone())),
            Self::UploadSarif(request) => Some(Target::Repository(request.repository.clone())),
            Self::ApplyAction(request) => Some(target_of(request)),
            Self::ListRepositories(_)
            | Self::ReadRepository(_)
            | Self::ReadModule(_)
            | Self::Notify(_)
            | Self::Complete(_)
            | Self::SnapshotAccount(_) => None,
        }
    }

    /// The permission that it needs, if it is one of a provider whose permissions can be narrowed.
    #[must_use]
    pub fn permission(&self) -> Option<PolicyTemplate> {
        match self {
            Self::ListRepositories(_) => Some(PolicyTemplate::GithubMetadataRead),
            Self::ReadRepository(_) => Some(PolicyTemplate::GithubContentsRead),
            Self::ReadModule(_) => Some(PolicyTemplate::GithubContentsRead),
            Self::ProposePullRequest(request) if request.files.iter().any(|file| file.path.decides_what_runs()) => {
                Some(PolicyTemplate::GithubWorkflowsWrite)
            }
            Self::ProposePullRequest(_) => Some(PolicyTemplate::GithubPullRequestsWrite),
            Self::PublishCheckRun(_) => Some(PolicyTemplate::GithubChecksWrite),
            Self::Comment(_) => Some(PolicyTemplate::GithubCommentsWrite),
            Self::UploadSarif(_) => Some(PolicyTemplate::GithubSecurityEventsWrite),
            Self::SnapshotAccount(_) => Some(PolicyTemplate::AwsSnapshot),
            Self::ApplyAction(request) => Some(PolicyTemplate::AwsAction(request.action().id())),
            Self::Notify(_) | Self::Complete(_) => None,
        }
    }
}

fn target_of(request: &ApplyAction) -> Target {
    Target::Resource { account: request.account().clone(), region: request.region().clone(), resource: request.resource().clone() }
}

/// The authority that is borrowed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Borrowed {
    /// Which permission.
    pub permission: PolicyTemplate,
    /// For how many seconds at most.
    pub seconds: Count,
}

/// A permission by its name. What it says to the provider is written by the broker, from the intent's typed fields.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum PolicyTemplate {
    /// `metadata: read` (GitHub).
    GithubMetadataRead,
    /// `contents: read` of one repository (GitHub).
    GithubContentsRead,
    /// `contents: write` and `pull_requests: write` of one repository (GitHub).
    GithubPullRequestsWrite,
    /// The same and `workflows: write`: the change touches what decides what runs (GitHub).
    GithubWorkflowsWrite,
    /// `checks: write` of one repository (GitHub).
    GithubChecksWrite,
    /// `pull_requests: write` of one repository (GitHub).
    GithubCommentsWrite,
    /// `security_events: write` of one repository (GitHub).
    GithubSecurityEventsWrite,
    /// Whatever the account that somebody connected allows: an OAuth token, which can't be narrowed to one repository and isn't ended after
    /// its use (GitHub).
    GithubAccount,
    /// Reads of the named services (AWS).
    AwsSnapshot,
    /// The one call of one action on one resource (AWS).
    AwsAction(ActionId),
}

impl PolicyTemplate {
    /// Whether it is one of GitHub's.
    #[must_use]
    pub fn is_of_github(self) -> bool {
        match self {
            Self::GithubMetadataRead
            | Self::GithubContentsRead
            | Self::GithubPullRequestsWrite
            | Self::GithubWorkflowsWrite
            | Self::GithubChecksWrite
            | Self::GithubCommentsWrite
            | Self::GithubSecurityEventsWrite
            | Self::GithubAccount => true,
            Self::AwsSnapshot | Self::AwsAction(_) => false,
        }
    }
}

/// What would undo a change.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum Inverse {
    /// Close the pull request and put the branch back where it was, or delete it if it wasn't there.
    ClosePullRequest {
        /// The branch of ours.
        branch: BranchName,
        /// Where it was.
        before: Option<CommitId>,
    },
    /// Another action on the same resource.
    Apply(ApplyAction),
    /// Nothing would.
    None(NoInverse),
}

/// Why nothing would undo it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum NoInverse {
    /// It is a remark: the next one replaces it.
    Replaced,
    /// The provider has no call for it.
    NotOffered,
}

/// Whose yes is wanted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Approvals {
    /// How many people.
    pub wanted: Count,
    /// The digest of the policy that says who they may be.
    pub policy: Digest,
    /// Whether the requester may be one of them (one person alone, by an explicit policy).
    pub may_be_requester: bool,
}

/// A sound change, its canonical form and its digest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    fields: ChangeFields,
    canonical: Vec<u8>,
    digest: Digest,
}

impl Change {
    /// Takes what a change is made of.
    ///
    /// # Errors
    /// If its parts contradict each other.
    pub fn new(fields: ChangeFields) -> Result<Self, ChangeError> {
        check(&fields)?;
        let canonical = canonical(&fields)?;
        // What is only known by its own type after it was read once more (bounds of lists, say) holds for whoever builds it, too.
        if decode::<ChangeFields>(&canonical)? != fields {
            return Err(ChangeError::OutOfBounds("the change isn't the same after it was written and read"));
        }
        let digest = Digest::of(&canonical);
        Ok(Self { fields, canonical, digest })
    }

    /// Reads a change, in any form of JSON; the digest is that of the canonical form.
    ///
    /// # Errors
    /// If it isn't one, or its parts contradict each other.
    pub fn decode(bytes: &[u8]) -> Result<Self, ChangeError> {
        Self::new(decode(bytes)?)
    }

    /// What it is made of.
    #[must_use]
    pub fn fields(&self) -> &ChangeFields {
        &self.fields
    }

    /// Its canonical form (RFC 8785).
    #[must_use]
    pub fn canonical(&self) -> &[u8] {
        &self.canonical
    }

    /// The SHA-256 of its canonical form: what is approved.
    #[must_use]
    pub fn digest(&self) -> Digest {
        self.digest
    }

    /// The code that people compare.
    #[must_use]
    pub fn short_code(&self) -> ShortCode {
        self.digest.short_code()
    }

    /// The message that another device shows for it.
    #[must_use]
    pub fn binding_message(&self) -> String {
        let purpose = match self.fields.target {
            Target::Repository(_) => BindingPurpose::ApproveRepositoryChange,
            Target::Resource { .. } => BindingPurpose::ApproveAccountChange,
        };
        crate::digests::binding_message(purpose, self.short_code())
    }
}

fn check(fields: &ChangeFields) -> Result<(), ChangeError> {
    if fields.version.get() != 1 {
        return Err(ChangeError::OutOfBounds("the change is written in another form than 1"));
    }
    if !(1..=limits::LEASE_SECONDS).contains(&fields.borrowed.seconds.get()) {
        return Err(ChangeError::OutOfBounds("authority is borrowed for 1 to 3,600 seconds"));
    }
    if !(1..=limits::APPROVERS).contains(&fields.approvals.wanted.get()) {
        return Err(ChangeError::OutOfBounds("1 to 10 people approve a change"));
    }
    let target = fields.intent.target().ok_or(ChangeError::ChangesNothing(fields.intent.name()))?;
    if target != fields.target {
        return Err(ChangeError::OtherTarget);
    }
    let permission = fields.intent.permission().ok_or(ChangeError::OtherPermission)?;
    if fields.borrowed.permission != permission
        && !(fields.borrowed.permission == PolicyTemplate::GithubAccount && permission.is_of_github())
    {
        return Err(ChangeError::OtherPermission);
    }
    let is_inverse = match (&fields.inverse, &fields.intent) {
        (Inverse::ClosePullRequest { branch, .. }, Intent::ProposePullRequest(request)) => *branch == request.branch,
        (Inverse::Apply(inverse), Intent::ApplyAction(_)) => target_of(inverse) == target,
        (Inverse::None(_), _) => true,
        _ => false,
    };
    if is_inverse { Ok(()) } else { Err(ChangeError::OtherInverse) }
}
