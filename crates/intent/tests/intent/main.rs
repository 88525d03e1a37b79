//! What can be said to the broker, what can't, and that one digest means one change.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod canonical_form;
mod changes;
mod codes;
mod documents;
mod frames;
mod names;
mod samples;
mod text;
