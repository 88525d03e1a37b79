//! Databases for tests.

use std::time::Duration;

use keyblind_intent::{SubjectId, TenantId, UnixMillis};
use keyblind_store::{Claim, Limits, MissionId, NewEvent, NewMission, Next, Place, Store, Turn};
use keyblind_testkit::{Folder, Postgres};

/// The time at which tests begin.
pub(crate) const NOON: u64 = 1_800_000_000_000;
/// How long a job is held.
pub(crate) const HOLD: Duration = Duration::from_secs(30);
/// No limits that a test would meet.
pub(crate) const WIDE: Limits = Limits { total: 1_000, tenant: 1_000, owner: 1_000 };

/// Runs a test on SQLite and on Postgres.
macro_rules! on_both {
    ($($(#[$meta:meta])* async fn $name:ident($store:ident) $body:block)*) => {$(
        mod $name {
            #[allow(unused_imports, reason = "not every test needs all of them")]
            use super::*;

            async fn judged($store: keyblind_store::Store) $body

            $(#[$meta])*
            #[tokio::test(flavor = "multi_thread", worker_threads = 4)]
            async fn on_sqlite() {
                let folder = keyblind_testkit::Folder::new([]);
                judged($crate::support::sqlite(&folder).await).await;
            }

            $(#[$meta])*
            #[tokio::test(flavor = "multi_thread", worker_threads = 4)]
            async fn on_postgres() {
                let server = keyblind_testkit::Postgres::start();
                judged($crate::support::postgres(&server).await).await;
            }
        }
    )*};
}
pub(crate) use on_both;

pub(crate) async fn sqlite(folder: &Folder) -> Store {
    Store::open(&Place::File(folder.path().join("keyblind.db"))).await.expect("the file opens")
}

pub(crate) async fn postgres(server: &Postgres) -> Store {
    Store::open(&server.address().parse().expect("the address is one")).await.expect("the server answers")
}

pub(crate) fn at(seconds: u64) -> UnixMillis {
    UnixMillis::new(NOON + seconds * 1_000)
}

pub(crate) fn tenant(name: &str) -> TenantId {
    TenantId::new(name).expect("a tenant's name")
}

pub(crate) fn subject(name: &str) -> SubjectId {
    SubjectId::new(name).expect("a subject's name")
}

/// Begins a mission that scans, and gives it.
pub(crate) async fn begin(store: &Store, whose: &str, owner: &str, seconds: u64) -> MissionId {
    let (tenant, owner) = (tenant(whose), subject(owner));
    let mission =
        NewMission { tenant: &tenant, owner: &owner, kind: "scan", request: r#"{"path":"shop"}"#, step: "scan", idempotency: None };
    store.begin(&mission, at(seconds)).await.expect("it begins").id()
}

/// Takes the next job, whatever it is.
pub(crate) async fn claim(store: &Store, seconds: u64) -> Option<Claim> {
    store.claim("worker", WIDE, at(seconds), HOLD).await.expect("the database answers")
}

pub(crate) fn event(kind: &'static str) -> NewEvent {
    NewEvent { kind, body: "{}".to_owned() }
}

/// A turn with one event and what follows.
pub(crate) fn turn(kind: &'static str, next: Next) -> Turn {
    Turn { events: vec![event(kind)], documents: Vec::new(), checkpoint: None, audit: Some(kind.to_owned()), next }
}
