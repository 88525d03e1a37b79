//! `keyblind-server schedule …`

use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use clap::{Args, Subcommand};
use keyblind_intent::Foreign;
use keyblind_mission::{Clock, DatabaseClock, Plan, PlanError, Request, Scheduler, schedule};
use keyblind_store::{ScheduleId, ScheduleRow, Store, StoreError};

use crate::configuration::Configuration;
use crate::missions::{Refused, moment};
use crate::print;
use crate::wishes::{Target, in_words};

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Begin scans of something at times.
    Add(AddArguments),
    /// All schedules, with the time of each one's next run.
    List,
    /// Let a schedule rest.
    Pause {
        /// The schedule.
        id: ScheduleId,
    },
    /// Take a schedule up again that rests.
    Resume {
        /// The schedule.
        id: ScheduleId,
    },
    /// Take a schedule away. Its missions stay.
    Remove {
        /// The schedule.
        id: ScheduleId,
    },
}

#[derive(Debug, Args)]
pub(crate) struct AddArguments {
    /// What is scanned: a folder that the configuration allows, `github:owner/name`, or `aws:NAME`.
    target: Target,
    /// What the schedule is called.
    #[arg(long, value_name = "NAME")]
    name: String,
    /// When, as cron writes it: `30 4 * * mon-fri`.
    #[arg(long, value_name = "PLAN")]
    cron: String,
    /// In which time zone.
    #[arg(long, value_name = "ZONE", default_value = "UTC")]
    zone: String,
    /// By how many seconds runs come later at most, so that not all begin at once.
    #[arg(long, value_name = "SECONDS", default_value_t = 60)]
    jitter: u64,
}

pub(crate) async fn run(command: Command, configuration: &Configuration, store: &Store) -> anyhow::Result<ExitCode> {
    let clock: Arc<dyn Clock> = Arc::new(DatabaseClock::of(store).await?);
    let (tenant, owner) = (&configuration.tenant, &configuration.owner);
    let (id, is_there) = match command {
        Command::Add(arguments) => {
            let work = crate::runner::work(configuration, store, &clock);
            let plan = Plan {
                tenant: tenant.clone(),
                owner: owner.clone(),
                name: arguments.name,
                request: arguments.target.scan(&work)?,
                cron: arguments.cron,
                zone: arguments.zone,
                jitter: Duration::from_secs(arguments.jitter),
            };
            let id = schedule(store, &plan, clock.now()).await.map_err(|error| match error {
                PlanError::Store(error @ StoreError::NameTaken) => Refused(error.to_string()).into(),
                PlanError::Store(error) => anyhow::Error::from(error),
                error => Refused(error.to_string()).into(),
            })?;
            print(&format!("{id}\n"))?;
            return Ok(ExitCode::SUCCESS);
        }
        Command::List => {
            for schedule in store.schedules(tenant).await? {
                print(&format!("{}\n", line(&schedule)))?;
            }
            return Ok(ExitCode::SUCCESS);
        }
        Command::Pause { id } => (id, store.pause_schedule(tenant, id, owner, clock.now()).await?),
        Command::Resume { id } => (id, Scheduler::new(store.clone(), clock).resume(tenant, id, owner).await?),
        Command::Remove { id } => (id, store.remove_schedule(tenant, id, owner, clock.now()).await?),
    };
    if !is_there {
        return Err(Refused(format!("there is no schedule {id} of which that could be asked")).into());
    }
    Ok(ExitCode::SUCCESS)
}

fn line(schedule: &ScheduleRow) -> String {
    let what = serde_json::from_str::<Request>(&schedule.request).map_or_else(|_| schedule.kind.clone(), |request| in_words(&request));
    let next = match (schedule.is_paused, schedule.due) {
        (true, _) => "paused".to_owned(),
        (false, Some(due)) => moment(due.get()),
        (false, None) => "never".to_owned(),
    };
    let shown = |text: &str| Foreign::new(text).for_terminal();
    format!("{}  {next}  {} {}  {}: {}", schedule.id, schedule.cron, schedule.zone, shown(&schedule.name), shown(&what))
}
