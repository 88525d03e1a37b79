//! What was judged, and what came of it.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::Invariant;
use crate::dockerfile::{Moves, add_moved};

/// A fix that was judged to its end: a file and a finding.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Judged {
    /// The dialect.
    pub dialect: String,
    /// The file that the finding lies in.
    pub file: String,
    /// The SHA-256 of what stood in the file before any fix.
    pub text: String,
    /// The rule's id.
    pub rule: String,
    /// The root module, kustomization or document.
    pub root: String,
    /// The resource.
    pub address: String,
    /// `safe`, `unsafe` or `needs-input`.
    pub class: String,
    /// Whether everything was scanned again after this very step, not only after later ones.
    pub scanned_alone: bool,
}

impl Judged {
    /// What makes it another pair than others: the same file elsewhere with the same finding is the same pair.
    pub fn pair(&self) -> (&str, &str, &str) {
        (&self.text, &self.rule, &self.address)
    }
}

/// Something that speaks against a fix.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Fault {
    /// What doesn't hold.
    pub invariant: Invariant,
    /// What was judged.
    pub place: String,
    /// The dialect; empty where several were judged at once.
    pub dialect: String,
    /// The rule and the resource; of the last step, where several were judged together.
    pub claim: String,
    /// What was found.
    pub detail: String,
}

/// What was judged, and what came of it.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Figures {
    /// Fixes.
    pub fixes: Vec<Judged>,
    /// Findings without a fix, by dialect and reason.
    pub refused: BTreeMap<String, usize>,
    /// Findings that another finding's fix mended.
    pub mended_by_others: usize,
    /// Steps after which everything was scanned again.
    pub scans: usize,
    /// Texts whose structure another parser compared.
    pub compared: usize,
    /// Texts that the other parser doesn't take.
    pub not_read: BTreeMap<String, usize>,
    /// Texts that Terraform's formatter saw.
    pub formatted: usize,
    /// Comments that went with what they stood in.
    pub comments_gone: usize,
    /// Folders that were written by the program and compared byte by byte.
    pub written: usize,
    /// Places that weren't judged to their end because the time for them was up. Their fixes aren't counted.
    pub cut_off: usize,
    /// What speaks against fixes.
    pub faults: Vec<Fault>,
    /// How instructions of Dockerfiles moved by all that was judged.
    #[serde(skip)]
    pub moves: Moves,
}

impl Figures {
    /// The number of fixes.
    pub fn total(&self) -> usize {
        self.fixes.len()
    }

    /// The number of fixes that nothing was judged of before, neither here nor elsewhere.
    pub fn distinct<'f>(&'f self, seen: &mut BTreeSet<(&'f str, &'f str, &'f str)>) -> usize {
        self.fixes.iter().filter(|fix| seen.insert(fix.pair())).count()
    }

    /// Adds what came of something else.
    pub fn add(&mut self, other: Self) {
        let add = |to: &mut BTreeMap<String, usize>, from: BTreeMap<String, usize>| {
            from.into_iter().for_each(|(name, count)| *to.entry(name).or_default() += count);
        };
        self.fixes.extend(other.fixes);
        add(&mut self.refused, other.refused);
        add(&mut self.not_read, other.not_read);
        self.mended_by_others += other.mended_by_others;
        self.scans += other.scans;
        self.compared += other.compared;
        self.formatted += other.formatted;
        self.comments_gone += other.comments_gone;
        self.written += other.written;
        self.cut_off += other.cut_off;
        self.faults.extend(other.faults);
        other.moves.iter().for_each(|(path, moved)| add_moved(&mut self.moves, path, moved));
    }
}
