//! Missions.

use std::path::PathBuf;
use std::time::Instant;

use axum::extract::rejection::JsonRejection;
use axum::extract::{Path, Query, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use keyblind_mission::{Request, Wish, begin};
use keyblind_store::{Begun, EventRow, MissionId, MissionRow, MissionState, Page, Wanted};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::{IntoParams, ToSchema};

use crate::Web;
use crate::events::{last_seen, stream};
use crate::failure::{ApiFailure, Failure, Problem};
use crate::moments::iso;
use crate::pages::mission::attachment;
use crate::pages::missions::admit;
use crate::tokens::Scope;
use crate::visitor::Caller;
use crate::words::steps;

/// The longest idempotency key, in bytes.
const LONGEST_KEY: usize = 200;

/// The routes of this file.
pub(super) fn router() -> Router<Web> {
    Router::new()
        .route("/api/v1/missions", get(list).post(create))
        .route("/api/v1/missions/{id}", get(show))
        .route("/api/v1/missions/{id}/cancel", post(cancel))
        .route("/api/v1/missions/{id}/events", get(events))
        .route("/api/v1/missions/{id}/events/stream", get(stream_events))
        .route("/api/v1/missions/{id}/documents", get(documents))
        .route("/api/v1/missions/{id}/documents/{name}", get(document))
}

/// A mission.
#[derive(Serialize, ToSchema)]
pub(super) struct Mission {
    /// Its identifier.
    id: String,
    /// What it does, like `scan-path`.
    kind: String,
    /// What was asked.
    #[schema(value_type = Object)]
    request: Value,
    /// queued, running, waiting, done, failed or cancelled; nothing follows the last three.
    state: String,
    /// The step that it is at, or ended with.
    step: String,
    /// All its steps, in order.
    steps: Vec<String>,
    /// Who began it.
    owner: String,
    /// How many events it has.
    events: u64,
    /// When it began (RFC 3339).
    begun: String,
    /// When it last changed (RFC 3339).
    changed: String,
}

impl Mission {
    fn of(row: &MissionRow) -> Self {
        Self {
            id: row.id.to_string(),
            kind: row.kind.clone(),
            request: serde_json::from_str(&row.request).unwrap_or_default(),
            state: row.state.word().to_owned(),
            step: row.step.clone(),
            steps: steps(row).into_iter().map(str::to_owned).collect(),
            owner: row.owner.as_str().to_owned(),
            events: row.events,
            begun: iso(row.begun),
            changed: iso(row.changed),
        }
    }
}

/// A page of missions.
#[derive(Serialize, ToSchema)]
pub(super) struct MissionList {
    /// The newest first.
    missions: Vec<Mission>,
    /// What to give as `after` for the next page; none on the last.
    next: Option<String>,
}

/// A mission that is wanted: the scan of a folder.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct NewMission {
    /// The folder on the server, absolute. An administrator must have allowed it.
    path: String,
}

/// Something that happened.
#[derive(Serialize, ToSchema)]
pub(super) struct MissionEvent {
    /// Its place in the mission, from 1 without gaps.
    number: u64,
    /// When (RFC 3339).
    occurred: String,
    /// Its kind.
    kind: String,
    /// What it says. It can hold text of others.
    #[schema(value_type = Object)]
    body: Value,
}

impl MissionEvent {
    fn of(row: &EventRow) -> Self {
        Self {
            number: row.number,
            occurred: iso(row.occurred),
            kind: row.kind.clone(),
            body: serde_json::from_str(&row.body).unwrap_or_default(),
        }
    }
}

/// A page of events.
#[derive(Serialize, ToSchema)]
pub(super) struct EventList {
    /// In order.
    events: Vec<MissionEvent>,
    /// What to give as `after` to go on.
    last: u64,
}

/// Something that a mission made.
#[derive(Serialize, ToSchema)]
pub(super) struct MissionDocument {
    /// Its name.
    name: String,
    /// The SHA-256 of its bytes, in hexadecimal digits.
    digest: String,
    /// How many bytes it has.
    bytes: u64,
}

/// What a mission made.
#[derive(Serialize, ToSchema)]
pub(super) struct DocumentList {
    /// By name.
    documents: Vec<MissionDocument>,
}

