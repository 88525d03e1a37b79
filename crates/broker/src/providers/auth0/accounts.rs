//! Connected accounts, by Auth0's My Account interface. Its calls are made with a token for the audience `https://DOMAIN/me/`.

use std::time::Duration;

use aws_lc_rs::constant_time::verify_slices_are_equal;
use hyper::Method;
use serde::{Deserialize, Serialize};

use super::Auth0;
use crate::egress::{Answer, Authorization, Call, EgressError, Target};
use crate::jws::{digest_text, seed, seeded_text};
use crate::providers::oidc::OidcError;
use crate::providers::{Credential, push_quoted};
use crate::secret::Secret;

/// How many pages of accounts are read.
const MOST_PAGES: usize = 20;

/// Why connecting, listing or disconnecting didn't work.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AccountsError {
    /// There was no answer, or none that could be used.
    #[error(transparent)]
    Oidc(#[from] OidcError),
    /// The token isn't one for this interface, or has ended.
    #[error("the sign-in has ended: sign in again")]
    SignedOut,
    /// The token lacks a scope: `create:`, `read:` or `delete:me:connected_accounts`.
    #[error("the client may not manage connected accounts: allow it the My Account API and its scopes")]
    NotAllowed,
    /// The browser came back with something that isn't the answer to our question, or too late.
    #[error("this isn't the answer to the connection that was begun, or it came too late: begin again")]
    ForeignCallback,
    /// That account is connected already.
    #[error("that account is connected already")]
    AlreadyConnected,
    /// There is no such account.
    #[error("no such account is connected")]
    NotFound,
    /// Too many requests.
    #[error("Auth0 asks to wait")]
    RateLimited {
        /// For how long, if it says.
        wait: Option<Duration>,
    },
}

impl From<EgressError> for AccountsError {
    fn from(error: EgressError) -> Self {
        Self::Oidc(error.into())
    }
}

/// What a person is asked to connect.
#[derive(Clone, Copy, Debug)]
pub struct ConnectRequest<'a> {
    /// Which of the tenant's connections.
    pub connection: &'a str,
    /// Where the browser comes back to.
    pub redirect: &'a str,
    /// What for.
    pub scopes: &'a [&'a str],
}

/// A connection that was begun. It belongs to one browser and one person: keep it beside that session, and use it once.
pub struct Connecting {
    session: Secret,
    verifier: Secret,
    state: String,
    redirect: String,
    ends: Duration,
    url: String,
}

impl Connecting {
    /// The connection that was begun with that seed, when the browser is back; `session` is what [`Connecting::session`] gave. Whether
    /// it comes in time is Auth0's to say then, and whoever keeps the session's.
    #[must_use]
    pub fn again(seed: &Secret, session: Secret, redirect: &str) -> Self {
        let text = |what: &str| seeded_text(seed, what);
        let verifier = Secret::from_string(text("connect verifier"));
        Self { session, verifier, state: text("connect state"), redirect: redirect.to_owned(), ends: Duration::MAX, url: String::new() }
    }

    /// What Auth0 knows it by: to be kept for whoever began it, and given to nobody.
    #[must_use]
    pub fn session(&self) -> &Secret {
        &self.session
    }

    /// Whether the browser has brought back this connection's state.
    #[must_use]
    pub fn is_answered_by(&self, state: &str) -> bool {
        verify_slices_are_equal(self.state.as_bytes(), state.as_bytes()).is_ok()
    }

    /// Where to send the browser.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    /// What the browser must bring back.
    #[must_use]
    pub fn state(&self) -> &str {
        &self.state
    }
}

/// What the browser brought back, in the query.
pub struct ConnectCallback<'a> {
    /// `state`.
    pub state: &'a str,
    /// `connect_code`.
    pub code: Secret,
}

/// An account that is connected.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct ConnectedAccount {
    /// Auth0's id for it.
    pub id: String,
    /// Of which connection.
    pub connection: String,
    /// What for.
    #[serde(default)]
    pub scopes: Vec<String>,
    /// Since when, as Auth0 writes it.
    pub created_at: String,
}

#[derive(Serialize)]
struct Begin<'a> {
    connection: &'a str,
    redirect_uri: &'a str,
    state: &'a str,
    code_challenge: &'a str,
    code_challenge_method: &'a str,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    scopes: &'a [&'a str],
}

#[derive(Deserialize)]
struct Begun {
    auth_session: Credential,
    connect_uri: String,
    connect_params: ConnectParameters,
    expires_in: u64,
}

#[derive(Deserialize)]
struct ConnectParameters {
    ticket: String,
}

#[derive(Deserialize)]
struct Page {
    accounts: Vec<ConnectedAccount>,
    next: Option<String>,
}

impl Auth0 {
    /// The audience of tokens for these calls.
    #[must_use]
    pub fn accounts_audience(&self) -> String {
        format!("{}/me/", self.origin)
    }

    /// Begins to connect an account.
    ///
    /// # Errors
    /// See [`AccountsError`].
    pub async fn begin_connecting(&self, access: &Secret, request: &ConnectRequest<'_>) -> Result<Connecting, AccountsError> {
        let seed = seed().map_err(OidcError::from)?;
        self.begin_connecting_with(&seed, access, request).await
    }

