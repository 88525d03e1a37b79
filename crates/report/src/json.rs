//! The program's own JSON report, version 1: `docs/report.schema.json` states its form.
//!
//! Written piece by piece, one result a line, so that a report of any size needs no memory of its own.

use std::collections::BTreeMap;
use std::io::{self, Write};

use keyblind_rule_language::Severity;
use keyblind_scan::{Cause, Proof, ScanReport, ScanResult, Status, SuppressedBy, Suppression, limits};
use keyblind_syntax::{Diagnostic, Level};
use serde::Serialize;

use crate::fixes::{Edit, FileChange, Fixes, Proven, Remedy, WITHHELD};
use crate::place::Place;
use crate::{TOOL, VERSION};

/// What the `schema` member says.
pub const SCHEMA: &str = "keyblind/report/1";

/// Writes the report, with the fixes that were looked for.
///
/// # Errors
/// If `out` can't be written to.
pub fn write(report: &ScanReport, fixes: &Fixes, out: &mut dyn Write) -> io::Result<()> {
    write!(out, "{{\"schema\":\"{SCHEMA}\",\n\"tool\":{{\"name\":\"{TOOL}\",\"version\":\"{VERSION}\"}},\n\"summary\":")?;
    piece(out, &SummaryView::of(report))?;
    out.write_all(b",\n\"diagnostics\":[")?;
    list(out, report.diagnostics.iter().map(|diagnostic| DiagnosticView::of(report, diagnostic)))?;
    out.write_all(b"],\n\"results\":[")?;
    list(out, report.results.iter().map(|result| ResultView::of(report, result, fixes)))?;
    out.write_all(b"]}\n")
}

fn list<T: Serialize>(out: &mut dyn Write, items: impl Iterator<Item = T>) -> io::Result<()> {
    for (index, item) in items.enumerate() {
        out.write_all(if index == 0 { b"\n" } else { b",\n" })?;
        piece(out, &item)?;
    }
    Ok(())
}

fn piece(out: &mut dyn Write, value: &impl Serialize) -> io::Result<()> {
    serde_json::to_writer(out, value).map_err(io::Error::from)
}

/// What was judged, in figures.
#[derive(Serialize)]
pub(crate) struct SummaryView<'r> {
    failed: u64,
    passed: u64,
    unknown: u64,
    suppressed: u64,
    not_applicable: u64,
    failed_by_severity: BTreeMap<&'static str, u64>,
    unknown_by_reason: &'r BTreeMap<&'static str, u64>,
    suppressed_by: &'r BTreeMap<&'static str, u64>,
    missing_modules: &'r BTreeMap<String, u64>,
    baseline_gone: u64,
    rules: u64,
    resources: u64,
    roots: u64,
    files: FilesView<'r>,
    incomplete: bool,
}

#[derive(Serialize)]
struct FilesView<'r> {
    read: u64,
    unread: u64,
    not_judged: &'r BTreeMap<&'static str, u64>,
    other: u64,
    skipped: Vec<SkippedView<'r>>,
}

#[derive(Serialize)]
struct SkippedView<'r> {
    reason: &'r str,
    count: usize,
    /// The first of them.
    paths: &'r [String],
}

impl<'r> SummaryView<'r> {
    pub(crate) fn of(report: &'r ScanReport) -> Self {
        let summary = &report.summary;
        let by_severity = |severity: &Severity| (severity.name(), summary.failed_by_severity.get(severity).copied().unwrap_or_default());
        let skipped = summary.files.skipped.iter().map(|(reason, paths)| SkippedView {
            reason,
            count: paths.len(),
            paths: &paths[..paths.len().min(limits::MOST_LISTED)],
        });
        Self {
            failed: summary.verdicts.failed,
            passed: summary.verdicts.passed,
            unknown: summary.verdicts.unknown,
            suppressed: summary.verdicts.suppressed,
            not_applicable: summary.verdicts.not_applicable,
            failed_by_severity: Severity::ALL.iter().map(by_severity).collect(),
            unknown_by_reason: &summary.unknown_by_reason,
            suppressed_by: &summary.suppressed_by,
            missing_modules: &summary.missing_modules,
            baseline_gone: summary.baseline_gone,
            rules: summary.rules,
            resources: summary.resources,
            roots: summary.roots,
            files: FilesView {
                read: summary.files.read,
                unread: summary.files.unread,
                not_judged: &summary.files.unjudged,
                other: summary.files.other,
                skipped: skipped.collect(),
            },
            incomplete: summary.incomplete,
        }
    }
}

