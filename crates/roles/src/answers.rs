//! The forms of answers, and what is taken of them.
//!
//! The JSON is looked for in whatever stands around it (prose, fences of Markdown), must fit the form exactly, and must be there once: an
//! answer with two different ones isn't chosen from. What it says is cut to size, cleaned and redacted before anybody sees it.

use std::collections::BTreeSet;

use serde::Deserialize;
use serde::de::DeserializeOwned;

use crate::limits;
use crate::material::SentPart;
use crate::redaction::{Redactor, RestoreError};
use crate::tools::Tool;

/// Why an answer isn't taken.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Dropped {
    /// It has another form, also after it was to be repaired.
    #[error("the answer doesn't fit the form: {0}")]
    Form(String),
    /// It is longer than anything that is looked at.
    #[error("the answer is too long")]
    TooLong,
    /// It is in a language or script that nobody asked for.
    #[error("the answer is in another language")]
    Language,
    /// It is about a file that wasn't sent.
    #[error("the answer is about a file that wasn't sent")]
    UnknownFile,
    /// It quotes what doesn't stand in the file, or stands there more than once.
    #[error("the answer quotes what doesn't stand in the file once")]
    Misquoted,
    /// What it proposes can't be given back to the file.
    #[error("the proposal can't be used: {0}")]
    Unusable(#[from] RestoreError),
    /// It proposes nothing.
    #[error("nothing is proposed")]
    Nothing,
    /// There is no answer.
    #[error("there is no answer: {0}")]
    Unanswered(String),
}

/// Findings in an order, by their places among those that were given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Order {
    /// The first ones; none twice, and perhaps not all.
    pub ranked: Vec<Ranked>,
    /// All in one line.
    pub summary: String,
}

/// A finding in an order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ranked {
    /// Its place among those that were given.
    pub finding: usize,
    /// Why it is here.
    pub reason: String,
}

