//! What models are asked about the findings of a run, and what becomes of their answers: notes, and texts that the proof judges.

use std::collections::BTreeMap;
use std::ops::Range;

use keyblind_explain::explain;
use keyblind_fix::{Fixer, Hindrance, Outcome, Subject};
use keyblind_report::Fixes;
use keyblind_report::fixes::{Explained, Remedy};
use keyblind_roles::consultation::Files;
use keyblind_roles::{Consultation, Dropped, Facts, Part, Shelf};
use keyblind_rules::RuleTable;
use keyblind_scan::{ScanReport, ScanResult, Status, redact};

use super::fixes;
use crate::arguments::Global;
use crate::models::{Direct, MOST_QUESTIONS, Way};
use crate::{leaf, terminal};

/// Findings that are explained.
const MOST_EXPLAINED: usize = 10;
/// Findings for which a text is proposed.
const MOST_PROPOSED: usize = 20;

/// The way to the broker for a process that starts a leaf, if the command line asks for models.
///
/// # Errors
/// If it does, and there is no broker.
pub(super) fn direct(is_asked: bool) -> anyhow::Result<Option<Direct>> {
    is_asked.then(Direct::connect).transpose()
}

/// The way to models, if they are to be asked: the configuration's no is stronger than the command line, its yes does without it.
///
/// # Errors
/// If the command line asks for models, and there is no broker.
pub(super) fn way(is_asked: bool, configured: Option<bool>) -> anyhow::Result<Option<Way>> {
    if configured == Some(false) {
        if is_asked {
            terminal::say("note: no model is asked: keyblind.toml says `models = false`");
        }
        return Ok(None);
    }
    match leaf::inside() {
        Some(inside) if is_asked => Ok(Some(Way::Piped(inside))),
        Some(_) => {
            if configured == Some(true) {
                terminal::say("note: no model is asked: in a sandbox it takes `--models` on the command line");
            }
            Ok(None)
        }
        None if is_asked => Ok(Some(Way::Direct(Box::new(Direct::connect()?)))),
        None if configured == Some(true) => match Direct::connect() {
            Ok(direct) => Ok(Some(Way::Direct(Box::new(direct)))),
            Err(error) => {
                terminal::say(format_args!("note: no model is asked, though keyblind.toml says `models = true`: {error:#}"));
                Ok(None)
            }
        },
        None => Ok(None),
    }
}

/// Asks for an order of the findings, explanations of the first of them and, if fixes are looked for, texts where none could be derived. The report is
/// what it was; what comes back is put beside it.
pub(super) fn advise(
    way: &mut Way,
    fixer: &mut Fixer<'_>,
    table: &RuleTable,
    report: &ScanReport,
    fixes: &mut Fixes,
    proposes: bool,
    global: Global,
) {
    let mut failed: Vec<&ScanResult> = report.results.iter().filter(|result| matches!(result.status, Status::Failed)).collect();
    failed.sort_by_key(|result| std::cmp::Reverse(report.rules[result.rule].severity));
    if failed.is_empty() {
        return;
    }
    let mut tally = Tally::default();
    let mut consultation = Consultation::new(way, MOST_QUESTIONS);
    let all: Vec<Facts> = failed.iter().map(|result| facts(report, result)).collect();
    let mut first: Vec<usize> = Vec::new();
    match consultation.order(&all) {
        Ok(order) => {
            if !global.quiet && !order.summary.is_empty() {
                terminal::say(format_args!("a model says: {}", keyblind_report::clean(&order.summary)));
            }
            first.extend(order.ranked.iter().map(|ranked| ranked.finding));
        }
        Err(dropped) => tally.drop(&dropped),
    }
    let rest: Vec<usize> = (0..failed.len()).filter(|number| !first.contains(number)).collect();
    first.extend(rest);
    for number in first.into_iter().take(MOST_EXPLAINED) {
        let Some(subject) = fixes::subject(table, report, failed[number]) else { continue };
        let mut about = About::of(fixer, table, report, subject);
        let (files, parts) = (about.files.clone(), about.parts.clone());
        match consultation.explain(&all[number], &files, &parts, &mut about) {
            Ok(said) => {
                fixes.explain(failed[number], Explained { text: said.text, attack: said.attack, doubts: said.doubts });
                tally.explained += 1;
            }
            Err(dropped) => tally.drop(&dropped),
        }
    }
    if proposes {
        let mut proposer = Proposer { consultation, asked: 0, tally };
        for result in failed {
            let Some(Remedy::Hindered(hindrance)) = fixes.get(result) else { continue };
            if let Some(outcome) = proposer.propose(*hindrance, fixer, table, report, result) {
                fixes.add(result, &outcome, |path| fixer.original(path).ok());
            }
        }
        proposer.tell(global);
    } else {
        tally.tell(consultation.gone(), global);
    }
}

