//! A clock that stands still until it is moved, and steps that do what a test says.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use keyblind_intent::{SubjectId, TenantId, UnixMillis};
use keyblind_mission::{Assignment, Clock, Done, Event, Follows, Patience, Progress, Request, Runner, Trouble, Wish, Work, begin};
use keyblind_store::{Limits, MissionId, MissionRow, Place, Store, WaitsFor};
use keyblind_testkit::{Folder, Postgres};

#[derive(Clone, Debug)]
pub(crate) struct Hands(Arc<AtomicU64>);

impl Hands {
    pub(crate) fn noon() -> Self {
        Self(Arc::new(AtomicU64::new(1_800_000_000_000)))
    }

    pub(crate) fn set(&self, millis: u64) {
        self.0.store(millis, Ordering::SeqCst);
    }

    pub(crate) fn forward(&self, seconds: u64) {
        self.0.fetch_add(seconds * 1_000, Ordering::SeqCst);
    }
}

impl Clock for Hands {
    fn now(&self) -> UnixMillis {
        UnixMillis::new(self.0.load(Ordering::SeqCst))
    }
}

/// What a scripted step does.
#[derive(Clone, Debug)]
pub(crate) enum Act {
    /// Goes well.
    Well,
    /// Waits for something outside, so many seconds.
    Waits(u64),
    /// Fails for now.
    Passing,
    /// Fails for good.
    Lasting,
    /// Never ends.
    Hangs,
}

/// Steps that do one act after the other, and go well once there are no more.
#[derive(Clone, Debug, Default)]
pub(crate) struct Script {
    acts: Arc<Mutex<VecDeque<Act>>>,
    pub(crate) done: Arc<Mutex<Vec<String>>>,
}

impl Script {
    pub(crate) fn of(acts: impl IntoIterator<Item = Act>) -> Self {
        Self { acts: Arc::new(Mutex::new(acts.into_iter().collect())), done: Arc::default() }
    }
}

impl Work for Script {
    async fn perform(&self, assignment: Assignment, progress: Progress) -> Result<Done, Trouble> {
        let act = self.acts.lock().unwrap().pop_front().unwrap_or(Act::Well);
        self.done.lock().unwrap().push(format!("{} {}", assignment.step.word(), assignment.checkpoint.as_deref().unwrap_or("-")));
        progress.tell(Event::Said { line: format!("{act:?}") }).await;
        let follows = match act {
            Act::Well => Follows::Next,
            Act::Waits(seconds) => Follows::Again(Duration::from_secs(seconds), WaitsFor::Approval),
            Act::Passing => return Err(Trouble::Passing("nobody answers".to_owned())),
            Act::Lasting => return Err(Trouble::Lasting("there is no such folder".to_owned())),
            Act::Hangs => std::future::pending().await,
        };
        let checkpoint = Some(format!("\"after {}\"", assignment.step.word()));
        Ok(Done { events: Vec::new(), documents: Vec::new(), checkpoint, follows })
    }
}

/// Runs a test on SQLite and on Postgres.
macro_rules! on_both {
    ($($(#[$meta:meta])* async fn $name:ident($world:ident) $body:block)*) => {$(
        mod $name {
            #[allow(unused_imports, reason = "not every test needs all of them")]
            use super::*;

            async fn judged($world: crate::support::World) $body

            #[tokio::test(flavor = "multi_thread", worker_threads = 4)]
            async fn on_sqlite() {
                judged(crate::support::World::on_sqlite().await).await;
            }

            #[tokio::test(flavor = "multi_thread", worker_threads = 4)]
            async fn on_postgres() {
                judged(crate::support::World::on_postgres().await).await;
            }
        }
    )*};
}
pub(crate) use on_both;

pub(crate) struct World {
    pub(crate) store: Store,
    pub(crate) hands: Hands,
    pub(crate) tenant: TenantId,
    pub(crate) owner: SubjectId,
    // Only kept so that the database is taken away with it.
    _folder: Folder,
    _server: Option<Postgres>,
}

pub(crate) const LIMITS: Limits = Limits { total: 8, tenant: 8, owner: 8 };

impl World {
    pub(crate) async fn on_sqlite() -> Self {
        let folder = Folder::new([]);
        let place = Place::File(folder.path().join("server.db"));
        Self::at(&place, folder, None).await
    }

    pub(crate) async fn on_postgres() -> Self {
        let server = Postgres::start();
        let place = server.address().parse().unwrap();
        Self::at(&place, Folder::new([]), Some(server)).await
    }

    async fn at(place: &Place, folder: Folder, server: Option<Postgres>) -> Self {
        let store = Store::open(place).await.unwrap();
        let (tenant, owner) = (TenantId::new("octo").unwrap(), SubjectId::new("anna").unwrap());
        Self { store, hands: Hands::noon(), tenant, owner, _folder: folder, _server: server }
    }

    pub(crate) fn clock(&self) -> Arc<dyn Clock> {
        Arc::new(self.hands.clone())
    }

    pub(crate) async fn begin(&self) -> MissionId {
        self.begin_with(Request::ScanPath { path: "/srv/shop".into() }).await
    }

    pub(crate) async fn begin_with(&self, request: Request) -> MissionId {
        let wish = Wish { tenant: self.tenant.clone(), owner: self.owner.clone(), request, idempotency: None };
        begin(&self.store, &wish, self.hands.now()).await.unwrap().id()
    }

    pub(crate) fn runner<W: Work>(&self, work: W) -> Runner<W> {
        let patience = Patience { word: Duration::from_millis(20), attempts: 3, ..Patience::default() };
        Runner::new(self.store.clone(), work, Arc::new(self.hands.clone()), LIMITS, patience, "runner")
    }

    pub(crate) async fn row(&self, id: MissionId) -> MissionRow {
        self.store.mission(&self.tenant, id).await.unwrap().unwrap()
    }

    /// The kinds of all events, in order.
    pub(crate) async fn told(&self, id: MissionId) -> Vec<String> {
        self.store.events(&self.tenant, id, 0, 1_000).await.unwrap().into_iter().map(|event| event.kind).collect()
    }
}
