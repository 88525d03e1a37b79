//! The rule table, the verdict engine, suppressions and baselines.

pub mod baseline;
pub mod suppressions;
