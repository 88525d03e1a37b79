//! Missions that begin by themselves, at times.
//!
//! Each run begins once, with any number of schedulers on one database. A run that was missed, as nothing ran here, is made up for once,
//! however many were missed. A run that comes while the one before goes on is left out. Runs of different schedules are apart by a time
//! that the schedule's identifier decides, always the same.

use std::sync::Arc;
use std::time::Duration;

use keyblind_intent::{SubjectId, TenantId, UnixMillis};
use keyblind_store::{Fired, NewSchedule, ScheduleId, ScheduleRow, Store, StoreError};
use tokio::sync::watch;

use crate::cron::{Cron, CronError};
use crate::request::{first, written};
use crate::{Clock, Request};

/// How often what is due is looked for.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// Schedules that are seen to at once.
const MOST: u32 = 100;
/// The longest name.
const LONGEST_NAME: usize = 100;
/// The most by which runs are apart.
const MOST_JITTER: Duration = Duration::from_secs(3_600);

/// A schedule that is wanted.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Whose it is.
    pub tenant: TenantId,
    /// For whom its missions begin.
    pub owner: SubjectId,
    /// What people call it.
    pub name: String,
    /// What its missions are asked.
    pub request: Request,
    /// When, as cron writes it.
    pub cron: String,
    /// In which time zone.
    pub zone: String,
    /// By how much runs come later at most.
    pub jitter: Duration,
}

/// Why there is no such schedule.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PlanError {
    /// The plan or the zone isn't one.
    #[error(transparent)]
    Cron(#[from] CronError),
    /// The plan has no time.
    #[error("there is no such time in the next nine years")]
    Never,
    /// The name can't be one.
    #[error("a schedule's name has 1 to {LONGEST_NAME} characters, none of them hidden")]
    Name,
    /// Runs would be too far apart.
    #[error("runs are apart by an hour at most")]
    Jitter,
    /// The database refuses.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// When a schedule runs next after a time, as much later than its plan says as is its own.
fn next(cron: &str, zone: &str, jitter: u64, after: UnixMillis) -> Result<Option<UnixMillis>, CronError> {
    let (cron, zone): (Cron, _) = (cron.parse()?, Cron::zone(zone)?);
    // A run that is late by its own time belongs to a time of the plan that is over.
    let before = UnixMillis::new(after.get().saturating_sub(jitter));
    Ok(cron.next(before, &zone).map(|at| UnixMillis::new(at.get().saturating_add(jitter))))
}

/// Keeps a schedule.
///
/// # Errors
/// What is wrong with it, or if the database fails.
pub async fn schedule(store: &Store, plan: &Plan, now: UnixMillis) -> Result<ScheduleId, PlanError> {
    let is_name = (1..=LONGEST_NAME).contains(&plan.name.chars().count()) && !plan.name.chars().any(keyblind_intent::is_hidden);
    if !is_name || plan.name.trim().is_empty() {
        return Err(PlanError::Name);
    }
    if plan.jitter > MOST_JITTER {
        return Err(PlanError::Jitter);
    }
    next(&plan.cron, &plan.zone, 0, now)?.ok_or(PlanError::Never)?;
    let request = written(&plan.request)?;
    let schedule = NewSchedule {
        tenant: &plan.tenant,
        owner: &plan.owner,
        name: &plan.name,
        kind: plan.request.kind(),
        request: &request,
        step: first(&plan.request),
        cron: &plan.cron,
        zone: &plan.zone,
        jitter: u64::try_from(plan.jitter.as_millis()).unwrap_or(u64::MAX),
    };
    let due = |jitter| next(&plan.cron, &plan.zone, jitter, now).ok().flatten();
    Ok(store.add_schedule(&schedule, due, now).await?)
}

/// Begins what is due.
#[derive(Clone)]
pub struct Scheduler {
    store: Store,
    clock: Arc<dyn Clock>,
}

impl Scheduler {
    /// On this database, by this clock.
    #[must_use]
    pub const fn new(store: Store, clock: Arc<dyn Clock>) -> Self {
        Self { store, clock }
    }

    /// Works until `closing` changes; `complain` hears of what the database refuses, once until it answers again.
    pub async fn run(self, mut closing: watch::Receiver<bool>, complain: fn(&StoreError)) {
        let mut is_failing = false;
        while !*closing.borrow() {
            let answer = self.look().await;
            match &answer {
                Err(error) if !is_failing => complain(error),
                _ => {}
            }
            is_failing = answer.is_err();
            tokio::select! {
                () = tokio::time::sleep(LOOK_EVERY) => {}
                _ = closing.wait_for(|closes| *closes) => {}
            }
        }
    }

    /// Begins what is due now; gives what became of each run that was this scheduler's.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn look(&self) -> Result<Vec<(ScheduleId, Fired)>, StoreError> {
        let now = self.clock.now();
        let mut fired = Vec::new();
        for schedule in self.store.due_schedules(now, MOST).await? {
            let outcome = self.store.fire(&schedule, after(&schedule, now), now).await?;
            if outcome != Fired::NotDue {
                fired.push((schedule.id, outcome));
            }
        }
        Ok(fired)
    }

    /// Takes a schedule up again that rested: what it missed meanwhile isn't made up for. Whether there is such one.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn resume(&self, tenant: &TenantId, id: ScheduleId, who: &SubjectId) -> Result<bool, StoreError> {
        let now = self.clock.now();
        let Some(schedule) = self.store.schedules(tenant).await?.into_iter().find(|schedule| schedule.id == id) else { return Ok(false) };
        self.store.resume_schedule(tenant, id, after(&schedule, now), who, now).await
    }
}

/// When it runs next. What was a plan when it was kept is one still, unless a zone was taken out of the database of zones: then it rests.
fn after(schedule: &ScheduleRow, now: UnixMillis) -> Option<UnixMillis> {
    next(&schedule.cron, &schedule.zone, schedule.jitter, now).ok().flatten()
}
