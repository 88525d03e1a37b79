//! Events as they happen: server-sent events (HTML Standard, section 9.2) that go on after `Last-Event-ID`.
//!
//! One look at the database serves everybody who watches a mission.

use std::collections::HashMap;
use std::convert::Infallible;
use std::pin::Pin;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use axum::http::{HeaderMap, HeaderValue};
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use futures_core::Stream;
use keyblind_intent::TenantId;
use keyblind_store::{EventRow, MissionId, Store};
use tokio::sync::{mpsc, watch};
use tokio::time::Instant;

use crate::Web;

/// How often a mission that somebody watches is looked at.
const LOOK: Duration = Duration::from_millis(300);
/// How long one stream lasts. The browser begins the next one by itself, and is asked who it is.
const LONGEST: Duration = Duration::from_secs(300);
/// How many events are read at once.
const AT_ONCE: u32 = 200;
/// How often a stream without events shows that it lives.
const ALIVE: Duration = Duration::from_secs(15);
/// Open streams of all people together.
const MOST_STREAMS: u64 = 3_000;

/// How far a mission is: the number of its last event, and whether it has ended.
type Mark = Option<(u64, bool)>;

/// Missions that somebody watches.
#[derive(Debug)]
pub(crate) struct Feeds {
    store: Store,
    watched: Arc<Mutex<HashMap<MissionId, watch::Sender<Mark>>>>,
}

impl Feeds {
    pub(crate) fn new(store: Store) -> Self {
        Self { store, watched: Arc::default() }
    }

    /// Hears of a mission's events from now on. Whoever asks has seen that it is the tenant's.
    fn of(&self, tenant: &TenantId, id: MissionId) -> watch::Receiver<Mark> {
        let mut watched = self.watched.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(sender) = watched.get(&id) {
            return sender.subscribe();
        }
        let (sender, receiver) = watch::channel(None);
        watched.insert(id, sender.clone());
        let (store, tenant, all) = (self.store.clone(), tenant.clone(), Arc::clone(&self.watched));
        tokio::spawn(async move {
            loop {
                // What fails now may work at the next look; who watches waits meanwhile.
                if let Ok(Some(mission)) = store.mission(&tenant, id).await {
                    let mark = Some((mission.events, mission.state.is_end()));
                    sender.send_if_modified(|known| std::mem::replace(known, mark) != mark);
                }
                tokio::time::sleep(LOOK).await;
                // Under the lock, so that nobody subscribes in between.
                let mut watched = all.lock().unwrap_or_else(PoisonError::into_inner);
                if sender.receiver_count() == 0 {
                    watched.remove(&id);
                    return;
                }
            }
        });
        receiver
    }
}

/// A stream of what a channel brings.
struct Received(mpsc::Receiver<Event>);

impl Stream for Received {
    type Item = Result<Event, Infallible>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.0.poll_recv(context).map(|event| event.map(Ok))
    }
}

/// How an event is told.
pub(crate) type Telling = fn(&EventRow) -> serde_json::Value;

/// The number of the last event that a browser has, by its header or by the address of its first request.
pub(crate) fn last_seen(headers: &HeaderMap, after: Option<u64>) -> u64 {
    let header = headers.get("last-event-id").and_then(|value| value.to_str().ok()).and_then(|text| text.parse().ok());
    header.or(after).unwrap_or(0)
}

/// Tells a mission's events after a number until it ends; the last one is named `end`. Nothing if too many are open.
pub(crate) fn stream(web: &Web, tenant: TenantId, id: MissionId, mut last: u64, telling: Telling) -> Option<Response> {
    if web.metrics.streams.fetch_add(1, Ordering::Relaxed) >= MOST_STREAMS {
        web.metrics.streams.fetch_sub(1, Ordering::Relaxed);
        return None;
    }
    let (sender, receiver) = mpsc::channel(32);
    let (web, mut marks, mut closing) = (web.clone(), web.feeds.of(&tenant, id), web.closing.clone());
    tokio::spawn(async move {
        let end = Instant::now() + LONGEST;
        let telling = async {
            loop {
                let mark = *marks.borrow_and_update();
                if let Some((events, is_over)) = mark {
                    while last < events {
                        let Ok(rows) = web.store.events(&tenant, id, last, AT_ONCE).await else { return };
                        let Some(newest) = rows.last().map(|row| row.number) else { break };
                        for row in &rows {
                            let event = Event::default().id(row.number.to_string()).event("event").data(telling(row).to_string());
                            if sender.send(event).await.is_err() {
                                return;
                            }
                        }
                        last = newest;
                    }
                    if is_over {
                        let _ = sender.send(Event::default().event("end").data("{}")).await;
                        return;
                    }
                }
                if marks.changed().await.is_err() {
                    return;
                }
            }
        };
        tokio::select! {
            () = telling => {}
            () = sender.closed() => {}
            () = tokio::time::sleep_until(end) => {}
            _ = closing.wait_for(|closes| *closes) => {}
        }
        web.metrics.streams.fetch_sub(1, Ordering::Relaxed);
    });
    let mut response = Sse::new(Received(receiver)).keep_alive(KeepAlive::new().interval(ALIVE)).into_response();
    // A proxy in front that gathers bytes would hold events back.
    response.headers_mut().insert("x-accel-buffering", HeaderValue::from_static("no"));
    Some(response)
}
