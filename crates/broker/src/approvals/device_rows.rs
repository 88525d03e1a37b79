//! Questions on people's devices as the database holds them.

use keyblind_intent::Digest;
use rusqlite::{Row, Transaction, params};

use super::policy::Identity;
use super::rows::{millis, timestamp};
use crate::clock::Timestamp;
use crate::database::DatabaseError;

/// How far a question is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stage {
    Asking,
    Asked,
    Over,
}

impl Stage {
    fn from_name(name: &str) -> Option<Self> {
        Some(match name {
            "asking" => Self::Asking,
            "asked" => Self::Asked,
            "over" => Self::Over,
            _ => return None,
        })
    }
}

/// One question.
#[derive(Clone, Debug)]
pub(super) struct Question {
    pub(super) change: Digest,
    pub(super) identity: Identity,
    pub(super) tenant: String,
    pub(super) stage: Stage,
    pub(super) details: Option<String>,
    pub(super) every: Option<u32>,
    pub(super) expires: Timestamp,
    pub(super) attempts: u32,
    pub(super) next_attempt: Timestamp,
}

fn read(row: &Row<'_>) -> rusqlite::Result<(Question, String)> {
    let question = Question {
        change: Digest::from_bytes(row.get(0)?),
        identity: Identity::new(row.get::<_, String>(1)?, row.get::<_, String>(2)?),
        tenant: row.get(3)?,
        stage: Stage::Over,
        details: row.get(5)?,
        every: row.get(6)?,
        expires: timestamp(row.get(7)?),
        attempts: row.get(8)?,
        next_attempt: timestamp(row.get(9)?),
    };
    Ok((question, row.get(4)?))
}

/// Those of an issuer about these changes, and those that aren't over, whatever they are about.
pub(super) fn all(transaction: &Transaction<'_>, issuer: &str, changes: &[Digest]) -> Result<Vec<Question>, DatabaseError> {
    let columns = "change, issuer, subject, tenant, state, details, every, expires, attempts, next_attempt";
    let mut found = Vec::new();
    let mut take = |rows: &mut rusqlite::Rows<'_>| -> Result<(), DatabaseError> {
        while let Some(row) = rows.next()? {
            let (question, state) = read(row)?;
            let stage = Stage::from_name(&state).ok_or(DatabaseError::Unexpected("a question in no state"))?;
            found.push(Question { stage, ..question });
        }
        Ok(())
    };
    let mut open = transaction.prepare(&format!("SELECT {columns} FROM device_question WHERE issuer = ?1 AND state <> 'over'"))?;
    take(&mut open.query([issuer])?)?;
    let mut over =
        transaction.prepare(&format!("SELECT {columns} FROM device_question WHERE issuer = ?1 AND state = 'over' AND change = ?2"))?;
    for change in changes {
        take(&mut over.query(params![issuer, change.as_bytes()])?)?;
    }
    Ok(found)
}

/// Notes that somebody is about to be asked, one attempt more. Before anybody is.
pub(super) fn asking(transaction: &Transaction<'_>, question: &Question) -> Result<(), DatabaseError> {
    transaction.execute(
        "INSERT INTO device_question (change, issuer, subject, tenant, state, details, expires, attempts, next_attempt)
         VALUES (?1, ?2, ?3, ?4, 'asking', ?5, ?6, 1, ?7)
         ON CONFLICT DO UPDATE SET details = excluded.details, attempts = attempts + 1, next_attempt = excluded.next_attempt",
        params![
            question.change.as_bytes(),
            question.identity.issuer(),
            question.identity.subject(),
            question.tenant,
            question.details,
            millis(question.expires),
            millis(question.next_attempt)
        ],
    )?;
    Ok(())
}

/// Notes that the device shows it, until when, and how often to poll.
pub(super) fn asked(transaction: &Transaction<'_>, question: &Question, every: u32, expires: Timestamp) -> Result<(), DatabaseError> {
    transaction.execute(
        "UPDATE device_question SET state = 'asked', every = ?4, expires = ?5 WHERE change = ?1 AND issuer = ?2 AND subject = ?3",
        params![question.change.as_bytes(), question.identity.issuer(), question.identity.subject(), every, millis(expires)],
    )?;
    Ok(())
}

/// Notes that nothing more comes of it.
pub(super) fn over(transaction: &Transaction<'_>, question: &Question, outcome: &str) -> Result<(), DatabaseError> {
    transaction.execute(
        "UPDATE device_question SET state = 'over', outcome = ?4 WHERE change = ?1 AND issuer = ?2 AND subject = ?3",
        params![question.change.as_bytes(), question.identity.issuer(), question.identity.subject(), outcome],
    )?;
    Ok(())
}

/// Removes what has long been over.
pub(super) fn forget(transaction: &Transaction<'_>, before: Timestamp) -> Result<(), DatabaseError> {
    transaction.execute("DELETE FROM device_question WHERE state = 'over' AND expires < ?1", [millis(before)])?;
    Ok(())
}
