//! A GitHub App, and its tokens: each for one repository and the permissions of one intent, ended after its use.

use std::collections::BTreeMap;

use hyper::Method;
use keyblind_intent::{PolicyTemplate, Repository};
use serde::{Deserialize, Serialize};

use super::{Access, Github, GithubError, Identity};
use crate::clock::Timestamp;
use crate::egress::Authorization;
use crate::jws::SigningKey;
use crate::leases::revocation::{RevocationFailure, Revoked, Revoker, RevokerFuture, ToRevoke};
use crate::providers::Credential;
use crate::secret::Secret;

/// How long our own word as the App lives, in seconds: GitHub takes ten minutes at most.
const WORD_SECONDS: u64 = 540;
/// How far GitHub's clock may be behind ours.
const SKEW_SECONDS: u64 = 60;

/// A GitHub App.
pub struct App {
    id: u64,
    slug: String,
    key: SigningKey,
}

impl App {
    /// An App by its id, its slug (as in `github.com/apps/SLUG`) and its private key.
    #[must_use]
    pub fn new(id: u64, slug: impl Into<String>, key: SigningKey) -> Self {
        Self { id, slug: slug.into(), key }
    }
}

/// What a token allows.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct Permissions(BTreeMap<&'static str, &'static str>);

impl Permissions {
    /// The permissions of a template; `None` for one of another provider.
    #[must_use]
    pub fn of(template: PolicyTemplate) -> Option<Self> {
        let list: &[(&str, &str)] = match template {
            PolicyTemplate::GithubMetadataRead => &[("metadata", "read")],
            PolicyTemplate::GithubContentsRead => &[("contents", "read")],
            PolicyTemplate::GithubPullRequestsWrite => &[("contents", "write"), ("pull_requests", "write")],
            PolicyTemplate::GithubWorkflowsWrite => &[("contents", "write"), ("pull_requests", "write"), ("workflows", "write")],
            PolicyTemplate::GithubChecksWrite => &[("checks", "write")],
            PolicyTemplate::GithubCommentsWrite => &[("pull_requests", "write")],
            PolicyTemplate::GithubSecurityEventsWrite => &[("security_events", "write")],
            PolicyTemplate::AwsSnapshot | PolicyTemplate::AwsAction(_) => return None,
        };
        Some(Self(list.iter().copied().collect()))
    }

    /// Whether these are no more than what was asked for. Reading a repository's metadata comes with every token.
    fn cover(&self, granted: &BTreeMap<String, String>) -> bool {
        let rank = |level: &str| match level {
            "read" => 1,
            "write" => 2,
            // `admin`, and whatever comes after it.
            _ => 3,
        };
        granted.iter().all(|(name, level)| {
            let asked = self.0.get(name.as_str()).copied().or((name == "metadata").then_some("read"));
            asked.is_some_and(|asked| rank(level) <= rank(asked))
        })
    }
}

/// A token of an installation.
pub struct InstallationToken {
    token: Secret,
    slug: String,
    expires: Option<Timestamp>,
}

impl InstallationToken {
    /// What calls are made with.
    #[must_use]
    pub fn access(&self) -> Access<'_> {
        Access { token: &self.token, identity: Identity::App(&self.slug) }
    }

    /// The token itself, for a queue that ends it later.
    #[must_use]
    pub fn into_secret(self) -> Secret {
        self.token
    }

    /// When it ends if nothing ends it before.
    #[must_use]
    pub fn expires(&self) -> Option<Timestamp> {
        self.expires
    }
}

/// What is true of a token that isn't needed any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TokenEnd {
    /// GitHub confirmed that it is dead.
    Revoked,
    /// It lives until then.
    Expires(Option<Timestamp>),
}

#[derive(Serialize)]
struct Word {
    iss: String,
    iat: u64,
    exp: u64,
}

#[derive(Serialize)]
struct Ask<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    repositories: Option<[&'a str; 1]>,
    permissions: &'a Permissions,
}

#[derive(Deserialize)]
struct Given {
    token: Credential,
    expires_at: String,
    #[serde(default)]
    permissions: BTreeMap<String, String>,
    repository_selection: Option<String>,
    #[serde(default)]
    repositories: Vec<Named>,
}

#[derive(Deserialize)]
struct Named {
    full_name: String,
}

#[derive(Deserialize)]
struct Installation {
    id: u64,
    #[serde(default)]
    app_id: u64,
}

