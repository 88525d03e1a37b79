//! A rule as a whole.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::decision::Decision;

/// One fault to look for.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Rule {
    /// The kebab-case name of the problem.
    pub id: Box<str>,
    /// The problem in one line.
    pub title: Box<str>,
    /// How bad it is.
    pub severity: Severity,
    /// How sure a fail is to be a real fault.
    pub confidence: Confidence,
    /// Who wants to see it.
    pub persona: Persona,
    /// Ids of other tools with the same meaning.
    pub aliases: Vec<Box<str>>,
    /// Ids of broader or narrower ones.
    pub related: Vec<Box<str>>,
    /// What is decided, per language.
    pub decisions: Vec<(Language, Vec<Decision>)>,
    /// What is only wanted for explaining.
    pub docs: Docs,
}

/// What a rule says to people.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Docs {
    /// Numbers in frameworks.
    pub controls: Vec<Control>,
    /// The attack.
    pub why: Box<str>,
    /// What to do.
    pub fix: Box<str>,
    /// Where to read on.
    pub references: Vec<Box<str>>,
    /// Texts that fail and texts that pass.
    pub examples: Vec<Examples>,
}

/// The numbers that a rule has in a framework.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Control {
    /// The framework, such as `cis-aws-7.0`.
    pub framework: Box<str>,
    /// The numbers in it.
    pub numbers: Vec<Box<str>>,
}

/// The examples of one language.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Examples {
    /// What they are written in.
    pub language: Language,
    /// Each gives at least one fail.
    pub bad: Vec<Box<str>>,
    /// Each gives at least one pass and no fail.
    pub good: Vec<Box<str>>,
}

/// Makes a closed list of words: an enum with its kebab-case names.
macro_rules! words {
    ($(#[$meta:meta])* $name:ident, $what:literal { $($(#[$variant_meta:meta])* $variant:ident = $word:literal),+ $(,)? }) => {
        $(#[$meta])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        pub enum $name { $($(#[$variant_meta])* $variant),+ }

        impl $name {
            /// All of them, the lowest first.
            pub const ALL: &[Self] = &[$(Self::$variant),+];

            /// The word for it.
            pub fn name(self) -> &'static str {
                match self { $(Self::$variant => $word),+ }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(self.name())
            }
        }

        impl FromStr for $name {
            type Err = String;

            fn from_str(word: &str) -> Result<Self, String> {
                Self::ALL.iter().copied().find(|item| item.name() == word).ok_or_else(|| {
                    let names: Vec<_> = Self::ALL.iter().map(|item| item.name()).collect();
                    format!("`{word}` is no {}; it is one of {}", $what, names.join(", "))
                })
            }
        }
    };
}
pub(crate) use words;

words! {
    /// How bad a problem is.
    Severity, "severity" {
        /// Worth knowing.
        Info = "info",
        /// Makes an attack a little easier.
        Low = "low",
        /// Needs another fault to be used.
        Medium = "medium",
        /// Can be used by itself.
        High = "high",
        /// Can be used by anybody, at once.
        Critical = "critical",
    }
}

words! {
    /// How sure a fail is to be a real fault.
    Confidence, "confidence" {
        /// Often it isn't.
        Low = "low",
        /// Mostly it is.
        Medium = "medium",
        /// It is.
        High = "high",
    }
}

words! {
    /// Who wants to see a rule's findings.
    Persona, "persona" {
        /// Everybody.
        Regular = "regular",
        /// People who want to have it neat.
        Pedantic = "pedantic",
        /// People who look for everything that could be meant.
        Auditor = "auditor",
    }
}

words! {
    /// The languages that rules decide about. A plan is judged by Terraform's decisions.
    Language, "language" {
        /// Terraform and OpenTofu, configuration and plan.
        Terraform = "terraform",
        /// CloudFormation and SAM templates.
        CloudFormation = "cloudformation",
        /// Kubernetes manifests.
        Kubernetes = "kubernetes",
        /// Dockerfiles.
        Dockerfile = "dockerfile",
        /// Workflows and actions of GitHub Actions.
        GithubActions = "github-actions",
    }
}
