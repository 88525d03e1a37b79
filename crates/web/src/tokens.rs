//! Own tokens: what programs show instead of a session.

use std::time::Duration;

use keyblind_intent::{SubjectId, TenantId, UnixMillis};
use keyblind_store::{NewToken, Store, StoreError};

use crate::Role;
use crate::secrets::Secret;

/// What every token begins with, so that whoever finds one knows whose it is.
pub(crate) const PREFIX: &str = "kb_";
/// The longest name of a token, in characters.
const LONGEST_NAME: usize = 100;
/// How long a token lives at most, in days.
const MOST_DAYS: u64 = 366;

/// What a token may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Scope {
    /// Look at missions and what they made.
    ReadMissions,
    /// Begin missions and end them.
    WriteMissions,
    /// Look at rules.
    ReadRules,
    /// Look at the server's figures, which are of all tenants.
    ReadMetrics,
}

impl Scope {
    /// Every scope.
    pub const ALL: [Self; 4] = [Self::ReadMissions, Self::WriteMissions, Self::ReadRules, Self::ReadMetrics];

    /// Its word.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::ReadMissions => "missions:read",
            Self::WriteMissions => "missions:write",
            Self::ReadRules => "rules:read",
            Self::ReadMetrics => "metrics:read",
        }
    }

    /// The scope with a word.
    #[must_use]
    pub fn of(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|scope| scope.word() == word)
    }

    /// What it lets a program do, for people.
    pub(crate) const fn sentence(self) -> &'static str {
        match self {
            Self::ReadMissions => "look at missions, their events and documents",
            Self::WriteMissions => "begin missions and end them",
            Self::ReadRules => "look at rules",
            Self::ReadMetrics => "read the server’s figures",
        }
    }

    /// The least role of whoever makes a token with it.
    pub(crate) const fn role(self) -> Role {
        match self {
            Self::ReadMissions | Self::ReadRules => Role::Viewer,
            Self::WriteMissions => Role::Operator,
            Self::ReadMetrics => Role::Admin,
        }
    }
}

/// Why no token was made.
#[derive(Debug, thiserror::Error)]
pub enum TokenError {
    /// What was asked makes no sense.
    #[error("{0}")]
    Wrong(String),
    /// The database fails.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// A token that was just made.
pub struct MadeToken {
    /// Its identifier.
    pub id: String,
    /// What a program shows. It is told once, and kept nowhere.
    pub text: String,
}

/// Makes a token for somebody with a role.
///
/// # Errors
/// If the name, the scopes or the days make no sense, the role is too low, or the database fails.
pub async fn make_token(
    store: &Store,
    (tenant, subject, role): (&TenantId, &SubjectId, Role),
    name: &str,
    scopes: &[Scope],
    days: u64,
    now: UnixMillis,
) -> Result<MadeToken, TokenError> {
    let wrong = |text: &str| Err(TokenError::Wrong(text.to_owned()));
    if name.trim().is_empty() || name.chars().count() > LONGEST_NAME {
        return wrong("A token needs a name of 1 to 100 characters.");
    }
    if scopes.is_empty() {
        return wrong("A token needs something that it may do.");
    }
    if !(1..=MOST_DAYS).contains(&days) {
        return wrong("A token lives from 1 to 366 days.");
    }
    if let Some(scope) = scopes.iter().find(|scope| scope.role() > role) {
        return Err(TokenError::Wrong(format!("`{}` takes the role {}, and yours is {}.", scope.word(), scope.role().word(), role.word())));
    }
    let secret = Secret::random()?;
    let words: Vec<&str> = Scope::ALL.into_iter().filter(|scope| scopes.contains(scope)).map(Scope::word).collect();
    let scopes = words.join(" ");
    let life = Duration::from_secs(days * 86_400);
    let token = NewToken { tenant, subject, name: name.trim(), scopes: &scopes, life };
    let id = store.make_token(&secret.digest(), &token, now).await?;
    Ok(MadeToken { id, text: format!("{PREFIX}{}", secret.as_str()) })
}
