//! `keyblind-server mission …`

use std::fmt::Write as _;
use std::io::Write as _;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use clap::{Args, Subcommand};
use keyblind_intent::{Foreign, Line};
use keyblind_mission::{Clock, DatabaseClock, Event, Request, SeverityCounts, Wish, begin};
use keyblind_store::{Cancelled, MissionId, MissionRow, MissionState, Page, Store, StoreError};

use crate::configuration::Configuration;
use crate::print;
use crate::wishes::{FixArguments, Remediate, Target, in_words};

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Begin a scan of a folder, a repository or a live account, with fixes and a report.
    Scan(ScanArguments),
    /// Propose fixes for a repository as pull requests, after people's yes.
    Fix {
        #[command(flatten)]
        fixes: FixArguments,
        #[command(flatten)]
        beginning: Beginning,
    },
    /// Make one reversible call on a live account, after people's yes; or take one back.
    Remediate {
        #[command(subcommand)]
        what: Remediate,
        #[command(flatten)]
        beginning: Beginning,
    },
    /// Look again at a finding of an earlier mission.
    Reverify {
        /// The mission that found it.
        mission: MissionId,
        /// What it is recognised by: its fingerprint in the report.
        fingerprint: Line,
        #[command(flatten)]
        beginning: Beginning,
    },
    /// The latest missions.
    List {
        /// How many.
        #[arg(long, default_value_t = 20)]
        most: u32,
    },
    /// What happened in a mission so far.
    Show {
        /// The mission.
        id: MissionId,
        /// Go on until it ends.
        #[arg(long)]
        follow: bool,
    },
    /// End a mission.
    Cancel {
        /// The mission.
        id: MissionId,
    },
    /// Print what a mission made.
    Document {
        /// The mission.
        id: MissionId,
        /// Its name.
        #[arg(default_value = "report.json")]
        name: String,
    },
    /// Print every row that is stored of a mission.
    Inspect {
        /// The mission.
        id: MissionId,
    },
}

#[derive(Debug, Args)]
pub(crate) struct ScanArguments {
    /// A folder that the configuration allows, `github:owner/name`, or `aws:NAME`.
    target: Target,
    #[command(flatten)]
    beginning: Beginning,
}

/// How a mission is begun.
#[derive(Debug, Args)]
pub(crate) struct Beginning {
    /// Wait until it ends, and show what happens.
    #[arg(long, global = true)]
    wait: bool,
    /// Who asks twice with the same key begins one mission.
    #[arg(long, global = true, value_name = "KEY")]
    idempotency_key: Option<String>,
}

/// What was asked can't be done, for a reason that whoever asked can mend.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(crate) struct Refused(pub(crate) String);

/// How often a mission that somebody follows is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(200);
/// How many characters of a long text are made visible at once: a foreign text has a greatest length.
const PART: usize = 64;
/// How many events are read at once.
const EVENTS: u32 = 500;

pub(crate) async fn run(command: Command, configuration: &Configuration, store: &Store) -> anyhow::Result<ExitCode> {
    match command {
        Command::Scan(ScanArguments { target, beginning }) => {
            let request = target.scan(&crate::runner::work(configuration, store, &own_clock(store).await?))?;
            start(request, beginning, configuration, store).await
        }
        Command::Fix { fixes, beginning } => start(fixes.request()?, beginning, configuration, store).await,
        Command::Remediate { what, beginning } => start(what.request(), beginning, configuration, store).await,
        Command::Reverify { mission, fingerprint, beginning } => {
            let row = store.mission(&configuration.tenant, mission).await?.ok_or_else(|| unknown(mission))?;
            let origin = serde_json::from_str::<Request>(&row.request).ok().and_then(|request| request.origin());
            let origin = origin.ok_or_else(|| Refused("that mission found nothing that could be looked at again".to_owned()))?;
            start(Request::Reverify { origin, fingerprint }, beginning, configuration, store).await
        }
        Command::List { most } => {
            let missions = store.missions(&configuration.tenant, Page { after: None, most }).await?;
            for mission in missions {
                print(&format!("{}\n", line(&mission)))?;
            }
            Ok(ExitCode::SUCCESS)
        }
        Command::Show { id, follow } => show(id, follow, configuration, store).await,
        Command::Cancel { id } => {
            let answer = match store.cancel(&configuration.tenant, id, &configuration.owner, own_clock(store).await?.now()).await? {
                Cancelled::Ended => "ended",
                Cancelled::Asked => "its worker ends it within seconds",
                Cancelled::TooLate => "it had ended already",
                Cancelled::Unknown => return Err(unknown(id).into()),
            };
            print(&format!("{id}: {answer}\n"))?;
            Ok(ExitCode::SUCCESS)
        }
        Command::Document { id, name } => {
            let bytes = store.document(&configuration.tenant, id, &name).await?;
            let bytes = bytes.ok_or_else(|| Refused(format!("there is no mission {id} with a document `{name}`")))?;
            std::io::stdout().write_all(&bytes)?;
            Ok(ExitCode::SUCCESS)
        }
        Command::Inspect { id } => {
            let rows = store.rows(&configuration.tenant, id).await?;
            if rows.is_empty() {
                return Err(unknown(id).into());
            }
            for row in rows {
                let mut text = format!("{}\n", row.table);
                for (column, value) in row.values {
                    let _ = writeln!(text, "  {column} = {}", visible(&value));
                }
                print(&text)?;
            }
            Ok(ExitCode::SUCCESS)
        }
    }
}

/// The clock by which missions go.
async fn own_clock(store: &Store) -> anyhow::Result<Arc<dyn Clock>> {
    Ok(Arc::new(DatabaseClock::of(store).await?))
}

