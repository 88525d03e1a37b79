//! Requests as the database holds them.

use keyblind_intent::{Change, Digest};
use rusqlite::{OptionalExtension, Row, Transaction, params};

use super::error::ApprovalError;
use super::policy::{Answer, Channel, Counted, PersonId, Proposal};
use super::service::{Material, Request, State};
use crate::clock::Timestamp;
use crate::database::DatabaseError;

pub(super) fn millis(time: Timestamp) -> i64 {
    i64::try_from(time.unix_millis()).unwrap_or(i64::MAX)
}

pub(super) fn timestamp(millis: i64) -> Timestamp {
    Timestamp::from_unix_millis(u64::try_from(millis).unwrap_or_default())
}

struct Stored {
    key: Vec<u8>,
    change: Vec<u8>,
    proposal: String,
    raised: i64,
    shown_from: i64,
    expires: i64,
    state: String,
}

impl Stored {
    const COLUMNS: &str = "digest, change, proposal, raised, shown_from, expires, state";

    fn read(row: &Row<'_>) -> rusqlite::Result<Self> {
        Ok(Self {
            key: row.get(0)?,
            change: row.get(1)?,
            proposal: row.get(2)?,
            raised: row.get(3)?,
            shown_from: row.get(4)?,
            expires: row.get(5)?,
            state: row.get(6)?,
        })
    }

    /// The digest isn't taken from the row: it is computed from the change, and has to be the row's.
    fn request(self, transaction: &Transaction<'_>) -> Result<Request, ApprovalError> {
        let change = Change::decode(&self.change).map_err(|_| DatabaseError::Unexpected("a change that can't be read"))?;
        if change.digest().as_bytes() != self.key.as_slice() {
            return Err(ApprovalError::OtherDigest);
        }
        let proposal: Proposal =
            serde_json::from_str(&self.proposal).map_err(|_| DatabaseError::Unexpected("a proposal that can't be read"))?;
        let state = State::from_name(&self.state).ok_or(DatabaseError::Unexpected("a request in no state"))?;
        let words = words(transaction, &change.digest())?;
        Ok(Request {
            change,
            proposal,
            raised: timestamp(self.raised),
            shown_from: timestamp(self.shown_from),
            expires: timestamp(self.expires),
            state,
            words,
            material: Material::default(),
        })
    }
}

pub(super) fn insert(transaction: &Transaction<'_>, request: &Request) -> Result<bool, ApprovalError> {
    let proposal = serde_json::to_string(&request.proposal).map_err(|_| DatabaseError::Unexpected("a proposal that can't be written"))?;
    let digest = request.change.digest();
    let inserted = transaction
        .execute(
            "INSERT INTO approval_request (digest, tenant, change, proposal, raised, shown_from, expires, state)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, 'waiting') ON CONFLICT DO NOTHING",
            params![
                digest.as_bytes(),
                request.proposal.tenant,
                request.change.canonical(),
                proposal,
                millis(request.raised),
                millis(request.shown_from),
                millis(request.expires)
            ],
        )
        .map_err(DatabaseError::from)?;
    if inserted == 1 {
        for (part, bytes) in request.material.parts() {
            transaction
                .execute(
                    "INSERT INTO approval_material (digest, part, bytes) VALUES (?1, ?2, ?3) ON CONFLICT DO NOTHING",
                    params![digest.as_bytes(), part.as_bytes(), bytes],
                )
                .map_err(DatabaseError::from)?;
        }
    }
    Ok(inserted == 1)
}

pub(super) fn find(transaction: &Transaction<'_>, digest: &Digest) -> Result<Option<Request>, ApprovalError> {
    let sql = format!("SELECT {} FROM approval_request WHERE digest = ?1", Stored::COLUMNS);
    let stored = transaction.query_row(&sql, [digest.as_bytes()], Stored::read).optional().map_err(DatabaseError::from)?;
    stored.map(|stored| stored.request(transaction)).transpose()
}

/// The tenant's requests that wait, oldest first.
pub(super) fn waiting(transaction: &Transaction<'_>, tenant: &str, now: Timestamp) -> Result<Vec<Request>, ApprovalError> {
    let sql = format!(
        "SELECT {} FROM approval_request WHERE tenant = ?1 AND state = 'waiting' AND expires > ?2 ORDER BY raised LIMIT 1000",
        Stored::COLUMNS
    );
    let mut statement = transaction.prepare(&sql).map_err(DatabaseError::from)?;
    let rows = statement.query_map(params![tenant, millis(now)], Stored::read).map_err(DatabaseError::from)?;
    let stored = rows.collect::<Result<Vec<_>, _>>().map_err(DatabaseError::from)?;
    stored.into_iter().map(|stored| stored.request(transaction)).collect()
}

