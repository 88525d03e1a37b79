//! Why something about an approval was refused.

use super::policy::guard::Guarded;
use super::policy::limits::Limited;
use super::policy::{PolicyError, Refusal};
use crate::clock::Timestamp;
use crate::database::DatabaseError;

/// Why something was refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ApprovalError {
    /// The database refused.
    #[error(transparent)]
    Database(#[from] DatabaseError),
    /// The policy refused.
    #[error(transparent)]
    Policy(#[from] Refusal),
    /// A limit is reached.
    #[error(transparent)]
    Limited(#[from] Limited),
    /// The target is guarded.
    #[error(transparent)]
    Guarded(#[from] Guarded),
    /// The proposed policy can't be read.
    #[error(transparent)]
    PolicyText(#[from] PolicyError),
    /// There is no policy yet, so nobody may approve anything.
    #[error("no approval policy is in force: start the broker with one")]
    NoPolicy,
    /// The change names another policy than the one in force.
    #[error("the approval policy has changed since this was asked: ask again")]
    OtherPolicy,
    /// What the change says about its approval isn't what the policy wants for it.
    #[error("the change asks for other approvals than the policy wants")]
    OtherApprovals,
    /// There is no such request of this tenant.
    #[error("there is no such request")]
    Unknown,
    /// The digest that was decided on, kept or recomputed isn't this change's.
    #[error("this isn't the change that was shown: nothing was approved")]
    OtherDigest,
    /// It has been asked before.
    #[error("this very change has been asked for before")]
    AskedBefore,
    /// The same word was sent before.
    #[error("this answer was sent before: it counts once")]
    Replayed,
    /// It isn't approved.
    #[error("this change isn't approved")]
    NotApproved,
    /// Its approval has been used up.
    #[error("this approval has been used: each one allows one change")]
    UsedUp,
    /// It can't be applied any more.
    #[error("the change has expired: ask for it again")]
    Expired,
    /// Nothing is applied for the time being.
    #[error("nothing is applied until {until}: {reason}")]
    Frozen {
        /// When that ends.
        until: Timestamp,
        /// Why, in the policy's words.
        reason: String,
    },
    /// The bytes that came with the change aren't those that it names.
    #[error("the bytes that came with the change aren't those that it names")]
    OtherBytes,
}

impl ApprovalError {
    /// For the ledger, if it is a word that didn't count.
    pub(super) fn reason(&self) -> Option<&'static str> {
        Some(match self {
            Self::Replayed => "replayed",
            Self::OtherPolicy => "other-policy",
            Self::OtherDigest => "other-digest",
            Self::Policy(refusal) => match refusal {
                Refusal::NoRule { .. } => "no-rule",
                Refusal::RequesterUnknown(_) => "requester-unknown",
                Refusal::RequesterOfOtherTenant => "requester-of-other-tenant",
                Refusal::ApproverUnknown(_) => "approver-unknown",
                Refusal::OtherTenant => "other-tenant",
                Refusal::RoleMissing(_) => "role-missing",
                Refusal::OwnRequest => "own-request",
                Refusal::ChannelNotAllowed(_) => "channel-not-allowed",
                Refusal::AgentInTerminal => "agent-in-terminal",
                Refusal::PresenceTooOld => "presence-too-old",
                Refusal::ConfirmationMissing => "confirmation-missing",
                Refusal::ConfirmationWrong => "confirmation-wrong",
                Refusal::Expired => "expired",
                Refusal::AlreadyCounted => "already-counted",
                Refusal::Decided => "decided",
            },
            _ => return None,
        })
    }
}
