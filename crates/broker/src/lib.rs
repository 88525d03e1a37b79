//! The broker: the one part of Keyblind that touches credentials.
//!
//! It borrows a token made for one approved change, uses it once and lets it die. What asks it for something speaks in
//! typed intents and gets outcomes; no credential ever leaves this library.
//!
//! A library so that its parts can be tested and started in one process; only the program `keyblind-broker` links it.

pub mod approvals;
pub mod clock;
pub mod database;
pub mod dispatch;
pub mod door;
pub mod egress;
pub mod jws;
pub mod leases;
pub mod ledger;
pub mod providers;
pub mod socket;
pub mod vault;
pub mod work;

pub use keyblind_secret as secret;
