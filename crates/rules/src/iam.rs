//! What IAM policy documents mean.

pub(crate) mod actions;
pub(crate) mod escalations;
pub(crate) mod grants;
pub(crate) mod public;
pub(crate) mod statements;
