//! Conditions.

use serde::{Deserialize, Serialize};

use crate::matcher::Matcher;
use crate::path::Path;
use crate::pattern::TypePattern;

/// Something that is true, false or unknown of a resource or an element of it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Condition {
    /// `true`, `false`
    Always(bool),
    /// All are true.
    All(Vec<Condition>),
    /// One is true.
    Any(Vec<Condition>),
    /// The reverse.
    Not(Box<Condition>),
    /// The matcher holds for the value of one branch.
    Test(Path, Matcher),
    /// `some`, `every`, `none`
    Quantified {
        /// How many elements must satisfy it.
        quantifier: Quantifier,
        /// The list.
        list: Path,
        /// What is asked of an element.
        condition: Box<Condition>,
    },
    /// The number of elements that satisfy the condition matches.
    Count {
        /// The list.
        list: Path,
        /// What is asked of an element; all count without it.
        condition: Option<Box<Condition>>,
        /// What is asked of the number.
        is: Matcher,
    },
    /// A connected resource is there.
    Linked(Box<Linked>),
    /// A resource is there.
    Present {
        /// Of one of these types.
        resource: Vec<TypePattern>,
        /// That satisfies this.
        condition: Option<Box<Condition>>,
    },
    /// A range of ports includes one of some ports.
    Ports(Box<Ports>),
}

/// How many elements must satisfy a condition.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Quantifier {
    /// At least one.
    Some,
    /// All.
    Every,
    /// Not one.
    None,
}

/// What makes another resource "connected".
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Linked {
    /// Its types.
    pub to: Vec<TypePattern>,
    /// The reference stands at this path, or beneath it, of the resource that holds it. Dots between names.
    pub by: Option<Box<str>>,
    /// Which of the two holds the reference.
    pub direction: Direction,
    /// Pairs of (theirs, ours): equal known values connect as well.
    pub matching: Vec<(Path, Path)>,
    /// What is asked of the other resource.
    pub condition: Option<Condition>,
}

/// Which of two resources holds the reference.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Direction {
    /// The one that is judged.
    Out,
    /// The other one.
    In,
    /// Either.
    #[default]
    Any,
}

/// A range of ports, by the paths of its ends.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Ports {
    /// The ports that are asked about.
    pub covers: Vec<u16>,
    /// The lower end.
    pub from: Path,
    /// The upper end.
    pub to: Path,
    /// The protocol.
    pub protocol: Path,
}
