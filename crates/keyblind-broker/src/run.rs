//! `keyblind-broker run`

use std::fs::{DirBuilder, File};
use std::io::Write as _;
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd, RawFd};
use std::os::unix::fs::DirBuilderExt as _;
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::Context as _;
use clap::Args;
use keyblind_broker::dispatch::Role;
use keyblind_broker::ledger::{Cause, HandingOut};
use keyblind_broker::socket::{Identity, Server, Tokens};
use keyblind_harden::broker as harden;
use tokio::signal::unix::{SignalKind, signal};

use crate::configuration::{Account, Configuration};
use crate::examined::OwnSetUp;
use crate::opened::Opened;
use crate::say;

#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// Write a one-time token for a peer into an inherited descriptor, and close it: `NUMBER=SUBJECT`.
    #[arg(long = "give-token", value_name = "NUMBER=SUBJECT", value_parser = given_token)]
    tokens: Vec<(RawFd, String)>,
    /// Refuse to run where this kernel can't take from the process what it should.
    #[arg(long)]
    strict: bool,
}

fn given_token(text: &str) -> Result<(RawFd, String), String> {
    let wrong = || "write it as NUMBER=SUBJECT, where the subject is a peer's that needs a token".to_owned();
    let (number, subject) = text.split_once('=').ok_or_else(wrong)?;
    Ok((number.parse().map_err(|_| wrong())?, subject.to_owned()))
}

/// How long the last changes may take when it ends.
const APPLYING: std::time::Duration = std::time::Duration::from_secs(60);

/// What the process still reads of its environment once it runs: nothing that says where to connect or what to trust.
const VARIABLES: &[&str] = &["HOME", "PATH", "LANG", "LC_ALL", "TZ", "XDG_STATE_HOME", "XDG_RUNTIME_DIR"];

pub(crate) fn run(configuration: Configuration, arguments: &Arguments) -> anyhow::Result<ExitCode> {
    let given = arguments.tokens.iter().map(|(number, subject)| {
        let descriptor = keyblind_harden::inherited(*number).with_context(|| format!("there is no inherited descriptor {number}"))?;
        let is_peer = |peer: &keyblind_broker::socket::Peer| peer.needs_token && peer.session.subject.as_str() == subject;
        let peer = configuration.peers.iter().position(is_peer).with_context(|| format!("no peer `{subject}` needs a one-time token"))?;
        Ok((descriptor, peer))
    });
    let given: Vec<(OwnedFd, usize)> = given.collect::<anyhow::Result<_>>()?;
    let keep: Vec<_> = given.iter().map(|(descriptor, _)| descriptor.as_fd()).collect();
    let (_lock, hardened) = enter(&configuration, &keep)?;
    for entry in hardened.missing() {
        say(format_args!("warning: {entry}"));
    }
    if arguments.strict {
        hardened.require()?;
    }
    let tokens = Arc::new(Tokens::default());
    for (descriptor, peer) in given {
        let token = tokens.issue(peer)?;
        // It is closed with the end of this turn: whoever reads sees that there is no more.
        token.expose(|bytes| File::from(descriptor).write_all(bytes)).context("a one-time token can't be handed over")?;
    }
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(serve(configuration, tokens, hardened))
}

