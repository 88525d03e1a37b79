//! What logins leave us with: refresh tokens. They lie in the sealed store and nowhere else; a list without secrets says whose there are
//! and which are still to be revoked.
//!
//! A token that another one replaced, whose owner left, or that a stop ended is revoked at the provider (RFC 7009) until the provider
//! has confirmed it. Until then it stays in the sealed store, since nobody could revoke it otherwise, and it is listed. Where the broker has
//! an administrator's client at Auth0, a stop and a departure also end the person's sessions, other refresh tokens and grants there.

use std::sync::Arc;
use std::time::Duration;

use keyblind_intent::Provider;
use rusqlite::{OptionalExtension, Row, params};
use tokio::sync::Notify;
use tokio::task::JoinSet;

use super::sessions::{millis, timestamp};
use crate::approvals::policy::Identity;
use crate::approvals::{ApprovalError, Approvals, Entry, ledger_name};
use crate::clock::{Clock, Timestamp};
use crate::database::{Database, DatabaseError};
use crate::leases::epoch::KillSwitch;
use crate::providers::auth0::Administrator;
use crate::providers::oidc::{OidcError, OpenIdProvider, Revocation};
use crate::secret::Secret;
use crate::vault::{RecordKind, RecordName, Vault, VaultError};

/// The longest pause between two tries to revoke.
const LONGEST_PAUSE: Duration = Duration::from_secs(15 * 60);
/// How often it is looked for something to revoke when nobody has said that there is: another process may have left it.
const LOOK_EVERY: Duration = Duration::from_secs(60);
/// How many are revoked at the same time.
const AT_ONCE: usize = 8;
/// How many are taken from the list at once.
const BATCH: usize = 100;
/// How the ledger calls what a login left.
const CONNECTION: &str = "login";

/// Why a refresh token can't be kept or found.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum GrantError {
    /// The database refused.
    #[error(transparent)]
    Database(#[from] DatabaseError),
    /// The sealed store refused.
    #[error(transparent)]
    Vault(#[from] VaultError),
}

/// How a refresh token that is no longer wanted has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GrantEnd {
    /// The provider has confirmed that it is dead.
    Revoked,
    /// It isn't confirmed yet, and is tried again.
    Waiting,
    /// The provider can't revoke. We have forgotten it; at the provider it lives until somebody ends it there.
    Unrevoked,
}

/// A refresh token that is no longer wanted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EndedGrant {
    /// Whose tenant.
    pub tenant: String,
    /// Whose.
    pub identity: Identity,
    /// Since when it was kept.
    pub kept_at: Timestamp,
    /// How far its end is.
    pub end: GrantEnd,
}

/// The refresh tokens that one provider has given us; clones share them.
#[derive(Clone)]
pub struct Grants {
    database: Database,
    vault: Arc<Vault>,
    provider: Arc<OpenIdProvider>,
    approvals: Approvals,
    clock: Arc<dyn Clock>,
    kind: Provider,
    administrator: Option<Arc<Administrator>>,
    /// That there is something to revoke.
    wake: Arc<Notify>,
}

/// A refresh token, and which login left it.
pub struct RefreshToken {
    grant: Held,
    /// The token.
    pub token: Secret,
}

impl RefreshToken {
    /// What the login that left it is known by here.
    pub(super) fn id(&self) -> &[u8; 16] {
        &self.grant.id
    }
}

#[derive(Clone)]
struct Held {
    id: [u8; 16],
    tenant: String,
    identity: Identity,
    kept_at: Timestamp,
    attempts: u32,
    /// Whether all that the person has at the provider ends with it.
    is_whole: bool,
}

const COLUMNS: &str = "id, tenant, issuer, subject, kept_at, attempts, whole";

fn held(row: &Row<'_>) -> rusqlite::Result<Held> {
    Ok(Held {
        id: row.get(0)?,
        tenant: row.get(1)?,
        identity: Identity::new(row.get::<_, String>(2)?, row.get::<_, String>(3)?),
        kept_at: timestamp(row.get(4)?),
        attempts: row.get(5)?,
        is_whole: row.get(6)?,
    })
}

impl Held {
    fn record(&self) -> Result<RecordName, VaultError> {
        let id = data_encoding::HEXLOWER.encode(&self.id);
        RecordName::new(&self.tenant, self.identity.subject(), RecordKind::RefreshToken, id)
    }
}

