//! The two kinds of borrowed authority, as values that are consumed by their use.
//!
//! A *write lease* is made of one approved change and allows one use: the value is gone afterwards, and so is the approval, durably.
//! A *read lease* allows a closed list of operations on one target, so many calls, so many minutes.
//!
//! Each is recorded before its token is asked for; the kill switch is read within the second before the token is asked for, and once
//! more before it is used. A provider that gives more than was asked for gets its token back at once. What a token's end is, only
//! the provider decides: revoked, dead by its own policy, or left to expire.

use std::collections::BTreeSet;
use std::future::Future;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use keyblind_intent::{Change, Line, Provider, RequestId};

use super::epoch::{EpochError, KillSwitch};
use super::revocation::{Announcement, Ending, LeaseError, Leases};
use crate::approvals::Approved;
use crate::clock::{Clock, Timestamp};
use crate::ledger::{CallResult, Code, Effect, Event, LeaseKind, Ledger, LedgerError, Record, Who, new_id};
use crate::secret::Secret;

/// How long providers may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Patience {
    /// To give a token.
    pub mint: Duration,
    /// To do all that one use sends.
    pub call: Duration,
}

impl Default for Patience {
    fn default() -> Self {
        Self { mint: Duration::from_secs(20), call: Duration::from_secs(120) }
    }
}

/// A token, what it is good for by the provider's own word, and until when.
pub struct Minted<S> {
    /// The token.
    pub token: Secret,
    /// What the provider says that it allows.
    pub granted: S,
    /// When it is dead whatever happens.
    pub dies_at: Timestamp,
}

/// Why there is no token, or none that is known of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NotMinted {
    /// The provider refused, or was never asked: there is none for certain.
    Refused(Code),
    /// The answer is lost: there may be one.
    Unknown(Code),
}

/// A source of authority that can be narrowed.
pub trait Authority: Clone + Send + Sync + 'static {
    /// What may be allowed: the provider's own terms, rendered from typed fields.
    type Scope: Clone + Send + Sync + 'static;

    /// Whose it is.
    fn provider(&self) -> Provider;
    /// How its tokens end.
    fn ending(&self) -> Ending;
    /// How long a token may live that is asked for so long a life, whatever happens: some providers can't make it shorter than theirs.
    fn longest_life(&self, asked: Duration) -> Duration {
        asked
    }
    /// Asks for a token that allows exactly this for at most so long.
    fn mint(&self, asked: &Self::Scope, lifetime: Duration) -> impl Future<Output = Result<Minted<Self::Scope>, NotMinted>> + Send;
    /// Whether what was granted allows nothing beyond what was asked.
    fn is_within(&self, granted: &Self::Scope, asked: &Self::Scope) -> bool;
}

/// How a call that was made failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CallFailure {
    /// It had no effect.
    Failed(Code),
    /// It may have had its effect.
    Unknown(Code),
}

/// Why nothing was lent, or a lease's use failed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum LendError {
    /// It is stopped, or could not be recorded.
    #[error(transparent)]
    Lease(#[from] LeaseError),
    /// The provider gives no token.
    #[error("the provider gives no authority ({0})")]
    Refused(Code),
    /// Whether there is a token isn't known; the record says until when it may live.
    #[error("the provider didn't answer in time: authority may exist until it expires ({0})")]
    Unknown(Code),
    /// The provider gave more than was asked for: its token was given back unused.
    #[error("the provider gave more than was asked for: it was given back unused")]
    TooMuchAuthority,
    /// The call isn't the approved change.
    #[error("what is about to be sent isn't the approved change: nothing was sent")]
    OtherChange,
    /// The approval is over.
    #[error("the approval expired before it was used")]
    Expired,
    /// The operation isn't one of the lease's.
    #[error("this lease doesn't allow `{0}`")]
    NotAllowed(Code),
    /// The lease is used up or over.
    #[error("this lease is used up")]
    UsedUp,
    /// The call failed without effect.
    #[error("the call failed without effect ({0})")]
    Failed(Code),
    /// The call may have had its effect: the target has to be read again before anything else.
    #[error("the call's answer is lost ({0}): read the target again before anything else")]
    Lost(Code),
}

impl From<EpochError> for LendError {
    fn from(error: EpochError) -> Self {
        Self::Lease(error.into())
    }
}

