//! Logging in with an OpenID provider: off to it, back from it, and what somebody may do then.
//!
//! Who it is comes from the id token alone: issuer and subject. What they may do comes from the approval policy; somebody whom it doesn't
//! list may log in, and then sees that they can approve nothing. When they last proved to be there comes from the provider
//! (`auth_time`), never from the moment at which they came back.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::rejection::FormRejection;
use axum::extract::{Form, State};
use axum::http::StatusCode;
use axum::http::header::{self, HeaderMap};
use axum::response::Response;
use serde::Deserialize;

use super::Door;
use super::answers::{self, Instead, bare_frame, form};
use super::grants::{GrantError, Grants};
use super::pages::{LoginPage, OnwardPage, render};
use super::places::Place;
use super::sessions::{Beginning, Said, Session};
use super::trips::{Errand, TRIP_LIFE, Ticket, Trip, no_ticket};
use crate::approvals::policy::{Identity, Policy};
use crate::approvals::{Entry, ledger_name};
use crate::clock::Timestamp;
use crate::ledger::LoginMethod;
use crate::providers::Credential;
use crate::providers::oidc::{Callback, IdToken, IdTokenFault, OauthCode, OidcError, OpenIdProvider, SignIn, SignInRequest, Tokens};

/// How long ago somebody may have logged in at the provider without being asked again: a working day, as long as a session here.
const USUAL_AGE: u32 = 12 * 60 * 60;
/// How far the provider's clock may be from ours.
const SKEW: Duration = Duration::from_secs(60);

/// Logging in with one OpenID provider.
#[derive(Clone)]
pub struct LogIn {
    grants: Grants,
    tenant: String,
    name: String,
    scope: String,
    audience: Option<String>,
    asks_consent: bool,
    groups: String,
}

/// The claim in which most providers say in which groups somebody is.
const GROUPS: &str = "groups";
/// Groups that are kept of one login, and bytes of each; and bytes of a name.
const MOST_GROUPS: usize = 100;
const MOST_BYTES: usize = 256;

impl LogIn {
    /// With the provider whose refresh tokens `grants` keeps. Who isn't in the policy, or is there in several tenants, works in
    /// `tenant`; it asks for `openid` alone.
    pub fn new(grants: Grants, tenant: impl Into<String>) -> Self {
        let name = grants.provider().issuer().trim_start_matches("https://").trim_end_matches('/').to_owned();
        Self {
            grants,
            tenant: tenant.into(),
            name,
            scope: "openid".to_owned(),
            audience: None,
            asks_consent: false,
            groups: GROUPS.to_owned(),
        }
    }

    /// What the button calls the provider, instead of its host.
    #[must_use]
    pub fn named(self, name: impl Into<String>) -> Self {
        Self { name: name.into(), ..self }
    }

    /// What is asked for: `openid offline_access`, with `audience` in the way of Auth0, where a refresh token is needed later.
    #[must_use]
    pub fn asking_for(self, scope: impl Into<String>, audience: Option<String>) -> Self {
        Self { scope: scope.into(), audience, ..self }
    }

    /// Asks for consent at each login: what the standard wants before there is a refresh token (OpenID Connect Core 1.0, 11). Auth0
    /// doesn't need it for a client of its own tenant.
    #[must_use]
    pub fn asking_for_consent(self) -> Self {
        Self { asks_consent: true, ..self }
    }

    /// Takes the groups in which somebody is from this claim of the id token. They are for the application's pages.
    #[must_use]
    pub fn with_groups_in(self, claim: impl Into<String>) -> Self {
        Self { groups: claim.into(), ..self }
    }

    /// What is passed on of what the provider says beside who it is.
    fn said(&self, id: &IdToken) -> Said {
        let mut groups = id.texts(&self.groups);
        groups.retain(|group| group.len() <= MOST_BYTES);
        groups.truncate(MOST_GROUPS);
        let name = id.name.clone().filter(|name| name.len() <= MOST_BYTES).unwrap_or_default();
        Said { name, groups }
    }

    /// The refresh tokens that logins left.
    pub fn grants(&self) -> &Grants {
        &self.grants
    }

    /// The request of a login that somebody comes to anew, for whoever examines the set-up.
    pub(super) fn usual_request<'a>(&'a self, redirect: &'a str) -> SignInRequest<'a> {
        self.request(redirect, USUAL_AGE)
    }

    pub(super) fn provider(&self) -> &Arc<OpenIdProvider> {
        self.grants.provider()
    }