    /// Begins to connect an account, with state and verifier made from a seed: 32 random bytes that serve for nothing else, and that only
    /// the browser keeps.
    ///
    /// # Errors
    /// See [`AccountsError`].
    pub async fn begin_connecting_with(
        &self,
        seed: &Secret,
        access: &Secret,
        request: &ConnectRequest<'_>,
    ) -> Result<Connecting, AccountsError> {
        let mut connecting = Connecting::again(seed, Secret::from_bytes(Vec::new()), request.redirect);
        let begin = Begin {
            connection: request.connection,
            redirect_uri: request.redirect,
            state: &connecting.state,
            code_challenge: &connecting.verifier.expose(digest_text),
            code_challenge_method: "S256",
            scopes: request.scopes,
        };
        let call = Call::new(Method::POST, self.at("/me/v1/connected-accounts/connect")).json(&begin)?;
        let answer = self.accounts_call(access, call).await?;
        let begun: Begun = answer.json()?;
        let url = Target::parse(&begun.connect_uri).map_err(|_| OidcError::Metadata)?.query("ticket", &begun.connect_params.ticket);
        connecting.ends = self.oidc.clock().monotonic() + Duration::from_secs(begun.expires_in.min(3_600));
        connecting.session = begun.auth_session.0;
        connecting.url = url.url();
        Ok(connecting)
    }

    /// Ends connecting an account with what the browser brought back. Auth0 checks that it is the same person.
    ///
    /// # Errors
    /// See [`AccountsError`].
    pub async fn complete_connecting(
        &self,
        access: &Secret,
        connecting: Connecting,
        callback: &ConnectCallback<'_>,
    ) -> Result<ConnectedAccount, AccountsError> {
        if !connecting.is_answered_by(callback.state) || self.oidc.clock().monotonic() >= connecting.ends {
            return Err(AccountsError::ForeignCallback);
        }
        let body = json_body(&[
            ("auth_session", &connecting.session),
            ("connect_code", &callback.code),
            ("redirect_uri", &Secret::from_string(connecting.redirect)),
            ("code_verifier", &connecting.verifier),
        ]);
        let call = Call::new(Method::POST, self.at("/me/v1/connected-accounts/complete")).body(body);
        let answer = self.accounts_call(access, call).await.map_err(|error| match error {
            AccountsError::Oidc(OidcError::Refused { status: 400, .. }) => AccountsError::ForeignCallback,
            other => other,
        })?;
        Ok(answer.json()?)
    }

    /// The accounts that a person has connected.
    ///
    /// # Errors
    /// See [`AccountsError`].
    pub async fn accounts(&self, access: &Secret) -> Result<Vec<ConnectedAccount>, AccountsError> {
        let mut all = Vec::new();
        let mut from: Option<String> = None;
        for _ in 0..MOST_PAGES {
            let target = self.at("/me/v1/connected-accounts/accounts").query("take", "20");
            let target = from.iter().fold(target, |target, from| target.query("from", from));
            let page: Page = self.accounts_call(access, Call::get(target)).await?.json()?;
            all.extend(page.accounts);
            from = page.next;
            if from.is_none() {
                return Ok(all);
            }
        }
        // More than anybody connects: a list that doesn't end.
        Err(OidcError::Metadata.into())
    }

    /// Disconnects an account: Auth0 forgets its tokens.
    ///
    /// # Errors
    /// See [`AccountsError`].
    pub async fn disconnect(&self, access: &Secret, id: &str) -> Result<(), AccountsError> {
        let target = self.at("/me/v1/connected-accounts/accounts").segment(id);
        self.accounts_call(access, Call::new(Method::DELETE, target)).await.map(drop)
    }

    async fn accounts_call(&self, access: &Secret, call: Call<'_>) -> Result<Answer, AccountsError> {
        let answer = self.oidc.egress().send(call.authorized(Authorization::Bearer(access))).await?;
        let status = answer.status().as_u16();
        match status {
            200..=299 => Ok(answer),
            401 => Err(AccountsError::SignedOut),
            403 => Err(AccountsError::NotAllowed),
            404 => Err(AccountsError::NotFound),
            409 => Err(AccountsError::AlreadyConnected),
            429 => Err(AccountsError::RateLimited { wait: crate::providers::oidc::wait(&answer, self.oidc.clock().now()) }),
            500.. => Err(OidcError::Broken { status }.into()),
            _ => Err(OidcError::refusal(status, answer.body(), None).into()),
        }
    }
}

/// A JSON object whose values are credentials, in a buffer that is overwritten.
fn json_body(fields: &[(&str, &Secret)]) -> crate::egress::Body {
    let room = fields.iter().map(|(name, value)| name.len() + 2 * value.len() + 8).sum::<usize>() + 2;
    let mut text = zeroize::Zeroizing::new(Vec::with_capacity(room));
    text.push(b'{');
    for (index, (name, value)) in fields.iter().enumerate() {
        if index > 0 {
            text.push(b',');
        }
        text.extend_from_slice(b"\"");
        text.extend_from_slice(name.as_bytes());
        text.extend_from_slice(b"\":");
        push_quoted(&mut text, value);
    }
    text.push(b'}');
    crate::egress::Body::Bytes("application/json", text)
}
