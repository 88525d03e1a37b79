//! Which fixes go into which pull request.
//!
//! Files that decide what runs go into one of their own: another permission is borrowed for it, and other people may have to say yes. What a fix
//! changes together, and what was judged together to prove it, stays together.

use std::collections::BTreeMap;

use crate::commands::fix::proposal::Proposal;

/// What goes into one pull request.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Part {
    /// Its files, by their place among the proposal's.
    pub(super) files: Vec<usize>,
    /// Its fixes, by theirs.
    pub(super) fixes: Vec<usize>,
    /// Whether any of its files decides what runs.
    pub(super) decides_what_runs: bool,
}

/// Divides a proposal: at most into what decides what runs, and the rest.
pub(super) fn divide(proposal: &Proposal) -> Vec<Part> {
    let mut groups = Groups { leaders: (0..proposal.files.len()).collect() };
    let mut roots: BTreeMap<&str, usize> = BTreeMap::new();
    for fix in &proposal.fixes {
        let first = fix.files[0];
        fix.files.iter().for_each(|file| groups.join(first, *file));
        for root in &fix.proof.roots {
            let other = *roots.entry(root).or_insert(first);
            groups.join(first, other);
        }
    }
    let mut decides = vec![false; proposal.files.len()];
    for (number, file) in proposal.files.iter().enumerate() {
        let leader = groups.leader(number);
        decides[leader] |= file.path.decides_what_runs();
    }
    let mut part = |is_wanted: bool| Part {
        files: (0..proposal.files.len()).filter(|file| decides[groups.leader(*file)] == is_wanted).collect(),
        fixes: (0..proposal.fixes.len()).filter(|fix| decides[groups.leader(proposal.fixes[*fix].files[0])] == is_wanted).collect(),
        decides_what_runs: is_wanted,
    };
    [part(false), part(true)].into_iter().filter(|part| !part.fixes.is_empty()).collect()
}

/// Files that belong together have the same leader.
struct Groups {
    leaders: Vec<usize>,
}

impl Groups {
    fn leader(&mut self, file: usize) -> usize {
        let mut leader = file;
        while self.leaders[leader] != leader {
            // Halves the way for whoever asks next.
            self.leaders[leader] = self.leaders[self.leaders[leader]];
            leader = self.leaders[leader];
        }
        leader
    }

    fn join(&mut self, one: usize, other: usize) {
        let (one, other) = (self.leader(one), self.leader(other));
        self.leaders[one.max(other)] = one.min(other);
    }
}

#[cfg(test)]
mod tests {
    use super::super::samples::{fix, proposal};
    use super::*;

    #[test]
    fn what_decides_what_runs_goes_by_itself() {
        let whole = proposal(
            &[".github/workflows/ci.yml", "a/main.tf", "b/main.tf"],
            vec![fix(0, &[1], &["a"]), fix(1, &[0], &[".github/workflows/ci.yml"]), fix(0, &[2], &["b"])],
        );
        let rest = Part { files: vec![1, 2], fixes: vec![0, 2], decides_what_runs: false };
        let workflows = Part { files: vec![0], fixes: vec![1], decides_what_runs: true };
        assert_eq!(divide(&whole), [rest, workflows]);
    }

    #[test]
    fn what_was_proven_together_stays_together() {
        let paths = &["action.yml", "a/main.tf", "b/main.tf", "c/main.tf"];
        // The first changes both files, the second was judged with the first, the third has nothing to do with them.
        let whole = proposal(paths, vec![fix(0, &[0, 1], &["a"]), fix(0, &[2], &["b", "a"]), fix(0, &[3], &["c"])]);
        let rest = Part { files: vec![3], fixes: vec![2], decides_what_runs: false };
        let together = Part { files: vec![0, 1, 2], fixes: vec![0, 1], decides_what_runs: true };
        assert_eq!(divide(&whole), [rest, together]);
    }
}
