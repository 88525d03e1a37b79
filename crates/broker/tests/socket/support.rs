//! A broker on a socket of its own, whose providers are this test's.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
use std::time::{Duration, Instant};

use keyblind_broker::dispatch::{Answering, Asked, Dispatcher, Handler, KillSwitch, Logins, Reply, Role, Session};
use keyblind_broker::socket::{BulkFile, Client, Identity, Limits, Peer, Server, Tokens};
use keyblind_intent::{
    Bulk, CommitId, Count, Foreign, HandOverCode, HandOverState, Handle, Intent, Outcome, Refusal, Report, Request, SarifState, SubjectId,
    TenantId, decode,
};
use tokio::sync::{Semaphore, oneshot};

/// Does what the test lets it do, and counts.
#[derive(Default)]
pub(crate) struct Provider {
    /// Requests that have begun.
    pub(crate) begun: AtomicUsize,
    /// Requests that were done to their end.
    pub(crate) done: AtomicUsize,
    /// Requests that were dropped before.
    pub(crate) dropped: AtomicUsize,
    /// While it is there, each request waits for a permit.
    pub(crate) gate: Option<Semaphore>,
}

struct Watched<'a> {
    provider: &'a Provider,
    is_done: bool,
}

impl Drop for Watched<'_> {
    fn drop(&mut self) {
        let counter = if self.is_done { &self.provider.done } else { &self.provider.dropped };
        counter.fetch_add(1, Ordering::SeqCst);
    }
}

pub(crate) fn commit() -> CommitId {
    "0123456789abcdef0123456789abcdef01234567".parse().unwrap()
}

impl Handler for Provider {
    fn handle(&self, asked: Asked) -> Answering<'_, Reply> {
        Box::pin(async move {
            self.begun.fetch_add(1, Ordering::SeqCst);
            let mut watched = Watched { provider: self, is_done: false };
            if let Some(gate) = &self.gate {
                gate.acquire().await.unwrap().forget();
            }
            let reply = match &asked.intent {
                Intent::ReadRepository(request) => {
                    let name = request.repository.name.as_str();
                    assert_ne!(name, "panic", "a fault in a provider");
                    let attached = BulkFile::from_bytes(name.as_bytes()).unwrap();
                    let archive = if name == "liar" { Bulk::of(b"other bytes") } else { attached.bulk() };
                    let outcome = Outcome::RepositoryRead {
                        repository: request.repository.clone(),
                        commit: commit(),
                        branch: None,
                        archive,
                        files: Count::from(1),
                        left_out: Vec::new(),
                    };
                    Reply { outcome, attached: Some(attached) }
                }
                Intent::UploadSarif(_) => {
                    let bytes = asked.attached.as_ref().unwrap().read(1 << 20).unwrap();
                    let id = Foreign::new(&format!("{} bytes for {}", bytes.len(), asked.session.subject));
                    Outcome::SarifUploaded { id, state: SarifState::Complete }.into()
                }
                _ => Outcome::Notified.into(),
            };
            watched.is_done = true;
            reply
        })
    }
}

/// Stops and arms, and counts nothing else.
#[derive(Default)]
pub(crate) struct Switch(std::sync::atomic::AtomicBool);

impl KillSwitch for Switch {
    fn is_stopped(&self) -> bool {
        self.0.load(Ordering::SeqCst)
    }

    fn stop<'a>(&'a self, _: &'a SubjectId) -> Answering<'a, Result<Report, Refusal>> {
        self.0.store(true, Ordering::SeqCst);
        let none = Count::default();
        Box::pin(std::future::ready(Ok(Report::Stopped { epoch: Count::from(1), revoked: none, waiting: none })))
    }

    fn arm<'a>(&'a self, _: &'a SubjectId) -> Answering<'a, Result<Report, Refusal>> {
        self.0.store(false, Ordering::SeqCst);
        Box::pin(std::future::ready(Ok(Report::Armed { epoch: Count::from(1) })))
    }
}

/// Knows one handle, Mia's.
struct OneLogin;

/// Mia's handle.
pub(crate) fn handle() -> Handle {
    Handle::new("M".repeat(42) + "A").unwrap()
}

impl Logins for OneLogin {
    fn take_over<'a>(&'a self, _: &'a HandOverCode, _: &'a HandOverState) -> Answering<'a, Result<Report, Refusal>> {
        Box::pin(std::future::ready(Err(Refusal::BadCode)))
    }

    fn behind<'a>(&'a self, shown: &'a Handle) -> Answering<'a, Result<(TenantId, SubjectId), Refusal>> {
        let known = (*shown == handle()).then(|| ("acme".parse().unwrap(), "mia@https://login.example/".parse().unwrap()));
        Box::pin(std::future::ready(known.ok_or(Refusal::NotLoggedIn)))
    }

    fn end<'a>(&'a self, _: &'a Handle) -> Answering<'a, Result<Report, Refusal>> {
        Box::pin(std::future::ready(Ok(Report::HandleEnded)))
    }
}

/// Tests that count this process's descriptors run while no other test opens any.
static TURN: RwLock<()> = RwLock::new(());

