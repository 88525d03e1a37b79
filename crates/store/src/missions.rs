//! Missions as rows: begun, looked at, cancelled.

use keyblind_intent::{SubjectId, TenantId, UnixMillis};
use sqlx::any::AnyRow;
use sqlx::{Any, Column as _, Row as _, Transaction};

use crate::database::{moment, number, optional_text, stored, text, time};
use crate::identifiers::random;
use crate::turns::append;
use crate::{MissionId, NewEvent, ScheduleId, Store, StoreError};

/// What a mission does at the moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum MissionState {
    /// Its next step waits for a worker.
    Queued,
    /// A worker has its step.
    Running,
    /// It waits for something outside: an approval, or the time of its next attempt.
    Waiting,
    /// It did all that was asked.
    Done,
    /// It can't go on; its last event says why.
    Failed,
    /// Somebody ended it.
    Cancelled,
}

impl MissionState {
    /// Every state.
    pub const ALL: [Self; 6] = [Self::Queued, Self::Running, Self::Waiting, Self::Done, Self::Failed, Self::Cancelled];

    /// Its word, as the database and people have it.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::Running => "running",
            Self::Waiting => "waiting",
            Self::Done => "done",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
        }
    }

    /// Whether nothing follows any more.
    #[must_use]
    pub const fn is_end(self) -> bool {
        matches!(self, Self::Done | Self::Failed | Self::Cancelled)
    }

    pub(crate) fn of(word: &str) -> Result<Self, StoreError> {
        Self::ALL.into_iter().find(|state| state.word() == word).ok_or(StoreError::Unexpected("a mission's state"))
    }
}

/// What a mission waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum WaitsFor {
    /// People's yes or no, on the broker's pages or their phones.
    Approval,
    /// Somebody who logs in, or connects an account, again.
    Reconnection,
    /// The broker, which doesn't answer.
    Broker,
    /// The effect of what was approved.
    Effect,
    /// The time of its next attempt.
    Time,
}

impl WaitsFor {
    const ALL: [Self; 5] = [Self::Approval, Self::Reconnection, Self::Broker, Self::Effect, Self::Time];

    /// Its word, as the database has it.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Approval => "approval",
            Self::Reconnection => "reconnection",
            Self::Broker => "broker",
            Self::Effect => "effect",
            Self::Time => "time",
        }
    }

    pub(crate) fn of(word: &str) -> Result<Self, StoreError> {
        Self::ALL.into_iter().find(|wait| wait.word() == word).ok_or(StoreError::Unexpected("what a mission waits for"))
    }
}

/// A mission that is to begin.
#[derive(Clone, Debug)]
pub struct NewMission<'m> {
    /// Whose it is.
    pub tenant: &'m TenantId,
    /// Who wants it.
    pub owner: &'m SubjectId,
    /// Its kind.
    pub kind: &'m str,
    /// What is asked, as JSON.
    pub request: &'m str,
    /// Its first step.
    pub step: &'m str,
    /// Who asks twice with the same key begins one mission.
    pub idempotency: Option<&'m str>,
}

/// How a wish for a mission ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Begun {
    /// It is a new one.
    New(MissionId),
    /// The same owner began it earlier, with the same key.
    Before(MissionId),
}

impl Begun {
    /// The mission, new or not.
    #[must_use]
    pub const fn id(self) -> MissionId {
        match self {
            Self::New(id) | Self::Before(id) => id,
        }
    }
}

/// A mission as it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MissionRow {
    /// Its identifier.
    pub id: MissionId,
    /// Whose it is.
    pub tenant: TenantId,
    /// Who began it.
    pub owner: SubjectId,
    /// Its kind.
    pub kind: String,
    /// What was asked, as JSON.
    pub request: String,
    /// What it does at the moment.
    pub state: MissionState,
    /// What it waits for, if it waits.
    pub waits_for: Option<WaitsFor>,
    /// The schedule that began it, if one did.
    pub schedule: Option<ScheduleId>,
    /// The step that it is at, or ended with.
    pub step: String,
    /// What its steps handed on, as JSON.
    pub checkpoint: Option<String>,
    /// Whether somebody wants it to end.
    pub is_cancelled: bool,
    /// How many events it has.
    pub events: u64,
    /// When it began.
    pub begun: UnixMillis,
    /// When it last changed.
    pub changed: UnixMillis,
}

