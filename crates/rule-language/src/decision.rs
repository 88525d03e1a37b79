//! How a rule comes to its verdict.

use serde::{Deserialize, Serialize};

use crate::condition::Condition;
use crate::pattern::TypePattern;
use crate::rule::words;

use std::fmt;
use std::str::FromStr;

/// What a rule decides about resources of some types.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Decision {
    /// The types.
    pub resources: Vec<TypePattern>,
    /// Where it is false the decision doesn't apply.
    pub when: Option<Condition>,
    /// What leads to which verdict.
    pub outcome: Outcome,
    /// What a finding says instead of the title.
    pub message: Option<Box<str>>,
}

/// What leads to which verdict.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Outcome {
    /// True is a fail, false a pass.
    Fail(Condition),
    /// True is a pass, false a fail.
    Pass(Condition),
    /// The first case that is true decides.
    Cases(Vec<Case>, Ruling),
}

/// One entry of a `decide` list.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Case {
    /// The verdict if the condition is true.
    pub ruling: Ruling,
    /// The condition.
    pub condition: Condition,
    /// What a finding says in this case.
    pub message: Option<Box<str>>,
}

words! {
    /// A verdict as a rule may state it.
    Ruling, "verdict" {
        /// The fault isn't there.
        Pass = "pass",
        /// The fault is there.
        Fail = "fail",
        /// It can't be told.
        Unknown = "unknown",
        /// The rule has nothing to say about the resource.
        NotApplicable = "not-applicable",
    }
}
