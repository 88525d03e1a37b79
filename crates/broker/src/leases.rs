//! Borrowed authority: from before it is asked for until it is known to be dead.

pub mod epoch;
pub mod kept;
pub mod lease;
pub mod revocation;
mod rows;
mod stopping;

pub use stopping::Stopping;
