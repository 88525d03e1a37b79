//! Accepts clients, and ends in order.

use std::collections::{HashMap, HashSet, VecDeque};
use std::future::Future;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use keyblind_intent::limits::ATTACHED_BYTES;
use keyblind_intent::{Refusal, RequestId};
use tokio::net::{TcpStream, UnixListener, UnixStream};
use tokio::sync::watch;
use tokio::task::JoinSet;

use super::bridge::{self, Keep, Passing};
use super::connection;
use super::peers::{Identity, Peer, Tokens};
use super::place::{PlaceError, listen};
use super::remote::{Handshakes, Knocking, Remote};
use super::shares::Shares;
use crate::dispatch::Dispatcher;
use crate::socket::Limits;

/// Why the socket can't be served.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SocketError {
    /// It can't be where it should.
    #[error(transparent)]
    Place(#[from] PlaceError),
    /// The system wouldn't.
    #[error("the socket can't be served: {0}")]
    System(#[from] std::io::Error),
}

/// What all connections share.
pub(super) struct Shared {
    pub(super) peers: Vec<Peer>,
    pub(super) tokens: Arc<Tokens>,
    pub(super) dispatcher: Arc<Dispatcher>,
    pub(super) limits: Limits,
    /// A permit for each request that is worked on.
    pub(super) working: Shares,
    /// A permit for each request that was taken and isn't answered.
    pub(super) taken: Shares,
    /// A permit for each kibibyte of these.
    pub(super) kibibytes: Shares,
    /// A permit for each kibibyte of bulk bytes from other machines that isn't answered: these lie in our memory, not in the client's.
    attached: Shares,
    /// The ids that each peer has used.
    used: Vec<Mutex<Used>>,
    by_caller: Mutex<HashMap<Identity, usize>>,
}

impl Shared {
    /// Remembers an id. Says whether it is new for that peer.
    pub(super) fn is_new(&self, peer: usize, id: RequestId) -> bool {
        let Some(used) = self.used.get(peer) else { return false };
        used.lock().unwrap_or_else(PoisonError::into_inner).is_new(id, self.limits.remembered_ids)
    }
}

/// Ids in the order in which they came. The oldest are forgotten first.
#[derive(Default)]
struct Used {
    known: HashSet<RequestId>,
    order: VecDeque<RequestId>,
}

impl Used {
    fn is_new(&mut self, id: RequestId, most: usize) -> bool {
        if !self.known.insert(id) {
            return false;
        }
        self.order.push_back(id);
        if self.order.len() > most
            && let Some(oldest) = self.order.pop_front()
        {
            self.known.remove(&oldest);
        }
        true
    }
}

/// One connection of a caller, counted while it lives.
struct Counted {
    shared: Arc<Shared>,
    caller: Identity,
}

impl Counted {
    fn new(shared: &Arc<Shared>, caller: &Identity) -> Option<Self> {
        let mut by_caller = shared.by_caller.lock().unwrap_or_else(PoisonError::into_inner);
        let all: usize = by_caller.values().sum();
        let own = by_caller.get(caller).copied().unwrap_or_default();
        if all >= shared.limits.connections || own >= shared.limits.connections_per_user {
            return None;
        }
        by_caller.insert(caller.clone(), own + 1);
        Some(Self { shared: Arc::clone(shared), caller: caller.clone() })
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        let mut by_caller = self.shared.by_caller.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(own) = by_caller.get_mut(&self.caller) {
            *own -= 1;
            if *own == 0 {
                by_caller.remove(&self.caller);
            }
        }
    }
}

/// The socket, bound and not yet served.
pub struct Server {
    listener: UnixListener,
    remote: Option<Remote>,
    shared: Arc<Shared>,
}

impl Server {
    /// Binds the socket. Must be called inside the runtime.
    ///
    /// # Errors
    /// If the path can't be a socket that only its owner reaches, or somebody listens there.
    pub fn bind(
        path: &Path,
        peers: Vec<Peer>,
        tokens: Arc<Tokens>,
        dispatcher: Arc<Dispatcher>,
        limits: Limits,
    ) -> Result<Self, SocketError> {
        let own = rustix::process::geteuid().as_raw();
        let is_other = |peer: &Peer| matches!(peer.identity, Identity::User(user) if user != own);
        let listener = listen(path, peers.iter().any(is_other))?;
        listener.set_nonblocking(true)?;
        let shares = |all| Shares::new(all, peers.iter().map(|peer| &peer.session.tenant));
        let shared = Shared {
            working: shares(limits.working),
            taken: shares(limits.working + limits.waiting),
            kibibytes: shares(limits.request_kibibytes),
            attached: shares(limits.attached_kibibytes),
            used: peers.iter().map(|_| Mutex::default()).collect(),
            peers,
            tokens,
            dispatcher,
            by_caller: Mutex::default(),
            limits,
        };
        Ok(Self { listener: UnixListener::from_std(listener)?, remote: None, shared: Arc::new(shared) })
    }

    /// Serves clients on other machines, too: who they are their certificates say.
    #[must_use]
    pub fn with_remote(mut self, remote: Remote) -> Self {
        self.remote = Some(remote);
        self
    }

    /// Serves clients until `stop` is there. Then nothing new is taken, and what is worked on gets its time to end. Says how many
    /// requests were cut off.
    pub async fn serve(self, stop: impl Future<Output = ()>) -> usize {
        let (stopping, is_stopping) = watch::channel(false);
        let mut connections = JoinSet::new();
        tokio::pin!(stop);
        loop {
            tokio::select! {
                () = &mut stop => break,
                accepted = self.listener.accept() => match accepted {
                    Ok((stream, _)) => self.admit(stream, &mut connections, is_stopping.clone()),
                    // Out of descriptors, say: those who are connected may end, and then there are some.
                    Err(_) => tokio::time::sleep(Duration::from_millis(50)).await,
                },
                accepted = accept(self.remote.as_ref()) => match accepted {
                    Ok((stream, remote, knocking)) => {
                        let (shared, is_stopping) = (Arc::clone(&self.shared), is_stopping.clone());
                        connections.spawn(async move { admit_remote(stream, remote, knocking, shared, is_stopping).await });
                    }
                    Err(_) => tokio::time::sleep(Duration::from_millis(50)).await,
                },
                Some(_) = connections.join_next() => {}
            }
        }
        drop((self.listener, self.remote));
        // Everybody still listens, or those who stop have already gone.
        let _ = stopping.send(true);
        let ended = async {
            while connections.join_next().await.is_some() {}
            // What changes something goes on without its client.
            self.shared.working.all_back().await;
        };
        if tokio::time::timeout(self.shared.limits.stopping, ended).await.is_ok() {
            return 0;
        }
        self.shared.working.taken()
    }

    fn admit(&self, stream: UnixStream, connections: &mut JoinSet<()>, is_stopping: watch::Receiver<bool>) {
        // Who it is, by the kernel's word from when it connected.
        let Ok(credentials) = stream.peer_cred() else { return };
        let caller = Identity::User(credentials.uid());
        let shared = Arc::clone(&self.shared);
        match Counted::new(&shared, &caller) {
            Some(counted) => {
                connections.spawn(async move {
                    connection::run(stream, caller, shared, is_stopping).await;
                    drop(counted);
                });
            }
            None => {
                // A full house answers as far as the socket's buffer takes it, and waits for nobody.
                let refused = connection::refused(RequestId::from_bytes([0; 16]), Refusal::Busy);
                let _ = stream.try_write(&refused);
            }
        }
    }
}

/// The next connection from elsewhere; none ever where nobody is let in from there.
async fn accept(remote: Option<&Remote>) -> std::io::Result<(TcpStream, Handshakes, Knocking)> {
    match remote {
        Some(remote) => remote.accept().await,
        None => std::future::pending().await,
    }
}

/// A client from elsewhere: known by its certificate or turned away, then one like all others.
async fn admit_remote(stream: TcpStream, remote: Handshakes, knocking: Knocking, shared: Arc<Shared>, is_stopping: watch::Receiver<bool>) {
    let limits = shared.limits;
    let known = |name: &str| shared.peers.iter().any(|peer| matches!(&peer.identity, Identity::Certificate(known) if known == name));
    // Who doesn't get as far as a certificate isn't told anything.
    let Ok(Ok((stream, name))) = tokio::time::timeout(limits.greeting, remote.welcome(stream, known)).await else { return };
    drop(knocking);
    let nobody = RequestId::from_bytes([0; 16]);
    let Some(caller) = name.map(Identity::Certificate) else {
        return bridge::say_last(stream, &connection::refused(nobody, Refusal::UnknownPeer), limits.greeting).await;
    };
    let Some(counted) = Counted::new(&shared, &caller) else {
        return bridge::say_last(stream, &connection::refused(nobody, Refusal::Busy), limits.greeting).await;
    };
    let Ok((ours, theirs)) = UnixStream::pair() else { return };
    let tenant = shared.peers.iter().find(|peer| peer.identity == caller).map(|peer| peer.session.tenant.clone());
    let room = |kibibytes| shared.attached.try_take(tenant.as_ref()?, kibibytes);
    let passing =
        Passing { frame: limits.frame, most: ATTACHED_BYTES, keep: Keep::Sealed, lifetime: Some(limits.remote), room: Some(&room) };
    let passed = async {
        // Whatever ended it, the near side sees an end.
        let _ = bridge::pass(&theirs, stream, passing).await;
        drop(theirs);
    };
    tokio::join!(connection::run(ours, caller, Arc::clone(&shared), is_stopping), passed);
    drop(counted);
}
