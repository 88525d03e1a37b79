//! What became of findings, for programs: fixes with their edits and proofs.

use std::io::{self, Write};

use keyblind_fix::proof::Proof;
use keyblind_fix::{Effect, FileEdit, Input, Outcome};
use keyblind_report::fixes::Class;
use keyblind_scan::ScanReport;
use serde::Serialize;

use super::Attempt;

#[derive(Serialize)]
struct Document<'r> {
    version: u32,
    tool: &'static str,
    tool_version: &'static str,
    fixes: Vec<FixView<'r>>,
    refused: Vec<RefusedView<'r>>,
}

#[derive(Serialize)]
struct FixView<'r> {
    rule: &'r str,
    address: &'r str,
    fingerprint: &'r str,
    severity: &'static str,
    class: &'static str,
    /// Whether a model proposed its text.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    proposed: bool,
    effects: &'r [Effect],
    /// Whether later fixes of this document stand on it.
    taken: bool,
    edits: &'r [FileEdit],
    inputs: &'r [Input],
    proof: &'r Proof,
}

#[derive(Serialize)]
struct RefusedView<'r> {
    rule: &'r str,
    address: &'r str,
    fingerprint: &'r str,
    severity: &'static str,
    reason: &'static str,
    by_hand: &'r str,
}

pub(super) fn write(report: &ScanReport, attempts: &[Attempt<'_>], out: &mut dyn Write) -> io::Result<()> {
    let mut document = Document {
        version: 1,
        tool: keyblind_report::TOOL,
        tool_version: keyblind_report::VERSION,
        fixes: Vec::new(),
        refused: Vec::new(),
    };
    for attempt in attempts {
        let card = &report.rules[attempt.result.rule];
        let (rule, address, fingerprint) = (&*card.id, &*attempt.result.address, attempt.result.fingerprint.as_str());
        let severity = card.severity.name();
        match &attempt.outcome {
            Outcome::Fixed(fix) => document.fixes.push(FixView {
                rule,
                address,
                fingerprint,
                severity,
                class: Class::of(fix).name(),
                proposed: fix.proof.proposed,
                effects: &fix.effects,
                taken: attempt.taken,
                edits: &fix.edits,
                inputs: &fix.inputs,
                proof: &fix.proof,
            }),
            Outcome::Refused(refusal) => document.refused.push(RefusedView {
                rule,
                address,
                fingerprint,
                severity,
                reason: refusal.hindrance.name(),
                by_hand: &card.fix,
            }),
            Outcome::Gone => {}
        }
    }
    serde_json::to_writer_pretty(&mut *out, &document).map_err(io::Error::from)?;
    out.write_all(b"\n")
}