#[derive(Serialize)]
struct DiagnosticView<'r> {
    level: &'static str,
    code: &'static str,
    message: &'r str,
    #[serde(skip_serializing_if = "Option::is_none")]
    help: Option<&'r str>,
    #[serde(flatten)]
    place: Option<Place<'r>>,
    #[serde(rename = "file", skip_serializing_if = "Option::is_none")]
    unread: Option<&'r str>,
}

impl<'r> DiagnosticView<'r> {
    fn of(report: &'r ScanReport, diagnostic: &'r Diagnostic) -> Self {
        Self {
            level: match diagnostic.level {
                Level::Incomplete => "incomplete",
                Level::Note => "note",
            },
            code: diagnostic.code,
            message: &diagnostic.message,
            help: diagnostic.help.as_deref(),
            place: diagnostic.site.map(|site| Place::of(report, site)),
            unread: diagnostic.path.as_deref().filter(|_| diagnostic.site.is_none()).map(|path| report.places.in_report(path)),
        }
    }
}

#[derive(Serialize)]
struct ResultView<'r> {
    rule: &'r str,
    aliases: &'r [String],
    status: &'static str,
    severity: &'static str,
    confidence: &'static str,
    persona: &'static str,
    dialect: &'static str,
    #[serde(flatten)]
    place: Place<'r>,
    resource: &'r str,
    address: &'r str,
    root: &'r str,
    message: &'r str,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    evidence: Vec<ProofView<'r>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    reasons: Vec<ReasonView<'r>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    suppression: Option<SuppressionView<'r>>,
    #[serde(skip_serializing_if = "str::is_empty")]
    fingerprint: &'r str,
    #[serde(skip_serializing_if = "Option::is_none")]
    fix: Option<FixView<'r>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    explanation: Option<ExplanationView<'r>>,
}

/// What a model says of a finding.
#[derive(Serialize)]
struct ExplanationView<'r> {
    by: &'static str,
    text: &'r str,
    attack: &'r [String],
    doubts: &'r [String],
}

impl<'r> ResultView<'r> {
    fn of(report: &'r ScanReport, result: &'r ScanResult, fixes: &'r Fixes) -> Self {
        let rule = &report.rules[result.rule];
        let (reasons, suppression) = match &result.status {
            Status::Unknown(causes) => (causes.iter().map(|cause| ReasonView::of(report, cause)).collect(), None),
            Status::Suppressed(suppression) => (Vec::new(), Some(SuppressionView::of(report, suppression))),
            Status::Failed | Status::Passed => (Vec::new(), None),
        };
        Self {
            rule: &rule.id,
            aliases: &rule.aliases,
            status: result.status.name(),
            severity: rule.severity.name(),
            confidence: rule.confidence.name(),
            persona: rule.persona.name(),
            dialect: result.dialect.name(),
            place: Place::of(report, result.site),
            resource: &result.label,
            address: &result.address,
            root: &result.root,
            message: &result.message,
            evidence: result.evidence.iter().map(|proof| ProofView::of(report, proof)).collect(),
            reasons,
            suppression,
            fingerprint: &result.fingerprint,
            fix: fixes.get(result).map(|remedy| FixView::of(report, result, remedy)),
            explanation: fixes.explained(result).map(|explained| ExplanationView {
                by: "model",
                text: &explained.text,
                attack: &explained.attack,
                doubts: &explained.doubts,
            }),
        }
    }
}

/// A proven fix, or why there is none.
#[derive(Serialize)]
#[serde(untagged)]
enum FixView<'r> {
    Proven(ProvenView<'r>),
    Hindered { hindrance: HindranceView<'r> },
}

#[derive(Serialize)]
struct ProvenView<'r> {
    class: &'static str,
    edits: Vec<EditView<'r>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    withheld: Option<&'static str>,
    /// Whether a model proposed its text.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    proposed: bool,
    effects: Vec<EffectView>,
    inputs: Vec<InputView<'r>>,
}

#[derive(Serialize)]
struct EditView<'r> {
    /// Relative to the trust root, as a program that applies it needs it.
    path: &'r str,
    digest: &'r str,
    start: usize,
    end: usize,
    line: u32,
    column: u32,
    end_line: u32,
    end_column: u32,
    replacement: &'r str,
}

#[derive(Serialize)]
struct EffectView {
    effect: &'static str,
    message: &'static str,
}

