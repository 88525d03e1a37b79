//! Who may say yes to what, and which yes has been said to what exactly.
//!
//! A request is kept under the digest of its change, and that digest is computed again from the kept bytes each time they are read.
//! A person's word names the digest that this person has seen. A yes is used up by the one effect that it allows. All of it is
//! written into the ledger in the same transaction as the state that it changes: without the record there is no effect.

pub mod ciba;
mod device_rows;
pub mod devices;
mod error;
mod journal;
pub mod passkey;
mod policies;
pub mod policy;
pub mod risk;
mod rows;
mod service;
pub mod terminal;

pub use self::error::ApprovalError;
pub use self::journal::{Act, Entry, Journal, ledger_name};
pub use self::policies::ProposedPolicy;
pub use self::policy::words;
pub use self::service::{Approvals, Approved, Material, Progress, Raised, Request, State, Wanted, Word, on_kill};

#[cfg(test)]
#[path = "../tests/support/changes.rs"]
pub(crate) mod changes;
#[cfg(test)]
pub(crate) mod tests;