/// Takes the state folder for this process alone, and from the process what it doesn't need: before its first thread and its first secret.
pub(crate) fn enter(configuration: &Configuration, keep: &[BorrowedFd<'_>]) -> anyhow::Result<(File, keyblind_harden::Report)> {
    let lock = prepare_state(&configuration.state)?;
    let keep: Vec<_> = keep.iter().copied().chain([lock.as_fd()]).collect();
    let hardened = harden::enter(harden::Broker {
        account: match configuration.account {
            Account::Own => harden::Account::Own,
            Account::Shared => harden::Account::Shared,
        },
        variables: VARIABLES,
        keep: Some(&keep),
        places: None,
        keyring: false,
    })?;
    Ok((lock, hardened))
}

/// Makes the state folder if it isn't there, checks that it is ours alone, and keeps a second broker out of it.
fn prepare_state(state: &Path) -> anyhow::Result<File> {
    if !state.exists() {
        DirBuilder::new().mode(0o700).recursive(true).create(state).with_context(|| format!("`{}` can't be made", state.display()))?;
    }
    keyblind_broker::socket::check_folder(state)?;
    let path = state.join("lock");
    let lock = File::options().create(true).truncate(false).write(true).open(&path).with_context(|| path.display().to_string())?;
    rustix::fs::flock(&lock, rustix::fs::FlockOperation::NonBlockingLockExclusive)
        .map_err(|_| anyhow::anyhow!("another broker has `{}`: stop it first", state.display()))?;
    Ok(lock)
}

async fn serve(configuration: Configuration, tokens: Arc<Tokens>, hardened: keyblind_harden::Report) -> anyhow::Result<ExitCode> {
    let (mut terminate, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    let mut kill = signal(SignalKind::user_defined1())?;
    let mut opened = Opened::open(&configuration).await?;
    opened.begin(&configuration).await?;
    let set_up = OwnSetUp {
        hardened,
        state: configuration.state.clone(),
        socket: configuration.socket.path.clone(),
        peers: configuration.peers.clone(),
    };
    let mut dispatcher = opened.dispatcher(configuration.door.as_ref()).with_examined(Arc::new(set_up));
    let (close, closing) = tokio::sync::watch::channel(());
    let (mut working, applying) = opened.work(closing.clone());
    if let Some(door) = &configuration.door {
        let (parts, entrance) = opened.door(door);
        dispatcher = dispatcher.with_entrance(entrance);
        let mut closing = closing.clone();
        // Either it is told to close, or whoever would tell it is gone.
        let closed = async move { drop(closing.changed().await) };
        let listener =
            tokio::net::TcpListener::bind(door.listen).await.with_context(|| format!("the pages can't listen at {}", door.listen))?;
        working.spawn(async move {
            if let Err(error) = keyblind_broker::door::serve(parts, listener, closed).await {
                say(format_args!("error: {error}"));
            }
        });
        say(format_args!("pages at {}: `keyblind-broker login` gives a link", door.origin.as_str()));
    }
    let own = Identity::User(rustix::process::geteuid().as_raw());
    // Processes of the broker's own user can read its files as well.
    let near = configuration.peers.iter().filter(|peer| peer.identity == own && peer.session.role == Role::Person);
    let trusted = near.map(|peer| peer.session.clone()).collect();
    dispatcher = dispatcher.with_records(Arc::new(HandingOut::new(opened.ledger.clone(), configuration.state.clone(), trusted)));
    let limits = configuration.socket.limits;
    let remote = match &configuration.socket.tls {
        Some(tls) => Some(tls.listen().await?),
        None => None,
    };
    let mut server = Server::bind(&configuration.socket.path, configuration.peers, tokens, Arc::new(dispatcher), limits)?;
    if let Some(remote) = remote {
        say(format_args!("clients on other machines: at {}", remote.address()?));
        server = server.with_remote(remote);
    }
    if opened.switch.is_stopped() {
        say("stopped: nothing is done until `keyblind-broker arm`");
    }
    say(format_args!("listening at {}", configuration.socket.path.display()));
    let stopping = async {
        loop {
            tokio::select! {
                _ = terminate.recv() => return,
                _ = interrupt.recv() => return,
                _ = kill.recv() => match opened.switch.kill(Cause::Signal).await {
                    Ok(epoch) => say(format_args!("stopped by a signal (stop {epoch})")),
                    // Nobody may go on believing that it isn't stopped.
                    Err(error) => {
                        say(format_args!("error: the stop can't be made to last ({error}): ending instead"));
                        return;
                    }
                },
            }
        }
    };
    let cut_off = server.serve(stopping).await;
    drop(close);
    // What is being applied is not torn apart: neither its effect nor the record of it.
    if tokio::time::timeout(APPLYING, applying).await.is_err() {
        say("warning: a change was being applied: what came of it isn't known");
    }
    working.shutdown().await;
    opened.end().await;
    // The next broker would take it for a dead one's anyway.
    let _ = std::fs::remove_file(&configuration.socket.path);
    if cut_off > 0 {
        say(format_args!("warning: {cut_off} requests were cut off"));
    }
    say("ended");
    Ok(ExitCode::SUCCESS)
}
