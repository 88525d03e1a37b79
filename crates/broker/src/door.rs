//! The broker's own pages: log in, see what waits, approve or refuse, add a passkey, stop, take up work again.
//!
//! They are served on an origin of their own (another host name than the web tier's, its own cookies, one small script), so that a
//! web tier in an enemy's hands can neither ride a session here nor show one change while another one is signed. What a page
//! shows is made from the typed fields of the change and from bytes whose digests the change names; text from outside is escaped by
//! the templates and marked where it could mislead.
//!
//! A request passes, in this order: the check of `Host` (a name that was bound to our address gets nothing), the origin of what
//! changes something, the rate, the session, and for what changes something a seal that ties the form to session, digest and page.

mod accounts;
mod answers;
mod connecting;
mod examined;
mod gate;
mod grants;
mod handing_over;
mod handlers;
mod leaving;
mod login;
mod pages;
mod passkeys;
mod places;
mod sessions;
mod sources;
mod stopping;
mod switch;
mod text;
mod trips;
mod view;

use std::net::SocketAddr;
use std::sync::Arc;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::middleware::from_fn_with_state;
use axum::routing::{get, post};
use tokio::net::TcpListener;
use tokio::sync::Semaphore;

pub use self::accounts::{Accounts, Exchanged, Holder, Offer, OwnAccount};
pub use self::examined::LoginExamined;
use self::gate::Rates;
pub use self::grants::{EndedGrant, GrantEnd, GrantError, Grants, RefreshToken};
pub use self::handing_over::HandOvers;
pub use self::leaving::Leaving;
pub use self::login::LogIn;
pub use self::sessions::{LINK_LIFE, Link, Sessions, on_kill};
pub use self::sources::Sources;
pub use self::switch::{BoxFuture, Connection, Connections, End, StopReport, Switch, SwitchError};
use self::trips::Trips;
use crate::approvals::Approvals;
use crate::approvals::passkey::RelyingParty;
use crate::clock::Clock;
use crate::database::Database;

/// Bytes of a form: a passkey's answer is the largest.
const FORM_BYTES: usize = 64 * 1024;

/// How many changes are compared at the same time.
const COMPARED_AT_ONCE: usize = 2;

/// Why the door can't be opened.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DoorError {
    /// The origin isn't one.
    #[error(
        "`{0}` is no origin for the broker's pages: write scheme, host and port, like `http://approve.localhost:4200` or `https://approve.example.com`"
    )]
    Origin(String),
    /// Without TLS passwords and sessions would be open to the network.
    #[error("`{0}` is served without TLS, so it has to be a name of this machine (`localhost` or beneath it): use https for any other")]
    Plain(String),
    /// It can't listen there.
    #[error("the broker's pages can't listen on {address}: {reason}")]
    Listen {
        /// Where.
        address: SocketAddr,
        /// Why.
        reason: String,
    },
}

/// Where the pages are, exactly as a browser says it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Origin {
    origin: String,
    authority: String,
    host: String,
    is_secure: bool,
}

impl Origin {
    /// Reads `http://approve.localhost:4200`. Behind a proxy that ends TLS it is the proxy's name, with `https`.
    ///
    /// # Errors
    /// If it isn't an origin, or is one without TLS that isn't this machine's.
    pub fn parse(text: &str) -> Result<Self, DoorError> {
        let wrong = || DoorError::Origin(text.to_owned());
        let (is_secure, authority, usual_port) = match (text.strip_prefix("https://"), text.strip_prefix("http://")) {
            (Some(authority), _) => (true, authority, "443"),
            (_, Some(authority)) => (false, authority, "80"),
            _ => return Err(wrong()),
        };
        let (host, port) = authority.rsplit_once(':').map_or((authority, None), |(host, port)| (host, Some(port)));
        let is_name = !host.is_empty()
            && host.len() <= 253
            && host.split('.').all(|label| {
                !label.is_empty()
                    && label.len() <= 63
                    && !label.starts_with('-')
                    && !label.ends_with('-')
                    && label.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-')
            });
        // Browsers leave the usual port out; an address has no passkeys (they are bound to names).
        let is_port = port.is_none_or(|port| port != usual_port && !port.starts_with('0') && port.parse::<u16>().is_ok());
        let is_address = host.split('.').all(|label| label.bytes().all(|byte| byte.is_ascii_digit()));
        if !is_name || !is_port || is_address {
            return Err(wrong());
        }
        if !is_secure && host != "localhost" && !host.ends_with(".localhost") {
            return Err(DoorError::Plain(text.to_owned()));
        }
        Ok(Self { origin: text.to_owned(), authority: authority.to_owned(), host: host.to_owned(), is_secure })
    }

    /// Scheme, host and port.
    pub fn as_str(&self) -> &str {
        &self.origin
    }
}

/// All that the pages work with.
pub struct Parts {
    /// Where they are.
    pub origin: Origin,
    /// The broker's database.
    pub database: Database,
    /// Requests and decisions.
    pub approvals: Approvals,
    /// The kill switch.
    pub switch: Arc<dyn Switch>,
    /// The linked accounts.
    pub connections: Arc<dyn Connections>,
    /// The time.
    pub clock: Arc<dyn Clock>,
}

