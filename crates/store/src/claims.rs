//! Who works on what: a job is held for a while under a ticket, and by nobody else meanwhile.

use std::time::Duration;

use keyblind_intent::UnixMillis;
use sqlx::any::AnyRow;
use sqlx::{Any, Transaction};

use crate::database::{moment, number, stored, text};
use crate::identifiers::random;
use crate::{MissionId, MissionRow, Store, StoreError};

/// How many steps may run at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// In all.
    pub total: u32,
    /// Of one tenant.
    pub tenant: u32,
    /// Of one owner within a tenant.
    pub owner: u32,
}

/// What proves that a job is a worker's: it stops to be valid once the job was taken over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ticket {
    pub(crate) mission: MissionId,
    pub(crate) value: String,
}

impl Ticket {
    /// The mission whose step it is for.
    #[must_use]
    pub const fn mission(&self) -> MissionId {
        self.mission
    }
}

/// A job that a worker holds.
#[derive(Clone, Debug)]
pub struct Claim {
    /// What proves it.
    pub ticket: Ticket,
    /// The mission.
    pub mission: MissionRow,
    /// The step to do.
    pub step: String,
    /// Which attempt this is, from 1.
    pub attempt: u32,
}

/// What a worker that still works hears.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hold {
    /// The job is its own for another while.
    Held,
    /// Somebody wants the mission to end.
    Cancelled,
    /// The job isn't its own any more.
    Lost,
}

impl Store {
    /// Takes the next job for `holder`: of the tenant with the fewest running steps, of these the one served longest ago; in a tenant the
    /// oldest mission's. A job whose holder let its time pass counts as not held. No limit is ever passed.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn claim(&self, holder: &str, limits: Limits, now: UnixMillis, hold: Duration) -> Result<Option<Claim>, StoreError> {
        loop {
            // Who finds nothing to do keeps nobody waiting.
            let ready = sqlx::query(
                "SELECT CAST(1 AS BIGINT) WHERE EXISTS (SELECT 1 FROM jobs WHERE is_queued = 1) \
                 OR EXISTS (SELECT 1 FROM jobs WHERE is_queued = 0 AND wakes <= $1)",
            );
            if ready.bind(moment(now)?).fetch_optional(self.pool()).await?.is_none() {
                return Ok(None);
            }
            let mut transaction = self.write().await?;
            // Whoever else wants a job waits here, so that what is counted below stays true.
            let turn =
                sqlx::query("UPDATE claims SET number = number + 1 WHERE id = 1 RETURNING number").fetch_one(&mut *transaction).await?;
            // Pauses that are over, and holders who let their time pass.
            let woken =
                sqlx::query("UPDATE jobs SET is_queued = 1 WHERE is_queued = 0 AND wakes <= $1 AND (ticket IS NULL OR held_until < $1)");
            let woken = woken.bind(moment(now)?).execute(&mut *transaction).await?.rows_affected();
            let Some(row) = next(&mut transaction, limits, now).await? else {
                if woken > 0 {
                    transaction.commit().await?;
                }
                return Ok(None);
            };
            let id: MissionId = text(&row, "mission")?.parse().map_err(|_| StoreError::Unexpected("a mission's identifier"))?;
            let mission = sqlx::query("UPDATE missions SET state = CASE WHEN waits_for IS NULL OR waits_for = 'time' THEN 'running' ELSE state END, changed = $2 WHERE id = $1 RETURNING *")
                .bind(id.to_string())
                .bind(moment(now)?)
                .fetch_one(&mut *transaction)
                .await?;
            let ticket = Ticket { mission: id, value: random()?.to_string() };
            let taken = sqlx::query(
                "UPDATE jobs SET ticket = $2, holder = $3, held_until = $4, attempt = attempt + 1, is_queued = 0, wakes = $4 \
                 WHERE mission = $1 AND ready <= $5 AND (ticket IS NULL OR held_until < $5) RETURNING step, attempt",
            )
            .bind(id.to_string())
            .bind(ticket.value.clone())
            .bind(holder.to_owned())
            .bind(until(now, hold)?)
            .bind(moment(now)?)
            .fetch_optional(&mut *transaction)
            .await?;
            // It was cancelled, or committed after its time, since it was chosen.
            let Some(job) = taken else { continue };
            sqlx::query("INSERT INTO turns (tenant, number) VALUES ($1, $2) ON CONFLICT (tenant) DO UPDATE SET number = excluded.number")
                .bind(text(&row, "tenant")?)
                .bind(stored(number(&turn, "number")?)?)
                .execute(&mut *transaction)
                .await?;
            let attempt = u32::try_from(number(&job, "attempt")?).map_err(|_| StoreError::Unexpected("a number of attempts"))?;
            let claim = Claim { ticket, mission: MissionRow::of(&mission)?, step: text(&job, "step")?, attempt };
            transaction.commit().await?;
            return Ok(Some(claim));
        }
    }

    /// Holds a job for another while, and hears whether to go on.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn hold(&self, ticket: &Ticket, now: UnixMillis, hold: Duration) -> Result<Hold, StoreError> {
        let held = sqlx::query("UPDATE jobs SET held_until = $3, wakes = $3 WHERE mission = $1 AND ticket = $2 AND held_until >= $4")
            .bind(ticket.mission.to_string())
            .bind(ticket.value.clone())
            .bind(until(now, hold)?)
            .bind(moment(now)?)
            .execute(self.pool())
            .await?
            .rows_affected();
        if held == 0 {
            return Ok(Hold::Lost);
        }
        let row =
            sqlx::query("SELECT is_cancelled FROM missions WHERE id = $1").bind(ticket.mission.to_string()).fetch_one(self.pool()).await?;
        Ok(if number(&row, "is_cancelled")? == 0 { Hold::Held } else { Hold::Cancelled })
    }
}

