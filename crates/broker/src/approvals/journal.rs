//! What approvals write into the ledger.

use keyblind_intent::{Digest, RequestId};
use rusqlite::Transaction;

use super::policy::{Counted, PersonId};
use crate::clock::Timestamp;
use crate::database::DatabaseError;

/// One thing that happened, before it takes effect.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Entry {
    /// Somebody asked for a change.
    Raised {
        /// The change's own id, which is its approval's.
        approval: RequestId,
        /// Its digest.
        change: Digest,
        /// Whose.
        tenant: String,
        /// The person who asked, as the policy knows them; none for the broker's own schedule.
        requester: Option<PersonId>,
        /// How many people are wanted.
        wanted: usize,
        /// Whether the requester may be one of them.
        may_be_requester: bool,
        /// When it is over.
        expires: Timestamp,
    },
    /// A person's word counts.
    Word {
        /// On which request.
        approval: RequestId,
        /// The digest that this person has seen.
        change: Digest,
        /// Whose.
        tenant: String,
        /// Who said what on which channel.
        counted: Counted,
        /// Whether requester and approver are one person, by the solo policy.
        solo: bool,
        /// Whether it was the last one that was needed.
        is_given: bool,
    },
    /// A person's word didn't count.
    WordRefused {
        /// On which request.
        approval: RequestId,
        /// Whose.
        tenant: String,
        /// Why, in a word.
        reason: &'static str,
    },
    /// An approved change is about to be applied: its approval is used up.
    Used {
        /// Which.
        approval: RequestId,
        /// Its digest.
        change: Digest,
        /// Whose.
        tenant: String,
    },
    /// Nobody answered in time, or an approval wasn't used in time.
    Expired {
        /// Which.
        approval: RequestId,
        /// Whose.
        tenant: String,
    },
    /// A stop voided it.
    Voided {
        /// Which.
        approval: RequestId,
        /// Whose.
        tenant: String,
    },
    /// A policy was proposed.
    PolicyProposed {
        /// The digest of its text.
        policy: Digest,
    },
    /// An owner agreed to a proposed policy.
    PolicyAgreed {
        /// The digest of its text.
        policy: Digest,
        /// Who.
        person: PersonId,
        /// When it takes effect, if enough have agreed.
        in_force_at: Option<Timestamp>,
    },
    /// A policy is in force.
    PolicyInForce {
        /// The digest of its text.
        policy: Digest,
    },
}

/// Where it is written. Called inside of the transaction that changes the state: if it fails, nothing happens.
pub trait Journal: Send + Sync + 'static {
    /// Appends an entry.
    ///
    /// # Errors
    /// If it can't be kept.
    fn append(&self, transaction: &Transaction<'_>, now: Timestamp, entry: &Entry) -> Result<(), DatabaseError>;
}
