//! The page of connections: what is connected, and connecting and disconnecting accounts.
//!
//! The provider opens in a tab of its own. Its answer comes to that tab, or, where there is only one, to this one: it is taken where it
//! comes, and both find their way back. It belongs to the session that began it and to the browser that holds its cookie, and counts once.

use std::sync::Arc;

use axum::extract::rejection::FormRejection;
use axum::extract::{Form, Path, State};
use axum::http::StatusCode;
use axum::http::header::{self, HeaderMap};
use axum::response::{IntoResponse, Redirect, Response};
use keyblind_intent::{ConnectionState, Digest};
use serde::Deserialize;

use super::Door;
use super::accounts::{Accounts, Disconnected, Holder, Offer, Problem, Standing};
use super::answers::{self, Instead, Known, bare_frame, forged, form, frame};
use super::login::onward;
use super::pages::{AccountCard, ConnectPage, ConnectedPage, ConnectionCard, ConnectionsPage, LinkedAccount, render};
use super::sessions::Session;
use super::text::shown;
use super::trips::{Errand, Ticket, no_ticket};
use crate::providers::Credential;
use crate::providers::auth0::{AccountsError, ConnectCallback, Connecting};

/// Where Auth0 sends browsers back to: to be registered there, exactly so.
pub(super) const CALLBACK: &str = "/connect/callback";
/// How long Auth0 keeps what was begun.
const LIFE: std::time::Duration = std::time::Duration::from_secs(5 * 60);

fn holder(session: &Session) -> Holder {
    Holder { tenant: session.tenant.clone(), identity: session.identity.clone() }
}

async fn connections_page(door: &Door, session: &Session, status: StatusCode, error: Option<String>) -> Result<Response, Instead> {
    let connections = door.connections.list(&session.tenant).await;
    let connections = connections
        .into_iter()
        .map(|connection| ConnectionCard {
            name: connection.name,
            provider: connection.provider,
            reaches: connection.reaches,
            class: if connection.is_sound { "sound" } else { "broken" },
            state: connection.state,
        })
        .collect();
    let (mut accounts, mut hint) = (Vec::new(), None);
    if let Some(own) = &door.accounts {
        if own.knows(&session.identity) {
            accounts = own.standings(&holder(session)).await.into_iter().map(|standing| account_card(session, standing)).collect();
        } else if let Some(login) = &door.login {
            hint = Some(format!("To connect accounts of your own, log out and log in with {}.", login.name()));
        }
    }
    let is_waiting = door.accounts.is_some() && door.trips.is_under_way(session.digest(), Errand::Connect).await?;
    Ok(render(status, &ConnectionsPage { frame: frame(door, session).await, connections, accounts, hint, is_waiting, error }))
}

fn account_card(session: &Session, standing: Standing) -> AccountCard {
    let Standing { offer, accounts, state, words } = standing;
    let name = offer.name.to_string();
    let linked = |id: String, since: &str| LinkedAccount { seal: session.seal("disconnect", &name, &id), since: shown(since), id };
    AccountCard {
        is_sound: state == Ok(ConnectionState::Connected),
        state: match state {
            Ok(ConnectionState::Connected) => "Connected",
            Ok(ConnectionState::NotConnected) => "Not connected",
            Ok(ConnectionState::Expired) => "Expired",
            Ok(ConnectionState::SignedOut) => "Login is over",
            Ok(ConnectionState::ScopeMissing) => "A permission is missing",
            Ok(ConnectionState::SecondFactorRequired) => "A second factor is wanted",
            Ok(ConnectionState::RateLimited) => "Waiting",
            Ok(ConnectionState::OperatorError) => "Wrongly set up",
            Err(_) => "Not known now",
        },
        words: words.unwrap_or_default(),
        accounts: accounts.iter().map(|account| linked(account.id.clone(), &account.created_at)).collect(),
        connect_seal: session.seal("connect", &name, ""),
        check_seal: session.seal("check", &name, ""),
        scopes: offer.scopes.join(", "),
        name,
    }
}

