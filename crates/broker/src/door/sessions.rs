//! Who is logged in: sessions, one-time links, passkeys, and the seals that tie a form to a session.
//!
//! A session's secret is in the browser's cookie only; the database knows its digest, so that a stolen database opens no session.

use std::sync::Arc;
use std::time::Duration;

use aws_lc_rs::hmac;
use aws_lc_rs::rand::{SecureRandom, SystemRandom};
use data_encoding::BASE64URL_NOPAD;
use keyblind_intent::Digest;
use rusqlite::{OptionalExtension, Transaction, params};

use super::handing_over;
use crate::approvals::passkey::{Algorithm, Passkey};
use crate::approvals::policy::{Identity, PRESENCE};
use crate::approvals::{Entry, Journal};
use crate::clock::{Clock, Timestamp};
use crate::database::{Database, DatabaseError};
use crate::leases::epoch::OnKill;
use crate::ledger::{Cause, LoginMethod};

/// How long a session lives that nobody uses.
const IDLE: Duration = Duration::from_secs(30 * 60);
/// How long any session lives: a working day.
pub(super) const LONGEST: Duration = Duration::from_secs(12 * 60 * 60);
/// How long a one-time link lives: whoever asks for it sits at the terminal that shows it.
pub const LINK_LIFE: Duration = Duration::from_secs(5 * 60);

/// Draws 32 random bytes.
///
/// # Errors
/// If the system has no randomness.
pub(super) fn random() -> Result<[u8; 32], DatabaseError> {
    let mut bytes = [0; 32];
    SystemRandom::new().fill(&mut bytes).map_err(|_| DatabaseError::Unexpected("no randomness"))?;
    Ok(bytes)
}

/// A session, found by its cookie.
#[derive(Clone)]
pub(super) struct Session {
    secret: [u8; 32],
    pub(super) identity: Identity,
    pub(super) tenant: String,
    pub(super) present_at: Timestamp,
}

impl Session {
    /// Whether its owner logged in so lately that it proves who sits there.
    pub(super) fn is_fresh(&self, now: Timestamp) -> bool {
        self.present_at <= now && now.saturating_duration_since(self.present_at) <= PRESENCE
    }

    /// Ties a form to this session, to what it is about, and to the page that it is on.
    pub(super) fn seal(&self, purpose: &str, about: &str, nonce: &str) -> String {
        BASE64URL_NOPAD.encode(hmac::sign(&self.key(), &message(purpose, about, nonce)).as_ref())
    }

    /// Whether a form is tied to it; takes the same time whatever is wrong.
    pub(super) fn is_sealed(&self, seal: &str, purpose: &str, about: &str, nonce: &str) -> bool {
        let Ok(seal) = BASE64URL_NOPAD.decode(seal.as_bytes()) else { return false };
        hmac::verify(&self.key(), &message(purpose, about, nonce), &seal).is_ok()
    }

    fn key(&self) -> hmac::Key {
        hmac::Key::new(hmac::HMAC_SHA256, &self.secret)
    }

    /// What the database knows it by.
    pub(super) fn digest(&self) -> Digest {
        Digest::of(&self.secret)
    }

    /// What makes one answer of one page of this session count once.
    pub(super) fn nonce(&self, about: &str, nonce: &str) -> Digest {
        let mut bytes = self.secret.to_vec();
        bytes.extend_from_slice(&message("nonce", about, nonce));
        Digest::of(&bytes)
    }
}

/// Each part with its length, so that two different triples are never the same bytes.
fn message(purpose: &str, about: &str, nonce: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    for part in [purpose, about, nonce] {
        bytes.extend_from_slice(&(part.len() as u64).to_be_bytes());
        bytes.extend_from_slice(part.as_bytes());
    }
    bytes
}

/// A one-time link's secret part.
#[derive(Clone, PartialEq, Eq)]
pub struct Link(String);

