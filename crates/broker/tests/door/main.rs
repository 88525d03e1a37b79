//! The broker's pages from outside: over the wire against an OpenID provider, and in a real browser.

#![allow(clippy::unwrap_used, reason = "a test that can't go on fails")]

mod bench;
mod browsing;
#[path = "../support/changes.rs"]
mod changes;
mod chromium;
mod connecting;
mod devices;
mod login;
mod pages;
mod visitor;
