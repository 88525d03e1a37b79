//! The log: one JSON object a line on standard error. It names routes, never paths or texts of requests.

use std::io::Write as _;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use axum::http::{Method, StatusCode};
use keyblind_intent::UnixMillis;
use serde_json::{Value, json};

use crate::moments::iso;

/// A request that was answered.
pub(crate) fn request(method: &Method, route: &str, status: StatusCode, took: Duration) {
    let level = if status.is_server_error() { "error" } else { "info" };
    let took = u64::try_from(took.as_millis()).unwrap_or(u64::MAX);
    write(json!({"level": level, "event": "request", "method": method.as_str(), "route": route, "status": status.as_u16(), "ms": took}));
}

/// Something that failed here.
pub(crate) fn failure(reason: &str) {
    write(json!({"level": "error", "event": "failure", "reason": reason}));
}

fn write(mut line: Value) {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    line["time"] = iso(UnixMillis::new(u64::try_from(since.as_millis()).unwrap_or(u64::MAX))).into();
    // If nobody can be told, nobody can be told that either.
    let _ = writeln!(std::io::stderr(), "{line}");
}