/// Chooses the next job: the oldest of each lane, and of these the one whose turn it is. It isn't held yet.
async fn next(transaction: &mut Transaction<'static, Any>, limits: Limits, now: UnixMillis) -> Result<Option<AnyRow>, StoreError> {
    let row = sqlx::query(
        "WITH RECURSIVE lanes (lane) AS (SELECT MIN(lane) FROM jobs WHERE is_queued = 1 UNION ALL \
           SELECT (SELECT MIN(j.lane) FROM jobs j WHERE j.is_queued = 1 AND j.lane > l.lane) FROM lanes l WHERE l.lane IS NOT NULL), \
         heads AS (SELECT (SELECT j.mission FROM jobs j WHERE j.is_queued = 1 AND j.lane = l.lane \
           ORDER BY j.is_queued, j.lane, j.begun, j.mission LIMIT 1) AS mission FROM lanes l WHERE l.lane IS NOT NULL), \
         held AS (SELECT tenant, owner FROM jobs WHERE ticket IS NOT NULL AND held_until >= $1), \
         tenants AS (SELECT tenant, COUNT(*) AS running FROM held GROUP BY tenant), \
         owners AS (SELECT tenant, owner, COUNT(*) AS running FROM held GROUP BY tenant, owner) \
         SELECT j.mission, j.tenant FROM heads h JOIN jobs j ON j.mission = h.mission \
         LEFT JOIN tenants t ON t.tenant = j.tenant \
         LEFT JOIN owners o ON o.tenant = j.tenant AND o.owner = j.owner \
         LEFT JOIN turns u ON u.tenant = j.tenant \
         WHERE (SELECT COUNT(*) FROM held) < $2 AND COALESCE(t.running, 0) < $3 AND COALESCE(o.running, 0) < $4 \
         ORDER BY COALESCE(t.running, 0), COALESCE(u.number, 0), j.begun, j.mission LIMIT 1",
    )
    .bind(moment(now)?)
    .bind(i64::from(limits.total))
    .bind(i64::from(limits.tenant))
    .bind(i64::from(limits.owner))
    .fetch_optional(&mut **transaction)
    .await?;
    Ok(row)
}

fn until(now: UnixMillis, hold: Duration) -> Result<i64, StoreError> {
    stored(now.get().saturating_add(u64::try_from(hold.as_millis()).unwrap_or(u64::MAX)))
}
