//! Rules.

use axum::extract::{Path, Query, State};
use axum::routing::get;
use axum::{Json, Router};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use crate::Web;
use crate::failure::{ApiFailure, Failure, Problem};
use crate::pages::rules::Wanted;
use crate::rules::Rule;
use crate::tokens::Scope;
use crate::visitor::Caller;

/// The routes of this file.
pub(super) fn router() -> Router<Web> {
    Router::new().route("/api/v1/rules", get(list)).route("/api/v1/rules/{id}", get(show))
}

/// A page of rules.
#[derive(Serialize, ToSchema)]
pub(super) struct RuleList {
    rules: Vec<Rule>,
    /// How many there are on all pages.
    total: usize,
    /// The page after this one; none on the last.
    next: Option<usize>,
}

#[derive(Deserialize, IntoParams)]
pub(super) struct ListParameters {
    /// Words that a rule's name, title, aliases or controls hold.
    #[serde(default)]
    words: String,
    /// critical, high, medium, low or info.
    #[serde(default)]
    severity: String,
    /// Like `terraform`.
    #[serde(default)]
    dialect: String,
    /// From 1.
    #[param(minimum = 1)]
    page: Option<usize>,
    /// Rules on one page.
    #[param(minimum = 1, maximum = 500)]
    most: Option<usize>,
}

/// List rules
///
/// By their names. Takes `rules:read`.
#[utoipa::path(get, path = "/api/v1/rules", operation_id = "listRules", tag = "rules", params(ListParameters), responses(
    (status = 200, description = "A page of rules", body = RuleList),
    (status = 401, description = "No valid token", body = Problem, content_type = "application/problem+json"),
    (status = 403, description = "The token may not do this", body = Problem, content_type = "application/problem+json")
))]
pub(super) async fn list(
    State(web): State<Web>,
    caller: Caller,
    Query(parameters): Query<ListParameters>,
) -> Result<Json<RuleList>, ApiFailure> {
    caller.must_have(Scope::ReadRules)?;
    let all = web.rules.all().await?;
    let wanted = Wanted { words: parameters.words, severity: parameters.severity, dialect: parameters.dialect, page: None };
    let found = wanted.of(&all);
    let (page, most) = (parameters.page.unwrap_or(1).max(1), parameters.most.unwrap_or(100).clamp(1, 500));
    let start = (page - 1).saturating_mul(most);
    let rules: Vec<Rule> = found.iter().skip(start).take(most).map(|rule| (*rule).clone()).collect();
    let next = (start.saturating_add(rules.len()) < found.len() && !rules.is_empty()).then_some(page + 1);
    Ok(Json(RuleList { rules, total: found.len(), next }))
}

/// Show a rule
///
/// Takes `rules:read`.
#[utoipa::path(get, path = "/api/v1/rules/{id}", operation_id = "showRule", tag = "rules", params(("id" = String, Path, description = "The rule's name")), responses(
    (status = 200, description = "The rule", body = Rule),
    (status = 401, description = "No valid token", body = Problem, content_type = "application/problem+json"),
    (status = 403, description = "The token may not do this", body = Problem, content_type = "application/problem+json"),
    (status = 404, description = "There is no such rule", body = Problem, content_type = "application/problem+json")
))]
pub(super) async fn show(State(web): State<Web>, caller: Caller, Path(id): Path<String>) -> Result<Json<Rule>, ApiFailure> {
    caller.must_have(Scope::ReadRules)?;
    let all = web.rules.all().await?;
    Ok(Json(all.iter().find(|rule| rule.id == id).cloned().ok_or(Failure::Unknown)?))
}
