//! Fixes as their users get them.

#![allow(clippy::unwrap_used, reason = "a test fails loudly")]

mod bench;
mod dockerfiles;
mod document_sabotage;
mod documents;
mod examples;
mod hostile;
mod places;
mod policies;
mod sabotage;
mod support;
