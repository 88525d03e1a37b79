//! What came of changes, as the database has it.

use keyblind_intent::{Digest, Outcome};
use rusqlite::{OptionalExtension as _, Transaction, params};

use crate::clock::Timestamp;
use crate::database::DatabaseError;

/// Keeps what came of a change. The first word stands.
pub(super) fn keep(
    transaction: &Transaction<'_>,
    change: &Digest,
    tenant: &str,
    outcome: &Outcome,
    now: Timestamp,
) -> Result<(), DatabaseError> {
    let text = serde_json::to_string(outcome).map_err(|_| DatabaseError::Unexpected("an outcome that can't be written"))?;
    transaction.execute(
        "INSERT INTO change_outcome (change, tenant, outcome, recorded) VALUES (?1, ?2, ?3, ?4) ON CONFLICT DO NOTHING",
        params![change.as_bytes(), tenant, text, now.unix_millis()],
    )?;
    // Its bytes were kept to be shown and applied: both are over.
    transaction.execute("DELETE FROM approval_material WHERE digest = ?1", [change.as_bytes()])?;
    Ok(())
}

/// What came of a tenant's change, if anything has yet.
pub(super) fn find(transaction: &Transaction<'_>, tenant: &str, change: &Digest) -> Result<Option<Outcome>, DatabaseError> {
    let sql = "SELECT outcome FROM change_outcome WHERE change = ?1 AND tenant = ?2";
    let text: Option<String> = transaction.query_row(sql, params![change.as_bytes(), tenant], |row| row.get(0)).optional()?;
    text.map(|text| serde_json::from_str(&text).map_err(|_| DatabaseError::Unexpected("an outcome that can't be read"))).transpose()
}

/// Changes whose approval is used up and of which nobody knows what came: their digests and tenants.
pub(super) fn interrupted(transaction: &Transaction<'_>) -> Result<Vec<(Digest, String)>, DatabaseError> {
    let sql = "SELECT digest, tenant FROM approval_request WHERE state = 'used' AND digest NOT IN (SELECT change FROM change_outcome)";
    let mut statement = transaction.prepare(sql)?;
    let rows = statement.query_map([], |row| Ok((Digest::from_bytes(row.get(0)?), row.get(1)?)))?;
    Ok(rows.collect::<Result<_, _>>()?)
}