#[derive(Deserialize, IntoParams)]
pub(super) struct ListParameters {
    /// Only missions in this state.
    state: Option<String>,
    /// The last mission of the page before.
    after: Option<String>,
    /// Missions on one page; 50 if nothing is said.
    #[param(minimum = 1, maximum = 200)]
    most: Option<u32>,
}

#[derive(Deserialize, IntoParams)]
pub(super) struct EventParameters {
    /// The number of the last event that you have.
    after: Option<u64>,
    /// Events on one page; 200 if nothing is said.
    #[param(minimum = 1, maximum = 1000)]
    most: Option<u32>,
}

async fn find(web: &Web, caller: &Caller, id: &str) -> Result<MissionRow, Failure> {
    let id: MissionId = id.parse().map_err(|_| Failure::Unknown)?;
    web.store.mission(&caller.tenant, id).await?.ok_or(Failure::Unknown)
}

/// List missions
///
/// The newest first. Takes `missions:read`.
#[utoipa::path(get, path = "/api/v1/missions", operation_id = "listMissions", tag = "missions", params(ListParameters), responses(
    (status = 200, description = "A page of missions", body = MissionList),
    (status = 400, description = "A parameter makes no sense", body = Problem, content_type = "application/problem+json"),
    (status = 401, description = "No valid token", body = Problem, content_type = "application/problem+json"),
    (status = 403, description = "The token may not do this", body = Problem, content_type = "application/problem+json")
))]
pub(super) async fn list(
    State(web): State<Web>,
    caller: Caller,
    Query(parameters): Query<ListParameters>,
) -> Result<Json<MissionList>, ApiFailure> {
    caller.must_have(Scope::ReadMissions)?;
    let state = match parameters.state.as_deref() {
        None => None,
        Some(word) => {
            let state = MissionState::ALL.into_iter().find(|state| state.word() == word);
            Some(state.ok_or_else(|| Failure::Wrong("`state` is queued, running, waiting, done, failed or cancelled".to_owned()))?)
        }
    };
    let after = parameters.after.as_deref().map(str::parse::<MissionId>).transpose();
    let after = after.map_err(|_| Failure::Wrong("`after` is a mission’s identifier".to_owned()))?;
    let most = parameters.most.unwrap_or(50).clamp(1, 200);
    let mut rows = web.store.wanted_missions(&caller.tenant, Wanted { state, kind: None }, Page { after, most: most + 1 }).await?;
    let has_more = rows.len() > most as usize;
    rows.truncate(most as usize);
    let next = rows.last().filter(|_| has_more).map(|row| row.id.to_string());
    Ok(Json(MissionList { missions: rows.iter().map(Mission::of).collect(), next }))
}

/// Begin a mission
///
/// With the header `Idempotency-Key`, who asks twice begins one mission. Takes `missions:write`.
#[utoipa::path(post, path = "/api/v1/missions", operation_id = "createMission", tag = "missions", request_body = NewMission,
    params(("Idempotency-Key" = Option<String>, Header, description = "1 to 200 visible ASCII characters")), responses(
    (status = 201, description = "The mission", body = Mission, headers(("Location" = String, description = "Its address"))),
    (status = 200, description = "The mission that was begun with the same key before", body = Mission),
    (status = 400, description = "The folder may not be scanned, or the body makes no sense", body = Problem, content_type = "application/problem+json"),
    (status = 401, description = "No valid token", body = Problem, content_type = "application/problem+json"),
    (status = 403, description = "The token may not do this", body = Problem, content_type = "application/problem+json"),
    (status = 409, description = "The key was used for another request", body = Problem, content_type = "application/problem+json"),
    (status = 429, description = "Too many scans were begun", body = Problem, content_type = "application/problem+json")
))]
pub(super) async fn create(
    State(web): State<Web>,
    caller: Caller,
    headers: HeaderMap,
    body: Result<Json<NewMission>, JsonRejection>,
) -> Result<Response, ApiFailure> {
    caller.must_have(Scope::WriteMissions)?;
    let Json(wanted) = body.map_err(|rejection| Failure::Wrong(rejection.body_text()))?;
    let idempotency = match headers.get("idempotency-key") {
        None => None,
        Some(key) => {
            let key = key.to_str().ok().filter(|key| (1..=LONGEST_KEY).contains(&key.len()));
            Some(key.ok_or_else(|| Failure::Wrong("`Idempotency-Key` has 1 to 200 visible ASCII characters".to_owned()))?.to_owned())
        }
    };
    let path = admit(&web, &PathBuf::from(wanted.path)).await?;
    web.scans.take((caller.tenant.clone(), caller.subject.clone()), Instant::now()).map_err(|wait| Failure::TooOften(wait.as_secs()))?;
    let wish = Wish { tenant: caller.tenant.clone(), owner: caller.subject.clone(), request: Request::ScanPath { path }, idempotency };
    let begun = begin(&web.store, &wish, web.now()).await?;
    let mission = web.store.mission(&caller.tenant, begun.id()).await?.ok_or(Failure::Unknown)?;
    let status = if matches!(begun, Begun::New(_)) { StatusCode::CREATED } else { StatusCode::OK };
    let location = format!("/api/v1/missions/{}", mission.id);
    Ok((status, [(header::LOCATION, location)], Json(Mission::of(&mission))).into_response())
}

