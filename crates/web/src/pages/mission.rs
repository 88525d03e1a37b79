//! One mission: its steps, what happens in it, what it made.

use askama::Template;
use axum::Router;
use axum::extract::{Path, Query, State};
use axum::http::{HeaderMap, HeaderValue, header};
use axum::response::{IntoResponse, Redirect, Response};
use axum::routing::{get, post};
use keyblind_store::{EventRow, MissionId, MissionRow, MissionState};
use serde::Deserialize;
use serde_json::{Value, json};

use super::missions::Card;
use crate::events::{last_seen, stream};
use crate::failure::{Failure, PageFailure};
use crate::fields::Signed;
use crate::frame::{Frame, Section, page};
use crate::moments::{Moment, took};
use crate::text::{size, visible};
use crate::visitor::Visitor;
use crate::words::{event, step, steps, tone};
use crate::{Role, Web, report};

/// Events that the page begins with; the live terminal brings the rest.
const FIRST_EVENTS: u32 = 1_000;

/// The routes of this file.
pub(crate) fn router() -> Router<Web> {
    Router::new()
        .route("/missions/{id}", get(show))
        .route("/missions/{id}/events", get(events))
        .route("/missions/{id}/cancel", post(cancel))
        .route("/missions/{id}/documents/{name}", get(document))
}

#[derive(Template)]
#[template(path = "mission.html")]
struct MissionPage {
    frame: Frame,
    card: Card,
    steps: Vec<StepView>,
    lines: Vec<Line>,
    last: u64,
    is_over: bool,
    is_ending: bool,
    may_cancel: bool,
    /// Why it can't go on.
    reason: Option<String>,
    figures: Option<Figures>,
    documents: Vec<DocumentView>,
    has_report: bool,
    created: Moment,
    changed: Moment,
}

/// A step on the way.
struct StepView {
    name: String,
    /// `done`, `now`, `bad` or `later`.
    state: &'static str,
    words: &'static str,
    took: String,
}

/// A line of the terminal.
struct Line {
    number: u64,
    clock: String,
    iso: String,
    tone: &'static str,
    text: String,
}

