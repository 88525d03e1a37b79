//! What a mission's steps hand on to each other. It holds no credential and nothing that approves: digests, names and times.

use keyblind_intent::{AccountId, BranchName, CommitId, Digest, Line, Outcome, Repository, UnixMillis};
use serde::{Deserialize, Serialize};

use crate::Trouble;

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Checkpoint {
    /// The repository as it was read.
    pub(crate) tree: Option<Tree>,
    /// The account's number.
    pub(crate) account: Option<AccountId>,
    /// What people were asked for.
    pub(crate) changes: Vec<Planned>,
}

/// A repository at a commit.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Tree {
    pub(crate) repository: Repository,
    pub(crate) commit: CommitId,
    pub(crate) branch: Option<BranchName>,
}

/// A change that people were asked for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Planned {
    pub(crate) change: Digest,
    /// When people were asked.
    pub(crate) asked: UnixMillis,
    /// How many have said yes, as far as was told.
    pub(crate) approved: u64,
    /// The findings that it mends.
    pub(crate) fingerprints: Vec<Line>,
    /// How it ended.
    pub(crate) end: Option<End>,
}

/// How a change ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(crate) enum End {
    /// It is made.
    Applied(Box<Outcome>),
    /// It isn't.
    Not(String),
}

impl Checkpoint {
    pub(crate) fn read(text: Option<&str>) -> Result<Self, Trouble> {
        let Some(text) = text else { return Ok(Self::default()) };
        serde_json::from_str(text)
            .map_err(|_| Trouble::Lasting("another version of this program did the step before: begin it anew".to_owned()))
    }

    pub(crate) fn written(&self) -> Result<String, Trouble> {
        serde_json::to_string(self).map_err(|error| Trouble::Lasting(format!("the step can't be handed on: {error}")))
    }

    /// The repository, which the first step has read.
    pub(crate) fn tree(&self) -> Result<&Tree, Trouble> {
        self.tree.as_ref().ok_or_else(|| Trouble::Lasting("the repository wasn't read: begin it anew".to_owned()))
    }
}
