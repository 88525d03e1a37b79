//! How much is sent and taken.

/// Bytes of the material of one question.
pub const MATERIAL_BYTES: usize = 24 << 10;
/// Bytes of one part of a file.
pub const PART_BYTES: usize = 12 << 10;
/// Parts of files in one question.
pub const PARTS: usize = 8;
/// Bytes of a file that anything is sent of: a larger one isn't looked through for secrets, and stays where it is.
pub const FILE_BYTES: usize = 1 << 20;
/// Bytes of a fact about a finding.
pub const FACT_BYTES: usize = 2_000;
/// Findings that are put into an order.
pub const ORDERED: usize = 40;
/// Bytes of an answer that is looked at.
pub const ANSWER_BYTES: usize = 256 << 10;
/// Places of an answer at which its JSON may begin.
pub const CANDIDATES: usize = 64;
/// Characters of an explanation.
pub const EXPLANATION_CHARACTERS: usize = 2_000;
/// Characters of a sentence beside it: a step, a doubt, a reason, a summary.
pub const SENTENCE_CHARACTERS: usize = 400;
/// Steps or doubts.
pub const SENTENCES: usize = 8;
/// Replacements of one proposal.
pub const REPLACEMENTS: usize = 8;
/// Bytes of a text that is replaced, or that replaces.
pub const REPLACEMENT_BYTES: usize = 8 << 10;
/// Things that a model may ask to see, once.
pub const WANTS: usize = 3;
/// Lines that it sees of what it asks for.
pub const SHOWN_LINES: usize = 120;
/// Tokens of an answer.
pub const ANSWER_TOKENS: u64 = 2_000;
