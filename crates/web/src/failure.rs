//! Why something can't be answered: as a page for people, as problem+json (RFC 9457) for programs.

use axum::Json;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Redirect, Response};
use keyblind_store::StoreError;
use serde::Serialize;
use utoipa::ToSchema;

use crate::frame::{Frame, Section, page};
use crate::pages::error::ErrorPage;

/// Why something can't be answered.
#[derive(Debug)]
pub(crate) enum Failure {
    /// Nobody is logged in.
    NoSession,
    /// The token isn't one, has ended, or wasn't shown.
    NoToken,
    /// Who asks may not do that.
    Forbidden(String),
    /// There is no such thing, or it is another tenant's.
    Unknown,
    /// What was asked makes no sense; the text says what to change.
    Wrong(String),
    /// It stands against what is there.
    Conflict(String),
    /// Too often; how many seconds to wait.
    TooOften(u64),
    /// The database or the machine fails. The cause is logged, and not shown.
    Broken(String),
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::OtherRequest => Self::Conflict(error.to_string()),
            error => Self::Broken(error.to_string()),
        }
    }
}

impl Failure {
    fn status(&self) -> StatusCode {
        match self {
            Self::NoSession | Self::NoToken => StatusCode::UNAUTHORIZED,
            Self::Forbidden(_) => StatusCode::FORBIDDEN,
            Self::Unknown => StatusCode::NOT_FOUND,
            Self::Wrong(_) => StatusCode::BAD_REQUEST,
            Self::Conflict(_) => StatusCode::CONFLICT,
            Self::TooOften(_) => StatusCode::TOO_MANY_REQUESTS,
            Self::Broken(_) => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }

    fn title(&self) -> &'static str {
        match self {
            Self::NoSession => "Not logged in",
            Self::NoToken => "No valid token",
            Self::Forbidden(_) => "Not allowed",
            Self::Unknown => "Nothing here",
            Self::Wrong(_) => "That can't be done like this",
            Self::Conflict(_) => "That stands against something else",
            Self::TooOften(_) => "Too often",
            Self::Broken(_) => "Something failed here",
        }
    }

    fn detail(&self) -> String {
        match self {
            Self::NoSession => "Log in first.".to_owned(),
            Self::NoToken => "Send `Authorization: Bearer TOKEN` with a token that lives, or log in.".to_owned(),
            Self::Forbidden(text) | Self::Wrong(text) | Self::Conflict(text) => text.clone(),
            Self::Unknown => "There is nothing under this address, or it isn’t yours.".to_owned(),
            Self::TooOften(seconds) => format!("Wait {seconds} s, then try again."),
            Self::Broken(_) => "The server’s log says what. Try again in a moment.".to_owned(),
        }
    }

    /// Says what failed to whoever keeps the server running.
    fn tell(&self) {
        if let Self::Broken(reason) = self {
            crate::log::failure(reason);
        }
    }

    fn dress(&self, mut response: Response) -> Response {
        *response.status_mut() = self.status();
        if let Self::TooOften(seconds) = self {
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(*seconds));
        }
        response
    }
}

/// A failure on a page.
pub(crate) struct PageFailure(pub(crate) Failure);

impl<F: Into<Failure>> From<F> for PageFailure {
    fn from(failure: F) -> Self {
        Self(failure.into())
    }
}

impl IntoResponse for PageFailure {
    fn into_response(self) -> Response {
        let Self(failure) = self;
        failure.tell();
        if matches!(failure, Failure::NoSession) {
            let mut response = Redirect::to("/login").into_response();
            // htmx follows a redirect into the middle of a page; this one is for the whole window.
            response.headers_mut().insert("hx-redirect", HeaderValue::from_static("/login"));
            return response;
        }
        let (title, detail) = (failure.title(), failure.detail());
        let frame = Frame::outside(title, Section::None);
        failure.dress(page(&ErrorPage { frame, title, detail }))
    }
}

/// A failure as programs read it.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Problem {
    /// A URI that names the kind of problem.
    #[serde(rename = "type")]
    pub(crate) kind: String,
    /// The kind of problem in words.
    pub(crate) title: String,
    /// The HTTP status.
    pub(crate) status: u16,
    /// What is wrong here, and what to do.
    pub(crate) detail: String,
}

/// A failure of the API.
pub(crate) struct ApiFailure(pub(crate) Failure);

impl<F: Into<Failure>> From<F> for ApiFailure {
    fn from(failure: F) -> Self {
        Self(failure.into())
    }
}

impl IntoResponse for ApiFailure {
    fn into_response(self) -> Response {
        let Self(failure) = self;
        failure.tell();
        let problem = Problem {
            kind: "about:blank".to_owned(),
            title: failure.title().to_owned(),
            status: failure.status().as_u16(),
            detail: failure.detail(),
        };
        let mut response = failure.dress(Json(problem).into_response());
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        if matches!(failure, Failure::NoToken | Failure::NoSession) {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        response
    }
}
