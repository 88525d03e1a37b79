//! Requests about the broker itself.

use serde::{Deserialize, Serialize};

use crate::digests::{Digest, ShortCode};
use crate::handles::{HandOverCode, HandOverState, HandedOver, Handle};
use crate::identifiers::{Count, UnixMillis};
use crate::intents::Bulk;
use crate::limits;
use crate::lists::bounded;
use crate::names::{AccountId, ConnectionName, Owner, SubjectId};
use crate::outcomes::Outcome;
use crate::text::{Foreign, Line};

/// What can be asked about the broker itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum Control {
    /// Which accounts are connected.
    ListConnections,
    /// Begin to connect an account: the rest happens on the broker's own pages.
    Connect {
        /// With whom.
        provider: Provider,
    },
    /// Log in on the broker's own pages: whoever asks has shown by the socket who it is.
    LogIn,
    /// Speak for somebody who logged in on the broker's pages and was sent from there to the application's.
    TakeOver {
        /// What their browser brought.
        code: HandOverCode,
        /// What their browser was sent with.
        state: HandOverState,
    },
    /// Speak for somebody no longer: they have logged out of the application.
    EndHandle {
        /// Whom.
        handle: Handle,
    },
    /// How far a change is that waits for approval.
    FollowChange {
        /// Which.
        digest: Digest,
    },
    /// Check each step of the set-up, at the providers.
    Doctor,
    /// Stop: no authority is borrowed any more, on any replica.
    Kill,
    /// End all that somebody has at the broker and at the identity provider, because they have left.
    EndAccess {
        /// Who, as the approval policy calls them.
        person: SubjectId,
    },
    /// Take up work again. The one who does must be allowed to.
    Arm,
    /// The public key that the broker's ledger is verified with.
    LedgerKey,
    /// All that is recorded up to now.
    ExportLedger {
        /// In which form.
        form: LedgerForm,
    },
}

/// In which form a ledger is exported.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum LedgerForm {
    /// JSON Lines with signatures, which anybody can verify who has the key.
    Verifiable,
    /// Events of the Open Cybersecurity Schema Framework.
    Ocsf,
}

/// With whom an account can be connected.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Provider {
    /// GitHub, or an enterprise host of it.
    Github,
    /// Amazon Web Services.
    Aws,
    /// Slack.
    Slack,
    /// Auth0.
    Auth0,
    /// An OpenID provider.
    Oidc,
    /// A model.
    Model,
}

/// The answer to a control request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum Report {
    /// Which accounts are connected.
    Connections {
        /// They.
        #[serde(deserialize_with = "connections")]
        connections: Vec<ConnectionSummary>,
    },
    /// Where the user connects an account: a page of the broker's own.
    ConnectAt {
        /// The page's address, from the broker's configuration.
        page: Line,
        /// What both the page and the terminal show.
        code: ShortCode,
        /// Until when.
        expires: UnixMillis,
    },
    /// Where the forge's owner installs the App: a page of the forge's own, made from the broker's configuration.
    InstallAt {
        /// The page's address.
        page: Line,
    },
    /// The account can be used without more ado.
    AlreadyConnected {
        /// It.
        connection: ConnectionSummary,
    },
    /// How far a change is.
    Change {
        /// Which.
        digest: Digest,
        /// How far.
        state: ChangeState,
        /// Who has approved.
        approved: Count,
        /// How many are wanted.
        wanted: Count,
        /// What came of it, once something did; of one that is approved and waits for something, what that is.
        outcome: Option<Box<Outcome>>,
    },
    /// Where the asker logs in, once, within minutes. It opens the broker's own pages only and is no provider's credential; it goes to
    /// the terminal of the person who asked and nowhere else.
    LogInAt {
        /// The page's address.
        page: Line,
        /// Until when.
        expires: UnixMillis,
    },
    /// For whom the application speaks now.
    HandedOver {
        /// Whom, and with what.
        person: Box<HandedOver>,
    },
    /// The handle is nothing any more.
    HandleEnded,
    /// What was checked.
    Checks {
        /// In order of the set-up.
        #[serde(deserialize_with = "checks")]
        checks: Vec<Check>,
    },
    /// Nothing is borrowed any more.
    Stopped {
        /// The number of this stop.
        epoch: Count,
        /// What was revoked, confirmed by the provider.
        revoked: Count,
        /// What waits for its revocation.
        waiting: Count,
    },
    /// What was ended of somebody who has left, step by step; a step that isn't sound has to be taken again, or by hand.
    AccessEnded {
        /// In their order.
        #[serde(deserialize_with = "checks")]
        steps: Vec<Check>,
    },
    /// Work is taken up again.
    Armed {
        /// The number of the stop that ended.
        epoch: Count,
    },
    /// The public key that the ledger is verified with.
    LedgerKey {
        /// As `keyblind ledger verify` takes it.
        key: Line,
    },
    /// What is recorded.
    Ledger {
        /// It.
        export: Bulk,
    },
}

