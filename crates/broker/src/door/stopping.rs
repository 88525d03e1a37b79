//! The page of the kill switch: stopping everything, and taking up work again.

use axum::extract::rejection::FormRejection;
use axum::extract::{Form, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Redirect, Response};
use serde::Deserialize;

use super::Door;
use super::answers::{Instead, Known, SealForm, act, forged, form, frame, fresh_frame, sentence};
use super::grants::GrantEnd;
use super::pages::{EndRow, StopPage, render};
use super::sessions::Session;
use super::switch::End;
use super::text::shown;
use crate::approvals::policy::{Policy, Role};
use crate::approvals::{Act, ApprovalError};

async fn stop_view(door: &Door, session: &Session, status: StatusCode, error: Option<String>) -> Result<Response, Instead> {
    let report = door.switch.state().await.map_err(switch_failed)?;
    let stopped = report.is_some();
    let mut figures = Vec::new();
    let mut ends = Vec::new();
    if let Some(report) = report {
        figures.push(("Since", report.since.to_string()));
        figures.push(("Stop", format!("number {}", report.epoch)));
        for (what, end) in report.ends {
            let (class, state) = match end {
                End::Revoked => ("sound", "revoked, confirmed by the provider".to_owned()),
                End::Waiting => ("broken", "not revoked yet: it is tried again and again".to_owned()),
                End::DiesAt(time) => ("broken", format!("can’t be revoked, dies at {time}")),
            };
            ends.push(EndRow { what: shown(&what), class, state });
        }
    }
    if let Some(login) = door.login.as_ref().filter(|_| stopped) {
        let unended = login.grants().unended().await.map_err(|error| Instead::from(ApprovalError::from(error)))?;
        // Another tenant's people are counted, not named.
        let others = unended.iter().filter(|ended| ended.tenant != session.tenant).count();
        for ended in unended.iter().filter(|ended| ended.tenant == session.tenant) {
            let state = match ended.end {
                GrantEnd::Unrevoked => "the provider can’t revoke it. We have forgotten it: end it there",
                GrantEnd::Waiting | GrantEnd::Revoked => "not revoked yet: it is tried again and again",
            };
            ends.push(EndRow { what: shown(&format!("Login of {}", ended.identity)), class: "broken", state: state.to_owned() });
        }
        if others > 0 {
            figures.push(("Elsewhere", format!("{others} logins of other tenants aren’t revoked yet")));
        }
    }
    let seal = session.seal(if stopped { "arm" } else { "stop" }, "", "");
    let frame = if stopped { fresh_frame(door, session, "/stop").await } else { frame(door, session).await };
    Ok(render(status, &StopPage { frame, error, stopped, figures, ends, seal }))
}

fn switch_failed(error: super::SwitchError) -> Instead {
    Instead::Failed(StatusCode::SERVICE_UNAVAILABLE, "The kill switch can’t be reached here", sentence(&error.to_string()))
}

pub(super) async fn stop_page(State(door): State<Door>, Known(session): Known) -> Result<Response, Instead> {
    stop_view(&door, &session, StatusCode::OK, None).await
}

/// Anybody who is logged in may stop: a stop too many costs less than one too few.
pub(super) async fn stop(
    State(door): State<Door>,
    Known(session): Known,
    sent: Result<Form<SealForm>, FormRejection>,
) -> Result<Response, Instead> {
    if !session.is_sealed(&form(sent)?.seal, "stop", "", "") {
        return Err(forged());
    }
    door.switch.stop(session.identity.clone()).await.map_err(switch_failed)?;
    // Who it was is worth a line, but no stop waits for a line.
    let _ = door.approvals.note(act(&door, &session, Act::StopAsked).await).await;
    // It stopped, whether or not this can be recorded now: what is approved can't be used while it is stopped, and taking up work again
    // voids it first.
    let _ = door.approvals.void_all().await;
    let _ = door.sessions.end_others(&session).await;
    Ok(Redirect::to("/stop").into_response())
}

#[derive(Deserialize)]
pub(super) struct ArmForm {
    seal: String,
    #[serde(default)]
    typed: String,
}

pub(super) async fn arm(
    State(door): State<Door>,
    Known(session): Known,
    sent: Result<Form<ArmForm>, FormRejection>,
) -> Result<Response, Instead> {
    let sent = form(sent)?;
    if !session.is_sealed(&sent.seal, "arm", "", "") {
        return Err(forged());
    }
    if !sent.typed.trim().eq_ignore_ascii_case("arm") {
        return stop_view(&door, &session, StatusCode::CONFLICT, Some("Type arm to take up work again.".to_owned())).await;
    }
    // A button that is pressed twice ends one stop, and voids nothing that was asked since.
    if door.switch.state().await.map_err(switch_failed)?.is_none() {
        return Ok(Redirect::to("/").into_response());
    }
    let (_, policy) = door.approvals.policy().await?;
    if !may_arm(&policy, &session) {
        return stop_view(
            &door,
            &session,
            StatusCode::FORBIDDEN,
            Some("Only an owner of the approval policy can take up work again.".to_owned()),
        )
        .await;
    }
    if !session.is_fresh(door.clock.now()) {
        return stop_view(&door, &session, StatusCode::FORBIDDEN, Some("Log in again first: this needs a fresh login.".to_owned())).await;
    }
    door.approvals.note(act(&door, &session, Act::ArmAsked).await).await?;
    // Should the stop not have been able to void them: nothing from before it may be applied after it.
    door.approvals.void_all().await?;
    door.switch.arm(session.identity.clone()).await.map_err(switch_failed)?;
    Ok(Redirect::to("/").into_response())
}

fn may_arm(policy: &Policy, session: &Session) -> bool {
    policy.person_of(&session.identity).is_some_and(|person| person.has(Role::Owner) || policy.solo() == Some(person.id()))
}
