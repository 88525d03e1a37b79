//! What a worker did with a step, committed as one: events, documents, the checkpoint, the next job, the audit's row.

use keyblind_intent::{TenantId, UnixMillis};
use sqlx::any::AnyRow;
use sqlx::{Any, Transaction};

use crate::database::{moment, number, stored, text};
use crate::missions::{lane, record};
use crate::{MissionId, MissionState, Store, StoreError, Ticket, WaitsFor};

/// Something that happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewEvent {
    /// Its kind.
    pub kind: &'static str,
    /// What it says, as JSON.
    pub body: String,
}

impl NewEvent {
    /// The last event of a mission that somebody ended.
    pub(crate) fn cancelled() -> Self {
        Self { kind: "cancelled", body: r#"{"event":"cancelled"}"#.to_owned() }
    }
}

/// Something that a mission made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Document {
    /// Its name in the mission; one of the same name is replaced.
    pub name: &'static str,
    /// The digest of its bytes.
    pub digest: String,
    /// Its bytes.
    pub bytes: Vec<u8>,
}

/// What follows a step.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Next {
    /// Another step, or the same one again, not before a time.
    Step {
        /// Which.
        step: &'static str,
        /// From when on.
        ready: UnixMillis,
        /// How often it was tried already.
        attempt: u32,
        /// What it waits for until then, if it waits.
        waits_for: Option<WaitsFor>,
    },
    /// Nothing: [`MissionState::Done`], [`MissionState::Failed`] or [`MissionState::Cancelled`].
    End(MissionState),
}

/// What a worker did with a step.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Turn {
    /// What happened, in order.
    pub events: Vec<NewEvent>,
    /// What was made.
    pub documents: Vec<Document>,
    /// What the next step is given, as JSON; nothing leaves the last one standing.
    pub checkpoint: Option<String>,
    /// What the audit says; nothing where nothing changed.
    pub audit: Option<String>,
    /// What follows.
    pub next: Next,
}

impl Store {
    /// Commits what was done with a step: all of it, or nothing.
    ///
    /// # Errors
    /// [`StoreError::Lost`] if the job's time is over or it was taken over: then nothing of the turn counts. Otherwise if the database fails.
    pub async fn commit(&self, ticket: &Ticket, turn: &Turn, holder: &str, now: UnixMillis) -> Result<(), StoreError> {
        let mut transaction = self.write().await?;
        let mission = ticket.mission();
        let row = append(&mut transaction, mission, &turn.events, now).await?;
        let removed = sqlx::query("DELETE FROM jobs WHERE mission = $1 AND ticket = $2 AND held_until >= $3")
            .bind(mission.to_string())
            .bind(ticket.value.clone())
            .bind(moment(now)?)
            .execute(&mut *transaction)
            .await?
            .rows_affected();
        if removed == 0 {
            return Err(StoreError::Lost);
        }
        let (tenant, owner, step) = (text(&row, "tenant")?, text(&row, "owner")?, text(&row, "step")?);
        for document in &turn.documents {
            sqlx::query(
                "INSERT INTO documents (mission, name, digest, bytes) VALUES ($1, $2, $3, $4) \
                 ON CONFLICT (mission, name) DO UPDATE SET digest = excluded.digest, bytes = excluded.bytes",
            )
            .bind(mission.to_string())
            .bind(document.name.to_owned())
            .bind(document.digest.clone())
            .bind(document.bytes.clone())
            .execute(&mut *transaction)
            .await?;
        }
        // Somebody may have ended the mission since its worker last heard of it: what was done stays, and nothing follows.
        let is_ended = number(&row, "is_cancelled")? != 0 && matches!(turn.next, Next::Step { .. });
        if is_ended {
            append(&mut transaction, mission, &[NewEvent::cancelled()], now).await?;
        }
        let next = if is_ended { &Next::End(MissionState::Cancelled) } else { &turn.next };
        let (state, waits_for, step) = match next {
            Next::Step { step, waits_for: Some(wait), .. } => (MissionState::Waiting, Some(*wait), (*step).to_owned()),
            Next::Step { step, .. } => (MissionState::Queued, None, (*step).to_owned()),
            Next::End(state) => (*state, None, step),
        };
        sqlx::query(
            "UPDATE missions SET state = $2, step = $3, checkpoint = COALESCE($4, checkpoint), changed = $5, waits_for = $6 WHERE id = $1",
        )
        .bind(mission.to_string())
        .bind(state.word().to_owned())
        .bind(step)
        .bind(turn.checkpoint.clone())
        .bind(moment(now)?)
        .bind(waits_for.map(|wait| wait.word().to_owned()))
        .execute(&mut *transaction)
        .await?;
        if let Next::Step { step, ready, attempt, .. } = next {
            sqlx::query(
                "INSERT INTO jobs (mission, tenant, owner, step, attempt, begun, ready, lane, is_queued, wakes) \
                 VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $7)",
            )
            .bind(mission.to_string())
            .bind(tenant.clone())
            .bind(owner.clone())
            .bind((*step).to_owned())
            .bind(i64::from(*attempt))
            .bind(stored(number(&row, "begun")?)?)
            .bind(moment(*ready)?)
            .bind(lane(&tenant, &owner))
            .bind(i64::from(*ready <= now))
            .execute(&mut *transaction)
            .await?;
        }
        let tenant = TenantId::new(tenant).map_err(|_| StoreError::Unexpected("a tenant's name"))?;
        if let Some(audit) = &turn.audit {
            record(&mut transaction, &tenant, holder, audit, Some(mission), now).await?;
        }
        transaction.commit().await?;
        Ok(())
    }