    pub(super) fn name(&self) -> &str {
        &self.name
    }

    pub(super) fn knows(&self, identity: &Identity) -> bool {
        identity.issuer() == self.provider().issuer()
    }

    fn request<'a>(&'a self, redirect: &'a str, max_age: u32) -> SignInRequest<'a> {
        SignInRequest {
            redirect,
            scope: &self.scope,
            audience: self.audience.as_deref(),
            connection: None,
            // An age of nothing means the same as `login`; not every provider knows both.
            prompt: match (max_age, self.asks_consent) {
                (0, true) => Some("login consent"),
                (0, false) => Some("login"),
                (_, true) => Some("consent"),
                (_, false) => None,
            },
            max_age: Some(max_age),
        }
    }

    /// Where somebody works: in the one tenant that the policy knows them in, else in the usual one.
    fn tenant_of(&self, policy: Option<&Policy>, identity: &Identity) -> String {
        let Some(person) = policy.and_then(|policy| policy.person_of(identity)) else { return self.tenant.clone() };
        if person.belongs_to(&self.tenant) {
            return self.tenant.clone();
        }
        person.tenants().next().unwrap_or(&self.tenant).to_owned()
    }
}

/// Where the provider sends browsers back to: to be registered there, exactly so.
pub(super) const CALLBACK: &str = "/login/callback";

fn redirect(door: &Door) -> String {
    format!("{}{CALLBACK}", door.origin.origin)
}

pub(super) fn page(door: &Door, status: StatusCode, error: Option<String>, link: Option<(String, String)>, to: &Place) -> Response {
    let (link, who) = link.unzip();
    let page = LoginPage {
        frame: bare_frame(door.origin.authority.clone()),
        error,
        link,
        who: who.unwrap_or_default(),
        provider: door.login.as_ref().map(|login| login.name().to_owned()),
        to: to.as_str().to_owned(),
    };
    render(status, &page)
}

#[derive(Deserialize)]
pub(super) struct ToQuery {
    #[serde(default)]
    to: String,
}

pub(super) async fn login(State(door): State<Door>, sent: Result<Form<ToQuery>, FormRejection>) -> Response {
    let to = sent.map(|Form(query)| Place::read(&query.to)).unwrap_or_default();
    page(&door, StatusCode::OK, None, None, &to)
}

#[derive(Deserialize)]
pub(super) struct StartForm {
    #[serde(default)]
    to: String,
    /// Set if somebody has to prove anew that they are there.
    #[serde(default)]
    again: String,
}

/// Sends the browser to the provider. The gate has seen to it that the form is from our own page.
pub(super) async fn start(
    State(door): State<Door>,
    headers: HeaderMap,
    sent: Result<Form<StartForm>, FormRejection>,
) -> Result<Response, Instead> {
    let sent = form(sent)?;
    let session = answers::session_of(&door, &headers).await?;
    let to = Place::read(&sent.to);
    let Some(login) = &door.login else {
        return Ok(page(
            &door,
            StatusCode::NOT_FOUND,
            Some("No identity provider is set up here. Use a one-time link.".to_owned()),
            None,
            &to,
        ));
    };
    let session = session.filter(|session| !sent.again.is_empty() && login.knows(&session.identity));
    let max_age = if session.is_some() { 0 } else { USUAL_AGE };
    let ticket = Ticket::draw()?;
    let back = redirect(&door);
    let begun = login.provider().begin_with(ticket.seed(), &login.request(&back, max_age)).await;
    let sign_in = match begun {
        Ok(sign_in) => sign_in,
        Err(error) => {
            let (_, words) = said(&error);
            return Ok(page(&door, StatusCode::BAD_GATEWAY, Some(words), None, &to));
        }
    };
    door.trips
        .begin(&ticket, Errand::Login, session.as_ref().map(Session::digest), &max_age.to_string(), to.as_str(), None, TRIP_LIFE)
        .await?;
    let mut response = onward(sign_in.url());
    if let Some(cookie) = ticket.cookie(&door, Errand::Login) {
        response.headers_mut().append(header::SET_COOKIE, cookie);
    }
    Ok(response)
}

/// A page that goes on by itself: a redirect of a form's answer to another site is what the content policy refuses.
pub(super) fn onward(to: &str) -> Response {
    render(StatusCode::OK, &OnwardPage { frame: bare_frame(String::new()), to: to.to_owned() })
}