impl Github {
    fn word(&self, app: &App) -> Result<Secret, GithubError> {
        let now = self.clock.now().unix_millis() / 1_000;
        let claims = Word { iss: app.id.to_string(), iat: now.saturating_sub(SKEW_SECONDS), exp: now + WORD_SECONDS };
        Ok(app.key.sign(Some("JWT"), &claims)?)
    }

    /// The installation of the App that sees a repository.
    ///
    /// # Errors
    /// [`GithubError::NotFound`] if the App isn't installed there.
    pub async fn installation(&self, app: &App, repository: &Repository) -> Result<u64, GithubError> {
        let word = self.word(app)?;
        let target = self.repository(repository).segment("installation");
        let found: Installation = self.get(Authorization::Bearer(&word), target, 1 << 20).await?;
        // An answer about another App isn't ours to use.
        if found.app_id == app.id { Ok(found.id) } else { Err(GithubError::NotFound) }
    }

    /// All installations of the App.
    ///
    /// # Errors
    /// See [`GithubError`]; [`GithubError::BeyondLimit`] if there are more than 2,000.
    pub async fn installations(&self, app: &App) -> Result<Vec<u64>, GithubError> {
        let word = self.word(app)?;
        let mut all = Vec::new();
        for page in 1..=20 {
            let target = self.api.clone().path("/app/installations").query("per_page", "100").query("page", &page.to_string());
            let found: Vec<Installation> = self.get(Authorization::Bearer(&word), target, 8 << 20).await?;
            let is_last = found.len() < 100;
            all.extend(found.into_iter().map(|installation| installation.id));
            if is_last {
                return Ok(all);
            }
        }
        Err(GithubError::BeyondLimit)
    }

    /// Borrows a token for one repository (or, for a list of repositories, for all that the installation sees). One that allows
    /// more than was asked for is given back at once.
    ///
    /// # Errors
    /// See [`GithubError`].
    pub async fn borrow_token(
        &self,
        app: &App,
        installation: u64,
        repository: Option<&Repository>,
        permissions: &Permissions,
    ) -> Result<InstallationToken, GithubError> {
        let word = self.word(app)?;
        let target = self.api.clone().path("/app/installations").segment(&installation.to_string()).segment("access_tokens");
        let ask = Ask { repositories: repository.map(|repository| [repository.name.as_str()]), permissions };
        let given: Given = self.write(Method::POST, Authorization::Bearer(&word), target, &ask).await?;
        let expires = given.expires_at.parse::<jiff::Timestamp>().ok();
        let expires = expires.and_then(|at| u64::try_from(at.as_millisecond()).ok()).map(Timestamp::from_unix_millis);
        let is_of_repository = repository.is_none_or(|repository| {
            let name = format!("{}/{}", repository.owner, repository.name);
            let names: Vec<_> = given.repositories.iter().map(|named| named.full_name.as_str()).collect();
            given.repository_selection.as_deref() == Some("selected") && names.len() == 1 && names[0].eq_ignore_ascii_case(&name)
        });
        let token = InstallationToken { token: given.token.0, slug: app.slug.clone(), expires };
        if is_of_repository && permissions.cover(&given.permissions) {
            return Ok(token);
        }
        // Whether or not this works, nobody uses it: it never leaves here.
        let _ = self.end_token(&token).await;
        Err(GithubError::TooMuchAuthority)
    }

    /// Ends a token. Only GitHub's own word counts: with any error it may still live, and must be tried again.
    ///
    /// # Errors
    /// See [`GithubError`].
    pub async fn end_token(&self, token: &InstallationToken) -> Result<TokenEnd, GithubError> {
        self.end(&token.token).await.map(|_| TokenEnd::Revoked)
    }

    async fn end(&self, token: &Secret) -> Result<Revoked, GithubError> {
        let target = self.api.clone().path("/installation/token");
        match self.send(Method::DELETE, Authorization::Bearer(token), target, None::<&()>, 1 << 16).await {
            Ok(_) => Ok(Revoked::Confirmed),
            // It doesn't know the token any more.
            Err(GithubError::Unauthorized) => Ok(Revoked::WasDead),
            Err(error) => Err(error),
        }
    }
}

impl Revoker for Github {
    fn revoke<'a>(&'a self, _: &'a ToRevoke, token: &'a Secret) -> RevokerFuture<'a> {
        Box::pin(async move {
            self.end(token).await.map_err(|error| {
                let retry_after = match error {
                    GithubError::RateLimited { wait } => Some(wait),
                    _ => None,
                };
                RevocationFailure { reason: error.code(), retry_after }
            })
        })
    }
}
