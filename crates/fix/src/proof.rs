//! The proof of a fix: a list of checks, all of which it passed.
//!
//! The checks know the text before, the text after, what the fix is for and what it says that it changes; how it was made
//! is no matter to them.

pub(crate) mod dockerfile;
pub(crate) mod document;
mod layout;
pub(crate) mod proposed;
pub(crate) mod verdicts;

use std::collections::BTreeMap;
use std::sync::Arc;

use keyblind_dialects::{recognise, terraform};
use keyblind_resource::Dialect;
use keyblind_rules::{RuleId, RuleTable};
use keyblind_scan::Trial;
use keyblind_syntax::is_misleading;
use serde::{Deserialize, Serialize};

use crate::edit::FileEdit;

/// What a fix is for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Claim {
    /// The rule's id.
    pub rule: String,
    /// The directory of the root module or kustomization, or the path of the document.
    pub root: String,
    /// The resource.
    pub address: String,
}

/// Something that a fix says it changes; whatever else is different afterwards speaks against it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Stated {
    /// The file that declares it.
    pub file: String,
    /// Its type key; `module` for a call.
    pub type_key: String,
    /// Its name.
    pub name: String,
    /// The attribute or blocks of it; empty for a resource that is added.
    pub path: String,
}

/// The type key under which a node of a YAML or JSON document is stated: its name is the number of the document in the file,
/// its path a JSON pointer (RFC 6901).
pub const NODE: &str = "node";

/// The type key under which an instruction of a Dockerfile is stated: its name is the instruction's number in the text before,
/// its path what becomes of it: `changed`, `gone`, `keyword:NAME`, `program:NAME`, or `added:N` for one in front of it.
pub const INSTRUCTION: &str = "instruction";

/// A JSON pointer.
pub(crate) fn pointer(names: &[String]) -> String {
    names.iter().map(|name| format!("/{}", name.replace('~', "~0").replace('/', "~1"))).collect()
}

/// One check.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Check {
    /// The edits fit the text, and nothing outside of them is different.
    EditsFit,
    /// Nothing can't be read that could be read before.
    Parses,
    /// The rule passes the resource.
    FaultGone,
    /// Everything that is different has the arguments that its provider demands.
    ArgumentsComplete,
    /// No rule fails anything that it didn't fail before, nor for more reasons.
    NoNewFinding,
    /// No verdict is unknown that wasn't.
    UnknownsNotGrown,
    /// Every resource is still there.
    ResourcesKept,
    /// No other value is different than the fix says.
    ValuesKept,
    /// No other declaration is different than the fix says.
    DeclarationsKept,
    /// No comment came, and none went but with what it stood in.
    CommentsKept,
    /// The formatter has nothing to say where it had nothing to say before.
    Formatted,
    /// To fix it again changes nothing.
    Idempotent,
    /// Of a text that somebody proposes: it changes few lines of one file.
    Small,
    /// Of the same: it changes nothing but what the rule is about, and where the deciding value is written.
    Confined,
    /// Of the same: every word and text that is new stands in the files or in the rule already.
    LiteralsKnown,
}

impl Check {
    /// All of them, in the order in which they are made.
    pub const ALL: &[Self] = &[
        Self::EditsFit,
        Self::Parses,
        Self::DeclarationsKept,
        Self::CommentsKept,
        Self::Formatted,
        Self::ResourcesKept,
        Self::ValuesKept,
        Self::ArgumentsComplete,
        Self::FaultGone,
        Self::NoNewFinding,
        Self::UnknownsNotGrown,
        Self::Idempotent,
    ];

    /// Those that a text which somebody proposes must pass as well: they come first.
    pub const OF_PROPOSALS: &[Self] = &[Self::Small, Self::LiteralsKnown, Self::Confined];
}

/// The checks that a fix passed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Proof {
    /// What it is for.
    pub claim: Claim,
    /// What it says that it changes.
    pub stated: Vec<Stated>,
    /// What was checked.
    pub checks: Vec<Check>,
    /// The root modules, kustomizations and documents that were evaluated again.
    pub roots: Vec<String>,
    /// Values of variables that only a person knows, with which it holds: name and value.
    pub assumed: Vec<(String, String)>,
    /// Whether somebody proposed the text, so that it passed [`Check::OF_PROPOSALS`] too; nothing derived it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub proposed: bool,
}

/// Why a change isn't proven.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Disproof {
    /// The first check that failed.
    pub check: Check,
    /// What it found.
    pub detail: String,
    /// The finding that it is about.
    pub about: Option<About>,
}

/// A finding that speaks against a change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct About {
    /// The rule.
    pub rule: RuleId,
    /// Where the resource was evaluated: in one place an address may be another resource than in another.
    pub root: String,
    /// The resource, as it is called after the change.
    pub address: String,
}

impl Disproof {
    pub(crate) fn new(check: Check, detail: impl Into<String>) -> Self {
        Self { check, detail: detail.into(), about: None }
    }
}