impl Link {
    /// The path of the page that it opens. Whoever has it can log in: it goes to the person's own terminal only.
    pub fn path(&self) -> String {
        format!("/login/link/{}", self.0)
    }
}

/// What came of removing a passkey.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Removed {
    Gone,
    /// There is no such one of that person.
    Unknown,
    /// It is the last one, and nobody said that it may go.
    Last,
}

/// A registered passkey, for its owner's list.
pub(super) struct Registered {
    pub(super) passkey: Passkey,
    pub(super) name: String,
    pub(super) added: Timestamp,
}

/// What ends with a stop that no session asked for (a command, a signal, a file): all sessions and links, in the stop's own transaction.
/// The button ends the others itself: who pressed it still sees what was revoked.
pub fn on_kill() -> OnKill {
    Arc::new(|transaction, ledger, by| {
        // The application speaks for nobody any more, whoever pressed what. The ledger has a clock of its own.
        handing_over::end_all(transaction, Some(ledger), Timestamp::default())?;
        if by != Cause::Button {
            let sql = "DELETE FROM door_session; DELETE FROM door_link; DELETE FROM door_trip";
            transaction.execute_batch(sql).map_err(DatabaseError::from)?;
        }
        Ok(())
    })
}

/// The sessions of one broker.
#[derive(Clone)]
pub struct Sessions {
    database: Database,
    clock: Arc<dyn Clock>,
    /// Where logins are written; none for what only gives out links.
    journal: Option<Arc<dyn Journal>>,
}

/// A login that is about to become a session.
pub(super) struct Beginning {
    pub(super) identity: Identity,
    pub(super) tenant: String,
    /// How the ledger names them.
    pub(super) who: String,
    /// When they last proved to be there.
    pub(super) present_at: Timestamp,
    pub(super) method: LoginMethod,
    /// The session that this one takes the place of.
    pub(super) instead_of: Option<Digest>,
    /// What the provider says of them beside who they are.
    pub(super) said: Said,
}

/// What an identity provider says of somebody beside who they are. Nothing is decided by it here.
#[derive(Default)]
pub(super) struct Said {
    /// What it calls them.
    pub(super) name: String,
    /// The groups in which it says they are.
    pub(super) groups: Vec<String>,
}

/// Whose a session is, for what happens without its secret.
pub(super) struct Owner {
    pub(super) identity: Identity,
    pub(super) tenant: String,
}

/// How long used-up numbers are kept: whatever they came with has long died by then.
const NONCES: Duration = Duration::from_secs(30 * 24 * 60 * 60);

pub(super) fn millis(time: Timestamp) -> i64 {
    i64::try_from(time.unix_millis()).unwrap_or(i64::MAX)
}

pub(super) fn timestamp(millis: i64) -> Timestamp {
    Timestamp::from_unix_millis(u64::try_from(millis).unwrap_or_default())
}

impl Sessions {
    /// Works on the broker's database.
    pub fn new(database: Database, clock: Arc<dyn Clock>) -> Self {
        Self { database, clock, journal: None }
    }

    /// Writes each login where approvals are written, before it counts.
    #[must_use]
    pub fn recorded_in(self, journal: Arc<dyn Journal>) -> Self {
        Self { journal: Some(journal), ..self }
    }

