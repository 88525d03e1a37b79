//! A browser on its way to a provider and back.
//!
//! Each way has a secret of its own, which only the browser's cookie holds. State, nonce and verifier of a login are made from
//! it: a stolen database completes nothing. The cookie is host-only and goes along
//! when the provider sends the browser back (`SameSite=Lax`), which the session's doesn't. A way is used up by its answer.

use std::sync::Arc;
use std::time::Duration;

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
}

impl Errand {
    fn name(self) -> &'static str {
        match self {
            Self::Login => "login",
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

    /// The cookie for the browser.
    pub(super) fn cookie(&self, door: &Door, errand: Errand) -> Option<HeaderValue> {
        cookie(door, errand, &self.0.expose(|bytes| BASE64URL_NOPAD.encode(bytes)), TRIP_LIFE.as_secs())
    }
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
    pub(super) async fn begin(
        &self,
        ticket: &Ticket,
        errand: Errand,
        session: Option<Digest>,
        about: &str,
        place: &str,
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
                    "INSERT INTO door_trip (browser, kind, session, about, place, begun, expires) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
                    params![
                        browser.as_bytes(),
                        errand.name(),
                        session.as_ref().map(Digest::as_bytes),
                        about,
                        place,
                        millis(now),
                        millis(now.saturating_add(TRIP_LIFE))
                    ],
                )?;
                Ok(())
            })
            .await
    }

    /// Looks at a way without using it up: an answer that isn't its own must not end it.
    pub(super) async fn find(&self, ticket: &Ticket, errand: Errand) -> Result<Option<Trip>, DatabaseError> {
        self.read("SELECT session, about, place, begun FROM door_trip WHERE browser = ?1 AND kind = ?2 AND expires > ?3", ticket, errand)
            .await
    }

    /// Uses a way up: of two answers at the same moment one gets it.
    pub(super) async fn end(&self, ticket: &Ticket, errand: Errand) -> Result<Option<Trip>, DatabaseError> {
        self.read(
            "DELETE FROM door_trip WHERE browser = ?1 AND kind = ?2 AND expires > ?3 RETURNING session, about, place, begun",
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
                        begun: super::sessions::timestamp(row.get(3)?),
                    })
                });
                Ok(found.optional()?)
            })
            .await
    }
}
