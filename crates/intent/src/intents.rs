//! What can be asked of the broker.

use serde::{Deserialize, Serialize};

use crate::actions::Action;
use crate::digests::{Digest, ShortCode};
use crate::identifiers::Count;
use crate::limits;
use crate::names::{
    AccountId, Arn, BranchName, ChannelName, CommitId, ConnectionName, Invalid, MarkerName, ModuleNamespace, ModuleVersion, Owner, Region,
    RepositoryName, RuleId,
};
use crate::paths::RepositoryPath;
use crate::text::{Line, Prose};

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
}

/// See [`Intent::ListRepositories`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ListRepositories {
    /// At which forge.
    pub forge: ConnectionName,
}

/// See [`Intent::ReadRepository`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ReadRepository {
    /// Which.
    pub repository: Repository,
    /// Which state of it.
    pub revision: Revision,
}

/// See [`Intent::ReadModule`].
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
        /// Its version.
        version: ModuleVersion,
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

/// See [`Intent::ProposePullRequest`].
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

fn attached_bulk<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Bulk, D::Error> {
    let bulk = Bulk::deserialize(deserializer)?;
    if bulk.bytes.get() <= limits::ATTACHED_BYTES {
        Ok(bulk)
    } else {
        Err(serde::de::Error::custom(format_args!("at most {} bytes go with a request", limits::ATTACHED_BYTES)))
    }
}

/// A list of at most so many.
pub(crate) fn bounded<'de, D, T, const MOST: usize>(deserializer: D) -> Result<Vec<T>, D::Error>
where
    D: serde::Deserializer<'de>,
    T: Deserialize<'de>,
{
    struct Bounded<T, const MOST: usize>(std::marker::PhantomData<T>);

    impl<'de, T: Deserialize<'de>, const MOST: usize> serde::de::Visitor<'de> for Bounded<T, MOST> {
        type Value = Vec<T>;

        fn expecting(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            write!(formatter, "a list of at most {MOST}")
        }

        fn visit_seq<A: serde::de::SeqAccess<'de>>(self, mut sequence: A) -> Result<Vec<T>, A::Error> {
            let mut list = Vec::new();
            while let Some(item) = sequence.next_element()? {
                if list.len() == MOST {
                    return Err(serde::de::Error::invalid_length(MOST + 1, &self));
                }
                list.push(item);
            }
            Ok(list)
        }
    }

    deserializer.deserialize_seq(Bounded::<T, MOST>(std::marker::PhantomData))
}

/// See [`Intent::PublishCheckRun`].
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

/// See [`Intent::Comment`].
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

/// See [`Intent::UploadSarif`].
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

/// See [`Intent::Notify`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Notify {
    /// Where people are told, by the name that the broker's configuration gives it.
    pub channel: ChannelName,
    /// What happened.
    pub event: NotifyEvent,
    /// What it is about, if a repository.
    pub repository: Option<Repository>,
    /// What it is about, if an account.
    pub account: Option<AccountId>,
    /// How many findings of each severity.
    pub findings: Option<SeverityCounts>,
    /// The code of the change that it is about.
    pub code: Option<ShortCode>,
}

/// What people are told. The words are the broker's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum NotifyEvent {
    /// A mission ended.
    MissionFinished,
    /// A mission can't go on.
    MissionHalted,
    /// Somebody must say yes or no.
    ApprovalWanted,
    /// A change was made and verified.
    ChangeApplied,
    /// A change was undone.
    ChangeUndone,
    /// There are findings that weren't there before.
    NewFindings,
}

/// How many findings of each severity.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SeverityCounts {
    /// Of severity critical.
    pub critical: u32,
    /// Of severity high.
    pub high: u32,
    /// Of severity medium.
    pub medium: u32,
    /// Of severity low.
    pub low: u32,
    /// Of severity info.
    pub info: u32,
}

/// See [`Intent::Complete`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Complete {
    /// Which of the configured models.
    pub role: ModelRole,
    /// What it should do; the instructions for each are the broker's.
    pub task: ModelTask,
    /// What it should look at.
    #[serde(deserialize_with = "attached_bulk")]
    pub input: Bulk,
    /// How many tokens it may answer with.
    #[serde(deserialize_with = "answer_tokens")]
    pub most_tokens: Count,
}

fn answer_tokens<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Count, D::Error> {
    at_most(deserializer, limits::ANSWER_TOKENS, "tokens of an answer")
}

