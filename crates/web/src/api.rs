//! The JSON API, `/api/v1`, and its description (OpenAPI 3.1), which is made from the same functions that answer.

mod missions;
mod rules;

use axum::Router;
use axum::http::header;
use axum::response::IntoResponse;
use axum::routing::get;
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityScheme};
use utoipa::{Modify, OpenApi};

use crate::Web;
use crate::failure::{ApiFailure, Failure, Problem};

#[derive(OpenApi)]
#[openapi(
    info(
        title = "Keyblind",
        description = "Missions, their events and what they made; rules. Everything is the caller's tenant's: what isn't, isn't there. \
                       Errors are problem+json (RFC 9457).",
        version = "1",
        license(name = "Apache-2.0", identifier = "Apache-2.0")
    ),
    paths(
        missions::list,
        missions::create,
        missions::show,
        missions::events,
        missions::stream_events,
        missions::documents,
        missions::document,
        missions::cancel,
        rules::list,
        rules::show
    ),
    components(schemas(Problem)),
    security(("token" = [])),
    modifiers(&Token)
)]
struct Description;

/// How callers show who they are.
struct Token;

impl Modify for Token {
    fn modify(&self, document: &mut utoipa::openapi::OpenApi) {
        let token = HttpBuilder::new()
            .scheme(HttpAuthScheme::Bearer)
            .bearer_format("kb_…")
            .description(Some("A token that was made in Settings, or by `keyblind-server token make`."))
            .build();
        document.components.get_or_insert_default().add_security_scheme("token", SecurityScheme::Http(token));
    }
}

/// The API's description as JSON, the same at each call.
#[must_use]
pub fn openapi() -> String {
    // Strings, maps and lists always become JSON.
    Description::openapi().to_pretty_json().unwrap_or_default()
}

/// The routes of the API.
pub(crate) fn router() -> Router<Web> {
    Router::new()
        .merge(missions::router())
        .merge(rules::router())
        .route("/api/v1/openapi.json", get(|| async { ([(header::CONTENT_TYPE, "application/json")], openapi()).into_response() }))
        .route("/api/v1/{*rest}", axum::routing::any(unknown))
}

async fn unknown() -> ApiFailure {
    ApiFailure(Failure::Unknown)
}
