//! Parts of every answer: the frame around a page, what is said instead of a page, what a form must be, and the files that pages use.

use std::sync::LazyLock;

use axum::extract::Form;
use axum::extract::rejection::FormRejection;
use axum::http::header::{self};
use axum::http::{StatusCode, Uri};
use axum::response::{IntoResponse, Redirect, Response};
use keyblind_intent::Digest;
use serde::Deserialize;

use super::Door;
use super::pages::{Frame, MessagePage, OnwardPage, render};
use super::sessions::Session;
use crate::approvals::ApprovalError;
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
    LogIn(String),
    Onward(String),
    Failed(StatusCode, &'static str, String),
}

impl IntoResponse for Instead {
    fn into_response(self) -> Response {
        match self {
            Self::LogIn(to) => Redirect::to(&to).into_response(),
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
    let policy_pending = door.approvals.policies_to_come().await.is_ok_and(|proposals| !proposals.is_empty());
    Frame {
        signed_in: true,
        stopped,
        policy_pending,
        who: session.identity.to_string(),
        tenant: session.tenant.clone(),
        logout_seal: session.seal("logout", "", ""),
        ..bare_frame(door.origin.authority.clone())
    }
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