/// How many failures there are of each severity.
struct Figures {
    counts: Vec<(&'static str, u64)>,
    unknown: u64,
    resources: u64,
    safe: u64,
}

/// Something that the mission made.
pub(crate) struct DocumentView {
    pub(crate) name: String,
    pub(crate) words: &'static str,
    pub(crate) size: String,
}

async fn show(State(web): State<Web>, visitor: Visitor, Path(id): Path<String>) -> Result<Response, PageFailure> {
    let mission = find(&web, &visitor, &id).await?;
    let (tenant, now) = (&visitor.tenant, web.now());
    let events = web.store.events(tenant, mission.id, 0, FIRST_EVENTS).await?;
    let documents = web.store.documents(tenant, mission.id).await?;
    let has_report = documents.iter().any(|document| document.name == report::DOCUMENT);
    let failure = events.iter().rev().find(|event| event.kind == "failed").map(event);
    let card = Card::of(&mission, &web);
    Ok(page(&MissionPage {
        frame: Frame::of(&visitor, format!("{}: {}", card.what, card.short), Section::Missions),
        steps: timeline(&mission, &events),
        lines: events.iter().map(|event| line(event, &web)).collect(),
        last: events.last().map_or(0, |event| event.number),
        is_over: mission.state.is_end(),
        is_ending: mission.is_cancelled && !mission.state.is_end(),
        may_cancel: visitor.role >= Role::Operator && !mission.state.is_end() && !mission.is_cancelled,
        reason: failure.filter(|_| mission.state == MissionState::Failed),
        figures: figures(&events),
        documents: documents.into_iter().filter_map(|document| shown(document.name, document.bytes)).collect(),
        has_report,
        created: Moment::of(mission.begun, now),
        changed: Moment::of(mission.changed, now),
        card,
    }))
}

/// The tenant's own mission.
pub(crate) async fn find(web: &Web, visitor: &Visitor, id: &str) -> Result<MissionRow, Failure> {
    let id: MissionId = id.parse().map_err(|_| Failure::Unknown)?;
    web.store.mission(&visitor.tenant, id).await?.ok_or(Failure::Unknown)
}

fn line(row: &EventRow, web: &Web) -> Line {
    let moment = Moment::of(row.occurred, web.now());
    Line { number: row.number, clock: moment.clock().to_owned(), iso: moment.iso, tone: tone(&row.kind), text: event(row) }
}

fn telling(row: &EventRow) -> Value {
    let moment = Moment::of(row.occurred, row.occurred);
    json!({ "clock": moment.clock(), "iso": moment.iso, "tone": tone(&row.kind), "text": event(row), "kind": visible(&row.kind) })
}

/// What a document is, for people; nothing for what only pages read.
pub(crate) fn shown(name: String, bytes: u64) -> Option<DocumentView> {
    let words = match name.as_str() {
        report::DOCUMENT => return None,
        "report.html" => "one page that works offline",
        "report.json" => "for programs",
        "report.sarif" => "for code scanning services",
        name if name.ends_with(".patch") => "for `git apply`",
        _ => "",
    };
    Some(DocumentView { name, words, size: size(bytes) })
}

fn timeline(mission: &MissionRow, events: &[EventRow]) -> Vec<StepView> {
    let steps = steps(mission);
    let here = steps.iter().position(|word| *word == mission.step).unwrap_or(0);
    // When each step last began.
    let began = |word: &str| {
        let begun = events.iter().rev().filter(|event| event.kind == "step-begun");
        let body = |event: &EventRow| serde_json::from_str::<Value>(&event.body).unwrap_or_default();
        begun.into_iter().find(|event| body(event)["step"] == word).map(|event| event.occurred.get())
    };
    let view = |(index, word): (usize, &&str)| {
        let (state, words) = match (index.cmp(&here), mission.state) {
            (_, MissionState::Done) | (std::cmp::Ordering::Less, _) => ("done", "done"),
            (std::cmp::Ordering::Greater, _) => ("later", "not begun"),
            (_, MissionState::Failed) => ("bad", "failed"),
            (_, MissionState::Cancelled) => ("bad", "cancelled"),
            (_, MissionState::Waiting) => ("now", "waits"),
            (_, MissionState::Queued) => ("now", "next"),
            (_, MissionState::Running) => ("now", "under way"),
        };
        let until = steps.get(index + 1).and_then(|next| began(next)).unwrap_or_else(|| mission.changed.get());
        let time = began(word).filter(|_| state == "done").map(|from| took(until.saturating_sub(from)));
        StepView { name: step(word), state, words, took: time.unwrap_or_default() }
    };
    steps.iter().enumerate().map(view).collect()
}

fn figures(events: &[EventRow]) -> Option<Figures> {
    let body = |kind: &str| {
        let event = events.iter().rev().find(|event| event.kind == kind)?;
        serde_json::from_str::<Value>(&event.body).ok()
    };
    let scanned = body("scanned")?;
    let failed = &scanned["failed"];
    let counts = ["critical", "high", "medium", "low", "info"].map(|name| (name, failed[name].as_u64().unwrap_or_default()));
    Some(Figures {
        counts: counts.to_vec(),
        unknown: scanned["unknown"].as_u64().unwrap_or_default(),
        resources: scanned["resources"].as_u64().unwrap_or_default(),
        safe: body("fixed").and_then(|fixed| fixed["safe"].as_u64()).unwrap_or_default(),
    })
}

#[derive(Deserialize)]
struct After {
    after: Option<u64>,
}

async fn events(
    State(web): State<Web>,
    visitor: Visitor,
    Path(id): Path<String>,
    Query(After { after }): Query<After>,
    headers: HeaderMap,
) -> Result<Response, PageFailure> {
    let mission = find(&web, &visitor, &id).await?;
    Ok(stream(&web, visitor.tenant, mission.id, last_seen(&headers, after), telling).ok_or(Failure::TooOften(10))?)
}

async fn cancel(State(web): State<Web>, Path(id): Path<String>, form: Signed) -> Result<Response, PageFailure> {
    let visitor = &form.visitor;
    visitor.must_be(Role::Operator)?;
    let mission = find(&web, visitor, &id).await?;
    web.store.cancel(&visitor.tenant, mission.id, &visitor.subject, web.now()).await?;
    Ok(Redirect::to(&format!("/missions/{}", mission.id)).into_response())
}

async fn document(State(web): State<Web>, visitor: Visitor, Path((id, name)): Path<(String, String)>) -> Result<Response, PageFailure> {
    let mission = find(&web, &visitor, &id).await?;
    let bytes = web.store.document(&visitor.tenant, mission.id, &name).await?.ok_or(Failure::Unknown)?;
    Ok(attachment(&format!("keyblind-{}-{name}", mission.id), bytes))
}

/// A file that a browser keeps and never shows as a page of ours.
pub(crate) fn attachment(name: &str, bytes: Vec<u8>) -> Response {
    let kind = match name.rsplit('.').next() {
        Some("json" | "sarif") => "application/json",
        Some("html") => "text/html; charset=utf-8",
        _ => "application/octet-stream",
    };
    let is_plain = |character: char| character.is_ascii_alphanumeric() || matches!(character, '-' | '.' | '_');
    let name: String = name.chars().filter(|character| is_plain(*character)).collect();
    let mut response = ([(header::CONTENT_TYPE, kind)], bytes).into_response();
    let headers = response.headers_mut();
    if let Ok(value) = HeaderValue::try_from(format!("attachment; filename=\"{name}\"")) {
        headers.insert(header::CONTENT_DISPOSITION, value);
    }
    headers.insert(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static("sandbox; default-src 'none'"));
    response
}