pub(super) async fn connections(State(door): State<Door>, Known(session): Known) -> Result<Response, Instead> {
    connections_page(&door, &session, StatusCode::OK, None).await
}

#[derive(Deserialize)]
pub(super) struct OfferForm {
    seal: String,
    name: String,
    #[serde(default)]
    id: String,
}

/// The offer that a sealed form is about.
fn offered<'d>(door: &'d Door, session: &Session, sent: &OfferForm, purpose: &str) -> Result<(&'d Arc<Accounts>, &'d Offer), Instead> {
    if !session.is_sealed(&sent.seal, purpose, &sent.name, &sent.id) {
        return Err(forged());
    }
    let accounts = door.accounts.as_ref().filter(|accounts| accounts.knows(&session.identity));
    accounts.and_then(|accounts| Some((accounts, accounts.offer(&sent.name)?))).ok_or_else(forged)
}

/// Begins in a new tab: this answer is what it shows first.
pub(super) async fn connect(
    State(door): State<Door>,
    Known(session): Known,
    sent: Result<Form<OfferForm>, FormRejection>,
) -> Result<Response, Instead> {
    let sent = form(sent)?;
    let (accounts, offer) = offered(&door, &session, &sent, "connect")?;
    if !matches!(door.switch.state().await, Ok(None)) {
        return Ok(ended(
            StatusCode::CONFLICT,
            "Not connected",
            "Everything is stopped: nothing is connected until work is taken up again.".to_owned(),
        ));
    }
    let ticket = Ticket::draw()?;
    let connecting = match accounts.begin(&holder(&session), offer, ticket.seed()).await {
        Ok(connecting) => connecting,
        Err(problem) => return Ok(ended(StatusCode::BAD_GATEWAY, "Not connected", problem.words())),
    };
    let sealed = ticket.seal(connecting.session())?;
    door.trips.begin(&ticket, Errand::Connect, Some(session.digest()), offer.name.as_str(), "/connections", Some(sealed), LIFE).await?;
    let mut response = onward(connecting.url());
    if let Some(cookie) = ticket.cookie(&door, Errand::Connect) {
        response.headers_mut().append(header::SET_COOKIE, cookie);
    }
    Ok(response)
}

/// What is said in the tab in which the provider was; it may be the only one.
fn ended(status: StatusCode, head: &'static str, text: String) -> Response {
    render(status, &ConnectedPage { frame: bare_frame(String::new()), head, text })
}

#[derive(Deserialize)]
pub(super) struct Brought {
    #[serde(default)]
    state: String,
    connect_code: Option<Credential>,
    error: Option<String>,
}