enum Turn {
    Shared { _guard: RwLockReadGuard<'static, ()> },
    Alone { _guard: RwLockWriteGuard<'static, ()> },
}

pub(crate) struct Broker {
    _turn: Turn,
    pub(crate) folder: tempfile::TempDir,
    pub(crate) socket: PathBuf,
    pub(crate) provider: Arc<Provider>,
    pub(crate) tokens: Arc<Tokens>,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<std::thread::JoinHandle<usize>>,
}

pub(crate) fn own_user() -> u32 {
    rustix::process::geteuid().as_raw()
}

pub(crate) fn peer(role: Role, needs_token: bool) -> Peer {
    let session = Session { tenant: "octo".parse().unwrap(), subject: "local:alice".parse().unwrap(), role };
    Peer { identity: Identity::User(own_user()), needs_token, speaks_for_people: false, session }
}

/// Limits under which a test of time-outs takes no longer than it must.
pub(crate) fn short() -> Limits {
    Limits {
        greeting: Duration::from_millis(300),
        frame: Duration::from_millis(300),
        stopping: Duration::from_secs(5),
        ..Limits::default()
    }
}

impl Broker {
    pub(crate) fn start() -> Self {
        Self::with(Provider::default(), vec![peer(Role::Person, false)], Limits::default())
    }

    pub(crate) fn held() -> Self {
        Self::with(held(), vec![peer(Role::Person, false)], Limits::default())
    }

    pub(crate) fn with(provider: Provider, peers: Vec<Peer>, limits: Limits) -> Self {
        Self::within(Turn::Shared { _guard: TURN.read().unwrap_or_else(PoisonError::into_inner) }, provider, peers, limits)
    }

    /// One beside which nothing in this process opens a descriptor.
    pub(crate) fn alone(provider: Provider, limits: Limits) -> Self {
        let turn = Turn::Alone { _guard: TURN.write().unwrap_or_else(PoisonError::into_inner) };
        Self::within(turn, provider, vec![peer(Role::Person, false)], limits)
    }

    fn within(turn: Turn, provider: Provider, peers: Vec<Peer>, limits: Limits) -> Self {
        let folder = own_folder();
        let socket = folder.path().join("broker.sock");
        let provider = Arc::new(provider);
        let tokens = Arc::new(Tokens::default());
        let (stop, stopped) = oneshot::channel();
        let (listening, is_listening) = std::sync::mpsc::channel();
        let (at, tokens_of_server, handler) = (socket.clone(), Arc::clone(&tokens), Arc::clone(&provider));
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
            let left = runtime.block_on(async {
                let dispatcher = Dispatcher::new()
                    .with_handler(&["list-repositories", "read-repository", "upload-sarif"], handler)
                    .with_logins(Arc::new(OneLogin))
                    .with_kill_switch(Arc::new(Switch::default()));
                let server = Server::bind(&at, peers, tokens_of_server, Arc::new(dispatcher), limits).unwrap();
                listening.send(()).unwrap();
                server.serve(async { stopped.await.unwrap_or_default() }).await
            });
            runtime.shutdown_timeout(Duration::from_secs(1));
            left
        });
        is_listening.recv().unwrap();
        Self { _turn: turn, folder, socket, provider, tokens, stop: Some(stop), thread: Some(thread) }
    }

    pub(crate) fn client(&self) -> Client {
        Client::connect(&self.socket, b"").unwrap()
    }

    pub(crate) fn signal_stop(&mut self) {
        drop(self.stop.take());
    }

    /// Stops it. Says how many requests it cut off.
    pub(crate) fn stop(mut self) -> usize {
        self.signal_stop();
        self.thread.take().unwrap().join().unwrap()
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        self.signal_stop();
    }
}

/// A folder that nobody else enters.
pub(crate) fn own_folder() -> tempfile::TempDir {
    use std::os::unix::fs::PermissionsExt as _;

    tempfile::Builder::new().permissions(std::fs::Permissions::from_mode(0o700)).tempdir().unwrap()
}

pub(crate) fn held() -> Provider {
    Provider { gate: Some(Semaphore::new(0)), ..Provider::default() }
}

pub(crate) fn request(text: &str) -> Request {
    decode(text.as_bytes()).unwrap()
}

pub(crate) fn list() -> Request {
    request(r#"{"intent":{"list-repositories":{"forge":"github"}}}"#)
}

pub(crate) fn read(name: &str) -> Request {
    request(&format!(
        r#"{{"intent":{{"read-repository":{{"repository":{{"forge":"github","owner":"octo","name":"{name}"}},"revision":"default-branch"}}}}}}"#
    ))
}

pub(crate) fn upload(sarif: &BulkFile) -> Request {
    let Bulk { digest, bytes } = sarif.bulk();
    request(&format!(
        r#"{{"intent":{{"upload-sarif":{{"repository":{{"forge":"github","owner":"octo","name":"shop"}},"commit":"{}","revision":{{"branch":"main"}},"sarif":{{"digest":"{digest}","bytes":{bytes}}}}}}}}}"#,
        commit()
    ))
}

/// Waits until something is so, and fails if it never is.
pub(crate) fn eventually(what: &str, is_so: impl Fn() -> bool) {
    let end = Instant::now() + Duration::from_secs(10);
    while !is_so() {
        assert!(Instant::now() < end, "{what} never came true");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// Descriptors that are open in this process.
pub(crate) fn open_descriptors() -> usize {
    std::fs::read_dir("/proc/self/fd").unwrap().count()
}

pub(crate) fn mode(path: &Path) -> u32 {
    use std::os::unix::fs::PermissionsExt as _;
    std::fs::symlink_metadata(path).unwrap().permissions().mode() & 0o7777
}