    /// Writes down what happens while a step runs.
    ///
    /// # Errors
    /// [`StoreError::Lost`] if the job's time is over or it was taken over. Otherwise if the database fails.
    pub async fn tell(&self, ticket: &Ticket, events: &[NewEvent], now: UnixMillis) -> Result<(), StoreError> {
        let mut transaction = self.write().await?;
        append(&mut transaction, ticket.mission, events, now).await?;
        let held = sqlx::query("UPDATE jobs SET ticket = ticket WHERE mission = $1 AND ticket = $2 AND held_until >= $3")
            .bind(ticket.mission.to_string())
            .bind(ticket.value.clone())
            .bind(moment(now)?)
            .execute(&mut *transaction)
            .await?
            .rows_affected();
        if held == 0 {
            return Err(StoreError::Lost);
        }
        transaction.commit().await?;
        Ok(())
    }
}

/// Appends events, and gives the mission's row, which is held until the transaction ends. Everybody takes that row before the mission's
/// job, so that no two wait for each other.
pub(crate) async fn append(
    transaction: &mut Transaction<'static, Any>,
    mission: MissionId,
    events: &[NewEvent],
    now: UnixMillis,
) -> Result<AnyRow, StoreError> {
    let count = u64::try_from(events.len()).unwrap_or(u64::MAX);
    let row = sqlx::query("UPDATE missions SET events = events + $2, changed = $3 WHERE id = $1 RETURNING *")
        .bind(mission.to_string())
        .bind(stored(count)?)
        .bind(moment(now)?)
        .fetch_one(&mut **transaction)
        .await?;
    let first = number(&row, "events")?.saturating_sub(count);
    for (event, number) in events.iter().zip(first + 1..) {
        sqlx::query("INSERT INTO mission_events (mission, number, occurred, kind, body) VALUES ($1, $2, $3, $4, $5)")
            .bind(mission.to_string())
            .bind(stored(number)?)
            .bind(moment(now)?)
            .bind(event.kind.to_owned())
            .bind(event.body.clone())
            .execute(&mut **transaction)
            .await?;
    }
    Ok(row)
}
