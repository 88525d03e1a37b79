//! Missions that begin by themselves, at times.

use keyblind_intent::{SubjectId, TenantId, UnixMillis};
use sqlx::any::AnyRow;

use crate::database::{moment, number, optional_number, stored, text};
use crate::identifiers::random;
use crate::missions::{insert, record};
use crate::{Begun, MissionId, NewMission, ScheduleId, Store, StoreError};

/// A schedule that is to be kept.
#[derive(Clone, Debug)]
pub struct NewSchedule<'s> {
    /// Whose it is.
    pub tenant: &'s TenantId,
    /// For whom its missions begin.
    pub owner: &'s SubjectId,
    /// What people call it; one of a tenant has it.
    pub name: &'s str,
    /// The kind of its missions.
    pub kind: &'s str,
    /// What its missions are asked, as JSON.
    pub request: &'s str,
    /// The first step of its missions.
    pub step: &'s str,
    /// When, as cron writes it.
    pub cron: &'s str,
    /// In which time zone.
    pub zone: &'s str,
    /// How many milliseconds each run comes later at most; how many it is, the identifier decides.
    pub jitter: u64,
}

/// A schedule as it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ScheduleRow {
    /// Its identifier.
    pub id: ScheduleId,
    /// Whose it is.
    pub tenant: TenantId,
    /// For whom its missions begin.
    pub owner: SubjectId,
    /// What people call it.
    pub name: String,
    /// The kind of its missions.
    pub kind: String,
    /// What its missions are asked, as JSON.
    pub request: String,
    /// The first step of its missions.
    pub step: String,
    /// When, as cron writes it.
    pub cron: String,
    /// In which time zone.
    pub zone: String,
    /// How many milliseconds each run comes later than cron says.
    pub jitter: u64,
    /// Whether it rests.
    pub is_paused: bool,
    /// When it runs next.
    pub due: Option<UnixMillis>,
}

/// What became of a run that was due.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fired {
    /// A mission began.
    Begun(MissionId),
    /// The one before hasn't ended: this run is left out.
    Overlaps(MissionId),
    /// Somebody else saw to it, or it isn't due any more.
    NotDue,
}

impl ScheduleRow {
    fn of(row: &AnyRow) -> Result<Self, StoreError> {
        Ok(Self {
            id: text(row, "id")?.parse().map_err(|_| StoreError::Unexpected("a schedule's identifier"))?,
            tenant: TenantId::new(text(row, "tenant")?).map_err(|_| StoreError::Unexpected("a tenant's name"))?,
            owner: SubjectId::new(text(row, "owner")?).map_err(|_| StoreError::Unexpected("a subject's name"))?,
            name: text(row, "name")?,
            kind: text(row, "kind")?,
            request: text(row, "request")?,
            step: text(row, "step")?,
            cron: text(row, "cron")?,
            zone: text(row, "zone")?,
            jitter: number(row, "jitter")?,
            is_paused: number(row, "is_paused")? != 0,
            due: optional_number(row, "due")?.map(UnixMillis::new),
        })
    }
}

impl Store {
    /// Keeps a schedule; `due` says when it runs first, given how much later than cron says it runs.
    ///
    /// # Errors
    /// [`StoreError::NameTaken`] if the tenant has one of that name; otherwise if the database fails.
    pub async fn add_schedule(
        &self,
        schedule: &NewSchedule<'_>,
        due: impl Fn(u64) -> Option<UnixMillis> + Send,
        now: UnixMillis,
    ) -> Result<ScheduleId, StoreError> {
        let id = random()?;
        let bytes = id.as_bytes();
        let drawn = u64::from_be_bytes(std::array::from_fn(|index| bytes[index]));
        let jitter = drawn % schedule.jitter.saturating_add(1);
        let mut transaction = self.write().await?;
        let added = sqlx::query(
            "INSERT INTO schedules (id, tenant, owner, name, kind, request, step, cron, zone, jitter, begun, due) \
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12) ON CONFLICT (tenant, name) DO NOTHING",
        )
        .bind(id.to_string())
        .bind(schedule.tenant.as_str().to_owned())
        .bind(schedule.owner.as_str().to_owned())
        .bind(schedule.name.to_owned())
        .bind(schedule.kind.to_owned())
        .bind(schedule.request.to_owned())
        .bind(schedule.step.to_owned())
        .bind(schedule.cron.to_owned())
        .bind(schedule.zone.to_owned())
        .bind(stored(jitter)?)
        .bind(moment(now)?)
        .bind(due(jitter).map(moment).transpose()?)
        .execute(&mut *transaction)
        .await?;
        if added.rows_affected() == 0 {
            return Err(StoreError::NameTaken);
        }
        record(&mut transaction, schedule.tenant, schedule.owner.as_str(), "schedule added", None, now).await?;
        transaction.commit().await?;
        Ok(ScheduleId::of(id))
    }

