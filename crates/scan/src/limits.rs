//! How much hostile input may cost.

/// Largest source file that is read. Larger ones are reported as unread.
pub const LARGEST_SOURCE: u64 = 8 * 1024 * 1024;
/// Largest plan that is read.
pub const LARGEST_PLAN: u64 = 256 * 1024 * 1024;
/// How much of a JSON file is looked at to tell whether it may be a plan.
pub const PLAN_HEAD: usize = 64 * 1024;
/// Most entries of a tree that are walked.
pub const MOST_ENTRIES: usize = 5_000_000;
/// Deepest directory that is walked.
pub const DEEPEST_DIRECTORY: usize = 256;
/// Most paths of a kind that a report lists.
pub const MOST_LISTED: usize = 50;
/// Most connected resources that a finding names.
pub const MOST_NEIGHBOURS: usize = 24;
