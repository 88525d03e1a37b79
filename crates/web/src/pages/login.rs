//! How to come in.

use askama::Template;
use axum::extract::State;
use axum::response::Response;

use crate::Web;
use crate::frame::{Frame, Section, page};

#[derive(Template)]
#[template(path = "login.html")]
struct LoginPage {
    frame: Frame,
    /// The broker's own origin, if people log in there.
    door: Option<String>,
}

/// Goes on by itself.
#[derive(Template)]
#[template(path = "onward.html")]
pub(crate) struct Onward {
    frame: Frame,
}

impl Onward {
    pub(crate) fn new() -> Self {
        Self { frame: Frame::outside("Logged in", Section::None) }
    }
}

pub(crate) async fn show(State(web): State<Web>) -> Response {
    let door = web.settings.door.clone().filter(|_| web.logins.is_some());
    page(&LoginPage { frame: Frame::outside("Log in", Section::None), door })
}
