//! The real program, as whoever runs it sees it.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod accounts;
mod borrowing;
mod changing;
#[path = "../../../broker/tests/door/chromium.rs"]
mod chromium;
mod copying;
mod keys;
mod logging_in;
mod modules;
mod relaying;
mod remote;
mod running;
mod services;
mod support;
