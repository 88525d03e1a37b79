//! Missions with scripted steps and a clock of the tests' own.
#![allow(clippy::unwrap_used, reason = "a test that can't go on fails")]

mod brokered;
mod going;
mod leaf;
mod scheduled;
mod support;