impl MissionRow {
    pub(crate) fn of(row: &AnyRow) -> Result<Self, StoreError> {
        Ok(Self {
            id: text(row, "id")?.parse().map_err(|_| StoreError::Unexpected("a mission's identifier"))?,
            tenant: TenantId::new(text(row, "tenant")?).map_err(|_| StoreError::Unexpected("a tenant's name"))?,
            owner: SubjectId::new(text(row, "owner")?).map_err(|_| StoreError::Unexpected("a subject's name"))?,
            kind: text(row, "kind")?,
            request: text(row, "request")?,
            state: MissionState::of(&text(row, "state")?)?,
            waits_for: optional_text(row, "waits_for")?.map(|word| WaitsFor::of(&word)).transpose()?,
            schedule: optional_text(row, "schedule")?
                .map(|id| id.parse().map_err(|_| StoreError::Unexpected("a schedule's identifier")))
                .transpose()?,
            step: text(row, "step")?,
            checkpoint: optional_text(row, "checkpoint")?,
            is_cancelled: number(row, "is_cancelled")? != 0,
            events: number(row, "events")?,
            begun: time(row, "begun")?,
            changed: time(row, "changed")?,
        })
    }
}

/// Something that happened in a mission.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EventRow {
    /// Its place in the mission, from 1 without gaps.
    pub number: u64,
    /// When.
    pub occurred: UnixMillis,
    /// Its kind.
    pub kind: String,
    /// What it says, as JSON.
    pub body: String,
}

/// Who did what.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuditRow {
    /// When.
    pub occurred: UnixMillis,
    /// A subject, or the name of a part of the program.
    pub who: String,
    /// What was done.
    pub what: String,
    /// With which mission.
    pub mission: Option<MissionId>,
}

/// Which part of a long list: what comes after `after`, the newest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Page {
    /// The last one of the page before.
    pub after: Option<MissionId>,
    /// How many at most.
    pub most: u32,
}

/// How a wish to end a mission ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cancelled {
    /// It has ended.
    Ended,
    /// The worker that has its step ends it as soon as it looks.
    Asked,
    /// It had ended before.
    TooLate,
    /// This tenant has no such mission.
    Unknown,
}

/// A row as it is stored, for people who want to see all of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredRow {
    /// The table.
    pub table: &'static str,
    /// Each column with its value; bytes as text where they are UTF-8.
    pub values: Vec<(String, String)>,
}

impl Store {
    /// Begins a mission: its row, its first event, its first job and the audit's row together.
    ///
    /// # Errors
    /// [`StoreError::OtherRequest`] if the key stands for another request; otherwise if the database fails.
    pub async fn begin(&self, mission: &NewMission<'_>, now: UnixMillis) -> Result<Begun, StoreError> {
        let mut transaction = self.write().await?;
        let begun = insert(&mut transaction, mission, None, now).await?;
        transaction.commit().await?;
        Ok(begun)
    }

