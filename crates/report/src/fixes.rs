//! Fixes as reports show them.
//!
//! A fix holds texts of the source, in which secrets may stand. Diffs are made of texts in which those are masked, and an
//! edit whose replacement would hold one is taken apart until it doesn't, or withheld.

mod hunks;
mod secrets;

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use keyblind_fix::{Effect, FileEdit, Fix, Hindrance, Input, Outcome};
use keyblind_scan::{ScanReport, ScanResult};
use keyblind_syntax::{FileId, LineColumn, SourceFile};

pub(crate) use hunks::patch;
pub use hunks::{Hunk, Line, Tag};

use crate::masks::Masks;
use crate::words;

/// What is said of a fix whose edits are left out.
pub const WITHHELD: &str = "the edits hold what looks like a secret, and are shown by `keyblind fix` only";

/// What looking for a fix came to, for each finding of a report that was looked at.
#[derive(Default)]
pub struct Fixes {
    masks: Masks,
    files: HashMap<Arc<str>, FileId>,
    by_fingerprint: BTreeMap<String, Remedy>,
    explained: BTreeMap<String, Explained>,
}

/// What a finding means, in a model's words. It decides nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Explained {
    /// The whole, on one line.
    pub text: String,
    /// What somebody does, step by step.
    pub attack: Vec<String>,
    /// What speaks against it.
    pub doubts: Vec<String>,
}

/// What there is for a finding.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Remedy {
    /// A proven fix.
    Proven(Proven),
    /// None, and what stands in the way.
    Hindered(Hindrance),
}

/// A proven fix, as far as a report may show it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Proven {
    /// What it asks of whoever applies it.
    pub class: Class,
    /// What it does beside mending the fault.
    pub effects: Vec<Effect>,
    /// The values that only a person knows.
    pub inputs: Vec<Input>,
    /// The files that it changes, by path.
    pub files: Vec<FileChange>,
    /// Whether its edits are left out, because they hold what looks like a secret.
    pub is_withheld: bool,
    /// Whether a model proposed its text.
    pub is_proposed: bool,
}

/// What a fix asks of whoever applies it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Class {
    /// Nothing: it changes nothing but the fault.
    Safe,
    /// To accept what it does beside.
    Unsafe,
    /// A value that only a person knows.
    NeedsInput,
}

/// What a fix changes in one file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileChange {
    /// Relative to the trust root.
    pub path: String,
    /// The SHA-256 of the text that the edits are for, in hexadecimal digits.
    pub digest: String,
    /// The edits, in order; none where they are withheld.
    pub edits: Vec<Edit>,
    /// The changed lines and those around them, secrets masked.
    pub hunks: Vec<Hunk>,
    /// Whether the lines are shown as they stand in the file: nothing in them is masked or steers a terminal.
    pub is_exact: bool,
}

/// A range of a file and what comes in its place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Edit {
    /// Offset of the first byte that goes.
    pub start: usize,
    /// Offset behind the last byte that goes.
    pub end: usize,
    /// Where it starts.
    pub from: LineColumn,
    /// The place behind its last character.
    pub to: LineColumn,
    /// What comes in its place.
    pub replacement: String,
}

impl Class {
    /// The class of a fix.
    pub fn of(fix: &Fix) -> Self {
        match (fix.inputs.is_empty(), fix.effects.is_empty()) {
            (false, _) => Self::NeedsInput,
            (true, false) => Self::Unsafe,
            (true, true) => Self::Safe,
        }
    }

    /// The kebab-case word for it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Safe => "safe",
            Self::Unsafe => "unsafe",
            Self::NeedsInput => "needs-input",
        }
    }
}

impl Fixes {
    /// Makes ready to take the fixes for a report's findings.
    pub fn of(report: &ScanReport) -> Self {
        let files = report.sources.iter().map(|(id, file)| (file.path.clone(), id)).collect();
        Self { masks: Masks::of(report), files, by_fingerprint: BTreeMap::new(), explained: BTreeMap::new() }
    }

    /// Takes what became of a finding. `original` gives the text of a file that the fix was made for.
    pub fn add(&mut self, result: &ScanResult, outcome: &Outcome, original: impl Fn(&str) -> Option<Arc<str>>) {
        let remedy = match outcome {
            Outcome::Fixed(fix) => Remedy::Proven(self.proven(fix, original)),
            // Nothing was changed before it that could have mended it.
            Outcome::Gone => Remedy::Hindered(Hindrance::UneditedSyntax),
            Outcome::Refused(refusal) => Remedy::Hindered(refusal.hindrance),
        };
        self.by_fingerprint.insert(result.fingerprint.clone(), remedy);
    }

    /// What there is for a finding; `None` if no fix was looked for.
    pub fn get(&self, result: &ScanResult) -> Option<&Remedy> {
        self.by_fingerprint.get(&result.fingerprint)
    }

    /// Takes what a model says of a finding.
    pub fn explain(&mut self, result: &ScanResult, explained: Explained) {
        self.explained.insert(result.fingerprint.clone(), explained);
    }

    /// What a model says of a finding, if one was asked.
    pub fn explained(&self, result: &ScanResult) -> Option<&Explained> {
        self.explained.get(&result.fingerprint)
    }