impl From<LedgerError> for LendError {
    fn from(error: LedgerError) -> Self {
        Self::Lease(error.into())
    }
}

/// For whom something is borrowed, and under which names it is recorded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Purpose {
    /// For whom.
    pub who: Who,
    /// The mission that it belongs to.
    pub mission: Option<RequestId>,
    /// The permission's name.
    pub permission: Code,
    /// On what.
    pub target: Line,
    /// For how long at most.
    pub lifetime: Duration,
}

/// Lends authority.
#[derive(Clone)]
pub struct Lender {
    leases: Leases,
    switch: KillSwitch,
    ledger: Ledger,
    clock: Arc<dyn Clock>,
    patience: Patience,
    /// Leases whose values were dropped without their use: they are ended by [`Self::tidy`].
    dropped: Arc<Mutex<Vec<RequestId>>>,
}

/// What both kinds hold. Dropping it doesn't forget the lease.
struct Held {
    lease: RequestId,
    token: Secret,
    purpose: Purpose,
    lender: Lender,
    /// The kill switch's epoch that it was borrowed in: a stop ends it for good, also after work is taken up again.
    epoch: u64,
    is_ended: bool,
}

impl Drop for Held {
    fn drop(&mut self) {
        if !self.is_ended {
            self.lender.dropped.lock().unwrap_or_else(PoisonError::into_inner).push(self.lease);
        }
    }
}

/// What one use of a write lease came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Used<T, U> {
    /// It is over.
    Done(T),
    /// It did what it shouldn't have: that is to be undone, with what is needed for it.
    ToUndo(U),
}

/// Authority for one approved change.
pub struct WriteLease {
    held: Held,
    approved: Approved,
}

/// Authority for a closed list of reads.
pub struct ReadLease {
    held: Held,
    operations: BTreeSet<Code>,
    calls_left: u32,
    over_at: Duration,
}

impl Lender {
    /// Puts it together.
    pub fn new(leases: Leases, switch: KillSwitch, ledger: Ledger, clock: Arc<dyn Clock>, patience: Patience) -> Self {
        Self { leases, switch, ledger, clock, patience, dropped: Arc::default() }
    }

    /// Borrows authority for an approved change. The approval is consumed whether or not this succeeds.
    ///
    /// # Errors
    /// If everything is stopped, it can't be recorded, or the provider gives none or too much.
    pub async fn write<A: Authority>(
        &self,
        approved: Approved,
        authority: &A,
        asked: &A::Scope,
        purpose: Purpose,
    ) -> Result<WriteLease, LendError> {
        if self.clock.now() >= approved.expires() {
            return Err(LendError::Expired);
        }
        let change = approved.change();
        let kind = LeaseKind::Write { change: change.digest(), approval: change.fields().id };
        let held = self.borrow(kind, authority, asked, purpose).await?;
        Ok(WriteLease { held, approved })
    }

    /// Borrows authority for these operations, so many calls.
    ///
    /// # Errors
    /// As [`Self::write`].
    pub async fn read<A: Authority>(
        &self,
        operations: BTreeSet<Code>,
        calls: u32,
        authority: &A,
        asked: &A::Scope,
        purpose: Purpose,
    ) -> Result<ReadLease, LendError> {
        let over_at = self.clock.monotonic().saturating_add(purpose.lifetime);
        let held = self.borrow(LeaseKind::Read, authority, asked, purpose).await?;
        Ok(ReadLease { held, operations, calls_left: calls, over_at })
    }

    /// Whether everything is stopped.
    pub fn is_stopped(&self) -> bool {
        self.switch.is_stopped()
    }

    /// Borrows to the end even if whoever asked leaves meanwhile: what was given by then is recorded, and given back by [`Self::tidy`].
    async fn borrow<A: Authority>(&self, kind: LeaseKind, authority: &A, asked: &A::Scope, purpose: Purpose) -> Result<Held, LendError> {
        let (lender, authority, asked) = (self.clone(), authority.clone(), asked.clone());
        let borrowing = tokio::spawn(async move { lender.borrow_now(kind, &authority, &asked, purpose).await });
        borrowing.await.unwrap_or_else(|_| Err(LendError::Unknown(word("interrupted"))))
    }