    /// A tenant's mission.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn mission(&self, tenant: &TenantId, id: MissionId) -> Result<Option<MissionRow>, StoreError> {
        let row = sqlx::query("SELECT * FROM missions WHERE id = $1 AND tenant = $2")
            .bind(id.to_string())
            .bind(tenant.as_str().to_owned())
            .fetch_optional(self.pool())
            .await?;
        row.as_ref().map(MissionRow::of).transpose()
    }

    /// A tenant's missions, the newest first.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn missions(&self, tenant: &TenantId, page: Page) -> Result<Vec<MissionRow>, StoreError> {
        let rows = match page.after {
            None => {
                sqlx::query("SELECT * FROM missions WHERE tenant = $1 ORDER BY begun DESC, id DESC LIMIT $2")
                    .bind(tenant.as_str().to_owned())
                    .bind(i64::from(page.most))
                    .fetch_all(self.pool())
                    .await?
            }
            Some(after) => {
                sqlx::query(
                    "SELECT m.* FROM missions m JOIN missions a ON a.id = $2 AND a.tenant = $1 WHERE m.tenant = $1 \
                     AND (m.begun < a.begun OR (m.begun = a.begun AND m.id < a.id)) ORDER BY m.begun DESC, m.id DESC LIMIT $3",
                )
                .bind(tenant.as_str().to_owned())
                .bind(after.to_string())
                .bind(i64::from(page.most))
                .fetch_all(self.pool())
                .await?
            }
        };
        rows.iter().map(MissionRow::of).collect()
    }

    /// A mission's events after a number, in order.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn events(&self, tenant: &TenantId, id: MissionId, after: u64, most: u32) -> Result<Vec<EventRow>, StoreError> {
        let rows = sqlx::query(
            "SELECT e.* FROM mission_events e JOIN missions m ON m.id = e.mission WHERE m.tenant = $1 AND e.mission = $2 AND e.number > $3 \
             ORDER BY e.number LIMIT $4",
        )
        .bind(tenant.as_str().to_owned())
        .bind(id.to_string())
        .bind(stored(after)?)
        .bind(i64::from(most))
        .fetch_all(self.pool())
        .await?;
        let event = |row: &AnyRow| {
            Ok(EventRow {
                number: number(row, "number")?,
                occurred: time(row, "occurred")?,
                kind: text(row, "kind")?,
                body: text(row, "body")?,
            })
        };
        rows.iter().map(event).collect()
    }

    /// What a mission made under a name.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn document(&self, tenant: &TenantId, id: MissionId, name: &str) -> Result<Option<Vec<u8>>, StoreError> {
        let row = sqlx::query(
            "SELECT d.bytes FROM documents d JOIN missions m ON m.id = d.mission WHERE m.tenant = $1 AND d.mission = $2 AND d.name = $3",
        )
        .bind(tenant.as_str().to_owned())
        .bind(id.to_string())
        .bind(name.to_owned())
        .fetch_optional(self.pool())
        .await?;
        Ok(row.map(|row| row.try_get("bytes")).transpose()?)
    }

    /// Ends a mission: at once where no worker has its step, otherwise as soon as the worker looks.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn cancel(&self, tenant: &TenantId, id: MissionId, who: &SubjectId, now: UnixMillis) -> Result<Cancelled, StoreError> {
        let mut transaction = self.write().await?;
        let marked = sqlx::query(
            "UPDATE missions SET is_cancelled = 1 WHERE id = $1 AND tenant = $2 AND is_cancelled = 0 AND state IN ('queued', 'running', 'waiting')",
        )
        .bind(id.to_string())
        .bind(tenant.as_str().to_owned())
        .execute(&mut *transaction)
        .await?
        .rows_affected();
        let row = sqlx::query("SELECT state FROM missions WHERE id = $1 AND tenant = $2")
            .bind(id.to_string())
            .bind(tenant.as_str().to_owned())
            .fetch_optional(&mut *transaction)
            .await?;
        let Some(row) = row else { return Ok(Cancelled::Unknown) };
        if MissionState::of(&text(&row, "state")?)?.is_end() {
            return Ok(Cancelled::TooLate);
        }
        if marked == 1 {
            record(&mut transaction, tenant, who.as_str(), "mission cancelled", Some(id), now).await?;
        }
        let removed = sqlx::query("DELETE FROM jobs WHERE mission = $1 AND (ticket IS NULL OR held_until < $2)")
            .bind(id.to_string())
            .bind(moment(now)?)
            .execute(&mut *transaction)
            .await?
            .rows_affected();
        let answer = if removed == 1 {
            append(&mut transaction, id, &[NewEvent::cancelled()], now).await?;
            sqlx::query("UPDATE missions SET state = 'cancelled', waits_for = NULL, changed = $2 WHERE id = $1")
                .bind(id.to_string())
                .bind(moment(now)?)
                .execute(&mut *transaction)
                .await?;
            Cancelled::Ended
        } else {
            Cancelled::Asked
        };
        transaction.commit().await?;
        Ok(answer)
    }

    /// A tenant's audit, the newest first.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn audit(&self, tenant: &TenantId, most: u32) -> Result<Vec<AuditRow>, StoreError> {
        let rows = sqlx::query("SELECT * FROM audit WHERE tenant = $1 ORDER BY occurred DESC, id DESC LIMIT $2")
            .bind(tenant.as_str().to_owned())
            .bind(i64::from(most))
            .fetch_all(self.pool())
            .await?;
        let entry = |row: &AnyRow| {
            let mission = optional_text(row, "mission")?.map(|id| id.parse()).transpose();
            Ok(AuditRow {
                occurred: time(row, "occurred")?,
                who: text(row, "who")?,
                what: text(row, "what")?,
                mission: mission.map_err(|_| StoreError::Unexpected("a mission's identifier"))?,
            })
        };
        rows.iter().map(entry).collect()
    }

    /// Every row that is stored of a mission, in every table.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn rows(&self, tenant: &TenantId, id: MissionId) -> Result<Vec<StoredRow>, StoreError> {
        // Each statement asks for the mission's own rows, and for none of another tenant's.
        let tables: [(&str, &str); 5] = [
            ("missions", "SELECT * FROM missions t WHERE t.id = $1 AND t.tenant = $2"),
            (
                "mission_events",
                "SELECT t.* FROM mission_events t JOIN missions m ON m.id = t.mission WHERE m.id = $1 AND m.tenant = $2 ORDER BY t.number",
            ),
            ("jobs", "SELECT * FROM jobs t WHERE t.mission = $1 AND t.tenant = $2"),
            ("audit", "SELECT * FROM audit t WHERE t.mission = $1 AND t.tenant = $2 ORDER BY t.occurred, t.id"),
            (
                "documents",
                "SELECT t.* FROM documents t JOIN missions m ON m.id = t.mission WHERE m.id = $1 AND m.tenant = $2 ORDER BY t.name",
            ),
        ];
        let mut all = Vec::new();
        for (table, statement) in tables {
            let rows = sqlx::query(statement).bind(id.to_string()).bind(tenant.as_str().to_owned()).fetch_all(self.pool()).await?;
            for row in &rows {
                let values = row.columns().iter().map(|column| Ok((column.name().to_owned(), shown(row, column.ordinal())?)));
                all.push(StoredRow { table, values: values.collect::<Result<_, StoreError>>()? });
            }
        }
        Ok(all)
    }
}

