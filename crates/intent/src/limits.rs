//! How much of anything is taken. All limits of the vocabulary are here.

/// The largest integer that RFC 8785 keeps exact (2^53 - 1): numbers beyond it would have no canonical form.
pub const LARGEST_INTEGER: u64 = (1 << 53) - 1;
/// Bytes of one document (a request, an answer, a change).
pub const DOCUMENT_BYTES: usize = 1 << 20;
/// How deep lists and objects of a document may be nested.
pub const DOCUMENT_DEPTH: usize = 16;
/// Bytes of a text that came from outside.
pub const FOREIGN_BYTES: usize = 4_096;
/// Bytes of one line of our own text.
pub const LINE_BYTES: usize = 250;
/// Bytes of a text of several lines: what GitHub takes for a comment or a pull request, with room for what the broker adds.
pub const PROSE_BYTES: usize = 60_000;
/// Bytes of a path in a repository.
pub const PATH_BYTES: usize = 1_024;
/// Files in one pull request.
pub const PULL_REQUEST_FILES: usize = 300;
/// Bytes of bulk data that goes with a request.
pub const ATTACHED_BYTES: u64 = 64 << 20;
/// Bytes of bulk data that comes with an answer (a repository's tree).
pub const ANSWERED_BYTES: u64 = 2 << 30;
/// Entries of a repository's tree.
pub const TREE_ENTRIES: u64 = 100_000;
/// Annotations of one check run.
pub const ANNOTATIONS: usize = 1_000;
/// Regions of one snapshot.
pub const REGIONS: usize = 40;
/// Bytes of one snapshot.
pub const SNAPSHOT_BYTES: u64 = 64 << 20;
/// Calls that one snapshot may make.
pub const SNAPSHOT_CALLS: u64 = 100_000;
/// Tokens that a model may answer with.
pub const ANSWER_TOKENS: u64 = 64_000;
/// Repositories in one list.
pub const LISTED_REPOSITORIES: usize = 2_000;
/// Kinds of entries that were left out of a tree.
pub const LEFT_OUT_KINDS: usize = 16;
/// Checks of one report.
pub const REPORTED_CHECKS: usize = 200;
/// Characters of a binding message: Keycloak takes 50, Auth0 64.
pub const BINDING_MESSAGE_BYTES: usize = 50;
/// Seconds that borrowed authority may live.
pub const LEASE_SECONDS: u64 = 3_600;
/// People who must approve one change.
pub const APPROVERS: u64 = 10;
