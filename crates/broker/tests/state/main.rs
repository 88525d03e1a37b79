//! The broker's durable state, from outside: database, sealed store, ledger, leases.
#![allow(clippy::unwrap_used, reason = "a test that can't go on fails")]

mod database;
mod disk;
mod killed;
mod leases;
mod ledger;
mod vault;
