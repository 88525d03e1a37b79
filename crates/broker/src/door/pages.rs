//! The pages as templates take them.

use askama::Template;
use axum::http::StatusCode;
use axum::response::{Html, IntoResponse, Response};

use super::text::Shown;
use super::view::ChangeView;

/// What stands around every page.
#[derive(Default)]
pub(super) struct Frame {
    pub(super) host: String,
    pub(super) style: &'static str,
    pub(super) script: &'static str,
    pub(super) signed_in: bool,
    pub(super) stopped: bool,
    pub(super) policy_pending: bool,
    pub(super) who: String,
    pub(super) tenant: String,
    pub(super) logout_seal: String,
    /// Whether the provider can ask this person to prove anew that they are there.
    pub(super) may_log_in_again: bool,
    /// Where to go on after that, if this page needs it.
    pub(super) again: Option<String>,
}

#[derive(Template)]
#[template(path = "door/change.html")]
pub(super) struct ChangePage {
    pub(super) frame: Frame,
    pub(super) view: ChangeView,
    pub(super) is_open: bool,
    pub(super) said: String,
    pub(super) error: Option<String>,
    pub(super) must_type: bool,
    pub(super) can_sign: bool,
    pub(super) can_session: bool,
    pub(super) can_phone: bool,
    pub(super) seal: String,
    pub(super) nonce: String,
    pub(super) party: String,
    pub(super) keys: String,
}

#[derive(Template)]
#[template(path = "door/whole.html")]
pub(super) struct WholePage {
    pub(super) frame: Frame,
    pub(super) view: ChangeView,
    pub(super) canonical: String,
}

pub(super) struct Card {
    pub(super) digest: String,
    pub(super) severity: &'static str,
    pub(super) expires_in: String,
    pub(super) what: &'static str,
    pub(super) place: Shown,
    pub(super) code: String,
}

#[derive(Template)]
#[template(path = "door/home.html")]
pub(super) struct HomePage {
    pub(super) frame: Frame,
    pub(super) requests: Vec<Card>,
    pub(super) later: String,
}

#[derive(Template)]
#[template(path = "door/login.html")]
pub(super) struct LoginPage {
    pub(super) frame: Frame,
    pub(super) error: Option<String>,
    pub(super) link: Option<String>,
    pub(super) who: String,
    /// With whom one can log in.
    pub(super) provider: Option<String>,
    /// Where it goes on then.
    pub(super) to: String,
}

/// Somebody is logged in whom the approval policy doesn't list.
#[derive(Template)]
#[template(path = "door/stranger.html")]
pub(super) struct StrangerPage {
    pub(super) frame: Frame,
    pub(super) issuer: Shown,
    pub(super) subject: Shown,
}

/// Sends a browser on by itself: a redirect that began on another site would leave the strict cookies behind.
#[derive(Template)]
#[template(path = "door/onward.html")]
pub(super) struct OnwardPage {
    pub(super) frame: Frame,
    pub(super) to: String,
}

#[derive(Template)]
#[template(path = "door/message.html")]
pub(super) struct MessagePage {
    pub(super) frame: Frame,
    pub(super) head: &'static str,
    pub(super) text: String,
}

pub(super) struct ConnectionCard {
    pub(super) name: String,
    pub(super) provider: String,
    pub(super) reaches: Option<String>,
    pub(super) class: &'static str,
    pub(super) state: String,
}

#[derive(Template)]
#[template(path = "door/connections.html")]
pub(super) struct ConnectionsPage {
    pub(super) frame: Frame,
    pub(super) connections: Vec<ConnectionCard>,
    /// What the person connects herself.
    pub(super) accounts: Vec<AccountCard>,
    /// Why there is none of these.
    pub(super) hint: Option<String>,
    /// Whether a provider is open in another tab.
    pub(super) is_waiting: bool,
    pub(super) error: Option<String>,
}

pub(super) struct AccountCard {
    pub(super) name: String,
    pub(super) scopes: String,
    pub(super) is_sound: bool,
    pub(super) state: &'static str,
    /// What to do; empty if it is connected.
    pub(super) words: String,
    pub(super) accounts: Vec<LinkedAccount>,
    pub(super) connect_seal: String,
    pub(super) check_seal: String,
}

pub(super) struct LinkedAccount {
    pub(super) id: String,
    pub(super) since: Shown,
    pub(super) seal: String,
}

/// What somebody began to connect in a terminal.
#[derive(Template)]
#[template(path = "door/connect.html")]
pub(super) struct ConnectPage {
    pub(super) frame: Frame,
    pub(super) name: String,
    pub(super) code: String,
    pub(super) asker: Shown,
    pub(super) seal: String,
    /// Whether this person logs in where accounts are connected.
    pub(super) is_own: bool,
    pub(super) provider: String,
}

/// What came of connecting, in whichever tab it ended.
#[derive(Template)]
#[template(path = "door/connected.html")]
pub(super) struct ConnectedPage {
    pub(super) frame: Frame,
    pub(super) head: &'static str,
    pub(super) text: String,
}

pub(super) struct KeyCard {
    pub(super) name: Shown,
    pub(super) added: String,
    pub(super) id: String,
    pub(super) seal: String,
}

#[derive(Template)]
#[template(path = "door/passkeys.html")]
pub(super) struct PasskeysPage {
    pub(super) frame: Frame,
    pub(super) error: Option<String>,
    pub(super) keys: Vec<KeyCard>,
    pub(super) seal: String,
    pub(super) challenge: String,
    pub(super) party: String,
    pub(super) user: String,
    pub(super) who: String,
}

pub(super) struct ProposalCard {
    pub(super) digest: String,
    pub(super) state: String,
    pub(super) text: String,
    pub(super) is_open: bool,
    pub(super) seal: String,
}

#[derive(Template)]
#[template(path = "door/policy.html")]
pub(super) struct PolicyPage {
    pub(super) frame: Frame,
    pub(super) error: Option<String>,
    pub(super) proposals: Vec<ProposalCard>,
    pub(super) digest: String,
    pub(super) text: String,
}

pub(super) struct EndRow {
    pub(super) what: Shown,
    pub(super) class: &'static str,
    pub(super) state: String,
}

#[derive(Template)]
#[template(path = "door/stop.html")]
pub(super) struct StopPage {
    pub(super) frame: Frame,
    pub(super) error: Option<String>,
    pub(super) stopped: bool,
    pub(super) figures: Vec<(&'static str, String)>,
    pub(super) ends: Vec<EndRow>,
    pub(super) seal: String,
}

/// Renders a page. A template that fails gives no half page.
pub(super) fn render(status: StatusCode, page: &impl Template) -> Response {
    match page.render() {
        Ok(text) => (status, Html(text)).into_response(),
        Err(_) => (StatusCode::INTERNAL_SERVER_ERROR, "The page can't be shown.\n").into_response(),
    }
}