    /// The time that links and sessions are measured by.
    pub fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// Makes a link that logs somebody in once, within five minutes. Whoever asks for it must have shown to be that person already:
    /// by the credentials of their socket, say.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn issue_link(&self, identity: Identity, tenant: &str) -> Result<Link, DatabaseError> {
        let secret = random()?;
        let (tenant, now) = (tenant.to_owned(), self.clock.now());
        self.database
            .transact(move |transaction| -> Result<(), DatabaseError> {
                transaction.execute("DELETE FROM door_link WHERE expires <= ?1", [millis(now)])?;
                transaction.execute(
                    "INSERT INTO door_link (digest, issuer, subject, tenant, expires) VALUES (?1, ?2, ?3, ?4, ?5)",
                    params![
                        Digest::of(&secret).as_bytes(),
                        identity.issuer(),
                        identity.subject(),
                        tenant,
                        millis(now.saturating_add(LINK_LIFE))
                    ],
                )?;
                Ok(())
            })
            .await?;
        Ok(Link(BASE64URL_NOPAD.encode(&secret)))
    }

    /// For whom a link is, without using it up: something else than the person may look at it first.
    pub(super) async fn peek(&self, link: &str) -> Result<Option<Identity>, DatabaseError> {
        let Some(digest) = digest_of(link) else { return Ok(None) };
        let now = self.clock.now();
        self.database
            .transact(move |transaction| {
                Ok(transaction
                    .query_row(
                        "SELECT issuer, subject FROM door_link WHERE digest = ?1 AND expires > ?2",
                        params![digest.as_bytes(), millis(now)],
                        |row| Ok(Identity::new(row.get::<_, String>(0)?, row.get::<_, String>(1)?)),
                    )
                    .optional()?)
            })
            .await
    }

    /// Uses a link up and begins a session; gives the cookie's value. `name` says how the ledger names somebody.
    pub(super) async fn use_link(
        &self,
        link: &str,
        name: impl Fn(&Identity) -> String + Send + 'static,
    ) -> Result<Option<String>, DatabaseError> {
        let Some(digest) = digest_of(link) else { return Ok(None) };
        let secret = random()?;
        let now = self.clock.now();
        let journal = self.journal.clone();
        let begun = self
            .database
            .transact(move |transaction| -> Result<bool, DatabaseError> {
                let found = transaction
                    .query_row(
                        "DELETE FROM door_link WHERE digest = ?1 RETURNING issuer, subject, tenant, expires",
                        [digest.as_bytes()],
                        |row| {
                            Ok((
                                Identity::new(row.get::<_, String>(0)?, row.get::<_, String>(1)?),
                                row.get::<_, String>(2)?,
                                row.get::<_, i64>(3)?,
                            ))
                        },
                    )
                    .optional()?;
                let Some((identity, tenant, expires)) = found else { return Ok(false) };
                if expires <= millis(now) {
                    return Ok(false);
                }
                let who = name(&identity);
                let method = LoginMethod::LocalLink;
                begin(
                    transaction,
                    journal.as_deref(),
                    &secret,
                    now,
                    &Beginning { identity, tenant, who, present_at: now, method, instead_of: None, said: Said::default() },
                )?;
                Ok(true)
            })
            .await?;
        Ok(begun.then(|| BASE64URL_NOPAD.encode(&secret)))
    }

    /// Begins a session for somebody whom a provider knows; gives the cookie's value.
    pub(super) async fn begin(&self, beginning: Beginning) -> Result<String, DatabaseError> {
        let secret = random()?;
        let (now, journal) = (self.clock.now(), self.journal.clone());
        self.database.transact(move |transaction| begin(transaction, journal.as_deref(), &secret, now, &beginning)).await?;
        Ok(BASE64URL_NOPAD.encode(&secret))
    }

    /// Whose a session is that still lives.
    pub(super) async fn owner(&self, digest: Digest) -> Result<Option<Owner>, DatabaseError> {
        let now = self.clock.now();
        self.database.transact(move |transaction| Ok(living(transaction, &digest, now)?.map(|row| row.owner))).await
    }

    /// Removes what has died: sessions, links, ways to providers, and numbers that can't come again. To be called now and then.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn tidy(&self) -> Result<usize, DatabaseError> {
        let now = self.clock.now();
        let before =
            |span: Duration| i64::try_from(now.unix_millis().saturating_sub(span.as_millis().try_into().unwrap_or(u64::MAX))).unwrap_or(0);
        let (begun, seen, used) = (before(LONGEST), before(IDLE), before(NONCES));
        let journal = self.journal.clone();
        self.database
            .transact(move |transaction| {
                let mut removed = transaction.execute("DELETE FROM door_session WHERE begun_at <= ?1 OR seen_at <= ?2", [begun, seen])?;
                removed += transaction.execute("DELETE FROM door_link WHERE expires <= ?1", [millis(now)])?;
                removed += transaction.execute("DELETE FROM door_trip WHERE expires <= ?1", [millis(now)])?;
                removed += handing_over::tidy(transaction, journal.as_deref(), now)?;
                removed += transaction.execute("DELETE FROM approval_nonce WHERE used_at <= ?1", [used])?;
                Ok(removed)
            })
            .await
    }

    /// The session of a cookie's value. Looking at it keeps it alive.
    pub(super) async fn find(&self, cookie: &str) -> Result<Option<Session>, DatabaseError> {
        let Some(secret) = secret_of(cookie) else { return Ok(None) };
        let digest = Digest::of(&secret);
        let now = self.clock.now();
        self.database
            .transact(move |transaction| {
                let Some(row) = living(transaction, &digest, now)? else { return Ok(None) };
                if now.saturating_duration_since(row.seen_at) >= Duration::from_secs(60) {
                    transaction
                        .execute("UPDATE door_session SET seen_at = ?2 WHERE digest = ?1", params![digest.as_bytes(), millis(now)])?;
                }
                Ok(Some(Session { secret, identity: row.owner.identity, tenant: row.owner.tenant, present_at: row.present_at }))
            })
            .await
    }

    /// Ends a session because its owner says so.
    pub(super) async fn end(&self, session: &Session, who: String) -> Result<(), DatabaseError> {
        let (digest, tenant, now) = (session.digest(), session.tenant.clone(), self.clock.now());
        let journal = self.journal.clone();
        self.database
            .transact(move |transaction| {
                if let Some(journal) = &journal {
                    journal.append(transaction, now, &Entry::LoggedOut { tenant, who })?;
                }
                let of_session = params![digest.as_bytes()];
                handing_over::end_where(transaction, journal.as_deref(), now, "logged-out", "session = ?1", of_session)?;
                transaction.execute("DELETE FROM door_session WHERE digest = ?1", [digest.as_bytes()])?;
                Ok(())
            })
            .await
    }

    /// Ends all other sessions and all links: a stolen one can't arm again. Who stops still sees what was revoked.
    pub(super) async fn end_others(&self, session: &Session) -> Result<(), DatabaseError> {
        let (digest, journal, now) = (session.digest(), self.journal.clone(), self.clock.now());
        self.database
            .transact(move |transaction| {
                handing_over::end_all(transaction, journal.as_deref(), now)?;
                transaction.execute("DELETE FROM door_session WHERE digest <> ?1", [digest.as_bytes()])?;
                transaction.execute_batch("DELETE FROM door_link; DELETE FROM door_trip")?;
                Ok(())
            })
            .await
    }

    /// Ends all sessions and links of one person's identity; gives how many sessions there were.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn end_of(&self, identity: &Identity) -> Result<usize, DatabaseError> {
        let (identity, journal, now) = (identity.clone(), self.journal.clone(), self.clock.now());
        self.database
            .transact(move |transaction| {
                let of_person = params![identity.issuer(), identity.subject()];
                handing_over::end_where(transaction, journal.as_deref(), now, "left", "issuer = ?1 AND subject = ?2", of_person)?;
                transaction.execute("DELETE FROM door_link WHERE issuer = ?1 AND subject = ?2", of_person)?;
                Ok(transaction.execute("DELETE FROM door_session WHERE issuer = ?1 AND subject = ?2", of_person)?)
            })
            .await
    }

    /// A person's passkeys under that identity.
    pub(super) async fn passkeys(&self, identity: &Identity) -> Result<Vec<Registered>, DatabaseError> {
        let identity = identity.clone();
        self.database
            .transact(move |transaction| {
                let mut statement = transaction.prepare(
                    "SELECT id, public_key, algorithm, counter, name, registered_at FROM passkey WHERE issuer = ?1 AND subject = ?2 ORDER BY registered_at LIMIT 50",
                )?;
                let rows = statement.query_map(params![identity.issuer(), identity.subject()], |row| {
                    Ok((
                        row.get::<_, Vec<u8>>(0)?,
                        row.get::<_, Vec<u8>>(1)?,
                        row.get::<_, i64>(2)?,
                        row.get::<_, u32>(3)?,
                        row.get::<_, String>(4)?,
                        row.get::<_, i64>(5)?,
                    ))
                })?;
                rows.map(|row| {
                    let (id, public_key, algorithm, counter, name, added) = row?;
                    let algorithm = Algorithm::from_cose(algorithm).ok_or(DatabaseError::Unexpected("a passkey of an unknown algorithm"))?;
                    Ok(Registered { passkey: Passkey { id, public_key, algorithm, counter }, name, added: timestamp(added) })
                })
                .collect()
            })
            .await
    }

    /// Adds a passkey, once: `challenge` is used up with it. False if it was before, or the key is registered already.
    pub(super) async fn add_passkey(
        &self,
        identity: &Identity,
        passkey: Passkey,
        name: &str,
        challenge: Digest,
        entry: Entry,
    ) -> Result<bool, DatabaseError> {
        let (identity, name, now) = (identity.clone(), name.to_owned(), self.clock.now());
        let journal = self.journal.clone();
        self.database
            .transact(move |transaction| {
                let fresh = transaction.execute(
                    "INSERT INTO approval_nonce (nonce, used_at) VALUES (?1, ?2) ON CONFLICT DO NOTHING",
                    params![challenge.as_bytes(), millis(now)],
                )?;
                if fresh == 0 {
                    return Ok(false);
                }
                let added = transaction.execute(
                    "INSERT INTO passkey (id, issuer, subject, name, public_key, algorithm, counter, registered_at)
                     VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8) ON CONFLICT DO NOTHING",
                    params![
                        passkey.id,
                        identity.issuer(),
                        identity.subject(),
                        name,
                        passkey.public_key,
                        passkey.algorithm.cose(),
                        passkey.counter,
                        millis(now)
                    ],
                )?;
                if let Some(journal) = journal.filter(|_| added == 1) {
                    journal.append(transaction, now, &entry)?;
                }
                Ok(added == 1)
            })
            .await
    }

    /// Removes a passkey of somebody; the last one only if `may_be_last`.
    pub(super) async fn remove_passkey(
        &self,
        identity: &Identity,
        id: Vec<u8>,
        may_be_last: bool,
        entry: Entry,
    ) -> Result<Removed, DatabaseError> {
        let (identity, journal, now) = (identity.clone(), self.journal.clone(), self.clock.now());
        self.database
            .transact(move |transaction| {
                let owner = params![identity.issuer(), identity.subject()];
                let all: u32 =
                    transaction.query_row("SELECT count(*) FROM passkey WHERE issuer = ?1 AND subject = ?2", owner, |row| row.get(0))?;
                let own = params![identity.issuer(), identity.subject(), id];
                let is_own = "SELECT EXISTS (SELECT 1 FROM passkey WHERE issuer = ?1 AND subject = ?2 AND id = ?3)";
                if !transaction.query_row(is_own, own, |row| row.get::<_, bool>(0))? {
                    return Ok(Removed::Unknown);
                }
                if all == 1 && !may_be_last {
                    return Ok(Removed::Last);
                }
                if let Some(journal) = journal {
                    journal.append(transaction, now, &entry)?;
                }
                transaction.execute("DELETE FROM passkey WHERE issuer = ?1 AND subject = ?2 AND id = ?3", own)?;
                Ok(Removed::Gone)
            })
            .await
    }

    /// Keeps the counter of a passkey that was used. False if another use came in between: one of the two is a copy's.
    pub(super) async fn count_passkey(&self, passkey: &Passkey, counter: u32) -> Result<bool, DatabaseError> {
        let (id, before) = (passkey.id.clone(), passkey.counter);
        self.database
            .transact(move |transaction| {
                let changed =
                    transaction.execute("UPDATE passkey SET counter = ?3 WHERE id = ?1 AND counter = ?2", params![id, before, counter])?;
                Ok(changed == 1)
            })
            .await
    }
}

