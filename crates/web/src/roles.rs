//! What somebody may do here. Approving isn't among it: that happens at the broker, whatever is said here.

use serde::{Deserialize, Serialize};

/// What somebody may do; each may do what the ones before it may.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Role {
    /// Look at everything of the tenant.
    Viewer,
    /// Begin missions and end them.
    Operator,
    /// Be asked for approvals, which are given at the broker.
    Approver,
    /// Change settings.
    Admin,
}

impl Role {
    const ALL: [Self; 4] = [Self::Viewer, Self::Operator, Self::Approver, Self::Admin];

    /// Its word, as the database, configurations and people have it.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Viewer => "viewer",
            Self::Operator => "operator",
            Self::Approver => "approver",
            Self::Admin => "admin",
        }
    }

    /// The role with a word.
    #[must_use]
    pub fn of(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|role| role.word() == word)
    }
}
