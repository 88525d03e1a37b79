//! Changing the policy itself: two owners of the policy *in force*, then a wait in which anybody can see what is coming.
//!
//! The policy file says what is wanted. It counts only after this: an operator who edits it quietly changes nothing, and the
//! proposal stands on every page of the door until it is decided.

use super::{Identity, Person, PersonId, Policy, Refusal, Role};
use crate::clock::Timestamp;

/// How many owners it takes.
pub const OWNERS: usize = 2;

/// Where a proposed policy stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Stage {
    /// More owners have to agree: that many.
    Waiting(usize),
    /// All have; in force from then on.
    InForceAt(Timestamp),
}

/// Whose yes to a proposed policy counts, and where it stands then.
///
/// Under the solo policy the one person's word is enough, but the wait stays: a stolen session can't loosen the rules at once.
/// Only the policy in force is asked who its owners are: a proposal can't appoint the owners that agree to it.
///
/// # Errors
/// If whoever speaks isn't an owner, or has spoken before.
pub fn agree(in_force: &Policy, earlier: &[PersonId], identity: &Identity, now: Timestamp) -> Result<(PersonId, Stage), Refusal> {
    let person: &Person = in_force.person_of(identity).ok_or_else(|| Refusal::ApproverUnknown(identity.clone()))?;
    let solo = in_force.solo() == Some(person.id());
    if !person.has(Role::Owner) && !solo {
        return Err(Refusal::RoleMissing([Role::Owner].into()));
    }
    if earlier.contains(person.id()) {
        return Err(Refusal::AlreadyCounted);
    }
    let needed = if solo { 1 } else { OWNERS };
    let stage = match needed.saturating_sub(earlier.len() + 1) {
        0 => Stage::InForceAt(now.saturating_add(in_force.change_delay())),
        missing => Stage::Waiting(missing),
    };
    Ok((person.id().clone(), stage))
}
