//! What is recorded.

use std::fmt;

use keyblind_intent::{ChannelName, ConnectionName, Count, Digest, Line as Text, Provider, RequestId, SubjectId, TenantId, UnixMillis};
use serde::{Deserialize, Serialize};

use crate::chain::EntryHash;

/// One entry: that something happened, or is about to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Entry {
    /// Its number, from 1, without gaps.
    pub sequence: Count,
    /// The hash of the entry before it; of the ledger's beginning for the first one.
    pub previous: EntryHash,
    /// What the broker's clock said. It may be set back: the sequence is the order.
    pub time: UnixMillis,
    /// For whom it happened, if it was for somebody.
    pub who: Option<Who>,
    /// The mission that it belongs to.
    pub mission: Option<RequestId>,
    /// What.
    pub event: Event,
}

/// A tenant's subject.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Who {
    /// Whose data it is.
    pub tenant: TenantId,
    /// Who asked.
    pub subject: SubjectId,
}

/// A short word of ours that says what kind of thing it was: lower-case letters, digits and hyphens inside.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Code(String);

impl Code {
    /// Takes a word; `None` if it isn't one of 1 to 60 lower-case letters, digits and hyphens inside.
    pub fn new(word: &str) -> Option<Self> {
        let is_letter = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
        let is_word = (1..=60).contains(&word.len()) && word.bytes().all(is_letter) && !word.starts_with('-') && !word.ends_with('-');
        is_word.then(|| Self(word.to_owned()))
    }

    /// The word.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl TryFrom<String> for Code {
    type Error = &'static str;

    fn try_from(word: String) -> Result<Self, Self::Error> {
        Self::new(&word).ok_or("a code has 1 to 60 lower-case letters, digits and hyphens inside")
    }
}

impl From<Code> for String {
    fn from(code: Code) -> Self {
        code.0
    }
}

