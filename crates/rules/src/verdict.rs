//! What judging comes to.

use keyblind_resource::{Origin, Reason, ResourceId};
use keyblind_syntax::Site;

use crate::table::RuleId;

/// The verdict of one rule about one resource.
#[derive(Clone, Debug)]
pub struct Judgement {
    /// The rule.
    pub rule: RuleId,
    /// The resource, in the graph that was judged.
    pub resource: ResourceId,
    /// The verdict.
    pub verdict: Verdict,
}

/// A verdict.
#[derive(Clone, Debug)]
pub enum Verdict {
    /// The fault isn't there.
    Pass,
    /// The fault is there.
    Fail(Failure),
    /// It can't be told; never empty.
    Unknown(Vec<UnknownCause>),
    /// The rule has nothing to say about this resource, although it is of a type that the rule names.
    NotApplicable,
}

/// Why a resource fails.
#[derive(Clone, Debug)]
pub struct Failure {
    /// What is wrong: the rule's title, or what it says instead in this case.
    pub message: String,
    /// What made it fail, the deciding places first; never empty.
    pub evidence: Vec<Evidence>,
}

/// One thing that made a rule fail.
#[derive(Clone, Debug)]
pub struct Evidence {
    /// The resource that it is found in, if that isn't the one that is judged.
    pub resource: Option<ResourceId>,
    /// The path in the resource's body (`ingress.0.cidr_blocks`); empty for the resource as a whole.
    pub path: String,
    /// The value as evaluated: JSON text, shortened, `(sensitive)` if it is marked so. `None` if nothing is there.
    pub value: Option<String>,
    /// What would have been good, readable: `true`, `one of "a", "b"`, `not "*"`.
    pub expected: String,
    /// The outermost place in the resource's own block that holds the value; for a missing one the deepest block that
    /// should have held it, or the resource's head.
    pub site: Option<Site>,
    /// The way that the deciding value came.
    pub origin: Origin,
    /// Whether the fault is that nothing is there.
    pub missing: bool,
}

/// Why a verdict can't be told.
#[derive(Clone, Debug)]
pub struct UnknownCause {
    /// The resource that the unknown value is found in, if that isn't the one that is judged.
    pub resource: Option<ResourceId>,
    /// The path of the unknown value.
    pub path: String,
    /// Why it is unknown.
    pub reason: Reason,
    /// Where the unknown value stands.
    pub site: Option<Site>,
}
