//! Requests that tell people something, or ask a model.

use serde::{Deserialize, Serialize};

use super::{Bulk, Repository, attached_bulk};
use crate::digests::ShortCode;
use crate::identifiers::Count;
use crate::limits;
use crate::lists::at_most;
use crate::names::{AccountId, ChannelName};

/// See [`super::Intent::Notify`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Notify {
    /// Where people are told, by the name that the broker's configuration gives it.
    pub channel: ChannelName,
    /// What happened.
    pub event: NotifyEvent,
    /// What it is about, if a repository.
    pub repository: Option<Repository>,
    /// What it is about, if an account.
    pub account: Option<AccountId>,
    /// How many findings of each severity.
    pub findings: Option<SeverityCounts>,
    /// The code of the change that it is about.
    pub code: Option<ShortCode>,
}

/// What people are told. The words are the broker's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum NotifyEvent {
    /// A mission ended.
    MissionFinished,
    /// A mission can't go on.
    MissionHalted,
    /// Somebody must say yes or no.
    ApprovalWanted,
    /// A change was made and verified.
    ChangeApplied,
    /// A change was undone.
    ChangeUndone,
    /// There are findings that weren't there before.
    NewFindings,
}

/// How many findings of each severity.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SeverityCounts {
    /// Of severity critical.
    pub critical: u32,
    /// Of severity high.
    pub high: u32,
    /// Of severity medium.
    pub medium: u32,
    /// Of severity low.
    pub low: u32,
    /// Of severity info.
    pub info: u32,
}

/// See [`super::Intent::Complete`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Complete {
    /// Which of the configured models.
    pub role: ModelRole,
    /// What it should do; the instructions for each are the broker's.
    pub task: ModelTask,
    /// What it should look at.
    #[serde(deserialize_with = "attached_bulk")]
    pub input: Bulk,
    /// How many tokens it may answer with.
    #[serde(deserialize_with = "answer_tokens")]
    pub most_tokens: Count,
}

fn answer_tokens<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Count, D::Error> {
    at_most(deserializer, limits::ANSWER_TOKENS, "tokens of an answer")
}

/// Which of the configured models.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ModelRole {
    /// The fast one: picks and orders.
    Coordinator,
    /// The thorough one: explains and proposes.
    Analyst,
}

/// What a model should do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ModelTask {
    /// Order findings by what matters here.
    Prioritise,
    /// Say what a finding means here.
    Explain,
    /// Propose a change of text.
    ProposeFix,
    /// Bring an answer of its own into the wanted form.
    RepairAnswer,
}
