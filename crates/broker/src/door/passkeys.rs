//! The page of a person's passkeys.

use axum::extract::rejection::FormRejection;
use axum::extract::{Form, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Redirect, Response};
use data_encoding::BASE64URL_NOPAD;
use keyblind_intent::Digest;
use serde::Deserialize;

use super::Door;
use super::answers::{Instead, Known, act, forged, form, fresh_frame, sentence};
use super::pages::{KeyCard, PasskeysPage, render};
use super::sessions::{Removed, Session, random};
use super::text::shown;
use crate::approvals::Act;
use crate::approvals::passkey::Registration;

async fn passkeys_page(door: &Door, session: &Session, status: StatusCode, error: Option<String>) -> Result<Response, Instead> {
    let challenge = BASE64URL_NOPAD.encode(&random()?);
    let page = PasskeysPage {
        frame: fresh_frame(door, session, "/passkeys").await,
        error,
        keys: door
            .sessions
            .passkeys(&session.identity)
            .await?
            .iter()
            .map(|key| {
                let id = BASE64URL_NOPAD.encode(&key.passkey.id);
                KeyCard { name: shown(&key.name), added: key.added.to_string(), seal: session.seal("remove-passkey", &id, ""), id }
            })
            .collect(),
        seal: session.seal("passkey", "", &challenge),
        challenge,
        party: door.party.id.clone(),
        // What the key is filed under on the device says nothing about its owner.
        user: BASE64URL_NOPAD.encode(Digest::of(session.identity.to_string().as_bytes()).as_bytes()),
        who: session.identity.subject().to_owned(),
    };
    Ok(render(status, &page))
}

pub(super) async fn passkeys(State(door): State<Door>, Known(session): Known) -> Result<Response, Instead> {
    passkeys_page(&door, &session, StatusCode::OK, None).await
}

#[derive(Deserialize)]
pub(super) struct PasskeyForm {
    seal: String,
    challenge: String,
    registration: String,
    name: String,
}

pub(super) async fn add_passkey(
    State(door): State<Door>,
    Known(session): Known,
    sent: Result<Form<PasskeyForm>, FormRejection>,
) -> Result<Response, Instead> {
    let sent = form(sent)?;
    if !session.is_sealed(&sent.seal, "passkey", "", &sent.challenge) {
        return Err(forged());
    }
    let refused = async |words: &str| passkeys_page(&door, &session, StatusCode::FORBIDDEN, Some(words.to_owned())).await;
    if !session.is_fresh(door.clock.now()) {
        return refused("Log in again first: a passkey can be added in the five minutes after a login.").await;
    }
    let (Ok(registration), Some(challenge)) = (
        serde_json::from_str::<Registration>(&sent.registration),
        BASE64URL_NOPAD.decode(sent.challenge.as_bytes()).ok().and_then(|bytes| <[u8; 32]>::try_from(bytes).ok()),
    ) else {
        return refused("The passkey’s answer can’t be read.").await;
    };
    let passkey = match registration.verify(&door.party, &challenge) {
        Ok(passkey) => passkey,
        Err(error) => return refused(&sentence(&error.to_string())).await,
    };
    let name: String = sent.name.trim().chars().take(60).collect();
    let name = if name.is_empty() { "Passkey" } else { &name };
    let entry = act(&door, &session, Act::PasskeyAdded).await;
    if !door.sessions.add_passkey(&session.identity, passkey, name, session.nonce("passkey", &sent.challenge), entry).await? {
        return refused("This passkey is registered already, or this form was sent before.").await;
    }
    Ok(Redirect::to("/passkeys").into_response())
}

#[derive(Deserialize)]
pub(super) struct RemoveForm {
    seal: String,
    id: String,
    #[serde(default)]
    typed: String,
}

/// A device that is lost or copied must not approve any more. The last passkey goes only if somebody says so.
pub(super) async fn remove_passkey(
    State(door): State<Door>,
    Known(session): Known,
    sent: Result<Form<RemoveForm>, FormRejection>,
) -> Result<Response, Instead> {
    let sent = form(sent)?;
    if !session.is_sealed(&sent.seal, "remove-passkey", &sent.id, "") {
        return Err(forged());
    }
    let refused = async |words: &str| passkeys_page(&door, &session, StatusCode::FORBIDDEN, Some(words.to_owned())).await;
    if !session.is_fresh(door.clock.now()) {
        return refused("Log in again first: a passkey can be removed in the five minutes after a login.").await;
    }
    let Ok(id) = BASE64URL_NOPAD.decode(sent.id.as_bytes()) else { return Err(forged()) };
    let may_be_last = sent.typed.trim().eq_ignore_ascii_case("last");
    let entry = act(&door, &session, Act::PasskeyRemoved).await;
    match door.sessions.remove_passkey(&session.identity, id, may_be_last, entry).await? {
        Removed::Gone => Ok(Redirect::to("/passkeys").into_response()),
        Removed::Unknown => refused("There is no such passkey of yours.").await,
        Removed::Last => refused("This is your last passkey. Without one you can’t approve what needs one: type last to remove it.").await,
    }
}
