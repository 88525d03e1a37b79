//! Every lease is accounted for, and every token that can be revoked is.
//!
//! A lease is recorded before its token is asked for, its token is sealed before it is used, and what can be revoked stays in the
//! queue until the provider has confirmed it or it is dead for certain. Each step is one transaction with its entry in the ledger, so that
//! a kill at any point leaves a lease that says what is known of it; [`Leases::recover`] takes up from there.
//!
//! The queue waits by the clock that nobody can set. That a token has expired is believed only if both clocks say so: setting the time
//! of day forward doesn't make a living token dead.

use std::collections::HashMap;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use keyblind_intent::{Count, Line as Text, Provider, RequestId, UnixMillis};
use rusqlite::{OptionalExtension as _, params};

use super::epoch::{EpochError, KillSwitch, Permit};
use super::rows::{COLUMNS, Stored, in_millis, insert, raw, set_state, stored, token_name};
use crate::clock::{Clock, Timestamp};
use crate::database::{Database, DatabaseError};
use crate::ledger::{Code, Event, LeaseKind, Ledger, LedgerError, Record, TokenEnd, Who};
use crate::secret::Secret;
use crate::vault::{Vault, VaultError};

/// How long a provider may take to answer.
const ANSWER_WITHIN: Duration = Duration::from_secs(20);
/// The first pause after a failure; it doubles.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
/// The longest pause.
const LONGEST_PAUSE: Duration = Duration::from_secs(300);
/// How often the queue is looked at when nothing was due.
const LOOK_EVERY: Duration = Duration::from_millis(500);

/// Why a lease can't go on.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum LeaseError {
    /// The kill switch stands, or wasn't read freshly.
    #[error(transparent)]
    Epoch(#[from] EpochError),
    /// It could not be recorded: nothing may be done.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
    /// The token could not be sealed: it may not be used.
    #[error(transparent)]
    Vault(#[from] VaultError),
    /// There is no such lease in that state.
    #[error("the lease isn't {0}")]
    State(&'static str),
}

impl From<DatabaseError> for LeaseError {
    fn from(error: DatabaseError) -> Self {
        Self::Ledger(error.into())
    }
}

/// How a provider's tokens end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// The provider revokes them one by one, and says so.
    Revoke,
    /// A policy that is part of the token makes it useless at a time.
    Policy,
    /// They only expire.
    Expiry,
}

impl Ending {
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::Revoke => "revoke",
            Self::Policy => "policy",
            Self::Expiry => "expiry",
        }
    }

    pub(super) fn from_name(name: &str) -> Result<Self, DatabaseError> {
        [Self::Revoke, Self::Policy, Self::Expiry]
            .into_iter()
            .find(|ending| ending.as_str() == name)
            .ok_or(DatabaseError::Unexpected("an unknown ending of a lease"))
    }
}

/// What a lease is announced with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Announcement {
    /// Its id, new and random.
    pub lease: RequestId,
    /// For whom.
    pub who: Who,
    /// The mission that it belongs to.
    pub mission: Option<RequestId>,
    /// What it is for.
    pub kind: LeaseKind,
    /// From whom.
    pub provider: Provider,
    /// The permission's name.
    pub permission: Code,
    /// On what.
    pub target: Text,
    /// How the provider ends it.
    pub ending: Ending,
    /// When a token of it is dead whatever happens, at the latest.
    pub dies_at: Timestamp,
}

/// Which token is to be revoked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ToRevoke {
    /// The lease's id.
    pub lease: RequestId,
    /// For whom it was.
    pub who: Who,
    /// From whom.
    pub provider: Provider,
}

/// That a token is dead, by the provider's word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Revoked {
    /// The provider revoked it just now.
    Confirmed,
    /// The provider says that it was dead already: revoked by an attempt whose answer never came, say.
    WasDead,
}

/// Why a token could not be revoked this time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RevocationFailure {
    /// Why.
    pub reason: Code,
    /// When the provider wants to be asked again at the earliest.
    pub retry_after: Option<Duration>,
}

/// What a provider answers, some time later.
pub type RevokerFuture<'a> = Pin<Box<dyn Future<Output = Result<Revoked, RevocationFailure>> + Send + 'a>>;

/// Revokes tokens at their provider. It may be asked twice for the same token.
pub trait Revoker: Send + Sync + 'static {
    /// Revokes one. Only the provider's own word makes an `Ok`.
    fn revoke<'a>(&'a self, lease: &'a ToRevoke, token: &'a Secret) -> RevokerFuture<'a>;
}