/// A session that lives, as the database has it.
pub(super) struct Living {
    pub(super) owner: Owner,
    present_at: Timestamp,
    pub(super) begun_at: Timestamp,
    seen_at: Timestamp,
    pub(super) name: String,
    /// A list of JSON.
    pub(super) groups: String,
}

pub(super) fn living(transaction: &Transaction<'_>, digest: &Digest, now: Timestamp) -> Result<Option<Living>, DatabaseError> {
    let found = transaction
        .query_row(
            "SELECT issuer, subject, tenant, present_at, begun_at, seen_at, name, groups FROM door_session WHERE digest = ?1",
            [digest.as_bytes()],
            |row| {
                let identity = Identity::new(row.get::<_, String>(0)?, row.get::<_, String>(1)?);
                let owner = Owner { identity, tenant: row.get(2)? };
                Ok(Living {
                    owner,
                    present_at: timestamp(row.get(3)?),
                    begun_at: timestamp(row.get(4)?),
                    seen_at: timestamp(row.get(5)?),
                    name: row.get(6)?,
                    groups: row.get(7)?,
                })
            },
        )
        .optional()?;
    let Some(row) = found else { return Ok(None) };
    // A clock that was set back makes no session younger: what lies in the future is refused.
    let is_over = |since: Timestamp, limit: Duration| since > now || now.saturating_duration_since(since) >= limit;
    if is_over(row.begun_at, LONGEST) || is_over(row.seen_at, IDLE) {
        transaction.execute("DELETE FROM door_session WHERE digest = ?1", [digest.as_bytes()])?;
        return Ok(None);
    }
    Ok(Some(row))
}

