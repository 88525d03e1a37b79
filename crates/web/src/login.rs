//! Logging in and out. With a broker, people log in at its own origin; without one, a one-time link from the terminal does it.

use std::time::{Duration, Instant};

use axum::Router;
use axum::extract::{Query, Request, State};
use axum::http::header::{self, HeaderValue};
use axum::response::{IntoResponse, Redirect, Response};
use axum::routing::{get, post};
use keyblind_intent::{Handle, SubjectId, TenantId, UnixMillis};
use keyblind_store::{Person, Store, StoreError};
use serde::Deserialize;

use crate::failure::{Failure, PageFailure};
use crate::fields::Signed;
use crate::hand_over::{come_back, start};
use crate::pages::login::show;
use crate::secrets::Secret;
use crate::visitor::{address, set_session};
use crate::{Origin, Role, Web};

/// How long a one-time link lives: whoever asks for it sits at the terminal that shows it.
const LINK_LIFE: Duration = Duration::from_secs(15 * 60);

/// The header that empties a browser's cache of these pages.
const CLEAR: header::HeaderName = header::HeaderName::from_static("clear-site-data");

/// The routes of this file.
pub(crate) fn router() -> Router<Web> {
    Router::new()
        .route("/login", get(show))
        .route("/login/once", get(once))
        .route("/login/start", get(start))
        .route("/login/return", get(come_back))
        .route("/logout", post(leave))
}

/// Makes a link that logs the machine's own person in once, within fifteen minutes. It goes to that person's terminal only.
///
/// # Errors
/// If the database fails.
pub async fn login_link(store: &Store, origin: &Origin, local: (&TenantId, &SubjectId), now: UnixMillis) -> Result<String, StoreError> {
    let secret = Secret::random()?;
    let (tenant, subject) = local;
    let person = Person {
        tenant: tenant.clone(),
        subject: subject.clone(),
        name: "you, on this machine".to_owned(),
        role: Role::Admin.word().to_owned(),
        handle: None,
    };
    store.make_login_link(&secret.digest(), &person, now, LINK_LIFE).await?;
    Ok(format!("{origin}/login/once?token={}", secret.as_str()))
}

#[derive(Deserialize)]
struct Once {
    #[serde(default)]
    token: String,
}

async fn once(State(web): State<Web>, Query(Once { token }): Query<Once>, request: Request) -> Result<Response, PageFailure> {
    let address = address(request.extensions(), request.headers(), &web);
    web.guesses.take(address, Instant::now()).map_err(|wait| Failure::TooOften(wait.as_secs()))?;
    let over = || {
        Failure::Forbidden(
            "This link was used already, or is older than fifteen minutes. Ask for another one: `keyblind-server link`.".to_owned(),
        )
    };
    let link = Secret::shown(&token).ok_or_else(over)?;
    let session = Secret::random()?;
    let person = web.store.use_login_link(&link.digest(), &session.digest(), web.now(), web.settings.longest).await?;
    person.ok_or_else(over)?;
    let mut response = Redirect::to("/missions").into_response();
    response.headers_mut().insert(header::SET_COOKIE, set_session(&web, Some(&session)));
    Ok(response)
}

async fn leave(State(web): State<Web>, form: Signed) -> Result<Response, PageFailure> {
    web.store.end_session(&form.visitor.secret.digest(), web.now()).await?;
    if let (Some(logins), Some(handle)) = (&web.logins, form.visitor.handle.and_then(|handle| Handle::new(handle).ok())) {
        web.store.forget_handle(&handle).await?;
        // The session is over here in any case; a handle that stays ends by its time.
        if let Err(reason) = logins.end(handle).await {
            crate::log::failure(&format!("a handle couldn't be ended: {reason}"));
        }
    }
    let mut response = Redirect::to("/login").into_response();
    let headers = response.headers_mut();
    headers.insert(header::SET_COOKIE, set_session(&web, None));
    headers.insert(CLEAR, HeaderValue::from_static("\"cache\""));
    Ok(response)
}
