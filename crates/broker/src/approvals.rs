//! Who may say yes to what, and which yes has been said to what exactly.

pub mod ciba;
pub mod passkey;
pub mod policy;
pub mod risk;

pub use self::policy::words;

#[cfg(test)]
#[path = "../tests/support/changes.rs"]
mod changes;
