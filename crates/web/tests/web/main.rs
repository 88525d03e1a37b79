//! The pages and the API as browsers and programs meet them: real requests to the router, over a real database.
#![allow(clippy::unwrap_used, reason = "a test that can't go on fails")]

mod api;
mod gate;
mod handing_over;
mod hostile;
mod logins;
mod missions;
mod reports;
mod support;
mod tenants;
