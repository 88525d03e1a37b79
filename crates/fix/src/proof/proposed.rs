//! What a text must pass beside all else if somebody proposed it: it is small, made of words that are there already, and changes only what
//! the rule is about in the resource that fails.

mod confined;
mod literals;

use std::collections::BTreeSet;

use keyblind_dialects::terraform::is_configuration;
use keyblind_resource::{Dialect, Resource, ResourceId};
use keyblind_rules::{Evidence, RuleId, RuleTable};
use keyblind_scan::Trial;
use keyblind_syntax::{Site, dockerfile as syntax};
use similar::{Algorithm, DiffOp, TextDiff, capture_diff_slices};

use super::dockerfile::{Part, Plan};
use super::verdicts::differing;
use super::{Check, Disproof, NODE, Stated, document, pointer};

pub(crate) use self::confined::check as check_confined;
pub(crate) use self::literals::check as check_literals;

/// The most lines that go or come.
const MOST_LINES: usize = 60;
/// The most bytes that come.
const MOST_BYTES: usize = 8 << 10;
/// The most instructions that come.
const MOST_ADDED: usize = 2;

/// A proposed text and what it is for.
pub(crate) struct Proposed<'p> {
    pub(crate) table: &'p RuleTable,
    pub(crate) rule: RuleId,
    pub(crate) path: &'p str,
    /// Before and after.
    pub(crate) texts: (&'p str, &'p str),
    pub(crate) before: &'p Trial,
    pub(crate) after: &'p Trial,
    /// The resource that fails, before.
    pub(crate) resource: ResourceId,
    pub(crate) evidence: &'p [Evidence],
    /// The places that deciding values came through.
    pub(crate) sites: &'p [Site],
    pub(crate) stated: &'p [Stated],
}

/// Few lines of a text are different.
pub(crate) fn check_size(path: &str, before: &str, after: &str) -> Result<(), Disproof> {
    let wrong = |what: String| Err(Disproof::new(Check::Small, format!("`{path}`: {what}")));
    if before == after {
        return wrong("nothing is different".to_owned());
    }
    if after.len() > before.len() + MOST_BYTES {
        return wrong(format!("more than {MOST_BYTES} bytes come"));
    }
    let lines = TextDiff::from_lines(before, after);
    let changed: usize =
        lines.ops().iter().filter(|op| !matches!(op, DiffOp::Equal { .. })).map(|op| op.old_range().len() + op.new_range().len()).sum();
    if changed > MOST_LINES { wrong(format!("{changed} lines are different, more than {MOST_LINES}")) } else { Ok(()) }
}

/// What a text changes, said as a derived fix says it.
pub(crate) fn stated(
    path: &str,
    (old, new): (&str, &str),
    (before, after): (&Trial, &Trial),
    resource: ResourceId,
) -> Result<Vec<Stated>, Disproof> {
    if before.dialect == Dialect::Dockerfile {
        return instructions(path, old, new);
    }
    let mut found = Vec::new();
    let subject = &before.graph.resources[resource];
    for now in &after.graph.resources {
        let Some(was) = before.graph.resources.iter().find(|was| was.address == now.address) else {
            found.push(stating(after, now, String::new()));
            continue;
        };
        if is_of(subject, was) {
            found.extend(differing(&was.body, &now.body).into_iter().map(|name| stating(after, now, name)));
        }
    }
    if !is_configuration(path) && before.dialect != Dialect::Terraform {
        let differences = document::differences(old, new)
            .ok_or_else(|| Disproof::new(Check::Parses, format!("`{path}`: its documents can't be compared")))?;
        found.extend(differences.into_iter().map(|(number, names)| Stated {
            file: path.to_owned(),
            type_key: NODE.to_owned(),
            name: number.to_string(),
            path: pointer(&names),
        }));
    }
    found.dedup();
    Ok(found)
}

fn stating(trial: &Trial, resource: &Resource, path: String) -> Stated {
    let file = trial.sources.file(resource.header.file).path.to_string();
    Stated { file, type_key: resource.type_key.to_string(), name: resource.name.to_string(), path }
}

/// Whether a resource is the one in question, another instance of its block, or, in a document, what holds it or what it holds.
pub(super) fn is_of(subject: &Resource, other: &Resource) -> bool {
    let encloses = |a: &Resource, b: &Resource| a.block.file == b.block.file && a.block.range.contains(b.block.range);
    other.header == subject.header && other.type_key == subject.type_key
        || subject.dialect != Dialect::Terraform && (encloses(subject, other) || encloses(other, subject))
}

/// The same for the instructions of a Dockerfile.
fn instructions(path: &str, old: &str, new: &str) -> Result<Vec<Stated>, Disproof> {
    let wrong = |what: &str| Disproof::new(Check::Confined, format!("`{path}`: {what}"));
    let (before, after) = (syntax::parse(old), syntax::parse(new));
    let texts = |text: &str, parsed: &syntax::Dockerfile| -> Vec<String> {
        parsed.instructions.iter().map(|instruction| text.get(instruction.range.as_usize()).unwrap_or_default().to_owned()).collect()
    };
    let (a, b) = (texts(old, &before), texts(new, &after));
    let mut plan = Plan::default();
    let mut added = 0;
    for op in capture_diff_slices(Algorithm::Myers, &a, &b) {
        let (old_range, new_range) = (op.old_range(), op.new_range());
        match op {
            DiffOp::Equal { .. } => {}
            _ if old_range.len() == new_range.len() => old_range.for_each(|number| plan.add(number, Part::Changed)),
            DiffOp::Insert { .. } => {
                for number in 0..new_range.len() {
                    plan.add(old_range.start, Part::Added(number));
                    added += 1;
                }
            }
            _ => return Err(wrong("instructions go")),
        }
    }
    if added > MOST_ADDED {
        return Err(wrong("more than two instructions come"));
    }
    Ok(plan.stated(path))
}

/// The names on a path, without numbers and what a view makes of the value.
pub(super) fn names(path: &str) -> Vec<String> {
    let path = path.split('|').next().unwrap_or_default();
    path.split('.').filter(|part| !part.is_empty() && !part.bytes().all(|byte| byte.is_ascii_digit())).map(str::to_owned).collect()
}

/// Whether one of two paths leads to the other.
pub(super) fn is_along(path: &[String], allowed: &BTreeSet<Vec<String>>) -> bool {
    allowed.iter().filter(|known| !known.is_empty()).any(|known| path.starts_with(known) || known.starts_with(path))
}
