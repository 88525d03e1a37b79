//! The one pipeline that the command line, editors and agents call: walk, read, evaluate, judge, in parallel.
//!
//! What is judged is the path given; what may be read is the trust root. Nothing is silently left out: what isn't looked
//! at is counted, and what can't be read is a diagnostic.

mod code;
mod compare;
pub mod config;
mod disk;
mod example;
mod fingerprint;
mod judged;
mod kind;
pub mod limits;
mod merge;
mod moves;
mod outcome;
mod outline;
mod pipeline;
mod place;
mod read;
pub mod redact;
mod selection;
mod target;
mod tree;
mod trial;
mod unused;
mod walk;

pub use compare::{Comparison, LOOSENED, Loosening, compare};
pub use example::{ExampleVerdicts, judge_example};
pub use merge::baseline_entries;
pub use outcome::{
    Cause, Direction, Files, Neighbour, Proof, RuleCard, ScanReport, ScanResult, Status, Summary, SuppressedBy, Suppression, Timings,
    Verdicts,
};
pub use pipeline::{Floor, Ignore, InputSet, Keep, Progress, Request, card, scan};
pub use place::Places;
pub use selection::{Choice, UnknownRule, choose, rules_named};
pub use target::{Target, TargetError, Targets};
pub use trial::{Changed, Trial, Trials};
