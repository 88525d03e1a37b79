//! Leases as the broker's database has them.

use std::time::Duration;

use keyblind_intent::{Provider, RequestId};
use rusqlite::{Row, Transaction, params};

use super::revocation::{Announcement, Ending};
use crate::clock::Timestamp;
use crate::database::DatabaseError;
use crate::ledger::Who;
use crate::vault::{RecordKind, RecordName, VaultError};

/// A lease as the database has it.
#[derive(Clone)]
pub(super) struct Stored {
    pub(super) id: RequestId,
    pub(super) who: Who,
    pub(super) mission: Option<RequestId>,
    pub(super) provider: Provider,
    pub(super) ending: Ending,
    pub(super) state: String,
    pub(super) dies_at: Timestamp,
    pub(super) lifetime: Duration,
    pub(super) attempts: u64,
}

/// The name under which the sealed store keeps a lease's token.
pub(super) fn token_name(stored: &Stored) -> Result<RecordName, VaultError> {
    RecordName::new(stored.who.tenant.as_str(), stored.who.subject.as_str(), RecordKind::Lease, stored.id.to_string())
}

/// What is read of each.
pub(super) const COLUMNS: &str = "SELECT id, tenant, subject, mission, provider, ending, state, dies_at, lifetime, attempts FROM leases";

/// The columns of a row, as they lie there.
pub(super) type Raw = ([u8; 16], String, String, Option<String>, String, String, String, u64, u64, u64);

/// Reads a row.
pub(super) fn raw(row: &Row<'_>) -> rusqlite::Result<Raw> {
    Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?, row.get(4)?, row.get(5)?, row.get(6)?, row.get(7)?, row.get(8)?, row.get(9)?))
}

/// What a row says.
///
/// # Errors
/// If it has another form than the broker writes.
pub(super) fn stored(raw: Raw) -> Result<Stored, DatabaseError> {
    let (id, tenant, subject, mission, provider, ending, state, dies_at, lifetime, attempts) = raw;
    let unexpected = DatabaseError::Unexpected("a lease of another form");
    let who = Who { tenant: tenant.parse().map_err(|_| unexpected.clone())?, subject: subject.parse().map_err(|_| unexpected.clone())? };
    Ok(Stored {
        id: RequestId::from_bytes(id),
        who,
        mission: mission.map(|mission| mission.parse()).transpose().map_err(|_| unexpected.clone())?,
        provider: serde_json::from_value(serde_json::Value::String(provider)).map_err(|_| unexpected)?,
        ending: Ending::from_name(&ending)?,
        state,
        dies_at: Timestamp::from_unix_millis(dies_at),
        lifetime: Duration::from_millis(lifetime),
        attempts,
    })
}

/// Writes an announced lease.
pub(super) fn insert(transaction: &Transaction<'_>, announcement: &Announcement, lifetime: Duration) -> Result<(), DatabaseError> {
    let provider = serde_json::to_value(announcement.provider).ok().and_then(|value| value.as_str().map(str::to_owned));
    transaction.execute(
        "INSERT INTO leases (id, tenant, subject, mission, provider, ending, state, dies_at, lifetime)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, 'announced', ?7, ?8)",
        params![
            announcement.lease.as_bytes(),
            announcement.who.tenant.as_str(),
            announcement.who.subject.as_str(),
            announcement.mission.map(|mission| mission.to_string()),
            provider,
            announcement.ending.as_str(),
            announcement.dies_at.unix_millis(),
            in_millis(lifetime),
        ],
    )?;
    Ok(())
}

/// Moves a lease to another state, whatever it was in.
pub(super) fn set_state(transaction: &Transaction<'_>, lease: RequestId, state: &str) -> Result<(), DatabaseError> {
    let changed = transaction.execute("UPDATE leases SET state = ?2 WHERE id = ?1", params![lease.as_bytes(), state])?;
    if changed == 1 { Ok(()) } else { Err(DatabaseError::Unexpected("a lease that is gone")) }
}

/// Milliseconds, as far as the database's integers reach.
pub(super) fn in_millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX).min(u64::MAX >> 1)
}
