//! Judges fixes from outside.
//!
//! A fix is taken as the `keyblind` program prints it. Its edits are applied here, byte by byte; what is different then is
//! read with parsers that the program doesn't use (`hcl-edit`, libYAML, `parse-dockerfile`), formatted text is shown to
//! Terraform, and verdicts are those of a new scan by the program. None of this is the code that made or proved the fix: no
//! crate of this workspace is a dependency, which a test makes sure of.

mod comments;
mod dockerfile;
mod edits;
mod examples;
mod figures;
mod formatter;
mod hcl;
mod judge;
mod output;
mod random;
mod structure;
mod tree;
mod verdicts;
mod yaml;

pub use dockerfile::{Moved, Moves};
pub use edits::{apply, digest};
pub use examples::{Example, examples};
pub use figures::{Fault, Figures, Judged};
pub use formatter::Formatter;
pub use judge::{Place, Plan, Referee};
pub use output::{Claim, Document, FileEdit, Fix, Input, Outcome, Program, Report, Stated, TextEdit, TimeIsUp};
pub use random::Random;
pub use structure::check as check_structure;
pub use tree::copy as copy_tree;

use serde::{Deserialize, Serialize};

/// What must hold for a fix.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Invariant {
    /// The program ends as it says it does, and what it prints can be read.
    Answers,
    /// The edits fit the text with the digest that they name.
    EditsFit,
    /// What could be read before can be read afterwards.
    Parses,
    /// Nothing is different in structure but what the fix names.
    Structure,
    /// No comment came, and none went but with what it stood in.
    Comments,
    /// Terraform's formatter has nothing to say where it had nothing to say before.
    Formatted,
    /// No resource is gone.
    ResourcesKept,
    /// The finding is gone.
    FaultGone,
    /// Nothing fails that didn't.
    NoNewFinding,
    /// No more is unknown.
    UnknownsNotGrown,
    /// Nothing more is suppressed.
    NotSuppressed,
    /// Fixing again changes nothing.
    Idempotent,
    /// What is written is what was shown, and nothing else is touched.
    WrittenAsShown,
}
