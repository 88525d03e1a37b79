//! `keyblind-server runner`

use std::process::ExitCode;
use std::sync::Arc;

use anyhow::Context as _;
use keyblind_mission::{LeafWork, Patience, Runner, SystemClock};
use keyblind_store::Store;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;

use crate::configuration::Configuration;
use crate::say;

/// Works until SIGTERM or SIGINT.
pub(crate) async fn run(configuration: &Configuration, store: &Store) -> anyhow::Result<ExitCode> {
    let work = LeafWork::new(configuration.leaf.clone(), configuration.allowed.clone());
    let name = format!("runner {}", std::process::id());
    let runner = Runner::new(store.clone(), work, Arc::new(SystemClock), configuration.limits, Patience::default(), name);
    let mut terminated = signal(SignalKind::terminate()).context("signals can't be listened to")?;
    let mut interrupted = signal(SignalKind::interrupt()).context("signals can't be listened to")?;
    let (close, closing) = watch::channel(false);
    let working = tokio::spawn(runner.run(configuration.workers, closing, |error| say(format_args!("error: {error}; it is asked again"))));
    say("ready");
    tokio::select! {
        _ = terminated.recv() => {}
        _ = interrupted.recv() => {}
    }
    say("ending: each worker ends the step that it is at");
    let _ = close.send(true);
    working.await.context("a worker failed")?;
    Ok(ExitCode::SUCCESS)
}