#[derive(Deserialize)]
pub(super) struct Brought {
    #[serde(default)]
    state: String,
    code: Option<Credential>,
    error: Option<String>,
    iss: Option<String>,
}

/// What a callback that isn't one of ours is told.
const FOREIGN: &str = "This isn’t the answer to a login that this browser began; or it was used before, or it took longer than ten minutes. \
                       Nothing was done. Log in from here.";

/// The browser is back. A query with a name twice never comes as far as this.
pub(super) async fn callback(
    State(door): State<Door>,
    headers: HeaderMap,
    sent: Result<Form<Brought>, FormRejection>,
) -> Result<Response, Instead> {
    let foreign = || page(&door, StatusCode::FORBIDDEN, Some(FOREIGN.to_owned()), None, &Place::default());
    let (Some(login), Ok(Form(brought))) = (&door.login, sent) else { return Ok(foreign()) };
    let Some(ticket) = Ticket::of(&door, &headers, Errand::Login) else { return Ok(foreign()) };
    let Some(trip) = door.trips.find(&ticket, Errand::Login).await? else { return Ok(foreign()) };
    let (back, max_age) = (redirect(&door), trip.about.parse().unwrap_or(0));
    let sign_in = SignIn::again(ticket.seed(), &login.request(&back, max_age));
    // Another login's answer ends nothing: somebody may have led this browser here with it.
    if !sign_in.is_answered_by(&brought.state) || door.trips.end(&ticket, Errand::Login).await?.is_none() {
        return Ok(foreign());
    }
    let callback = Callback {
        state: &brought.state,
        code: brought.code.map(|code| code.0),
        error: brought.error.as_deref(),
        issuer: brought.iss.as_deref(),
    };
    let ended = match login.provider().complete(sign_in, callback).await {
        Ok(tokens) => logged_in(&door, login, &trip, max_age, tokens).await?,
        Err(error) => Err(said(&error)),
    };
    let mut response = match ended {
        Ok(value) => {
            // The browser is here from another site: a redirect would leave the strict cookie behind.
            let mut response = onward(&trip.place);
            if let Some(cookie) = answers::session_cookie(&door, &value, "") {
                response.headers_mut().append(header::SET_COOKIE, cookie);
            }
            response
        }
        Err((reason, words)) => {
            door.approvals.note(Entry::LoginFailed { method: LoginMethod::Oidc, reason }).await?;
            page(&door, StatusCode::FORBIDDEN, Some(words), None, &Place::read(&trip.place))
        }
    };
    if let Some(cookie) = no_ticket(&door, Errand::Login) {
        response.headers_mut().append(header::SET_COOKIE, cookie);
    }
    Ok(response)
}

