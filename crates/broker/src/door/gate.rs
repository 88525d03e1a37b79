//! What every request passes, and what every answer carries.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use axum::extract::{ConnectInfo, Request, State};
use axum::http::header::{self, HeaderName, HeaderValue};
use axum::http::{HeaderMap, Method, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use super::Door;

/// Nothing inline, nothing from elsewhere, no frame, no plugin; text never becomes script.
const POLICY: &str = "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; form-action 'self'; base-uri 'none'; \
                      frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'";

static HEADERS: [(HeaderName, &str); 8] = [
    (header::CONTENT_SECURITY_POLICY, POLICY),
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (header::X_FRAME_OPTIONS, "DENY"),
    // Not `no-referrer`: browsers would then send `Origin: null` with our own forms.
    (header::REFERRER_POLICY, "same-origin"),
    (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
    (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
    (HeaderName::from_static("cross-origin-embedder-policy"), "require-corp"),
    (
        HeaderName::from_static("permissions-policy"),
        "publickey-credentials-get=(self), publickey-credentials-create=(self), camera=(), microphone=(), geolocation=(), payment=(), usb=()",
    ),
];

/// Half a year, as the preload lists want at least; without `includeSubDomains`, since the names beneath aren't ours.
const TRANSPORT: &str = "max-age=15768000";

/// Lets a request through, or answers it; dresses every answer.
pub(super) async fn pass(State(door): State<Door>, request: Request, next: Next) -> Response {
    let refused = refuse(&door, &request);
    let keeps = request.uri().path().starts_with("/door.");
    let mut response = match refused {
        Some((status, words)) => (status, words).into_response(),
        None => next.run(request).await,
    };
    let headers = response.headers_mut();
    for (name, value) in &HEADERS {
        headers.insert(name.clone(), HeaderValue::from_static(value));
    }
    if door.origin.is_secure {
        headers.insert(header::STRICT_TRANSPORT_SECURITY, HeaderValue::from_static(TRANSPORT));
    }
    let keep = if keeps && refused.is_none() { "public, max-age=3600" } else { "no-store" };
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static(keep));
    response
}

fn refuse(door: &Door, request: &Request) -> Option<(StatusCode, &'static str)> {
    let headers = request.headers();
    // A name of somebody else that was bound to our address: its page would be of the same origin as our answer.
    let is_ours = only(headers, &header::HOST) == Some(door.origin.authority.as_str())
        && request.uri().authority().is_none_or(|authority| authority.as_str() == door.origin.authority);
    if !is_ours {
        return Some((StatusCode::MISDIRECTED_REQUEST, "This address is only for the broker's own host name.\n"));
    }
    let address = request.extensions().get::<ConnectInfo<SocketAddr>>().map(|ConnectInfo(address)| address.ip());
    let changes = match *request.method() {
        Method::GET | Method::HEAD => false,
        Method::POST => true,
        _ => return Some((StatusCode::METHOD_NOT_ALLOWED, "Only GET and POST.\n")),
    };
    if changes {
        let from_here = only(headers, &header::ORIGIN) == Some(door.origin.origin.as_str())
            && headers.get("sec-fetch-site").is_none_or(|site| site == "same-origin");
        if !from_here {
            return Some((StatusCode::FORBIDDEN, "This form was sent from another site. Nothing was done.\n"));
        }
        if only(headers, &header::CONTENT_TYPE) != Some("application/x-www-form-urlencoded") {
            return Some((StatusCode::UNSUPPORTED_MEDIA_TYPE, "Only forms.\n"));
        }
    }
    // Last: what another site makes a browser send costs its owner none of their own requests.
    if !door.rates.admit(address, changes, door.clock.monotonic()) {
        return Some((StatusCode::TOO_MANY_REQUESTS, "Too many requests. Wait a minute.\n"));
    }
    None
}

/// The header's value if it is there exactly once.
fn only<'h>(headers: &'h HeaderMap, name: &HeaderName) -> Option<&'h str> {
    let mut values = headers.get_all(name).iter();
    let first = values.next()?;
    if values.next().is_some() { None } else { first.to_str().ok() }
}

/// How often an address may ask: a bucket of tokens each for looking and for sending forms.
#[derive(Default)]
pub(super) struct Rates {
    buckets: Mutex<HashMap<(IpAddr, bool), Bucket>>,
}

struct Bucket {
    tokens: f64,
    filled_at: Duration,
}

/// Addresses that are remembered. When there are more, those that have been quiet longest are forgotten.
const ADDRESSES: usize = 4096;
const LOOKING: (f64, f64) = (240.0, 4.0);
const SENDING: (f64, f64) = (30.0, 0.5);

impl Rates {
    fn admit(&self, address: Option<IpAddr>, changes: bool, now: Duration) -> bool {
        let address = group(address.unwrap_or(IpAddr::V6(Ipv6Addr::UNSPECIFIED)));
        let (most, a_second) = if changes { SENDING } else { LOOKING };
        let mut buckets = self.buckets.lock().unwrap_or_else(PoisonError::into_inner);
        if buckets.len() >= ADDRESSES && !buckets.contains_key(&(address, changes)) {
            let full = |bucket: &Bucket| now.saturating_sub(bucket.filled_at) > Duration::from_secs(120);
            buckets.retain(|_, bucket| !full(bucket));
            if buckets.len() >= ADDRESSES {
                return false;
            }
        }
        let bucket = buckets.entry((address, changes)).or_insert(Bucket { tokens: most, filled_at: now });
        bucket.tokens = (bucket.tokens + now.saturating_sub(bucket.filled_at).as_secs_f64() * a_second).min(most);
        bucket.filled_at = now;
        if bucket.tokens < 1.0 {
            return false;
        }
        bucket.tokens -= 1.0;
        true
    }
}

/// One household has a /64 of IPv6 addresses.
fn group(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V6(address) => {
            let [first, second, third, fourth, ..] = address.segments();
            IpAddr::V6(Ipv6Addr::new(first, second, third, fourth, 0, 0, 0, 0))
        }
        address @ IpAddr::V4(_) => address,
    }
}