impl Grants {
    /// Those of a provider. `kind` is what the ledger calls it: [`Provider::Oidc`] or [`Provider::Auth0`].
    pub fn new(
        database: Database,
        vault: Arc<Vault>,
        provider: Arc<OpenIdProvider>,
        approvals: Approvals,
        clock: Arc<dyn Clock>,
        kind: Provider,
    ) -> Self {
        Self { database, vault, provider, approvals, clock, kind, administrator: None, wake: Arc::default() }
    }

    /// Has an administrator's client at Auth0 end what a person has there, when everything is stopped and when somebody has left.
    #[must_use]
    pub fn administered_by(self, administrator: Administrator) -> Self {
        Self { administrator: Some(Arc::new(administrator)), ..self }
    }

    pub(super) fn administrator(&self) -> Option<&Administrator> {
        self.administrator.as_deref()
    }

    pub(super) fn kind(&self) -> Provider {
        self.kind
    }

    /// The tenants that somebody has logged in to, as far as anything is left of it.
    pub(super) async fn tenants_of(&self, identity: &Identity) -> Result<Vec<String>, GrantError> {
        let identity = identity.clone();
        let sql = "SELECT DISTINCT tenant FROM door_grant WHERE issuer = ?1 AND subject = ?2";
        let tenants = self.database.transact(move |transaction| -> Result<Vec<String>, DatabaseError> {
            let mut statement = transaction.prepare(sql)?;
            let rows = statement.query_map(params![identity.issuer(), identity.subject()], |row| row.get(0))?;
            Ok(rows.collect::<Result<_, _>>()?)
        });
        Ok(tenants.await?)
    }

    pub(super) fn provider(&self) -> &Arc<OpenIdProvider> {
        &self.provider
    }

    /// Keeps a refresh token instead of the one that was kept before, which is revoked.
    ///
    /// # Errors
    /// If it can't be recorded or kept. Then it is revoked as well, if the provider can be reached.
    pub async fn keep(&self, tenant: &str, identity: &Identity, token: &Secret) -> Result<(), GrantError> {
        let kept = self.record_and_keep(tenant, identity, token).await;
        if kept.is_err() {
            // Nobody would know of it any more.
            let _ = self.provider.revoke(token, "refresh_token").await;
        }
        kept
    }

    async fn record_and_keep(&self, tenant: &str, identity: &Identity, token: &Secret) -> Result<(), GrantError> {
        let now = self.clock.now();
        let mut id = [0; 16];
        aws_lc_rs::rand::fill(&mut id).map_err(|_| DatabaseError::Unexpected("no randomness"))?;
        let grant = Held { id, tenant: tenant.to_owned(), identity: identity.clone(), kept_at: now, attempts: 0, is_whole: false };
        let entry = Entry::Connected {
            tenant: tenant.to_owned(),
            who: self.ledger_name(identity).await,
            provider: self.kind,
            connection: CONNECTION.to_owned(),
        };
        let (journal, row) = (self.approvals.journal(), grant.clone());
        // The row first: a token without a row would never be revoked.
        self.database
            .transact(move |transaction| -> Result<(), DatabaseError> {
                journal.append(transaction, now, &entry)?;
                transaction.execute(
                    "UPDATE door_grant SET state = 'ending', next_attempt = 0 WHERE state = 'live' AND tenant = ?1 AND issuer = ?2 AND subject = ?3",
                    params![row.tenant, row.identity.issuer(), row.identity.subject()],
                )?;
                transaction.execute(
                    "INSERT INTO door_grant (id, tenant, issuer, subject, state, kept_at) VALUES (?1, ?2, ?3, ?4, 'live', ?5)",
                    params![row.id, row.tenant, row.identity.issuer(), row.identity.subject(), millis(now)],
                )?;
                Ok(())
            })
            .await?;
        // The one that it replaced may be revoked now.
        self.wake.notify_one();
        self.put(&grant, token).await
    }

