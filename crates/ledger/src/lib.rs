//! The form of the broker's ledger, and the verifier that works offline.
//!
//! The ledger says what the broker did with borrowed authority: every token's birth, use and end, every question asked of a human
//! and its answer, every call and its result. [`Entry`] is what is recorded, [`EntryHash`] chains each to the one before, and a
//! [`Checkpoint`] is the broker's signature under all of it so far. An *export* is one JSON document a line
//! ([`Line`]): a header, entries and checkpoints in order, and a signed end. [`verify()`] judges one from its text and the public
//! key alone: that nothing was changed, removed, put elsewhere or cut off, and that each write had exactly one approval of the same
//! digest.
//!
//! Pure: no input or output but what is given, no clock, no key that signs. The broker appends and signs; the `keyblind` program
//! verifies.

mod chain;
mod entries;
mod export;
mod ocsf;
mod rules;
mod verify;

pub use chain::{Checkpoint, EntryHash, FORMAT, PublicKey, PublicKeyError, Signature, Statement};
pub use entries::{ApprovalMethod, CallResult, Cause, Code, Effect, Entry, Event, LeaseKind, LoginMethod, Origin, TokenEnd, Who};
pub use export::{End, Header, LONGEST_LINE, Line, LineError};
pub use ocsf::to_ocsf;
pub use rules::Breach;
pub use verify::{Expected, Finding, MOST_FINDINGS, Open, Problem, Report, verify};