/// Show a mission
///
/// Takes `missions:read`.
#[utoipa::path(get, path = "/api/v1/missions/{id}", operation_id = "showMission", tag = "missions", params(("id" = String, Path, description = "The mission")), responses(
    (status = 200, description = "The mission", body = Mission),
    (status = 401, description = "No valid token", body = Problem, content_type = "application/problem+json"),
    (status = 403, description = "The token may not do this", body = Problem, content_type = "application/problem+json"),
    (status = 404, description = "There is no such mission", body = Problem, content_type = "application/problem+json")
))]
pub(super) async fn show(State(web): State<Web>, caller: Caller, Path(id): Path<String>) -> Result<Json<Mission>, ApiFailure> {
    caller.must_have(Scope::ReadMissions)?;
    Ok(Json(Mission::of(&find(&web, &caller, &id).await?)))
}

/// End a mission
///
/// At once where no worker has its step, within seconds otherwise. Takes `missions:write`.
#[utoipa::path(post, path = "/api/v1/missions/{id}/cancel", operation_id = "cancelMission", tag = "missions", params(("id" = String, Path, description = "The mission")), responses(
    (status = 202, description = "It has ended, or ends within seconds", body = Mission),
    (status = 401, description = "No valid token", body = Problem, content_type = "application/problem+json"),
    (status = 403, description = "The token may not do this", body = Problem, content_type = "application/problem+json"),
    (status = 404, description = "There is no such mission", body = Problem, content_type = "application/problem+json"),
    (status = 409, description = "It had ended before", body = Problem, content_type = "application/problem+json")
))]
pub(super) async fn cancel(State(web): State<Web>, caller: Caller, Path(id): Path<String>) -> Result<Response, ApiFailure> {
    use keyblind_store::Cancelled;
    caller.must_have(Scope::WriteMissions)?;
    let mission = find(&web, &caller, &id).await?;
    match web.store.cancel(&caller.tenant, mission.id, &caller.subject, web.now()).await? {
        Cancelled::Ended | Cancelled::Asked => {}
        Cancelled::TooLate => return Err(Failure::Conflict("The mission had ended before.".to_owned()).into()),
        Cancelled::Unknown => return Err(Failure::Unknown.into()),
    }
    Ok((StatusCode::ACCEPTED, Json(Mission::of(&find(&web, &caller, &id).await?))).into_response())
}

/// List a mission's events
///
/// In order. Takes `missions:read`.
#[utoipa::path(get, path = "/api/v1/missions/{id}/events", operation_id = "listEvents", tag = "missions",
    params(("id" = String, Path, description = "The mission"), EventParameters), responses(
    (status = 200, description = "Events after a number", body = EventList),
    (status = 401, description = "No valid token", body = Problem, content_type = "application/problem+json"),
    (status = 403, description = "The token may not do this", body = Problem, content_type = "application/problem+json"),
    (status = 404, description = "There is no such mission", body = Problem, content_type = "application/problem+json")
))]
pub(super) async fn events(
    State(web): State<Web>,
    caller: Caller,
    Path(id): Path<String>,
    Query(parameters): Query<EventParameters>,
) -> Result<Json<EventList>, ApiFailure> {
    caller.must_have(Scope::ReadMissions)?;
    let mission = find(&web, &caller, &id).await?;
    let (after, most) = (parameters.after.unwrap_or(0).min(mission.events), parameters.most.unwrap_or(200).clamp(1, 1_000));
    let rows = web.store.events(&caller.tenant, mission.id, after, most).await?;
    let last = rows.last().map_or(after, |row| row.number);
    Ok(Json(EventList { events: rows.iter().map(MissionEvent::of).collect(), last }))
}

