//! The policy in force, and how another one comes into force.

use std::sync::Arc;

use keyblind_intent::Digest;
use rusqlite::Transaction;

use super::error::ApprovalError;
use super::journal::Entry;
use super::policy::revision::{self, Stage};
use super::policy::{Identity, Policy};
use super::rows;
use super::service::Approvals;
use crate::clock::Timestamp;
use crate::database::DatabaseError;

/// A policy that isn't in force yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProposedPolicy {
    /// The digest of its text.
    pub digest: Digest,
    /// Its text.
    pub text: String,
    /// How many owners have agreed.
    pub agreed: usize,
    /// When it takes effect, if enough have.
    pub in_force_at: Option<Timestamp>,
}

impl Approvals {
    /// Hands over the text of the policy that is wanted. The first one ever is in force at once; any other waits for owners of the
    /// one in force. The same text again changes nothing.
    ///
    /// # Errors
    /// If it can't be read.
    pub async fn propose_policy(&self, text: &str) -> Result<Digest, ApprovalError> {
        Policy::parse(text)?;
        let (text, now) = (text.to_owned(), self.clock.now());
        let journal = Arc::clone(&self.journal);
        self.database
            .transact(move |transaction| {
                let digest = Digest::of(text.as_bytes());
                let is_first = rows::policy_in_force(transaction, now)?.is_none();
                if rows::insert_policy(transaction, &digest, &text, now, is_first.then_some(now))? {
                    let entry = if is_first { Entry::PolicyInForce { policy: digest } } else { Entry::PolicyProposed { policy: digest } };
                    journal.append(transaction, now, &entry)?;
                }
                Ok(digest)
            })
            .await
    }

    /// An owner agrees to a proposed policy.
    ///
    /// # Errors
    /// If there is no such proposal, or whoever speaks isn't an owner by the policy in force, or has agreed before.
    pub async fn agree_to_policy(&self, digest: Digest, identity: Identity) -> Result<Stage, ApprovalError> {
        let now = self.clock.now();
        let journal = Arc::clone(&self.journal);
        self.database
            .transact(move |transaction| {
                let (_, policy) = in_force(transaction, now)?;
                let proposed = rows::policies_to_come(transaction, now)?;
                let proposed =
                    proposed.iter().find(|row| row.digest == digest && row.in_force_at.is_none()).ok_or(ApprovalError::Unknown)?;
                Policy::parse(&proposed.text)?;
                let (person, stage) = revision::agree(&policy, &rows::agreements(transaction, &digest)?, &identity, now)?;
                let in_force_at = match stage {
                    Stage::InForceAt(time) => Some(time),
                    Stage::Waiting(_) => None,
                };
                journal.append(transaction, now, &Entry::PolicyAgreed { policy: digest, person: person.clone(), in_force_at })?;
                rows::agree(transaction, &digest, &person, now, in_force_at)?;
                Ok(stage)
            })
            .await
    }

    /// The text of the policy in force, under its digest.
    ///
    /// # Errors
    /// If there is none.
    pub async fn policy_text(&self) -> Result<(Digest, String), ApprovalError> {
        let now = self.clock.now();
        self.database
            .transact(move |transaction| {
                let row = rows::policy_in_force(transaction, now)?.ok_or(ApprovalError::NoPolicy)?;
                Ok((row.digest, row.text))
            })
            .await
    }

    /// What is proposed or agreed, but not in force.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn policies_to_come(&self) -> Result<Vec<ProposedPolicy>, ApprovalError> {
        let now = self.clock.now();
        self.database
            .transact(move |transaction| {
                let rows = rows::policies_to_come(transaction, now)?;
                rows.into_iter()
                    .map(|row| {
                        let agreed = rows::agreements(transaction, &row.digest)?.len();
                        Ok(ProposedPolicy { digest: row.digest, text: row.text, agreed, in_force_at: row.in_force_at })
                    })
                    .collect()
            })
            .await
    }
}

/// The policy in force, under its digest.
pub(super) fn in_force(transaction: &Transaction<'_>, now: Timestamp) -> Result<(Digest, Policy), ApprovalError> {
    let row = rows::policy_in_force(transaction, now)?.ok_or(ApprovalError::NoPolicy)?;
    if Digest::of(row.text.as_bytes()) != row.digest {
        return Err(DatabaseError::Unexpected("a policy whose text was altered").into());
    }
    Ok((row.digest, Policy::parse(&row.text)?))
}
