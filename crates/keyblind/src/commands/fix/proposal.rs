//! What a leaf hands over of fixes that are to become a pull request.
//!
//! The leaf has read hostile text, so that whoever takes this believes little of it: paths and digests come in types that hold nothing else,
//! texts of the repository are foreign, and what can be computed again is.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, ensure};
use keyblind_explain::explain;
use keyblind_fix::proof::Proof;
use keyblind_fix::{Effect, Outcome};
use keyblind_intent::{Bulk, Digest, Foreign, RepositoryPath, RuleId, limits};
use keyblind_rule_language::Severity;
use keyblind_scan::{ScanReport, ScanResult};
use serde::{Deserialize, Serialize};

use super::{Attempt, Changes};
use crate::exit::UsageError;
use crate::leaf;

/// Most bytes of the document that says what is proposed.
const LARGEST_DOCUMENT: u64 = 64 << 20;
/// Sentences about one finding.
const MOST_SENTENCES: usize = 4;

/// The files that a leaf fills, by number.
const DOCUMENT: u8 = 0;
const CONTENTS: u8 = 1;

/// Fixes, and the files as they are with all of them.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Proposal {
    /// Sorted by path, none twice.
    pub(super) files: Vec<ProposedFile>,
    pub(super) rules: Vec<ProposedRule>,
    /// Each stands on the ground of those before it.
    pub(super) fixes: Vec<ProposedFix>,
    /// Findings that are gone with a fix for others.
    pub(super) gone: u64,
    /// Findings that stay.
    pub(super) left: u64,
    /// Whether something could not be read or judged.
    pub(super) is_incomplete: bool,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ProposedFile {
    pub(super) path: RepositoryPath,
    pub(super) before: Digest,
    pub(super) after: Bulk,
}

/// A rule, as it stands in the table that judged; a repository may bring rules of its own.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ProposedRule {
    pub(super) id: RuleId,
    pub(super) severity: Severity,
    pub(super) title: Foreign,
    pub(super) attack: Foreign,
    pub(super) remedy: Foreign,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ProposedFix {
    /// Its place among the rules.
    pub(super) rule: usize,
    pub(super) address: Foreign,
    /// The file and the line.
    pub(super) place: Foreign,
    pub(super) fingerprint: Foreign,
    pub(super) effects: Vec<Effect>,
    /// What the verdict was based on, in sentences with code between backticks.
    pub(super) here: Vec<Foreign>,
    /// How to see it for oneself.
    pub(super) check: Foreign,
    /// The files that it edits, by their place among the files.
    pub(super) files: Vec<usize>,
    pub(super) proof: Proof,
}