impl Report {
    /// The bulk bytes that go with it.
    #[must_use]
    pub fn attached(&self) -> Option<Bulk> {
        match self {
            Self::Ledger { export } => Some(*export),
            _ => None,
        }
    }
}

/// How far a change is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ChangeState {
    /// It waits for people.
    Waiting,
    /// Enough have said yes; it isn't done yet.
    Approved,
    /// Somebody said no.
    Denied,
    /// Nobody said anything in time.
    Expired,
    /// The target isn't what it was.
    Stale,
    /// It is done and verified.
    Applied,
    /// It was approved and isn't done, or nobody knows whether it is: the outcome says why.
    Failed,
    /// It was done and undone.
    Undone,
    /// It was stopped.
    Halted,
    /// There is no such change of this asker.
    Unknown,
}

/// A connected account.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ConnectionSummary {
    /// The name that the configuration gives it.
    pub name: ConnectionName,
    /// With whom.
    pub provider: Provider,
    /// Whether it can be used.
    pub state: ConnectionState,
    /// The forge's owner that it is for.
    pub owner: Option<Owner>,
    /// The account that it is for.
    pub account: Option<AccountId>,
}

/// Whether a connection can be used, and if not, why.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ConnectionState {
    /// It can.
    Connected,
    /// Nobody connected it.
    NotConnected,
    /// It must be connected again.
    Expired,
    /// The login that it was connected with is over: whoever connected it logs in again.
    SignedOut,
    /// It lacks a permission.
    ScopeMissing,
    /// The provider wants a second factor.
    SecondFactorRequired,
    /// The provider asks to wait.
    RateLimited,
    /// The set-up at the provider is wrong: somebody who runs Keyblind must mend it.
    OperatorError,
}

/// One step of the set-up.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Check {
    /// What it is about.
    pub area: DoctorArea,
    /// What was looked at.
    pub subject: Line,
    /// How it is.
    pub state: CheckState,
    /// What to do.
    pub advice: Option<Line>,
    /// What the provider said.
    pub said: Option<Foreign>,
}

/// What a check is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum DoctorArea {
    /// The process: what it may not do, its memory.
    Process,
    /// Its state: database, sealed store, ledger.
    State,
    /// The socket and its peers.
    Socket,
    /// What it may reach.
    Egress,
    /// A provider.
    Provider(Provider),
    /// Approvals.
    Approvals,
}

/// How a check went.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum CheckState {
    /// As it should be.
    Sound,
    /// It works, with less protection than there could be.
    Weak,
    /// It doesn't work.
    Broken,
    /// It couldn't be looked at.
    NotChecked,
}

fn connections<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Vec<ConnectionSummary>, D::Error> {
    bounded::<_, _, { limits::REPORTED_CHECKS }>(deserializer)
}

fn checks<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Vec<Check>, D::Error> {
    bounded::<_, _, { limits::REPORTED_CHECKS }>(deserializer)
}