/// What came of the questions.
#[derive(Default)]
struct Tally {
    explained: usize,
    proposed: usize,
    /// What wasn't taken, by why.
    dropped: BTreeMap<String, usize>,
}

impl Tally {
    fn drop(&mut self, dropped: &Dropped) {
        *self.dropped.entry(dropped.to_string()).or_default() += 1;
    }

    fn tell(&self, gone: Option<&str>, global: Global) {
        if global.quiet {
            return;
        }
        terminal::say(format_args!("models: {} explained, {} proposed and proven", self.explained, self.proposed));
        for (reason, count) in &self.dropped {
            terminal::say(format_args!("models: {count} not taken: {}", keyblind_report::clean(reason)));
        }
        if let Some(gone) = gone.filter(|gone| !self.dropped.keys().any(|reason| reason.contains(gone))) {
            terminal::say(format_args!("models: {}", keyblind_report::clean(gone)));
        }
    }
}

/// Asks for texts where no fix could be derived.
pub(super) struct Proposer<'w> {
    consultation: Consultation<'w>,
    asked: usize,
    tally: Tally,
}

impl<'w> Proposer<'w> {
    /// With a way to a model.
    pub(super) fn new(way: &'w mut Way) -> Self {
        Self { consultation: Consultation::new(way, MOST_QUESTIONS), asked: 0, tally: Tally::default() }
    }

    /// The outcome of a finding, with a proven proposal in the place of a refusal.
    pub(super) fn instead(
        &mut self,
        outcome: Outcome,
        fixer: &mut Fixer<'_>,
        table: &RuleTable,
        report: &ScanReport,
        result: &ScanResult,
    ) -> Outcome {
        let Outcome::Refused(refusal) = &outcome else { return outcome };
        self.propose(refusal.hindrance, fixer, table, report, result).unwrap_or(outcome)
    }

    /// A proven proposal, if there is one.
    fn propose(
        &mut self,
        hindrance: Hindrance,
        fixer: &mut Fixer<'_>,
        table: &RuleTable,
        report: &ScanReport,
        result: &ScanResult,
    ) -> Option<Outcome> {
        let is_open =
            matches!(hindrance, Hindrance::NeedsDecision | Hindrance::NeedsValue | Hindrance::NeedsRedesign | Hindrance::NotProven);
        if !is_open || self.asked >= MOST_PROPOSED || self.consultation.gone().is_some() {
            return None;
        }
        self.asked += 1;
        let subject = fixes::subject(table, report, result)?;
        let mut about = About::of(fixer, table, report, subject.clone());
        let (files, parts) = (about.files.clone(), about.parts.clone());
        let proposal = match self.consultation.propose(&facts(report, result), &files, &parts, &mut about) {
            Ok(proposal) => proposal,
            Err(dropped) => {
                self.tally.drop(&dropped);
                return None;
            }
        };
        match fixer.propose(&subject, &proposal.path, &proposal.text) {
            Ok(fix) => {
                self.tally.proposed += 1;
                Some(Outcome::Fixed(Box::new(fix)))
            }
            Err(disproof) => {
                let check = serde_json::to_value(disproof.check).ok().and_then(|name| Some(name.as_str()?.to_owned())).unwrap_or_default();
                *self.tally.dropped.entry(format!("the proposal isn't proven ({check})")).or_default() += 1;
                None
            }
        }
    }