/// Requests that are approved and of which nothing has come yet, oldest first. One that can't be read is left out: it can't be applied.
pub(super) fn to_apply(transaction: &Transaction<'_>, now: Timestamp) -> Result<Vec<Request>, ApprovalError> {
    let sql = format!(
        "SELECT {} FROM approval_request WHERE state = 'approved' AND expires > ?1 AND digest NOT IN (SELECT change FROM change_outcome)
         ORDER BY raised LIMIT 1000",
        Stored::COLUMNS
    );
    let mut statement = transaction.prepare(&sql).map_err(DatabaseError::from)?;
    let rows = statement.query_map([millis(now)], Stored::read).map_err(DatabaseError::from)?;
    let stored = rows.collect::<Result<Vec<_>, _>>().map_err(DatabaseError::from)?;
    Ok(stored.into_iter().filter_map(|stored| stored.request(transaction).ok()).collect())
}

pub(super) fn material(transaction: &Transaction<'_>, digest: &Digest) -> Result<Material, DatabaseError> {
    let mut statement = transaction.prepare("SELECT bytes FROM approval_material WHERE digest = ?1")?;
    let rows = statement.query_map([digest.as_bytes()], |row| row.get::<_, Vec<u8>>(0))?;
    let mut material = Material::default();
    for bytes in rows {
        material.add(bytes?);
    }
    Ok(material)
}

fn words(transaction: &Transaction<'_>, digest: &Digest) -> Result<Vec<Counted>, DatabaseError> {
    let mut statement =
        transaction.prepare("SELECT person, answer, channel FROM approval_word WHERE digest = ?1 ORDER BY said_at, person")?;
    let rows = statement
        .query_map([digest.as_bytes()], |row| Ok((row.get::<_, String>(0)?, row.get::<_, String>(1)?, row.get::<_, String>(2)?)))?;
    rows.map(|row| {
        let (person, answer, channel) = row?;
        let answer: Answer = named(&answer)?;
        let channel: Channel = named(&channel)?;
        Ok(Counted { person: PersonId::new(person), answer, channel })
    })
    .collect()
}

pub(super) fn name_of(value: &impl serde::Serialize) -> Result<String, DatabaseError> {
    match serde_json::to_value(value) {
        Ok(serde_json::Value::String(name)) => Ok(name),
        _ => Err(DatabaseError::Unexpected("a value without a name")),
    }
}

fn named<T: serde::de::DeserializeOwned>(name: &str) -> Result<T, DatabaseError> {
    serde_json::from_value(serde_json::Value::String(name.to_owned())).map_err(|_| DatabaseError::Unexpected("a name of nothing"))
}

pub(super) fn insert_word(
    transaction: &Transaction<'_>,
    digest: &Digest,
    counted: &Counted,
    solo: bool,
    now: Timestamp,
) -> Result<bool, DatabaseError> {
    let inserted = transaction.execute(
        "INSERT INTO approval_word (digest, person, answer, channel, solo, said_at) VALUES (?1, ?2, ?3, ?4, ?5, ?6) ON CONFLICT DO NOTHING",
        params![digest.as_bytes(), counted.person.as_str(), name_of(&counted.answer)?, name_of(&counted.channel)?, solo, millis(now)],
    )?;
    Ok(inserted == 1)
}

/// Whether this is the first time that the nonce is seen. It is kept as a digest, so that what it is made of may be a secret.
pub(super) fn spend(transaction: &Transaction<'_>, nonce: &Digest, now: Timestamp) -> Result<bool, DatabaseError> {
    let inserted = transaction.execute(
        "INSERT INTO approval_nonce (nonce, used_at) VALUES (?1, ?2) ON CONFLICT DO NOTHING",
        params![nonce.as_bytes(), millis(now)],
    )?;
    Ok(inserted == 1)
}

/// Moves a request on, if it still is in the state that it was read in.
pub(super) fn advance(
    transaction: &Transaction<'_>,
    digest: &Digest,
    from: State,
    to: State,
    now: Timestamp,
) -> Result<bool, DatabaseError> {
    let used_at = (to == State::Used).then(|| millis(now));
    let changed = transaction.execute(
        "UPDATE approval_request SET state = ?3, used_at = ?4 WHERE digest = ?1 AND state = ?2",
        params![digest.as_bytes(), from.name(), to.name(), used_at],
    )?;
    if changed == 1 && matches!(to, State::Refused | State::Void | State::Expired) {
        transaction.execute("DELETE FROM approval_material WHERE digest = ?1", [digest.as_bytes()])?;
    }
    Ok(changed == 1)
}

/// Which requests a sweep is about.
#[derive(Clone, Copy)]
pub(super) enum Sweep {
    /// All that wait or are approved.
    Open,
    /// Those of them whose time is over.
    Overdue(Timestamp),
}

