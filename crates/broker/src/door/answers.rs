//! Parts of every answer: the frame around a page, what is said instead of a page, what a form must be, and the files that pages use.

use std::sync::LazyLock;

use axum::extract::Form;
use axum::extract::FromRequestParts;
use axum::extract::rejection::FormRejection;
use axum::http::header::{self, HeaderValue};
use axum::http::request::Parts;
use axum::http::{HeaderMap, StatusCode, Uri};
use axum::response::{IntoResponse, Redirect, Response};
use keyblind_intent::Digest;
use serde::Deserialize;

use super::Door;
use super::pages::{Frame, MessagePage, OnwardPage, StrangerPage, render};
use super::places::Place;
use super::sessions::Session;
use super::text::shown;
use crate::approvals::policy::Identity;
use crate::approvals::{Act, ApprovalError, Entry, ledger_name};
use crate::database::DatabaseError;

const STYLE: &str = include_str!("../../templates/door/door.css");
const SCRIPT: &str = include_str!("../../templates/door/door.js");
const MARK: &str = include_str!("../../templates/door/door.svg");

/// Changes with the file, so that a browser never uses an old one.
static STYLE_TAG: LazyLock<String> = LazyLock::new(|| tag(STYLE));
static SCRIPT_TAG: LazyLock<String> = LazyLock::new(|| tag(SCRIPT));

fn tag(text: &str) -> String {
    Digest::of(text.as_bytes()).to_string().chars().take(12).collect()
}

/// An answer that isn't the page that was asked for.
pub(super) enum Instead {
    LogIn(Place),
    Onward(String),
    Failed(StatusCode, &'static str, String),
    /// Somebody is logged in whom the approval policy doesn't list.
    Stranger(Box<StrangerPage>),
}

/// The cookie's name. Under TLS the prefix makes browsers see to it that only this host sets it, for all paths, over TLS.
fn cookie_name(door: &Door) -> &'static str {
    if door.origin.is_secure { "__Host-keyblind-door" } else { "keyblind-door" }
}

/// The cookie that holds a session's secret.
pub(super) fn session_cookie(door: &Door, value: &str, attributes: &str) -> Option<HeaderValue> {
    let secure = if door.origin.is_secure { "; Secure" } else { "" };
    HeaderValue::from_str(&format!("{}={value}; Path=/; HttpOnly; SameSite=Strict{secure}{attributes}", cookie_name(door))).ok()
}

/// The cookie of that name; none if there are two: somebody else has set one of them.
pub(super) fn cookie_of<'h>(headers: &'h HeaderMap, wanted: &str) -> Option<&'h str> {
    let mut values = headers
        .get_all(header::COOKIE)
        .iter()
        .filter_map(|header| header.to_str().ok())
        .flat_map(|header| header.split(';'))
        .filter_map(|pair| pair.trim().split_once('='))
        .filter_map(|(name, value)| (name == wanted).then_some(value));
    values.next().filter(|_| values.next().is_none())
}

/// The session of whoever asks, if there is one.
pub(super) async fn session_of(door: &Door, headers: &HeaderMap) -> Result<Option<Session>, DatabaseError> {
    match cookie_of(headers, cookie_name(door)) {
        Some(value) => door.sessions.find(value).await,
        None => Ok(None),
    }
}

impl FromRequestParts<Door> for Session {
    type Rejection = Instead;

    async fn from_request_parts(parts: &mut Parts, door: &Door) -> Result<Self, Instead> {
        if let Some(session) = session_of(door, &parts.headers).await? {
            return Ok(session);
        }
        let is_get = parts.method == axum::http::Method::GET;
        let came_from_elsewhere = parts.headers.get("sec-fetch-site").is_some_and(|site| site == "cross-site");
        if is_get && came_from_elsewhere && cookie_of(&parts.headers, cookie_name(door)).is_none() {
            // A link in a chat: the browser kept the strict cookie back. From our own page it will send it.
            let place = Place::of(&parts.uri);
            let to = if place == Place::default() { parts.uri.path() } else { place.as_str() };
            return Err(Instead::Onward(to.to_owned()));
        }
        Err(Instead::LogIn(if is_get { Place::of(&parts.uri) } else { Place::default() }))
    }
}

/// The session of somebody who has a place here: whom the approval policy lists in this tenant, or who came by a link that was given
/// out on the broker's own machine. Anybody else has only proven to have an account at the identity provider, which may be anybody.
pub(super) struct Known(pub(super) Session);

/// Whether that is somebody who has a place in this tenant.
pub(super) async fn is_known(door: &Door, identity: &Identity, tenant: &str) -> Result<bool, Instead> {
    if identity.is_of_this_broker() {
        return Ok(true);
    }
    match door.approvals.policy().await {
        Ok((_, policy)) => Ok(policy.person_of(identity).is_some_and(|person| person.belongs_to(tenant))),
        Err(ApprovalError::NoPolicy) => Ok(false),
        // That it can't be read says nothing about anybody.
        Err(error) => Err(error.into()),
    }
}

impl FromRequestParts<Door> for Known {
    type Rejection = Instead;

