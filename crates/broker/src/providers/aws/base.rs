//! The authority that the broker itself has at AWS, from which every session is taken: keys, or an identity provider's word.

use std::future::Future;
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::Arc;

use keyblind_intent::RequestId;
use serde::Serialize;

use super::marks::{ExternalId, MarkClaims, Marks};
use super::place::Role;
use super::profile::LocalProfile;
use super::{AwsError, keys};
use crate::clock::Clock;
use crate::jws::SigningKey;
use crate::ledger::new_id;
use crate::secret::Secret;
use crate::vault::{RecordName, Vault};

/// How long an identity token of our own lives, in seconds. It is used at once, and only for one call.
const TOKEN_SECONDS: u64 = 300;
/// How far AWS's clock may be behind ours.
const SKEW_SECONDS: u64 = 60;
/// The longest identity token that STS takes.
const LONGEST_TOKEN: u64 = 20_000;

/// Where every session begins.
pub struct Base {
    pub(super) root: Root,
    pub(super) steps: Vec<Step>,
}

/// What the first role is taken with.
pub(super) enum Root {
    /// Keys that were read when the broker started.
    Keys(Secret),
    /// Keys in the sealed store, read for each use.
    Sealed(Arc<Vault>, RecordName),
    /// An identity provider's tokens.
    WebIdentity(Arc<dyn IdentitySource>),
}

/// A role on the way to the one that is wanted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// It.
    pub role: Role,
    /// What its trust policy wants to hear.
    pub external_id: Option<ExternalId>,
}

impl Base {
    /// Keys in the sealed store, in the form of [`keys`](super::keys()).
    #[must_use]
    pub fn sealed(vault: Arc<Vault>, name: RecordName) -> Self {
        Self { root: Root::Sealed(vault, name), steps: Vec::new() }
    }

    /// An identity provider's tokens: the broker keeps no key of AWS's at all.
    #[must_use]
    pub fn web_identity(source: Arc<dyn IdentitySource>) -> Self {
        Self { root: Root::WebIdentity(source), steps: Vec::new() }
    }

    /// What one person has set up for AWS's own tools.
    #[must_use]
    pub fn local(profile: LocalProfile) -> Self {
        Self { root: Root::Keys(profile.keys), steps: profile.steps }
    }

    /// Keys that the caller has.
    #[must_use]
    pub fn keys(keys: Secret) -> Self {
        Self { root: Root::Keys(keys), steps: Vec::new() }
    }

    /// Takes these roles first, one with the other's keys.
    #[must_use]
    pub fn through(mut self, steps: impl IntoIterator<Item = Step>) -> Self {
        self.steps.extend(steps);
        self
    }

    /// The keys that it begins with, if it begins with keys.
    pub(super) async fn first_keys(&self) -> Result<Option<Lent<'_>>, AwsError> {
        match &self.root {
            Root::Keys(keys) => Ok(Some(Lent::Kept(keys))),
            Root::Sealed(vault, name) => {
                let (_, keys) = vault.get(name).await.map_err(|_| AwsError::NoKeys)?;
                keys::check(&keys)?;
                Ok(Some(Lent::Read(keys)))
            }
            Root::WebIdentity(_) => Ok(None),
        }
    }
}

/// Keys for one use.
pub(super) enum Lent<'k> {
    /// They stay where they are.
    Kept(&'k Secret),
    /// They were unsealed, or made, for this.
    Read(Secret),
}

impl Lent<'_> {
    pub(super) fn secret(&self) -> &Secret {
        match self {
            Self::Kept(keys) => keys,
            Self::Read(keys) => keys,
        }
    }
}

/// A token, some time later.
pub type TokenFuture<'a> = Pin<Box<dyn Future<Output = Result<Secret, AwsError>> + Send + 'a>>;

/// Where identity tokens come from.
pub trait IdentitySource: Send + Sync {
    /// A token for one session. A source that writes its own claims puts the marks into them.
    fn token<'a>(&'a self, marks: &'a Marks) -> TokenFuture<'a>;
}

/// The broker as an identity provider of its own: it signs a token for each session, with the session's marks in it. What AWS needs to
/// check them ([`OwnIssuer::metadata`], [`OwnIssuer::published_keys`]) must be published at the issuer's address; no request of AWS's
/// reaches the broker.
pub struct OwnIssuer {
    issuer: String,
    audience: String,
    subject: String,
    key: SigningKey,
    clock: Arc<dyn Clock>,
}