/// What a finding means here, in a model's words.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Explanation {
    /// The whole.
    pub text: String,
    /// Step by step.
    pub attack: Vec<String>,
    /// What speaks against it.
    pub doubts: Vec<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct OrderForm {
    order: Vec<RankedForm>,
    #[serde(default)]
    summary: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RankedForm {
    finding: String,
    #[serde(default)]
    reason: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ExplanationForm {
    explanation: String,
    #[serde(default)]
    attack: Vec<String>,
    #[serde(default)]
    doubts: Vec<String>,
    #[serde(default)]
    wants: Vec<Tool>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ProposalForm {
    replacements: Vec<ReplacementForm>,
    #[serde(default)]
    reason: String,
    #[serde(default)]
    wants: Vec<Tool>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ReplacementForm {
    path: String,
    before: String,
    after: String,
}

/// What an answer comes to: what it says, or what it wants to see first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Said<T> {
    /// The answer.
    Answer(T),
    /// It wants to see more.
    Wants(Vec<Tool>),
}

/// A proposed text for one of the parts that were sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Replaced {
    /// Which part.
    pub part: usize,
    /// Its text in the file, with the replacements; values stand where placeholders stood.
    pub text: String,
    /// Why, in a model's words.
    pub reason: String,
}

/// Takes an order of findings.
///
/// # Errors
/// Why it isn't taken.
pub fn order(answer: &str, findings: usize, redactor: &Redactor) -> Result<Order, Dropped> {
    let form: OrderForm = only(answer)?;
    let mut known = BTreeSet::new();
    let mut ranked = Vec::new();
    for entry in form.order {
        let number = entry.finding.strip_prefix('F').and_then(|number| number.parse::<usize>().ok());
        let finding = number.and_then(|number| number.checked_sub(1)).filter(|finding| *finding < findings.min(limits::ORDERED));
        let finding = finding.ok_or_else(|| Dropped::Form("it names a finding that there isn't".to_owned()))?;
        if !known.insert(finding) {
            return Err(Dropped::Form("it names a finding twice".to_owned()));
        }
        ranked.push(Ranked { finding, reason: sentence(&entry.reason, redactor) });
    }
    if ranked.is_empty() {
        return Err(Dropped::Form("it names no finding".to_owned()));
    }
    let summary = sentence(&form.summary, redactor);
    is_expected_language(ranked.iter().map(|ranked| ranked.reason.as_str()).chain([summary.as_str()]))?;
    Ok(Order { ranked, summary })
}

/// Takes an explanation.
///
/// # Errors
/// Why it isn't taken.
pub fn explanation(answer: &str, redactor: &Redactor) -> Result<Said<Explanation>, Dropped> {
    let form: ExplanationForm = only(answer)?;
    if form.wants.len() > limits::WANTS {
        return Err(Dropped::Form(format!("it wants more than {} things", limits::WANTS)));
    }
    if !form.wants.is_empty() {
        return Ok(Said::Wants(form.wants));
    }
    let text = shown(&form.explanation, limits::EXPLANATION_CHARACTERS, redactor);
    if text.chars().filter(|character| character.is_alphabetic()).count() < 20 {
        return Err(Dropped::Form("it explains nothing".to_owned()));
    }
    let sentences = |list: Vec<String>| -> Vec<String> {
        list.iter().take(limits::SENTENCES).map(|text| sentence(text, redactor)).filter(|text| !text.is_empty()).collect()
    };
    let explanation = Explanation { text, attack: sentences(form.attack), doubts: sentences(form.doubts) };
    is_expected_language([explanation.text.as_str()].into_iter().chain(explanation.attack.iter().map(String::as_str)))?;
    Ok(Said::Answer(explanation))
}

/// Takes a proposed text. All its replacements are in one of the parts.
///
/// # Errors
/// Why it isn't taken.
pub fn proposal(answer: &str, parts: &[SentPart], redactor: &Redactor) -> Result<Said<Replaced>, Dropped> {
    let form: ProposalForm = only(answer)?;
    if form.wants.len() > limits::WANTS || form.replacements.len() > limits::REPLACEMENTS {
        return Err(Dropped::Form("it has more parts than are taken".to_owned()));
    }
    if !form.wants.is_empty() && form.replacements.is_empty() {
        return Ok(Said::Wants(form.wants));
    }
    if form.replacements.is_empty() {
        return Err(Dropped::Nothing);
    }
    let mut changed: Option<(usize, String)> = None;
    for ReplacementForm { path, before, after } in form.replacements {
        if before.len() > limits::REPLACEMENT_BYTES || after.len() > limits::REPLACEMENT_BYTES {
            return Err(Dropped::TooLong);
        }
        if before.trim().is_empty() {
            return Err(Dropped::Misquoted);
        }
        let of_path: Vec<usize> = (0..parts.len()).filter(|&number| is_path(&path, &parts[number].path)).collect();
        if of_path.is_empty() {
            return Err(Dropped::UnknownFile);
        }
        let current = |number: usize| match &changed {
            Some((part, text)) if *part == number => text.as_str(),
            _ => parts[number].text.as_str(),
        };
        let holding: Vec<usize> = of_path.into_iter().filter(|&number| current(number).matches(before.as_str()).count() > 0).collect();
        let [part] = holding.as_slice() else { return Err(Dropped::Misquoted) };
        let text = current(*part);
        if text.matches(before.as_str()).count() != 1 || changed.as_ref().is_some_and(|(other, _)| other != part) {
            return Err(Dropped::Misquoted);
        }
        changed = Some((*part, text.replacen(before.as_str(), &after, 1)));
    }
    let Some((part, text)) = changed.filter(|(part, text)| *text != parts[*part].text) else { return Err(Dropped::Nothing) };
    let text = redactor.restore(&parts[part].path, &parts[part].text, &text)?;
    Ok(Said::Answer(Replaced { part, text, reason: sentence(&form.reason, redactor) }))
}

/// Whether a path that a model wrote is the one of a file that was sent. It is only ever compared.
fn is_path(said: &str, sent: &str) -> bool {
    let said = said.trim().trim_matches(['`', '"', '\'']);
    said == sent || said.strip_prefix("./") == Some(sent)
}

/// The one JSON text of a form in an answer.
fn only<T: DeserializeOwned>(answer: &str) -> Result<T, Dropped> {
    if answer.len() > limits::ANSWER_BYTES {
        return Err(Dropped::TooLong);
    }
    let mut fitting: Vec<&str> = Vec::new();
    let mut reason = "there is no JSON object in it".to_owned();
    let mut at = 0;
    for _ in 0..limits::CANDIDATES {
        let Some(start) = answer[at..].find('{').map(|found| at + found) else { break };
        let Some(length) = object_length(&answer[start..]) else {
            reason = "its JSON ends in the middle".to_owned();
            at = start + 1;
            continue;
        };
        let candidate = &answer[start..start + length];
        match serde_json::from_str::<T>(candidate) {
            Ok(_) => {
                fitting.push(candidate);
                at = start + length;
            }
            Err(error) => {
                // Of what is in it, nothing is repeated.
                reason = format!("{:?} error at line {}, column {}", error.classify(), error.line(), error.column());
                at = start + 1;
            }
        }
    }
    fitting.dedup();
    match fitting.as_slice() {
        [one] => serde_json::from_str(one).map_err(|_| Dropped::Form(reason)),
        [] => Err(Dropped::Form(reason)),
        _ => Err(Dropped::Form("there are several answers in it".to_owned())),
    }
}

/// How long the object is that a text begins with.
fn object_length(text: &str) -> Option<usize> {
    let (mut depth, mut is_quoted, mut is_escaped) = (0_usize, false, false);
    for (at, byte) in text.bytes().enumerate() {
        match byte {
            _ if is_escaped => is_escaped = false,
            b'\\' if is_quoted => is_escaped = true,
            b'"' => is_quoted = !is_quoted,
            _ if is_quoted => {}
            b'{' => depth += 1,
            b'}' => {
                depth = depth.checked_sub(1)?;
                if depth == 0 {
                    return Some(at + 1);
                }
            }
            _ => {}
        }
    }
    None
}

/// A model's words as they may be shown: on one line, without what hides, without addresses that somebody could follow, redacted, cut.
fn shown(text: &str, most: usize, redactor: &Redactor) -> String {
    let mut said = String::with_capacity(text.len().min(8 * most));
    for character in text.chars().take(8 * most) {
        match character {
            '\n' | '\r' | '\t' => said.push(' '),
            character if keyblind_intent::is_hidden(character) => said.push('\u{fffd}'),
            character => said.push(character),
        }
    }
    let said = redactor.prose(&said);
    let mut words: Vec<&str> = said.split(' ').filter(|word| !word.is_empty()).collect();
    for word in &mut words {
        if word.contains("://") || word.contains("www.") || word.contains("](") {
            *word = "(address left out)";
        }
    }
    let whole = words.join(" ");
    if whole.chars().count() <= most { whole } else { whole.chars().take(most).chain(['…']).collect() }
}

fn sentence(text: &str, redactor: &Redactor) -> String {
    shown(text, limits::SENTENCE_CHARACTERS, redactor)
}

/// Reports are in English; letters of other scripts are names at most.
fn is_expected_language<'t>(texts: impl IntoIterator<Item = &'t str>) -> Result<(), Dropped> {
    let (mut latin, mut other) = (0_usize, 0_usize);
    for character in texts.into_iter().flat_map(str::chars).filter(|character| character.is_alphabetic()) {
        if character.is_ascii() { latin += 1 } else { other += 1 }
    }
    if other * 5 > latin { Err(Dropped::Language) } else { Ok(()) }
}