    async fn from_request_parts(parts: &mut Parts, door: &Door) -> Result<Self, Instead> {
        let session = Session::from_request_parts(parts, door).await?;
        if is_known(door, &session.identity, &session.tenant).await? {
            return Ok(Self(session));
        }
        Err(Instead::Stranger(Box::new(StrangerPage {
            frame: frame(door, &session).await,
            issuer: shown(session.identity.issuer()),
            subject: shown(session.identity.subject()),
        })))
    }
}

impl IntoResponse for Instead {
    fn into_response(self) -> Response {
        match self {
            Self::LogIn(to) if to == Place::default() => Redirect::to("/login").into_response(),
            Self::LogIn(to) => Redirect::to(&format!("/login?to={}", to.for_query())).into_response(),
            Self::Stranger(page) => render(StatusCode::FORBIDDEN, &*page),
            Self::Onward(to) => render(StatusCode::OK, &OnwardPage { frame: bare_frame(String::new()), to }),
            Self::Failed(status, head, text) => render(status, &MessagePage { frame: bare_frame(String::new()), head, text }),
        }
    }
}

impl From<ApprovalError> for Instead {
    fn from(error: ApprovalError) -> Self {
        match error {
            ApprovalError::Unknown => Self::Failed(
                StatusCode::NOT_FOUND,
                "There is no such request",
                "It may have been for another tenant, or has been tidied away.".to_owned(),
            ),
            ApprovalError::Database(error) => error.into(),
            other => Self::Failed(StatusCode::CONFLICT, "That wasn’t done", sentence(&other.to_string())),
        }
    }
}

impl From<DatabaseError> for Instead {
    fn from(_: DatabaseError) -> Self {
        // What the database says is for the operator's log, not for the page.
        Self::Failed(
            StatusCode::SERVICE_UNAVAILABLE,
            "The broker can’t keep records now",
            "So it does nothing. Nothing was approved.".to_owned(),
        )
    }
}

pub(super) fn forged() -> Instead {
    Instead::Failed(
        StatusCode::FORBIDDEN,
        "That wasn’t done",
        "This form doesn’t belong to your session any more. Open the page again.".to_owned(),
    )
}

pub(super) fn sentence(text: &str) -> String {
    let mut letters = text.chars();
    let first: String = letters.next().map(|letter| letter.to_uppercase().collect()).unwrap_or_default();
    format!("{first}{}.", letters.as_str().trim_end_matches('.'))
}

pub(super) fn bare_frame(host: String) -> Frame {
    Frame { host, style: &STYLE_TAG, script: &SCRIPT_TAG, ..Frame::default() }
}

pub(super) async fn frame(door: &Door, session: &Session) -> Frame {
    let stopped = matches!(door.switch.state().await, Ok(Some(_)));
    let may_log_in_again = door.login.as_ref().is_some_and(|login| login.knows(&session.identity));
    let policy_pending = door.approvals.policies_to_come().await.is_ok_and(|proposals| !proposals.is_empty());
    Frame {
        signed_in: true,
        may_log_in_again,
        stopped,
        policy_pending,
        who: session.identity.to_string(),
        tenant: session.tenant.clone(),
        logout_seal: session.seal("logout", "", ""),
        ..bare_frame(door.origin.authority.clone())
    }
}

/// What somebody does, for the ledger.
pub(super) async fn act(door: &Door, session: &Session, act: Act) -> Entry {
    let policy = door.approvals.policy().await.ok().map(|(_, policy)| policy);
    Entry::Act { tenant: session.tenant.clone(), who: ledger_name(policy.as_ref(), &session.identity), act }
}

/// The frame of a page that needs a fresh login: it offers one if the last is too old.
pub(super) async fn fresh_frame(door: &Door, session: &Session, place: &str) -> Frame {
    let again = (!session.is_fresh(door.clock.now())).then(|| place.to_owned());
    Frame { again, ..frame(door, session).await }
}

/// A form, or the page that says what was wrong with it.
pub(super) fn form<T>(form: Result<Form<T>, FormRejection>) -> Result<T, Instead> {
    form.map(|Form(value)| value).map_err(|_| {
        Instead::Failed(
            StatusCode::BAD_REQUEST,
            "That wasn’t done",
            "The form was incomplete or too large. Open the page again.".to_owned(),
        )
    })
}

pub(super) fn digest(text: &str) -> Result<Digest, Instead> {
    text.parse().map_err(|_| ApprovalError::Unknown.into())
}

#[derive(Deserialize)]
pub(super) struct SealForm {
    pub(super) seal: String,
}

pub(super) async fn style() -> impl IntoResponse {
    ([(header::CONTENT_TYPE, "text/css; charset=utf-8")], STYLE)
}

pub(super) async fn script() -> impl IntoResponse {
    ([(header::CONTENT_TYPE, "text/javascript; charset=utf-8")], SCRIPT)
}

pub(super) async fn mark() -> impl IntoResponse {
    ([(header::CONTENT_TYPE, "image/svg+xml")], MARK)
}

pub(super) async fn nothing_here(_: Uri) -> Instead {
    Instead::Failed(StatusCode::NOT_FOUND, "There is nothing here", "Only what the broker needs of people has a page.".to_owned())
}
