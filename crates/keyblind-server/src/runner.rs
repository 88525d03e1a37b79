//! `keyblind-server runner`

use std::process::ExitCode;
use std::sync::Arc;

use anyhow::Context as _;
use keyblind_mission::{Clock, DatabaseClock, LeafWork, Patience, Runner, Scheduler, SocketBroker, Who};
use keyblind_store::Store;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;

use crate::configuration::Configuration;
use crate::say;

/// The work of this configuration's missions.
pub(crate) fn work(configuration: &Configuration, store: &Store, clock: &Arc<dyn Clock>) -> LeafWork {
    let work = LeafWork::new(configuration.leaf.clone(), configuration.allowed.clone(), Arc::clone(clock));
    let Some(socket) = &configuration.broker_socket else { return work };
    let own = Who { tenant: configuration.tenant.clone(), subject: configuration.owner.clone() };
    work.with_broker(Arc::new(SocketBroker::new(socket.clone(), store.clone(), own, Arc::clone(clock))))
}

/// Works until SIGTERM or SIGINT.
pub(crate) async fn run(configuration: &Configuration, store: &Store) -> anyhow::Result<ExitCode> {
    let clock: Arc<dyn Clock> = Arc::new(DatabaseClock::of(store).await.context("the database doesn't tell the time")?);
    let work = work(configuration, store, &clock);
    let name = format!("runner {}", std::process::id());
    let runner = Runner::new(store.clone(), work, Arc::clone(&clock), configuration.limits, Patience::default(), name);
    let mut terminated = signal(SignalKind::terminate()).context("signals can't be listened to")?;
    let mut interrupted = signal(SignalKind::interrupt()).context("signals can't be listened to")?;
    let (close, closing) = watch::channel(false);
    let complain = |error: &keyblind_store::StoreError| say(format_args!("error: {error}; it is asked again"));
    let scheduling = tokio::spawn(Scheduler::new(store.clone(), clock).run(closing.clone(), complain));
    let working = tokio::spawn(runner.run(configuration.workers, closing, complain));
    say("ready");
    tokio::select! {
        _ = terminated.recv() => {}
        _ = interrupted.recv() => {}
    }
    say("ending: each worker ends the step that it is at");
    let _ = close.send(true);
    scheduling.await.context("the scheduler failed")?;
    working.await.context("a worker failed")?;
    Ok(ExitCode::SUCCESS)
}
