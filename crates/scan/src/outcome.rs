//! What a scan found out.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use keyblind_resource::{Dialect, Origin};
use keyblind_rule_language::{Confidence, Control, Persona, Severity};
use keyblind_rules::suppressions::{Date, Form};
use keyblind_syntax::{Diagnostic, Site, SourceMap};

use crate::fingerprint;
#[cfg(doc)]
use crate::limits;
use crate::pipeline::Keep;
use crate::place::Places;

/// Everything a report is made of. Equal input gives an equal report, but for the timings.
#[derive(Debug)]
pub struct ScanReport {
    /// All files that were read.
    pub sources: SourceMap,
    /// How paths are shown.
    pub places: Places,
    /// The rules that results are about, sorted by id.
    pub rules: Vec<RuleCard>,
    /// The results that were asked for, sorted by place, rule and address.
    pub results: Vec<ScanResult>,
    /// What went wrong while reading, each once.
    pub diagnostics: Vec<Diagnostic>,
    /// The numbers.
    pub summary: Summary,
    /// How long it took; never part of a report.
    pub timings: Timings,
}

impl ScanReport {
    /// Drops the results that aren't to be kept; the numbers stay.
    pub fn keep(&mut self, keep: Keep) {
        self.results.retain(|result| match result.status {
            Status::Passed => keep.passed,
            Status::Unknown(_) => keep.unknown,
            Status::Failed | Status::Suppressed(_) => true,
        });
    }

    /// Counts the failures and suppressed results that are left, after some were taken out.
    pub(crate) fn recount(&mut self) {
        self.summary.verdicts.failed = 0;
        self.summary.verdicts.suppressed = 0;
        self.summary.failed_by_severity.clear();
        self.summary.suppressed_by.clear();
        for result in &self.results {
            match &result.status {
                Status::Failed => {
                    self.summary.verdicts.failed += 1;
                    *self.summary.failed_by_severity.entry(self.rules[result.rule].severity).or_default() += 1;
                }
                Status::Suppressed(suppression) => {
                    self.summary.verdicts.suppressed += 1;
                    *self.summary.suppressed_by.entry(suppression.by.name()).or_default() += 1;
                }
                Status::Passed | Status::Unknown(_) => {}
            }
        }
    }
}

/// A rule as reports show it.
#[derive(Clone, Debug, PartialEq)]
pub struct RuleCard {
    /// The kebab-case name of the problem.
    pub id: Arc<str>,
    /// The problem in one line.
    pub title: String,
    /// How bad it is here: the rule's own severity, or what the configuration says.
    pub severity: Severity,
    /// How sure a fail is to be a real fault.
    pub confidence: Confidence,
    /// Who wants to see it.
    pub persona: Persona,
    /// Ids of other tools with the same meaning.
    pub aliases: Vec<String>,
    /// Ids of broader or narrower ones.
    pub related: Vec<String>,
    /// Numbers in frameworks.
    pub controls: Vec<Control>,
    /// The attack.
    pub why: String,
    /// What to do.
    pub fix: String,
    /// Where to read on.
    pub references: Vec<String>,
}

/// The verdict of one rule about one resource.
#[derive(Clone, Debug)]
pub struct ScanResult {
    /// The rule: an index into [`ScanReport::rules`].
    pub rule: usize,
    /// The verdict.
    pub status: Status,
    /// What the resource was written in.
    pub dialect: Dialect,
    /// The resource's full name.
    pub address: Arc<str>,
    /// The name by which users of other scanners know it.
    pub label: String,
    /// The head of its block.
    pub header: Site,
    /// The best place to look at: the deciding value, or the head of the block.
    pub site: Site,
    /// The module calls that lead to it, outermost first.
    pub calls: Arc<[Site]>,
    /// The root module it belongs to: its directory relative to the trust root.
    pub root: Arc<str>,
    /// What is wrong, in one sentence without a full stop.
    pub message: String,
    /// What the verdict is based on.
    pub evidence: Vec<Proof>,
    /// What the finding is recognised by; empty for a pass.
    pub fingerprint: String,
    /// What the resource is connected with, for a failure: the first [`limits::MOST_NEIGHBOURS`].
    pub neighbours: Vec<Neighbour>,
    /// How many more connections there are.
    pub neighbours_left_out: usize,
}

/// A resource that another one is connected with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Neighbour {
    /// Who refers to whom.
    pub direction: Direction,
    /// Its address.
    pub address: Arc<str>,
    /// Its type.
    pub type_key: Arc<str>,
    /// Where the reference stands in the resource that holds it.
    pub path: Arc<str>,
}

/// Who refers to whom.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Direction {
    /// The other resource refers to this one.
    Incoming,
    /// This resource refers to the other.
    Outgoing,
}

