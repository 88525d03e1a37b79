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
        ];
        for event in events {
            let row = event.row();
            let value: serde_json::Value = serde_json::from_str(&row.body).unwrap();
            assert_eq!(value["event"], row.kind);
            assert_eq!(serde_json::from_str::<Event>(&row.body).unwrap(), event);
        }
    }
}
