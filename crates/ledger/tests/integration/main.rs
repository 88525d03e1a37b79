//! The verifier, against ledgers that are sound and ledgers that somebody had in their hands.
#![allow(clippy::unwrap_used, reason = "a test that can't go on fails")]

mod breaches;
mod ledger;
mod ocsf;
mod tampering;