/// Hands the fixes that were taken over to who started this leaf.
///
/// # Errors
/// If a name can't be said in a pull request, or nobody listens any more.
pub(super) fn hand_over(report: &ScanReport, attempts: &[Attempt<'_>], changes: &Changes, left: usize) -> anyhow::Result<()> {
    let inside = leaf::inside().context("fixes are handed over by a leaf only")?;
    let proposal = compose(report, attempts, changes, left)?;
    inside.fill(DOCUMENT, |out| serde_json::to_writer(out, &proposal).map_err(Into::into)).context("the fixes can't be handed over")?;
    inside
        .fill(CONTENTS, |out| changes.values().try_for_each(|(_, new)| out.write_all(new.as_bytes())))
        .context("the fixed files can't be handed over")
}

fn compose(report: &ScanReport, attempts: &[Attempt<'_>], changes: &Changes, left: usize) -> anyhow::Result<Proposal> {
    let file = |(path, (old, new)): (&String, &(std::sync::Arc<str>, std::sync::Arc<str>))| {
        let name = RepositoryPath::new(path.as_str())
            .map_err(|error| UsageError::new(format_args!("`{}` can't be changed by a pull request: {error}", path.escape_debug())))?;
        Ok(ProposedFile { path: name, before: Digest::of(old.as_bytes()), after: Bulk::of(new.as_bytes()) })
    };
    let numbers: BTreeMap<&str, usize> = changes.keys().enumerate().map(|(number, path)| (path.as_str(), number)).collect();
    let mut rules: Vec<usize> = Vec::new();
    let mut fixes = Vec::new();
    for attempt in attempts.iter().filter(|attempt| attempt.taken) {
        let Outcome::Fixed(fix) = &attempt.outcome else { continue };
        // What a later fix put back isn't changed by the pull request.
        let files: Vec<usize> = fix.edits.iter().filter_map(|edit| numbers.get(edit.path.as_str()).copied()).collect();
        if files.is_empty() {
            continue;
        }
        let result = attempt.result;
        let rule = rules.iter().position(|rule| *rule == result.rule).unwrap_or_else(|| {
            rules.push(result.rule);
            rules.len() - 1
        });
        let explanation = explain(report, result);
        fixes.push(ProposedFix {
            rule,
            address: Foreign::new(&result.address),
            place: Foreign::new(&place(report, result)),
            fingerprint: Foreign::new(&result.fingerprint),
            effects: fix.effects.clone(),
            here: explanation.here.iter().chain(&explanation.reach).take(MOST_SENTENCES).map(|sentence| Foreign::new(sentence)).collect(),
            check: Foreign::new(&explanation.check),
            files,
            proof: fix.proof.clone(),
        });
    }
    let rule = |number: &usize| {
        let card = &report.rules[*number];
        let id = RuleId::new(&*card.id).map_err(|error| {
            UsageError::new(format_args!("the rule `{}` can't be named in a pull request: {error}", card.id.escape_debug()))
        })?;
        Ok(ProposedRule {
            id,
            severity: card.severity,
            title: Foreign::new(&card.title),
            attack: Foreign::new(&card.why),
            remedy: Foreign::new(&card.fix),
        })
    };
    Ok(Proposal {
        files: changes.iter().map(file).collect::<Result<_, UsageError>>()?,
        rules: rules.iter().map(rule).collect::<Result<_, UsageError>>()?,
        fixes,
        gone: attempts.iter().filter(|attempt| matches!(attempt.outcome, Outcome::Gone)).count() as u64,
        left: left as u64,
        is_incomplete: report.summary.incomplete,
    })
}

fn place(report: &ScanReport, result: &ScanResult) -> String {
    let file = report.places.in_report(&report.sources.file(result.site.file).path);
    format!("{file}:{}", report.sources.start(result.site).line)
}

/// Where a leaf's files go until they are taken.
pub(super) struct Inbox {
    folder: tempfile::TempDir,
}

impl Inbox {
    /// Makes a place for them.
    ///
    /// # Errors
    /// If there is none.
    pub(super) fn new() -> anyhow::Result<Self> {
        let folder = tempfile::Builder::new().prefix("keyblind-").tempdir().context("can't make a folder for the fixes")?;
        Ok(Self { folder })
    }

    /// The files, by their numbers.
    pub(super) fn files(&self) -> Vec<PathBuf> {
        ["document", "contents"].map(|name| self.folder.path().join(name)).into()
    }

    /// What the leaf handed over, and the contents of the files one after the other; `None` if it had nothing to hand over. `tree` is where
    /// the files lie that it was about.
    ///
    /// # Errors
    /// If it isn't what a leaf hands over, is too much, or isn't about these files.
    pub(super) fn take(&self, tree: &Path) -> anyhow::Result<Option<(Proposal, Vec<u8>)>> {
        let files = self.files();
        let (document, contents) = (&files[usize::from(DOCUMENT)], &files[usize::from(CONTENTS)]);
        if !document.exists() {
            return Ok(None);
        }
        let document = limited(document, LARGEST_DOCUMENT)?;
        let proposal: Proposal = serde_json::from_slice(&document).context("the sandboxed process handed over what can't be understood")?;
        let contents = limited(contents, limits::ATTACHED_BYTES)?;
        proposal.check(&contents, tree)?;
        Ok(Some((proposal, contents)))
    }
}

fn limited(path: &Path, most: u64) -> anyhow::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let file = File::open(path).context("the sandboxed process didn't hand the fixes over whole")?;
    file.take(most + 1).read_to_end(&mut bytes).context("the fixes can't be read")?;
    if bytes.len() as u64 > most {
        let megabytes = most >> 20;
        let help = "choose fewer fixes with `--rule` or `--finding`";
        return Err(
            UsageError::new(format_args!("the fixes change more than the {megabytes} MiB that a pull request may hold: {help}")).into()
        );
    }
    Ok(bytes)
}

impl Proposal {
    /// Whether the numbers are within bounds, the contents are those that it describes, and the files before are those of the tree: a leaf
    /// that says otherwise isn't what it was.
    fn check(&self, contents: &[u8], tree: &Path) -> anyhow::Result<()> {
        const LIE: &str = "the sandboxed process handed over fixes that don't fit together";
        ensure!(self.files.windows(2).all(|pair| pair[0].path < pair[1].path), LIE);
        ensure!(self.fixes.iter().all(|fix| fix.rule < self.rules.len() && !fix.files.is_empty()), LIE);
        let mut is_edited = vec![false; self.files.len()];
        for file in self.fixes.iter().flat_map(|fix| &fix.files) {
            *is_edited.get_mut(*file).context(LIE)? = true;
        }
        ensure!(is_edited.iter().all(|is_edited| *is_edited), LIE);
        let mut rest = contents;
        for file in &self.files {
            let length = usize::try_from(file.after.bytes.get()).context(LIE)?;
            let (new, after) = rest.split_at_checked(length).context(LIE)?;
            let old = std::fs::read(tree.join(file.path.as_str())).context(LIE)?;
            ensure!(Bulk::of(new) == file.after && Digest::of(&old) == file.before && old != new, LIE);
            rest = after;
        }
        ensure!(rest.is_empty(), LIE);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OLD: &str = "acl = \"public-read\"\n";
    const NEW: &str = "acl = \"private\"\n";

    fn document() -> serde_json::Value {
        let bulk = Bulk::of(NEW.as_bytes());
        serde_json::json!({
            "files": [{"path": "main.tf", "before": Digest::of(OLD.as_bytes()), "after": bulk}],
            "rules": [{"id": "bucket-acl-public", "severity": "High", "title": "t", "attack": "a", "remedy": "r"}],
            "fixes": [{
                "rule": 0, "address": "aws_s3_bucket.a", "place": "main.tf:1", "fingerprint": "f", "effects": [], "here": [], "check": "c",
                "files": [0],
                "proof": {"claim": {"rule": "bucket-acl-public", "root": "", "address": "aws_s3_bucket.a"}, "stated": [], "checks": [],
                          "roots": [""], "assumed": []},
            }],
            "gone": 0, "left": 0, "is_incomplete": false,
        })
    }

    fn taken(document: &serde_json::Value, contents: &str) -> anyhow::Result<Option<(Proposal, Vec<u8>)>> {
        let tree = tempfile::tempdir().expect("a folder");
        std::fs::write(tree.path().join("main.tf"), OLD).expect("it can be written");
        let inbox = Inbox::new()?;
        let files = inbox.files();
        std::fs::write(&files[0], document.to_string()).expect("it can be written");
        std::fs::write(&files[1], contents).expect("it can be written");
        inbox.take(tree.path())
    }

    #[test]
    fn what_a_sound_leaf_hands_over_is_taken() {
        let (proposal, contents) = taken(&document(), NEW).expect("it is sound").expect("it is there");
        assert_eq!((proposal.files[0].path.as_str(), contents.as_slice()), ("main.tf", NEW.as_bytes()));
        let nothing = Inbox::new().and_then(|inbox| inbox.take(Path::new("/"))).expect("that is no error");
        assert!(nothing.is_none());
    }

    #[test]
    fn what_a_hostile_leaf_hands_over_is_not() {
        let hostile: [(&str, serde_json::Value); 9] = [
            ("/files/0/path", "../main.tf".into()),
            ("/files/0/path", "/etc/passwd".into()),
            ("/files/0/path", "other.tf".into()),
            ("/files/0/before", Digest::of(b"").to_string().into()),
            ("/files/0/after/bytes", 3.into()),
            ("/fixes/0/rule", 1.into()),
            ("/fixes/0/files/0", 1.into()),
            ("/fixes/0/files", serde_json::json!([])),
            ("/rules/0/id", "Not A Rule".into()),
        ];
        for (pointer, value) in hostile {
            let mut changed = document();
            *changed.pointer_mut(pointer).expect("it is there") = value;
            assert!(taken(&changed, NEW).is_err(), "{pointer}");
        }
        for contents in ["", OLD, "acl = \"private\"\nmore"] {
            assert!(taken(&document(), contents).is_err(), "{contents}");
        }
        let mut twice = document();
        let file = twice["files"][0].clone();
        twice["files"].as_array_mut().expect("a list").push(file);
        assert!(taken(&twice, &NEW.repeat(2)).is_err());
    }
}