fn at_most<'de, D: serde::Deserializer<'de>>(deserializer: D, most: u64, what: &str) -> Result<Count, D::Error> {
    let count = Count::deserialize(deserializer)?;
    if (1..=most).contains(&count.get()) { Ok(count) } else { Err(serde::de::Error::custom(format_args!("{what}: 1 to {most}"))) }
}

/// Which of the configured models.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ModelRole {
    /// The fast one: picks and orders.
    Coordinator,
    /// The thorough one: explains and proposes.
    Analyst,
}

/// What a model should do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ModelTask {
    /// Order findings by what matters here.
    Prioritise,
    /// Say what a finding means here.
    Explain,
    /// Propose a change of text.
    ProposeFix,
    /// Bring an answer of its own into the wanted form.
    RepairAnswer,
}

/// See [`Intent::SnapshotAccount`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SnapshotAccount {
    /// Which.
    pub account: AccountId,
    /// In which regions; those that are switched on if there are none.
    #[serde(deserialize_with = "regions")]
    pub regions: Vec<Region>,
    /// What of it.
    #[serde(deserialize_with = "services")]
    pub services: Vec<Service>,
    /// How many calls it may cost.
    #[serde(deserialize_with = "snapshot_calls")]
    pub most_calls: Count,
}

fn regions<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Vec<Region>, D::Error> {
    bounded::<_, _, { limits::REGIONS }>(deserializer)
}

fn services<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Vec<Service>, D::Error> {
    let list = bounded::<_, _, { Service::ALL.len() }>(deserializer)?;
    if list.is_empty() { Err(serde::de::Error::custom("a snapshot reads at least one service")) } else { Ok(list) }
}

fn snapshot_calls<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Count, D::Error> {
    at_most(deserializer, limits::SNAPSHOT_CALLS, "calls of a snapshot")
}

/// A service whose configuration can be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[allow(missing_docs, reason = "each is the service's own name")]
pub enum Service {
    AccessAnalyzer,
    Cloudfront,
    Cloudtrail,
    Cloudwatch,
    Config,
    Dynamodb,
    Ec2,
    Ecr,
    Efs,
    Eks,
    Elb,
    Guardduty,
    Iam,
    Kms,
    Lambda,
    Rds,
    S3,
    Secretsmanager,
    Securityhub,
    Sns,
    Sqs,
}

impl Service {
    /// All of them.
    pub const ALL: [Self; 21] = [
        Self::AccessAnalyzer,
        Self::Cloudfront,
        Self::Cloudtrail,
        Self::Cloudwatch,
        Self::Config,
        Self::Dynamodb,
        Self::Ec2,
        Self::Ecr,
        Self::Efs,
        Self::Eks,
        Self::Elb,
        Self::Guardduty,
        Self::Iam,
        Self::Kms,
        Self::Lambda,
        Self::Rds,
        Self::S3,
        Self::Secretsmanager,
        Self::Securityhub,
        Self::Sns,
        Self::Sqs,
    ];
}

/// See [`Intent::ApplyAction`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "ApplyActionFields")]
pub struct ApplyAction {
    account: AccountId,
    region: Region,
    resource: Arn,
    action: Action,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ApplyActionFields {
    account: AccountId,
    region: Region,
    resource: Arn,
    action: Action,
}

impl TryFrom<ApplyActionFields> for ApplyAction {
    type Error = Invalid;

    fn try_from(fields: ApplyActionFields) -> Result<Self, Invalid> {
        Self::new(fields.account, fields.region, fields.resource, fields.action)
    }
}

impl ApplyAction {
    /// Takes an action and the one resource that it is for.
    ///
    /// # Errors
    /// If the resource is of another service, account or region than the action.
    pub fn new(account: AccountId, region: Region, resource: Arn, action: Action) -> Result<Self, Invalid> {
        let is_of_account = resource.account() == account.as_str() || (resource.service() == "s3" && resource.account().is_empty());
        let is_of_region = resource.region().is_empty() || resource.region() == region.as_str();
        if !is_of_account || !is_of_region {
            return Err(Invalid::new("target", "the resource lies in the account and the region that are named"));
        }
        if !action.id().fits(&resource) {
            return Err(Invalid::new("target", "the resource is of the kind that the action changes"));
        }
        Ok(Self { account, region, resource, action })
    }

    /// In which account.
    #[must_use]
    pub fn account(&self) -> &AccountId {
        &self.account
    }

    /// Where the call goes.
    #[must_use]
    pub fn region(&self) -> &Region {
        &self.region
    }

    /// The one resource.
    #[must_use]
    pub fn resource(&self) -> &Arn {
        &self.resource
    }

    /// What is done to it.
    #[must_use]
    pub fn action(&self) -> &Action {
        &self.action
    }
}