/// Moves requests on that nobody decides any more, a thousand at a time; gives how many these were, and those that can be read.
pub(super) fn sweep(
    transaction: &Transaction<'_>,
    sweep: Sweep,
    to: State,
    now: Timestamp,
) -> Result<(usize, Vec<Request>), ApprovalError> {
    let before = match sweep {
        Sweep::Open => i64::MAX,
        Sweep::Overdue(now) => millis(now),
    };
    let sql = format!(
        "SELECT {} FROM approval_request WHERE state IN ('waiting', 'approved') AND expires <= ?1 ORDER BY raised LIMIT 1000",
        Stored::COLUMNS
    );
    let mut statement = transaction.prepare(&sql).map_err(DatabaseError::from)?;
    let rows = statement.query_map([before], Stored::read).map_err(DatabaseError::from)?;
    let stored = rows.collect::<Result<Vec<_>, _>>().map_err(DatabaseError::from)?;
    let (closed, mut requests) = (stored.len(), Vec::new());
    for stored in stored {
        let key = stored.key.clone();
        match stored.request(transaction) {
            Ok(request) => {
                advance(transaction, &request.change.digest(), request.state, to, now)?;
                requests.push(request);
            }
            // What can't be read can't be applied either; it must not keep a stop from being recorded.
            Err(ApprovalError::OtherDigest | ApprovalError::Database(DatabaseError::Unexpected(_))) => {
                let sql = "UPDATE approval_request SET state = ?2 WHERE digest = ?1";
                transaction.execute(sql, params![key, to.name()]).map_err(DatabaseError::from)?;
            }
            Err(error) => return Err(error),
        }
    }
    Ok((closed, requests))
}

/// When the tenant's requests were raised, of the last hour and later; and when its changes were applied, of the last day and later.
pub(super) fn times(transaction: &Transaction<'_>, tenant: &str, column: Times, since: Timestamp) -> Result<Vec<Timestamp>, DatabaseError> {
    let sql = match column {
        Times::Raised => "SELECT raised FROM approval_request WHERE tenant = ?1 AND raised > ?2",
        Times::Used => "SELECT used_at FROM approval_request WHERE tenant = ?1 AND used_at > ?2",
    };
    let mut statement = transaction.prepare(sql)?;
    let rows = statement.query_map(params![tenant, millis(since)], |row| row.get::<_, i64>(0))?;
    rows.map(|time| Ok(timestamp(time?))).collect()
}

#[derive(Clone, Copy)]
pub(super) enum Times {
    Raised,
    Used,
}

/// A policy's text and when it takes effect.
pub(super) struct PolicyRow {
    pub(super) digest: Digest,
    pub(super) text: String,
    pub(super) in_force_at: Option<Timestamp>,
}

/// The policy in force: of those whose time has come, the one whose time came last.
pub(super) fn policy_in_force(transaction: &Transaction<'_>, now: Timestamp) -> Result<Option<PolicyRow>, DatabaseError> {
    Ok(transaction
        .query_row(
            "SELECT digest, text, in_force_at FROM approval_policy WHERE in_force_at <= ?1 ORDER BY in_force_at DESC, rowid DESC LIMIT 1",
            [millis(now)],
            policy_row,
        )
        .optional()?)
}

/// What is proposed or agreed but not in force.
pub(super) fn policies_to_come(transaction: &Transaction<'_>, now: Timestamp) -> Result<Vec<PolicyRow>, DatabaseError> {
    let mut statement = transaction.prepare(
        "SELECT digest, text, in_force_at FROM approval_policy WHERE in_force_at IS NULL OR in_force_at > ?1 ORDER BY proposed_at LIMIT 100",
    )?;
    let rows = statement.query_map([millis(now)], policy_row)?;
    Ok(rows.collect::<Result<_, _>>()?)
}

fn policy_row(row: &Row<'_>) -> rusqlite::Result<PolicyRow> {
    let digest: [u8; 32] = row.get(0)?;
    Ok(PolicyRow { digest: Digest::from_bytes(digest), text: row.get(1)?, in_force_at: row.get::<_, Option<i64>>(2)?.map(timestamp) })
}

pub(super) fn insert_policy(
    transaction: &Transaction<'_>,
    digest: &Digest,
    text: &str,
    now: Timestamp,
    in_force_at: Option<Timestamp>,
) -> Result<bool, DatabaseError> {
    let inserted = transaction.execute(
        "INSERT INTO approval_policy (digest, text, proposed_at, in_force_at) VALUES (?1, ?2, ?3, ?4) ON CONFLICT DO NOTHING",
        params![digest.as_bytes(), text, millis(now), in_force_at.map(millis)],
    )?;
    Ok(inserted == 1)
}

pub(super) fn agreements(transaction: &Transaction<'_>, digest: &Digest) -> Result<Vec<PersonId>, DatabaseError> {
    let mut statement = transaction.prepare("SELECT person FROM approval_policy_agreement WHERE digest = ?1 ORDER BY agreed_at, person")?;
    let rows = statement.query_map([digest.as_bytes()], |row| row.get::<_, String>(0))?;
    rows.map(|person| Ok(PersonId::new(person?))).collect()
}

pub(super) fn agree(
    transaction: &Transaction<'_>,
    digest: &Digest,
    person: &PersonId,
    now: Timestamp,
    in_force_at: Option<Timestamp>,
) -> Result<(), DatabaseError> {
    transaction.execute(
        "INSERT INTO approval_policy_agreement (digest, person, agreed_at) VALUES (?1, ?2, ?3)",
        params![digest.as_bytes(), person.as_str(), millis(now)],
    )?;
    if let Some(time) = in_force_at {
        transaction.execute("UPDATE approval_policy SET in_force_at = ?2 WHERE digest = ?1", params![digest.as_bytes(), millis(time)])?;
    }
    Ok(())
}