/// The browser is back from the provider.
pub(super) async fn callback(
    State(door): State<Door>,
    headers: HeaderMap,
    sent: Result<Form<Brought>, FormRejection>,
) -> Result<Response, Instead> {
    let failed = |problem: &Problem| ended(StatusCode::FORBIDDEN, "Not connected", problem.words());
    let foreign = || failed(&AccountsError::ForeignCallback.into());
    let (Some(accounts), Ok(Form(brought))) = (&door.accounts, sent) else { return Ok(foreign()) };
    let Some(ticket) = Ticket::of(&door, &headers, Errand::Connect) else { return Ok(foreign()) };
    let Some(trip) = door.trips.find(&ticket, Errand::Connect).await? else { return Ok(foreign()) };
    let Some(auth_session) = trip.sealed.as_deref().and_then(|sealed| ticket.open(sealed)) else { return Ok(foreign()) };
    let connecting = Connecting::again(ticket.seed(), auth_session, &accounts.redirect());
    // Another one's answer ends nothing.
    if !connecting.is_answered_by(&brought.state) || door.trips.end(&ticket, Errand::Connect).await?.is_none() {
        return Ok(foreign());
    }
    let owner = match trip.session {
        Some(session) => door.sessions.owner(session).await?,
        None => None,
    };
    let owner = match owner {
        Some(owner) if answers::is_known(&door, &owner.identity, &owner.tenant).await? => Some(owner),
        _ => None,
    };
    let is_stopped = !matches!(door.switch.state().await, Ok(None));
    let mut response = match (owner, accounts.offer(&trip.about), brought.connect_code) {
        _ if is_stopped => {
            ended(StatusCode::CONFLICT, "Not connected", "Everything was stopped meanwhile. Nothing was connected.".to_owned())
        }
        (None, ..) => {
            ended(StatusCode::FORBIDDEN, "Not connected", "The session that began this is over. Log in and begin again.".to_owned())
        }
        (_, None, _) => foreign(),
        (Some(_), Some(_), None) => {
            let words = match brought.error.as_deref() {
                Some("access_denied") => "You or the provider said no. Nothing was connected. Begin again if you want to.",
                _ => {
                    "The provider connected nothing and gave no code. Begin again; if it stays so, whoever runs the broker looks into the log of the Auth0 tenant."
                }
            };
            ended(StatusCode::FORBIDDEN, "Not connected", words.to_owned())
        }
        (Some(owner), Some(offer), Some(code)) => {
            let holder = Holder { tenant: owner.tenant, identity: owner.identity };
            let callback = ConnectCallback { state: &brought.state, code: code.0 };
            match accounts.complete(&holder, offer, connecting, &callback).await {
                Ok(_) => ended(StatusCode::OK, "Connected", format!("`{}` is connected. Only this broker can use it.", offer.name)),
                Err(problem) => failed(&problem),
            }
        }
    };
    if let Some(cookie) = no_ticket(&door, Errand::Connect) {
        response.headers_mut().append(header::SET_COOKIE, cookie);
    }
    Ok(response)
}

pub(super) async fn disconnect(
    State(door): State<Door>,
    Known(session): Known,
    sent: Result<Form<OfferForm>, FormRejection>,
) -> Result<Response, Instead> {
    let sent = form(sent)?;
    let (accounts, offer) = offered(&door, &session, &sent, "disconnect")?;
    match accounts.disconnect(&holder(&session), offer, &sent.id).await {
        Ok(Disconnected::Dead) => Ok(Redirect::to("/connections").into_response()),
        Ok(Disconnected::Forgotten) => {
            let words = format!(
                "`{}` is disconnected, and nobody borrows it any more. Its own provider hasn’t confirmed that its token is dead: take back \
                 there what you allowed (at GitHub: Settings, Applications).",
                offer.name
            );
            connections_page(&door, &session, StatusCode::OK, Some(words)).await
        }
        Err(problem) => connections_page(&door, &session, StatusCode::CONFLICT, Some(problem.words())).await,
    }
}

pub(super) async fn check(
    State(door): State<Door>,
    Known(session): Known,
    sent: Result<Form<OfferForm>, FormRejection>,
) -> Result<Response, Instead> {
    let sent = form(sent)?;
    let (accounts, offer) = offered(&door, &session, &sent, "check")?;
    match accounts.check(&holder(&session), offer).await {
        None => Ok(Redirect::to("/connections").into_response()),
        Some(words) => connections_page(&door, &session, StatusCode::CONFLICT, Some(words)).await,
    }
}

/// What somebody began in a terminal.
pub(super) async fn asked(State(door): State<Door>, Known(session): Known, Path(text): Path<String>) -> Result<Response, Instead> {
    let over =
        || Instead::Failed(StatusCode::GONE, "There is no such request", "Its ten minutes are over. Ask again in the terminal.".to_owned());
    let accounts = door.accounts.as_deref().ok_or_else(over)?;
    let request: Digest = text.parse().map_err(|_| over())?;
    let waiting = accounts.waiting(&request).filter(|waiting| waiting.tenant.as_str() == session.tenant).ok_or_else(over)?;
    let name = waiting.name.to_string();
    let page = ConnectPage {
        frame: frame(&door, &session).await,
        code: request.short_code().to_string(),
        asker: shown(waiting.asker.as_str()),
        seal: session.seal("connect", &name, ""),
        is_own: accounts.knows(&session.identity),
        provider: door.login.as_ref().map(|login| login.name().to_owned()).unwrap_or_default(),
        name,
    };
    Ok(render(StatusCode::OK, &page))
}
