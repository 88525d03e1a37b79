//! What went wrong, and what to do.

use askama::Template;

use crate::frame::Frame;

#[derive(Template)]
#[template(path = "error.html")]
pub(crate) struct ErrorPage {
    pub(crate) frame: Frame,
    pub(crate) title: &'static str,
    pub(crate) detail: String,
}
