//! What stands around every page.

use askama::Template;
use axum::http::StatusCode;
use axum::response::{Html, IntoResponse, Response};

use crate::assets;
use crate::visitor::Visitor;

/// Which part of the navigation a page belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Section {
    /// None of them.
    None,
    Missions,
    Rules,
    Settings,
    Api,
}

/// A link of the navigation.
pub(crate) struct Link {
    pub(crate) section: Section,
    pub(crate) name: &'static str,
    pub(crate) path: &'static str,
    /// The key that leads there after `g`.
    pub(crate) key: &'static str,
    /// The path of its icon, drawn in a square of 24.
    pub(crate) icon: &'static str,
}

/// The navigation, in order.
pub(crate) const NAVIGATION: &[Link] = &[
    Link { section: Section::Missions, name: "Missions", path: "/missions", key: "m", icon: "M4 5h16M4 12h10M4 19h7M17 14l4 3-4 3z" },
    Link { section: Section::Rules, name: "Rules", path: "/rules", key: "r", icon: "M5 4h11l3 3v13H5zM9 9h6M9 13h6M9 17h4" },
    Link {
        section: Section::Settings,
        name: "Settings",
        path: "/settings",
        key: "s",
        icon: "M4 7h10M18 7h2M16 5v4M4 17h4M12 17h8M10 15v4",
    },
    Link { section: Section::Api, name: "API", path: "/api", key: "a", icon: "M8 6l-5 6 5 6M16 6l5 6-5 6" },
];

/// What stands around every page.
pub(crate) struct Frame {
    pub(crate) title: String,
    pub(crate) section: Section,
    pub(crate) who: Option<Who>,
    pub(crate) style: &'static str,
    pub(crate) script: &'static str,
    pub(crate) htmx: &'static str,
    pub(crate) icon: &'static str,
}

/// Who is logged in, for the frame.
pub(crate) struct Who {
    pub(crate) name: String,
    pub(crate) tenant: String,
    pub(crate) role: &'static str,
    pub(crate) form_token: String,
    /// The broker's own origin, where approvals and the stop are.
    pub(crate) door: Option<String>,
}

impl Frame {
    /// The frame of a page for nobody in particular.
    pub(crate) fn outside(title: impl Into<String>, section: Section) -> Self {
        Self {
            title: title.into(),
            section,
            who: None,
            style: assets::style(),
            script: assets::script(),
            htmx: assets::htmx(),
            icon: assets::icon(),
        }
    }

    /// The frame of a page for somebody.
    pub(crate) fn of(visitor: &Visitor, title: impl Into<String>, section: Section) -> Self {
        let who = Who {
            name: crate::text::shortened(&visitor.name, 60),
            tenant: crate::text::shortened(visitor.tenant.as_str(), 60),
            role: visitor.role.word(),
            form_token: visitor.form_token.clone(),
            door: visitor.door.clone(),
        };
        Self { who: Some(who), ..Self::outside(title, section) }
    }

    pub(crate) fn links(&self) -> &'static [Link] {
        NAVIGATION
    }

    pub(crate) fn is_here(&self, link: &&Link) -> bool {
        link.section == self.section
    }

    pub(crate) fn form_token(&self) -> &str {
        self.who.as_ref().map_or("", |who| who.form_token.as_str())
    }
}

/// Renders a page. A template that fails gives no half page.
pub(crate) fn page(template: &impl Template) -> Response {
    match template.render() {
        Ok(text) => Html(text).into_response(),
        Err(error) => {
            crate::log::failure(&error.to_string());
            (StatusCode::INTERNAL_SERVER_ERROR, "The page can't be shown.\n").into_response()
        }
    }
}