fn begin(
    transaction: &Transaction<'_>,
    journal: Option<&dyn Journal>,
    secret: &[u8; 32],
    now: Timestamp,
    beginning: &Beginning,
) -> Result<(), DatabaseError> {
    if let Some(journal) = journal {
        let entry = Entry::LoggedIn { tenant: beginning.tenant.clone(), who: beginning.who.clone(), method: beginning.method };
        journal.append(transaction, now, &entry)?;
    }
    if let Some(before) = &beginning.instead_of {
        transaction.execute("DELETE FROM door_session WHERE digest = ?1", [before.as_bytes()])?;
        // What was handed over by the session before ends with this one.
        let own = Digest::of(secret);
        transaction.execute("UPDATE door_handle SET session = ?2 WHERE session = ?1", params![before.as_bytes(), own.as_bytes()])?;
    }
    let groups = serde_json::to_string(&beginning.said.groups).map_err(|_| DatabaseError::Unexpected("groups that are no list"))?;
    transaction.execute(
        "INSERT INTO door_session (digest, issuer, subject, tenant, present_at, begun_at, seen_at, name, groups) \
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?6, ?7, ?8)",
        params![
            Digest::of(secret).as_bytes(),
            beginning.identity.issuer(),
            beginning.identity.subject(),
            beginning.tenant,
            millis(beginning.present_at),
            millis(now),
            beginning.said.name,
            groups
        ],
    )?;
    Ok(())
}

fn secret_of(text: &str) -> Option<[u8; 32]> {
    BASE64URL_NOPAD.decode(text.as_bytes()).ok()?.try_into().ok()
}

fn digest_of(text: &str) -> Option<Digest> {
    secret_of(text).map(|secret| Digest::of(&secret))
}
