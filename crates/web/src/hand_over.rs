//! Logging in at the broker: people do it on its own pages, which send the browser back here with a code; the broker gives for the code who
//! they are, and a handle to ask with for them (docs/setup/broker.md).

use std::pin::Pin;

use axum::extract::{Query, State};
use axum::http::{HeaderMap, HeaderValue, header};
use axum::response::{IntoResponse, Redirect, Response};
use data_encoding::BASE64URL_NOPAD;
use keyblind_intent::{Foreign, HandOverCode, HandOverState, HandedOver, Handle};
use keyblind_store::Person;
use serde::Deserialize;

use crate::Web;
use crate::failure::{Failure, PageFailure};
use crate::frame::page;
use crate::pages::login::Onward;
use crate::secrets::{Secret, is_same, random};
use crate::visitor::{cookie, set_session};

/// How long somebody may take to log in at the broker, in seconds.
const PATIENCE: u64 = 600;

/// What the broker answers, some time; the text says why not.
pub type Answering<'a, T> = Pin<Box<dyn Future<Output = Result<T, String>> + Send + 'a>>;

/// What the broker does for logins.
pub trait Logins: Send + Sync + 'static {
    /// Who came with a code, once.
    fn take_over(&self, code: HandOverCode, state: HandOverState) -> Answering<'_, HandedOver>;

    /// Ends a handle.
    fn end(&self, handle: Handle) -> Answering<'_, ()>;
}

fn state_cookie(web: &Web) -> &'static str {
    if web.settings.origin.is_secure { "__Host-keyblind-login" } else { "keyblind-login" }
}

/// Lax, as the way back begins on another site.
fn set_state(web: &Web, state: &str, life: u64) -> HeaderValue {
    let secure = if web.settings.origin.is_secure { "; Secure" } else { "" };
    let text = format!("{}={state}; Path=/; HttpOnly; SameSite=Lax; Max-Age={life}{secure}", state_cookie(web));
    // Letters, digits and what stands above.
    HeaderValue::try_from(text).unwrap_or_else(|_| HeaderValue::from_static(""))
}

/// Sends a browser to the broker's pages.
pub(crate) async fn start(State(web): State<Web>) -> Result<Response, PageFailure> {
    let door = web.settings.door.as_deref().filter(|_| web.logins.is_some()).ok_or(Failure::Unknown)?;
    let state = BASE64URL_NOPAD.encode(&random()?);
    let mut response = Redirect::to(&format!("{door}/hand-over?state={state}")).into_response();
    response.headers_mut().insert(header::SET_COOKIE, set_state(&web, &state, PATIENCE));
    Ok(response)
}

/// What a browser brings back.
#[derive(Default, Deserialize)]
#[serde(default)]
pub(crate) struct Brought {
    code: String,
    state: String,
}

/// Takes a login over.
pub(crate) async fn come_back(State(web): State<Web>, headers: HeaderMap, Query(brought): Query<Brought>) -> Result<Response, PageFailure> {
    let logins = web.logins.as_ref().ok_or(Failure::Unknown)?;
    let over = || Failure::Forbidden("This login wasn’t begun in this browser, or took longer than ten minutes. Log in again.".to_owned());
    let kept = cookie(&headers, state_cookie(&web)).filter(|kept| is_same(kept, &brought.state)).ok_or_else(over)?;
    let (state, code) = (HandOverState::new(kept).map_err(|_| over())?, HandOverCode::new(brought.code).map_err(|_| over())?);
    let person = logins
        .take_over(code, state)
        .await
        .map_err(|reason| Failure::Forbidden(format!("The broker doesn’t hand this login over: {reason}")))?;
    let groups: Vec<String> = person.groups.iter().map(Foreign::for_terminal).collect();
    let Some(role) = web.settings.roles.of(groups.iter().map(String::as_str)) else {
        // Nobody speaks for somebody who doesn't come in.
        let _ = logins.end(person.handle).await;
        let reason = "None of your groups may come in here. An administrator names them under `web.groups`.";
        return Err(Failure::Forbidden(reason.to_owned()).into());
    };
    let now = web.now();
    let (handle, expires) = (person.handle, person.expires);
    let left = std::time::Duration::from_millis(expires.get().saturating_sub(now.get()));
    let name = person.name.for_terminal();
    let session = Secret::random()?;
    let person = Person {
        tenant: person.tenant,
        name: if name.is_empty() { person.subject.as_str().to_owned() } else { name },
        subject: person.subject,
        role: role.word().to_owned(),
        handle: Some(handle.expose().to_owned()),
    };
    web.store.keep_handle(&person.tenant, &person.subject, &handle, expires, now).await?;
    web.store.begin_session(&session.digest(), &person, now, web.settings.longest.min(left)).await?;
    // A redirect that began on another site would leave the strict cookie behind: the page goes on by itself.
    let mut response = page(&Onward::new());
    let headers = response.headers_mut();
    headers.append(header::SET_COOKIE, set_session(&web, Some(&session)));
    headers.append(header::SET_COOKIE, set_state(&web, "", 0));
    Ok(response)
}
