//! Many changes, few requests: whoever is asked 500 times stops reading.
//!
//! Changes of one severity, tenant, connection, sort and requester may share a request; changes of two severities never do, so
//! that no "yes to all" reaches further than its reader thought. What doesn't fit into the requests that a person can read waits.

use std::collections::BTreeMap;

use super::{ChangeKind, Proposal, Severity};

/// How many requests one run may put before people.
pub const MAX_REQUESTS: usize = 10;
/// How many changes one request may hold: still one table that can be read on a phone.
pub const MAX_CHANGES: usize = 50;

/// Changes that are shown and decided together, by their place in what was given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Group {
    /// The same for each of them.
    pub severity: Severity,
    /// Which ones.
    pub members: Vec<usize>,
}

/// How a run's changes become requests.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Grouping {
    /// Worst first.
    pub requests: Vec<Group>,
    /// What isn't asked now: it comes in the next run, when these are decided.
    pub waiting: Vec<usize>,
}

/// Makes at most [`MAX_REQUESTS`] requests of at most [`MAX_CHANGES`] changes each, worst first.
///
/// Critical changes are never grouped: each is read and its code typed by itself.
pub fn group(proposals: &[Proposal]) -> Grouping {
    type Key<'a> = (std::cmp::Reverse<Severity>, &'a str, &'a str, ChangeKind, String);
    let mut alike: BTreeMap<Key<'_>, Vec<usize>> = BTreeMap::new();
    for (index, proposal) in proposals.iter().enumerate() {
        let requester = format!("{:?}", proposal.requester);
        let key = (std::cmp::Reverse(proposal.severity), proposal.tenant.as_str(), proposal.connection.as_str(), proposal.kind, requester);
        alike.entry(key).or_default().push(index);
    }
    let mut grouping = Grouping::default();
    for ((severity, ..), members) in alike {
        let most = if severity.0 == Severity::Critical { 1 } else { MAX_CHANGES };
        for members in members.chunks(most) {
            if grouping.requests.len() < MAX_REQUESTS {
                grouping.requests.push(Group { severity: severity.0, members: members.to_vec() });
            } else {
                grouping.waiting.extend(members);
            }
        }
    }
    grouping.waiting.sort_unstable();
    grouping
}