async fn start(request: Request, beginning: Beginning, configuration: &Configuration, store: &Store) -> anyhow::Result<ExitCode> {
    if configuration.broker_socket.is_none() && !matches!(request, Request::ScanPath { .. }) {
        let help = "repositories and accounts are read, and changed, through a broker: set `socket` under [broker] of the configuration";
        return Err(Refused(help.to_owned()).into());
    }
    let wish =
        Wish { tenant: configuration.tenant.clone(), owner: configuration.owner.clone(), request, idempotency: beginning.idempotency_key };
    let begun = begin(store, &wish, own_clock(store).await?.now()).await;
    let id = begun.map_err(|error| match error {
        StoreError::OtherRequest => anyhow::Error::from(Refused(error.to_string())),
        error => error.into(),
    })?;
    let id = id.id();
    if beginning.wait {
        return show(id, true, configuration, store).await;
    }
    print(&format!("{id}\n"))?;
    Ok(ExitCode::SUCCESS)
}

/// Prints events, until the mission ends if somebody follows it. The code is 0 if it did what was asked.
async fn show(id: MissionId, follows: bool, configuration: &Configuration, store: &Store) -> anyhow::Result<ExitCode> {
    let mut last = 0;
    loop {
        // The state before the events: when it is an end, no event follows those that are read now.
        let mission = store.mission(&configuration.tenant, id).await?.ok_or_else(|| unknown(id))?;
        if last == 0 {
            print(&format!("{}\n", line(&mission)))?;
        }
        loop {
            let events = store.events(&configuration.tenant, id, last, EVENTS).await?;
            let Some(latest) = events.last() else { break };
            last = latest.number;
            for event in &events {
                let said = serde_json::from_str(&event.body).map_or_else(|_| event.kind.clone(), |event| words(&event));
                print(&format!("{}  {}\n", moment(event.occurred.get()), Foreign::new(&said).for_terminal()))?;
            }
        }
        if !follows || mission.state.is_end() {
            let failed = matches!(mission.state, MissionState::Failed | MissionState::Cancelled);
            return Ok(ExitCode::from(if failed { 4 } else { 0 }));
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

/// A text of others, whole: what is hidden in it is spelled out.
fn visible(text: &str) -> String {
    let characters: Vec<char> = text.chars().collect();
    characters.chunks(PART).map(|part| Foreign::new(&part.iter().collect::<String>()).for_terminal()).collect()
}

fn unknown(id: MissionId) -> Refused {
    Refused(format!("there is no mission {id}"))
}

fn line(mission: &MissionRow) -> String {
    let what = serde_json::from_str::<Request>(&mission.request).map_or_else(|_| mission.kind.clone(), |request| in_words(&request));
    let what = Foreign::new(&what).for_terminal();
    let waits = mission.waits_for.map(|wait| format!(" (waits for {})", wait.word())).unwrap_or_default();
    format!("{}  {}  {:<9}  {}  {what}{waits}", mission.id, moment(mission.begun.get()), mission.state.word(), mission.owner.as_str())
}

/// A point in time for people: RFC 3339, to the second.
pub(crate) fn moment(millis: u64) -> String {
    let time = i64::try_from(millis).ok().and_then(|millis| jiff::Timestamp::from_millisecond(millis).ok());
    time.map_or_else(|| format!("{millis} ms"), |time| format!("{time:.0}"))
}

fn words(event: &Event) -> String {
    match event {
        Event::StepBegun { step, attempt: 1 } => format!("{step} begins"),
        Event::StepBegun { step, attempt } => format!("{step} begins, attempt {attempt}"),
        Event::Said { line } => format!("scanner: {line}"),
        Event::Scanned { failed, unknown, resources, is_incomplete } => {
            let SeverityCounts { critical, high, medium, low, info } = failed;
            let rest = if *is_incomplete { "; a part of the input couldn't be read" } else { "" };
            format!(
                "{resources} resources: {critical} critical, {high} high, {medium} medium, {low} low, {info} informational; {unknown} undecided{rest}"
            )
        }
        Event::Fixed { safe, with_price, needs_input, none } => {
            format!("proven fixes: {safe} safe, {with_price} with a price, {needs_input} that need a value; {none} findings without one")
        }
        Event::Fetched { what, parts, missing: 0 } => format!("{what} was read: {parts} parts"),
        Event::Fetched { what, parts, missing } => format!("{what} was read: {parts} parts, {missing} are missing"),
        Event::ApprovalWanted { change, what, code, wanted, expires, page } => format!(
            "{wanted} wanted who say yes until {} to: {what}; compare {code}; at {}; change {change}",
            moment(*expires),
            page.as_deref().unwrap_or("the broker's own pages, or on a phone")
        ),
        Event::Approved { approved, wanted, .. } => format!("{approved} of {wanted} have said yes"),
        Event::Decided { state, said, .. } => format!("{state}: {said}"),
        Event::NothingToPropose => "there is nothing to propose".to_owned(),
        Event::Waits { waits_for, reason } => format!("waits for {waits_for}: {reason}"),
        Event::Resumed => "goes on".to_owned(),
        Event::Verified { gone, left } => format!("looked at again: {gone} findings are gone, {left} are still there"),
        Event::Reported { bytes } => format!("the report is ready ({bytes} bytes)"),
        Event::Retried { reason, after } => format!("tried again in {} s: {reason}", after.div_ceil(1_000)),
        Event::Failed { reason } => format!("failed: {reason}"),
        Event::Cancelled => "cancelled".to_owned(),
        Event::Done => "done".to_owned(),
    }
}