#[derive(Serialize)]
struct InputView<'r> {
    variable: &'r str,
    attribute: &'r str,
    #[serde(rename = "type")]
    kind: &'r str,
    assumed: &'r str,
    #[serde(skip_serializing_if = "Option::is_none")]
    module: Option<&'r str>,
}

#[derive(Serialize)]
struct HindranceView<'r> {
    reason: &'static str,
    message: &'static str,
    by_hand: &'r str,
}

impl<'r> FixView<'r> {
    fn of(report: &'r ScanReport, result: &ScanResult, remedy: &'r Remedy) -> Self {
        match remedy {
            Remedy::Proven(proven) => Self::Proven(ProvenView::of(proven)),
            Remedy::Hindered(hindrance) => Self::Hindered {
                hindrance: HindranceView {
                    reason: hindrance.name(),
                    message: hindrance.sentence(),
                    by_hand: &report.rules[result.rule].fix,
                },
            },
        }
    }
}

impl<'r> ProvenView<'r> {
    fn of(proven: &'r Proven) -> Self {
        let edit = |file: &'r FileChange, edit: &'r Edit| EditView {
            path: &file.path,
            digest: &file.digest,
            start: edit.start,
            end: edit.end,
            line: edit.from.line,
            column: edit.from.column,
            end_line: edit.to.line,
            end_column: edit.to.column,
            replacement: &edit.replacement,
        };
        Self {
            class: proven.class.name(),
            edits: proven.files.iter().flat_map(|file| file.edits.iter().map(move |own| edit(file, own))).collect(),
            withheld: proven.is_withheld.then_some(WITHHELD),
            proposed: proven.is_proposed,
            effects: proven.effects.iter().map(|effect| EffectView { effect: effect.name(), message: effect.sentence() }).collect(),
            inputs: proven
                .inputs
                .iter()
                .map(|input| InputView {
                    variable: &input.variable,
                    attribute: &input.attribute,
                    kind: &input.kind,
                    assumed: &input.assumed,
                    module: input.module.as_deref(),
                })
                .collect(),
        }
    }
}

#[derive(Serialize)]
struct ProofView<'r> {
    path: &'r str,
    #[serde(skip_serializing_if = "Option::is_none")]
    resource: Option<&'r str>,
    value: Option<&'r str>,
    missing: bool,
    expected: &'r str,
    #[serde(flatten)]
    place: Option<Place<'r>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    origin: Vec<StepView<'r>>,
    fingerprint: &'r str,
}

#[derive(Serialize)]
struct StepView<'r> {
    kind: &'static str,
    message: String,
    #[serde(flatten)]
    place: Place<'r>,
}

impl<'r> ProofView<'r> {
    fn of(report: &'r ScanReport, proof: &'r Proof) -> Self {
        let steps = keyblind_explain::steps(&proof.origin).into_iter();
        Self {
            path: &proof.path,
            resource: proof.resource.as_deref(),
            value: proof.value.as_deref(),
            missing: proof.missing,
            expected: &proof.expected,
            place: proof.site.map(|site| Place::of(report, site)),
            origin: steps.map(|step| StepView { kind: step.kind, message: step.words, place: Place::of(report, step.site) }).collect(),
            fingerprint: &proof.fingerprint,
        }
    }
}

#[derive(Serialize)]
struct ReasonView<'r> {
    code: &'static str,
    message: &'r str,
    path: &'r str,
    #[serde(flatten)]
    place: Option<Place<'r>>,
}

impl<'r> ReasonView<'r> {
    fn of(report: &'r ScanReport, cause: &'r Cause) -> Self {
        Self { code: cause.code, message: &cause.message, path: &cause.path, place: cause.site.map(|site| Place::of(report, site)) }
    }
}

#[derive(Serialize)]
struct SuppressionView<'r> {
    by: &'static str,
    reason: Option<&'r str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    until: Option<String>,
    #[serde(flatten)]
    place: Option<Place<'r>>,
}

impl<'r> SuppressionView<'r> {
    fn of(report: &'r ScanReport, suppression: &'r Suppression) -> Self {
        Self {
            by: suppression.by.name(),
            reason: suppression.reason.as_deref(),
            until: suppression.until.map(|day| day.to_string()),
            place: match suppression.by {
                SuppressedBy::Directive { site, .. } | SuppressedBy::Data { site, .. } => Some(Place::of(report, site)),
                SuppressedBy::Configuration | SuppressedBy::Baseline => None,
            },
        }
    }
}