/// Why somebody isn't logged in: a word for the ledger, and words for them.
type Failure = (&'static str, String);

/// Begins the session of whom the provider has named.
async fn logged_in(door: &Door, login: &LogIn, trip: &Trip, max_age: u32, tokens: Tokens) -> Result<Result<String, Failure>, Instead> {
    let Some(id) = tokens.id else { return Ok(Err(said(&IdTokenFault::Missing.into()))) };
    let said_of = login.said(&id);
    let identity = Identity::new(login.provider().issuer(), id.subject);
    let now = door.clock.now();
    // Without the provider's word they may have been there at any time.
    let present_at = id
        .authenticated
        .and_then(|seconds| u64::try_from(seconds).ok())
        .map(|seconds| Timestamp::from_unix_millis(seconds.saturating_mul(1_000)));
    let present_at = present_at.unwrap_or_default().min(now);
    if let Some(session) = trip.session {
        let before = door.sessions.owner(session).await?;
        if before.is_none_or(|before| before.identity != identity) {
            let words = "This login is of somebody else than the session that asked for it, or that session is over. Log in from here.";
            return Ok(Err(("somebody-else", words.to_owned())));
        }
    }
    // What the provider takes for fresh may still be from before it was asked.
    if max_age == 0 && present_at.saturating_add(SKEW) < trip.begun {
        return Ok(Err(said(&IdTokenFault::Time.into())));
    }
    let policy = door.approvals.policy().await.ok().map(|(_, policy)| policy);
    let tenant = login.tenant_of(policy.as_ref(), &identity);
    if let Some(refresh) = &tokens.refresh {
        let is_stopped = !matches!(door.switch.state().await, Ok(None));
        let kept = login.grants.keep(&tenant, &identity, refresh).await;
        // Stopped means that there is no authority, not even one that only waits.
        let kept = if is_stopped && kept.is_ok() { login.grants.end_of(&tenant, &identity).await.map(drop) } else { kept };
        if let Err(error) = kept {
            return Err(match error {
                GrantError::Database(error) => error.into(),
                GrantError::Vault(_) => Instead::Failed(
                    StatusCode::SERVICE_UNAVAILABLE,
                    "The broker can’t keep what the provider gave",
                    "So nobody was logged in. Whoever runs the broker finds the reason in its log.".to_owned(),
                ),
            });
        }
    }
    let who = ledger_name(policy.as_ref(), &identity);
    let beginning = Beginning { identity, tenant, who, present_at, method: LoginMethod::Oidc, instead_of: trip.session, said: said_of };
    Ok(Ok(door.sessions.begin(beginning).await?))
}

/// What went wrong, for the ledger in a word and for the person in words that say what to do.
fn said(error: &OidcError) -> Failure {
    let operator =
        |what: &str| format!("The identity provider doesn’t accept the broker: {what} Whoever runs the broker has to mend that.");
    let (reason, words): (&'static str, String) = match error {
        OidcError::Refused { code, .. } => match code {
            OauthCode::AccessDenied => {
                ("access-denied", "You or the identity provider said no. Log in again if you want to go on.".to_owned())
            }
            OauthCode::LoginRequired | OauthCode::InteractionRequired | OauthCode::MfaRequired => {
                ("interaction-required", "The identity provider wants something of you first. Log in again and do what it asks.".to_owned())
            }
            OauthCode::ConsentRequired => {
                ("consent-required", "You haven’t consented at the identity provider. Log in again and allow what it names.".to_owned())
            }
            OauthCode::InvalidGrant => {
                ("invalid-grant", "What the browser brought back has been used, or was too old. Log in again.".to_owned())
            }
            OauthCode::InvalidClient => ("invalid-client", operator("its client id or its secret is wrong.")),
            OauthCode::UnauthorizedClient | OauthCode::UnsupportedGrantType => {
                ("unauthorized-client", operator("the client may not log people in by an authorization code."))
            }
            OauthCode::InvalidScope => ("invalid-scope", operator("the client may not have the scopes that are asked for.")),
            OauthCode::InvalidTarget => ("invalid-target", operator("it doesn’t know the audience that is asked for.")),
            OauthCode::InvalidRequest => (
                "invalid-request",
                operator("it doesn’t take the request; most often the callback address of this page isn’t registered there."),
            ),
            OauthCode::ServerError | OauthCode::TemporarilyUnavailable => {
                ("provider-broken", "The identity provider has trouble of its own. Try again in a few minutes.".to_owned())
            }
            _ => ("refused", operator("it refuses for a reason that isn’t known here.")),
        },
        OidcError::RateLimited { wait } => {
            let wait = wait.map_or_else(|| "a few minutes".to_owned(), |wait| crate::approvals::words(wait.max(Duration::from_secs(1))));
            ("rate-limited", format!("The identity provider asks to wait. Try again in {wait}."))
        }
        OidcError::Broken { .. } => {
            ("provider-broken", "The identity provider has trouble of its own. Try again in a few minutes.".to_owned())
        }
        OidcError::Egress(_) => (
            "unreachable",
            "The identity provider can’t be reached. Try again; if it stays so, its host is missing in the broker’s list of hosts."
                .to_owned(),
        ),
        OidcError::Metadata => ("metadata", operator("its description isn’t usable, or names another issuer than the one that is set up.")),
        OidcError::NotOffered(_) => ("not-offered", operator("it doesn’t offer what logging in here needs.")),
        OidcError::IdToken(IdTokenFault::Time) => (
            "not-fresh",
            "The identity provider didn’t ask you to log in again, or its clock is wrong. Log out there, then log in here once more."
                .to_owned(),
        ),
        OidcError::IdToken(_) => {
            ("id-token", "The identity provider’s proof of who you are doesn’t hold. Nobody was logged in.".to_owned())
        }
        OidcError::ForeignCallback => ("foreign-callback", FOREIGN.to_owned()),
        OidcError::OtherThanAsked => ("other-than-asked", operator("it hands out something else than was asked for.")),
        OidcError::Jws(_) => ("broken", "The broker couldn’t make what it needs for that. Nobody was logged in.".to_owned()),
    };
    (reason, words)
}
