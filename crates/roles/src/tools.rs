//! What a model may ask to see before it answers: a closed list, all of which only reads. What a model may propose is the text of its answer.

use std::ops::Range;

use serde::{Deserialize, Serialize};

use crate::limits;
use crate::material::{Part, line};

/// Something that a model asks for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "tool", rename_all = "kebab-case", deny_unknown_fields)]
pub enum Tool {
    /// Lines of one of the files that parts were sent of.
    ShowLines {
        /// The file, as the material names it.
        path: String,
        /// The first line, from 1.
        from: u32,
        /// The last line.
        to: u32,
    },
    /// Another resource of what is evaluated together with this one.
    ShowResource {
        /// Its address.
        address: String,
    },
    /// What a rule is about.
    ShowRule {
        /// Its id.
        rule: String,
    },
}

/// What there is to be seen.
pub trait Shelf {
    /// The files that parts were sent of, with their texts.
    fn files(&self) -> Vec<(&str, &str)>;
    /// Where a resource lies that is evaluated together with the one in question.
    fn resource(&mut self, address: &str) -> Option<(String, Range<usize>)>;
    /// What a rule is about: its title, the attack and the remedy.
    fn rule(&self, id: &str) -> Option<String>;
}

/// What was asked for, as far as it may be seen: more parts of files, and sentences.
#[must_use]
pub fn shown(wants: &[Tool], shelf: &mut dyn Shelf) -> (Vec<Part>, Vec<String>) {
    let (mut parts, mut sentences) = (Vec::new(), Vec::new());
    for want in wants.iter().take(limits::WANTS) {
        match want {
            Tool::ShowLines { path, from, to } => {
                let files = shelf.files();
                let Some((path, text)) = files.iter().find(|(known, _)| known == path) else { continue };
                let range = lines(text, *from, *to);
                parts.extend(range.map(|range| Part { path: (*path).to_owned(), range, why: "asked for" }));
            }
            Tool::ShowResource { address } => {
                parts.extend(shelf.resource(address).map(|(path, range)| Part { path, range, why: "asked for" }));
            }
            Tool::ShowRule { rule } => sentences.extend(shelf.rule(rule).map(|text| line(&text, limits::FACT_BYTES))),
        }
    }
    (parts, sentences)
}

fn lines(text: &str, from: u32, to: u32) -> Option<Range<usize>> {
    let (from, to) = (usize::try_from(from).ok()?.checked_sub(1)?, usize::try_from(to).ok()?);
    let count = to.checked_sub(from)?.min(limits::SHOWN_LINES);
    let mut ends = text.split_inclusive('\n').scan(0, |at, line| {
        let start = *at;
        *at += line.len();
        Some(start..*at)
    });
    let first = ends.nth(from)?;
    let last = ends.take(count.saturating_sub(1)).last().unwrap_or_else(|| first.clone());
    Some(first.start..last.end)
}
