//! A browser on its way to a provider and back.
//!
//! Each way has a secret of its own, which only the browser's cookie holds. State, nonce and verifier of a login are made from it, and
//! what a provider said for us alone is encrypted with it: a stolen database completes nothing. The cookie is host-only and goes along
//! when the provider sends the browser back (`SameSite=Lax`), which the session's doesn't. A way is used up by its answer.

use std::sync::Arc;
use std::time::Duration;

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use aws_lc_rs::hmac;
use axum::http::HeaderMap;
use axum::http::header::HeaderValue;
use data_encoding::BASE64URL_NOPAD;
use keyblind_intent::Digest;
use rusqlite::{OptionalExtension, params};

use super::Door;
use super::sessions::{millis, random};
use crate::clock::{Clock, Timestamp};
use crate::database::{Database, DatabaseError};
use crate::secret::Secret;

/// How long somebody may take at the provider.
pub(super) const TRIP_LIFE: Duration = Duration::from_secs(10 * 60);
/// How many browsers may be under way: whoever begins more takes the place of the oldest.
const MOST: u32 = 10_000;

/// What a browser is under way for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Errand {
    Login,
    Connect,
}

impl Errand {
    fn name(self) -> &'static str {
        match self {
            Self::Login => "login",
            Self::Connect => "connect",
        }
    }

    /// Under TLS the prefix makes browsers see to it that only this host sets it, for all paths, over TLS.
    fn cookie(self, door: &Door) -> String {
        format!("{}keyblind-{}", if door.origin.is_secure { "__Host-" } else { "" }, self.name())
    }
}

/// A way there and back.
pub(super) struct Trip {
    /// The session that it was begun in, by the digest of its secret.
    pub(super) session: Option<Digest>,
    pub(super) about: String,
    pub(super) place: String,
    pub(super) sealed: Option<Vec<u8>>,
    pub(super) begun: Timestamp,
}

/// The secret of one way.
pub(super) struct Ticket(Secret);

impl Ticket {
    pub(super) fn draw() -> Result<Self, DatabaseError> {
        let bytes = random()?;
        Ok(Self(Secret::from_bytes(bytes.to_vec())))
    }

    /// The one that the browser has; none if it has none, or two: somebody else has set one of them.
    pub(super) fn of(door: &Door, headers: &HeaderMap, errand: Errand) -> Option<Self> {
        let value = super::answers::cookie_of(headers, &errand.cookie(door))?;
        let bytes = BASE64URL_NOPAD.decode(value.as_bytes()).ok()?;
        (bytes.len() == 32).then(|| Self(Secret::from_bytes(bytes)))
    }

    /// What a login's state, nonce and verifier are made from.
    pub(super) fn seed(&self) -> &Secret {
        &self.0
    }

    fn digest(&self) -> Digest {
        self.0.expose(Digest::of)
    }

    fn key(&self) -> Result<LessSafeKey, DatabaseError> {
        let key = self.0.expose(|bytes| hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, bytes), b"what the provider said"));
        let key = UnboundKey::new(&AES_256_GCM, key.as_ref()).map_err(|_| DatabaseError::Unexpected("no cipher"))?;
        Ok(LessSafeKey::new(key))
    }

    /// Encrypts what is to be kept until the browser is back. One ticket seals once, so that its nonce may be fixed.
    pub(super) fn seal(&self, secret: &Secret) -> Result<Vec<u8>, DatabaseError> {
        let mut bytes = zeroize::Zeroizing::new(Vec::with_capacity(secret.len() + AES_256_GCM.tag_len()));
        secret.expose(|plain| bytes.extend_from_slice(plain));
        let sealed = self.key()?.seal_in_place_append_tag(nonce(), Aad::empty(), &mut *bytes);
        sealed.map_err(|_| DatabaseError::Unexpected("no cipher"))?;
        Ok(bytes.to_vec())
    }

    pub(super) fn open(&self, sealed: &[u8]) -> Option<Secret> {
        let mut bytes = zeroize::Zeroizing::new(sealed.to_vec());
        let plain = self.key().ok()?.open_in_place(nonce(), Aad::empty(), &mut bytes).ok()?;
        Some(Secret::filled(plain.len(), |target| target.copy_from_slice(plain)))
    }

    /// The cookie for the browser.
    pub(super) fn cookie(&self, door: &Door, errand: Errand) -> Option<HeaderValue> {
        cookie(door, errand, &self.0.expose(|bytes| BASE64URL_NOPAD.encode(bytes)), TRIP_LIFE.as_secs())
    }
}

fn nonce() -> Nonce {
    Nonce::assume_unique_for_key([0; 12])
}

/// The cookie that takes the ticket away from the browser.
pub(super) fn no_ticket(door: &Door, errand: Errand) -> Option<HeaderValue> {
    cookie(door, errand, "", 0)
}

