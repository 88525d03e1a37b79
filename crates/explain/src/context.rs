//! The attack in this context, what it reaches, and how to see it for oneself.

use std::collections::BTreeMap;

use keyblind_scan::{Direction, Proof, ScanReport, ScanResult, Status};

use crate::clean::clean;
use crate::trail;

/// Values that one explanation names.
const MOST_VALUES: usize = 4;
/// Characters of a value that a sentence shows.
const LONGEST_VALUE: usize = 160;
/// Resources of one type that a sentence names before it counts the rest.
const MOST_NAMES: usize = 3;

/// A finding in words. Texts are Markdown's inline subset: code stands between backticks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Explanation {
    /// What to do, in one line; comes first.
    pub remedy: String,
    /// What somebody does with the fault.
    pub attack: String,
    /// What the verdict is based on, one sentence a value.
    pub here: Vec<String>,
    /// What the resource is connected with, one sentence a direction and type; empty if nothing is.
    pub reach: Vec<String>,
    /// How to see it for oneself.
    pub check: String,
}

/// Explains one result of a report.
pub fn explain(report: &ScanReport, result: &ScanResult) -> Explanation {
    let rule = &report.rules[result.rule];
    let first = rule.fix.split_inclusive(". ").next().unwrap_or_default().trim().trim_end_matches('.');
    Explanation {
        remedy: format!("{first}."),
        attack: rule.why.clone(),
        here: here(report, result),
        reach: reach(result),
        check: check(report, result),
    }
}

fn here(report: &ScanReport, result: &ScanResult) -> Vec<String> {
    let mut sentences: Vec<String> = result.evidence.iter().take(MOST_VALUES).map(|proof| proof_in_words(report, proof)).collect();
    let more = result.evidence.len().saturating_sub(MOST_VALUES);
    if more > 0 {
        sentences.push(format!("{more} more {} the same.", if more == 1 { "place says" } else { "places say" }));
    }
    if let Status::Unknown(causes) = &result.status {
        sentences.extend(causes.iter().take(MOST_VALUES).map(|cause| format!("It can't be told: {}.", cause.message)));
    }
    sentences.dedup();
    sentences
}

/// The value, and who set it where.
fn proof_in_words(report: &ScanReport, proof: &Proof) -> String {
    let mut text = sentence(proof);
    let steps = trail::steps(&proof.origin);
    if steps.len() > 1 {
        let step = |step: &trail::Step| format!("{} ({})", step.words, place(report, step.site));
        let way: Vec<String> = steps.iter().take(MOST_VALUES).map(step).collect();
        text.push_str(&format!(" The value's way: {}.", way.join(", then ")));
    }
    text
}

/// What is wrong with a value, as a sentence.
pub fn sentence(proof: &Proof) -> String {
    let expected = if proof.expected.is_empty() { String::new() } else { format!(", expected {}", proof.expected) };
    let of = proof.resource.as_ref().map(|address| format!(" of {}", code(address))).unwrap_or_default();
    match (&proof.value, proof.path.is_empty()) {
        (None, true) if proof.expected.is_empty() => "Something is missing.".to_owned(),
        (None, true) => format!("Expected {}{of}.", proof.expected),
        (None, false) => format!("{}{of} is missing{expected}.", code(&proof.path)),
        (Some(value), true) => format!("It is {}{of}{expected}.", shown(value)),
        (Some(value), false) => format!("{}{of} is {}{expected}.", code(&proof.path), shown(value)),
    }
}

/// A value as far as a sentence has room for it.
fn shown(value: &str) -> String {
    let value = clean(value);
    if value.chars().count() <= LONGEST_VALUE {
        return value;
    }
    value.chars().take(LONGEST_VALUE).chain(['…']).collect()
}

/// Neighbours by direction and type.
fn reach(result: &ScanResult) -> Vec<String> {
    let mut groups: BTreeMap<(Direction, &str), Vec<String>> = BTreeMap::new();
    for neighbour in &result.neighbours {
        let through = if neighbour.path.is_empty() { String::new() } else { format!(" ({})", code(&neighbour.path)) };
        let named = format!("{}{through}", code(&neighbour.address));
        let group = groups.entry((neighbour.direction, &neighbour.type_key)).or_default();
        if !group.contains(&named) {
            group.push(named);
        }
    }
    let mut sentences: Vec<String> = groups
        .into_iter()
        .map(|((direction, type_key), names)| {
            let verb = match direction {
                Direction::Incoming => "is used by",
                Direction::Outgoing => "uses",
            };
            let more = names.len().saturating_sub(MOST_NAMES);
            let rest = if more > 0 { format!(" and {more} more of type {}", code(type_key)) } else { String::new() };
            format!("{} {verb} {}{rest}.", code(&result.address), names[..names.len().min(MOST_NAMES)].join(", "))
        })
        .collect();
    if result.neighbours_left_out > 0 {
        sentences.push(format!("{} more connections are not listed.", result.neighbours_left_out));
    }
    sentences
}

fn check(report: &ScanReport, result: &ScanResult) -> String {
    let rule = &report.rules[result.rule];
    let file = report.places.in_report(&report.sources.file(result.site.file).path);
    let what = match result.evidence.first() {
        Some(proof) if proof.missing && !proof.path.is_empty() => format!("look for {} in {}", code(&proof.path), code(&result.address)),
        Some(proof) if !proof.path.is_empty() => format!("read {} at {}", code(&proof.path), place(report, result.site)),
        _ => format!("read {} at {}", code(&result.address), place(report, result.site)),
    };
    format!("To see for yourself, {what}, or run {}.", code(&format!("keyblind scan {file} --rule {}", rule.id)))
}

/// A text between backticks, which it can't end: its own are shown as something that looks like them.
fn code(text: &str) -> String {
    format!("`{}`", clean(text).replace('`', "\u{2cb}"))
}

fn place(report: &ScanReport, site: keyblind_syntax::Site) -> String {
    let file = report.places.in_report(&report.sources.file(site.file).path);
    format!("{file}:{}", report.sources.start(site).line)
}
