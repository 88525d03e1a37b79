//! The database, on SQLite and on the real server of Postgres: every test runs on both.
#![allow(clippy::unwrap_used, reason = "a test that can't go on fails")]

mod claims;
mod logins;
mod many;
mod missions;
mod support;