/// A verdict that was come to.
#[derive(Clone, Debug)]
pub enum Status {
    /// The fault is there.
    Failed,
    /// The fault isn't there.
    Passed,
    /// It can't be told, and why; never empty.
    Unknown(Vec<Cause>),
    /// The fault may be there, and somebody said that it doesn't matter.
    Suppressed(Suppression),
}

impl Status {
    /// The word for it.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Failed => "failed",
            Self::Passed => "passed",
            Self::Unknown(_) => "unknown",
            Self::Suppressed(_) => "suppressed",
        }
    }
}

/// Why a verdict can't be told.
#[derive(Clone, Debug)]
pub struct Cause {
    /// The path of the unknown value.
    pub path: String,
    /// A stable word for why it is unknown.
    pub code: &'static str,
    /// Why it is unknown.
    pub message: String,
    /// Where it stands.
    pub site: Option<Site>,
}

/// Why a finding doesn't count.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Suppression {
    /// What silenced it.
    pub by: SuppressedBy,
    /// Why, in the author's words.
    pub reason: Option<String>,
    /// The last day, if there is one.
    pub until: Option<Date>,
}

/// What silenced a finding.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SuppressedBy {
    /// A comment.
    Directive {
        /// Whose form it has.
        form: Form,
        /// Where it stands.
        site: Site,
    },
    /// The resource's own data.
    Data {
        /// Whose form it has.
        form: &'static str,
        /// Where it stands.
        site: Site,
    },
    /// The configuration.
    Configuration,
    /// The baseline.
    Baseline,
}

impl SuppressedBy {
    /// The words for it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Directive { form, .. } => form.keyword(),
            Self::Data { form, .. } => form,
            Self::Configuration => "configuration",
            Self::Baseline => "baseline",
        }
    }
}

/// One value that a verdict is based on.
#[derive(Clone, Debug)]
pub struct Proof {
    /// Its path in the resource.
    pub path: String,
    /// The address of the resource that it is found in, if that isn't the one that is judged.
    pub resource: Option<Arc<str>>,
    /// The value as evaluated: JSON text, shortened, never a sensitive one. `None` if nothing is there.
    pub value: Option<String>,
    /// Whether the fault is that nothing is there.
    pub missing: bool,
    /// What would have been good.
    pub expected: String,
    /// Where it stands; if it is missing, the block that it is missing from.
    pub site: Option<Site>,
    /// Where it came from.
    pub origin: Origin,
    /// What this fault is recognised by.
    pub fingerprint: String,
}

impl Proof {
    /// Where the fault is, for its fingerprint: the path, behind the other resource if it is found in one.
    pub(crate) fn fault_path(&self) -> String {
        match &self.resource {
            Some(other) => format!("{}:{}", fingerprint::without_numbers(other), self.path),
            None => self.path.clone(),
        }
    }
}

/// The numbers of a scan.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Summary {
    /// How many verdicts of each kind.
    pub verdicts: Verdicts,
    /// Failures by severity.
    pub failed_by_severity: BTreeMap<Severity, u64>,
    /// Unknown verdicts by the code of their first reason.
    pub unknown_by_reason: BTreeMap<&'static str, u64>,
    /// Suppressed findings by what silenced them.
    pub suppressed_by: BTreeMap<&'static str, u64>,
    /// Modules that aren't installed: source, and how many calls use it.
    pub missing_modules: BTreeMap<String, u64>,
    /// How many rules were looked at.
    pub rules: u64,
    /// How many resources were judged.
    pub resources: u64,
    /// How many root modules, plans … were evaluated.
    pub roots: u64,
    /// What became of the files.
    pub files: Files,
    /// Faults of the baseline that are gone.
    pub baseline_gone: u64,
    /// Whether a part of the input wasn't judged.
    pub incomplete: bool,
}

/// How many verdicts of each kind.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Verdicts {
    /// The fault is there.
    pub failed: u64,
    /// It isn't.
    pub passed: u64,
    /// It can't be told.
    pub unknown: u64,
    /// Somebody said that it doesn't matter.
    pub suppressed: u64,
    /// The rule has nothing to say about the resource.
    pub not_applicable: u64,
}

/// What became of the files.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Files {
    /// Read and evaluated.
    pub read: u64,
    /// Could not be read.
    pub unread: u64,
    /// Directories that were not entered and excluded paths, by reason.
    pub skipped: BTreeMap<&'static str, Vec<String>>,
    /// Files in languages that are not judged yet, by language.
    pub unjudged: BTreeMap<&'static str, u64>,
    /// Files of no kind that we know.
    pub other: u64,
}

/// How long the steps took.
#[derive(Clone, Copy, Debug, Default)]
pub struct Timings {
    /// Finding and reading the files.
    pub read: Duration,
    /// Parsing them.
    pub parse: Duration,
    /// Evaluating, judging, and bringing the verdicts together.
    pub judge: Duration,
    /// Of that: evaluating, all threads together.
    pub evaluate_threads: Duration,
    /// Of that: deciding rules, all threads together.
    pub rules_threads: Duration,
}