/// The pages with what not every broker has.
pub struct Pages {
    parts: Parts,
    login: Option<LogIn>,
    accounts: Option<Arc<Accounts>>,
    application: Option<handing_over::Application>,
}

impl From<Parts> for Pages {
    fn from(parts: Parts) -> Self {
        Self { parts, login: None, accounts: None, application: None }
    }
}

impl Pages {
    /// Lets people log in with an OpenID provider; without one there are only links.
    #[must_use]
    pub fn with_login(self, login: LogIn) -> Self {
        Self { login: Some(login), ..self }
    }

    /// Lets people connect accounts of their own.
    #[must_use]
    pub fn with_accounts(self, accounts: Arc<Accounts>) -> Self {
        Self { accounts: Some(accounts), ..self }
    }

    /// Hands logins over to the application whose pages are at `origin`, and to no other.
    #[must_use]
    pub fn with_application(self, origin: Origin, hand_overs: Arc<HandOvers>) -> Self {
        Self { application: Some((origin, hand_overs)), ..self }
    }
}

struct Shared {
    origin: Origin,
    party: RelyingParty,
    approvals: Approvals,
    sessions: Sessions,
    trips: Trips,
    login: Option<LogIn>,
    accounts: Option<Arc<Accounts>>,
    application: Option<handing_over::Application>,
    switch: Arc<dyn Switch>,
    connections: Arc<dyn Connections>,
    clock: Arc<dyn Clock>,
    rates: Rates,
    /// Turns for comparing changes.
    comparing: Semaphore,
}

type Door = Arc<Shared>;

/// The pages as a service.
pub fn router(pages: impl Into<Pages>) -> Router {
    let Pages { parts, login, accounts, application } = pages.into();
    let party = RelyingParty { id: parts.origin.host.clone(), origin: parts.origin.origin.clone() };
    let trips = Trips::new(parts.database.clone(), Arc::clone(&parts.clock));
    let sessions = Sessions::new(parts.database, Arc::clone(&parts.clock)).recorded_in(parts.approvals.journal());
    let door: Door = Arc::new(Shared {
        origin: parts.origin,
        party,
        approvals: parts.approvals,
        sessions,
        trips,
        login,
        accounts,
        application,
        switch: parts.switch,
        connections: parts.connections,
        clock: parts.clock,
        rates: Rates::default(),
        comparing: Semaphore::new(COMPARED_AT_ONCE),
    });
    Router::new()
        .route("/", get(handlers::home))
        .route("/login", get(login::login))
        .route("/login/start", post(login::start))
        .route(login::CALLBACK, get(login::callback))
        .route("/login/link", post(handlers::use_link))
        .route("/login/link/{link}", get(handlers::show_link))
        .route("/logout", post(handlers::logout))
        .route("/hand-over", get(handing_over::hand_over))
        .route("/change/{digest}", get(handlers::change))
        .route("/change/{digest}/whole", get(handlers::whole_change))
        .route("/change/{digest}/decide", post(handlers::decide))
        .route("/connections", get(connecting::connections))
        .route("/connections/connect", post(connecting::connect))
        .route("/connections/check", post(connecting::check))
        .route("/connections/disconnect", post(connecting::disconnect))
        .route(connecting::CALLBACK, get(connecting::callback))
        .route("/connect/{request}", get(connecting::asked))
        .route("/passkeys", get(passkeys::passkeys))
        .route("/passkeys/add", post(passkeys::add_passkey))
        .route("/passkeys/remove", post(passkeys::remove_passkey))
        .route("/policy", get(handlers::policy))
        .route("/policy/{digest}/agree", post(handlers::agree_to_policy))
        .route("/stop", get(stopping::stop_page).post(stopping::stop))
        .route("/arm", post(stopping::arm))
        .route("/door.css", get(answers::style))
        .route("/door.js", get(answers::script))
        .route("/door.svg", get(answers::mark))
        .fallback(answers::nothing_here)
        .layer(DefaultBodyLimit::max(FORM_BYTES))
        .layer(from_fn_with_state(Arc::clone(&door), gate::pass))
        .with_state(door)
}

/// Serves the pages until `stop` is done. Without TLS only loopback addresses are listened on.
///
/// # Errors
/// If it can't listen there.
pub async fn serve(
    pages: impl Into<Pages>,
    listener: TcpListener,
    stop: impl Future<Output = ()> + Send + 'static,
) -> Result<(), DoorError> {
    let pages = pages.into();
    let unusable = |address, error: std::io::Error| DoorError::Listen { address, reason: error.to_string() };
    let nowhere = SocketAddr::from(([0, 0, 0, 0], 0));
    let address = listener.local_addr().map_err(|error| unusable(nowhere, error))?;
    if !pages.parts.origin.is_secure && !address.ip().is_loopback() {
        return Err(DoorError::Plain(format!("http://{address}")));
    }
    let service = router(pages).into_make_service_with_connect_info::<SocketAddr>();
    axum::serve(listener, service).with_graceful_shutdown(stop).await.map_err(|error| unusable(address, error))
}

#[cfg(test)]
mod tests;
