//! Accepts clients, and ends in order.

use std::collections::{HashMap, HashSet, VecDeque};
use std::future::Future;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use keyblind_intent::{Refusal, RequestId};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::watch;
use tokio::task::JoinSet;

use super::connection;
use super::peers::{Peer, Tokens};
use super::place::{PlaceError, listen};
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
    /// The ids that each peer has used.
    used: Vec<Mutex<Used>>,
    by_user: Mutex<HashMap<u32, usize>>,
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

/// One connection of a user, counted while it lives.
struct Counted {
    shared: Arc<Shared>,
    user: u32,
}

impl Counted {
    fn new(shared: &Arc<Shared>, user: u32) -> Option<Self> {
        let mut by_user = shared.by_user.lock().unwrap_or_else(PoisonError::into_inner);
        let all: usize = by_user.values().sum();
        let own = by_user.entry(user).or_default();
        if all >= shared.limits.connections || *own >= shared.limits.connections_per_user {
            return None;
        }
        *own += 1;
        Some(Self { shared: Arc::clone(shared), user })
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        let mut by_user = self.shared.by_user.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(own) = by_user.get_mut(&self.user) {
            *own -= 1;
            if *own == 0 {
                by_user.remove(&self.user);
            }
        }
    }
}

/// The socket, bound and not yet served.
pub struct Server {
    listener: UnixListener,
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
        let listener = listen(path, peers.iter().any(|peer| peer.user != own))?;
        listener.set_nonblocking(true)?;
        let shares = |all| Shares::new(all, peers.iter().map(|peer| &peer.session.tenant));
        let shared = Shared {
            working: shares(limits.working),
            taken: shares(limits.working + limits.waiting),
            kibibytes: shares(limits.request_kibibytes),
            used: peers.iter().map(|_| Mutex::default()).collect(),
            peers,
            tokens,
            dispatcher,
            by_user: Mutex::default(),
            limits,
        };
        Ok(Self { listener: UnixListener::from_std(listener)?, shared: Arc::new(shared) })
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
                Some(_) = connections.join_next() => {}
            }
        }
        drop(self.listener);
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
        let user = credentials.uid();
        let shared = Arc::clone(&self.shared);
        match Counted::new(&shared, user) {
            Some(counted) => {
                connections.spawn(async move {
                    connection::run(stream, user, shared, is_stopping).await;
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
