//! Source files, byte spans, and one spanned tree per language that infrastructure is written in.
//!
//! Bytes are the truth: every node names the range of the original text that it came from, and no tree is ever
//! printed back. This crate doesn't know what a resource is.

pub mod diagnostic;
pub mod dockerfile;
pub mod github_expression;
pub mod hcl;
pub mod json;
pub mod limits;
mod misleading;
mod shared_text;
pub mod shell;
pub mod source;
pub mod yaml;

pub use diagnostic::{Diagnostic, Level};
pub use misleading::is_misleading;
pub use source::{FileId, LineColumn, Site, SourceFile, SourceMap, TextRange};
