//! Tests of the parsers. One binary, so that it links once.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod corpus;
mod dockerfile;
mod expressions;
mod github_expressions;
mod invariants;
mod json;
mod limits;
mod oracle;
mod properties;
mod recovery;
mod shell;
mod show;
mod structure;
mod templates;
mod walk;
mod yaml;
