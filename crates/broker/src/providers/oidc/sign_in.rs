//! Sign-in by the browser: the authorization code with PKCE (RFC 7636), pushed where offered (RFC 9126).

use aws_lc_rs::constant_time::verify_slices_are_equal;
use serde::Deserialize;

use super::grants::{is_broader, refused};
use super::{IdTokenFault, OauthCode, OidcError, OpenIdProvider, Tokens};
use crate::egress::{FormBody, Target};
use crate::jws::{digest_text, seed, seeded_text};
use crate::secret::Secret;

/// What a person is asked to sign in for.
#[derive(Clone, Debug, Default)]
pub struct SignInRequest<'a> {
    /// Where the browser comes back to: ours, and registered with the provider.
    pub redirect: &'a str,
    /// What is asked for; `openid` is among it.
    pub scope: &'a str,
    /// For whose interface, in the way of Auth0.
    pub audience: Option<&'a str>,
    /// Through which of the provider's connections, in the way of Auth0.
    pub connection: Option<&'a str>,
    /// Whether to sign in again (`login`) or to consent again (`consent`).
    pub prompt: Option<&'a str>,
    /// How many seconds ago the person may have signed in.
    pub max_age: Option<u32>,
}

/// A sign-in that was begun. It belongs to one browser, and is used once. Whoever keeps the seed and the request that it was made
/// from has it again after the browser's way there and back ([`SignIn::again`]).
pub struct SignIn {
    url: String,
    state: String,
    nonce: String,
    verifier: Secret,
    redirect: String,
    scope: String,
    max_age: Option<u32>,
}

/// What the browser brought back.
pub struct Callback<'a> {
    /// `state`.
    pub state: &'a str,
    /// `code`.
    pub code: Option<Secret>,
    /// `error`.
    pub error: Option<&'a str>,
    /// `iss`.
    pub issuer: Option<&'a str>,
}

#[derive(Deserialize)]
struct Pushed {
    request_uri: String,
}

impl SignIn {
    /// The sign-in that was begun with that seed for that request, when the browser is back. It has no address any more.
    #[must_use]
    pub fn again(seed: &Secret, request: &SignInRequest<'_>) -> Self {
        let text = |what: &str| seeded_text(seed, what);
        Self {
            url: String::new(),
            state: text("state"),
            nonce: text("nonce"),
            verifier: Secret::from_string(text("verifier")),
            redirect: request.redirect.to_owned(),
            scope: request.scope.to_owned(),
            max_age: request.max_age,
        }
    }

    /// Whether the browser has brought back this sign-in's state.
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

impl OpenIdProvider {
    /// Begins a sign-in.
    ///
    /// # Errors
    /// If the provider can't be asked, or refuses the request.
    pub async fn begin(&self, request: &SignInRequest<'_>) -> Result<SignIn, OidcError> {
        self.begin_with(&seed()?, request).await
    }

    /// Begins a sign-in whose state, nonce and verifier are made from a seed: 32 random bytes that serve for nothing else, and that
    /// only the browser keeps.
    ///
    /// # Errors
    /// If the provider can't be asked, or refuses the request.
    pub async fn begin_with(&self, seed: &Secret, request: &SignInRequest<'_>) -> Result<SignIn, OidcError> {
        let metadata = self.metadata().await?;
        let mut sign_in = SignIn::again(seed, request);
        let max_age = request.max_age.map(|seconds| seconds.to_string());
        let challenge = sign_in.verifier.expose(digest_text);
        let mut fields: Vec<(&str, &str)> = vec![
            ("response_type", "code"),
            ("redirect_uri", request.redirect),
            ("scope", request.scope),
            ("state", &sign_in.state),
            ("nonce", &sign_in.nonce),
            ("code_challenge", &challenge),
            ("code_challenge_method", "S256"),
        ];
        let optional = [
            ("audience", request.audience),
            ("connection", request.connection),
            ("prompt", request.prompt),
            ("max_age", max_age.as_deref()),
        ];
        fields.extend(optional.into_iter().filter_map(|(name, value)| Some((name, value?))));
        let endpoint = metadata.authorization_endpoint()?.query("client_id", self.client.id());
        let target = match metadata.pushed_endpoint()? {
            Some(pushed) => endpoint.query("request_uri", &self.push(&pushed, &fields).await?),
            None => fields.iter().fold(endpoint, |target, (name, value)| target.query(name, value)),
        };
        sign_in.url = target.url();
        Ok(sign_in)
    }

    async fn push(&self, endpoint: &Target, fields: &[(&str, &str)]) -> Result<String, OidcError> {
        let form = || fields.iter().fold(FormBody::new(), |form, (name, value)| form.with(name, value));
        let answer = self.post(endpoint, form).await?;
        refused(&answer, self.clock.now())?;
        let pushed: Pushed = answer.json()?;
        if pushed.request_uri.len() > 500 { Err(OidcError::Metadata) } else { Ok(pushed.request_uri) }
    }

    /// Ends a sign-in with what the browser brought back.
    ///
    /// # Errors
    /// If that isn't the answer to this sign-in, the person or the provider said no, or the id token isn't acceptable.
    pub async fn complete(&self, sign_in: SignIn, callback: Callback<'_>) -> Result<Tokens, OidcError> {
        if !sign_in.is_answered_by(callback.state) {
            return Err(OidcError::ForeignCallback);
        }
        let names_itself = self.metadata().await?.names_itself_in_answers();
        // One provider's code must not be sent to another (RFC 9207).
        match callback.issuer {
            Some(issuer) if issuer != self.issuer => return Err(OidcError::ForeignCallback),
            None if names_itself => return Err(OidcError::ForeignCallback),
            _ => {}
        }
        if let Some(error) = callback.error {
            return Err(OidcError::Refused { code: OauthCode::read(error), status: 302 });
        }
        let code = callback.code.ok_or(OidcError::ForeignCallback)?;
        let form = || {
            FormBody::new()
                .with("grant_type", "authorization_code")
                .with_secret("code", &code)
                .with("redirect_uri", &sign_in.redirect)
                .with_secret("code_verifier", &sign_in.verifier)
        };
        let tokens = self.tokens(form, Some(&sign_in.nonce)).await?;
        let id = tokens.id.as_ref().ok_or(IdTokenFault::Missing)?;
        if let Some(max_age) = sign_in.max_age {
            let now = i64::try_from(self.clock.now().unix_millis() / 1_000).unwrap_or(i64::MAX);
            if id.authenticated.is_none_or(|at| now.saturating_sub(at) > i64::from(max_age) + 60) {
                return Err(IdTokenFault::Time.into());
            }
        }
        if is_broader(&tokens, Some(&sign_in.scope)) { Err(OidcError::OtherThanAsked) } else { Ok(tokens) }
    }
}
