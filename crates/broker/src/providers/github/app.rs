//! A GitHub App, and its tokens: each for one repository and the permissions of one intent, ended after its use.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use hyper::{Method, StatusCode};
use keyblind_intent::{PolicyTemplate, Provider, Repository};
use serde::{Deserialize, Serialize};

use super::pace::Pacing;
use super::repositories::Login;
use super::{Access, Github, GithubError, Identity};
use crate::clock::Timestamp;
use crate::egress::Authorization;
use crate::jws::SigningKey;
use crate::leases::lease::{Authority, Minted, NotMinted};
use crate::leases::revocation::{Ending, RevocationFailure, Revoked, Revoker, RevokerFuture, ToRevoke};
use crate::providers::Credential;
use crate::secret::Secret;

/// How long our own word as the App lives, in seconds: GitHub takes ten minutes at most.
const WORD_SECONDS: u64 = 540;
/// The longest life of an installation's token, should GitHub not say when one expires.
const LONGEST_LIFE: Duration = Duration::from_secs(60 * 60);
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
            PolicyTemplate::GithubAccount | PolicyTemplate::AwsSnapshot | PolicyTemplate::AwsAction(_) => return None,
        };
        Some(Self(list.iter().copied().collect()))
    }

    /// Each with its level.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&'static str, &'static str)> {
        self.0.iter().map(|(name, level)| (*name, *level))
    }

    /// What is needed to look at a repository before people are asked for a change of it.
    #[must_use]
    pub fn to_look() -> Self {
        Self([("contents", "read"), ("pull_requests", "read")].into_iter().collect())
    }
}

/// What a token reaches.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reach {
    /// Asked for: one repository.
    Repository(Repository),
    /// Asked for: all that an installation sees.
    Installation(u64),
    /// Granted, in GitHub's words: these repositories by their full names, or all that the installation sees.
    Granted(Option<Vec<String>>),
}

/// What a token reaches, and what it allows there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Scope {
    reach: Reach,
    permissions: BTreeMap<String, String>,
}

impl Scope {
    /// These permissions, there.
    #[must_use]
    pub fn new(reach: Reach, permissions: &Permissions) -> Self {
        let permissions = permissions.0.iter().map(|(name, level)| ((*name).to_owned(), (*level).to_owned())).collect();
        Self { reach, permissions }
    }

    /// Whether this is no more than what was asked for. Reading a repository's metadata comes with every token.
    fn is_within(&self, asked: &Self) -> bool {
        let rank = |level: &str| match level {
            "read" => 1,
            "write" => 2,
            // `admin`, and whatever comes after it.
            _ => 3,
        };
        let is_reached = match (&self.reach, &asked.reach) {
            (Reach::Granted(Some(names)), Reach::Repository(repository)) => {
                let name = format!("{}/{}", repository.owner, repository.name);
                names.len() == 1 && names[0].eq_ignore_ascii_case(&name)
            }
            (Reach::Granted(_), Reach::Installation(_)) => true,
            _ => false,
        };
        is_reached
            && self.permissions.iter().all(|(name, level)| {
                let asked = asked.permissions.get(name).map(String::as_str).or((name == "metadata").then_some("read"));
                asked.is_some_and(|asked| rank(level) <= rank(asked))
            })
    }
}

/// A GitHub App at a host, as a source of authority: its tokens are made for one lease and revoked after it.
#[derive(Clone)]
pub struct Installations {
    github: Arc<Github>,
    app: Arc<App>,
}

impl Installations {
    /// Of this App.
    #[must_use]
    pub fn new(github: Arc<Github>, app: Arc<App>) -> Self {
        Self { github, app }
    }

    /// Calls with a token of it act as this.
    #[must_use]
    pub fn access<'t>(&'t self, token: &'t Secret) -> Access<'t> {
        Access { token, identity: Identity::App(&self.app.slug) }
    }

    /// The host.
    #[must_use]
    pub fn github(&self) -> &Github {
        &self.github
    }

    /// Where an owner installs the App.
    #[must_use]
    pub fn installation_page(&self) -> String {
        let api = self.github.api.origin();
        match api.host() {
            "api.github.com" => format!("https://github.com/apps/{}/installations/new", self.app.slug),
            _ => format!("{api}/github-apps/{}/installations/new", self.app.slug),
        }
    }

    /// All installations of the App.
    ///
    /// # Errors
    /// See [`GithubError`]; [`GithubError::BeyondLimit`] if there are more than 2,000.
    pub async fn all(&self) -> Result<Vec<Installed>, GithubError> {
        self.github.installations(&self.app).await
    }
}

