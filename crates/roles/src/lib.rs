//! The two roles of models: a *coordinator* that picks and orders, an *analyst* that explains and proposes text.
//!
//! Here is what they are sent and what of their answers is taken; who sends it is whoever implements [`Model`]. Nothing here reads or
//! writes, and nothing that a model says becomes a verdict, a severity, a recipient or an action: an order names findings that it was
//! given, an explanation is text that is marked as a model's, and a proposed text is no more than the question whether it can be proven.
//!
//! - [`mod@redaction`]: secrets and personal data become placeholders, which mean something only in the file that they came from
//! - [`material`]: the parts of files around a finding, between fences that they can't contain, within a budget
//! - [`answers`]: the forms of answers, found in whatever stands around them, checked, repaired once, else dropped
//! - [`tools`]: what a model may ask to see
//! - [`consultation`]: questions and answers put together

#[cfg(test)]
mod tests;

pub mod answers;
pub mod consultation;
pub mod limits;
pub mod material;
pub mod redaction;
pub mod tools;

pub use answers::{Dropped, Explanation, Order, Ranked};
pub use consultation::{Consultation, Model, Proposal, Question, Reply, Unanswered};
pub use material::{Facts, Part};
pub use redaction::Redactor;
pub use tools::{Shelf, Tool};