    /// The command that shows the fix for a finding, with a fingerprint as short as it may be without meaning another one.
    pub(crate) fn command(&self, result: &ScanResult) -> String {
        const ENOUGH: usize = 12;
        let whole = result.fingerprint.as_str();
        let short = whole.get(..ENOUGH).unwrap_or(whole);
        let mut alike = self.by_fingerprint.range(short.to_owned()..).take_while(|(other, _)| other.starts_with(short));
        let is_shared = alike.any(|(other, _)| other != whole);
        format!("keyblind fix --finding {}", if is_shared { whole } else { short })
    }

    /// How many findings have which class of fix, and what stands in the way of the others; `None` if no fix was looked for.
    pub(crate) fn tally(&self, report: &ScanReport) -> Option<String> {
        let mut classes: BTreeMap<Class, u64> = BTreeMap::new();
        let mut hindrances: BTreeMap<&str, u64> = BTreeMap::new();
        for remedy in report.results.iter().filter_map(|result| self.get(result)) {
            match remedy {
                Remedy::Proven(proven) => *classes.entry(proven.class).or_default() += 1,
                Remedy::Hindered(hindrance) => *hindrances.entry(hindrance.name()).or_default() += 1,
            }
        }
        let (fixed, hindered): (u64, u64) = (classes.values().sum(), hindrances.values().sum());
        if fixed + hindered == 0 {
            return None;
        }
        let listed: Vec<String> = classes.iter().map(|(class, number)| format!("{number} {}", class.name())).collect();
        let by_class = if listed.is_empty() { String::new() } else { format!(" ({})", listed.join(", ")) };
        let without = if hindered > 0 { format!("; {hindered} without: {}", words::tally(hindrances)) } else { String::new() };
        let have = if fixed + hindered == 1 { "has" } else { "have" };
        Some(format!("{fixed} of {} {have} a proven fix{by_class}{without}", words::count(fixed + hindered, "finding")))
    }

    fn proven(&self, fix: &Fix, original: impl Fn(&str) -> Option<Arc<str>>) -> Proven {
        let mut files = Vec::new();
        let mut is_withheld = false;
        for edit in &fix.edits {
            let (Some(old), Some(new)) = (original(&edit.path), fix.texts.get(&edit.path)) else {
                is_withheld = true;
                continue;
            };
            let change = self.change(edit, &old, new);
            is_withheld |= change.is_none();
            files.extend(change);
        }
        if is_withheld {
            files.iter_mut().for_each(|file| file.edits.clear());
        }
        Proven {
            class: Class::of(fix),
            effects: fix.effects.clone(),
            inputs: fix.inputs.clone(),
            files,
            is_withheld,
            is_proposed: fix.proof.proposed,
        }
    }

    /// `None` if the edits can't be shown.
    fn change(&self, edit: &FileEdit, old: &Arc<str>, new: &str) -> Option<FileChange> {
        let file = SourceFile::new(edit.path.as_str(), old.clone());
        let masks = self.files.get(edit.path.as_str()).map(|id| self.masks.ranges(*id)).unwrap_or_default();
        let masked = secrets::masked(old, new, &edit.edits, masks);
        let edits = secrets::shown(&edit.edits, &masked)?;
        let place = |offset: usize| file.line_column(u32::try_from(offset).unwrap_or(u32::MAX));
        let hunks = hunks::of(&masked.old, &masked.new);
        let is_plain = |line: &Line| words::clean_line(line.content()) == line.content();
        let is_exact = hunks == hunks::of(old, new) && hunks.iter().flat_map(|hunk| &hunk.lines).all(is_plain);
        Some(FileChange {
            path: edit.path.clone(),
            digest: edit.digest.clone(),
            edits: edits
                .into_iter()
                .map(|(range, replacement)| Edit {
                    start: range.start,
                    end: range.end,
                    from: place(range.start),
                    to: place(range.end),
                    replacement,
                })
                .collect(),
            hunks,
            is_exact,
        })
    }
}

impl std::fmt::Debug for Fixes {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_map().entries(&self.by_fingerprint).finish()
    }
}

impl Proven {
    /// What it does beside and what it needs, one sentence each.
    pub fn conditions(&self) -> Vec<String> {
        let effects = self.effects.iter().map(|effect| format!("It is unsafe: {}.", effect.sentence()));
        let inputs = self.inputs.iter().map(|input| {
            let assumed = words::shortened(&words::clean(&input.assumed), 80).replace('`', "'");
            format!("It needs input: a value for `{}`, such as `{assumed}`.", input.attribute)
        });
        effects.chain(inputs).collect()
    }
}

/// What stands in the way of a fix, as a sentence that ends with the word for it.
pub(crate) fn hindered(hindrance: Hindrance) -> String {
    format!("No fix: {} ({hindrance}).", hindrance.sentence())
}

/// What there is for a finding, in one line for formats that have no place of its own for it; nothing if no fix was looked
/// for. What to do by hand is told elsewhere in them.
pub(crate) fn line(result: &ScanResult, fixes: &Fixes) -> Option<String> {
    Some(match fixes.get(result)? {
        Remedy::Proven(proven) => format!("Proven fix ({}): {}", proven.class.name(), fixes.command(result)),
        Remedy::Hindered(hindrance) => hindered(*hindrance),
    })
}

/// The same with what to do by hand.
pub(crate) fn line_by_hand(report: &ScanReport, result: &ScanResult, fixes: &Fixes) -> Option<String> {
    let line = line(result, fixes)?;
    let by_hand = matches!(fixes.get(result), Some(Remedy::Hindered(_)));
    Some(if by_hand { format!("{line} By hand: {}", report.rules[result.rule].fix) } else { line })
}
