//! A fix of one file, and whether other texts in its place would be proven.

use std::collections::BTreeMap;
use std::sync::Arc;

use keyblind_fix::proof::{Disproof, Pair, Proof, Texts, check_texts, check_verdicts};
use keyblind_fix::{FileEdit, Fix, Fixer, Given, Outcome, Subject};
use keyblind_rules::{RuleId, RuleTable};
use keyblind_scan::{Changed, Trials};

use crate::support::{fix_all, folder, request};

pub(crate) struct Bench<'t> {
    table: &'t RuleTable,
    folder: tempfile::TempDir,
    path: String,
    rule: RuleId,
    pub(crate) before: String,
    pub(crate) fix: Fix,
}

impl<'t> Bench<'t> {
    /// The first fix that a rule has for the first of some files; none, if it has none that needs no input.
    pub(crate) fn new(table: &'t RuleTable, rule: RuleId, files: &[(&str, &str)]) -> Option<Self> {
        let folder = folder(files);
        let (_, outcomes) = fix_all(table, folder.path(), rule);
        let (_, Outcome::Fixed(fix)) = outcomes.into_iter().next()? else { return None };
        let (path, before) = files.first()?;
        fix.inputs.is_empty().then(|| Self { table, folder, path: (*path).into(), rule, before: (*before).into(), fix: *fix })
    }

    /// The text with the fix.
    pub(crate) fn fixed(&self) -> &str {
        &self.fix.texts[&self.path]
    }

    /// Whether a text would be proven if somebody proposed it.
    pub(crate) fn propose(&self, after: &str) -> Result<Fix, Disproof> {
        let mut fixer = Fixer::new(self.table, &request(self.table, self.folder.path()), Given::new());
        let claim = &self.fix.proof.claim;
        fixer.propose(&Subject { rule: self.rule, root: &claim.root, address: &claim.address }, &self.path, after)
    }

    /// Whether a text would be shown as the fixed one, with edits that tell all.
    pub(crate) fn judge(&self, after: &str) -> Result<Proof, Disproof> {
        self.judge_edits(after, &[FileEdit::between(&self.path, &self.before, after)])
    }

    /// Whether a text would be shown as the fixed one.
    pub(crate) fn judge_edits(&self, after: &str, edits: &[FileEdit]) -> Result<Proof, Disproof> {
        let before: BTreeMap<String, Arc<str>> = BTreeMap::from([(self.path.clone(), self.before.as_str().into())]);
        let changed: Changed = BTreeMap::from([(self.path.clone(), after.into())]);
        let proof = &self.fix.proof;
        check_texts(&Texts { before: &before, after: &changed, edits }, &proof.stated)?;
        let trials = Trials::open(&request(self.table, self.folder.path()));
        let job = trials.of_root(&proof.claim.root)[0];
        let run = |changed: &Changed| trials.run(self.table, job, changed, &[]).unwrap();
        let (old, new) = (run(&Changed::new()), run(&changed));
        let pairs = [Pair { root: &proof.claim.root, before: &old, after: &new }];
        check_verdicts(self.table, self.rule, &proof.claim, &proof.stated, &pairs)
    }
}
