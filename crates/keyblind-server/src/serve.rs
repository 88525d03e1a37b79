//! `keyblind-server serve`, `web` and `link`

use std::path::{Path, PathBuf};
use std::process::{ExitCode, Stdio};
use std::sync::Arc;

use anyhow::Context as _;
use keyblind_mission::{Clock, DatabaseClock, Patience, Runner, Scheduler, SystemClock};
use keyblind_store::{Store, StoreError};
use keyblind_web::{Logins, Settings, Web, login_link};
use tokio::net::TcpListener;
use tokio::process::{Child, Command};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;

use crate::configuration::{Configuration, own_folder};
use crate::logins::BrokerLogins;
use crate::{example, print, runner, say};

/// Serves the pages, and does missions' steps, in one process.
pub(crate) async fn all(configuration: &mut Configuration, store: &Store) -> anyhow::Result<ExitCode> {
    // It is ours, and whoever may begin missions may scan it. Where the runner is another process, it would know nothing of it.
    let shop = example::write(&own_folder()?)?;
    configuration.allowed.push(shop.clone());
    let mut broker = configuration.broker.as_deref().map(start_broker).transpose()?;
    let clock: Arc<dyn Clock> = Arc::new(DatabaseClock::of(store).await.context("the database doesn't tell the time")?);
    let mut tier = Tier::open(configuration, store, Some(shop), &clock).await?;
    let work = runner::work(configuration, store, &clock);
    let name = format!("serve {}", std::process::id());
    let runner = Runner::new(store.clone(), work, Arc::clone(&clock), configuration.limits, Patience::default(), name);
    let complain = |error: &StoreError| say(format_args!("error: {error}; it is asked again"));
    let scheduling = tokio::spawn(Scheduler::new(store.clone(), clock).run(tier.closing.clone(), complain));
    let working = tokio::spawn(runner.run(configuration.workers, tier.closing.clone(), complain));
    let link = login_link(store, &configuration.web.origin, (&configuration.tenant, &configuration.owner), SystemClock.now()).await?;
    print(&format!(
        "Keyblind is at {}\n\nThis link logs you in once, within fifteen minutes:\n\n  {link}\n\nCtrl-C ends it. Another link: keyblind-server link\n",
        configuration.web.origin
    ))?;
    let gone = async {
        match &mut broker {
            Some(broker) => broker.wait().await.map_err(anyhow::Error::from),
            None => std::future::pending().await,
        }
    };
    let mut ended = Ok(());
    tokio::select! {
        told = tier.until_told() => told?,
        status = gone => ended = Err(anyhow::anyhow!("the broker ended with {}: its messages say why", status?)),
    }
    tier.end().await?;
    scheduling.await.context("the scheduler failed")?;
    working.await.context("a worker failed")?;
    if let Some(mut broker) = broker.filter(|_| ended.is_ok()) {
        end_broker(&mut broker).await?;
    }
    ended.map(|()| ExitCode::SUCCESS)
}

/// Starts the broker that lies beside this program, as a process of its own.
fn start_broker(configuration: &Path) -> anyhow::Result<Child> {
    let program = std::env::current_exe().context("where this program lies can't be told")?.with_file_name("keyblind-broker");
    let mut command = Command::new(&program);
    // It ends its own work when this process says so, and not with the terminal's Ctrl-C.
    command.arg("--config").arg(configuration).arg("run").stdin(Stdio::null()).process_group(0).kill_on_drop(true);
    command.spawn().with_context(|| format!("`{}` can't be started", program.display()))
}

async fn end_broker(broker: &mut Child) -> anyhow::Result<()> {
    let process = broker.id().and_then(|id| i32::try_from(id).ok()).and_then(rustix::process::Pid::from_raw);
    if let Some(process) = process {
        rustix::process::kill_process(process, rustix::process::Signal::TERM).context("the broker can't be told to end")?;
    }
    broker.wait().await.context("the broker can't be waited for")?;
    Ok(())
}

/// Serves the pages.
pub(crate) async fn web(configuration: &Configuration, store: &Store) -> anyhow::Result<ExitCode> {
    let clock: Arc<dyn Clock> = Arc::new(DatabaseClock::of(store).await.context("the database doesn't tell the time")?);
    let mut tier = Tier::open(configuration, store, None, &clock).await?;
    say("ready");
    tier.until_told().await?;
    tier.end().await?;
    Ok(ExitCode::SUCCESS)
}

/// Prints a link that logs in once.
pub(crate) async fn link(configuration: &Configuration, store: &Store) -> anyhow::Result<ExitCode> {
    let link = login_link(store, &configuration.web.origin, (&configuration.tenant, &configuration.owner), SystemClock.now()).await?;
    print(&format!("{link}\n"))?;
    Ok(ExitCode::SUCCESS)
}

/// The web tier while it serves.
struct Tier {
    close: watch::Sender<bool>,
    closing: watch::Receiver<bool>,
    serving: tokio::task::JoinHandle<std::io::Result<()>>,
}

impl Tier {
    async fn open(configuration: &Configuration, store: &Store, example: Option<PathBuf>, clock: &Arc<dyn Clock>) -> anyhow::Result<Self> {
        let told = &configuration.web;
        let settings = Settings {
            origin: told.origin.clone(),
            door: told.door.as_ref().map(ToString::to_string),
            local: (configuration.tenant.clone(), configuration.owner.clone()),
            roles: told.roles.clone(),
            rates: told.rates,
            idle: told.idle,
            longest: told.longest,
            address_header: told.address_header.clone(),
            example,
            allowed: configuration.allowed.clone(),
            scanner: configuration.leaf.program.clone(),
        };
        let listener = TcpListener::bind(told.listen).await.with_context(|| format!("{} can't be listened on", told.listen))?;
        let (close, closing) = watch::channel(false);
        let socket = configuration.broker_socket.clone().filter(|_| told.door.is_some());
        let logins = socket.map(|socket| Arc::new(BrokerLogins::new(socket)) as Arc<dyn Logins>);
        let work = runner::work(configuration, store, clock);
        let web = Web::new(store.clone(), settings, work, Arc::clone(clock), closing.clone(), logins);
        let serving = tokio::spawn(keyblind_web::serve(web, listener, closing.clone()));
        Ok(Self { close, closing, serving })
    }

    /// Waits for SIGTERM or SIGINT.
    async fn until_told(&mut self) -> anyhow::Result<()> {
        let mut terminated = signal(SignalKind::terminate()).context("signals can't be listened to")?;
        let mut interrupted = signal(SignalKind::interrupt()).context("signals can't be listened to")?;
        tokio::select! {
            _ = terminated.recv() => {}
            _ = interrupted.recv() => {}
            served = &mut self.serving => served.context("the pages can't be served any more")??,
        }
        Ok(())
    }

    /// Ends what is under way.
    async fn end(mut self) -> anyhow::Result<()> {
        say("ending: answers and steps that are under way come to their end");
        let _ = self.close.send(true);
        if !self.serving.is_finished() {
            (&mut self.serving).await.context("the pages failed")??;
        }
        Ok(())
    }
}
