//! Fixes: a failing condition followed backwards to edits, applied, judged again, and shown only with its proof.
//!
//! [`Fixer`] takes findings one after the other. What a rule would accept comes from the rule (`keyblind-rules`' remedies)
//! and from its good examples; where that lands in the text is the business of one editor a kind of text (`terraform`, `yaml`, `dockerfile`); whether
//! it may be shown decides [`proof`], which knows nothing of how a fix was made. This crate writes no file.

mod demands;
mod dockerfile;
mod draft;
mod edit;
mod examples;
mod fixer;
mod hindrance;
mod image;
mod impact;
mod instantiate;
pub mod proof;
mod terraform;
mod wishes;
mod yaml;

pub use edit::{EditError, FileEdit, TextEdit, digest};
pub use fixer::{Fix, Fixer, Given, Outcome, Record, Refusal, Subject, Surrounding};
pub use hindrance::Hindrance;
pub use impact::Effect;
pub use instantiate::Input;
