//! What Terraform configuration evaluates to, as a reader of the files would expect.

#![allow(clippy::unwrap_used, reason = "a test that can't go on should fail")]

mod modules;
mod origins;
mod resources;
mod support;
mod unknowns;
