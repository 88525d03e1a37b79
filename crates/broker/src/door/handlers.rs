//! What the addresses of logging in, deciding and the policy answer.

use axum::extract::rejection::FormRejection;
use axum::extract::{Form, Path, State};
use axum::http::StatusCode;
use axum::http::header;
use axum::response::{IntoResponse, Redirect, Response};
use data_encoding::BASE64URL_NOPAD;
use keyblind_intent::Digest;
use serde::Deserialize;

use super::Door;
use super::answers::{Instead, Known, SealForm, digest, forged, form, frame, fresh_frame, sentence, session_cookie};
use super::login;
use super::pages::{Card, ChangePage, HomePage, PolicyPage, ProposalCard, WholePage, render};
use super::places::Place;
use super::sessions::{Session, random};
use super::view::{self, ChangeView, remaining};
use crate::approvals::passkey::Assertion;
use crate::approvals::policy::{Answer, Channel, Identity, Standing};
use crate::approvals::{ApprovalError, Request, State as RequestState, Word, ledger_name};
use crate::clock::Timestamp;

pub(super) async fn home(State(door): State<Door>, Known(session): Known) -> Result<Response, Instead> {
    let now = door.approvals.now();
    let mut requests = door.approvals.waiting(&session.tenant).await?;
    let all = requests.len();
    requests.retain(|request| request.shown_from <= now);
    let later = all - requests.len();
    requests.sort_by(|left, right| right.proposal.severity.cmp(&left.proposal.severity).then(left.expires.cmp(&right.expires)));
    let page = HomePage {
        frame: frame(&door, &session).await,
        requests: requests
            .iter()
            .map(|request| Card {
                digest: request.change.digest().to_string(),
                severity: view::severity(request.proposal.severity),
                expires_in: remaining(request.expires, now),
                what: view::what(&request.change),
                place: view::where_in_short(&request.change),
                code: view::code(&request.change),
            })
            .collect(),
        later: match later {
            0 => String::new(),
            1 => "One more waits for the end of quiet hours.".to_owned(),
            later => format!("{later} more wait for the end of quiet hours."),
        },
    };
    Ok(render(StatusCode::OK, &page))
}

fn login_page(door: &Door, status: StatusCode, error: Option<&str>, link: Option<(String, String)>) -> Response {
    login::page(door, status, error.map(ToOwned::to_owned), link, &Place::default())
}

const LINK_OVER: &str = "This link has been used, or its five minutes are over. Ask for a new one.";

/// Only shows the button: what previews a link, or fetches it ahead, must not use it up.
pub(super) async fn show_link(State(door): State<Door>, Path(link): Path<String>) -> Result<Response, Instead> {
    Ok(match door.sessions.peek(&link).await? {
        Some(identity) => login_page(&door, StatusCode::OK, None, Some((link, identity.to_string()))),
        None => login_page(&door, StatusCode::GONE, Some(LINK_OVER), None),
    })
}

#[derive(Deserialize)]
pub(super) struct LinkForm {
    link: String,
}

pub(super) async fn use_link(State(door): State<Door>, sent: Result<Form<LinkForm>, FormRejection>) -> Result<Response, Instead> {
    let policy = door.approvals.policy().await.ok().map(|(_, policy)| policy);
    let name = move |identity: &Identity| ledger_name(policy.as_ref(), identity);
    let Some(value) = door.sessions.use_link(&form(sent)?.link, name).await? else {
        return Ok(login_page(&door, StatusCode::GONE, Some(LINK_OVER), None));
    };
    let mut response = Redirect::to("/").into_response();
    if let Some(cookie) = session_cookie(&door, &value, "") {
        response.headers_mut().insert(header::SET_COOKIE, cookie);
    }
    Ok(response)
}

pub(super) async fn logout(
    State(door): State<Door>,
    session: Session,
    sent: Result<Form<SealForm>, FormRejection>,
) -> Result<Response, Instead> {
    if !session.is_sealed(&form(sent)?.seal, "logout", "", "") {
        return Err(forged());
    }
    let policy = door.approvals.policy().await.ok().map(|(_, policy)| policy);
    door.sessions.end(&session, ledger_name(policy.as_ref(), &session.identity)).await?;
    let mut response = Redirect::to("/login").into_response();
    if let Some(cookie) = session_cookie(&door, "", "; Max-Age=0") {
        response.headers_mut().insert(header::SET_COOKIE, cookie);
    }
    Ok(response)
}