    /// A tenant's schedules, by name.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn schedules(&self, tenant: &TenantId) -> Result<Vec<ScheduleRow>, StoreError> {
        let rows = sqlx::query("SELECT * FROM schedules WHERE tenant = $1 ORDER BY name")
            .bind(tenant.as_str().to_owned())
            .fetch_all(self.pool())
            .await?;
        rows.iter().map(ScheduleRow::of).collect()
    }

    /// Lets a schedule rest; whether there is such one.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn pause_schedule(&self, tenant: &TenantId, id: ScheduleId, who: &SubjectId, now: UnixMillis) -> Result<bool, StoreError> {
        let paused = "UPDATE schedules SET is_paused = 1 WHERE id = $1 AND tenant = $2 AND is_paused = 0";
        self.alter(paused, tenant, id, None, who, "schedule paused", now).await
    }

    /// Takes a schedule up again; whether there is such one that rests.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn resume_schedule(
        &self,
        tenant: &TenantId,
        id: ScheduleId,
        due: Option<UnixMillis>,
        who: &SubjectId,
        now: UnixMillis,
    ) -> Result<bool, StoreError> {
        let resumed = "UPDATE schedules SET is_paused = 0, due = $3 WHERE id = $1 AND tenant = $2 AND is_paused = 1";
        self.alter(resumed, tenant, id, Some(due), who, "schedule resumed", now).await
    }

    /// Takes a schedule away; its missions stay. Whether there was such one.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn remove_schedule(&self, tenant: &TenantId, id: ScheduleId, who: &SubjectId, now: UnixMillis) -> Result<bool, StoreError> {
        self.alter("DELETE FROM schedules WHERE id = $1 AND tenant = $2", tenant, id, None, who, "schedule removed", now).await
    }

    #[allow(clippy::too_many_arguments, reason = "one statement with its record")]
    async fn alter(
        &self,
        statement: &'static str,
        tenant: &TenantId,
        id: ScheduleId,
        due: Option<Option<UnixMillis>>,
        who: &SubjectId,
        what: &str,
        now: UnixMillis,
    ) -> Result<bool, StoreError> {
        let mut transaction = self.write().await?;
        let mut query = sqlx::query(statement).bind(id.to_string()).bind(tenant.as_str().to_owned());
        if let Some(due) = due {
            query = query.bind(due.map(moment).transpose()?);
        }
        let is_there = query.execute(&mut *transaction).await?.rows_affected() == 1;
        if is_there {
            record(&mut transaction, tenant, who.as_str(), what, None, now).await?;
        }
        transaction.commit().await?;
        Ok(is_there)
    }

    /// The schedules that are due, of all tenants, the longest due first.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn due_schedules(&self, now: UnixMillis, most: u32) -> Result<Vec<ScheduleRow>, StoreError> {
        let rows = sqlx::query("SELECT * FROM schedules WHERE is_paused = 0 AND due <= $1 ORDER BY due, id LIMIT $2")
            .bind(moment(now)?)
            .bind(i64::from(most))
            .fetch_all(self.pool())
            .await?;
        rows.iter().map(ScheduleRow::of).collect()
    }

    /// Begins the mission of a schedule's run that is due, unless the one before goes on, and says when the next run is: all of it once,
    /// with any number of replicas.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn fire(&self, schedule: &ScheduleRow, next: Option<UnixMillis>, now: UnixMillis) -> Result<Fired, StoreError> {
        let Some(due) = schedule.due else { return Ok(Fired::NotDue) };
        let mut transaction = self.write().await?;
        // Who changes the time first has the run; everybody else waits here, and then finds another time.
        let taken = sqlx::query("UPDATE schedules SET due = $3 WHERE id = $1 AND due = $2 AND is_paused = 0")
            .bind(schedule.id.to_string())
            .bind(moment(due)?)
            .bind(next.map(moment).transpose()?)
            .execute(&mut *transaction)
            .await?;
        if taken.rows_affected() == 0 {
            return Ok(Fired::NotDue);
        }
        let before = sqlx::query(
            "SELECT id FROM missions WHERE schedule = $1 AND state IN ('queued', 'running', 'waiting') ORDER BY begun DESC LIMIT 1",
        )
        .bind(schedule.id.to_string())
        .fetch_optional(&mut *transaction)
        .await?;
        if let Some(row) = before {
            let before: MissionId = text(&row, "id")?.parse().map_err(|_| StoreError::Unexpected("a mission's identifier"))?;
            record(&mut transaction, &schedule.tenant, "schedule", "run left out: the one before goes on", Some(before), now).await?;
            transaction.commit().await?;
            return Ok(Fired::Overlaps(before));
        }
        let key = format!("schedule {} {}", schedule.id, due.get());
        let mission = NewMission {
            tenant: &schedule.tenant,
            owner: &schedule.owner,
            kind: &schedule.kind,
            request: &schedule.request,
            step: &schedule.step,
            idempotency: Some(&key),
        };
        let begun = insert(&mut transaction, &mission, Some(schedule.id), now).await?;
        transaction.commit().await?;
        Ok(match begun {
            Begun::New(id) => Fired::Begun(id),
            Begun::Before(_) => Fired::NotDue,
        })
    }
}