    /// Says what came of it.
    pub(super) fn tell(&self, global: Global) {
        self.tally.tell(self.consultation.gone(), global);
    }
}

/// A finding as a model hears of it.
fn facts(report: &ScanReport, result: &ScanResult) -> Facts {
    let rule = &report.rules[result.rule];
    let explanation = explain(report, result);
    Facts {
        rule: rule.id.to_string(),
        severity: rule.severity.name().to_owned(),
        title: rule.title.to_string(),
        attack: explanation.attack,
        remedy: rule.fix.to_string(),
        address: result.address.to_string(),
        here: explanation.here,
    }
}

/// The files around a finding, and what else may be looked at.
struct About<'f, 't, 's> {
    fixer: &'f mut Fixer<'t>,
    table: &'s RuleTable,
    subject: Subject<'s>,
    files: Files,
    parts: Vec<Part>,
}

impl<'f, 't, 's> About<'f, 't, 's> {
    fn of(fixer: &'f mut Fixer<'t>, table: &'s RuleTable, report: &ScanReport, subject: Subject<'s>) -> Self {
        let mut files = Files::new();
        let mut parts = Vec::new();
        for place in fixer.surroundings(&subject) {
            if !files.contains_key(&place.path) {
                let (Ok(text), Ok(original)) = (fixer.text(&place.path), fixer.original(&place.path)) else { continue };
                let hidden = hidden(report, &place.path, &original, &text);
                files.insert(place.path.clone(), (text.to_string(), hidden));
            }
            let why = if place.is_resource { "the resource" } else { "where the value comes from" };
            parts.push(Part { path: place.path, range: place.range, why });
        }
        Self { fixer, table, subject, files, parts }
    }
}

impl Shelf for About<'_, '_, '_> {
    fn files(&self) -> Vec<(&str, &str)> {
        self.files.iter().map(|(path, (text, _))| (path.as_str(), text.as_str())).collect()
    }

    fn resource(&mut self, address: &str) -> Option<(String, Range<usize>)> {
        let place = self.fixer.beside(&self.subject, address)?;
        Some((place.path, place.range))
    }

    fn rule(&self, id: &str) -> Option<String> {
        let rule = self.table.find(id)?;
        let docs = self.table.docs(rule);
        Some(format!("{}: {} {}", self.table.meta(rule).title, docs.why, docs.fix))
    }
}

/// What of a file must not be shown: what reports mask, and the places of values that evidence doesn't show. What fixes moved is found again by what it
/// says.
fn hidden(report: &ScanReport, path: &str, original: &str, text: &str) -> Vec<Range<usize>> {
    let is_hidden = |value: &str| value.contains("(sensitive)") || value.contains("(credential)");
    let evidence = report.results.iter().flat_map(|result| &result.evidence);
    let sites = evidence.filter(|proof| proof.value.as_deref().is_some_and(is_hidden)).flat_map(|proof| {
        proof
            .site
            .into_iter()
            .chain(proof.origin.hops().take(keyblind_explain::MOST_STEPS).map(|hop| hop.site))
            .chain(proof.origin.written_at())
    });
    let mut ranges = masked(text);
    for site in sites.filter(|site| *report.sources.file(site.file).path == *path) {
        let Some(value) = original.get(site.range.as_usize()).map(str::trim).filter(|value| value.len() >= 4) else { continue };
        ranges.extend(text.match_indices(value).map(|(at, value)| at..at + value.len()));
    }
    ranges
}

/// The ranges in which reports show signs instead of the text.
fn masked(text: &str) -> Vec<Range<usize>> {
    let shown = redact::source(text, &[]);
    let mut ranges: Vec<Range<usize>> = Vec::new();
    let differs = text.bytes().zip(shown.bytes()).enumerate().filter(|(_, (own, shown))| own != shown).map(|(at, _)| at);
    for at in differs {
        match ranges.last_mut() {
            // A sign that stood there before is a part of what is hidden.
            Some(last) if text.as_bytes()[last.end..at].iter().all(|byte| matches!(byte, b'*' | b'\n' | b'\r')) => last.end = at + 1,
            _ => ranges.push(at..at + 1),
        }
    }
    ranges
}