/// One root module before and after.
pub struct Pair<'p> {
    /// Its directory.
    pub root: &'p str,
    /// Before.
    pub before: &'p Trial,
    /// After.
    pub after: &'p Trial,
}

/// The texts of the files that are different.
pub struct Texts<'p> {
    /// Before, by path.
    pub before: &'p BTreeMap<String, Arc<str>>,
    /// After, by path.
    pub after: &'p BTreeMap<String, Arc<str>>,
    /// The edits that lead from one to the other.
    pub edits: &'p [FileEdit],
}

/// Makes every check that looks at text alone: cheap, and made before anything is evaluated.
///
/// # Errors
/// The first that fails.
pub fn check_texts(texts: &Texts<'_>, stated: &[Stated]) -> Result<(), Disproof> {
    for (path, after) in texts.after {
        let misfit = |detail: String| Disproof::new(Check::EditsFit, detail);
        let before = texts.before.get(path).ok_or_else(|| misfit(format!("`{path}` wasn't there before")))?;
        let edit = texts.edits.iter().find(|edit| edit.path == *path).ok_or_else(|| misfit(format!("`{path}` has no edits")))?;
        let made = edit.apply(before).map_err(|error| misfit(error.to_string()))?;
        if made != **after {
            return Err(misfit(format!("`{path}` is different beyond its edits")));
        }
        match recognise(path, before) {
            _ if terraform::is_configuration(path) || terraform::is_variables_file(path) => layout::check(path, before, after, stated)?,
            Some(Dialect::Dockerfile) => dockerfile::check(path, before, after, stated)?,
            // A patch of a kustomization is recognised as nothing by itself.
            _ => document::check(path, before, after, stated)?,
        }
        check_line_ends(path, before, after)?;
        check_readable(path, before, after)?;
    }
    if let Some(edit) = texts.edits.iter().find(|edit| !texts.after.contains_key(&edit.path)) {
        return Err(Disproof::new(Check::EditsFit, format!("`{}` has edits, but no text", edit.path)));
    }
    Ok(())
}

/// No character comes that makes a text look other than it is: who reads the diff sees what it does.
fn check_readable(path: &str, before: &str, after: &str) -> Result<(), Disproof> {
    let counted = |text: &str| {
        let mut counts: BTreeMap<char, usize> = BTreeMap::new();
        for character in text.chars().filter(|character| is_misleading(*character) && *character != '\r') {
            *counts.entry(character).or_default() += 1;
        }
        counts
    };
    let (old, new) = (counted(before), counted(after));
    match new.into_iter().find(|(character, count)| old.get(character).is_none_or(|known| known < count)) {
        Some((character, _)) => {
            let detail = format!("`{path}`: a character comes that readers don't see (U+{:04X})", u32::from(character));
            Err(Disproof::new(Check::DeclarationsKept, detail))
        }
        None => Ok(()),
    }
}

/// Lines end as the others do, and no more of them with white space.
fn check_line_ends(path: &str, before: &str, after: &str) -> Result<(), Disproof> {
    let untidy = |text: &str| text.lines().filter(|line| line.ends_with([' ', '\t'])).count();
    if untidy(after) > untidy(before) {
        return Err(Disproof::new(Check::Formatted, format!("`{path}`: a line ends with white space")));
    }
    // How many lines end with a line feed alone, and with a carriage return before it.
    let endings = |text: &str| {
        let both = text.matches("\r\n").count();
        (text.matches('\n').count() - both, both)
    };
    let ((lone, both), (lone_after, both_after)) = (endings(before), endings(after));
    if lone == 0 && both > 0 && lone_after > 0 || both == 0 && both_after > 0 {
        return Err(Disproof::new(Check::Formatted, format!("`{path}`: a line ends otherwise than the others")));
    }
    Ok(())
}

/// Makes the other checks.
///
/// # Errors
/// The first that fails.
pub fn check_verdicts(table: &RuleTable, rule: RuleId, claim: &Claim, stated: &[Stated], pairs: &[Pair<'_>]) -> Result<Proof, Disproof> {
    for pair in pairs {
        verdicts::check_resources(pair, stated)?;
        verdicts::check_values(pair, stated)?;
        verdicts::check_arguments(pair)?;
    }
    verdicts::check_fault(table, rule, claim, stated, pairs)?;
    for pair in pairs {
        verdicts::check_findings(table, pair, stated)?;
    }
    for pair in pairs.iter().filter(|pair| pair.root == claim.root) {
        verdicts::check_idempotent(table, rule, claim, stated, pair)?;
    }
    let mut roots: Vec<String> = pairs.iter().map(|pair| pair.root.to_owned()).collect();
    roots.dedup();
    Ok(Proof { claim: claim.clone(), stated: stated.to_vec(), checks: Check::ALL.to_vec(), roots, assumed: Vec::new(), proposed: false })
}
