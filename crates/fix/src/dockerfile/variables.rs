//! Variables that go: of ENV, ARG and LABEL.

use keyblind_syntax::TextRange;
use keyblind_syntax::dockerfile::{Keyword, parameter_names, words};

use super::surgery::without_word;
use super::{Change, Document, Goal, instruction};
use crate::hindrance::Hindrance;

/// The instruction without the variables that the rule fails. A variable that something in the file uses stays: what uses
/// it would have to be written otherwise.
pub(super) fn removed(document: &Document<'_>, goal: &Goal<'_>, number: usize) -> Result<Vec<Change>, Hindrance> {
    let instruction = document.instruction(number);
    let place = (instruction.keyword.name(), "variables");
    let pairs = pairs(document, number);
    if let [(name, _)] = &pairs[..] {
        if is_used(document, number, name) {
            return Err(Hindrance::NeedsRedesign);
        }
        return Ok(vec![Change { places: vec![place], ..instruction::removed(document, number) }]);
    }
    let head = instruction.flags.last().map_or(instruction.keyword_range.end, |flag| flag.range.end) as usize;
    let escape = document.parsed.escape.byte();
    let mut text = document.text.to_owned();
    let mut left = pairs.len();
    // From the last on, so that the places of those before stay right.
    for (name, range) in pairs.iter().rev() {
        let before = goal.standing(&text, Some(number));
        if before == 0 {
            break;
        }
        let Some(without) = (left > 1).then(|| without_word(&text, *range, head, escape)).flatten() else { continue };
        if goal.standing(&without, Some(number)) < before {
            if is_used(document, number, name) {
                return Err(Hindrance::NeedsRedesign);
            }
            text = without;
            left -= 1;
        }
    }
    if goal.standing(&text, Some(number)) == 0 {
        return Ok(vec![Change::of(text, number, place)]);
    }
    // All of them are meant.
    if pairs.is_empty() || pairs.iter().any(|(name, _)| is_used(document, number, name)) || left > 1 {
        return Err(Hindrance::NeedsRedesign);
    }
    Ok(vec![Change { places: vec![place], ..instruction::removed(document, number) }])
}

/// The variables of an instruction and where they stand.
fn pairs(document: &Document<'_>, number: usize) -> Vec<(String, TextRange)> {
    let instruction = document.instruction(number);
    let words = words(&instruction.arguments, document.parsed.escape);
    let name = |text: &str| text.split('=').next().unwrap_or_default().trim_matches(['"', '\'']).to_owned();
    match words.first() {
        // The old form: all that follows is the value.
        Some(first) if instruction.keyword != Keyword::Arg && !first.text.contains('=') => {
            vec![(name(&first.text), instruction.arguments.whole())]
        }
        _ => words.iter().map(|word| (name(&word.text), word.range)).collect(),
    }
}

/// Whether another instruction refers to a variable, or the same one does behind it.
fn is_used(document: &Document<'_>, number: usize, name: &str) -> bool {
    document.parsed.instructions.iter().enumerate().any(|(other, instruction)| {
        let text = document.text.get(instruction.range.as_usize()).unwrap_or_default();
        // `ARG NAME` in another stage takes the value of the one before the first `FROM`.
        let is_taken = instruction.keyword == Keyword::Arg && other != number && pairs(document, other).iter().any(|(of, _)| of == name);
        is_taken || parameter_names(text).any(|used| used == name)
    })
}
