//! What every request passes, and what every answer carries.

use std::time::Instant;

use axum::Router;
use axum::extract::{DefaultBodyLimit, MatchedPath, Request, State};
use axum::http::header::{self, HeaderName, HeaderValue};
use axum::http::{Method, StatusCode};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};

use crate::Web;
use crate::visitor::{address, is_from_here, is_reading, only};

/// The most bytes that a request may bring.
const MOST_BYTES: usize = 64 << 10;

/// Nothing inline, nothing from elsewhere, no frame, no plugin.
const POLICY: &str = "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; connect-src 'self'; form-action 'self'; \
                      base-uri 'none'; frame-ancestors 'none'";

static HEADERS: [(HeaderName, &str); 7] = [
    (header::CONTENT_SECURITY_POLICY, POLICY),
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (header::X_FRAME_OPTIONS, "DENY"),
    // Not `no-referrer`: browsers would then send `Origin: null` with our own forms.
    (header::REFERRER_POLICY, "same-origin"),
    (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
    (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
    (HeaderName::from_static("permissions-policy"), "camera=(), microphone=(), geolocation=(), payment=(), usb=()"),
];

/// Half a year; without `includeSubDomains`, since the names beneath aren't ours.
const TRANSPORT: &str = "max-age=15768000";

/// Puts the gate around the pages.
pub(crate) fn around(router: Router<Web>, web: &Web) -> Router<Web> {
    router.layer(DefaultBodyLimit::max(MOST_BYTES)).layer(middleware::from_fn_with_state(web.clone(), pass))
}

/// Lets a request through, or answers it; dresses every answer, and counts it.
async fn pass(State(web): State<Web>, request: Request, next: Next) -> Response {
    let begun = Instant::now();
    let method = request.method().clone();
    // The pattern and not the path, which may hold a link's secret.
    let route = request.extensions().get::<MatchedPath>().map_or_else(|| "none".to_owned(), |path| path.as_str().to_owned());
    let refused = refuse(&web, &request);
    let is_asset = route.starts_with("/assets/") && refused.is_none();
    let mut response = match refused {
        Some((status, words)) => (status, words).into_response(),
        None => next.run(request).await,
    };
    let status = response.status();
    let headers = response.headers_mut();
    for (name, value) in &HEADERS {
        // What is shown by itself, like a picture, has a stricter policy of its own.
        headers.entry(name).or_insert(HeaderValue::from_static(value));
    }
    if web.settings.origin.is_secure {
        headers.insert(header::STRICT_TRANSPORT_SECURITY, HeaderValue::from_static(TRANSPORT));
    }
    let keep = if is_asset && status == StatusCode::OK { "public, max-age=31536000, immutable" } else { "no-store" };
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static(keep));
    let took = begun.elapsed();
    web.metrics.count(&route, status, took);
    crate::log::request(&method, &route, status, took);
    response
}

fn refuse(web: &Web, request: &Request) -> Option<(StatusCode, &'static str)> {
    let (headers, path) = (request.headers(), request.uri().path());
    // What watches over the machine asks by address, and learns nothing.
    let is_probe = matches!(path, "/health" | "/ready");
    let authority = web.settings.origin.authority.as_str();
    // A name of somebody else that was bound to our address: its page would be of the same origin as our answer.
    let is_ours =
        only(headers, &header::HOST) == Some(authority) && request.uri().authority().is_none_or(|named| named.as_str() == authority);
    if !is_probe && !is_ours {
        return Some((StatusCode::MISDIRECTED_REQUEST, "These pages are only for the server's own host name.\n"));
    }
    if !matches!(*request.method(), Method::GET | Method::HEAD | Method::POST | Method::DELETE) {
        return Some((StatusCode::METHOD_NOT_ALLOWED, "Only GET, HEAD, POST and DELETE.\n"));
    }
    // A token is nothing that a browser sends by itself, and so is safe from other sites.
    let has_token = path.starts_with("/api/") && headers.contains_key(header::AUTHORIZATION);
    if !is_reading(request.method()) && !has_token && !is_from_here(headers, web) {
        return Some((StatusCode::FORBIDDEN, "This was sent from another site. Nothing was done.\n"));
    }
    // Last: what another site makes a browser send costs its owner none of their own requests.
    let address = address(request.extensions(), headers, web);
    if !is_probe && web.requests.take(address, Instant::now()).is_err() {
        return Some((StatusCode::TOO_MANY_REQUESTS, "Too many requests. Wait a minute.\n"));
    }
    None
}
