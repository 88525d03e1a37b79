//! Why there is no fix: a closed list.

use std::fmt;

use serde::{Deserialize, Serialize};

/// What stands in the way of a fix.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Hindrance {
    /// Several things would help, and only a person can tell which is meant.
    NeedsDecision,
    /// It takes a value that only a person knows.
    NeedsValue,
    /// It takes another resource, module or service instead of a changed one.
    NeedsRedesign,
    /// The value comes from where no file of the tree states it.
    ValueElsewhere,
    /// The code is that of a module that is installed or kept elsewhere.
    ForeignCode,
    /// The file is in a syntax that isn't edited.
    UneditedSyntax,
    /// What was tried didn't pass the proof.
    NotProven,
}

impl Hindrance {
    /// All of them.
    pub const ALL: &[Self] = &[
        Self::NeedsDecision,
        Self::NeedsValue,
        Self::NeedsRedesign,
        Self::ValueElsewhere,
        Self::ForeignCode,
        Self::UneditedSyntax,
        Self::NotProven,
    ];

    /// The kebab-case word for it.
    pub fn name(self) -> &'static str {
        match self {
            Self::NeedsDecision => "needs-decision",
            Self::NeedsValue => "needs-value",
            Self::NeedsRedesign => "needs-redesign",
            Self::ValueElsewhere => "value-elsewhere",
            Self::ForeignCode => "foreign-code",
            Self::UneditedSyntax => "unedited-syntax",
            Self::NotProven => "not-proven",
        }
    }

    /// It in a sentence.
    pub fn sentence(self) -> &'static str {
        match self {
            Self::NeedsDecision => "several changes would help, and only a person can tell which one is meant",
            Self::NeedsValue => "it takes a value that only a person knows",
            Self::NeedsRedesign => "it takes another design, not another value",
            Self::ValueElsewhere => "no file beneath the root states the value",
            Self::ForeignCode => "the code belongs to an installed module",
            Self::UneditedSyntax => "the file is in a syntax that isn't edited",
            Self::NotProven => "no change that was tried passed every check",
        }
    }
}

impl fmt::Display for Hindrance {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}
