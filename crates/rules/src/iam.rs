//! What IAM policy documents mean.

pub(crate) mod escalations;
pub(crate) mod public;
pub(crate) mod statements;
