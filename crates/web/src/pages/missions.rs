//! Mission control: begin a mission, and see all of them.

use std::path::PathBuf;
use std::time::Instant;

use askama::Template;
use axum::Router;
use axum::extract::{Query, State};
use axum::response::{IntoResponse, Redirect, Response};
use axum::routing::get;
use keyblind_mission::{Request, Wish, begin};
use keyblind_store::{MissionRow, MissionState, Page, Wanted};
use serde::Deserialize;

use crate::failure::{Failure, PageFailure};
use crate::fields::Signed;
use crate::frame::{Frame, Section, page};
use crate::moments::{Moment, span};
use crate::text::shortened;
use crate::visitor::Visitor;
use crate::words::{About, step};
use crate::{Role, Web};

/// Missions on one page.
const A_PAGE: u32 = 25;

/// The routes of this file.
pub(crate) fn router() -> Router<Web> {
    Router::new().route("/missions", get(show).post(start))
}

#[derive(Template)]
#[template(path = "missions.html")]
struct MissionsPage {
    frame: Frame,
    may_start: bool,
    has_example: bool,
    allowed: Vec<String>,
    filters: Vec<Filter>,
    missions: Vec<Card>,
    /// Whether there is no mission at all yet.
    is_first: bool,
    is_moving: bool,
    next: Option<String>,
}

/// A state to choose.
struct Filter {
    word: &'static str,
    count: u64,
    is_chosen: bool,
}

/// A mission in the list.
pub(crate) struct Card {
    pub(crate) id: String,
    pub(crate) what: String,
    pub(crate) short: String,
    pub(crate) target: String,
    pub(crate) state: &'static str,
    pub(crate) step: String,
    pub(crate) owner: String,
    pub(crate) begun: Moment,
    pub(crate) took: String,
}

impl Card {
    pub(crate) fn of(mission: &MissionRow, web: &Web) -> Self {
        let (about, now) = (About::of(mission), web.now());
        let until = if mission.state.is_end() { mission.changed } else { now };
        Self {
            id: mission.id.to_string(),
            short: shortened(about.short(), 80),
            what: about.what,
            target: about.target,
            state: mission.state.word(),
            step: step(&mission.step),
            owner: shortened(mission.owner.as_str(), 40),
            begun: Moment::of(mission.begun, now),
            took: span(until.get().saturating_sub(mission.begun.get())),
        }
    }
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct ListQuery {
    state: String,
    after: String,
}

async fn show(State(web): State<Web>, visitor: Visitor, Query(query): Query<ListQuery>) -> Result<Response, PageFailure> {
    let state = MissionState::ALL.into_iter().find(|state| state.word() == query.state);
    let after = match query.after.as_str() {
        "" => None,
        id => Some(id.parse().map_err(|_| Failure::Unknown)?),
    };
    let wanted = Wanted { state, kind: None };
    let mut rows = web.store.wanted_missions(&visitor.tenant, wanted, Page { after, most: A_PAGE + 1 }).await?;
    let has_more = rows.len() > A_PAGE as usize;
    rows.truncate(A_PAGE as usize);
    let counts = web.store.missions_by_state(&visitor.tenant).await?;
    let total: u64 = counts.iter().map(|(_, count)| count).sum();
    let count = |wanted: MissionState| counts.iter().find(|(state, _)| *state == wanted).map_or(0, |(_, count)| *count);
    let mut filters = vec![Filter { word: "", count: total, is_chosen: state.is_none() }];
    filters.extend(MissionState::ALL.map(|one| Filter { word: one.word(), count: count(one), is_chosen: state == Some(one) }));
    let next = rows.last().filter(|_| has_more).map(|last| {
        let state = state.map(|state| format!("state={}&", state.word())).unwrap_or_default();
        format!("/missions?{state}after={}", last.id)
    });
    Ok(page(&MissionsPage {
        may_start: visitor.role >= Role::Operator,
        has_example: web.settings.example.is_some(),
        allowed: web.settings.allowed.iter().map(|folder| folder.display().to_string()).collect(),
        filters,
        is_moving: rows.iter().any(|mission| !mission.state.is_end()),
        missions: rows.iter().map(|mission| Card::of(mission, &web)).collect(),
        is_first: total == 0,
        next,
        frame: Frame::of(&visitor, "Missions", Section::Missions),
    }))
}

async fn start(State(web): State<Web>, form: Signed) -> Result<Response, PageFailure> {
    let visitor = &form.visitor;
    visitor.must_be(Role::Operator)?;
    let path = match form.text("example") {
        "" => PathBuf::from(form.text("path")),
        _ => web.settings.example.clone().ok_or(Failure::Unknown)?,
    };
    let admitted = admit(&web, &path).await?;
    web.scans.take((visitor.tenant.clone(), visitor.subject.clone()), Instant::now()).map_err(|wait| Failure::TooOften(wait.as_secs()))?;
    let wish = Wish {
        tenant: visitor.tenant.clone(),
        owner: visitor.subject.clone(),
        request: Request::ScanPath { path: admitted },
        idempotency: None,
    };
    let begun = begin(&web.store, &wish, web.now()).await?;
    Ok(Redirect::to(&format!("/missions/{}", begun.id())).into_response())
}

/// The folder, if it may be scanned.
pub(crate) async fn admit(web: &Web, path: &std::path::Path) -> Result<PathBuf, Failure> {
    if !path.is_absolute() {
        return Err(Failure::Wrong("Give the folder’s whole path, from `/` on.".to_owned()));
    }
    let (work, path) = (web.work.clone(), path.to_owned());
    let admitted = tokio::task::spawn_blocking(move || work.admit(&path)).await.map_err(|error| Failure::Broken(error.to_string()))?;
    let admitted = admitted.map_err(|trouble| {
        Failure::Wrong(format!(
            "{}: an administrator names the folder, or one above it, in `scan.allowed`.",
            crate::text::visible(&trouble.to_string())
        ))
    })?;
    Ok(admitted.path)
}