fn cookie(door: &Door, errand: Errand, value: &str, seconds: u64) -> Option<HeaderValue> {
    let secure = if door.origin.is_secure { "; Secure" } else { "" };
    let name = errand.cookie(door);
    let mut header = HeaderValue::from_str(&format!("{name}={value}; Path=/; Max-Age={seconds}; HttpOnly; SameSite=Lax{secure}")).ok()?;
    header.set_sensitive(true);
    Some(header)
}

/// The ways that browsers are on.
#[derive(Clone)]
pub(super) struct Trips {
    database: Database,
    clock: Arc<dyn Clock>,
}

impl Trips {
    pub(super) fn new(database: Database, clock: Arc<dyn Clock>) -> Self {
        Self { database, clock }
    }

    /// Sends a browser off.
    #[allow(clippy::too_many_arguments, reason = "each is a column")]
    pub(super) async fn begin(
        &self,
        ticket: &Ticket,
        errand: Errand,
        session: Option<Digest>,
        about: &str,
        place: &str,
        sealed: Option<Vec<u8>>,
        life: Duration,
    ) -> Result<(), DatabaseError> {
        let (browser, now) = (ticket.digest(), self.clock.now());
        let (about, place) = (about.to_owned(), place.to_owned());
        self.database
            .transact(move |transaction| -> Result<(), DatabaseError> {
                transaction.execute("DELETE FROM door_trip WHERE expires <= ?1", [millis(now)])?;
                let full: u32 = transaction.query_row("SELECT count(*) FROM door_trip", [], |row| row.get(0))?;
                if full >= MOST {
                    let oldest = "DELETE FROM door_trip WHERE browser = (SELECT browser FROM door_trip ORDER BY expires LIMIT 1)";
                    transaction.execute(oldest, [])?;
                }
                transaction.execute(
                    "INSERT INTO door_trip (browser, kind, session, about, place, sealed, begun, expires) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
                    params![
                        browser.as_bytes(),
                        errand.name(),
                        session.as_ref().map(Digest::as_bytes),
                        about,
                        place,
                        sealed,
                        millis(now),
                        millis(now.saturating_add(life))
                    ],
                )?;
                Ok(())
            })
            .await
    }

    /// Looks at a way without using it up: an answer that isn't its own must not end it.
    pub(super) async fn find(&self, ticket: &Ticket, errand: Errand) -> Result<Option<Trip>, DatabaseError> {
        self.read(
            "SELECT session, about, place, sealed, begun FROM door_trip WHERE browser = ?1 AND kind = ?2 AND expires > ?3",
            ticket,
            errand,
        )
        .await
    }

    /// Whether somebody is under way in another tab of that session.
    pub(super) async fn is_under_way(&self, session: Digest, errand: Errand) -> Result<bool, DatabaseError> {
        let now = self.clock.now();
        self.database
            .transact(move |transaction| {
                let sql = "SELECT EXISTS (SELECT 1 FROM door_trip WHERE session = ?1 AND kind = ?2 AND expires > ?3)";
                Ok(transaction.query_row(sql, params![session.as_bytes(), errand.name(), millis(now)], |row| row.get(0))?)
            })
            .await
    }

    /// Uses a way up: of two answers at the same moment one gets it.
    pub(super) async fn end(&self, ticket: &Ticket, errand: Errand) -> Result<Option<Trip>, DatabaseError> {
        self.read(
            "DELETE FROM door_trip WHERE browser = ?1 AND kind = ?2 AND expires > ?3 RETURNING session, about, place, sealed, begun",
            ticket,
            errand,
        )
        .await
    }

    async fn read(&self, sql: &'static str, ticket: &Ticket, errand: Errand) -> Result<Option<Trip>, DatabaseError> {
        let (browser, now) = (ticket.digest(), self.clock.now());
        self.database
            .transact(move |transaction| {
                let found = transaction.query_row(sql, params![browser.as_bytes(), errand.name(), millis(now)], |row| {
                    Ok(Trip {
                        session: row.get::<_, Option<[u8; 32]>>(0)?.map(Digest::from_bytes),
                        about: row.get(1)?,
                        place: row.get(2)?,
                        sealed: row.get(3)?,
                        begun: super::sessions::timestamp(row.get(4)?),
                    })
                });
                Ok(found.optional()?)
            })
            .await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ticket_opens_what_it_sealed_and_no_other_does() {
        let (own, other) = (Ticket::draw().unwrap(), Ticket::draw().unwrap());
        let sealed = own.seal(&Secret::from_string("auth-session".to_owned())).unwrap();
        assert!(!sealed.windows(4).any(|part| part == b"auth"));
        assert!(own.open(&sealed).unwrap().expose(|bytes| bytes == b"auth-session"));
        assert!(other.open(&sealed).is_none());
        let mut changed = sealed.clone();
        changed[0] ^= 1;
        assert!(own.open(&changed).is_none() && own.open(&[]).is_none());
    }
}