    async fn borrow_now<A: Authority>(
        &self,
        kind: LeaseKind,
        authority: &A,
        asked: &A::Scope,
        purpose: Purpose,
    ) -> Result<Held, LendError> {
        let lease = new_id()?;
        let permit = self.switch.permit().await?;
        let announcement = Announcement {
            lease,
            who: purpose.who.clone(),
            mission: purpose.mission,
            kind,
            provider: authority.provider(),
            permission: purpose.permission.clone(),
            target: purpose.target.clone(),
            ending: authority.ending(),
            // Its life begins when the provider gives it, which may be as late as anybody waits for it. If the answer is lost, this is what the
            // record says of it for good.
            dies_at: self.clock.now().saturating_add(self.patience.mint).saturating_add(authority.longest_life(purpose.lifetime)),
        };
        self.leases.announce(&permit, announcement).await?;
        if let Err(error) = self.switch.check(&permit) {
            // Stopped or slow in between: nobody has been asked for a token.
            self.leases.unborn(lease).await?;
            return Err(error.into());
        }
        let minted = match tokio::time::timeout(self.patience.mint, authority.mint(asked, purpose.lifetime)).await {
            Ok(Ok(minted)) => minted,
            Ok(Err(NotMinted::Refused(reason))) => {
                self.leases.unborn(lease).await?;
                return Err(LendError::Refused(reason));
            }
            // It stays announced: a token of it may live until the announced time, and the record says so.
            Ok(Err(NotMinted::Unknown(reason))) => return Err(LendError::Unknown(reason)),
            Err(_) => return Err(LendError::Unknown(word("timed-out"))),
        };
        // Held from here on: if nobody waits for this any more, `tidy` knows of the lease.
        let held = Held { lease, token: minted.token, purpose, lender: self.clone(), epoch: permit.epoch(), is_ended: false };
        self.leases.born(lease, &held.token, minted.dies_at).await?;
        if !authority.is_within(&minted.granted, asked) {
            held.end().await?;
            return Err(LendError::TooMuchAuthority);
        }
        Ok(held)
    }

    /// Ends what was dropped without its use; to be called now and then. Gives how many there were.
    ///
    /// # Errors
    /// If it can't be recorded; it is tried again the next time.
    pub async fn tidy(&self) -> Result<usize, LendError> {
        let mut ended = 0;
        loop {
            let next = self.dropped.lock().unwrap_or_else(PoisonError::into_inner).last().copied();
            let Some(lease) = next else { return Ok(ended) };
            match self.leases.end(lease).await {
                // A kill has ended it meanwhile.
                Ok(()) | Err(LeaseError::State(_)) => {}
                Err(error) => return Err(error.into()),
            }
            self.dropped.lock().unwrap_or_else(PoisonError::into_inner).retain(|other| *other != lease);
            ended += 1;
        }
    }
}

impl Held {
    async fn end(mut self) -> Result<(), LendError> {
        match self.lender.leases.end(self.lease).await {
            Ok(()) | Err(LeaseError::State(_)) => {
                self.is_ended = true;
                Ok(())
            }
            // Dropping it leaves it to `tidy`, and to recovery after that.
            Err(error) => Err(error.into()),
        }
    }