#[derive(Serialize)]
struct Claims<'a> {
    iss: &'a str,
    sub: &'a str,
    aud: &'a str,
    iat: u64,
    nbf: u64,
    exp: u64,
    jti: RequestId,
    #[serde(flatten)]
    marks: MarkClaims,
}

impl OwnIssuer {
    /// An issuer by its address (`https://…`, as IAM's identity provider has it), the audience and the subject that trust policies
    /// name, and its key, which must be on P-256 and have an id.
    ///
    /// # Errors
    /// [`AwsError::NoIdentity`] if the address is none, or the key isn't on P-256.
    pub fn new(issuer: &str, audience: &str, subject: &str, key: SigningKey, clock: Arc<dyn Clock>) -> Result<Self, AwsError> {
        let issuer = issuer.trim_end_matches('/');
        let is_address = issuer.starts_with("https://") && crate::egress::Target::parse(issuer).is_ok() && !issuer.contains('?');
        if !is_address {
            return Err(AwsError::NoIdentity("the issuer's address must begin with https:// and have no query"));
        }
        if key.public_key().is_err() {
            return Err(AwsError::NoIdentity("the issuer's key must be on P-256"));
        }
        Ok(Self { issuer: issuer.to_owned(), audience: audience.to_owned(), subject: subject.to_owned(), key, clock })
    }

    /// What must be found at `/.well-known/openid-configuration` of the issuer.
    #[must_use]
    pub fn metadata(&self) -> serde_json::Value {
        serde_json::json!({
            "issuer": self.issuer,
            "jwks_uri": format!("{}/.well-known/jwks.json", self.issuer),
            "authorization_endpoint": format!("{}/none", self.issuer),
            "response_types_supported": ["id_token"],
            "subject_types_supported": ["public"],
            "id_token_signing_alg_values_supported": ["ES256"],
            "claims_supported": ["iss", "sub", "aud", "iat", "nbf", "exp", "jti"],
        })
    }

    /// What must be found at the `jwks_uri`.
    ///
    /// # Errors
    /// If the key isn't on P-256.
    pub fn published_keys(&self) -> Result<serde_json::Value, AwsError> {
        let mut key = serde_json::to_value(self.key.public_key()?).map_err(|_| AwsError::NoIdentity("the key can't be written"))?;
        key["use"] = "sig".into();
        key["alg"] = "ES256".into();
        if let Some(id) = self.key.id() {
            key["kid"] = id.into();
        }
        Ok(serde_json::json!({"keys": [key]}))
    }

    fn sign(&self, marks: &Marks) -> Result<Secret, AwsError> {
        let now = self.clock.now().unix_millis() / 1_000;
        let claims = Claims {
            iss: &self.issuer,
            sub: &self.subject,
            aud: &self.audience,
            iat: now.saturating_sub(SKEW_SECONDS),
            nbf: now.saturating_sub(SKEW_SECONDS),
            exp: now + TOKEN_SECONDS,
            jti: new_id().map_err(|_| AwsError::NoIdentity("there are no random numbers"))?,
            marks: marks.claims(),
        };
        Ok(self.key.sign(Some("JWT"), &claims)?)
    }
}

impl IdentitySource for OwnIssuer {
    fn token<'a>(&'a self, marks: &'a Marks) -> TokenFuture<'a> {
        Box::pin(std::future::ready(self.sign(marks)))
    }
}

/// A token that the platform writes into a file and renews there (a projected service account token of Kubernetes, say). It is read for
/// each session; its claims are the platform's, so that sessions have a name and no other marks.
pub struct TokenFile {
    path: PathBuf,
}

impl TokenFile {
    /// The file. It must be among the places that the hardened broker may read.
    #[must_use]
    pub fn new(path: PathBuf) -> Self {
        Self { path }
    }

    fn read(&self) -> Result<Secret, AwsError> {
        let bytes = super::profile::read_file(&self.path, LONGEST_TOKEN)
            .map_err(|_| AwsError::NoIdentity("the file with the token can't be read"))?
            .ok_or(AwsError::NoIdentity("the file with the token isn't there"))?;
        let token = bytes.trim_ascii();
        if token.is_empty() || !token.iter().all(u8::is_ascii_graphic) {
            return Err(AwsError::NoIdentity("the file doesn't hold a token"));
        }
        Ok(Secret::filled(token.len(), |target| target.copy_from_slice(token)))
    }
}

impl IdentitySource for TokenFile {
    fn token<'a>(&'a self, _: &'a Marks) -> TokenFuture<'a> {
        // A small file on this machine, once a session.
        Box::pin(std::future::ready(self.read()))
    }
}
