//! How the database's form changes: each step is applied once, in order, in one transaction with its number.

use rusqlite::{Connection, TransactionBehavior};

use super::{APPLICATION_ID, DatabaseError};

/// The steps; the number of a step is its place, from 1. A step that was released never changes: what it got wrong is mended by
/// the next one.
const STEPS: &[&str] = &[
    include_str!("migrations/0001-vault.sql"),
    include_str!("migrations/0002-ledger.sql"),
    include_str!("migrations/0003-leases.sql"),
    include_str!("migrations/0004-approvals.sql"),
    include_str!("migrations/0005-outcomes.sql"),
    include_str!("migrations/0006-login.sql"),
    include_str!("migrations/0007-devices.sql"),
    include_str!("migrations/0008-models.sql"),
    include_str!("migrations/0009-departures.sql"),
    include_str!("migrations/0010-handing-over.sql"),
    include_str!("migrations/0011-undone.sql"),
];

/// The newest form that this broker knows.
pub(crate) fn newest() -> u32 {
    u32::try_from(STEPS.len()).unwrap_or(u32::MAX)
}

/// The form that a database has.
pub(crate) fn form(connection: &Connection) -> Result<u32, DatabaseError> {
    Ok(connection.query_row("PRAGMA user_version", [], |row| row.get(0))?)
}

/// Brings a database to the newest form.
pub(super) fn apply(connection: &mut Connection) -> Result<(), DatabaseError> {
    let found = form(connection)?;
    let known = newest();
    if found > known {
        return Err(DatabaseError::Newer { found, known });
    }
    for (step, number) in STEPS.iter().zip(1_u32..).skip(usize::try_from(found).unwrap_or(usize::MAX)) {
        let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        transaction.execute_batch(step)?;
        transaction.pragma_update(None, "application_id", APPLICATION_ID)?;
        transaction.pragma_update(None, "user_version", number)?;
        transaction.commit()?;
    }
    Ok(())
}
