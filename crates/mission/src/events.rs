//! What happens in a mission, as people and programs read it.

use keyblind_store::NewEvent;
use serde::{Deserialize, Serialize};

/// How many findings there are of each severity.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct SeverityCounts {
    /// Critical.
    pub critical: u64,
    /// High.
    pub high: u64,
    /// Medium.
    pub medium: u64,
    /// Low.
    pub low: u64,
    /// Worth knowing.
    pub info: u64,
}

/// Something that happens.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "kebab-case")]
pub enum Event {
    /// A step begins.
    StepBegun {
        /// Which.
        step: String,
        /// Which attempt it is, from 1.
        attempt: u32,
    },
    /// The scanner says something, like a warning about the input.
    Said {
        /// A line of it. It can hold names of files: text of others.
        line: String,
    },
    /// The tree was judged.
    Scanned {
        /// What failed.
        failed: SeverityCounts,
        /// What couldn't be decided.
        unknown: u64,
        /// How many resources there are.
        resources: u64,
        /// Whether a part of the input couldn't be read.
        is_incomplete: bool,
    },
    /// The broker handed over what is to be judged.
    Fetched {
        /// What: a repository at its commit, or an account.
        what: String,
        /// Files, or calls that reading it took.
        parts: u64,
        /// What isn't there: left out, or without an answer.
        missing: u64,
    },
    /// People are asked for a change.
    ApprovalWanted {
        /// Its digest.
        change: String,
        /// What it is, in a line.
        what: String,
        /// The code that people compare.
        code: String,
        /// How many people are wanted.
        wanted: u64,
        /// Until when, in milliseconds since 1970.
        expires: u64,
        /// The page of the broker's own where they say it.
        page: Option<String>,
    },
    /// Somebody said yes, and it isn't enough yet.
    Approved {
        /// Which change.
        change: String,
        /// How many have.
        approved: u64,
        /// How many are wanted.
        wanted: u64,
    },
    /// A change came to an end: `applied`, `denied`, `expired`, `stale`, `failed`, `halted`, `undone` or `unknown`.
    Decided {
        /// Which.
        change: String,
        /// How.
        state: String,
        /// What came of it, or why not.
        said: String,
    },
    /// There is nothing to propose.
    NothingToPropose,
    /// The mission waits for somebody to log in or to connect an account again, or for the broker.
    Waits {
        /// What for: `reconnection` or `broker`.
        waits_for: String,
        /// What to do.
        reason: String,
    },
    /// What it waited for is there.
    Resumed,
    /// What was changed, or found before, was judged again.
    Verified {
        /// Findings that are gone.
        gone: u64,
        /// Findings that are still there.
        left: u64,
    },
    /// Fixes were derived.
    Fixed {
        /// Findings with a proven fix that needs nothing from people and changes nothing else.
        safe: u64,
        /// With one that replaces, restarts, cuts off or costs.
        #[serde(rename = "unsafe")]
        with_price: u64,
        /// With one that needs a value that only people know.
        needs_input: u64,
        /// Without one.
        none: u64,
    },
    /// The report is ready.
    Reported {
        /// How many bytes it has.
        bytes: u64,
    },
    /// A step failed, and is tried again.
    Retried {
        /// Why.
        reason: String,
        /// In how many milliseconds.
        after: u64,
    },
    /// The mission can't go on.
    Failed {
        /// Why, and what to do.
        reason: String,
    },
    /// Somebody ended it.
    Cancelled,
    /// All is done.
    Done,
}

impl Event {
    /// The word for its kind.
    #[must_use]
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::StepBegun { .. } => "step-begun",
            Self::Said { .. } => "said",
            Self::Scanned { .. } => "scanned",
            Self::Fetched { .. } => "fetched",
            Self::ApprovalWanted { .. } => "approval-wanted",
            Self::Approved { .. } => "approved",
            Self::Decided { .. } => "decided",
            Self::NothingToPropose => "nothing-to-propose",
            Self::Waits { .. } => "waits",
            Self::Resumed => "resumed",
            Self::Verified { .. } => "verified",
            Self::Fixed { .. } => "fixed",
            Self::Reported { .. } => "reported",
            Self::Retried { .. } => "retried",
            Self::Failed { .. } => "failed",
            Self::Cancelled => "cancelled",
            Self::Done => "done",
        }
    }

    /// The event as the database takes it.
    pub(crate) fn row(&self) -> NewEvent {
        // Strings and numbers always become JSON.
        NewEvent { kind: self.kind(), body: serde_json::to_string(self).unwrap_or_default() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_word_of_an_event_is_the_one_in_its_json() {
        let events = [
            Event::StepBegun { step: "scan".to_owned(), attempt: 1 },
            Event::Fixed { safe: 1, with_price: 2, needs_input: 3, none: 4 },
            Event::Cancelled,
            Event::NothingToPropose,
            Event::Fetched { what: "octo-org/shop".to_owned(), parts: 1, missing: 0 },
            Event::Waits { waits_for: "broker".to_owned(), reason: "r".to_owned() },
            Event::Resumed,
            Event::Verified { gone: 1, left: 0 },
        ];
        for event in events {
            let row = event.row();
            let value: serde_json::Value = serde_json::from_str(&row.body).unwrap();
            assert_eq!(value["event"], row.kind);
            assert_eq!(serde_json::from_str::<Event>(&row.body).unwrap(), event);
        }
    }
}
