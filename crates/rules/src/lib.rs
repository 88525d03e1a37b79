//! The rule table, the verdict engine, suppressions and baselines.
//!
//! [`RuleTable`] holds the rules that are built in and a team's own; [`judge()`] gives one [`Verdict`] for every resource
//! and every rule that concerns it. Truth has three values: what can't be known from the text makes a verdict unknown,
//! with the reason, unless the verdict is the same either way. This crate touches neither text nor disk.

pub mod baseline;
mod cache;
mod cidr;
mod compare;
mod computed;
mod conditions;
mod describe;
mod evaluation;
mod evidence;
mod fragments;
mod iam;
mod inversion;
mod judge;
mod links;
mod matchers;
mod ports;
pub mod suppressions;
mod table;
mod truth;
mod verdict;
mod views;
mod walk;

pub use inversion::{
    Change, Companion, DOCUMENT, GRANTING_BLOCKS, Key, NoSuggestions, Remedy, Subject, Suggestions, Wanted, Wish, literal_value,
};
pub use judge::{Judge, judge};
pub use keyblind_rule_language::{Confidence, Control, Examples, Language, Persona, Rule, RuleError, Severity, read_folder, read_texts};
pub use table::{RuleDocs, RuleId, RuleMeta, RuleTable, Selection, TableError, dialect_of};
pub use verdict::{Evidence, Failure, Judgement, UnknownCause, Verdict};