/// What happened.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum Event {
    /// The broker began to work.
    BrokerStarted {
        /// Its version.
        version: Text,
        /// The kill switch's epoch that it found: odd while stopped.
        epoch: Count,
        /// The digest of its configuration: hosts, policy, limits.
        configuration: Digest,
    },
    /// The broker ended in order.
    BrokerEnded {},
    /// The policy of approvals changed.
    PolicyChanged {
        /// The new one's digest.
        policy: Digest,
    },
    /// Another policy of approvals is wanted than the one in force. It waits for owners.
    PolicyProposed {
        /// Its digest.
        policy: Digest,
    },
    /// An owner agreed to a policy that was proposed.
    PolicyAgreed {
        /// Its digest.
        policy: Digest,
        /// Who.
        owner: SubjectId,
    },
    /// The sealed store's key changed.
    VaultKeyChanged {},
    /// The database is a restored copy; what came after it is lost.
    Restored {},

    /// Somebody logged in.
    LoggedIn {
        /// How.
        method: LoginMethod,
    },
    /// Somebody could not log in.
    LoginFailed {
        /// How they tried.
        method: LoginMethod,
        /// Why.
        reason: Code,
    },
    /// Somebody's session ended.
    LoggedOut {},
    /// The application's pages speak for somebody who is logged in: a handle was born, which reads and proposes, and approves nothing.
    HandedOver {
        /// Which handle.
        handle: RequestId,
        /// When it ends at the latest.
        expires: UnixMillis,
    },
    /// A handle ended.
    HandleEnded {
        /// Which.
        handle: RequestId,
        /// Why.
        reason: Code,
    },
    /// Somebody registered a passkey, which approves from now on.
    PasskeyAdded {},
    /// Somebody removed a passkey.
    PasskeyRemoved {},
    /// Somebody pressed the button that stops everything.
    StopAsked {},
    /// Somebody who may takes up work again; the switch's own entry follows.
    ArmAsked {},
    /// An account was connected.
    Connected {
        /// With whom.
        provider: Provider,
        /// What the configuration calls it.
        connection: Code,
    },
    /// What was connected, or what a login has left, is about to be ended at its provider. If nothing follows, it may be.
    Disconnecting {
        /// With whom.
        provider: Provider,
        /// What the configuration calls it.
        connection: Code,
    },
    /// A connected account was disconnected.
    Disconnected {
        /// With whom.
        provider: Provider,
        /// What the configuration calls it.
        connection: Code,
        /// Whether the provider confirmed that the long-lived authority is revoked.
        is_confirmed: bool,
    },

    /// An intent was received.
    IntentReceived {
        /// The request's id.
        request: RequestId,
        /// Which of the closed set.
        intent: Code,
        /// The digest of its canonical form.
        digest: Digest,
        /// From whom it came.
        origin: Origin,
    },
    /// Something was refused.
    Refused {
        /// The request's id, if it was one.
        request: Option<RequestId>,
        /// Why.
        reason: Code,
    },

    /// Humans were asked to approve a change.
    ApprovalAsked {
        /// The question's id.
        approval: RequestId,
        /// The change's digest.
        change: Digest,
        /// How many must say yes.
        wanted: Count,
        /// Who asked for the change.
        requester: SubjectId,
        /// Whether the requester may be one of them.
        may_be_requester: bool,
        /// When it is too late.
        expires: UnixMillis,
    },
    /// One human said yes.
    ApprovalVoted {
        /// The question's id.
        approval: RequestId,
        /// The digest that they saw and confirmed.
        change: Digest,
        /// Who.
        approver: SubjectId,
        /// How.
        method: ApprovalMethod,
    },
    /// Enough humans said yes.
    ApprovalGiven {
        /// The question's id.
        approval: RequestId,
        /// The change's digest.
        change: Digest,
    },
    /// A human said no.
    ApprovalRefused {
        /// The question's id.
        approval: RequestId,
        /// Who.
        approver: SubjectId,
    },
    /// Nobody said enough in time.
    ApprovalExpired {
        /// The question's id.
        approval: RequestId,
    },
    /// It was withdrawn: by the kill switch, or because what it was about changed.
    ApprovalVoided {
        /// The question's id.
        approval: RequestId,
        /// Why.
        reason: Code,
    },

    /// A token is about to be asked for. If nothing follows, it may exist until `dies_at`.
    LeaseAnnounced {
        /// The lease's id.
        lease: RequestId,
        /// What it is for.
        kind: LeaseKind,
        /// From whom.
        provider: Provider,
        /// The permission's name.
        permission: Code,
        /// On what.
        target: Text,
        /// When a token of it is dead whatever happens.
        dies_at: UnixMillis,
    },
    /// The provider gave the token.
    TokenBorn {
        /// The lease's id.
        lease: RequestId,
        /// When it is dead whatever happens.
        dies_at: UnixMillis,
    },
    /// The token's end, as far as it is known.
    TokenEnded {
        /// The lease's id.
        lease: RequestId,
        /// How.
        end: TokenEnd,
    },
    /// A revocation failed and is tried again.
    RevocationFailed {
        /// The lease's id.
        lease: RequestId,
        /// How often it was tried.
        attempts: Count,
        /// Why it failed.
        reason: Code,
        /// When it is tried again.
        next: UnixMillis,
    },

    /// A call is about to be made.
    CallStarted {
        /// The call's id.
        call: RequestId,
        /// Under which lease.
        lease: RequestId,
        /// Which operation.
        operation: Code,
        /// Whether it changes anything.
        effect: Effect,
    },
    /// What became of a call.
    CallEnded {
        /// The call's id.
        call: RequestId,
        /// What.
        result: CallResult,
    },
    /// A change is done and was seen to be.
    ChangeApplied {
        /// The change's digest.
        change: Digest,
        /// Its approval.
        approval: RequestId,
    },
    /// A change was undone.
    ChangeUndone {
        /// The change's digest.
        change: Digest,
        /// Its approval.
        approval: RequestId,
    },
    /// Bytes are about to be sent to a model, with a key that the broker keeps.
    ModelAsked {
        /// The call's id.
        call: RequestId,
        /// Which, by the name that the configuration gives it.
        model: ConnectionName,
        /// Their digest. The bytes themselves aren't kept.
        digest: Digest,
        /// How many.
        bytes: Count,
    },
    /// A message is about to be sent to people, through a hook that the broker keeps.
    PeopleTold {
        /// The call's id.
        call: RequestId,
        /// Where, by the name that the configuration gives it.
        channel: ChannelName,
        /// The message's digest.
        digest: Digest,
        /// How many bytes it has.
        bytes: Count,
    },
    /// A module is about to be asked for at a registry or at the hosts that it names.
    RegistryAsked {
        /// The call's id.
        call: RequestId,
        /// Which, by the name that the configuration gives it.
        registry: ConnectionName,
    },

    /// The kill switch: nothing is borrowed from here on.
    Killed {
        /// The epoch that began: odd.
        epoch: Count,
        /// By what.
        by: Cause,
    },
    /// Work is taken up again.
    Armed {
        /// The epoch that began: even.
        epoch: Count,
        /// By what.
        by: Cause,
    },
}

