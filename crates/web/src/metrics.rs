//! What whoever keeps the server running wants to know: whether it lives, whether it is ready, and figures for Prometheus.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;

use crate::Web;
use crate::failure::ApiFailure;
use crate::tokens::Scope;
use crate::visitor::Caller;

/// The bounds of the histogram, in seconds.
const BOUNDS: [f64; 8] = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0, 5.0];

/// What was counted since the start.
#[derive(Debug)]
pub(crate) struct Metrics {
    begun: Instant,
    routes: Mutex<BTreeMap<(String, u16), Answers>>,
    /// Event streams that are open.
    pub(crate) streams: AtomicU64,
}

#[derive(Debug, Default)]
struct Answers {
    count: u64,
    seconds: f64,
    within: [u64; BOUNDS.len()],
}

impl Metrics {
    pub(crate) fn new(begun: Instant) -> Self {
        Self { begun, routes: Mutex::default(), streams: AtomicU64::new(0) }
    }

    /// Counts an answer. Routes are patterns of ours, so that there are only so many.
    pub(crate) fn count(&self, route: &str, status: StatusCode, took: Duration) {
        let mut routes = self.routes.lock().unwrap_or_else(PoisonError::into_inner);
        let answers = routes.entry((route.to_owned(), status.as_u16())).or_default();
        let seconds = took.as_secs_f64();
        answers.count += 1;
        answers.seconds += seconds;
        for (within, bound) in answers.within.iter_mut().zip(BOUNDS) {
            *within += u64::from(seconds <= bound);
        }
    }

    /// The text that Prometheus reads (exposition format 0.0.4).
    fn text(&self, missions: &[(&'static str, u64)]) -> String {
        let mut text = String::new();
        let mut line = |arguments: std::fmt::Arguments<'_>| {
            // Writing to a text can't fail.
            let _ = writeln!(text, "{arguments}");
        };
        line(format_args!("# HELP keyblind_web_uptime_seconds Since the start.\n# TYPE keyblind_web_uptime_seconds gauge"));
        line(format_args!("keyblind_web_uptime_seconds {}", self.begun.elapsed().as_secs()));
        line(format_args!("# HELP keyblind_web_event_streams Open event streams.\n# TYPE keyblind_web_event_streams gauge"));
        line(format_args!("keyblind_web_event_streams {}", self.streams.load(Ordering::Relaxed)));
        line(format_args!("# HELP keyblind_missions Missions by state.\n# TYPE keyblind_missions gauge"));
        for (state, count) in missions {
            line(format_args!("keyblind_missions{{state=\"{state}\"}} {count}"));
        }
        line(format_args!("# HELP keyblind_web_request_seconds How long answers took.\n# TYPE keyblind_web_request_seconds histogram"));
        let routes = self.routes.lock().unwrap_or_else(PoisonError::into_inner);
        for ((route, status), answers) in &*routes {
            let labels = format!("route=\"{route}\",status=\"{status}\"");
            for (bound, within) in BOUNDS.iter().zip(answers.within) {
                line(format_args!("keyblind_web_request_seconds_bucket{{{labels},le=\"{bound}\"}} {within}"));
            }
            line(format_args!("keyblind_web_request_seconds_bucket{{{labels},le=\"+Inf\"}} {}", answers.count));
            line(format_args!("keyblind_web_request_seconds_sum{{{labels}}} {}", answers.seconds));
            line(format_args!("keyblind_web_request_seconds_count{{{labels}}} {}", answers.count));
        }
        text
    }
}

/// The routes of this file.
pub(crate) fn router() -> Router<Web> {
    Router::new().route("/health", get(health)).route("/ready", get(ready)).route("/metrics", get(metrics))
}

/// The process lives.
async fn health() -> &'static str {
    "alive\n"
}

/// Requests can be answered: the database is there, and the process isn't ending.
async fn ready(State(web): State<Web>) -> Response {
    if *web.closing.borrow() {
        return (StatusCode::SERVICE_UNAVAILABLE, "ending\n").into_response();
    }
    match tokio::time::timeout(Duration::from_secs(5), web.store.ping()).await {
        Ok(Ok(())) => "ready\n".into_response(),
        Ok(Err(_)) | Err(_) => (StatusCode::SERVICE_UNAVAILABLE, "the database doesn't answer\n").into_response(),
    }
}

async fn metrics(State(web): State<Web>, caller: Caller) -> Result<Response, ApiFailure> {
    caller.must_have(Scope::ReadMetrics)?;
    let missions: Vec<_> = web.store.all_missions_by_state().await?.into_iter().map(|(state, count)| (state.word(), count)).collect();
    Ok(([(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], web.metrics.text(&missions)).into_response())
}