/// A lease that isn't known to be dead.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outstanding {
    /// Which.
    pub lease: RequestId,
    /// For whom.
    pub who: Who,
    /// From whom.
    pub provider: Provider,
    /// How far it is.
    pub state: OutstandingState,
    /// When it is dead whatever happens.
    pub dies_at: Timestamp,
    /// How often its revocation failed.
    pub attempts: u64,
}

/// How far a lease is that isn't known to be dead.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OutstandingState {
    /// Its token was asked for; whether there is one isn't known yet.
    Announced,
    /// Its token may be used.
    Live,
    /// Its token is being revoked.
    Ending,
    /// Its token can't be revoked: it lives until it dies.
    Unrevoked,
}

/// What is known of a lease by the clock that nobody can set.
#[derive(Clone, Copy)]
struct Seen {
    /// When this process first had to do with it.
    since: Duration,
    /// When it is tried again.
    next: Duration,
}

/// All leases of one database; clones share them.
#[derive(Clone)]
pub struct Leases {
    database: Database,
    vault: Arc<Vault>,
    ledger: Ledger,
    switch: KillSwitch,
    clock: Arc<dyn Clock>,
    revokers: Arc<HashMap<Provider, Arc<dyn Revoker>>>,
    seen: Arc<Mutex<HashMap<RequestId, Seen>>>,
}

impl Leases {
    /// Puts them together. A provider whose tokens can be revoked needs its revoker here.
    pub fn new(
        database: Database,
        vault: Arc<Vault>,
        ledger: Ledger,
        switch: KillSwitch,
        clock: Arc<dyn Clock>,
        revokers: HashMap<Provider, Arc<dyn Revoker>>,
    ) -> Self {
        Self { database, vault, ledger, switch, clock, revokers: Arc::new(revokers), seen: Arc::default() }
    }

    fn seen(&self, lease: RequestId) -> Seen {
        let now = self.clock.monotonic();
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        *seen.entry(lease).or_insert(Seen { since: now, next: now })
    }

    fn set_next(&self, lease: RequestId, next: Duration) {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(seen) = seen.get_mut(&lease) {
            seen.next = next;
        }
    }

