//! The vocabulary between those who ask and the broker, the one who may act.
//!
//! An [`Intent`] is a request from a closed set, with typed fields only: no URL, header, query or policy text can be said in
//! it. A [`Change`] is what a human approves: its canonical form (RFC 8785) has one [`Digest`], and the [`ShortCode`] that
//! people compare is made from that. An [`Outcome`] is numbers, enums, digests and text marked as [`Foreign`].
//! [`Frame`]s carry them.
//!
//! Everything here is pure: no input or output, no clock, no randomness. No type here can hold a credential.

mod actions;
mod changes;
mod control;
mod digests;
mod document;
mod frames;
mod handles;
mod identifiers;
mod intents;
pub mod limits;
mod lists;
mod names;
mod outcomes;
mod paths;
mod proposals;
mod text;

pub use actions::{
    AccessKeyId, Action, ActionId, BucketLogging, Network, PasswordPolicy, Port, PublicAccessBlock, SecurityGroupId, SecurityGroupRule,
    Source, TransportProtocol,
};
pub use changes::{Approvals, Borrowed, Change, ChangeError, ChangeFields, Inverse, NoInverse, PolicyTemplate, Target};
pub use control::{ChangeState, Check, CheckState, ConnectionState, ConnectionSummary, Control, DoctorArea, LedgerForm, Provider, Report};
pub use digests::{BindingPurpose, Digest, ShortCode, binding_message};
pub use document::{DocumentError, canonical, decode, encode};
pub use frames::{Decoder, Frame, FrameError, HEADER_BYTES, Kind};
pub use handles::{HandOverCode, HandOverState, HandedOver, Handle, PolicyRole};
pub use identifiers::{Count, RequestId, UnixMillis};
pub use intents::{
    Annotation, AnnotationLevel, ApplyAction, AttachedFile, Bulk, CheckConclusion, Comment, Complete, FileMode, Intent, ListRepositories,
    ModelRole, ModelTask, ModuleOrigin, Notify, NotifyEvent, ProposePullRequest, PublishCheckRun, ReadModule, ReadRepository, Repository,
    Revision, Service, SeverityCounts, SnapshotAccount, UploadSarif,
};
pub use names::{
    AccountId, Arn, BranchName, ChannelName, CommitId, ConnectionName, Invalid, MarkerName, ModuleNamespace, ModuleVersion, ModuleVersions,
    Owner, Region, RepositoryName, RuleId, SubjectId, TenantId,
};
pub use outcomes::{
    Failure, LeftOut, LeftOutReason, Missing, Outcome, ProposalResult, Refusal, RepositorySummary, SarifState, Setting, Stopped,
};
pub use paths::RepositoryPath;
pub use proposals::{Proposed, ProposedError};
pub use text::{Foreign, Line, Prose, is_hidden};

/// What a client sends in a frame of kind [`Kind::Request`].
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
#[allow(clippy::large_enum_variant, reason = "there is one at a time, never a list of them")]
pub enum Request {
    /// To do something in the outside world, or to read from it.
    Intent(Intent),
    /// About the broker itself.
    Control(Control),
}

/// What the broker sends in a frame of kind [`Kind::Answer`].
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum Answer {
    /// How an intent ended.
    Outcome(Outcome),
    /// What a control request asked for.
    Report(Report),
}