/// How somebody logged in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum LoginMethod {
    /// An OpenID provider.
    Oidc,
    /// A passkey.
    Passkey,
    /// The one-time link on loopback.
    LocalLink,
    /// A process of the same user, over the socket.
    Socket,
}

/// From whom an intent came.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Origin {
    /// A person at a terminal.
    Terminal,
    /// The web tier.
    Web,
    /// A mission.
    Mission,
    /// An agent that Keyblind doesn't confine.
    Agent,
}

/// How somebody said yes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ApprovalMethod {
    /// A passkey signed the digest.
    Passkey,
    /// Another device, by the identity provider (CIBA).
    Ciba,
    /// A session on the broker's own pages, confirmed once more.
    Session,
    /// The terminal: whoever can act as the user could have said it.
    UnverifiedLocal,
}

/// What a lease is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum LeaseKind {
    /// A closed list of reads.
    Read,
    /// One approved change.
    Write {
        /// The change's digest.
        change: Digest,
        /// Its approval.
        approval: RequestId,
    },
}

/// A token's end. It never says more than is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum TokenEnd {
    /// The provider confirmed that it is revoked.
    Revoked,
    /// Its own policy made it useless at that time.
    PolicyDead {
        /// When.
        at: UnixMillis,
    },
    /// It could not be revoked; it expires at that time.
    ExpiresAt {
        /// When.
        at: UnixMillis,
    },
    /// The provider gave none.
    Unborn,
}

/// Whether a call changes anything.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum Effect {
    /// It reads.
    Read,
    /// It changes something, as this change says.
    Write {
        /// The change's digest, recomputed by the broker from what it is about to send.
        change: Digest,
    },
}

/// What became of a call.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum CallResult {
    /// It did what it was to do.
    Succeeded,
    /// The provider refused it, or it was never sent.
    Failed {
        /// Why.
        reason: Code,
    },
    /// No answer came: it may have had its effect. The target is read again before anything else.
    Unknown {
        /// Why.
        reason: Code,
    },
}

/// What moved the kill switch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Cause {
    /// A command.
    Command,
    /// A signal to the process.
    Signal,
    /// A file that somebody made.
    File,
    /// The button on the broker's own page.
    Button,
}

impl Event {
    /// Its name, as it is written.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::BrokerStarted { .. } => "broker-started",
            Self::BrokerEnded {} => "broker-ended",
            Self::PolicyChanged { .. } => "policy-changed",
            Self::PolicyProposed { .. } => "policy-proposed",
            Self::PolicyAgreed { .. } => "policy-agreed",
            Self::VaultKeyChanged {} => "vault-key-changed",
            Self::Restored {} => "restored",
            Self::LoggedIn { .. } => "logged-in",
            Self::LoginFailed { .. } => "login-failed",
            Self::LoggedOut {} => "logged-out",
            Self::HandedOver { .. } => "handed-over",
            Self::HandleEnded { .. } => "handle-ended",
            Self::PasskeyAdded {} => "passkey-added",
            Self::PasskeyRemoved {} => "passkey-removed",
            Self::StopAsked {} => "stop-asked",
            Self::ArmAsked {} => "arm-asked",
            Self::Connected { .. } => "connected",
            Self::Disconnecting { .. } => "disconnecting",
            Self::Disconnected { .. } => "disconnected",
            Self::IntentReceived { .. } => "intent-received",
            Self::Refused { .. } => "refused",
            Self::ApprovalAsked { .. } => "approval-asked",
            Self::ApprovalVoted { .. } => "approval-voted",
            Self::ApprovalGiven { .. } => "approval-given",
            Self::ApprovalRefused { .. } => "approval-refused",
            Self::ApprovalExpired { .. } => "approval-expired",
            Self::ApprovalVoided { .. } => "approval-voided",
            Self::LeaseAnnounced { .. } => "lease-announced",
            Self::TokenBorn { .. } => "token-born",
            Self::TokenEnded { .. } => "token-ended",
            Self::RevocationFailed { .. } => "revocation-failed",
            Self::CallStarted { .. } => "call-started",
            Self::CallEnded { .. } => "call-ended",
            Self::ChangeApplied { .. } => "change-applied",
            Self::ChangeUndone { .. } => "change-undone",
            Self::ModelAsked { .. } => "model-asked",
            Self::PeopleTold { .. } => "people-told",
            Self::RegistryAsked { .. } => "registry-asked",
            Self::Killed { .. } => "killed",
            Self::Armed { .. } => "armed",
        }
    }
}