/// Compares and prepares a change, beside what answers others, and only few at the same time: the largest have many megabytes.
async fn viewed(door: &Door, request: Request, now: Timestamp, whole: bool) -> Result<ChangeView, Instead> {
    let failed = || Instead::Failed(StatusCode::INTERNAL_SERVER_ERROR, "This change can’t be shown", "So don’t approve it.".to_owned());
    let _turn = door.comparing.acquire().await.map_err(|_| failed())?;
    tokio::task::spawn_blocking(move || ChangeView::new(&request, now, whole)).await.map_err(|_| failed())
}

async fn change_page(
    door: &Door,
    session: &Session,
    request: &Request,
    status: StatusCode,
    error: Option<String>,
) -> Result<Response, Instead> {
    let now = door.approvals.now();
    let (_, policy) = door.approvals.policy().await?;
    let requirement = policy.requirement(&request.proposal).map_err(ApprovalError::from)?;
    let keys = door.sessions.passkeys(&session.identity).await?;
    let allows = |channel| requirement.channels.contains(&channel);
    let nonce = BASE64URL_NOPAD.encode(&random()?);
    let about = request.change.digest().to_string();
    let is_open = request.state == RequestState::Waiting && now < request.expires;
    let can_sign = allows(Channel::Passkey) && !keys.is_empty();
    let by_session_alone = is_open && !can_sign && allows(Channel::Session);
    let view = viewed(door, request.clone(), now, false).await?;
    let page = ChangePage {
        frame: if by_session_alone { fresh_frame(door, session, &format!("/change/{about}")).await } else { frame(door, session).await },
        view,
        is_open,
        said: said(request, is_open, requirement.approvals),
        error,
        must_type: requirement.typed_confirmation,
        can_sign,
        can_session: allows(Channel::Session),
        can_phone: allows(Channel::Phone),
        seal: session.seal("decide", &about, &nonce),
        nonce,
        party: door.party.id.clone(),
        keys: keys.iter().map(|key| BASE64URL_NOPAD.encode(&key.passkey.id)).collect::<Vec<_>>().join(" "),
    };
    Ok(render(status, &page))
}

fn said(request: &Request, is_open: bool, wanted: usize) -> String {
    let yes = request.words.iter().filter(|word| word.answer == Answer::Approve).count();
    match request.state {
        RequestState::Waiting if !is_open => "Its time is over. Nothing was approved.".to_owned(),
        RequestState::Waiting if wanted > 1 => format!("{yes} of {wanted} people have approved."),
        RequestState::Waiting => String::new(),
        RequestState::Approved => "Approved. It is applied once, exactly as shown.".to_owned(),
        RequestState::Refused => "Refused. Nothing happens.".to_owned(),
        RequestState::Expired => "Its time is over. Nothing more happens.".to_owned(),
        RequestState::Void => "Void: everything was stopped.".to_owned(),
        RequestState::Used => "Approved and used: this approval allows nothing more.".to_owned(),
    }
}

pub(super) async fn change(State(door): State<Door>, Known(session): Known, Path(text): Path<String>) -> Result<Response, Instead> {
    let request = door.approvals.request(&session.tenant, digest(&text)?).await?;
    change_page(&door, &session, &request, StatusCode::OK, None).await
}

pub(super) async fn whole_change(State(door): State<Door>, Known(session): Known, Path(text): Path<String>) -> Result<Response, Instead> {
    let request = door.approvals.request(&session.tenant, digest(&text)?).await?;
    let canonical = String::from_utf8_lossy(request.change.canonical()).into_owned();
    let page = WholePage {
        frame: frame(&door, &session).await,
        view: viewed(&door, request, door.approvals.now(), true).await?,
        // What is hidden is spelled out; the page is for reading, the digest is over the bytes.
        canonical: canonical
            .chars()
            .map(|letter| if keyblind_intent::is_hidden(letter) { format!("\\u{{{:x}}}", u32::from(letter)) } else { letter.to_string() })
            .collect(),
    };
    Ok(render(StatusCode::OK, &page))
}

#[derive(Deserialize)]
pub(super) struct DecideForm {
    seal: String,
    nonce: String,
    answer: Answer,
    #[serde(default)]
    typed: String,
    #[serde(default)]
    assertion: String,
}

