//! The rule language, as `docs/rule-language.md` states it: the model of a rule, its YAML form with all checks, and the
//! compact form that is built into the program.
//!
//! This crate knows nothing of resources and values. What a condition means is the `rules` crate's business.

mod compiled;
mod condition;
mod decision;
mod error;
mod families;
mod folder;
mod literal;
mod matcher;
mod nearest;
mod path;
mod pattern;
mod read;
mod rule;
mod schema;
mod yaml;

pub use compiled::{CompiledError, CompiledRules, RuleHead, compile};
pub use condition::{Condition, Direction, Linked, Ports, Quantifier};
pub use decision::{Case, Decision, Outcome, Ruling};
pub use error::RuleError;
pub use folder::{FolderRules, read_folder, read_texts};
pub use literal::Literal;
pub use matcher::{CidrTest, Kind, Matcher, Missing, Test};
pub use nearest::nearest;
pub use path::{EscalationKind, Path, PathError, Property, Root, Step, View};
pub use pattern::{Expression, TypePattern, glob_matches};
pub use rule::{Confidence, Control, Docs, Examples, Language, Persona, Rule, Severity};
pub use schema::rule_schema;
