//! Tests of the parsers. One binary, so that it links once.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod corpus;
mod expressions;
mod json;
mod limits;
mod oracle;
mod properties;
mod recovery;
mod show;
mod structure;
mod templates;
mod walk;
mod yaml;