pub(super) async fn decide(
    State(door): State<Door>,
    Known(session): Known,
    Path(text): Path<String>,
    sent: Result<Form<DecideForm>, FormRejection>,
) -> Result<Response, Instead> {
    let about = digest(&text)?;
    let sent = form(sent)?;
    if !session.is_sealed(&sent.seal, "decide", &about.to_string(), &sent.nonce) {
        return Err(forged());
    }
    let request = door.approvals.request(&session.tenant, about).await?;
    let mut channel = Channel::Session;
    if sent.answer == Answer::Approve && !sent.assertion.is_empty() {
        match signed(&door, &session, &sent.assertion, &about).await? {
            Ok(()) => channel = Channel::Passkey,
            Err(words) => return change_page(&door, &session, &request, StatusCode::FORBIDDEN, Some(words)).await,
        }
    }
    let word = Word {
        digest: about,
        identity: session.identity.clone(),
        tenant: Some(session.tenant.clone()),
        channel,
        answer: sent.answer,
        present_at: session.present_at,
        typed: (!sent.typed.trim().is_empty()).then_some(sent.typed),
        nonce: session.nonce(&about.to_string(), &sent.nonce),
    };
    match door.approvals.decide(word).await {
        Ok(Standing::Approved | Standing::Refused | Standing::Waiting(_)) => Ok(Redirect::to(&format!("/change/{about}")).into_response()),
        Err(error @ (ApprovalError::Policy(_) | ApprovalError::Replayed | ApprovalError::OtherPolicy)) => {
            let request = door.approvals.request(&session.tenant, about).await?;
            change_page(&door, &session, &request, StatusCode::CONFLICT, Some(sentence(&error.to_string()))).await
        }
        Err(error) => Err(error.into()),
    }
}

/// Whether a passkey of this person has signed this digest; if not, why.
async fn signed(door: &Door, session: &Session, assertion: &str, digest: &Digest) -> Result<Result<(), String>, Instead> {
    let Ok(assertion) = serde_json::from_str::<Assertion>(assertion) else {
        return Ok(Err("The passkey’s answer can’t be read.".to_owned()));
    };
    let keys = door.sessions.passkeys(&session.identity).await?;
    let Some(key) = keys.iter().find(|key| assertion.credential_id().is_ok_and(|id| id == key.passkey.id)) else {
        return Ok(Err("This passkey isn’t registered for you.".to_owned()));
    };
    match assertion.verify(&door.party, &key.passkey, digest) {
        Err(error) => Ok(Err(sentence(&error.to_string()))),
        Ok(counter) if door.sessions.count_passkey(&key.passkey, counter).await? => Ok(Ok(())),
        Ok(_) => Ok(Err("This passkey was used twice at the same moment. Nothing was approved.".to_owned())),
    }
}

async fn policy_page(door: &Door, session: &Session, status: StatusCode, error: Option<String>) -> Result<Response, Instead> {
    let in_force = door.approvals.policy_text().await?;
    let proposals = door.approvals.policies_to_come().await?;
    let is_asked = proposals.iter().any(|proposed| proposed.in_force_at.is_none());
    let page = PolicyPage {
        frame: if is_asked { fresh_frame(door, session, "/policy").await } else { frame(door, session).await },
        error,
        proposals: proposals
            .into_iter()
            .map(|proposed| {
                let digest = proposed.digest.to_string();
                ProposalCard {
                    state: match proposed.in_force_at {
                        Some(time) => format!("Agreed. In force from {time}."),
                        None if proposed.agreed == 1 => "One owner has agreed so far.".to_owned(),
                        None => format!("{} owners have agreed so far.", proposed.agreed),
                    },
                    text: proposed.text,
                    is_open: proposed.in_force_at.is_none(),
                    seal: session.seal("policy", &digest, ""),
                    digest,
                }
            })
            .collect(),
        digest: in_force.0.to_string(),
        text: in_force.1,
    };
    Ok(render(status, &page))
}

pub(super) async fn policy(State(door): State<Door>, Known(session): Known) -> Result<Response, Instead> {
    policy_page(&door, &session, StatusCode::OK, None).await
}

pub(super) async fn agree_to_policy(
    State(door): State<Door>,
    Known(session): Known,
    Path(text): Path<String>,
    sent: Result<Form<SealForm>, FormRejection>,
) -> Result<Response, Instead> {
    let about = digest(&text)?;
    if !session.is_sealed(&form(sent)?.seal, "policy", &about.to_string(), "") {
        return Err(forged());
    }
    if !session.is_fresh(door.clock.now()) {
        let words = "Log in again first: this needs a fresh login.".to_owned();
        return policy_page(&door, &session, StatusCode::FORBIDDEN, Some(words)).await;
    }
    match door.approvals.agree_to_policy(about, session.identity.clone()).await {
        Ok(_) => Ok(Redirect::to("/policy").into_response()),
        Err(error @ ApprovalError::Policy(_)) => {
            policy_page(&door, &session, StatusCode::CONFLICT, Some(sentence(&error.to_string()))).await
        }
        Err(error) => Err(error.into()),
    }
}
