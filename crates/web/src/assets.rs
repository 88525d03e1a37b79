//! Files that pages need, compiled in. Their addresses change with their bytes, so that browsers may keep them.

use std::sync::LazyLock;

use axum::Router;
use axum::extract::Path;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use keyblind_intent::Digest;

use crate::Web;
use crate::failure::{Failure, PageFailure};

/// A file that pages need.
struct Asset {
    kind: &'static str,
    bytes: &'static [u8],
    /// Its name, in which a part of its digest stands.
    name: String,
}

impl Asset {
    fn new(name: &str, end: &str, kind: &'static str, bytes: &'static [u8]) -> Self {
        let digest = Digest::of(bytes).to_string();
        Self { kind, bytes, name: format!("/assets/{name}-{}.{end}", digest.get(..16).unwrap_or_default()) }
    }
}

static STYLE: LazyLock<Asset> = LazyLock::new(|| Asset::new("web", "css", "text/css; charset=utf-8", include_bytes!("../assets/web.css")));
static SCRIPT: LazyLock<Asset> =
    LazyLock::new(|| Asset::new("web", "js", "text/javascript; charset=utf-8", include_bytes!("../assets/web.js")));
static HTMX: LazyLock<Asset> =
    LazyLock::new(|| Asset::new("htmx", "js", "text/javascript; charset=utf-8", include_bytes!("../assets/htmx-2.0.11.min.js")));
static ICON: LazyLock<Asset> = LazyLock::new(|| Asset::new("icon", "svg", "image/svg+xml", include_bytes!("../assets/icon.svg")));

/// The address of the style sheet.
pub(crate) fn style() -> &'static str {
    &STYLE.name
}

/// The address of our own script.
pub(crate) fn script() -> &'static str {
    &SCRIPT.name
}

/// The address of htmx.
pub(crate) fn htmx() -> &'static str {
    &HTMX.name
}

/// The address of the icon.
pub(crate) fn icon() -> &'static str {
    &ICON.name
}

/// The routes of this file.
pub(crate) fn router() -> Router<Web> {
    Router::new().route("/assets/{name}", get(asset))
}

async fn asset(Path(name): Path<String>) -> Result<Response, PageFailure> {
    let all = [&STYLE, &SCRIPT, &HTMX, &ICON];
    let found = all.into_iter().find(|asset| asset.name.strip_prefix("/assets/") == Some(name.as_str())).ok_or(Failure::Unknown)?;
    Ok(([(header::CONTENT_TYPE, found.kind)], found.bytes).into_response())
}
