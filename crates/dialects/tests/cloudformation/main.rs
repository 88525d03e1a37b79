//! What templates evaluate to, as a reader of the files would expect.

#![allow(clippy::unwrap_used, reason = "a test that can't go on should fail")]

mod conditions;
mod functions;
mod loops;
mod origins;
mod parameters;
mod resources;
mod serverless;
mod stacks;
mod support;