/// A value for people's eyes.
fn shown(row: &AnyRow, column: usize) -> Result<String, StoreError> {
    if let Ok(text) = row.try_get::<Option<String>, _>(column) {
        return Ok(text.unwrap_or_else(|| "-".to_owned()));
    }
    if let Ok(number) = row.try_get::<i64, _>(column) {
        return Ok(number.to_string());
    }
    let bytes: Vec<u8> = row.try_get(column)?;
    Ok(String::from_utf8(bytes).unwrap_or_else(|error| format!("{} bytes that aren't UTF-8", error.as_bytes().len())))
}

/// Writes a row of the audit.
pub(crate) async fn record(
    transaction: &mut Transaction<'static, Any>,
    tenant: &TenantId,
    who: &str,
    what: &str,
    mission: Option<MissionId>,
    now: UnixMillis,
) -> Result<(), StoreError> {
    sqlx::query("INSERT INTO audit (id, tenant, occurred, who, what, mission) VALUES ($1, $2, $3, $4, $5, $6)")
        .bind(random()?.to_string())
        .bind(tenant.as_str().to_owned())
        .bind(moment(now)?)
        .bind(who.to_owned())
        .bind(what.to_owned())
        .bind(mission.map(|id| id.to_string()))
        .execute(&mut **transaction)
        .await?;
    Ok(())
}

/// The lane of a tenant's owner. No tenant has a `/` in its name.
pub(crate) fn lane(tenant: &str, owner: &str) -> String {
    format!("{tenant}/{owner}")
}

/// Begins a mission within a transaction.
pub(crate) async fn insert(
    transaction: &mut Transaction<'static, Any>,
    mission: &NewMission<'_>,
    schedule: Option<ScheduleId>,
    now: UnixMillis,
) -> Result<Begun, StoreError> {
    let id = MissionId::random()?;
    // A concurrent transaction with the same key waits here for the other one's end.
    let inserted = sqlx::query(
        "INSERT INTO missions (id, tenant, owner, kind, request, state, step, idempotency, begun, changed, schedule) \
         VALUES ($1, $2, $3, $4, $5, 'queued', $6, $7, $8, $8, $9) ON CONFLICT (tenant, owner, idempotency) DO NOTHING",
    )
    .bind(id.to_string())
    .bind(mission.tenant.as_str().to_owned())
    .bind(mission.owner.as_str().to_owned())
    .bind(mission.kind.to_owned())
    .bind(mission.request.to_owned())
    .bind(mission.step.to_owned())
    .bind(mission.idempotency.map(str::to_owned))
    .bind(moment(now)?)
    .bind(schedule.map(|schedule| schedule.to_string()))
    .execute(&mut **transaction)
    .await?;
    if inserted.rows_affected() == 0 {
        let row = sqlx::query("SELECT id, request FROM missions WHERE tenant = $1 AND owner = $2 AND idempotency = $3")
            .bind(mission.tenant.as_str().to_owned())
            .bind(mission.owner.as_str().to_owned())
            .bind(mission.idempotency.map(str::to_owned))
            .fetch_one(&mut **transaction)
            .await?;
        if text(&row, "request")? != mission.request {
            return Err(StoreError::OtherRequest);
        }
        let id = text(&row, "id")?.parse().map_err(|_| StoreError::Unexpected("a mission's identifier"))?;
        return Ok(Begun::Before(id));
    }
    sqlx::query(
        "INSERT INTO jobs (mission, tenant, owner, step, attempt, begun, ready, lane, is_queued, wakes) \
     VALUES ($1, $2, $3, $4, 0, $5, $5, $6, 1, $5)",
    )
    .bind(id.to_string())
    .bind(mission.tenant.as_str().to_owned())
    .bind(mission.owner.as_str().to_owned())
    .bind(mission.step.to_owned())
    .bind(moment(now)?)
    .bind(lane(mission.tenant.as_str(), mission.owner.as_str()))
    .execute(&mut **transaction)
    .await?;
    append(transaction, id, &[NewEvent { kind: "begun", body: mission.request.to_owned() }], now).await?;
    record(transaction, mission.tenant, mission.owner.as_str(), "mission begun", Some(id), now).await?;
    Ok(Begun::New(id))
}
