//! Matchers: what is asked of one value.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::literal::Literal;
use crate::path::Path;
use crate::pattern::{Expression, TypePattern};
use crate::rule::words;

/// What is asked of a value: all tests at once.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Matcher {
    /// The tests.
    pub tests: Vec<Test>,
    /// What a missing value counts as.
    pub default: Option<Literal>,
    /// The result for a missing value, where the rule states one.
    pub missing: Option<Missing>,
    /// The result for a value that can't be judged for being unknown, where the rule states one.
    pub unknown: Option<bool>,
    /// Whether case doesn't count in texts.
    pub fold: bool,
}

words! {
    /// A stated result for a missing value.
    Missing, "result for a missing value" {
        /// The matcher holds.
        True = "true",
        /// It doesn't.
        False = "false",
        /// It can't be told.
        Unknown = "unknown",
    }
}

words! {
    /// A kind of value.
    Kind, "kind of value" {
        /// A text.
        String = "string",
        /// A number.
        Number = "number",
        /// `true` or `false`.
        Bool = "bool",
        /// A list, set, tuple, or the blocks of one name.
        List = "list",
        /// A map, an object, a block.
        Map = "map",
    }
}

/// One test.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Test {
    /// Is equal.
    Equals(Literal),
    /// Isn't equal.
    NotEquals(Literal),
    /// Equals one.
    In(Vec<Literal>),
    /// Equals none.
    NotIn(Vec<Literal>),
    /// Is (not) set.
    Exists(bool),
    /// Is (not) missing, `""`, an empty list or map.
    Empty(bool),
    /// Is below.
    LessThan(Literal),
    /// Is not above.
    AtMost(Literal),
    /// Is above.
    GreaterThan(Literal),
    /// Is not below.
    AtLeast(Literal),
    /// Has an equal element, the text in it, or the key.
    Contains(Literal),
    /// The same for one of them.
    ContainsAny(Vec<Literal>),
    /// The same for all of them.
    ContainsAll(Vec<Literal>),
    /// Starts with one of the texts.
    StartsWith(Vec<Box<str>>),
    /// Ends with one of the texts.
    EndsWith(Vec<Box<str>>),
    /// The regular expression is found in it.
    Matches(Expression),
    /// The pattern covers it wholly.
    Glob(Box<str>),
    /// Its length matches.
    Length(Box<Matcher>),
    /// Is of the kind.
    Type(Kind),
    /// Equals the value at another path.
    EqualsPath(Path),
    /// Is a number below the one at another path.
    LessThanPath(Path),
    /// Is a block of addresses inside one at another path.
    WithinPath(Path),
    /// Is a block of addresses of this sort.
    Cidr(CidrTest),
    /// Includes the port.
    Port(u16),
    /// Was made from an attribute of such a resource.
    RefersTo(Vec<TypePattern>),
    /// All match.
    All(Vec<Matcher>),
    /// One matches.
    Any(Vec<Matcher>),
    /// Doesn't match.
    Not(Box<Matcher>),
}

/// What is asked of a block of addresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum CidrTest {
    /// Prefix 0.
    World,
    /// Has addresses outside the private, link-local and loopback ranges.
    Public,
    /// Has none.
    Private,
    /// A shorter prefix than this.
    WiderThan(u8),
}
