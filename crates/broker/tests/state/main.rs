//! The broker's durable state, from outside: database, sealed store, ledger, leases.
#![allow(clippy::unwrap_used, reason = "a test that can't go on fails")]

#[path = "../support/changes.rs"]
mod changes;
mod database;
mod disk;
mod faults;
mod keyring;
mod killed;
mod leases;
mod ledger;
mod lockout;
mod vault;
