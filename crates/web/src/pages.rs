//! The pages: one file each, with a template of the same name.

pub(crate) mod api_reference;
pub(crate) mod error;
pub(crate) mod finding;
pub(crate) mod login;
pub(crate) mod mission;
pub(crate) mod missions;
pub(crate) mod report;
pub(crate) mod rules;
pub(crate) mod settings;

use axum::Router;
use axum::response::Redirect;
use axum::routing::get;

use crate::Web;
use crate::failure::{Failure, PageFailure};

/// The routes of all pages.
pub(crate) fn router() -> Router<Web> {
    Router::new()
        .route("/", get(|| async { Redirect::to("/missions") }))
        .merge(missions::router())
        .merge(mission::router())
        .merge(report::router())
        .merge(finding::router())
        .merge(rules::router())
        .merge(settings::router())
        .merge(api_reference::router())
}

/// There is nothing under an address.
pub(crate) async fn unknown() -> PageFailure {
    PageFailure(Failure::Unknown)
}
