//! Fixes as their users get them.

#![allow(clippy::unwrap_used, reason = "a test fails loudly")]

mod bench;
mod dockerfiles;
mod documents;
mod examples;
mod hostile;
mod kustomizations;
mod places;
mod policies;
mod provenance;
mod sabotage;
mod support;
