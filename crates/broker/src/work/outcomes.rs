//! What came of changes, as the database has it.

use keyblind_intent::{ApplyAction, Digest, Outcome};
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

/// The newest change of a tenant that said of itself that this action would undo it, and that isn't undone.
pub(super) fn undone_by(transaction: &Transaction<'_>, tenant: &str, undo: &ApplyAction) -> Result<Option<Digest>, DatabaseError> {
    let sql = "SELECT change, outcome FROM change_outcome WHERE tenant = ?1 AND outcome LIKE '{\"action-applied\":%'
               AND change NOT IN (SELECT change FROM change_undone) ORDER BY recorded DESC";
    let mut statement = transaction.prepare(sql)?;
    let mut rows = statement.query([tenant])?;
    while let Some(row) = rows.next()? {
        let text: String = row.get(1)?;
        let outcome = serde_json::from_str(&text).map_err(|_| DatabaseError::Unexpected("an outcome that can't be read"))?;
        if matches!(outcome, Outcome::ActionApplied { undo: Some(known), .. } if *known == *undo) {
            return Ok(Some(Digest::from_bytes(row.get(0)?)));
        }
    }
    Ok(None)
}

/// Keeps that a change is undone, and by which. Says whether it wasn't before.
pub(super) fn keep_undone(
    transaction: &Transaction<'_>,
    change: &Digest,
    tenant: &str,
    by: &Digest,
    now: Timestamp,
) -> Result<bool, DatabaseError> {
    let inserted = transaction.execute(
        "INSERT INTO change_undone (change, tenant, undone_by, recorded) VALUES (?1, ?2, ?3, ?4) ON CONFLICT DO NOTHING",
        params![change.as_bytes(), tenant, by.as_bytes(), now.unix_millis()],
    )?;
    Ok(inserted == 1)
}

/// Whether a tenant's change is undone.
pub(super) fn is_undone(transaction: &Transaction<'_>, tenant: &str, change: &Digest) -> Result<bool, DatabaseError> {
    let sql = "SELECT EXISTS (SELECT 1 FROM change_undone WHERE change = ?1 AND tenant = ?2)";
    Ok(transaction.query_row(sql, params![change.as_bytes(), tenant], |row| row.get(0))?)
}

/// Changes whose approval is used up and of which nobody knows what came: their digests and tenants.
pub(super) fn interrupted(transaction: &Transaction<'_>) -> Result<Vec<(Digest, String)>, DatabaseError> {
    let sql = "SELECT digest, tenant FROM approval_request WHERE state = 'used' AND digest NOT IN (SELECT change FROM change_outcome)";
    let mut statement = transaction.prepare(sql)?;
    let rows = statement.query_map([], |row| Ok((Digest::from_bytes(row.get(0)?), row.get(1)?)))?;
    Ok(rows.collect::<Result<_, _>>()?)
}