    fn forget(&self, lease: RequestId) {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).remove(&lease);
    }

    /// Records that a token is about to be asked for. Only after this may it be.
    ///
    /// # Errors
    /// If everything is stopped, or it can't be recorded.
    pub async fn announce(&self, permit: &Permit, announcement: Announcement) -> Result<(), LeaseError> {
        let (ledger, switch, permit) = (self.ledger.clone(), self.switch.clone(), *permit);
        let lifetime = announcement.dies_at.saturating_duration_since(self.clock.now());
        self.seen(announcement.lease);
        self.database
            .transact(move |transaction| {
                switch.check_in(transaction, &permit)?;
                insert(transaction, &announcement, lifetime)?;
                let Announcement { lease, who, mission, kind, provider, permission, target, dies_at, .. } = announcement;
                let dies_at = UnixMillis::new(dies_at.unix_millis());
                let event = Event::LeaseAnnounced { lease, kind, provider, permission, target, dies_at };
                ledger.append_in(transaction, Record::of(&who, mission, event))?;
                Ok(())
            })
            .await
    }

    /// Records that the provider gave the token: seals it first, if it can be revoked. Only after this may it be used.
    ///
    /// # Errors
    /// If it can't be sealed or recorded, or everything was stopped meanwhile. The token is then revoked at once if that is
    /// possible, and the lease stays on record either way.
    pub async fn born(&self, lease: RequestId, token: &Secret, dies_at: Timestamp) -> Result<(), LeaseError> {
        let result = self.record_birth(lease, token, dies_at).await;
        if result.is_err() {
            self.revoke_unrecorded(lease, token).await;
        }
        result
    }

    async fn record_birth(&self, id: RequestId, token: &Secret, dies_at: Timestamp) -> Result<(), LeaseError> {
        let stored = self.find(id).await?;
        if stored.state != "announced" {
            return Err(LeaseError::State("waiting for its token"));
        }
        if stored.ending == Ending::Revoke {
            self.vault.put(&token_name(&stored)?, token).await?;
        }
        // A provider may give a longer life than was announced, and a token is dead for certain only after all of it.
        let waited = self.clock.monotonic().saturating_sub(self.seen(id).since);
        let granted = waited.saturating_add(dies_at.saturating_duration_since(self.clock.now()));
        let lifetime = in_millis(stored.lifetime.max(granted));
        let (ledger, switch) = (self.ledger.clone(), self.switch.clone());
        let is_stopped = self
            .database
            .transact(move |transaction| {
                // It is here, so its birth is recorded in any case; whether it may be used is another matter.
                let is_stopped = switch.is_stopped_in(transaction)?;
                let state = if is_stopped { "ending" } else { "live" };
                let sql = "UPDATE leases SET state = ?2, dies_at = ?3, lifetime = ?4 WHERE id = ?1 AND state = 'announced'";
                let parameters = params![id.as_bytes(), state, dies_at.unix_millis(), lifetime];
                let changed = transaction.execute(sql, parameters).map_err(DatabaseError::from)?;
                if changed != 1 {
                    return Err(LeaseError::State("waiting for its token"));
                }
                let event = Event::TokenBorn { lease: id, dies_at: UnixMillis::new(dies_at.unix_millis()) };
                ledger.append_in(transaction, Record::of(&stored.who, stored.mission, event))?;
                Ok(is_stopped)
            })
            .await?;
        if is_stopped { Err(EpochError::Stopped { epoch: self.switch.epoch().await? }.into()) } else { Ok(()) }
    }

    /// One attempt for a token whose birth could not be recorded (or that is in the queue now anyway). If it fails, the lease is still
    /// announced: recovery says that a token of it may live until it dies.
    async fn revoke_unrecorded(&self, id: RequestId, token: &Secret) {
        let Ok(stored) = self.find(id).await else { return };
        let Some(revoker) = self.revokers.get(&stored.provider).filter(|_| stored.ending == Ending::Revoke) else { return };
        let to_revoke = ToRevoke { lease: id, who: stored.who.clone(), provider: stored.provider };
        if let Ok(Ok(_)) = tokio::time::timeout(ANSWER_WITHIN, revoker.revoke(&to_revoke, token)).await {
            // If this can't be recorded either, the queue asks once more and hears that it was dead.
            if self.close(&stored, "revoked", TokenEnd::Revoked).await.is_ok() {
                // If it stays sealed, recovery forgets it.
                let _ = self.forget_token(&stored).await;
            }
        }
    }

    /// Records that the provider gave no token, for certain: it refused, or was never asked.
    ///
    /// # Errors
    /// If it can't be recorded, or the lease isn't waiting for its token.
    pub async fn unborn(&self, lease: RequestId) -> Result<(), LeaseError> {
        let stored = self.find(lease).await?;
        if stored.state != "announced" {
            return Err(LeaseError::State("waiting for its token"));
        }
        self.close(&stored, "unborn", TokenEnd::Unborn).await
    }

    /// Ends a lease: its use is over. A token that can be revoked is in the queue afterwards; of others it is recorded when they are dead.
    ///
    /// # Errors
    /// If it can't be recorded; recovery ends it then.
    pub async fn end(&self, lease: RequestId) -> Result<(), LeaseError> {
        let stored = self.find(lease).await?;
        if stored.state != "live" {
            return Err(LeaseError::State("alive"));
        }
        self.begin_to_end(&stored).await
    }

    async fn begin_to_end(&self, stored: &Stored) -> Result<(), LeaseError> {
        let at = UnixMillis::new(stored.dies_at.unix_millis());
        match stored.ending {
            Ending::Revoke => {
                let id = stored.id;
                self.database
                    .transact(move |transaction| {
                        let sql = "UPDATE leases SET state = 'ending', next_attempt = 0 WHERE id = ?1 AND state = 'live'";
                        transaction.execute(sql, [id.as_bytes()]).map(drop).map_err(|error| DatabaseError::from(error).into())
                    })
                    .await
            }
            Ending::Policy => self.close(stored, "dead", TokenEnd::PolicyDead { at }).await,
            Ending::Expiry => self.close(stored, "unrevoked", TokenEnd::ExpiresAt { at }).await,
        }
    }

    /// Takes up what a process that was killed left: nothing that it borrowed is used again.
    ///
    /// # Errors
    /// If the database refuses, or one of them can't be recovered now: the others are.
    pub async fn recover(&self) -> Result<(), LeaseError> {
        // One that can't be recovered now keeps none of the others from their end.
        let mut result = Ok(());
        for stored in self.in_states("state IN ('announced', 'live', 'ending')").await? {
            self.seen(stored.id);
            let recovered = match stored.state.as_str() {
                "live" => self.begin_to_end(&stored).await,
                // Killed by the switch: what isn't revoked only has to be said.
                "ending" if stored.ending != Ending::Revoke => self.begin_to_end(&stored).await,
                "ending" => Ok(()),
                // Its token was asked for, and the answer is lost, unless it is sealed already.
                _ => self.recover_announced(&stored).await,
            };
            result = result.and(recovered);
        }
        // A token that is dead, and the process killed before it was forgotten.
        for stored in self.in_states("ending = 'revoke' AND state IN ('revoked', 'unborn', 'unrevoked', 'dead')").await? {
            result = result.and(self.forget_token(&stored).await);
        }
        result
    }

    async fn recover_announced(&self, stored: &Stored) -> Result<(), LeaseError> {
        let token = match stored.ending {
            Ending::Revoke => self.vault.get(&token_name(stored)?).await.map(drop),
            Ending::Policy | Ending::Expiry => Err(VaultError::NotFound),
        };
        match token {
            Ok(()) => {
                let (ledger, stored) = (self.ledger.clone(), stored.clone());
                self.database
                    .transact(move |transaction| {
                        set_state(transaction, stored.id, "ending")?;
                        let event = Event::TokenBorn { lease: stored.id, dies_at: UnixMillis::new(stored.dies_at.unix_millis()) };
                        ledger.append_in(transaction, Record::of(&stored.who, stored.mission, event))?;
                        Ok(())
                    })
                    .await
            }
            Err(VaultError::NotFound) => {
                let at = UnixMillis::new(stored.dies_at.unix_millis());
                let end = if stored.ending == Ending::Policy { TokenEnd::PolicyDead { at } } else { TokenEnd::ExpiresAt { at } };
                self.close(stored, "unrevoked", end).await
            }
            Err(error) => Err(error.into()),
        }
    }

    /// Works on the queue until the returned future is dropped.
    pub async fn work(&self) {
        loop {
            // What fails is recorded with its lease; a database that refuses is asked again.
            let tried = self.revoke_due().await.unwrap_or(0);
            if tried == 0 {
                tokio::time::sleep(LOOK_EVERY).await;
            }
        }
    }

    /// Tries each revocation that is due once. Returns how many were tried.
    ///
    /// # Errors
    /// If the database refuses.
    pub async fn revoke_due(&self) -> Result<usize, LeaseError> {
        let mut tried = 0;
        for stored in self.in_states("state = 'ending'").await? {
            if stored.ending != Ending::Revoke {
                self.begin_to_end(&stored).await?;
            } else if self.seen(stored.id).next <= self.clock.monotonic() {
                tried += 1;
                self.revoke(&stored).await?;
            }
        }
        Ok(tried)
    }

    async fn revoke(&self, stored: &Stored) -> Result<(), LeaseError> {
        let to_revoke = ToRevoke { lease: stored.id, who: stored.who.clone(), provider: stored.provider };
        let failure = |reason: &str| RevocationFailure { reason: code(reason), retry_after: None };
        let result = match (self.vault.get(&token_name(stored)?).await, self.revokers.get(&stored.provider)) {
            (Ok((_, token)), Some(revoker)) => match tokio::time::timeout(ANSWER_WITHIN, revoker.revoke(&to_revoke, &token)).await {
                Ok(result) => result,
                Err(_) => Err(failure("no-answer-in-time")),
            },
            (Ok(_), None) => Err(failure("no-revoker-configured")),
            (Err(VaultError::NotFound), _) => Err(failure("token-not-kept")),
            (Err(_), _) => Err(failure("token-does-not-open")),
        };
        match result {
            Ok(Revoked::Confirmed | Revoked::WasDead) => {
                self.close(stored, "revoked", TokenEnd::Revoked).await?;
                self.forget_token(stored).await
            }
            Err(_) if self.is_dead_for_certain(stored) => {
                let at = UnixMillis::new(stored.dies_at.unix_millis());
                self.close(stored, "dead", TokenEnd::ExpiresAt { at }).await?;
                self.forget_token(stored).await
            }
            Err(failure) => self.put_off(stored, failure).await,
        }
    }

    /// Both clocks must say so: the time of day can be set, and the other one has only run since this process began.
    fn is_dead_for_certain(&self, stored: &Stored) -> bool {
        let waited = self.clock.monotonic().saturating_sub(self.seen(stored.id).since);
        self.clock.now() >= stored.dies_at && waited >= stored.lifetime
    }

    async fn put_off(&self, stored: &Stored, failure: RevocationFailure) -> Result<(), LeaseError> {
        let attempts = stored.attempts.saturating_add(1);
        let doubled = FIRST_PAUSE.saturating_mul(1_u32 << stored.attempts.min(16));
        let pause = doubled.min(LONGEST_PAUSE).max(failure.retry_after.unwrap_or_default().min(LONGEST_PAUSE));
        self.set_next(stored.id, self.clock.monotonic().saturating_add(pause));
        let next = self.clock.now().saturating_add(pause);
        let (ledger, stored) = (self.ledger.clone(), stored.clone());
        self.database
            .transact(move |transaction| {
                let sql = "UPDATE leases SET attempts = ?2, next_attempt = ?3, last_failure = ?4 WHERE id = ?1 AND state = 'ending'";
                let parameters = params![stored.id.as_bytes(), attempts, next.unix_millis(), failure.reason.as_str()];
                if transaction.execute(sql, parameters).map_err(DatabaseError::from)? == 0 {
                    // Its end was recorded while this attempt was under way.
                    return Ok(());
                }
                let event = Event::RevocationFailed {
                    lease: stored.id,
                    attempts: Count::saturating(attempts),
                    reason: failure.reason,
                    next: UnixMillis::new(next.unix_millis()),
                };
                ledger.append_in(transaction, Record::of(&stored.who, stored.mission, event))?;
                Ok(())
            })
            .await
    }

    /// Records a lease's end, in its row and in the ledger.
    async fn close(&self, stored: &Stored, state: &'static str, end: TokenEnd) -> Result<(), LeaseError> {
        let (ledger, stored) = (self.ledger.clone(), stored.clone());
        let id = stored.id;
        self.database
            .transact(move |transaction| {
                let sql = "UPDATE leases SET state = ?2 WHERE id = ?1 AND state IN ('announced', 'live', 'ending')";
                if transaction.execute(sql, params![stored.id.as_bytes(), state]).map_err(DatabaseError::from)? == 0 {
                    // Two may revoke the same token; its end is recorded once.
                    return Ok(());
                }
                let event = Event::TokenEnded { lease: stored.id, end };
                ledger.append_in(transaction, Record::of(&stored.who, stored.mission, event))?;
                Ok::<_, LeaseError>(())
            })
            .await?;
        self.forget(id);
        Ok(())
    }

    async fn forget_token(&self, stored: &Stored) -> Result<(), LeaseError> {
        match self.vault.delete(&token_name(stored)?).await {
            Ok(()) | Err(VaultError::NotFound) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    /// What isn't known to be dead, and when it is: what a kill shows.
    ///
    /// # Errors
    /// If the database refuses.
    pub async fn outstanding(&self) -> Result<Vec<Outstanding>, LeaseError> {
        let now = self.clock.now();
        let open = self.in_states("state IN ('announced', 'live', 'ending', 'unrevoked', 'dead')").await?;
        let outstanding = open.into_iter().filter_map(|stored| {
            let state = match stored.state.as_str() {
                "announced" => OutstandingState::Announced,
                "live" => OutstandingState::Live,
                "ending" => OutstandingState::Ending,
                // What dies by itself is outstanding until then.
                _ if stored.dies_at > now => OutstandingState::Unrevoked,
                _ => return None,
            };
            let Stored { id, who, provider, dies_at, attempts, .. } = stored;
            Some(Outstanding { lease: id, who, provider, state, dies_at, attempts })
        });
        Ok(outstanding.collect())
    }

    async fn find(&self, lease: RequestId) -> Result<Stored, LeaseError> {
        self.database
            .transact(move |transaction| {
                let sql = format!("{COLUMNS} WHERE id = ?1");
                let row = transaction.query_row(&sql, [lease.as_bytes()], raw).optional().map_err(DatabaseError::from)?;
                Ok(stored(row.ok_or(LeaseError::State("known"))?)?)
            })
            .await
    }

    async fn in_states(&self, condition: &'static str) -> Result<Vec<Stored>, LeaseError> {
        self.database
            .transact(move |transaction| {
                let mut statement =
                    transaction.prepare(&format!("{COLUMNS} WHERE {condition} ORDER BY next_attempt, id")).map_err(DatabaseError::from)?;
                let rows = statement.query_map([], raw).map_err(DatabaseError::from)?;
                rows.map(|row| Ok(stored(row.map_err(DatabaseError::from)?)?)).collect()
            })
            .await
    }
}

fn code(word: &str) -> Code {
    // Only words of this file come here.
    Code::new(word).unwrap_or_else(|| unreachable!("`{word}` is a word"))
}
