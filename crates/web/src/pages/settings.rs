//! Settings: who one is, and tokens for programs.

use askama::Template;
use axum::Router;
use axum::extract::{Path, State};
use axum::response::{IntoResponse, Redirect, Response};
use axum::routing::{get, post};

use crate::Web;
use crate::failure::{Failure, PageFailure};
use crate::fields::Signed;
use crate::frame::{Frame, Section, page};
use crate::moments::Moment;
use crate::text::visible;
use crate::tokens::{Scope, TokenError, make_token};
use crate::visitor::Visitor;

/// The routes of this file.
pub(crate) fn router() -> Router<Web> {
    Router::new().route("/settings", get(show)).route("/settings/tokens", post(make)).route("/settings/tokens/{id}/end", post(end))
}

#[derive(Template)]
#[template(path = "settings.html")]
struct SettingsPage {
    frame: Frame,
    name: String,
    subject: String,
    tenant: String,
    role: &'static str,
    tokens: Vec<TokenView>,
    scopes: Vec<ScopeView>,
    /// A token that was just made: it is shown once.
    made: Option<String>,
    allowed: Vec<String>,
}

struct TokenView {
    id: String,
    name: String,
    scopes: String,
    begun: Moment,
    ends: Moment,
    used: Option<Moment>,
}

struct ScopeView {
    word: &'static str,
    sentence: &'static str,
    may: bool,
}

async fn render(web: &Web, visitor: &Visitor, made: Option<String>) -> Result<Response, PageFailure> {
    let now = web.now();
    let tokens = web.store.tokens(&visitor.tenant, &visitor.subject).await?;
    Ok(page(&SettingsPage {
        frame: Frame::of(visitor, "Settings", Section::Settings),
        name: visible(&visitor.name),
        subject: visible(visitor.subject.as_str()),
        tenant: visible(visitor.tenant.as_str()),
        role: visitor.role.word(),
        tokens: tokens
            .into_iter()
            .map(|token| TokenView {
                id: token.id,
                name: visible(&token.name),
                scopes: token.scopes,
                begun: Moment::of(token.begun, now),
                ends: Moment::of(token.ends, now),
                used: token.used.map(|used| Moment::of(used, now)),
            })
            .collect(),
        scopes: Scope::ALL
            .map(|scope| ScopeView { word: scope.word(), sentence: scope.sentence(), may: visitor.role >= scope.role() })
            .into(),
        made,
        allowed: web.settings.allowed.iter().map(|folder| folder.display().to_string()).collect(),
    }))
}

async fn show(State(web): State<Web>, visitor: Visitor) -> Result<Response, PageFailure> {
    render(&web, &visitor, None).await
}

async fn make(State(web): State<Web>, form: Signed) -> Result<Response, PageFailure> {
    let visitor = &form.visitor;
    let scopes: Vec<Scope> = Scope::ALL.into_iter().filter(|scope| form.is_ticked(scope.word())).collect();
    let days = form.text("days").parse().map_err(|_| Failure::Wrong("The number of days isn’t a number.".to_owned()))?;
    let who = (&visitor.tenant, &visitor.subject, visitor.role);
    let made = make_token(&web.store, who, form.text("name"), &scopes, days, web.now()).await.map_err(|error| match error {
        TokenError::Wrong(text) => Failure::Wrong(text),
        TokenError::Store(error) => error.into(),
    })?;
    render(&web, visitor, Some(made.text)).await
}

async fn end(State(web): State<Web>, Path(id): Path<String>, form: Signed) -> Result<Response, PageFailure> {
    let visitor = &form.visitor;
    if !web.store.end_token(&visitor.tenant, &visitor.subject, &id, web.now()).await? {
        return Err(Failure::Unknown.into());
    }
    Ok(Redirect::to("/settings").into_response())
}