impl Authority for Installations {
    type Scope = Scope;

    fn provider(&self) -> Provider {
        Provider::Github
    }

    fn ending(&self) -> Ending {
        Ending::Revoke
    }

    /// GitHub's tokens live an hour: a shorter life can't be asked for, which is why they are revoked.
    fn longest_life(&self, _: Duration) -> Duration {
        LONGEST_LIFE
    }

    async fn mint(&self, asked: &Scope, _: Duration) -> Result<Minted<Scope>, NotMinted> {
        self.github.mint(&self.app, asked).await.map_err(|error| match error {
            GithubError::Egress(egress) if egress.may_have_happened() => NotMinted::Unknown(error.code()),
            GithubError::Broken { .. } => NotMinted::Unknown(error.code()),
            _ => NotMinted::Refused(error.code()),
        })
    }

    fn is_within(&self, granted: &Scope, asked: &Scope) -> bool {
        granted.is_within(asked)
    }
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
    permissions: &'a BTreeMap<String, String>,
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
    account: Option<Login>,
}

/// Where an App is installed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Installed {
    /// GitHub's number for it.
    pub id: u64,
    /// Whose repositories it sees; empty where GitHub doesn't say.
    pub owner: String,
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
    async fn installation(&self, app: &App, repository: &Repository) -> Result<u64, GithubError> {
        let word = self.word(app)?;
        let target = self.repository(repository).segment("installation");
        let found: Installation = self.get(Authorization::Bearer(&word), target, 1 << 20).await?;
        // An answer about another App isn't ours to use.
        if found.app_id == app.id { Ok(found.id) } else { Err(GithubError::NotFound) }
    }

    async fn installations(&self, app: &App) -> Result<Vec<Installed>, GithubError> {
        let word = self.word(app)?;
        let mut all = Vec::new();
        for page in 1..=20 {
            let target = self.api.clone().path("/app/installations").query("per_page", "100").query("page", &page.to_string());
            let found: Vec<Installation> = self.get(Authorization::Bearer(&word), target, 8 << 20).await?;
            let is_last = found.len() < 100;
            let installed =
                |Installation { id, account, .. }| Installed { id, owner: account.map(|account| account.login).unwrap_or_default() };
            all.extend(found.into_iter().map(installed));
            if is_last {
                return Ok(all);
            }
        }
        Err(GithubError::BeyondLimit)
    }

    /// A token that should allow what was asked for; whether it does has to be compared.
    async fn mint(&self, app: &App, asked: &Scope) -> Result<Minted<Scope>, GithubError> {
        let (installation, repositories) = match &asked.reach {
            Reach::Repository(repository) => (self.installation(app, repository).await?, Some([repository.name.as_str()])),
            Reach::Installation(id) => (*id, None),
            Reach::Granted(_) => return Err(GithubError::Contents),
        };
        let word = self.word(app)?;
        let target = self.api.clone().path("/app/installations").segment(&installation.to_string()).segment("access_tokens");
        let ask = Ask { repositories, permissions: &asked.permissions };
        let given: Given =
            self.send(Method::POST, Authorization::Bearer(&word), target, Some(&ask), 1 << 20, Pacing::Authority).await?.json()?;
        let expires = given.expires_at.parse::<jiff::Timestamp>().ok();
        let expires = expires.and_then(|at| u64::try_from(at.as_millisecond()).ok()).map(Timestamp::from_unix_millis);
        let is_selected = given.repository_selection.as_deref() == Some("selected");
        let names = is_selected.then(|| given.repositories.into_iter().map(|named| named.full_name).collect());
        Ok(Minted {
            token: given.token.0,
            granted: Scope { reach: Reach::Granted(names), permissions: given.permissions },
            dies_at: expires.unwrap_or_else(|| self.clock.now().saturating_add(LONGEST_LIFE)),
        })
    }

    async fn end(&self, token: &Secret) -> Result<Revoked, GithubError> {
        let target = self.api.clone().path("/installation/token");
        match self.send(Method::DELETE, Authorization::Bearer(token), target, None::<&()>, 1 << 16, Pacing::Authority).await {
            // No other answer says so: a box on the way could give any.
            Ok(answer) if answer.status() == StatusCode::NO_CONTENT => Ok(Revoked::Confirmed),
            Ok(answer) => Err(GithubError::Broken { status: answer.status().as_u16() }),
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