    /// Records the call, makes it, records what became of it.
    async fn call<T>(
        &self,
        operation: Code,
        effect: Effect,
        send: impl AsyncFnOnce(&Secret) -> Result<T, CallFailure>,
    ) -> Result<T, LendError> {
        let Lender { switch, ledger, patience, .. } = &self.lender;
        let record = |event| Record::of(&self.purpose.who, self.purpose.mission, event);
        let permit = switch.permit().await?;
        if permit.epoch() != self.epoch {
            return Err(EpochError::Moved { named: self.epoch, found: permit.epoch() }.into());
        }
        let call = new_id()?;
        switch.record_permitted(&permit, record(Event::CallStarted { call, lease: self.lease, operation, effect })).await?;
        let result = match switch.check(&permit) {
            Err(error) => {
                ledger.append(record(Event::CallEnded { call, result: CallResult::Failed { reason: word("stopped") } })).await?;
                return Err(error.into());
            }
            Ok(()) => {
                let longest = patience.call.min(self.purpose.lifetime);
                tokio::select! {
                    sent = tokio::time::timeout(longest, send(&self.token)) => sent.unwrap_or(Err(CallFailure::Unknown(word("timed-out")))),
                    // A use of many requests ends with the stop, not with its last one.
                    () = switch.stopped() => Err(CallFailure::Unknown(word("stopped"))),
                }
            }
        };
        let told = match &result {
            Ok(_) => CallResult::Succeeded,
            Err(CallFailure::Failed(reason)) => CallResult::Failed { reason: reason.clone() },
            Err(CallFailure::Unknown(reason)) => CallResult::Unknown { reason: reason.clone() },
        };
        // It happened, recorded or not: a call without an end counts as unknown for whoever reads the ledger.
        let recorded = ledger.append(record(Event::CallEnded { call, result: told })).await;
        match result {
            Ok(value) => recorded.map(|_| value).map_err(|_| LendError::Lost(word("unrecorded"))),
            Err(CallFailure::Failed(reason)) => Err(LendError::Failed(reason)),
            Err(CallFailure::Unknown(reason)) => Err(LendError::Lost(reason)),
        }
    }
}

impl WriteLease {
    /// What may be done.
    pub fn change(&self) -> &Change {
        self.approved.change()
    }

    /// Uses it, once. `rendered` is the change as the caller has made it again from what it is about to send.
    ///
    /// # Errors
    /// If that isn't the approved change, everything is stopped, or the call fails. The lease is over in any case.
    pub async fn apply<T>(
        self,
        rendered: &Change,
        operation: Code,
        send: impl AsyncFnOnce(&Secret) -> Result<T, CallFailure>,
    ) -> Result<T, LendError> {
        let send = async |token: &Secret| send(token).await.map(Used::<T, std::convert::Infallible>::Done);
        self.apply_or_undo(rendered, operation.clone(), send, operation, async |_: &Secret, nothing| match nothing {}).await
    }

    /// The same, where what was done may have to be undone at once: that is a call of its own in the record, announced before it is made.
    /// A stop in between leaves it undone by nobody.
    ///
    /// # Errors
    /// As [`Self::apply`]; and if the undoing fails.
    pub async fn apply_or_undo<T, U>(
        self,
        rendered: &Change,
        operation: Code,
        send: impl AsyncFnOnce(&Secret) -> Result<Used<T, U>, CallFailure>,
        undoing: Code,
        undo: impl AsyncFnOnce(&Secret, U) -> Result<T, CallFailure>,
    ) -> Result<T, LendError> {
        let Self { held, approved } = self;
        let digest = approved.change().digest();
        let effect = Effect::Write { change: digest };
        let used = if rendered.digest() != digest {
            Err(LendError::OtherChange)
        } else if held.lender.clock.now() >= approved.expires() {
            Err(LendError::Expired)
        } else {
            held.call(operation, effect, send).await
        };
        let result = match used {
            Ok(Used::Done(value)) => Ok(value),
            Ok(Used::ToUndo(what)) => held.call(undoing, effect, async |token: &Secret| undo(token, what).await).await,
            Err(error) => Err(error),
        };
        let ended = held.end().await;
        let value = result?;
        ended.map(|()| value)
    }
}

impl ReadLease {
    /// Reads.
    ///
    /// # Errors
    /// If the operation isn't on the list, the calls or the minutes are used up, everything is stopped, or the call fails.
    pub async fn call<T>(&mut self, operation: Code, send: impl AsyncFnOnce(&Secret) -> Result<T, CallFailure>) -> Result<T, LendError> {
        if !self.operations.contains(&operation) {
            return Err(LendError::NotAllowed(operation));
        }
        if self.calls_left == 0 || self.held.lender.clock.monotonic() >= self.over_at {
            return Err(LendError::UsedUp);
        }
        self.calls_left -= 1;
        self.held.call(operation, Effect::Read, send).await
    }

    /// Ends it before its time.
    ///
    /// # Errors
    /// If that can't be recorded.
    pub async fn finish(self) -> Result<(), LendError> {
        self.held.end().await
    }
}

fn word(word: &str) -> Code {
    // Only words of this file come here.
    Code::new(word).unwrap_or_else(|| unreachable!("`{word}` is a word"))
}

#[cfg(test)]
mod tests;