    /// Keeps a token under a row that is there; should the row have been ended meanwhile, nobody would know of the token any more.
    async fn put(&self, grant: &Held, token: &Secret) -> Result<(), GrantError> {
        let (record, id) = (&grant.record()?, grant.id);
        self.vault.put(record, token).await?;
        let sql = "SELECT EXISTS (SELECT 1 FROM door_grant WHERE id = ?1)";
        let is_there =
            self.database.transact(move |transaction| Ok::<bool, DatabaseError>(transaction.query_row(sql, [id], |row| row.get(0))?));
        if is_there.await? {
            return Ok(());
        }
        // Only the provider's word would make it dead; without a row it can't be waited for.
        self.about_to_end(Some(&grant.tenant), &grant.identity).await?;
        let _ = self.provider.revoke(token, "refresh_token").await;
        match self.vault.delete(record).await {
            Ok(()) | Err(VaultError::NotFound) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    /// The refresh token of somebody who is logged in; none if they have to log in again first.
    ///
    /// # Errors
    /// If the database or the sealed store refuses.
    pub async fn refresh_token(&self, tenant: &str, identity: &Identity) -> Result<Option<RefreshToken>, GrantError> {
        let Some(grant) = self.living(tenant, identity).await? else { return Ok(None) };
        match self.vault.get(&grant.record()?).await {
            Ok((_, token)) => Ok(Some(RefreshToken { grant, token })),
            Err(VaultError::NotFound) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    async fn living(&self, tenant: &str, identity: &Identity) -> Result<Option<Held>, DatabaseError> {
        let (tenant, identity) = (tenant.to_owned(), identity.clone());
        let sql = format!(
            "SELECT {COLUMNS} FROM door_grant WHERE state = 'live' AND tenant = ?1 AND issuer = ?2 AND subject = ?3 ORDER BY kept_at DESC LIMIT 1"
        );
        self.database
            .transact(move |transaction| {
                Ok(transaction.query_row(&sql, params![tenant, identity.issuer(), identity.subject()], held).optional()?)
            })
            .await
    }

    /// Puts another refresh token in the place of the one that was used: with rotation the old one is dead by then, and to revoke it would
    /// end the new one as well. Where the old one was to end meanwhile, so is this one: it takes the same place, and no other.
    ///
    /// # Errors
    /// If it can't be kept.
    pub async fn rotated(&self, used: &RefreshToken, token: &Secret) -> Result<(), GrantError> {
        self.put(&used.grant, token).await
    }

    /// Ends what one person has left here: when they log out for good, or have left.
    ///
    /// # Errors
    /// If it can't be recorded that they are to end.
    pub async fn end_of(&self, tenant: &str, identity: &Identity) -> Result<Vec<EndedGrant>, GrantError> {
        let (tenant, person) = (tenant.to_owned(), identity.clone());
        self.database
            .transact(move |transaction| -> Result<(), DatabaseError> {
                transaction.execute(
                    "UPDATE door_grant SET state = 'ending', whole = 1, next_attempt = 0
                     WHERE state IN ('live', 'ending') AND tenant = ?1 AND issuer = ?2 AND subject = ?3",
                    params![tenant, person.issuer(), person.subject()],
                )?;
                Ok(())
            })
            .await?;
        let ended = self.retry().await?;
        Ok(ended.into_iter().filter(|ended| ended.identity == *identity).collect())
    }

    /// Ends all of them: what a stop does after it has stopped. Gives how each ended; those that wait are tried again by
    /// [`Self::retry`].
    ///
    /// # Errors
    /// If it can't be recorded that they are to end, or the list can't be read.
    pub async fn end_all(&self) -> Result<Vec<EndedGrant>, GrantError> {
        let issuer = self.provider.issuer().to_owned();
        let marked = self
            .database
            .transact(move |transaction| -> Result<usize, DatabaseError> {
                let sql =
                    "UPDATE door_grant SET state = 'ending', whole = 1, next_attempt = 0 WHERE state IN ('live', 'ending') AND issuer = ?1";
                Ok(transaction.execute(sql, [issuer])?)
            })
            .await?;
        let mut all = Vec::new();
        for _ in 0..marked.div_ceil(BATCH) {
            all.extend(self.retry().await?.into_iter().filter(|ended| ended.end == GrantEnd::Revoked));
        }
        all.extend(self.unended().await?);
        Ok(all)
    }

    /// Tries again to revoke what is to end and whose time has come, at most a hundred at once. To be called now and then.
    ///
    /// # Errors
    /// If the list can't be read.
    pub async fn retry(&self) -> Result<Vec<EndedGrant>, GrantError> {
        let (now, issuer) = (self.clock.now(), self.provider.issuer().to_owned());
        let sql = format!(
            "SELECT {COLUMNS} FROM door_grant WHERE state = 'ending' AND next_attempt <= ?1 AND issuer = ?2 ORDER BY next_attempt LIMIT {BATCH}"
        );
        let mut due = self
            .database
            .transact(move |transaction| -> Result<Vec<Held>, DatabaseError> {
                let mut statement = transaction.prepare(&sql)?;
                let rows = statement.query_map(params![millis(now), issuer], held)?;
                Ok(rows.collect::<Result<_, _>>()?)
            })
            .await?
            .into_iter();
        let mut running = JoinSet::new();
        let mut ended = Vec::new();
        loop {
            while running.len() < AT_ONCE
                && let Some(grant) = due.next()
            {
                let this = self.clone();
                running.spawn(async move { this.end(grant).await });
            }
            match running.join_next().await {
                Some(Ok(Ok(one))) => ended.push(one),
                // What can't be opened or recorded now is still listed and is tried again; it keeps no other from being revoked.
                Some(Ok(Err(_)) | Err(_)) => {}
                None => return Ok(ended),
            }
        }
    }

    /// Ends all of them as soon as everything is stopped, by whatever it was stopped, and tries again what waits; until it is dropped.
    pub async fn work(self, switch: KillSwitch) {
        loop {
            let is_stopped = switch.is_stopped();
            // What the database refuses now is done the next time.
            if is_stopped {
                let issuer = self.provider.issuer().to_owned();
                let marked = self.database.transact(move |transaction| -> Result<usize, DatabaseError> {
                    let sql = "UPDATE door_grant SET state = 'ending', whole = 1, next_attempt = 0 WHERE state = 'live' AND issuer = ?1";
                    Ok(transaction.execute(sql, [issuer])?)
                });
                let _ = marked.await;
            }
            let pause = match self.retry().await {
                Ok(_) => self.next_attempt().await.unwrap_or(LOOK_EVERY),
                Err(_) => LOOK_EVERY,
            };
            tokio::select! {
                () = tokio::time::sleep(pause.clamp(Duration::from_millis(250), LOOK_EVERY)) => {}
                () = self.wake.notified() => {}
                () = switch.stopped(), if !is_stopped => {}
            }
        }
    }

    /// How long it is until something is tried again; none if nothing waits.
    async fn next_attempt(&self) -> Option<Duration> {
        let issuer = self.provider.issuer().to_owned();
        let sql = "SELECT min(next_attempt) FROM door_grant WHERE state = 'ending' AND issuer = ?1";
        let next = self.database.transact(move |transaction| -> Result<Option<i64>, DatabaseError> {
            Ok(transaction.query_row(sql, [issuer], |row| row.get(0))?)
        });
        Some(timestamp(next.await.ok()??).saturating_duration_since(self.clock.now()))
    }

    /// How many aren't known to be dead and can be revoked.
    ///
    /// # Errors
    /// If it can't be counted.
    pub async fn unconfirmed(&self) -> Result<usize, GrantError> {
        let issuer = self.provider.issuer().to_owned();
        let sql = "SELECT count(*) FROM door_grant WHERE state IN ('live', 'ending') AND issuer = ?1";
        let counted =
            self.database.transact(move |transaction| Ok::<u32, DatabaseError>(transaction.query_row(sql, [issuer], |row| row.get(0))?));
        Ok(usize::try_from(counted.await?).unwrap_or(usize::MAX))
    }

    /// What is no longer wanted and still isn't known to be dead.
    ///
    /// # Errors
    /// If the list can't be read.
    pub async fn unended(&self) -> Result<Vec<EndedGrant>, GrantError> {
        let issuer = self.provider.issuer().to_owned();
        let sql = format!("SELECT {COLUMNS}, state FROM door_grant WHERE state <> 'live' AND issuer = ?1 ORDER BY kept_at LIMIT 1000");
        let rows = self
            .database
            .transact(move |transaction| -> Result<Vec<(Held, String)>, DatabaseError> {
                let mut statement = transaction.prepare(&sql)?;
                let rows = statement.query_map([issuer], |row| Ok((held(row)?, row.get(7)?)))?;
                Ok(rows.collect::<Result<_, _>>()?)
            })
            .await?;
        let end = |state: &str| if state == "ending" { GrantEnd::Waiting } else { GrantEnd::Unrevoked };
        Ok(rows.into_iter().map(|(grant, state)| grant.ended(end(&state))).collect())
    }

    /// Ends one, or puts it off: what fails in any way keeps no other from its turn.
    async fn end(&self, grant: Held) -> Result<EndedGrant, GrantError> {
        let ended = self.end_now(&grant).await;
        if let Err(error) = &ended {
            self.postpone(&grant, None, error.to_string()).await?;
        }
        ended
    }

    /// Records that something of somebody's is about to be ended at the provider. What can't be recorded isn't done.
    pub(super) async fn about_to_end(&self, tenant: Option<&str>, identity: &Identity) -> Result<(), GrantError> {
        let entry = Entry::Disconnecting {
            tenant: tenant.map(str::to_owned),
            who: self.ledger_name(identity).await,
            provider: self.kind,
            connection: CONNECTION.to_owned(),
        };
        let (now, journal) = (self.clock.now(), self.approvals.journal());
        let noted = self.database.transact(move |transaction| -> Result<(), DatabaseError> { journal.append(transaction, now, &entry) });
        Ok(noted.await?)
    }

    async fn end_now(&self, grant: &Held) -> Result<EndedGrant, GrantError> {
        let record = grant.record()?;
        self.about_to_end(Some(&grant.tenant), &grant.identity).await?;
        // The token itself last: as long as it is listed, what goes with it isn't known to have ended.
        if let Some(administrator) = self.administrator().filter(|_| grant.is_whole)
            && let Err(error) = administrator.end(self.provider.as_ref(), grant.identity.subject()).await
        {
            // It can be revoked all the same, and at once; the row stays for the rest.
            if let Ok((_, token)) = self.vault.get(&record).await {
                let _ = self.provider.revoke(&token, "refresh_token").await;
            }
            self.postpone(grant, asked_wait(&error), error.to_string()).await?;
            return Ok(grant.ended(GrantEnd::Waiting));
        }
        let result = match self.vault.get(&record).await {
            Ok((_, token)) => self.provider.revoke(&token, "refresh_token").await.map(Some),
            // It never was kept, or was forgotten before: there is nothing to revoke, and nobody has confirmed anything.
            Err(VaultError::NotFound) => Ok(None),
            Err(error) => return Err(error.into()),
        };
        let end = match result {
            Ok(Some(Revocation::Confirmed)) => GrantEnd::Revoked,
            Ok(Some(Revocation::NotOffered) | None) => GrantEnd::Unrevoked,
            Err(error) => {
                self.postpone(grant, asked_wait(&error), error.to_string()).await?;
                return Ok(grant.ended(GrantEnd::Waiting));
            }
        };
        let entry = Entry::Disconnected {
            tenant: grant.tenant.clone(),
            who: self.ledger_name(&grant.identity).await,
            provider: self.kind,
            connection: CONNECTION.to_owned(),
            is_confirmed: end == GrantEnd::Revoked,
        };
        match self.vault.delete(&record).await {
            Ok(()) | Err(VaultError::NotFound) => {}
            Err(error) => return Err(error.into()),
        }
        let (id, now, journal) = (grant.id, self.clock.now(), self.approvals.journal());
        self.database
            .transact(move |transaction| -> Result<(), DatabaseError> {
                let sql = match end {
                    GrantEnd::Unrevoked => "UPDATE door_grant SET state = 'unrevoked' WHERE id = ?1 AND state = 'ending'",
                    _ => "DELETE FROM door_grant WHERE id = ?1 AND state = 'ending'",
                };
                // Two may end the same one; its end is recorded once.
                if transaction.execute(sql, params![id])? == 1 {
                    journal.append(transaction, now, &entry)?;
                }
                Ok(())
            })
            .await?;
        Ok(grant.ended(end))
    }

    async fn postpone(&self, grant: &Held, asked: Option<Duration>, failure: String) -> Result<(), GrantError> {
        let pause = asked.unwrap_or_else(|| Duration::from_secs(1 << grant.attempts.min(10))).min(LONGEST_PAUSE);
        let next = millis(self.clock.now().saturating_add(pause.max(Duration::from_secs(1))));
        let id = grant.id;
        self.database
            .transact(move |transaction| -> Result<(), DatabaseError> {
                let sql = "UPDATE door_grant SET attempts = attempts + 1, next_attempt = ?2, last_failure = ?3 WHERE id = ?1";
                transaction.execute(sql, params![id, next, failure])?;
                Ok(())
            })
            .await?;
        Ok(())
    }

    async fn ledger_name(&self, identity: &Identity) -> String {
        let policy = self.approvals.policy().await;
        ledger_name(policy.as_ref().ok().map(|(_, policy)| policy), identity)
    }
}

impl Held {
    fn ended(&self, end: GrantEnd) -> EndedGrant {
        EndedGrant { tenant: self.tenant.clone(), identity: self.identity.clone(), kept_at: self.kept_at, end }
    }
}

fn asked_wait(error: &OidcError) -> Option<Duration> {
    match error {
        OidcError::RateLimited { wait } => *wait,
        _ => None,
    }
}

impl From<GrantError> for ApprovalError {
    fn from(error: GrantError) -> Self {
        match error {
            GrantError::Database(error) | GrantError::Vault(VaultError::Database(error)) => error.into(),
            GrantError::Vault(_) => DatabaseError::Unexpected("a sealed store that refuses").into(),
        }
    }
}