/// Follow a mission's events
///
/// Server-sent events named `event`, whose data is a mission event without its number, which is the event's id; the last one is named `end`.
/// The header `Last-Event-ID` goes on after a number. A stream lasts five minutes at most. Takes `missions:read`.
#[utoipa::path(get, path = "/api/v1/missions/{id}/events/stream", operation_id = "followEvents", tag = "missions",
    params(("id" = String, Path, description = "The mission"), ("after" = Option<u64>, Query, description = "The number of the last event that you have")), responses(
    (status = 200, description = "A stream", body = String, content_type = "text/event-stream"),
    (status = 401, description = "No valid token", body = Problem, content_type = "application/problem+json"),
    (status = 403, description = "The token may not do this", body = Problem, content_type = "application/problem+json"),
    (status = 404, description = "There is no such mission", body = Problem, content_type = "application/problem+json"),
    (status = 429, description = "Too many streams are open", body = Problem, content_type = "application/problem+json")
))]
pub(super) async fn stream_events(
    State(web): State<Web>,
    caller: Caller,
    Path(id): Path<String>,
    Query(parameters): Query<EventParameters>,
    headers: HeaderMap,
) -> Result<Response, ApiFailure> {
    caller.must_have(Scope::ReadMissions)?;
    let mission = find(&web, &caller, &id).await?;
    let telling = |row: &EventRow| serde_json::to_value(MissionEvent::of(row)).unwrap_or_default();
    let last = last_seen(&headers, parameters.after);
    Ok(stream(&web, caller.tenant, mission.id, last, telling).ok_or(Failure::TooOften(10))?)
}

/// List what a mission made
///
/// Takes `missions:read`.
#[utoipa::path(get, path = "/api/v1/missions/{id}/documents", operation_id = "listDocuments", tag = "missions", params(("id" = String, Path, description = "The mission")), responses(
    (status = 200, description = "Its documents", body = DocumentList),
    (status = 401, description = "No valid token", body = Problem, content_type = "application/problem+json"),
    (status = 403, description = "The token may not do this", body = Problem, content_type = "application/problem+json"),
    (status = 404, description = "There is no such mission", body = Problem, content_type = "application/problem+json")
))]
pub(super) async fn documents(State(web): State<Web>, caller: Caller, Path(id): Path<String>) -> Result<Json<DocumentList>, ApiFailure> {
    caller.must_have(Scope::ReadMissions)?;
    let mission = find(&web, &caller, &id).await?;
    let rows = web.store.documents(&caller.tenant, mission.id).await?;
    let document = |row: keyblind_store::DocumentRow| MissionDocument { name: row.name, digest: row.digest.to_string(), bytes: row.bytes };
    Ok(Json(DocumentList { documents: rows.into_iter().map(document).collect() }))
}

/// Get something that a mission made
///
/// Takes `missions:read`.
#[utoipa::path(get, path = "/api/v1/missions/{id}/documents/{name}", operation_id = "getDocument", tag = "missions",
    params(("id" = String, Path, description = "The mission"), ("name" = String, Path, description = "The document")), responses(
    (status = 200, description = "Its bytes", body = Vec<u8>, content_type = "application/octet-stream"),
    (status = 401, description = "No valid token", body = Problem, content_type = "application/problem+json"),
    (status = 403, description = "The token may not do this", body = Problem, content_type = "application/problem+json"),
    (status = 404, description = "There is no such mission or document", body = Problem, content_type = "application/problem+json")
))]
pub(super) async fn document(
    State(web): State<Web>,
    caller: Caller,
    Path((id, name)): Path<(String, String)>,
) -> Result<Response, ApiFailure> {
    caller.must_have(Scope::ReadMissions)?;
    let mission = find(&web, &caller, &id).await?;
    let bytes = web.store.document(&caller.tenant, mission.id, &name).await?.ok_or(Failure::Unknown)?;
    Ok(attachment(&format!("keyblind-{}-{name}", mission.id), bytes))
}
